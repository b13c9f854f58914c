//! Where the bytes of files lie in a world: sealed chunks beside the logs, written once, some of which get lost or changed.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::view::{OpenFileView, UploadView};
use cipher_broker::id::FileId;
use cipher_broker::sign::digest;
use cipher_seal::{Chunks, Key};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// Why a file cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// A chunk is not there.
    Lost,
    /// A chunk does not open, or the whole is not what its sender said.
    Altered,
}

/// The stream of chunks, and what this world knows of the files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    chunks: BTreeMap<(FileId, u32), Vec<u8>>,
    /// What senders put into their files.
    pub(crate) contents: BTreeMap<FileId, Vec<u8>>,
    /// Files of which a chunk got lost or was changed.
    pub(crate) spoiled: BTreeSet<FileId>,
}

/// What the hash of a content is here.
pub(crate) fn hash(content: &[u8]) -> Vec<u8> {
    digest("world/file", &[content]).to_vec()
}

fn sealing(id: FileId, key: &[u8]) -> Chunks {
    let mut chance = ChaCha20Rng::from_seed(digest("world/nonce", &[id.as_bytes().as_slice()]));
    Chunks::new(&Key::from_slice(key).unwrap(), id.as_bytes(), &mut chance)
}

fn pieces(content: &[u8], bytes: u32) -> Vec<&[u8]> {
    content.chunks(usize::try_from(bytes).unwrap()).collect()
}

impl Shelf {
    /// Stores chunks of an upload, from the one it goes on with, so many at most; how many are there now. What lies there is
    /// never written again, and must be what would have been written.
    pub(crate) fn store(&mut self, upload: &UploadView, content: &[u8], most: usize) -> u32 {
        let (id, sealing) = (upload.id, sealing(upload.id, &upload.key));
        let pieces = pieces(content, upload.chunk_bytes);
        let mut done = upload.done;
        for (at, piece) in pieces.iter().enumerate().skip(upload.done as usize).take(most) {
            let (at, last) = (u32::try_from(at).unwrap(), at + 1 == pieces.len());
            let there = self.chunks.entry((id, at)).or_insert_with(|| {
                let mut chunk = piece.to_vec();
                sealing.seal(at, last, &mut chunk);
                chunk
            });
            let mut opened = there.clone();
            sealing.open(at, last, &mut opened).expect("one key seals one content");
            assert_eq!(opened, *piece, "another content under the same key");
            done = at + 1;
        }
        done
    }

    /// The broker loses a chunk, or keeps something else in its place.
    pub(crate) fn spoil(&mut self, id: FileId, loses: bool) {
        let Some((place, chunk)) = self.chunks.iter_mut().find(|((of, _), _)| *of == id) else { return };
        if loses {
            let place = *place;
            self.chunks.remove(&place);
        } else {
            chunk[0] ^= 1;
        }
        self.spoiled.insert(id);
    }

    /// What a member gets who has the message.
    pub(crate) fn fetch(&self, opens: &OpenFileView) -> Result<Vec<u8>, Gone> {
        let id = opens.file.file.id;
        let sealing = sealing(id, &opens.key);
        let count = opens.file.file.size.div_ceil(opens.chunk_bytes.into());
        let mut content = Vec::new();
        for at in 0..u32::try_from(count).unwrap() {
            let mut chunk = self.chunks.get(&(id, at)).ok_or(Gone::Lost)?.clone();
            sealing.open(at, u64::from(at) + 1 == count, &mut chunk).map_err(|_| Gone::Altered)?;
            content.extend_from_slice(&chunk);
        }
        if hash(&content) == opens.hash { Ok(content) } else { Err(Gone::Altered) }
    }
}
