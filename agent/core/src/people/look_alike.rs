//! Display names that look like somebody else's (UTS 39).
//!
//! A handle is ASCII and cannot look like another one; a display name is whatever somebody likes to be called. Nothing
//! is refused: a person is told.

use std::collections::BTreeMap;

use cipher_api::view::ContactState;
use cipher_broker::id::AccountId;
use unicode_security::MixedScript as _;
use unicode_security::confusable_detection::skeleton;

use crate::machine::Core;
use crate::state::AccountRow;

/// Names of contacts and the own ones, by what they look like.
pub(super) type KnownNames = BTreeMap<String, Vec<(AccountId, String)>>;

impl Core {
    /// What is odd about the display name of an account, if anything: it mixes scripts, or reads like a contact's.
    pub(super) fn name_warning(&self, account: &AccountId) -> Option<String> {
        self.name_warning_among(account, &self.known_names())
    }

    /// The same for many accounts.
    pub(crate) fn name_warnings(&self) -> impl Fn(&AccountId) -> Option<String> + '_ {
        let known = self.known_names();
        move |account| self.name_warning_among(account, &known)
    }

    fn name_warning_among(&self, account: &AccountId, known: &KnownNames) -> Option<String> {
        let row = self.state.accounts.get(account)?;
        warning(account, &row.profile.name, row.handle.as_str(), known)
    }

    /// Whom a name may be mistaken for.
    fn known_names(&self) -> KnownNames {
        let own = self.state.identity.iter().flat_map(|own| {
            let handle = own.handle.iter().map(ToString::to_string);
            handle.chain([own.profile.name.clone()]).map(|name| (own.account, name))
        });
        let is_contact = |row: &AccountRow| row.contact == Some(ContactState::Accepted) && !row.retired;
        let contacts =
            self.state.accounts.iter().filter(|(_, row)| is_contact(row)).flat_map(|(account, row)| {
                [row.handle.to_string(), row.profile.name.clone()].map(|name| (*account, name))
            });
        by_likeness(own.chain(contacts))
    }
}

fn by_likeness(names: impl Iterator<Item = (AccountId, String)>) -> KnownNames {
    let mut known = KnownNames::new();
    for (account, name) in names {
        for looks in likenesses(&name) {
            known.entry(looks).or_default().push((account, name.clone()));
        }
    }
    known.remove("");
    known
}

/// Judges one name of the owner of `handle` among names that are known.
fn warning(account: &AccountId, name: &str, handle: &str, known: &KnownNames) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    let looks = likenesses(name);
    let names = looks.iter().filter_map(|looks| known.get(looks)).flatten();
    let own = likenesses(handle);
    let mut alike = names.filter(|(other, _)| other != account);
    if let Some((_, other)) = alike.next().filter(|_| !looks.iter().any(|looks| own.contains(looks))) {
        return Some(format!("the name of @{handle} looks like '{other}', who is somebody else"));
    }
    if !name.is_single_script() {
        return Some(format!("the name of @{handle} mixes letters of different scripts"));
    }
    name.chars().any(is_hidden).then(|| format!("the name of @{handle} has invisible characters"))
}

/// Characters that change what is seen without being seen.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a name looks like, whatever it is made of: its skeleton (UTS 39 §4) without case, spaces and signs. Taken
/// twice, because a capital I looks like a small l and a small i does not.
fn likenesses(name: &str) -> [String; 2] {
    let visible: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let of_small: String = skeleton(&visible.to_lowercase()).collect();
    let as_written: String = skeleton(&visible).collect();
    [of_small.to_lowercase(), as_written.to_lowercase()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str) -> Option<String> {
        judged_of(name, "stranger")
    }

    fn judged_of(name: &str, handle: &str) -> Option<String> {
        let names = ["alice", "Bob Miller", "", "carol"];
        let known = (1..).zip(names).map(|(n, name)| (AccountId::from_bytes([n; 32]), name.to_owned()));
        warning(&AccountId::from_bytes([9; 32]), name, handle, &by_likeness(known))
    }

    /// G07: display names.
    #[test]
    fn g07_a_name_that_looks_like_a_contacts_is_told() {
        for name in [
            "alice",
            "Alice",
            "ALICE",
            "аlice",
            "a l i c e",
            "al\u{200d}ice",
            "ａｌｉｃｅ",
            "@alice",
            "Βob Miller",
            "bob  miller",
        ] {
            let said = judged(name);
            assert!(said.as_ref().is_some_and(|said| said.contains("looks like")), "{name}: {said:?}");
        }
    }

    #[test]
    fn g07_mixed_scripts_and_invisible_letters_are_told_and_ordinary_names_are_not() {
        for name in ["Pаul", "te\u{202e}st", "zo\u{200b}e"] {
            assert!(judged(name).is_some(), "{name}");
        }
        for name in
            ["Dora", "Élodie Durand", "Владимир", "山田太郎", "محمد", "O'Neil-Smith 3rd", "😀 Zoe", ""]
        {
            assert_eq!(judged(name), None, "{name}");
        }
    }

    #[test]
    fn somebody_may_be_called_like_their_own_handle() {
        assert_eq!(judged_of("Carol", "carol"), None);
        assert!(judged_of("Carol", "carolus").is_some());
    }
}
