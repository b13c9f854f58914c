//! Whether people are in one world: the same group, and the same words, each once and in one order.

use serde_json::Value;

use crate::failure::{Failure, Result, ensure};
use crate::person::{Person, text};

/// Brings everybody up to date and fails unless all are in the same world: epoch, authenticator, members, name.
pub fn all_equal(group: &str, people: &[&Person]) -> Result<Value> {
    let mut worlds = Vec::new();
    for person in people {
        person.syncs()?;
        let shown = person.shows(group)?;
        let mut members: Vec<String> = shown
            .get("members")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|member| {
                format!("{}:{}", text(member, "handle").unwrap_or("?"), text(member, "role").unwrap_or("?"))
            })
            .collect();
        members.sort();
        let fields = ["id", "name", "epoch", "authenticator"].map(|field| shown.get(field).cloned());
        worlds.push((person.name().to_owned(), fields, members, shown));
    }
    let (name, fields, members, shown) = worlds.first().ok_or_else(|| Failure::new("nobody"))?;
    ensure(shown.get("authenticator").is_some_and(|a| a.as_str().is_some_and(|a| !a.is_empty())), || {
        format!("no authenticator in {shown}")
    })?;
    for (other, their_fields, their_members, _) in &worlds {
        ensure(fields == their_fields && members == their_members, || {
            format!("{name} and {other} are in different worlds: {worlds:#?}")
        })?;
    }
    Ok(shown.clone())
}

/// Fails unless everybody has read exactly these words, each once, all in the same order.
pub fn all_read(group: &str, people: &[&Person], expected: &[String]) -> Result {
    let mut wanted = expected.to_vec();
    wanted.sort();
    let mut first: Option<(String, Vec<String>)> = None;
    for person in people {
        person.syncs()?;
        let texts = person.texts(group)?;
        let mut sorted = texts.clone();
        sorted.sort();
        ensure(sorted == wanted, || {
            let missing: Vec<_> = wanted.iter().filter(|words| !texts.contains(words)).collect();
            let twice: Vec<_> =
                sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
            let others: Vec<_> = texts.iter().filter(|words| !wanted.contains(words)).collect();
            let mut told =
                format!("{}: missing {missing:?}, twice {twice:?}, unexpected {others:?}", person.name());
            for words in missing {
                for other in people {
                    let lines = other.reads(group).unwrap_or_default();
                    let found = lines.iter().find(|line| text(line, "text") == Some(words));
                    told.push_str(&format!("\n  {} has {words:?} as {found:?}", other.name()));
                }
            }
            let doctor = person.run(&["doctor"]).map(|output| output.to_string()).unwrap_or_default();
            format!("{told}\n{doctor}")
        })?;
        match &first {
            None => first = Some((person.name().into(), texts)),
            Some((name, order)) => ensure(*order == texts, || {
                format!("{name} and {} read in different orders:\n{order:?}\n{texts:?}", person.name())
            })?,
        }
    }
    Ok(())
}
