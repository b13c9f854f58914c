//! Members that a text names: pure functions between what a person types, what travels, and what is shown.

use std::ops::Range;

use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
use cipher_broker::limit;
use cipher_broker::wire::content::Mention;

/// Bytes of a name in a text, with its `@`, at most.
const NAME_BYTES: usize = 33;

/// R-MENTION-01: those that a text holds: each begins with an `@`, lies in the text, behind the one before, and is not longer than a
/// name; so many in all. The others are no mentions.
pub(crate) fn sound(text: &str, mentions: &[Mention]) -> Vec<Mention> {
    let mut free_from = 0;
    let is_sound = |mention: &&Mention| {
        let Some((start, end)) = span(mention) else { return false };
        let fits = start >= free_from
            && end.saturating_sub(start) <= NAME_BYTES
            && text.get(start..end).is_some_and(|name| name.len() > 1 && name.starts_with('@'));
        if fits {
            free_from = end;
        }
        fits
    };
    mentions.iter().filter(is_sound).take(limit::MENTIONS).copied().collect()
}

/// R-MENTION-02: a text as it is shown: a member that it names has the name that it has now, and where none is known, the one that
/// was written. The mentions are sound.
pub(crate) fn shown(
    text: &str,
    mentions: &[Mention],
    name_of: impl Fn(&AccountId) -> Option<String>,
) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (span, name) in renamed(text, mentions, name_of) {
        shown.push_str(text.get(from..span.start).unwrap_or_default());
        shown.push_str(&name);
        from = span.end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

/// Where a character of a text is when it is shown, for each of these: of a name that is another one now its begin, or as an `end`
/// its end.
pub(crate) fn place_shown(
    text: &str,
    mentions: &[Mention],
    name_of: impl Fn(&AccountId) -> Option<String>,
) -> impl Fn(usize, bool) -> usize {
    let mut names = Vec::new();
    let (mut byte, mut at) = (0, 0_usize);
    for (span, name) in renamed(text, mentions, name_of) {
        let chars = |range: Range<usize>| text.get(range).unwrap_or_default().chars().count();
        let begin = at.saturating_add(chars(byte..span.start));
        let end = begin.saturating_add(chars(span.clone()));
        names.push((begin, end, name.chars().count()));
        (byte, at) = (span.end, end);
    }
    move |place, is_end| {
        let (mut written, mut shown) = (0_usize, 0_usize);
        for (begin, end, length) in &names {
            if place <= *begin {
                break;
            }
            let begins = shown.saturating_add(begin.saturating_sub(written));
            let ends = begins.saturating_add(*length);
            if place < *end {
                return if is_end { ends } else { begins };
            }
            (written, shown) = (*end, ends);
        }
        shown.saturating_add(place.saturating_sub(written))
    }
}

/// Names in a text that are shown as other ones.
fn renamed(
    text: &str,
    mentions: &[Mention],
    name_of: impl Fn(&AccountId) -> Option<String>,
) -> Vec<(Range<usize>, String)> {
    let mut free_from = 0;
    let mut renamed = Vec::new();
    for mention in mentions {
        let Some((start, end)) = span(mention) else { continue };
        if start < free_from || text.get(start..end).is_none() {
            continue;
        }
        free_from = end;
        renamed.extend(name_of(&mention.account).map(|name| (start..end, name)));
    }
    renamed
}

/// R-MENTION-03: whom a typed text names: `@handle` at the beginning of a word, where the handle is that of an account that can be
/// meant. What ends a sentence is no part of a handle.
pub(crate) fn meant(text: &str, account_of: impl Fn(&Handle) -> Option<AccountId>) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (at, _) in text.match_indices('@') {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | '.' | '-' | '@')) {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let name = rest.get(1..).unwrap_or_default();
        let is_of_handle = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let longest = name.find(|c| !is_of_handle(c)).unwrap_or(name.len());
        let ends = (0..=longest).rev().take_while(|end| {
            // Shorter ones only where what is left out ends a sentence.
            name.get(*end..longest).is_some_and(|left| left.chars().all(|c| matches!(c, '_' | '.' | '-')))
        });
        let found = ends.filter_map(|end| {
            let handle: Handle = name.get(..end)?.to_ascii_lowercase().parse().ok()?;
            Some((account_of(&handle)?, end))
        });
        if let Some((account, end)) = found.into_iter().next()
            && let (Ok(start), Ok(length)) = (u32::try_from(at), u32::try_from(end.saturating_add(1)))
        {
            mentions.push(Mention { account, start, length });
        }
    }
    mentions.truncate(limit::MENTIONS);
    mentions
}

fn span(mention: &Mention) -> Option<(usize, usize)> {
    let start = usize::try_from(mention.start).ok()?;
    Some((start, start.checked_add(usize::try_from(mention.length).ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: AccountId = AccountId::from_bytes([1; 32]);
    const BEN: AccountId = AccountId::from_bytes([2; 32]);

    fn account_of(handle: &Handle) -> Option<AccountId> {
        match handle.as_str() {
            "ana" => Some(ANA),
            "ben.x" => Some(BEN),
            _ => None,
        }
    }

    fn at(account: AccountId, start: u32, length: u32) -> Mention {
        Mention { account, start, length }
    }

    #[test]
    fn r_mention_03_a_typed_text_names_whose_handle_begins_a_word() {
        for (text, named) in [
            ("@ana", vec![at(ANA, 0, 4)]),
            ("hi @ana, and (@ben.x)!", vec![at(ANA, 3, 4), at(BEN, 14, 6)]),
            ("ask @ben.x.", vec![at(BEN, 4, 6)]),
            ("ask @Ana...", vec![at(ANA, 4, 4)]),
            ("größe @ana", vec![at(ANA, 8, 4)]),
            ("mail ana@ana.org", vec![]),
            ("@anabel @an @carol @", vec![]),
            ("@@ana", vec![]),
            ("@ana@ana", vec![at(ANA, 0, 4)]),
            ("@ana\n@ana", vec![at(ANA, 0, 4), at(ANA, 5, 4)]),
        ] {
            assert_eq!(meant(text, account_of), named, "{text}");
            assert_eq!(sound(text, &named), named, "{text}");
        }
        assert_eq!(meant(&"@ana ".repeat(100), account_of).len(), limit::MENTIONS);
    }

    #[test]
    fn r_mention_01_what_a_text_does_not_hold_is_no_mention() {
        let text = "größe @ana and @ben.x";
        for (mentions, sound_ones) in [
            (vec![at(ANA, 8, 4), at(BEN, 17, 6)], vec![0, 1]),
            (vec![at(BEN, 17, 6), at(ANA, 8, 4)], vec![0]),
            (vec![at(ANA, 8, 4), at(BEN, 8, 4)], vec![0]),
            (vec![at(ANA, 8, 1)], vec![]),
            (vec![at(ANA, 7, 4)], vec![]),
            (vec![at(ANA, 3, 2)], vec![]),
            (vec![at(ANA, 17, 60)], vec![]),
            (vec![at(ANA, u32::MAX, u32::MAX), at(BEN, 17, 6)], vec![1]),
        ] {
            let expected: Vec<Mention> = sound_ones.into_iter().map(|index: usize| mentions[index]).collect();
            assert_eq!(sound(text, &mentions), expected, "{mentions:?}");
        }
        assert_eq!(sound(&format!("@{}", "a".repeat(40)), &[at(ANA, 0, 41)]), [], "longer than a name");
    }

    #[test]
    fn r_mention_02_a_member_is_shown_by_the_name_it_has_now() {
        let text = "ask @ana or @ben.x today";
        let mentions = [at(ANA, 4, 4), at(BEN, 12, 6)];
        let now = |account: &AccountId| (*account == ANA).then(|| "@ana.maria".to_owned());
        assert_eq!(shown(text, &mentions, now), "ask @ana.maria or @ben.x today");
        assert_eq!(shown(text, &[], now), text);
    }

    #[test]
    fn a_place_in_a_text_is_where_it_is_shown() {
        let (text, mentions) = ("é @ana, @ben.x day", [at(ANA, 3, 4), at(BEN, 9, 6)]);
        let name_of =
            |account: &AccountId| Some(if *account == ANA { "@anastasia" } else { "@b" }.to_owned());
        let (shown, place) = (shown(text, &mentions, name_of), place_shown(text, &mentions, name_of));
        let marked = |from, to| -> String {
            let (from, to) = (place(from, false), place(to, true));
            shown.chars().skip(from).take(to - from).collect()
        };
        for (from, to, expected) in [
            (0, 1, "é"),
            (2, 6, "@anastasia"),
            (3, 5, "@anastasia"),
            (6, 7, ","),
            (0, 3, "é @anastasia"),
            (5, 10, "@anastasia, @b"),
            (8, 14, "@b"),
            (14, 18, " day"),
            (15, 18, "day"),
        ] {
            assert_eq!(marked(from, to), expected, "{from} to {to}");
        }
    }
}
