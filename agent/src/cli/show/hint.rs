//! What to do about an error, as a person types it. The library below says what is wrong; only here is it known that
//! there is a command line, and which profile it is for.

use cipher_core::{CoreError, ErrorKind};

use crate::app::bot_account::BotAccountError;
use crate::app::error::ProfileError;
use crate::cli::exit::Failure;
use crate::settings::DEFAULT_PROFILE;

/// A command for a profile, as a person types it.
pub fn typed(profile: &str, verb: &str) -> String {
    if profile == DEFAULT_PROFILE {
        format!("cipher-chat {verb}")
    } else {
        format!("cipher-chat --profile {profile} {verb}")
    }
}

/// An error of a profile with what to do about it.
pub fn worded(error: ProfileError) -> CoreError {
    let hint = match &error {
        ProfileError::Unknown { others, .. } if others.is_empty() => {
            "there is no profile yet: cipher-chat register HANDLE makes one".into()
        }
        ProfileError::Unknown { others, .. } => format!("profiles here: {}", others.join(", ")),
        ProfileError::NoAccount { profile } => typed(profile, "register HANDLE"),
        ProfileError::Linking { profile } => format!("go on with: {}", typed(profile, "device link")),
        ProfileError::HasAccount { .. } => {
            "another account or device needs another profile: --profile NAME".into()
        }
        ProfileError::Stopped { profile, .. } => format!(
            "for a second machine link it in a fresh profile: cipher-chat --profile NAME device link; if the other copy is \
             gone: {}",
            typed(profile, "device resume")
        ),
        ProfileError::NoBroker { .. } => {
            "start one with `cipher-chat up`, or name another with --server".into()
        }
        ProfileError::NoAnswer => "what was asked may still happen; `cipher-chat doctor` tells more".into(),
        ProfileError::OwnerEnded => "run the command again: it goes on".into(),
        ProfileError::Name(error) | ProfileError::Core(error) => return error.clone(),
    };
    error.kind().because(error.to_string()).hint(hint)
}

/// A name that is none is a mistake on the command line.
impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Name(error) => Self::Usage { message: error.message, hint: error.hint },
            error => Self::Failed(worded(error)),
        }
    }
}

impl From<BotAccountError> for Failure {
    fn from(error: BotAccountError) -> Self {
        let sentence = error.to_string();
        match error {
            BotAccountError::Name { .. } => {
                Self::Usage { message: sentence, hint: Some("choose one with --handle".into()) }
            }
            BotAccountError::OwnProfile { .. } => Self::usage(sentence),
            BotAccountError::HasHandle { .. } => ErrorKind::Misuse
                .because(sentence)
                .hint("leave --handle out, or run it under another name")
                .into(),
            BotAccountError::PersonsProfile { .. } => ErrorKind::Conflict
                .because(sentence)
                .hint("give the bot another home with --into, or another name")
                .into(),
            BotAccountError::Taken { handle, error } => {
                error.hint(format!("@{handle} belongs to somebody else: choose another with --handle")).into()
            }
            BotAccountError::NotMade { name, home, error } => {
                let make =
                    format!("cipher-chat --profile OWNER bot register {name} --into {}", home.display());
                worded(*error)
                    .hint(format!("make the bot's account first, with its owner's profile: {make}"))
                    .into()
            }
            BotAccountError::Profile(error) => error.into(),
        }
    }
}

/// What to do about an error whose place of origin knows no better.
pub const fn fallback(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unreachable => "cipher-chat doctor tells what cannot be reached",
        ErrorKind::Refused => {
            "ask somebody with a role that may do this: cipher-chat group show lists the members of a group"
        }
        ErrorKind::Limit => "send less, or later",
        ErrorKind::Trust => "do not go on before you know why; ask them on another way",
        ErrorKind::Locked => "another cipher-chat process uses this profile; wait for it to end",
        ErrorKind::Stopped => "use the other copy, and for a second machine: cipher-chat device link",
        ErrorKind::Storage => "cipher-chat doctor tells more; do not delete the store, it holds your keys",
        ErrorKind::Conflict => "look at what is there now, then try again",
        ErrorKind::NotFound => "cipher-chat group list and contact list show what there is",
        ErrorKind::Usage | ErrorKind::Misuse => "try --help",
        ErrorKind::Bug => "this is a defect of cipher-chat; -vv shows more",
    }
}
