//! What was found against the registry, as files that can be shown to others.
//!
//! Each is JSON with what was found, when, and the exhibits as they came. Signed ones convince anybody who knows the
//! registry's key; nobody needs to believe us.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cipher_api::view::EvidenceView;
use cipher_api::{Error, Event, Notice};
use cipher_broker::codec;
use cipher_broker::sign::{Signed, wire_hash};
use cipher_broker::transparency::TreeHead;
use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;

use crate::private_file;
use crate::profile::{Profile, private_folder};

/// Alarms that wait to be shown.
const ALARMS: usize = 64;

/// What stands in the file.
#[derive(Debug, Serialize)]
struct Evidence<'a> {
    format: &'static str,
    kind: &'a str,
    at: String,
    what: &'a str,
    exhibits: Vec<Exhibit<'a>>,
    how_to_verify: &'static str,
}

#[derive(Debug, Serialize)]
struct Exhibit<'a> {
    name: &'a str,
    base64: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree_head: Option<Head>,
}

/// A head as it can be read without tools; the bytes beside it are what counts.
#[derive(Debug, Serialize)]
struct Head {
    registry_key: String,
    size: u64,
    root: String,
    at: String,
}

const HOW_TO_VERIFY: &str = "Each exhibit is base64 of the bytes as they came. A signed one is a version byte (1) and a MessagePack map \
with b (the body) and s (an Ed25519 signature). The signature is over SHA-256 of the label and the body, each preceded by its length as \
8 bytes, big endian; the label of a tree head is cipher-chat/tree-head/v1, that of a registry reply cipher-chat/registry-reply/v1, that of \
an account statement cipher-chat/account-statement/v1. Two signed heads of the same size with different roots, or a later one that is \
smaller, prove by themselves that the registry showed two histories; for others ask it for a consistency proof (RFC 9162, 2.1.4) \
from the smaller to the larger: there is none. `cipher-chat audit` rebuilds the tree from the published log.";

/// The file of a finding: the same finding has the same name.
pub fn file(profile: &Profile, view: &EvidenceView) -> PathBuf {
    profile.evidence().join(name(view, &text(view)))
}

/// Writes the file of a finding, once. Gives its path.
pub fn keep(profile: &Profile, view: &EvidenceView) -> io::Result<PathBuf> {
    keep_in(&profile.evidence(), view)
}

/// The same in any folder, which is made for its owner only if it is not there.
pub fn keep_in(folder: &Path, view: &EvidenceView) -> io::Result<PathBuf> {
    let text = text(view);
    let path = folder.join(name(view, &text));
    if path.exists() {
        return Ok(path);
    }
    private_folder(folder)?;
    private_file::write(&path, &text)?;
    Ok(path)
}

fn text(view: &EvidenceView) -> Vec<u8> {
    let exhibits = view.exhibits.iter().map(|exhibit| Exhibit {
        name: &exhibit.name,
        base64: BASE64.encode(&exhibit.bytes),
        tree_head: head(&exhibit.bytes),
    });
    let evidence = Evidence {
        format: "cipher-chat evidence 1",
        kind: view.kind.name(),
        at: view.at.to_string(),
        what: &view.what,
        exhibits: exhibits.collect(),
        how_to_verify: HOW_TO_VERIFY,
    };
    let mut text = serde_json::to_vec_pretty(&evidence).unwrap_or_default();
    text.push(b'\n');
    text
}

fn head(bytes: &[u8]) -> Option<Head> {
    let signed: Signed = codec::decode(bytes).ok()?;
    let head: TreeHead = codec::decode(&signed.body).ok()?;
    Some(Head {
        registry_key: HEXLOWER.encode(&head.registry_key),
        size: head.size,
        root: HEXLOWER.encode(&head.root),
        at: head.at.to_string(),
    })
}

/// `20261123T050117Z-split-view-0a1b2c3d.json`
fn name(view: &EvidenceView, text: &[u8]) -> String {
    let second: String = view.at.to_string().chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let kind = view.kind.name();
    let hash: String = HEXLOWER.encode(&wire_hash(text)).chars().take(8).collect();
    format!("{second}Z-{kind}-{hash}.json")
}

/// Something that a person must hear, whatever the command is about.
#[derive(Debug, Clone)]
pub enum Alarm {
    /// What was found against the registry, and the file it was written to.
    Evidence(Box<EvidenceView>, Option<PathBuf>),
    /// Something that a person should know.
    Warning(Notice),
    /// Another copy of this profile is in use.
    Stopped(Error),
}

/// Writes what is found as it is found, and remembers what must be heard for whoever shows it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Alarms {
    profile: Profile,
    waiting: Arc<Mutex<Vec<Alarm>>>,
}

impl Alarms {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile, waiting: Arc::default() }
    }

    /// Takes note of an event, if it is one that must be heard.
    pub(crate) fn note(&self, event: &Event) {
        let alarm = match event {
            Event::Evidence(view) => {
                let kept = keep(&self.profile, view);
                if let Err(error) = &kept {
                    tracing::error!(%error, "evidence against the registry cannot be written to a file; it is in the store");
                }
                Alarm::Evidence(view.clone(), kept.ok())
            }
            Event::Warning { notice } => Alarm::Warning(notice.clone()),
            Event::Stopped { error } => Alarm::Stopped(error.clone()),
            _ => return,
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < ALARMS {
            waiting.push(alarm);
        }
    }

    pub(crate) fn take(&self) -> Vec<Alarm> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_api::view::{EvidenceKind, ExhibitView};
    use cipher_broker::time::Timestamp;
    use ed25519_dalek::SigningKey;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_finding_is_written_once_for_its_owner_only_and_can_be_read_back() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        let key = SigningKey::from_bytes(&[1; 32]);
        let head = TreeHead {
            registry_key: key.verifying_key().to_bytes(),
            size: 7,
            root: [2; 32],
            at: Timestamp::from_millis(1_709_210_096_789),
        };
        let view = EvidenceView {
            kind: EvidenceKind::SplitView,
            at: Timestamp::from_millis(1_709_210_096_789),
            what: "two heads".into(),
            exhibits: vec![
                ExhibitView { name: "one".into(), bytes: codec::encode(&head.sign(&key)) },
                ExhibitView { name: "noise".into(), bytes: vec![0xff, 0, 1] },
            ],
        };
        let path = keep(&profile, &view).unwrap();
        assert_eq!(keep(&profile, &view).unwrap(), path);
        assert_eq!(file(&profile, &view), path);
        assert_eq!(fs::read_dir(profile.evidence()).unwrap().count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("20240229T123456Z-split-view-"), "{name}");

        let back: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let bytes = BASE64.decode(back["exhibits"][0]["base64"].as_str().unwrap().as_bytes()).unwrap();
        let signed: Signed = codec::decode(&bytes).unwrap();
        assert_eq!(TreeHead::open(&signed, &head.registry_key), Ok(head));
        assert_eq!(back["exhibits"][0]["tree_head"]["size"], 7);
        assert!(back["exhibits"][1].get("tree_head").is_none());

        let other = EvidenceView { what: "two other heads".into(), ..view };
        assert_ne!(keep(&profile, &other).unwrap(), path);
    }
}
