//! What a token is good for, and the refusals that say what it lacks.

use cipher_api::view::TokenView;
use cipher_api::{Advice, Error, ErrorKind, Hint};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::token::table::{self, ALWAYS, Right};

/// A token as the profile keeps it: everything but the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What its owner calls it.
    pub name: String,
    /// Digest of the token, hexadecimal.
    pub(crate) digest: String,
    /// The conversations it is for; `None`: all, also those to come.
    pub groups: Option<Vec<Granted>>,
    /// The methods it is for, each by its whole name: what a later version adds is in no token of before.
    pub methods: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// A conversation that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Which.
    pub id: GroupId,
    /// What its owner called it when the token was made.
    pub name: String,
}

impl Grant {
    /// What its holder is told of it.
    pub(crate) fn view(&self) -> TokenView {
        TokenView {
            name: self.name.clone(),
            groups: self.groups.as_ref().map(|groups| groups.iter().map(|group| group.id).collect()),
            methods: self.methods.clone(),
            expires_at: self.expires_at,
        }
    }

    /// Whether it is too old.
    pub fn expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Whether it is for a conversation.
    pub(crate) fn covers(&self, group: &GroupId) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.iter().any(|granted| granted.id == *group))
    }

    /// Whether it names a method.
    pub(crate) fn names(&self, method: &str) -> bool {
        ALWAYS.contains(&method) || self.methods.iter().any(|named| named == method)
    }

    /// The conversation that is meant when none is said: the only one that it is for.
    pub(crate) fn only(&self) -> Option<GroupId> {
        match self.groups.as_deref() {
            Some([only]) => Some(only.id),
            _ => None,
        }
    }

    /// R-TOKEN-01: fails unless it names a method that a token can have, and is for as much as that reaches.
    pub(crate) fn may(&self, method: &str) -> Result<(), Error> {
        let Some(right) = table::right(method) else {
            return Err(ErrorKind::Refused
                .because(format!(
                    "no token may use {method}, and this connection has the token '{}'",
                    self.name
                ))
                .hint(Advice::WithoutToken));
        };
        if !self.names(method) {
            return Err(self.lacks(&format!("the method {method}")));
        }
        if right == Right::Everywhere && self.groups.is_some() {
            return Err(self.lacks(&format!("{method}, which takes a token for all conversations")));
        }
        Ok(())
    }

    /// R-TOKEN-05: fails unless what is kept under a name is kept for this token.
    pub(crate) fn owns(&self, name: &str) -> Result<(), Error> {
        if name == self.name {
            return Ok(());
        }
        let why =
            format!("with the token '{0}' a subscriber or bot is called '{0}', and nothing else", self.name);
        Err(ErrorKind::Refused.because(why).hint(Hint::TokenCreate { name: self.name.clone() }))
    }

    /// The refusal that says what is not in it.
    pub(crate) fn lacks(&self, what: &str) -> Error {
        let why = format!("the token '{}' is not for {what}", self.name);
        ErrorKind::Refused.because(why).hint(Hint::TokenCreate { name: self.name.clone() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token for these conversations and methods.
    pub(crate) fn grant(groups: Option<&[u8]>, methods: &[&str]) -> Grant {
        let granted = |n: &u8| Granted { id: GroupId::from_bytes([*n; 16]), name: format!("g{n}") };
        Grant {
            name: "bridge".into(),
            digest: String::new(),
            groups: groups.map(|groups| groups.iter().map(granted).collect()),
            methods: methods.iter().map(|method| (*method).into()).collect(),
            created_at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(1000),
        }
    }

    #[test]
    fn r_token_01_a_method_is_let_through_by_name_and_reach() {
        let some = grant(Some(&[1]), &["message.send", "group.create", "status", "hello"]);
        let all = grant(None, &["group.create", "device.list"]);
        for (grant, method, lacks) in [
            (&some, "message.send", None),
            (&some, "connection", None),
            (&some, "message.read", Some("is not for the method message.read")),
            (&some, "group.create", Some("takes a token for all conversations")),
            // A file that names what no token can have gives it to nobody.
            (&some, "status", Some("no token may use status")),
            (&some, "hello", Some("no token may use hello")),
            (&some, "make.tea", Some("no token may use make.tea")),
            (&all, "group.create", None),
            (&all, "device.list", Some("no token may use device.list")),
        ] {
            let refused = grant.may(method).err();
            assert_eq!(refused.is_some(), lacks.is_some(), "{method}");
            let Some((error, lacks)) = refused.zip(lacks) else { continue };
            assert!(error.message.contains(lacks) && error.message.contains("'bridge'"), "{error}");
            assert!(error.kind == ErrorKind::Refused && error.hint.is_some() && !error.retryable);
        }
    }

    #[test]
    fn r_token_05_the_places_of_other_subscribers_and_bots_are_not_a_token_s() {
        let grant = grant(None, &[]);
        assert_eq!(grant.owns("bridge"), Ok(()));
        for other in ["screen", "", "Bridge", "bridge "] {
            assert!(grant.owns(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_token_covers_its_conversations_or_all() {
        let id = |n| GroupId::from_bytes([n; 16]);
        assert!(grant(Some(&[1, 2]), &[]).covers(&id(2)) && !grant(Some(&[1, 2]), &[]).covers(&id(3)));
        assert!(grant(None, &[]).covers(&id(3)) && !grant(Some(&[]), &[]).covers(&id(3)));
        assert_eq!((grant(Some(&[7]), &[]).only(), grant(Some(&[1, 2]), &[]).only()), (Some(id(7)), None));
        let at = |millis| Timestamp::from_millis(millis);
        assert!(!grant(None, &[]).expired(at(999)) && grant(None, &[]).expired(at(1000)));
    }
}
