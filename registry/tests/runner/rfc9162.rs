//! The tree against a second implementation, written from RFC 9162 §2.1 alone: whoever audits us may use any.

use cipher_broker::sign::wire_hash;
use cipher_broker::transparency::MerkleLog;

type Hash = [u8; 32];

fn hash(parts: &[&[u8]]) -> Hash {
    wire_hash(&parts.concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// `MTH(D[n])` (§2.1.1).
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash(&[]),
        [leaf] => hash(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&root(left), &root(right))
        }
    }
}

/// Verifies that a leaf lies at an index (§2.1.3.2).
fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut f, mut s, mut r) = (index, size - 1, hash(&[&[0], leaf]));
    for p in proof {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            r = node(p, &r);
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            r = node(&r, p);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    s == 0 && r == *root
}

/// Verifies that a tree is a prefix of another (§2.1.4.2).
fn extends(first: (u64, &Hash), second: (u64, &Hash), proof: &[Hash]) -> bool {
    let mut path = proof.to_vec();
    if first.0.is_power_of_two() {
        path.insert(0, *first.1);
    }
    let (mut f, mut s) = (first.0 - 1, second.0 - 1);
    while f & 1 == 1 {
        (f, s) = (f >> 1, s >> 1);
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut fr, mut sr) = (*start, *start);
    for c in rest {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            (fr, sr) = (node(c, &fr), node(c, &sr));
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            sr = node(&sr, c);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    fr == *first.1 && sr == *second.1 && s == 0
}

fn hashes(proof: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = proof.as_chunks::<32>();
    assert!(rest.is_empty());
    hashes.to_vec()
}

#[test]
fn roots_and_proofs_are_those_of_the_rfc() {
    let leaves: Vec<Hash> = (0..70_u8).map(|n| wire_hash(&[n])).collect();
    let (mut log, mut roots) = (MerkleLog::default(), vec![root(&[])]);
    assert_eq!(log.root(), roots[0]);
    for (size, leaf) in (1..).zip(&leaves) {
        log.push(*leaf);
        let now = root(&leaves[..usize::try_from(size).unwrap()]);
        assert_eq!(log.root(), now, "size {size}");
        roots.push(now);
        for (index, leaf) in (0..size).zip(&leaves) {
            let proof = hashes(&log.prove_inclusion(index).unwrap());
            assert!(includes(&now, size, index, leaf, &proof), "leaf {index} of {size}");
            assert!(!includes(&now, size, index, &[9; 32], &proof));
        }
        for earlier in 1..size {
            let proof = hashes(&log.prove_consistency(earlier).unwrap());
            let first = (earlier, &roots[usize::try_from(earlier).unwrap()]);
            assert!(extends(first, (size, &now), &proof), "{earlier} to {size}");
            assert!(!extends((earlier, &[9; 32]), (size, &now), &proof));
        }
    }
}
