//! How people name accounts and conversations.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use cipher_broker::handle::{Handle, InvalidHandle};
use cipher_broker::id::{AccountId, GroupId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An account as people name it: one that no registry shows has an id and no handle, and can be removed from a group all
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// By its handle.
    Handle(Handle),
    /// By its id, which is longer than any handle.
    Account(AccountId),
}

impl From<Handle> for Who {
    fn from(handle: Handle) -> Self {
        Self::Handle(handle)
    }
}

impl FromStr for Who {
    type Err = InvalidHandle;

    /// Reads a handle, with or without `@`, or an account id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = || text.strip_prefix('@').unwrap_or(text).parse().ok().map(Self::Account);
        text.parse().map(Self::Handle).or_else(|invalid| id().ok_or(invalid))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle(handle) => write!(f, "@{handle}"),
            Self::Account(account) => write!(f, "{account}"),
        }
    }
}

/// A conversation as people name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `@handle`: the direct conversation with an account.
    Account(Handle),
    /// A group by its id.
    Group(GroupId),
    /// A group by its name, which must be unambiguous.
    Name(String),
}

impl Target {
    /// Reads `@handle`, a group id, or else a name.
    pub fn parse(text: &str) -> Result<Self, InvalidHandle> {
        if text.starts_with('@') {
            return text.parse().map(Self::Account);
        }
        Ok(text.parse().map_or_else(|_| Self::Name(text.into()), Self::Group))
    }
}

impl From<GroupId> for Target {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

impl FromStr for Target {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(handle) => write!(f, "@{handle}"),
            Self::Group(group) => write!(f, "{group}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Both are one string in JSON, the one that people type.
macro_rules! as_typed {
    ($name:ident, $description:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}

as_typed!(Who, "An account: '@handle', 'handle' or its id.");
as_typed!(
    Target,
    "A conversation: '@handle' for the direct one with an account, a group's id, or a group's name."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_what_json_holds() {
        let id = GroupId::from_bytes([7; 16]);
        for (text, target) in [
            ("@bob", Target::Account("bob".parse().unwrap())),
            ("ops", Target::Name("ops".into())),
            ("night shift", Target::Name("night shift".into())),
            (id.to_string().as_str(), Target::Group(id)),
        ] {
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target);
        }
        assert!(serde_json::from_str::<Target>("\"@no handle\"").is_err());
        let account = AccountId::from_bytes([7; 32]);
        for (text, who) in [
            ("bob".to_owned(), Who::Handle("bob".parse().unwrap())),
            ("@bob".to_owned(), Who::Handle("bob".parse().unwrap())),
            (account.to_string(), Who::Account(account)),
        ] {
            assert_eq!(serde_json::from_str::<Who>(&format!("\"{text}\"")).unwrap(), who);
        }
    }
}
