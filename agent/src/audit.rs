//! Replays the whole account log as a third party: believes no one, and rebuilds the tree that the registry signs.
//!
//! Pure: entries and heads in, findings out. Fetching is `net/audit.rs`, showing is `cli/command/audit.rs`.

use std::cmp::Ordering;
use std::collections::HashMap;

use cipher_api::view::{EvidenceKind, EvidenceView, ExhibitView};
use cipher_broker::account_log::{AccountLog, leaf};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
use cipher_broker::limit;
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{MerkleLog, SignedHead, TreeHead};
use cipher_broker::wire::statement::{LogEntry, Statement, StatementKind};
use data_encoding::HEXLOWER;

/// Something that must not be, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Finding {
    /// What kind of finding it is.
    pub kind: EvidenceKind,
    /// One sentence.
    pub what: String,
    /// What shows it, named.
    pub exhibits: Vec<(String, Vec<u8>)>,
}

impl Finding {
    /// As evidence, found at a time.
    pub fn into_evidence(self, at: Timestamp) -> EvidenceView {
        let exhibits = self.exhibits.into_iter().map(|(name, bytes)| ExhibitView { name, bytes });
        EvidenceView { kind: self.kind, at, what: self.what, exhibits: exhibits.collect() }
    }
}

/// A head to be compared with, once the tree is as large.
#[derive(Debug, Clone)]
struct Awaited {
    /// Whose word it is, for people.
    name: String,
    head: TreeHead,
    signed: SignedHead,
}

/// What a replay has found so far.
#[derive(Debug, Default)]
pub struct Audit {
    tree: MerkleLog,
    accounts: HashMap<AccountId, AccountLog>,
    handles: HashMap<Handle, AccountId>,
    awaited: Vec<Awaited>,
    compared: usize,
}

impl Audit {
    /// Adds a signed head that the log must lead to. `name` tells people whose word it is.
    pub fn expect(
        &mut self,
        name: &str,
        signed: &SignedHead,
        registry_key: &[u8; 32],
    ) -> Result<TreeHead, Finding> {
        let head = TreeHead::open(signed, registry_key).map_err(|error| Finding {
            kind: EvidenceKind::BadEntry,
            what: format!("{name} is no head of this registry: {error}"),
            exhibits: vec![(name.into(), codec::encode(signed))],
        })?;
        self.awaited.push(Awaited { name: name.into(), head: head.clone(), signed: signed.clone() });
        self.compare()?;
        Ok(head)
    }

    /// Takes the next entry as it was published. The error says what is wrong with it; nothing after it counts.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        let number = self.size();
        let wrong = |kind, why: String| Finding {
            kind,
            what: format!("entry {number} of the account log {why}"),
            exhibits: vec![(format!("entry {number}"), bytes.to_vec())],
        };
        if bytes.len() > limit::REGISTRY_BYTES {
            return Err(wrong(EvidenceKind::BadEntry, format!("has {} bytes", bytes.len())));
        }
        let entry: LogEntry = codec::decode(bytes)
            .map_err(|error| wrong(EvidenceKind::BadEntry, format!("cannot be read: {error}")))?;
        // Whose it says it is: verified by the log it must continue.
        let stated: Statement = codec::decode(&entry.statement.body)
            .map_err(|error| wrong(EvidenceKind::BadEntry, format!("holds no statement: {error}")))?;
        match (&stated.claim, self.accounts.get_mut(&stated.account)) {
            (_, Some(log)) => log.append(&entry.statement, entry.certificate.as_ref()).map_err(|error| {
                wrong(EvidenceKind::BadEntry, format!("does not continue its account: {error}"))
            })?,
            (StatementKind::Create { handle, .. }, None) => {
                let certificate = entry.certificate.as_ref();
                let certificate = certificate
                    .ok_or_else(|| wrong(EvidenceKind::BadEntry, "brings no certificate".into()))?;
                let log = AccountLog::begin(&entry.statement, certificate).map_err(|error| {
                    wrong(EvidenceKind::BadEntry, format!("does not begin an account: {error}"))
                })?;
                if let Some(other) = self.handles.get(handle) {
                    return Err(wrong(
                        EvidenceKind::HandleTwice,
                        format!("gives @{handle} to a second account ({} has it)", other.short()),
                    ));
                }
                self.handles.insert(handle.clone(), stated.account);
                self.accounts.insert(stated.account, log);
            }
            (_, None) => {
                return Err(wrong(EvidenceKind::BadEntry, "is of an account that never began".into()));
            }
        }
        self.tree.push(leaf(&entry.statement));
        self.compare()
    }

    /// After the last entry: fails if a head says that there are more.
    pub fn finish(&self) -> Result<(), Finding> {
        let size = self.size();
        match self.awaited.iter().find(|awaited| awaited.head.size > size) {
            None => Ok(()),
            Some(Awaited { name, head, signed }) => Err(Finding {
                kind: EvidenceKind::MissingEntry,
                what: format!(
                    "{name} covers {} entries, and the published log has only {size}: entries are withheld or were lost",
                    head.size
                ),
                exhibits: vec![(name.clone(), codec::encode(signed))],
            }),
        }
    }

    /// Compares with every head that the tree has reached.
    fn compare(&mut self) -> Result<(), Finding> {
        let size = self.size();
        // At every entry: heads are few, and the root is only computed where one is.
        let Some(at) = self.awaited.iter().position(|awaited| awaited.head.size <= size) else {
            return Ok(());
        };
        let Awaited { name, head, signed } = self.awaited.swap_remove(at);
        if head.size == size && head.root != self.tree.root() {
            return Err(Finding {
                kind: EvidenceKind::SplitView,
                what: format!(
                    "{name} says that the first {size} entries have the root {}, but the published ones have {}",
                    short(&head.root),
                    short(&self.tree.root())
                ),
                exhibits: vec![
                    (name, codec::encode(&signed)),
                    ("root of the published entries".into(), self.tree.root().to_vec()),
                ],
            });
        }
        if head.size < size {
            // It was passed before anybody asked: say so rather than to call it compared.
            return Err(Finding {
                kind: EvidenceKind::BadEntry,
                what: format!("{name} could not be compared any more"),
                exhibits: vec![(name, codec::encode(&signed))],
            });
        }
        self.compared += 1;
        self.compare()
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Root of the tree over them.
    pub fn root(&self) -> [u8; 32] {
        self.tree.root()
    }

    /// Accounts that began.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Devices that are active, and those that were revoked.
    pub fn devices(&self) -> (usize, usize) {
        self.accounts.values().fold((0, 0), |(active, revoked), log| {
            let all = log.devices().count();
            let now = log.active().count();
            (active + now, revoked + all.saturating_sub(now))
        })
    }

    /// Heads that were compared and fit.
    pub const fn compared(&self) -> usize {
        self.compared
    }
}

/// Two heads that one registry signed: the later one must not be smaller, and of the same size they are the same.
/// R-KT-01 has its own function in `agent/core/src/watch/head.rs`, because that one does not know which head was shown
/// first and judges a step back by the times in both, while here the order is known and the times do not matter.
pub fn agree(earlier: (&TreeHead, &Signed), now: (&TreeHead, &Signed)) -> Result<(), Finding> {
    let (kind, what) = match now.0.size.cmp(&earlier.0.size) {
        Ordering::Less => (
            EvidenceKind::Rollback,
            format!(
                "the registry shows {} entries now, and this profile accepted a head of {} before: it went back in time",
                now.0.size, earlier.0.size
            ),
        ),
        Ordering::Equal if now.0.root != earlier.0.root => (
            EvidenceKind::SplitView,
            format!("the registry signed two different roots for the first {} entries", now.0.size),
        ),
        Ordering::Equal | Ordering::Greater => return Ok(()),
    };
    Err(Finding {
        kind,
        what,
        exhibits: vec![
            ("accepted before".into(), codec::encode(earlier.1)),
            ("shown now".into(), codec::encode(now.1)),
        ],
    })
}

fn short(root: &[u8; 32]) -> String {
    HEXLOWER.encode(root).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
    use cipher_broker::id::DeviceId;
    use cipher_broker::sign::{Purpose, wire_hash};
    use ed25519_dalek::SigningKey;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn certificate(account: u8, n: u8) -> DeviceCertificate {
        let account_key = key(account).verifying_key().to_bytes();
        let body = CertificateBody {
            account: AccountId::of_key(&account_key),
            account_key,
            device: DeviceId::from_bytes([n; 16]),
            device_key: key(100 + n).verifying_key().to_bytes(),
            kind: Kind::Person,
            owner: None,
            not_before: Timestamp::from_millis(1),
            not_after: Timestamp::from_millis(9),
            serial: 1,
        };
        DeviceCertificate::sign(&body, &key(account))
    }

    fn entry(
        account: u8,
        sequence: u64,
        previous: [u8; 32],
        claim: StatementKind,
        n: Option<u8>,
    ) -> LogEntry {
        let statement = Statement {
            account: AccountId::of_key(&key(account).verifying_key().to_bytes()),
            sequence,
            previous,
            at: Timestamp::from_millis(5),
            claim,
        };
        LogEntry {
            statement: Signed::new(&key(account), Purpose::AccountStatement, codec::encode(&statement)),
            certificate: n.map(|n| certificate(account, n)),
        }
    }

    fn created(account: u8, handle: &str, device: u8) -> LogEntry {
        let certificate = wire_hash(&certificate(account, device).to_bytes());
        let claim = StatementKind::Create { handle: handle.parse().unwrap(), certificate };
        entry(account, 0, [0; 32], claim, Some(device))
    }

    fn added(account: u8, after: &LogEntry, sequence: u64, device: u8) -> LogEntry {
        let certificate = wire_hash(&certificate(account, device).to_bytes());
        let claim = StatementKind::AddDevice { device: DeviceId::from_bytes([device; 16]), certificate };
        entry(account, sequence, leaf(&after.statement), claim, Some(device))
    }

    fn log() -> Vec<Vec<u8>> {
        let (ana, bob) = (created(1, "ana", 1), created(2, "bob", 2));
        let (second, third) = (added(1, &ana, 1, 3), added(1, &added(1, &ana, 1, 3), 2, 4));
        [ana, bob, second, third].iter().map(codec::encode).collect()
    }

    fn head(entries: &[Vec<u8>], registry: u8) -> SignedHead {
        let mut tree = MerkleLog::default();
        for bytes in entries {
            tree.push(leaf(&codec::decode::<LogEntry>(bytes).unwrap().statement));
        }
        let registry_key = key(registry).verifying_key().to_bytes();
        let at = Timestamp::from_millis(7);
        TreeHead { registry_key, size: tree.size(), root: tree.root(), at }.sign(&key(registry))
    }

    fn audited(entries: &[Vec<u8>], heads: &[SignedHead]) -> Result<Audit, Finding> {
        let mut audit = Audit::default();
        for head in heads {
            audit.expect("a head", head, &key(50).verifying_key().to_bytes())?;
        }
        entries.iter().try_for_each(|entry| audit.take(entry))?;
        audit.finish()?;
        Ok(audit)
    }

    #[test]
    fn an_honest_log_leads_to_every_head_it_had() {
        let log = log();
        let heads: Vec<_> = (0..=4).map(|size| head(&log[..size], 50)).collect();
        let audit = audited(&log, &heads).unwrap();
        assert_eq!((audit.size(), audit.accounts(), audit.devices(), audit.compared()), (4, 2, (4, 0), 5));
    }

    #[test]
    fn what_is_not_signed_or_does_not_follow_is_found() {
        let kind = |entries: &[Vec<u8>]| audited(entries, &[]).unwrap_err().kind;
        let good = log();
        let mut forged: LogEntry = codec::decode(&good[1]).unwrap();
        forged.statement.signature[0] ^= 1;
        assert_eq!(kind(&[codec::encode(&forged)]), EvidenceKind::BadEntry);
        // Out of order, twice, of nobody, and noise.
        assert_eq!(kind(&[good[0].clone(), good[3].clone()]), EvidenceKind::BadEntry);
        assert_eq!(kind(&[good[0].clone(), good[0].clone()]), EvidenceKind::BadEntry);
        assert_eq!(kind(&[good[2].clone()]), EvidenceKind::BadEntry);
        assert_eq!(kind(&[b"noise".to_vec()]), EvidenceKind::BadEntry);
        let mut bare: LogEntry = codec::decode(&good[0]).unwrap();
        bare.certificate = None;
        assert_eq!(kind(&[codec::encode(&bare)]), EvidenceKind::BadEntry);
    }

    #[test]
    fn a_handle_belongs_to_one_account() {
        let twice = [codec::encode(&created(1, "ana", 1)), codec::encode(&created(2, "ana", 2))];
        let finding = audited(&twice, &[]).unwrap_err();
        assert_eq!(finding.kind, EvidenceKind::HandleTwice);
        assert!(finding.what.contains("@ana"));
    }

    /// G03: the registry signs a history that is not the published one.
    #[test]
    fn g03_a_head_of_another_history_is_a_split_view() {
        let log = log();
        let mut other = log.clone();
        other[1] = codec::encode(&created(3, "eve", 9));
        let finding = audited(&log, &[head(&other[..3], 50)]).unwrap_err();
        assert_eq!(finding.kind, EvidenceKind::SplitView);
        assert_eq!(finding.exhibits[0].1, codec::encode(&head(&other[..3], 50)));
    }

    #[test]
    fn a_head_beyond_the_published_log_and_one_that_went_back_are_found() {
        let log = log();
        assert_eq!(audited(&log[..3], &[head(&log, 50)]).unwrap_err().kind, EvidenceKind::MissingEntry);
        let heads = [head(&log, 50), head(&log[..3], 50)];
        let open = |signed| TreeHead::open(signed, &key(50).verifying_key().to_bytes()).unwrap();
        let (long, short) = (open(&heads[0]), open(&heads[1]));
        assert!(agree((&short, &heads[1]), (&long, &heads[0])).is_ok());
        assert_eq!(agree((&long, &heads[0]), (&short, &heads[1])).unwrap_err().kind, EvidenceKind::Rollback);
        // Signed by somebody else.
        assert_eq!(audited(&log, &[head(&log, 51)]).unwrap_err().kind, EvidenceKind::BadEntry);
    }
}
