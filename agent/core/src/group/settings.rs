//! What a group wants of what is said in it: asked for by a person, shown, and told when it changes.

use cipher_api::command::group::Set;
use cipher_api::view::{GroupEvent, SettingsView, WhoMay};
use cipher_api::{ErrorKind, Reply, Result};
use cipher_broker::limit;
use cipher_broker::wire::group::{Role, Settings};

use crate::input::Ticket;
use crate::machine::Core;
use crate::state::name::{check_text, is_topic};
use crate::state::{SettingsChange, Wish};

impl Core {
    /// Changes what a group wants; what is not named stays.
    pub(super) fn group_set(&mut self, ticket: Ticket, set: Set) -> Result<Option<Reply>> {
        let Set { target, topic, delete, pin, edit_seconds, expire_seconds, retention_seconds, history } =
            set;
        let group = self.changeable(&target)?;
        let direct = self.state.groups.get(&group).is_some_and(|row| row.direct);
        if direct && (topic.is_some() || delete.is_some() || pin.is_some()) {
            return Err(ErrorKind::Refused.because("a direct conversation has neither topic nor ranks"));
        }
        if direct && history.is_some() {
            return Err(ErrorKind::Refused.because("nobody joins a direct conversation later"));
        }
        if let Some(topic) = &topic {
            check_text("a topic", topic, limit::GROUP_TOPIC_CHARS)?;
            if !is_topic(topic) {
                return Err(ErrorKind::Usage.because("a topic is one line of plain text"));
            }
            self.must_have_role(group, |live| live.data.may_rename, "change its topic")?;
        }
        if expire_seconds.is_some_and(|seconds| u64::from(seconds) > limit::EXPIRE_SECONDS) {
            return Err(ErrorKind::Limit.because("a message disappears after 366 days at most"));
        }
        let ranks = [delete, pin, history].iter().any(Option::is_some);
        let times = [edit_seconds, expire_seconds, retention_seconds].iter().any(Option::is_some);
        if !direct && (ranks || times) {
            self.must_have_role(group, |_| Role::Admin, "change its settings")?;
        }
        if [delete, pin, history].contains(&Some(WhoMay::Unknown)) {
            return Err(ErrorKind::Usage.because("who may is one of: nobody, owners, admins, all"));
        }
        if pin == Some(WhoMay::Nobody) {
            return Err(ErrorKind::Usage.because("pins are for owners, for admins or for all"));
        }
        let change = SettingsChange {
            topic,
            may_delete: delete,
            may_pin: pin,
            edit_seconds,
            expire_seconds,
            retention_seconds,
            may_grant: history,
        };
        let same = self.with_live(group, |_, live| {
            let mut settings = live.data.settings.clone();
            change.apply(&mut settings);
            Ok(settings == live.data.settings)
        })?;
        if same {
            return self.group_reply(group).map(Some);
        }
        self.wish(group, Wish::Settings(change), Some(ticket))
    }
}

const fn who_may(role: Role) -> WhoMay {
    match role {
        Role::Member => WhoMay::All,
        Role::Admin => WhoMay::Admins,
        Role::Owner => WhoMay::Owners,
    }
}

pub(super) fn settings_view(settings: &Settings) -> SettingsView {
    let Settings { topic, may_delete, may_pin, edit_seconds, expire_seconds, retention_seconds, may_grant } =
        settings;
    SettingsView {
        topic: topic.clone(),
        delete: may_delete.map_or(WhoMay::Nobody, who_may),
        pin: may_pin.map_or(WhoMay::All, who_may),
        edit_seconds: *edit_seconds,
        expire_seconds: *expire_seconds,
        retention_seconds: *retention_seconds,
        history: may_grant.map_or(WhoMay::Nobody, who_may),
    }
}

/// What differs, each as an event with its text: a topic, or `KEY=VALUE` as a person types it.
pub(super) fn differences(before: &Settings, after: &Settings) -> Vec<(GroupEvent, String)> {
    let mut told = Vec::new();
    if after.topic != before.topic {
        told.push((GroupEvent::Topic, after.topic.clone()));
    }
    let (before, after) = (settings_view(before), settings_view(after));
    let mut say = |said: String| told.push((GroupEvent::Settings, said));
    if after.delete != before.delete {
        say(format!("delete={}", after.delete.name()));
    }
    if after.pin != before.pin {
        say(format!("pin={}", after.pin.name()));
    }
    for (key, before, after, unset) in [
        ("edit", before.edit_seconds, after.edit_seconds, "always"),
        ("expire", before.expire_seconds, after.expire_seconds, "never"),
        ("retention", before.retention_seconds, after.retention_seconds, "forever"),
    ] {
        if after != before {
            say(format!("{key}={}", after.map_or_else(|| unset.to_owned(), length)));
        }
    }
    if after.history != before.history {
        say(format!("history={}", after.history.name()));
    }
    told
}

/// A length of time as a person types it: in the largest unit of which it is a whole number.
fn length(seconds: u32) -> String {
    const UNITS: [(u32, char); 4] = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let unit = UNITS.into_iter().find(|(unit, _)| seconds.checked_rem(*unit) == Some(0));
    unit.map_or_else(String::new, |(unit, name)| {
        format!("{}{name}", seconds.checked_div(unit).unwrap_or(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_as_a_person_types_it() {
        let before = Settings::default();
        let after = Settings {
            topic: "on call".into(),
            may_delete: Some(Role::Admin),
            may_pin: Some(Role::Owner),
            edit_seconds: Some(5400),
            expire_seconds: Some(3600),
            retention_seconds: Some(7_776_000),
            may_grant: Some(Role::Member),
        };
        let told = differences(&before, &after);
        let texts: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "on call",
                "delete=admins",
                "pin=owners",
                "edit=90m",
                "expire=1h",
                "retention=90d",
                "history=all"
            ]
        );
        let back = differences(&after, &before);
        let texts: Vec<&str> = back.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "",
                "delete=nobody",
                "pin=all",
                "edit=always",
                "expire=never",
                "retention=forever",
                "history=nobody"
            ]
        );
        assert_eq!([1, 60, 3600, 86_400, 90_061].map(length), ["1s", "1m", "1h", "1d", "90061s"]);
    }
}
