//! All tokens of a profile: one file beside the store, for its owner only, written whole or not at all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::time::Timestamp;
use data_encoding::HEXLOWER;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::private_file;
use crate::profile::Profile;
use crate::token::grant::{Grant, Granted};
use crate::token::pass::Pass;
use crate::token::secret::Secret;

/// Format of the file.
const VERSION: u32 = 1;
/// Most tokens of a profile, expired ones included.
const TOKENS: usize = 64;
/// Longest file that is read, bytes.
const FILE_BYTES: u64 = 1024 * 1024;
/// Longest name of a token.
const NAME_CHARS: usize = 32;
/// Longest time that a token is good for.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The file of a profile's tokens. Making this value touches nothing on disk.
#[derive(Debug, Clone)]
pub struct Book {
    folder: PathBuf,
}

/// What a new token is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What it is called.
    pub name: String,
    /// The conversations it is for; `None`: all.
    pub groups: Option<Vec<Granted>>,
    /// The methods it is for.
    pub methods: Vec<String>,
    /// How long it is good for.
    pub lifetime: Duration,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Page {
    version: u32,
    tokens: Vec<Grant>,
}

impl Book {
    /// Of a profile.
    pub fn of(profile: &Profile) -> Self {
        Self { folder: profile.dir().into() }
    }

    /// All tokens, expired ones too, oldest first.
    pub fn tokens(&self) -> Result<Vec<Grant>, Error> {
        parse(&self.bytes()?)
    }

    /// Makes a token. Its word is in no other place from here on.
    pub fn create(&self, wish: Wish, now: Timestamp) -> Result<(Secret, Grant), Error> {
        let Wish { name, groups, methods, lifetime } = wish;
        named(&name)?;
        if lifetime > LONGEST {
            return Err(ErrorKind::Usage
                .because("a token is valid for at most 366 days")
                .hint(Hint::text("make another one before it ends")));
        }
        let secret = Secret::random();
        let grant = Grant {
            name,
            digest: HEXLOWER.encode(&secret.digest()),
            groups,
            methods,
            created_at: now,
            expires_at: now.plus(lifetime),
        };
        let _lock = self.lock()?;
        let mut tokens = self.tokens()?;
        // One that is over makes room for its successor.
        tokens.retain(|old| old.name != grant.name || !old.expired(now));
        if tokens.iter().any(|old| old.name == grant.name) {
            return Err(ErrorKind::Conflict
                .because(format!("there is a token '{}' already", grant.name))
                .hint(Hint::TokenRevoke { name: grant.name }));
        }
        if tokens.len() >= TOKENS {
            return Err(ErrorKind::Limit
                .because(format!("a profile has at most {TOKENS} tokens"))
                .hint(Hint::TokenList));
        }
        tokens.push(grant.clone());
        self.write(tokens)?;
        Ok((secret, grant))
    }

    /// Fails unless a token is one of these, and good at this moment.
    pub fn holds(&self, secret: &Secret) -> Result<(), Error> {
        Pass::of(self, secret).map(drop)
    }

    /// Ends a token at once: whoever shows it is refused, and connections that it opened end.
    pub fn revoke(&self, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut tokens = self.tokens()?;
        let before = tokens.len();
        tokens.retain(|grant| grant.name != name);
        if tokens.len() == before {
            return Err(ErrorKind::NotFound
                .because(format!("there is no token '{name}'"))
                .hint(Hint::TokenList));
        }
        self.write(tokens)
    }

    /// The bytes of the file; none before the first token.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match File::open(self.path()) {
            Ok(file) => {
                file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(|error| self.unusable(error))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(bytes),
            Err(error) => return Err(self.unusable(error)),
        };
        Ok(bytes)
    }

    fn write(&self, tokens: Vec<Grant>) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(&Page { version: VERSION, tokens })
            .map_err(|error| ErrorKind::Bug.because_of("tokens cannot be written as JSON", error))?;
        // What was revoked stays revoked after a power cut.
        private_file::write(&self.path(), &bytes).map_err(|error| self.unusable(error))
    }

    /// Two commands at once change it one after the other. Held until it is dropped.
    fn lock(&self) -> Result<File, Error> {
        let folder = File::open(&self.folder).map_err(|error| self.unusable(error))?;
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)
            .map_err(|error| self.unusable(error.into()))?;
        Ok(folder)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("tokens.json")
    }

    fn unusable(&self, error: io::Error) -> Error {
        ErrorKind::Storage.because_of(format_args!("{} cannot be used", self.path().display()), error)
    }
}

/// The tokens of a file. One that cannot be read is none of anybody: every token is refused.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Grant>, Error> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let page: Page = serde_json::from_slice(bytes).map_err(|error| {
        ErrorKind::Storage
            .because(format!("the file of the tokens is damaged at line {}", error.line()))
            .hint(Hint::text("remove tokens.json in the folder of the profile, and make new tokens"))
    })?;
    if page.version != VERSION {
        let why =
            format!("the file of the tokens has version {}, and this program knows {VERSION}", page.version);
        return Err(ErrorKind::Storage
            .because(why)
            .hint(Hint::text("use the version that wrote it, or a newer one")));
    }
    Ok(page.tokens)
}

/// Fails for a name that could not stand in a command or as the name of a subscriber.
fn named(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if (1..=NAME_CHARS).contains(&name.len()) && name.chars().all(fits) && !name.starts_with(['-', '.']) {
        return Ok(());
    }
    // Not repeated: it may be a token that was put into the wrong place.
    Err(ErrorKind::Usage.because(format!(
        "the name of a token has 1 to {NAME_CHARS} of a to z, 0 to 9, '-', '_' and '.', and begins with a letter, a digit or '_'"
    )))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    /// A book in a folder of its own.
    pub(crate) fn book() -> (TempDir, Book) {
        let folder = tempfile::tempdir().unwrap();
        let book = Book { folder: folder.path().into() };
        (folder, book)
    }

    /// A token for conversations by number.
    pub(crate) fn wish(name: &str, groups: Option<&[u8]>, methods: &[&str]) -> Wish {
        let grant = crate::token::grant::tests::grant(groups, methods);
        let lifetime = Duration::from_secs(60);
        Wish { name: name.into(), groups: grant.groups, methods: grant.methods, lifetime }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn tokens_are_kept_for_their_owner_only_and_without_their_word() {
        let (folder, book) = book();
        assert_eq!(book.tokens(), Ok(vec![]));
        let (secret, grant) = book.create(wish("bridge", Some(&[1]), &["message.send"]), NOW).unwrap();
        let (_, second) = book.create(wish("ops", None, &[]), NOW).unwrap();
        assert_eq!(book.tokens().unwrap(), [grant, second]);
        let file = folder.path().join("tokens.json");
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&secret.reveal()[4..]));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        book.revoke("bridge").unwrap();
        assert_eq!(book.revoke("bridge").unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(book.tokens().unwrap().len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
    }

    #[test]
    fn a_name_is_used_once_until_its_token_is_over() {
        let (_folder, book) = book();
        book.create(wish("bridge", None, &[]), NOW).unwrap();
        let error = book.create(wish("bridge", None, &[]), NOW).unwrap_err();
        assert_eq!(
            (error.kind, error.hint),
            (ErrorKind::Conflict, Some(Hint::TokenRevoke { name: "bridge".into() }))
        );
        book.create(wish("bridge", None, &[]), NOW.plus(Duration::from_secs(60))).unwrap();
        assert_eq!(book.tokens().unwrap().len(), 1);
    }

    #[test]
    fn names_lifetimes_and_numbers_have_bounds() {
        let (_folder, book) = book();
        for name in ["", "-x", ".x", "A", "a b", "a/b", "é", &"x".repeat(33)] {
            assert_eq!(book.create(wish(name, None, &[]), NOW).unwrap_err().kind, ErrorKind::Usage, "{name}");
        }
        let ever = Wish { lifetime: LONGEST + Duration::from_secs(1), ..wish("ever", None, &[]) };
        assert_eq!(book.create(ever, NOW).unwrap_err().kind, ErrorKind::Usage);
        for n in 0..TOKENS {
            book.create(wish(&format!("t{n}"), None, &[]), NOW).unwrap();
        }
        assert_eq!(book.create(wish("more", None, &[]), NOW).unwrap_err().kind, ErrorKind::Limit);
    }

    #[test]
    fn a_file_that_cannot_be_read_gives_no_token() {
        let (folder, book) = book();
        for text in ["{", "[]", r#"{"version":2,"tokens":[]}"#, r#"{"version":1}"#] {
            fs::write(folder.path().join("tokens.json"), text).unwrap();
            assert_eq!(book.tokens().unwrap_err().kind, ErrorKind::Storage, "{text}");
            assert_eq!(book.create(wish("a", None, &[]), NOW).unwrap_err().kind, ErrorKind::Storage);
        }
    }
}
