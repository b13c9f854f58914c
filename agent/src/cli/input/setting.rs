//! What a group wants of messages, as people write it: `delete=admins`.

use std::str::FromStr;

use cipher_api::Target;
use cipher_api::command::group::Set;
use cipher_api::view::WhoMay;

use crate::cli::input::time_arg::Lifetime;

/// One `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// What the group is about.
    Topic(String),
    /// Who may take back what others said.
    Delete(WhoMay),
    /// Who may pin.
    Pin(WhoMay),
    /// For how many seconds one may edit; 0 for always.
    Edit(u32),
    /// How many seconds after it was read a message disappears at the latest; 0 for what its author wants.
    Expire(u32),
    /// For how many seconds a message is kept; 0 for ever.
    Retention(u32),
    /// Who may give a member messages of before it came.
    History(WhoMay),
}

/// Why a text is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a setting is topic=TEXT, delete=nobody|owners|admins|all, pin=owners|admins|all, edit=always|TIME, expire=never|TIME, \
     retention=forever|TIME or history=nobody|owners|admins|all, as in edit=15m"
)]
pub struct InvalidSetting;

impl FromStr for Setting {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let (key, value) = text.split_once('=').ok_or(InvalidSetting)?;
        match (key.trim(), value.trim()) {
            ("topic", topic) => Some(Self::Topic(topic.to_owned())),
            ("delete", who) => who_may(who).map(Self::Delete),
            ("pin", who) => who_may(who).filter(|who| *who != WhoMay::Nobody).map(Self::Pin),
            ("history", who) => who_may(who).map(Self::History),
            ("edit", "always") => Some(Self::Edit(0)),
            ("edit", time) => seconds(time).map(Self::Edit),
            ("expire", "never") => Some(Self::Expire(0)),
            ("expire", time) => seconds(time).map(Self::Expire),
            ("retention", "forever") => Some(Self::Retention(0)),
            ("retention", time) => seconds(time).map(Self::Retention),
            _ => None,
        }
        .ok_or(InvalidSetting)
    }
}

impl Setting {
    /// All of them in one request; of one that was named twice the last.
    pub fn all(target: Target, settings: Vec<Self>) -> Set {
        let mut set = Set::of(target);
        for setting in settings {
            match setting {
                Self::Topic(topic) => set.topic = Some(topic),
                Self::Delete(who) => set.delete = Some(who),
                Self::Pin(who) => set.pin = Some(who),
                Self::Edit(seconds) => set.edit_seconds = Some(seconds),
                Self::Expire(seconds) => set.expire_seconds = Some(seconds),
                Self::Retention(seconds) => set.retention_seconds = Some(seconds),
                Self::History(who) => set.history = Some(who),
            }
        }
        set
    }
}

fn who_may(name: &str) -> Option<WhoMay> {
    [WhoMay::Nobody, WhoMay::Owners, WhoMay::Admins, WhoMay::All].into_iter().find(|who| who.name() == name)
}

fn seconds(time: &str) -> Option<u32> {
    time.parse::<Lifetime>().ok().and_then(|time| time.as_secs().try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        for (text, setting) in [
            ("topic=who is on call", Some(Setting::Topic("who is on call".into()))),
            ("topic=", Some(Setting::Topic(String::new()))),
            ("topic=a=b", Some(Setting::Topic("a=b".into()))),
            ("delete=admins", Some(Setting::Delete(WhoMay::Admins))),
            ("delete = nobody", Some(Setting::Delete(WhoMay::Nobody))),
            ("pin=all", Some(Setting::Pin(WhoMay::All))),
            ("edit=15m", Some(Setting::Edit(900))),
            ("edit=always", Some(Setting::Edit(0))),
            ("expire=1d", Some(Setting::Expire(86_400))),
            ("expire=never", Some(Setting::Expire(0))),
            ("retention=90d", Some(Setting::Retention(7_776_000))),
            ("retention=forever", Some(Setting::Retention(0))),
            ("history=all", Some(Setting::History(WhoMay::All))),
            ("history=nobody", Some(Setting::History(WhoMay::Nobody))),
            ("history=granted", None),
            ("retention=always", None),
            ("pin=nobody", None),
            ("delete=everybody", None),
            ("edit=soon", None),
            ("edit=0s", None),
            ("edit=9999999999d", None),
            ("colour=blue", None),
            ("topic", None),
        ] {
            assert_eq!(text.parse::<Setting>().ok(), setting, "{text}");
        }
    }
}
