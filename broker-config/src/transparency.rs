//! The account log as a Merkle tree (RFC 9162 §2.1): heads that the registry signs, and proofs against them.
//!
//! A leaf is the hash of one signed statement ([`crate::account_log::leaf`]). Who holds two heads that no proof
//! connects holds evidence that the registry showed two histories.

use ct_merkle::{
    ConsistencyProof, HashableLeaf, InclusionProof, RootHash, indices_for_consistency_proof,
    indices_for_inclusion_proof,
};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::digest::Output;
use sha2::{Digest, Sha256};

use crate::codec;
use crate::sign::{Purpose, Signed};
use crate::time::Timestamp;

/// A [`TreeHead`], encoded and signed by the registry ([`Purpose::TreeHead`]).
pub type SignedHead = Signed;

/// What the registry says the log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHead {
    /// The registry's key: names the log.
    #[serde(rename = "k", with = "serde_bytes")]
    pub registry_key: [u8; 32],
    /// Number of entries.
    #[serde(rename = "n")]
    pub size: u64,
    /// Root of the tree over the first `size` entries.
    #[serde(rename = "r", with = "serde_bytes")]
    pub root: [u8; 32],
    /// When it was signed, by the registry's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Proof that a statement is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The head that the proof leads to.
    #[serde(rename = "h")]
    pub head: SignedHead,
    /// Position of the statement in the log, from 0.
    #[serde(rename = "i")]
    pub index: u64,
    /// The hashes (RFC 9162 §2.1.3).
    #[serde(rename = "p", with = "serde_bytes")]
    pub proof: Vec<u8>,
}

/// Why a head or a proof is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The head is not signed by the registry's key.
    #[error("a head of the account log is not signed by the registry")]
    Signature,
    /// The head cannot be decoded or names another log.
    #[error("a head of the account log is malformed or of another log")]
    Malformed,
    /// The proof does not lead from the one to the other.
    #[error("the proof does not hold")]
    Proof,
}

impl TreeHead {
    /// Signs it.
    pub fn sign(&self, registry_key: &SigningKey) -> SignedHead {
        Signed::new(registry_key, Purpose::TreeHead, codec::encode(self))
    }

    /// Verifies a head under the registry's key.
    pub fn open(signed: &SignedHead, registry_key: &[u8; 32]) -> Result<Self, ProofError> {
        let body = signed.verified(registry_key, Purpose::TreeHead).map_err(|_| ProofError::Signature)?;
        let head: Self = codec::decode(body).map_err(|_| ProofError::Malformed)?;
        if head.registry_key == *registry_key { Ok(head) } else { Err(ProofError::Malformed) }
    }

    /// Verifies that `earlier` is a prefix of this. Equal sizes need equal roots and no proof; an empty log is a
    /// prefix of everything.
    pub fn extends(&self, earlier: &Self, proof: &[u8]) -> Result<(), ProofError> {
        if earlier.size == self.size {
            return if earlier.root == self.root { Ok(()) } else { Err(ProofError::Proof) };
        }
        if earlier.size > self.size {
            return Err(ProofError::Proof);
        }
        if earlier.size == 0 {
            return if earlier.root == MerkleLog::default().root() { Ok(()) } else { Err(ProofError::Proof) };
        }
        let proof =
            ConsistencyProof::<Sha256>::try_from_bytes(proof.to_vec()).map_err(|_| ProofError::Proof)?;
        self.root_hash().verify_consistency(&earlier.root_hash(), &proof).map_err(|_| ProofError::Proof)
    }

    /// Verifies that the leaf lies at `index`.
    pub fn includes(&self, index: u64, leaf: &[u8; 32], proof: &[u8]) -> Result<(), ProofError> {
        if index >= self.size {
            return Err(ProofError::Proof);
        }
        let proof =
            InclusionProof::<Sha256>::try_from_bytes(proof.to_vec()).map_err(|_| ProofError::Proof)?;
        self.root_hash().verify_inclusion(&Leaf(*leaf), index, &proof).map_err(|_| ProofError::Proof)
    }

    fn root_hash(&self) -> RootHash<Sha256> {
        RootHash::new(Output::<Sha256>::from(self.root), self.size)
    }
}

#[derive(Debug, Clone)]
struct Leaf([u8; 32]);

impl HashableLeaf for Leaf {
    fn hash<H: sha2::digest::Update>(&self, hasher: &mut H) {
        hasher.update(&self.0);
    }
}

/// The tree of a whole log, in memory: 64 bytes per entry.
///
/// Keeps the hashes of complete subtrees only. These never change, so appending costs two hashes on average, and a
/// log of a million entries is loaded in well under a second; the few at the right edge are made when they are asked for.
#[derive(Debug, Clone, Default)]
pub struct MerkleLog {
    /// By height: the hashes of the complete subtrees, from the left. The first row has the leaves.
    rows: Vec<Vec<[u8; 32]>>,
}

impl MerkleLog {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let mut node = hash(&[&[0], &leaf]);
        for row in &mut self.rows {
            let left = if row.len() % 2 == 1 { row.last().copied() } else { None };
            row.push(node);
            match left {
                Some(left) => node = parent(&left, &node),
                None => return,
            }
        }
        self.rows.push(vec![node]);
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.rows.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root now.
    pub fn root(&self) -> [u8; 32] {
        edge(&self.rows).unwrap_or_else(|| hash(&[]))
    }

    /// Proof that the leaf at `index` is in the tree as it is now; `None` when there is no such leaf.
    pub fn prove_inclusion(&self, index: u64) -> Option<Vec<u8>> {
        if index >= self.size() {
            return None;
        }
        self.nodes(&indices_for_inclusion_proof(self.size(), index))
    }

    /// Proof that the tree of that size is a prefix of the tree as it is now; `None` when it never was that small
    /// a size, that is, for sizes above the present one. Empty for 0 and the present size.
    pub fn prove_consistency(&self, size: u64) -> Option<Vec<u8>> {
        let additions = self.size().checked_sub(size)?;
        if size == 0 || additions == 0 {
            return Some(Vec::new());
        }
        self.nodes(&indices_for_consistency_proof(size, additions))
    }

    /// The hashes of nodes, one behind the other. Nodes are numbered as in RFC 9420, appendix C: the ones at the end
    /// of a number tell the height.
    fn nodes(&self, indices: &[u64]) -> Option<Vec<u8>> {
        let mut nodes = Vec::with_capacity(indices.len().saturating_mul(32));
        for index in indices {
            let height = usize::try_from(index.trailing_ones()).ok()?;
            let place = usize::try_from(index >> height >> 1).ok()?;
            let complete = self.rows.get(height).and_then(|row| row.get(place)).copied();
            nodes.extend(complete.or_else(|| edge(self.rows.get(..height)?))?);
        }
        Some(nodes)
    }
}

/// The node over the leaves that are in no complete subtree above these rows. `None`: there are none.
fn edge(rows: &[Vec<[u8; 32]>]) -> Option<[u8; 32]> {
    let peaks = rows.iter().filter(|row| row.len() % 2 == 1).filter_map(|row| row.last());
    peaks.fold(None, |right, peak| Some(right.map_or(*peak, |right| parent(peak, &right))))
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    fn head(log: &MerkleLog) -> TreeHead {
        TreeHead { registry_key: [1; 32], size: log.size(), root: log.root(), at: Timestamp::default() }
    }

    #[test]
    fn every_smaller_head_is_proven_and_every_leaf_found() {
        let (mut log, mut heads) = (MerkleLog::default(), vec![]);
        for leaf in 0..40_u8 {
            heads.push(head(&log));
            log.push([leaf; 32]);
        }
        let now = head(&log);
        for earlier in &heads {
            let proof = log.prove_consistency(earlier.size).unwrap();
            assert_eq!(now.extends(earlier, &proof), Ok(()), "{}", earlier.size);
            let mut other = earlier.clone();
            other.root = [9; 32];
            assert_eq!(now.extends(&other, &proof), Err(ProofError::Proof), "{}", earlier.size);
        }
        for index in 0..40_u8 {
            let proof = log.prove_inclusion(index.into()).unwrap();
            assert_eq!(now.includes(index.into(), &[index; 32], &proof), Ok(()));
            assert_eq!(now.includes(index.into(), &[200; 32], &proof), Err(ProofError::Proof));
        }
        assert_eq!(log.prove_consistency(41), None);
        assert_eq!(log.prove_inclusion(40), None);
        assert!(now.extends(&now, b"").is_ok());
        assert!(heads[3].extends(&now, b"").is_err());
    }

    /// Beside the tree that the library keeps, which makes the whole right edge anew with every leaf.
    #[test]
    fn roots_and_proofs_are_those_of_a_tree_that_is_kept_whole() {
        let (mut log, mut whole) = (MerkleLog::default(), MemoryBackedTree::<Sha256, Leaf>::new());
        for size in 1..=130_u64 {
            let leaf = hash(&[&size.to_be_bytes()]);
            log.push(leaf);
            whole.push(Leaf(leaf));
            assert_eq!(log.root().as_slice(), whole.root().as_bytes().as_slice(), "{size}");
            for index in 0..size {
                let at = usize::try_from(index).unwrap();
                assert_eq!(log.prove_inclusion(index).unwrap(), whole.prove_inclusion(at).as_bytes());
                let earlier = whole.prove_consistency(at);
                let proof = log.prove_consistency(size - index).unwrap();
                assert_eq!(proof, if index == 0 { &[] } else { earlier.as_bytes() }, "{size} {index}");
            }
        }
    }

    /// G03: two logs that differ in one entry have no proof between them, whatever bytes are offered.
    #[test]
    fn g03_no_proof_leads_from_one_history_to_another() {
        let (mut one, mut two) = (MerkleLog::default(), MerkleLog::default());
        for leaf in 0..9_u8 {
            one.push([leaf; 32]);
            two.push([if leaf == 4 { 77 } else { leaf }; 32]);
        }
        let earlier = head(&one);
        for leaf in 9..15_u8 {
            one.push([leaf; 32]);
            two.push([leaf; 32]);
        }
        let now = head(&two);
        for proof in
            [two.prove_consistency(9).unwrap(), one.prove_consistency(9).unwrap(), vec![], vec![3; 31]]
        {
            assert_eq!(now.extends(&earlier, &proof), Err(ProofError::Proof));
        }
    }

    #[test]
    fn a_head_counts_under_the_key_of_its_log_only() {
        let (registry, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let key = registry.verifying_key().to_bytes();
        let mut head = head(&MerkleLog::default());
        head.registry_key = key;
        assert_eq!(TreeHead::open(&head.sign(&registry), &key).as_ref(), Ok(&head));
        assert_eq!(TreeHead::open(&head.sign(&other), &key), Err(ProofError::Signature));
        head.registry_key = [7; 32];
        assert_eq!(TreeHead::open(&head.sign(&registry), &key), Err(ProofError::Malformed));
    }
}
