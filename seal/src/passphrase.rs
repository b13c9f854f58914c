//! A passphrase, and the key that argon2id makes of it (RFC 9106).

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Key;

/// Longest passphrase, bytes.
pub(crate) const LONGEST: usize = 1024;

/// What a person types to unlock a file.
///
/// A text is taken in Unicode's form NFC, as RFC 8265 §4.2 has it for passwords: an `é` is one character from one
/// keyboard and two from another, nobody sees which, and a file that was moved between them would stay locked. Nothing
/// else is changed: capitals and spaces count. Bytes that are no text are taken as they are.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The passphrase of what was typed, without the line's end; `None` if it is empty or longer than 1024 bytes.
    pub fn new(typed: &[u8]) -> Option<Self> {
        if typed.is_empty() || typed.len() > LONGEST {
            return None;
        }
        // NFC makes a text at most three times as long: it is never moved, so no copy of it stays behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(typed.len().saturating_mul(3).saturating_add(4)));
        match std::str::from_utf8(typed) {
            Ok(text) => {
                let mut of_one = [0; 4];
                for c in text.nfc() {
                    bytes.extend_from_slice(c.encode_utf8(&mut of_one).as_bytes());
                }
                of_one.zeroize();
            }
            Err(_) => bytes.extend_from_slice(typed),
        }
        Some(Self(bytes))
    }

    /// Whether it is the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The key that these costs and this salt make of it; `None` if the memory is not to be had.
    pub(crate) fn stretched(&self, salt: &[u8], costs: Costs) -> Option<Key> {
        let params = Params::new(costs.memory, costs.passes, costs.lanes, Some(Key::LEN)).ok()?;
        let count = params.block_count();
        let mut blocks: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::new());
        blocks.try_reserve_exact(count).ok()?;
        blocks.resize(count, Block::default());
        let mut key = Zeroizing::new([0; Key::LEN]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(&self.0, salt, key.as_mut_slice(), blocks.as_mut_slice())
            .ok()?;
        Key::from_slice(key.as_slice())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(secret)")
    }
}

/// What it costs to try a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Costs {
    /// KiB.
    pub(crate) memory: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Costs {
    /// Bytes in a slot.
    pub(crate) const LEN: usize = 12;

    /// Memory and lanes of the second recommendation of RFC 9106 (§4), which has three passes at least. With the vector
    /// instructions of today's processors those take 0.17 s: eight take 0.4 s, and a second where there are none.
    pub(crate) const USUAL: Self = Self { memory: 64 * 1024, passes: 8, lanes: 4 };
    /// The same time in half of the memory: for a stream, which is written and read while a profile is open and is to need 64 MiB
    /// with it.
    pub(crate) const OF_STREAM: Self = Self { memory: 32 * 1024, passes: 16, lanes: 4 };
    /// Below this a passphrase is guessed too cheaply (OWASP): no version makes such a slot, so it was put there.
    pub(crate) const LEAST: Self = Self { memory: 19 * 1024, passes: 2, lanes: 1 };
    /// Above this a file that was put there takes the memory of a machine.
    const MOST: Self = Self { memory: 1024 * 1024, passes: 64, lanes: 16 };
    /// KiB times passes of all slots of a file together: eight slots of today's cost, three to four seconds.
    pub(crate) const MOST_WORK: u64 = 8 * 64 * 1024 * 8;

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, _) = bytes.as_chunks::<4>();
        let [memory, passes, lanes] = numbers else { return None };
        let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
        Some(Self { memory: number(memory), passes: number(passes), lanes: number(lanes) })
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let numbers = [self.memory, self.passes, self.lanes].map(u32::to_be_bytes);
        for (to, from) in bytes.iter_mut().zip(numbers.as_flattened()) {
            *to = *from;
        }
        bytes
    }

    /// Whether a slot may ask for it.
    pub(crate) fn are_allowed(self) -> bool {
        (Self::LEAST.memory..=Self::MOST.memory).contains(&self.memory)
            && (Self::LEAST.passes..=Self::MOST.passes).contains(&self.passes)
            && (Self::LEAST.lanes..=Self::MOST.lanes).contains(&self.lanes)
    }

    /// What trying it takes.
    pub(crate) fn work(self) -> u64 {
        u64::from(self.memory).saturating_mul(self.passes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_passphrase_however_it_was_typed_and_nothing_else_is() {
        let of = |typed: &[u8]| Passphrase::new(typed).unwrap().0.to_vec();
        assert_eq!(of("caf\u{e9}".as_bytes()), of("cafe\u{301}".as_bytes()));
        for other in [&b"cafe"[..], b"Caf\xc3\xa9", b"caf\xc3\xa9 ", b"caf\xe9"] {
            assert_ne!(of("caf\u{e9}".as_bytes()), of(other), "{other:?}");
        }
        assert_eq!(of(b"\xff\xfe"), b"\xff\xfe");
        for none in [vec![], vec![b'x'; LONGEST + 1]] {
            assert!(Passphrase::new(&none).is_none());
        }
        assert_eq!(format!("{:?}", Passphrase::new(b"secret words").unwrap()), "Passphrase(secret)");
    }

    /// The longest growth under NFC: what would be moved would leave a copy behind.
    #[test]
    fn a_text_that_grows_is_never_moved() {
        for text in ["\u{1d160}".repeat(256), "\u{fb2c}".repeat(341), "\u{390}".repeat(512)] {
            let passphrase = Passphrase::new(text.as_bytes()).unwrap();
            assert!(passphrase.0.capacity() <= text.len() * 3 + 4, "{}", passphrase.0.capacity());
        }
    }

    #[test]
    fn costs_that_nobody_would_choose_are_not_allowed() {
        let Costs { memory, passes, lanes } = Costs::USUAL;
        assert!(
            Costs::USUAL.are_allowed()
                && Costs::OF_STREAM.are_allowed()
                && Costs::LEAST.are_allowed()
                && Costs::MOST.are_allowed()
        );
        for costs in [
            Costs { memory: 19 * 1024 - 1, passes, lanes },
            Costs { memory: 1024 * 1024 + 1, passes, lanes },
            Costs { memory: u32::MAX, passes, lanes },
            Costs { memory, passes: 1, lanes },
            Costs { memory, passes: 65, lanes },
            Costs { memory, passes, lanes: 0 },
            Costs { memory, passes, lanes: 17 },
        ] {
            assert!(!costs.are_allowed(), "{costs:?}");
            assert_eq!(Costs::from_bytes(&costs.to_bytes()), Some(costs));
        }
    }

    /// RFC 9106 §5.3 has no vector without a secret: this one is of the reference implementation's command line,
    /// `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32`.
    #[test]
    fn the_key_is_the_one_of_argon2id() {
        let costs = Costs { memory: 65_536, passes: 2, lanes: 1 };
        let key = Passphrase::new(b"password").unwrap().stretched(b"somesalt", costs).unwrap();
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
