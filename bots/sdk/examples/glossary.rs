//! Reads along and explains words: `/define MLS Messaging Layer Security`, then any line that says MLS is answered once.

use std::collections::{BTreeMap, BTreeSet};

use cipher_bot::prelude::*;

/// Words and their meaning, and those that were explained already.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Words {
    known: BTreeMap<String, String>,
    explained: BTreeSet<String>,
}

/// Gives a word its meaning.
#[command]
fn define(words: &mut Words, word: Word, meaning: Rest) -> Result<Reply, &'static str> {
    if words.known.len() >= 200 {
        return Err("this glossary is full");
    }
    let word = word.into_text().to_lowercase();
    words.explained.remove(&word);
    words.known.insert(word.clone(), meaning.into_text());
    Ok(format!("{word} is known").into())
}

/// Explains the first word of a text that was not explained yet.
#[command]
fn explain(words: &mut Words, text: Rest) -> Option<Reply> {
    let text = text.into_text().to_lowercase();
    let said = text.split(|c: char| !c.is_alphanumeric());
    let word =
        said.into_iter().find(|word| words.known.contains_key(*word) && !words.explained.contains(*word))?;
    words.explained.insert(word.to_owned());
    words.known.get(word).map(|meaning| format!("{word}: {meaning}").into())
}

fn main() -> Exit {
    Bot::new("glossary").about("explains words once.").command(define).on_text(explain).run()
}
