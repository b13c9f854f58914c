//! What a front end is told besides the result of what it asked for.

use std::fmt;
use std::path::Path;

use cipher_api::Error;
use cipher_api::view::EvidenceView;

use crate::app::error::ProfileError;
use crate::settings::Settings;

/// The side of the person or program that something is done for.
pub trait FrontEnd: fmt::Debug + Sync {
    /// The settings in force.
    fn settings(&self) -> &Settings;

    /// Shows something, at once.
    fn notice(&self, notice: Notice<'_>);
}

/// Something to be shown.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The registry, or something in its place, was caught.
    Evidence {
        /// What was found.
        evidence: &'a EvidenceView,
        /// The file it is kept in, when this process knows it.
        file: Option<&'a Path>,
    },
    /// Something that the core or the session noticed.
    Warning(&'a cipher_api::Notice),
    /// Another copy of this profile is in use.
    Stopped(&'a Error),
    /// The connection to the broker is gone, or is back.
    Connection {
        /// The servers, without logins.
        server: &'a str,
        /// Why it is gone; `None` when it is back.
        lost: Option<&'a str>,
    },
    /// The process that has the profile open uses another broker than the one that was asked for.
    OtherServer {
        /// The servers it uses, without logins.
        used: &'a str,
        /// The servers that were asked for, without logins.
        asked: &'a str,
        /// What is wrong with those that are used.
        trouble: Option<Error>,
    },
    /// The broker cannot be reached: what is stored here is all there is to show.
    Stored(ProfileError),
    /// Broker or registry did not bring everything up to date.
    Behind(Behind),
}

/// Why not everything is up to date.
#[derive(Debug)]
pub enum Behind {
    /// The registry does not answer.
    RegistrySilent,
    /// It takes longer than a command may wait: accounts are being looked up.
    LookingUp,
    /// It takes longer than a command may wait, at the broker.
    Slow,
    /// It failed.
    Failed(ProfileError),
}
