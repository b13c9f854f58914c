//! What a person wants to be different in what a group wants, until the commit that says so lies in the log.

use cipher_api::view::WhoMay;
use cipher_broker::wire::group::{Role, Settings};
use serde::{Deserialize, Serialize};

/// What a person wants to be different in a group's settings; the rest stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SettingsChange {
    #[serde(rename = "t", default)]
    pub topic: Option<String>,
    #[serde(rename = "w", default)]
    pub may_delete: Option<WhoMay>,
    #[serde(rename = "q", default)]
    pub may_pin: Option<WhoMay>,
    /// 0 for always.
    #[serde(rename = "e", default)]
    pub edit_seconds: Option<u32>,
    /// 0 for what its author wants.
    #[serde(rename = "x", default)]
    pub expire_seconds: Option<u32>,
    /// 0 for ever.
    #[serde(rename = "r", default)]
    pub retention_seconds: Option<u32>,
    #[serde(rename = "h", default)]
    pub may_grant: Option<WhoMay>,
}

impl SettingsChange {
    /// The settings as they will be.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        let Self { topic, may_delete, may_pin, edit_seconds, expire_seconds, retention_seconds, may_grant } =
            self;
        if let Some(topic) = topic {
            settings.topic.clone_from(topic);
        }
        if let Some(who) = may_delete {
            settings.may_delete = least_role(*who);
        }
        if let Some(who) = may_grant {
            settings.may_grant = least_role(*who);
        }
        if let Some(who) = may_pin {
            // Everybody is what stands for nothing said.
            settings.may_pin = least_role(*who).filter(|role| *role > Role::Member);
        }
        for (change, setting) in [
            (edit_seconds, &mut settings.edit_seconds),
            (expire_seconds, &mut settings.expire_seconds),
            (retention_seconds, &mut settings.retention_seconds),
        ] {
            if let Some(seconds) = change {
                *setting = Some(*seconds).filter(|seconds| *seconds > 0);
            }
        }
    }
}

/// The least role of those who may; `None` for nobody.
const fn least_role(who: WhoMay) -> Option<Role> {
    match who {
        WhoMay::Nobody | WhoMay::Unknown => None,
        WhoMay::Owners => Some(Role::Owner),
        WhoMay::Admins => Some(Role::Admin),
        WhoMay::All => Some(Role::Member),
    }
}

#[cfg(test)]
mod tests {
    use cipher_broker::codec;

    use super::*;

    /// A wish lies in the store until its commit is in the log: what it takes away must be read as that again.
    #[test]
    fn a_wish_for_other_settings_says_the_same_after_a_restart() {
        let strict = Settings {
            topic: "on call".into(),
            may_delete: Some(Role::Admin),
            may_pin: Some(Role::Owner),
            edit_seconds: Some(900),
            expire_seconds: Some(60),
            retention_seconds: Some(3600),
            may_grant: Some(Role::Member),
        };
        let nothing = SettingsChange::default();
        let taken_away = SettingsChange {
            topic: Some(String::new()),
            may_delete: Some(WhoMay::Nobody),
            may_pin: Some(WhoMay::All),
            edit_seconds: Some(0),
            expire_seconds: Some(0),
            retention_seconds: Some(0),
            may_grant: Some(WhoMay::Nobody),
        };
        for (change, before, after) in [
            (nothing, strict.clone(), strict.clone()),
            (taken_away, strict.clone(), Settings::default()),
            (
                SettingsChange {
                    may_delete: Some(WhoMay::Admins),
                    may_pin: Some(WhoMay::Owners),
                    edit_seconds: Some(900),
                    expire_seconds: Some(60),
                    retention_seconds: Some(3600),
                    may_grant: Some(WhoMay::All),
                    topic: Some("on call".into()),
                },
                Settings::default(),
                strict,
            ),
        ] {
            let stored: SettingsChange = codec::decode(&codec::encode(&change)).unwrap();
            let mut settings = before;
            stored.apply(&mut settings);
            assert_eq!(settings, after, "{change:?}");
        }
    }
}
