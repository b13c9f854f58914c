//! What was typed so far.

use zeroize::Zeroizing;

use crate::Passphrase;
use crate::passphrase::LONGEST;
use crate::typed::TypedError;

/// It never grows, so nothing of it is left elsewhere.
pub(super) struct Line(Zeroizing<Vec<u8>>);

impl Default for Line {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(LONGEST.saturating_add(1))))
    }
}

impl Line {
    pub(super) fn push(&mut self, byte: u8) -> Result<(), TypedError> {
        // One more may be the carriage return of another system's line.
        if self.0.len() > LONGEST {
            return Err(TypedError::TooLong);
        }
        self.0.push(byte);
        Ok(())
    }

    /// Takes the last character away.
    pub(super) fn shorten(&mut self) {
        while let Some(byte) = self.0.pop() {
            if byte & 0b1100_0000 != 0b1000_0000 {
                break;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Without its end.
    fn bytes(&self) -> Result<&[u8], TypedError> {
        let typed = self.0.strip_suffix(b"\r").unwrap_or(&self.0);
        match typed.len() {
            0 => Err(TypedError::None),
            length if length > LONGEST => Err(TypedError::TooLong),
            _ => Ok(typed),
        }
    }

    pub(super) fn passphrase(&self) -> Result<Passphrase, TypedError> {
        Passphrase::new(self.bytes()?).ok_or(TypedError::None)
    }

    /// As text; what is none has a sign in its place that is in no word.
    pub(super) fn words(&self) -> Result<Zeroizing<String>, TypedError> {
        Ok(Zeroizing::new(String::from_utf8_lossy(self.bytes()?).into_owned()))
    }
}
