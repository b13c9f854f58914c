//! Ratchet trees travel apart from Welcomes: one sealed object per epoch that has joiners, under a key that only
//! the GroupInfo inside the Welcome carries. A Welcome stays small, and the broker never sees the roster.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_api::{ErrorKind, Result};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::wire::envelope::{Envelope, WelcomeNote};

const NONCE: usize = 24;

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;

/// Seals under XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), bound to a label and a group. The nonce comes first.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE],
    label: &[u8],
    group: &GroupId,
    plain: &[u8],
) -> Result<Vec<u8>> {
    let aad = [label, group.as_bytes()].concat();
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
        .map_err(|_| ErrorKind::Bug.because("sealing failed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made.
pub(crate) fn open(
    key: &[u8; 32],
    label: &[u8],
    group: &GroupId,
    sealed: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(DoesNotOpen)?;
    let aad = [label, group.as_bytes()].concat();
    XChaCha20Poly1305::new(key.into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
        .map_err(|_| DoesNotOpen)
}

/// Seals a tree and cuts it into envelopes.
pub(super) fn seal_tree(
    key: &[u8; 32],
    nonce: [u8; NONCE],
    group: &GroupId,
    epoch: u64,
    tree: &[u8],
) -> Result<Vec<Vec<u8>>> {
    let label = [b"tree".as_slice(), &epoch.to_be_bytes()].concat();
    let sealed = seal(key, nonce, &label, group, tree)?;
    let pieces = sealed.chunks(limit::TREE_CHUNK_BYTES);
    if pieces.len() > limit::TREE_CHUNKS as usize {
        return Err(ErrorKind::Limit.because("the group is too large for anybody to join"));
    }
    Ok(pieces.map(|piece| codec::encode(&Envelope::Tree(piece.to_vec()))).collect())
}

/// Puts a tree together again.
pub(super) fn open_tree(
    key: &[u8; 32],
    group: &GroupId,
    epoch: u64,
    pieces: &[Vec<u8>],
) -> Result<Vec<u8>, DoesNotOpen> {
    let mut sealed = Vec::new();
    for piece in pieces {
        let Ok(Envelope::Tree(piece)) = codec::decode(piece) else { return Err(DoesNotOpen) };
        sealed.extend(piece);
    }
    let label = [b"tree".as_slice(), &epoch.to_be_bytes()].concat();
    open(key, &label, group, &sealed)
}

/// Seals the note beside a Welcome.
pub(super) fn seal_note(
    key: &[u8; 32],
    nonce: [u8; NONCE],
    group: &GroupId,
    note: &WelcomeNote,
) -> Result<Vec<u8>> {
    seal(key, nonce, b"note", group, &codec::encode(note))
}

/// Opens the note beside a Welcome.
pub(super) fn open_note(key: &[u8; 32], group: &GroupId, sealed: &[u8]) -> Result<WelcomeNote, DoesNotOpen> {
    codec::decode(&open(key, b"note", group, sealed)?).map_err(|_| DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_tree_travels_in_pieces_and_opens_only_whole() {
        let (key, group) = ([7; 32], GroupId::from_bytes([1; 16]));
        let tree = vec![9; limit::TREE_CHUNK_BYTES * 2];
        let pieces = seal_tree(&key, [3; 24], &group, 5, &tree).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(open_tree(&key, &group, 5, &pieces), Ok(tree));
        assert_eq!(open_tree(&key, &group, 6, &pieces), Err(DoesNotOpen), "another epoch");
        assert_eq!(open_tree(&[8; 32], &group, 5, &pieces), Err(DoesNotOpen), "another key");
        assert_eq!(open_tree(&key, &group, 5, &pieces[..2]), Err(DoesNotOpen), "a piece is missing");
        assert_eq!(open_tree(&key, &group, 5, &[]), Err(DoesNotOpen));
    }
}
