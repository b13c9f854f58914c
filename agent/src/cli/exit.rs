//! How a command ends: kind, message, hint, exit code.

use std::io;

use cipher_api::{Error, ErrorKind, Hint};

use crate::app::bot_account::BotAccountError;
use crate::app::error::ProfileError;
use crate::settings::SettingsError;

/// Result of a command.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a command ended before it was done.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// It could not be done.
    Failed(Error),
    /// It could not be done with this profile.
    Profile(Box<ProfileError>),
    /// A bot has no account, or not the one that was asked for.
    Bot(Box<BotAccountError>),
    /// What failed is on the screen already; only the exit code is left to tell.
    Shown(u8),
    /// Nobody reads our output any more: the end of a pipe, not an error.
    Closed,
}

impl Failure {
    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// What kind of error it is, if the command line made sense.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Failed(error) => Some(error.kind),
            Self::Profile(error) => Some(error.kind()),
            Self::Bot(error) => error.kind(),
            Self::Usage { .. } | Self::Shown(_) | Self::Closed => None,
        }
    }

    /// The error behind it, for what it came from.
    pub fn error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Profile(error) => Some(&**error),
            Self::Bot(error) => Some(&**error),
            Self::Usage { .. } | Self::Shown(_) | Self::Closed => None,
        }
    }

    /// The exit code that scripts branch on.
    pub fn code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Shown(code) => *code,
            Self::Usage { .. } | Self::Failed(_) | Self::Profile(_) | Self::Bot(_) => {
                self.kind().unwrap_or(ErrorKind::Usage).code()
            }
        }
    }
}

/// The exit codes, for `--help`.
pub const HELP: &str = "Exit codes: 0 ok, 1 error, 2 usage, 3 broker or registry unreachable, 4 refused, \
                        5 limit, 6 trust, 7 store locked or damaged or stopped for a copy, 8 conflict, 9 not found";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Settings are said on the command line, in a file or in the environment: usage, wherever it was.
impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Usage { message: error.message, hint: error.hint }
    }
}

/// For output; errors of input say what was read.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::Failed(ErrorKind::Misuse.because_of("output cannot be written", error))
    }
}

/// Something that cannot be: a defect, not the user's fault.
pub fn defect(what: &str) -> Failure {
    Failure::Failed(ErrorKind::Bug.because(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::cause::causes;

    /// Through every kind of failure that a command can end with.
    #[test]
    fn what_an_error_came_from_survives_to_where_it_is_told() {
        let core = || {
            let below = io::Error::other(io::Error::other("no space left"));
            ErrorKind::Storage.because("the store cannot be written").caused_by(below)
        };
        let profile = || ProfileError::from(core());
        let stopped = || ProfileError::Stopped { profile: "default".into(), error: Box::new(core()) };
        let cases: [(&str, Failure); 7] = [
            ("an error", core().into()),
            ("of a profile", Failure::Profile(Box::new(profile()))),
            ("of a copy", Failure::Profile(Box::new(stopped()))),
            ("of a bot's profile", Failure::Bot(Box::new(profile().into()))),
            ("of a bot's core", Failure::Bot(Box::new(core().into()))),
            (
                "of a handle",
                Failure::Bot(Box::new(BotAccountError::Taken {
                    handle: "echo".parse().unwrap(),
                    error: Box::new(core()),
                })),
            ),
            (
                "of a bot's home",
                Failure::Bot(Box::new(BotAccountError::NotMade {
                    name: "echo".into(),
                    home: "/home".into(),
                    error: Box::new(profile()),
                })),
            ),
        ];
        for (name, failure) in cases {
            let error = failure.error().unwrap();
            assert_eq!(error.to_string(), "the store cannot be written", "{name}");
            assert_eq!(causes(error), ["no space left"], "{name}");
        }
        assert!(Failure::usage("x").error().is_none());
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            (ErrorKind::Misuse, 1),
            (ErrorKind::Bug, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Unreachable, 3),
            (ErrorKind::Refused, 4),
            (ErrorKind::Limit, 5),
            (ErrorKind::Trust, 6),
            (ErrorKind::Locked, 7),
            (ErrorKind::Stopped, 7),
            (ErrorKind::Storage, 7),
            (ErrorKind::Conflict, 8),
            (ErrorKind::NotFound, 9),
        ];
        for (kind, code) in codes {
            assert_eq!(Failure::from(kind.because("x")).code(), code, "{kind:?}");
        }
        assert_eq!(Failure::usage("x").code(), 2);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
    }
}
