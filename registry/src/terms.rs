//! On which terms a registry serves: what may be asked in an hour, and what is asked of newcomers.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use cipher_broker::wire::registry::AdmissionPolicy;

use crate::error::Error;

/// On which terms a registry serves.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What may be asked in an hour.
    pub limits: Limits,
    /// What is asked of newcomers.
    pub admission: Admission,
}

/// What may be asked in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Claims of key packages by one account against one other account.
    pub per_target: u32,
    /// Claims of key packages by one account in all.
    pub overall: u32,
    /// Look-ups of other accounts by one account.
    pub look_ups: u32,
    /// New accounts, by whomever.
    pub registrations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_target: 100, overall: 2_000, look_ups: 20_000, registrations: 10_000 }
    }
}

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
}

/// The codes of a file: one per line, without spaces around it; empty lines and those with # do not count.
pub(crate) fn codes(path: &Path) -> Result<HashSet<String>, Error> {
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
