//! Why a front end does not get what it asked a profile for.

use std::path::PathBuf;

use cipher_api::{Error, ErrorKind};
use cipher_broker::handle::Handle;

use crate::control::client;

/// Result of what is asked of a profile.
pub type Result<T = (), E = ProfileError> = std::result::Result<T, E>;

/// Its text is one sentence. What a person can do about it, the front end knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No profile can have this name.
    #[error("{0}")]
    Name(Error),
    /// The profile that was chosen is not there.
    #[error("no profile {profile} in {}", home.display())]
    Unknown {
        /// Its name.
        profile: String,
        /// Where it was looked for.
        home: PathBuf,
        /// The profiles that are there.
        others: Vec<String>,
    },
    /// Nothing was registered in the profile.
    #[error("no account in profile {profile}")]
    NoAccount {
        /// Its name.
        profile: String,
    },
    /// The profile becomes a device of an account, and is not yet.
    #[error("profile {profile} is being linked to an account")]
    Linking {
        /// Its name.
        profile: String,
    },
    /// A new account was to be made in a profile that has one.
    #[error("profile {profile} has the account @{handle} already")]
    HasAccount {
        /// Its name.
        profile: String,
        /// The account in it.
        handle: Handle,
    },
    /// Another copy of the profile was used, for which this one has stopped.
    #[error("{error}")]
    Stopped {
        /// Its name.
        profile: String,
        /// The core's words.
        #[source]
        error: Box<Error>,
    },
    /// The broker was not reached, and nothing says why.
    #[error("the broker at {server} does not answer")]
    NoBroker {
        /// The servers that were asked for, without logins.
        server: String,
    },
    /// What was asked may still happen.
    #[error("broker or registry did not answer in time")]
    NoAnswer,
    /// The process that had the profile open has ended, and with it what was waited for.
    #[error("the other process of this profile, which had it open, has ended")]
    OwnerEnded,
    /// Everything else that the core, the session or the disk refuses.
    #[error("{0}")]
    Core(#[from] Error),
}

impl ProfileError {
    /// What kind of failure it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(_) => ErrorKind::Usage,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::NoAccount { .. } | Self::Linking { .. } => ErrorKind::Misuse,
            Self::HasAccount { .. } => ErrorKind::Conflict,
            Self::NoBroker { .. } | Self::NoAnswer => ErrorKind::Unreachable,
            Self::OwnerEnded => ErrorKind::Locked,
            Self::Stopped { error, .. } => error.kind,
            Self::Core(error) => error.kind,
        }
    }

    /// Whether the process that had the profile open ended before it answered: the profile can be opened again.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Core(error) if client::is_gone(error))
    }
}
