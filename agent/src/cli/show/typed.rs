//! How a person calls this program for the profile at hand: what is printed as a command works when it is typed as
//! printed.

use std::path::Path;

use cipher_api::{Target, Who};
use cipher_connection::address::shown;

use crate::settings::{DEFAULT_PROFILE, Settings};

/// The words in front of a verb.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Flags that were given and are needed again, each ready for a shell.
    flags: String,
    profile: Option<String>,
}

impl Typed {
    /// As this command was called.
    pub fn new(settings: &Settings) -> Self {
        let given = &settings.given;
        let mut flags = String::new();
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                flags.push_str(&format!(" {flag} {}", word(&value)));
            }
        };
        let path = |path: &Path| path.display().to_string();
        add("--config", given.config.as_deref().map(path));
        add("--home", given.home.as_deref().map(path));
        add("--key-file", given.key_file.as_deref().map(path));
        // A login is not put on a screen.
        add("--server", given.server.as_deref().map(shown));
        let profile = &settings.profile;
        let needed = given.profile.is_some() || profile != DEFAULT_PROFILE;
        Self { flags, profile: needed.then(|| profile.clone()) }
    }

    /// The same for another profile of the same home.
    #[must_use]
    pub fn of(&self, profile: &str) -> Self {
        let same = self.profile.as_deref().unwrap_or(DEFAULT_PROFILE) == profile;
        let profile = if same { self.profile.clone() } else { Some(profile.into()) };
        Self { flags: self.flags.clone(), profile }
    }

    /// A command. The words of `verb` are ready for a shell.
    pub fn command(&self, verb: &str) -> String {
        let flags = &self.flags;
        match &self.profile {
            Some(profile) => format!("cipher-chat{flags} --profile {} {verb}", word(profile)),
            None => format!("cipher-chat{flags} {verb}"),
        }
    }
}

/// A text as one word of a shell.
pub fn word(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '@' | '-' | '_' | '.' | '/' | ':' | ',' | '=' | '+')
    };
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A conversation as one word.
pub fn target(target: &Target) -> String {
    word(&target.to_string())
}

/// An account as one word.
pub fn who(who: &Who) -> String {
    word(&who.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_is_one_whatever_is_in_it() {
        for (text, expected) in [
            ("ops", "ops"),
            ("@bob", "@bob"),
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("night shift", "'night shift'"),
            ("it's $(x)", r"'it'\''s $(x)'"),
            ("", "''"),
            ("naïve", "'naïve'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn only_what_is_needed_again_is_typed_again() {
        let typed = Typed { flags: " --home 'a b'".into(), profile: Some("bob".into()) };
        assert_eq!(typed.command("sync"), "cipher-chat --home 'a b' --profile bob sync");
        assert_eq!(typed.of("bob").command("sync"), "cipher-chat --home 'a b' --profile bob sync");
        assert_eq!(typed.of("NAME").command("sync"), "cipher-chat --home 'a b' --profile NAME sync");
        assert_eq!(Typed::default().command("sync"), "cipher-chat sync");
        assert_eq!(Typed::default().of("default").command("sync"), "cipher-chat sync");
    }
}
