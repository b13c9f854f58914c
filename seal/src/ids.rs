//! Ids that are found again without being told: hidden under a key, and the same each time.

use aes::Aes256;
use aes::cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _};

use crate::key::Key;

/// The block of AES.
const BLOCK: usize = 16;

/// Hides ids of whole blocks: AES-256-CBC with no padding and an IV of zeros. Equal ids give equal bytes, which is what they are
/// for. Ids are random or hashes, so that no two begin with the same block, and equality is all that shows.
pub struct IdMask(Box<Aes256>);

impl IdMask {
    /// `key` must be for this alone.
    pub fn new(key: &Key) -> Self {
        Self(Box::new(Aes256::new(key.expose().into())))
    }

    /// Hides an id in place. What is no whole block stays as it is.
    pub fn hide(&self, id: &mut [u8]) {
        let mut chained = [0; BLOCK];
        for block in id.as_chunks_mut::<BLOCK>().0 {
            xor(block, &chained);
            self.0.encrypt_block(block.into());
            chained = *block;
        }
    }

    /// The id again.
    pub fn show(&self, id: &mut [u8]) {
        let mut chained = [0; BLOCK];
        for block in id.as_chunks_mut::<BLOCK>().0 {
            let hidden = *block;
            self.0.decrypt_block(block.into());
            xor(block, &chained);
            chained = hidden;
        }
    }
}

impl std::fmt::Debug for IdMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdMask(secret)")
    }
}

fn xor(block: &mut [u8; BLOCK], with: &[u8; BLOCK]) {
    for (byte, with) in block.iter_mut().zip(with) {
        *byte ^= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-38A F.2.5 gives CBC-AES256; with an IV of zeros and its first block XORed with the IV it is the same.
    #[test]
    fn ids_are_hidden_as_the_standard_says_and_come_back() {
        let hex = |text: &str| -> Vec<u8> {
            let digits: Vec<u8> =
                text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
            digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
        };
        let key = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let mask = IdMask::new(&Key::from_slice(&key).unwrap());
        let mut id = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        for (byte, iv) in id.iter_mut().zip(0_u8..16) {
            *byte ^= iv;
        }
        let shown = id.clone();
        mask.hide(&mut id);
        assert_eq!(id, hex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"));
        mask.show(&mut id);
        assert_eq!(id, shown);
        let mut short = *b"no whole block";
        mask.hide(&mut short);
        assert_eq!(&short, b"no whole block");
        assert_eq!(format!("{mask:?}"), "IdMask(secret)");
    }
}
