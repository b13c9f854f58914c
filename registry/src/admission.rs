//! Who may become an account: everybody, whoever brings a code or work, or nobody.
//!
//! Decided before a registration is written. That a code counts once is the store's matter.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use cipher_broker::id::AccountId;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AdmissionPolicy, Ticket, admission_work};

use crate::error::Error;

/// Characters of a code at least: shorter ones can be guessed.
const CODE_CHARS: usize = 12;
/// Bytes of the file of codes at most.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Zero bits that can be asked for: 30 cost a phone minutes already.
pub(crate) const WORK_BITS: u8 = 30;

/// What is asked of newcomers.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Admission {
    /// Nothing.
    #[default]
    Open,
    /// A code out of this file, one per line. Read again for every registration, so that codes can be added.
    Code(PathBuf),
    /// Work with this many zero bits, at most 30.
    Work(u8),
    /// Nobody new.
    Closed,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.policy())
    }
}

impl Admission {
    /// What newcomers are told.
    pub(crate) const fn policy(&self) -> AdmissionPolicy {
        match self {
            Self::Open => AdmissionPolicy::Open,
            Self::Code(_) => AdmissionPolicy::Code,
            Self::Work(bits) => AdmissionPolicy::Work(*bits),
            Self::Closed => AdmissionPolicy::Closed,
        }
    }

    /// Looks at the settings before they count.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        match self {
            Self::Code(path) => codes(path).map(|_| ()),
            Self::Work(bits) if *bits > WORK_BITS => {
                Err(Error::Usage(format!("work-bits is at most {WORK_BITS}")))
            }
            Self::Open | Self::Work(_) | Self::Closed => Ok(()),
        }
    }

    /// R-REG-05: a newcomer brings what is asked for, or is told what that is.
    pub(crate) fn admit(
        &self,
        ticket: Option<&Ticket>,
        registry_key: &[u8; 32],
        account: &AccountId,
    ) -> Result<(), Refusal> {
        let missing = |text: &str| Err(Code::Admission.because(text));
        match (self, ticket) {
            (Self::Open, _) => Ok(()),
            (Self::Closed, _) => missing("this registry takes no new accounts; ask its operator"),
            (Self::Code(path), Some(Ticket::Code(code))) => match codes(path) {
                Ok(codes) if codes.contains(code.trim()) => Ok(()),
                Ok(_) => missing("this registration code is not known; ask the operator for one"),
                Err(error) => {
                    tracing::error!(%error, "the registration codes cannot be read");
                    Err(Code::Internal.because("the registry failed; nothing was changed"))
                }
            },
            (Self::Code(_), _) => {
                missing("a new account needs a registration code of this registry's operator")
            }
            (Self::Work(bits), Some(Ticket::Work(number)))
                if admission_work(registry_key, account, *number) >= u32::from(*bits) =>
            {
                Ok(())
            }
            (Self::Work(bits), _) => {
                Err(Code::Admission.because(format!("a new account needs work of {bits} zero bits")))
            }
        }
    }
}

/// The codes of a file: one per line, without spaces around it; empty lines and those with # do not count.
fn codes(path: &Path) -> Result<HashSet<String>, Error> {
    let failed = |source| Error::File { doing: "read the registration codes", path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    let mut codes = HashSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.chars().count() < CODE_CHARS {
            return Err(Error::Usage(format!(
                "a code in {} has less than {CODE_CHARS} characters and could be guessed",
                path.display()
            )));
        }
        codes.insert(line.to_owned());
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_codes_and_too_much_work_are_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes");
        assert!(matches!(Admission::Code(path.clone()).verify(), Err(Error::File { .. })));
        std::fs::write(&path, "# for the new ones\n\nlong-enough-code\n").unwrap();
        assert!(Admission::Code(path.clone()).verify().is_ok());
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(Admission::Code(path).verify(), Err(Error::Usage(_))));
        assert!(Admission::Work(30).verify().is_ok());
        assert!(matches!(Admission::Work(31).verify(), Err(Error::Usage(_))));
    }
}
