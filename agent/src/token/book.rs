//! All tokens of a profile.

use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::time::Timestamp;
use cipher_seal::Key;
use data_encoding::HEXLOWER;

use crate::profile::Profile;
use crate::telemetry;
use crate::token::file::TokenFile;
use crate::token::grant::{Grant, Granted};
use crate::token::pass::Pass;
use crate::token::secret::Secret;

/// Most tokens of a profile, expired ones included.
const TOKENS: usize = 64;
/// Longest name of a token.
const NAME_CHARS: usize = 32;
/// Longest time that a token is good for.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The tokens of a profile: one file beside the store.
#[derive(Debug, Clone)]
pub struct Book {
    file: TokenFile,
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

impl Book {
    /// Of a profile whose store this process has open, so that what opens it does not change; `key` was derived for
    /// [`PURPOSE`](super::file::PURPOSE). Whatever another process left undone
    /// is done; if that fails, every token is refused that cannot be read.
    pub(crate) fn of_owner(profile: &Profile, key: Key) -> Self {
        let file = TokenFile::of(profile, key);
        if let Err(error) = file.settle_if_free() {
            tracing::warn!(kind = error.kind.name(), "the tokens of this profile cannot be used");
            telemetry::causes(&error);
        }
        Self { file }
    }

    /// Of a profile that another process may have open.
    pub(crate) fn of(profile: &Profile, key: Key) -> Result<Self, Error> {
        let file = TokenFile::of(profile, key);
        file.convert(&file.lock()?)?;
        Ok(Self { file })
    }

    /// All tokens, expired ones too, oldest first.
    pub fn tokens(&self) -> Result<Vec<Grant>, Error> {
        self.tokens_in(self.bytes()?.as_deref())
    }

    /// How many tokens there are, expired ones too. An error if a file of them is damaged, one of before too.
    pub(crate) fn look(&self) -> Result<usize, Error> {
        self.file.convert(&self.file.lock()?)?;
        Ok(self.tokens()?.len())
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
        let lock = self.file.lock()?;
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
        self.file.write(&lock, tokens)?;
        Ok((secret, grant))
    }

    /// Fails unless a token is one of these, and good at this moment.
    pub fn holds(&self, secret: &Secret, now: Timestamp) -> Result<(), Error> {
        Pass::of(self, secret, now).map(drop)
    }

    /// Ends a token at once: whoever shows it is refused, and connections that it opened end.
    pub fn revoke(&self, name: &str) -> Result<(), Error> {
        let lock = self.file.lock()?;
        let mut tokens = self.tokens()?;
        let before = tokens.len();
        tokens.retain(|grant| grant.name != name);
        if tokens.len() == before {
            return Err(ErrorKind::NotFound
                .because(format!("there is no token '{name}'"))
                .hint(Hint::TokenList));
        }
        self.file.write(&lock, tokens)
    }

    /// The bytes of the file; `None` before the first token.
    pub(super) fn bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        self.file.bytes()
    }

    /// The tokens in bytes of the file.
    pub(super) fn tokens_in(&self, bytes: Option<&[u8]>) -> Result<Vec<Grant>, Error> {
        self.file.tokens(bytes)
    }
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
        let key = Key::from_slice(&[5; Key::LEN]).unwrap();
        let book = Book { file: TokenFile::in_folder(folder.path(), key) };
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
        let file = folder.path().join("tokens");
        let bytes = fs::read(&file).unwrap();
        for word in ["bridge", "ops", "message.send", &secret.reveal()[4..]] {
            assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
        }
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
}
