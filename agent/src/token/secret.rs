//! The word that the holder of a token shows.

use std::fmt;
use std::str::FromStr;

use cipher_api::{Advice, Error, ErrorKind};
use cipher_broker::sign::digest;
use data_encoding::BASE32_NOPAD;
use rand_core::{OsRng, RngCore as _};

/// How every token begins, so that programs that look for secrets in the wrong place know one.
const PREFIX: &str = "cct_";
/// Random bytes of a token. What nobody can guess needs no slow hash.
const BYTES: usize = 32;

/// A token itself: `cct_` and 52 letters and digits. Shown once, kept nowhere; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; BYTES]);

impl Secret {
    /// A new one.
    pub fn random() -> Self {
        let mut bytes = [0; BYTES];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The word, for its holder.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }

    /// What is kept of it. Two are compared by their digests: how long that takes says nothing of the token.
    pub(crate) fn digest(&self) -> [u8; 32] {
        digest("cipher-chat/token", &[&self.0])
    }
}

impl FromStr for Secret {
    type Err = Error;

    /// Reads the word, with blanks around it. The error does not repeat it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let word = text.trim().strip_prefix(PREFIX).filter(|word| !word.contains(|c: char| c.is_uppercase()));
        let bytes = word.and_then(|word| BASE32_NOPAD.decode(word.to_ascii_uppercase().as_bytes()).ok());
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ErrorKind::Refused.because("this is not a token").hint(Advice::TokenForm))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_that_is_read_again_and_never_in_an_error() {
        let secret = Secret::random();
        let word = secret.reveal();
        assert_eq!((word.len(), word.get(..4)), (56, Some("cct_")));
        assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{word}");
        assert_eq!(format!(" {word}\n").parse(), Ok(secret.clone()));
        assert_ne!(Secret::random().digest(), secret.digest());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for wrong in [&word[..55], &word[4..], &word.to_uppercase(), &format!("{word}a"), "", "cct_"] {
            let error = wrong.parse::<Secret>().unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(!format!("{error:?}").contains(&word[8..20]));
        }
    }
}
