//! A token in use.

use std::sync::{Arc, Mutex, PoisonError};

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::time::Timestamp;
use data_encoding::HEXLOWER;

use crate::token::book::Book;
use crate::token::grant::Grant;
use crate::token::secret::Secret;

/// A token that a connection was opened with. It is looked up again whenever it is used.
#[derive(Debug)]
pub(crate) struct Pass {
    book: Book,
    /// Digest of the token, hexadecimal.
    digest: String,
    /// What its owner called it.
    name: String,
    /// The file as it was last, and what the token was good for then.
    last: Mutex<(Option<Vec<u8>>, Arc<Grant>)>,
}

impl Pass {
    /// Takes the token that a visitor shows.
    pub(crate) fn show(book: &Book, word: &str, now: Timestamp) -> Result<Self, Error> {
        Self::of(book, &word.parse()?, now)
    }

    /// The same of one that was read before.
    pub(crate) fn of(book: &Book, secret: &Secret, now: Timestamp) -> Result<Self, Error> {
        let digest = HEXLOWER.encode(&secret.digest());
        let bytes = book.bytes()?;
        let grant = find(book, bytes.as_deref(), &digest)?.ok_or_else(|| {
            ErrorKind::Refused
                .because(
                    "this profile does not know this token: it was revoked, or belongs to another profile",
                )
                .hint(Hint::TokenList)
        })?;
        let pass = Self {
            book: book.clone(),
            digest,
            name: grant.name.clone(),
            last: Mutex::new((bytes, Arc::new(grant))),
        };
        pass.good(now)?;
        Ok(pass)
    }

    /// Whether it is the same token.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// R-TOKEN-04: what it is good for now; an error once it was revoked or has expired. The file is read each time:
    /// it is small, and what was revoked must not be used a second later.
    pub(crate) fn good(&self, now: Timestamp) -> Result<Arc<Grant>, Error> {
        let bytes = self.book.bytes()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != bytes {
            let grant =
                find(&self.book, bytes.as_deref(), &self.digest)?.ok_or_else(|| self.over("was revoked"))?;
            *last = (bytes, Arc::new(grant));
        }
        if last.1.expired(now) {
            return Err(self.over(&format!("expired at {}", last.1.expires_at)));
        }
        Ok(Arc::clone(&last.1))
    }

    fn over(&self, how: &str) -> Error {
        let name = self.name.clone();
        ErrorKind::Refused.because(format!("the token '{name}' {how}")).hint(Hint::TokenCreateAnew { name })
    }
}

/// The token of a digest.
fn find(book: &Book, bytes: Option<&[u8]>, digest: &str) -> Result<Option<Grant>, Error> {
    Ok(book.tokens_in(bytes)?.into_iter().find(|grant| grant.digest == digest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::book::Wish;
    use crate::token::book::tests::{book, wish};

    #[test]
    fn r_token_04_a_token_that_was_revoked_or_is_too_old_is_refused_at_once() {
        let (folder, book) = book();
        let now = Timestamp::from_millis(1_000_000);
        let (secret, grant) = book.create(wish("bridge", Some(&[1]), &["message.send"]), now).unwrap();
        let pass = Pass::show(&book, &secret.reveal(), now).unwrap();
        assert_eq!(*pass.good(now).unwrap(), grant);
        let error = pass.good(now.plus(Duration::from_secs(60))).unwrap_err();
        assert!(error.message.contains("'bridge' expired at"), "{error}");

        // Another one of the same name is not this one.
        book.revoke("bridge").unwrap();
        let (next, _) = book.create(wish("bridge", None, &[]), now).unwrap();
        let error = pass.good(now).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Refused, "the token 'bridge' was revoked")
        );
        assert!(Pass::of(&book, &secret, now).is_err() && Pass::of(&book, &next, now).is_ok());

        // A file that cannot be read opens nothing.
        std::fs::write(folder.path().join("tokens"), "{").unwrap();
        assert!(Pass::of(&book, &next, now).is_err());
    }

    #[test]
    fn r_token_04_one_that_has_expired_opens_nothing() {
        let (_folder, book) = book();
        let brief = Wish { lifetime: Duration::from_millis(1), ..wish("brief", None, &[]) };
        let (secret, _) = book.create(brief, Timestamp::from_millis(1)).unwrap();
        assert!(Pass::of(&book, &secret, Timestamp::from_millis(2)).unwrap_err().message.contains("expired"));
        assert!(Pass::show(&book, "cct_x", Timestamp::from_millis(1)).is_err());
    }
}
