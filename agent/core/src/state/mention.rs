//! Members that a text names: pure functions between what a person types, what travels, and what is shown.

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
    for mention in mentions {
        let Some((start, end)) = span(mention) else { continue };
        let (Some(before), Some(written)) = (text.get(from..start), text.get(start..end)) else { continue };
        shown.push_str(before);
        match name_of(&mention.account) {
            Some(name) => shown.push_str(&name),
            None => shown.push_str(written),
        }
        from = end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
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
}
