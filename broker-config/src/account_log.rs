//! The log of one account: which signed statement may follow which, and which devices the account has by them.
//!
//! Registry, agents and auditors judge by this one function, so what one takes the others take. Pure: no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::certificate::{CertificateBody, CertificateError, DeviceCertificate};
use crate::codec;
use crate::handle::Handle;
use crate::id::{AccountId, DeviceId};
use crate::limit;
use crate::sign::{Purpose, Signed, wire_hash};
use crate::time::Timestamp;
use crate::wire::statement::{Statement, StatementKind};

/// The log of an account, replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLog {
    /// The account.
    #[serde(rename = "a")]
    account: AccountId,
    /// Its account key.
    #[serde(rename = "k", with = "serde_bytes")]
    key: [u8; 32],
    /// The handle it claimed.
    #[serde(rename = "h")]
    handle: Handle,
    /// Every statement, oldest first.
    #[serde(rename = "s")]
    statements: Vec<Signed>,
    /// Every device that ever was.
    #[serde(rename = "d")]
    devices: BTreeMap<DeviceId, DeviceState>,
}

/// What the log says of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// SHA-256 of its encoded certificate.
    #[serde(rename = "c", with = "serde_bytes")]
    pub certificate: [u8; 32],
    /// When it was stated, by the account's clock.
    #[serde(rename = "t")]
    pub since: Timestamp,
    /// Position of the statement that brought it.
    #[serde(rename = "b")]
    pub brought_by: u64,
    /// Position of the statement that revoked it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<u64>,
}

impl DeviceState {
    /// Whether the device is the account's.
    pub const fn is_active(&self) -> bool {
        self.revoked_by.is_none()
    }
}

/// Why a statement does not continue a log, or certificates do not fit it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not signed by the account key.
    #[error("a statement is not signed by the account key")]
    Signature,
    /// Cannot be decoded.
    #[error("a statement cannot be read")]
    Malformed,
    /// Of another account.
    #[error("a statement belongs to another account")]
    WrongAccount,
    /// Not the next one, or does not carry the hash of the one before.
    #[error("a statement does not follow the one before")]
    Order,
    /// A log begins with exactly one creation.
    #[error("a log begins with one creation and has no other")]
    Creation,
    /// A device comes once.
    #[error("a statement brings a device that was there before")]
    KnownDevice,
    /// Revokes what is not there.
    #[error("a statement revokes a device that the account does not have")]
    UnknownDevice,
    /// Revokes the last device.
    #[error("the last device of an account cannot be revoked, only replaced by a recovery")]
    LastDevice,
    /// Too many.
    #[error("an account has at most {} active devices", limit::DEVICES_PER_ACCOUNT)]
    TooManyDevices,
    /// Too long.
    #[error("an account makes at most {} statements", limit::STATEMENTS_PER_ACCOUNT)]
    TooLong,
    /// A certificate does not verify.
    #[error("a certificate is not valid: {0}")]
    Certificate(#[from] CertificateError),
    /// A certificate is not the one that the statement names, or is missing.
    #[error("a certificate is missing or is not the one that its statement names")]
    OtherCertificate,
    /// A certificate of a device that no statement brought, or that was revoked: a ghost.
    #[error("device {0} is shown as the account's, but the account never said so, or revoked it")]
    Ghost(DeviceId),
}

impl AccountLog {
    /// Begins a log with its first statement and the certificate of the first device.
    pub fn begin(statement: &Signed, certificate: &DeviceCertificate) -> Result<Self, LogError> {
        let body = certificate.verify()?;
        let stated = read(statement, &body.account_key)?;
        let StatementKind::Create { handle, certificate: named } = &stated.claim else {
            return Err(LogError::Creation);
        };
        if stated.account != body.account {
            return Err(LogError::WrongAccount);
        }
        if stated.sequence != 0 || stated.previous != [0; 32] {
            return Err(LogError::Order);
        }
        if *named != wire_hash(&certificate.to_bytes()) {
            return Err(LogError::OtherCertificate);
        }
        let first = DeviceState { certificate: *named, since: stated.at, brought_by: 0, revoked_by: None };
        Ok(Self {
            account: body.account,
            key: body.account_key,
            handle: handle.clone(),
            statements: vec![statement.clone()],
            devices: BTreeMap::from([(body.device, first)]),
        })
    }

    /// Continues the log. `certificate` is that of the device which the statement brings, for claims that bring
    /// one. On error nothing changed.
    pub fn append(
        &mut self,
        statement: &Signed,
        certificate: Option<&DeviceCertificate>,
    ) -> Result<(), LogError> {
        let (next, stated) = self.follows(statement)?;
        if let StatementKind::AddDevice { device, certificate: named }
        | StatementKind::Recover { device, certificate: named } = &stated.claim
        {
            let certificate = certificate.ok_or(LogError::OtherCertificate)?;
            let body = certificate.verify()?;
            if wire_hash(&certificate.to_bytes()) != *named
                || body.account != self.account
                || body.device != *device
            {
                return Err(LogError::OtherCertificate);
            }
        }
        self.apply(next, statement, &stated)
    }

    /// Replays a whole log. Certificates are needed of active devices only; every one that is given must be of
    /// one ([`LogError::Ghost`] otherwise), and none may be missing. Gives the active devices' certificates,
    /// verified.
    pub fn replay(
        statements: &[Signed],
        certificates: &[DeviceCertificate],
    ) -> Result<(Self, Vec<CertificateBody>), LogError> {
        let bodies: Vec<CertificateBody> =
            certificates.iter().map(DeviceCertificate::verify).collect::<Result<_, _>>()?;
        let key = bodies.first().ok_or(LogError::OtherCertificate)?.account_key;
        let (first, rest) = statements.split_first().ok_or(LogError::Creation)?;
        let stated = read(first, &key)?;
        let StatementKind::Create { handle, certificate } = &stated.claim else {
            return Err(LogError::Creation);
        };
        if stated.account != AccountId::of_key(&key) {
            return Err(LogError::WrongAccount);
        }
        if stated.sequence != 0 || stated.previous != [0; 32] {
            return Err(LogError::Order);
        }
        let mut log = Self {
            account: stated.account,
            key,
            handle: handle.clone(),
            statements: vec![first.clone()],
            devices: BTreeMap::new(),
        };
        // The first statement names its device by the certificate only, which may be gone when it was revoked:
        // then the statement that revokes it, or a recovery, tells it.
        let first_device = certificates
            .iter()
            .zip(&bodies)
            .find(|(encoded, _)| wire_hash(&encoded.to_bytes()) == *certificate)
            .map(|(_, body)| body.device);
        let state =
            DeviceState { certificate: *certificate, since: stated.at, brought_by: 0, revoked_by: None };
        log.devices.insert(first_device.unwrap_or(UNNAMED), state);
        for statement in rest {
            let (next, stated) = log.follows(statement)?;
            if let StatementKind::RevokeDevice { device } = &stated.claim
                && !log.devices.contains_key(device)
                && let Some(first) = log.devices.remove(&UNNAMED)
            {
                log.devices.insert(*device, first);
            }
            log.apply(next, statement, &stated)?;
        }
        for (encoded, body) in certificates.iter().zip(&bodies) {
            let hash = wire_hash(&encoded.to_bytes());
            let fits = |state: &&DeviceState| state.is_active() && state.certificate == hash;
            if body.account != log.account || log.devices.get(&body.device).filter(fits).is_none() {
                return Err(LogError::Ghost(body.device));
            }
        }
        let shown = |device: &DeviceId| bodies.iter().any(|body| body.device == *device);
        if !log.active().all(|(device, _)| shown(device)) {
            return Err(LogError::OtherCertificate);
        }
        Ok((log, bodies))
    }

    /// Takes over from an earlier state of this log which device the first statement brought: a replay without its
    /// certificate may not know it, see [`Self::replay`].
    pub fn recall(&mut self, earlier: &Self) {
        let first =
            earlier.devices.iter().find(|(_, state)| state.brought_by == 0).map(|(device, _)| *device);
        if let Some(first) = first
            && self.continues(earlier)
            && !self.devices.contains_key(&first)
            && let Some(state) = self.devices.remove(&UNNAMED)
        {
            self.devices.insert(first, state);
        }
    }

    fn follows(&self, statement: &Signed) -> Result<(u64, Statement), LogError> {
        let stated = read(statement, &self.key)?;
        if stated.account != self.account {
            return Err(LogError::WrongAccount);
        }
        if self.statements.len() >= limit::STATEMENTS_PER_ACCOUNT {
            return Err(LogError::TooLong);
        }
        let next = self.len();
        if stated.sequence != next || stated.previous != self.tip() {
            return Err(LogError::Order);
        }
        Ok((next, stated))
    }

    fn apply(&mut self, next: u64, statement: &Signed, stated: &Statement) -> Result<(), LogError> {
        let active = self.active().count();
        let brings = |certificate: &[u8; 32]| DeviceState {
            certificate: *certificate,
            since: stated.at,
            brought_by: next,
            revoked_by: None,
        };
        match &stated.claim {
            StatementKind::Create { .. } => return Err(LogError::Creation),
            StatementKind::AddDevice { device, .. } | StatementKind::Recover { device, .. }
                if self.devices.contains_key(device) =>
            {
                return Err(LogError::KnownDevice);
            }
            StatementKind::AddDevice { .. } if active >= limit::DEVICES_PER_ACCOUNT => {
                return Err(LogError::TooManyDevices);
            }
            StatementKind::AddDevice { device, certificate } => {
                self.devices.insert(*device, brings(certificate));
            }
            StatementKind::RevokeDevice { device } => {
                if !self.is_active(device) {
                    return Err(LogError::UnknownDevice);
                }
                if active <= 1 {
                    return Err(LogError::LastDevice);
                }
                if let Some(state) = self.devices.get_mut(device) {
                    state.revoked_by = Some(next);
                }
            }
            StatementKind::Recover { device, certificate } => {
                for state in self.devices.values_mut().filter(|state| state.is_active()) {
                    state.revoked_by = Some(next);
                }
                self.devices.insert(*device, brings(certificate));
            }
        }
        self.statements.push(statement.clone());
        Ok(())
    }

    /// The account.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Its account key.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The handle it claimed.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Number of statements.
    pub const fn len(&self) -> u64 {
        self.statements.len() as u64
    }

    /// Never: a log has its first statement.
    pub const fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Every statement, oldest first.
    pub fn statements(&self) -> &[Signed] {
        &self.statements
    }

    /// What the next statement must carry.
    pub fn tip(&self) -> [u8; 32] {
        self.statements.last().map_or([0; 32], leaf)
    }

    /// Every device that ever was, by id. The first one is missing its id while it is known by a certificate that
    /// is gone.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &DeviceState)> {
        self.devices.iter().filter(|(device, _)| **device != UNNAMED)
    }

    /// The devices of the account now.
    pub fn active(&self) -> impl Iterator<Item = (&DeviceId, &DeviceState)> {
        self.devices.iter().filter(|(_, state)| state.is_active())
    }

    /// Whether a device is the account's now.
    pub fn is_active(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_some_and(DeviceState::is_active)
    }

    /// Whether the account revoked a device: what was never its own was not revoked.
    pub fn is_revoked(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_some_and(|state| !state.is_active())
    }

    /// The statement that revoked a device: what lets anybody remove it from a group.
    pub fn revocation(&self, device: &DeviceId) -> Option<&Signed> {
        let by = self.devices.get(device)?.revoked_by?;
        self.statements.get(usize::try_from(by).ok()?)
    }

    /// The same for a leaf, known by its device or by its certificate: the id of an account's first device may not be
    /// known any more, see [`Self::replay`].
    pub fn revocation_of(&self, device: &DeviceId, certificate: &[u8; 32]) -> Option<&Signed> {
        let known = self.devices.get(device);
        let state = known
            .or_else(|| self.devices.get(&UNNAMED).filter(|unnamed| unnamed.certificate == *certificate))?;
        self.statements.get(usize::try_from(state.revoked_by?).ok()?)
    }

    /// The latest recovery, if there was one.
    pub fn recovery(&self) -> Option<(&Signed, Statement)> {
        self.statements.iter().rev().find_map(|signed| {
            let statement: Statement = codec::decode(&signed.body).ok()?;
            matches!(statement.claim, StatementKind::Recover { .. }).then_some((signed, statement))
        })
    }

    /// A time for the next statement that is not before any other of this log, so that "stated later" and "certified
    /// later" can be compared: `now`, or just behind the latest statement when a clock went backwards.
    pub fn stamp(&self, now: Timestamp) -> Timestamp {
        let last: Option<Statement> =
            self.statements.last().and_then(|signed| codec::decode(&signed.body).ok());
        last.map_or(now, |last| now.max(last.at.plus(std::time::Duration::from_millis(1))))
    }

    /// The statement that brought a device.
    pub fn introduction(&self, device: &DeviceId) -> Option<&Signed> {
        let by = self.devices.get(device)?.brought_by;
        self.statements.get(usize::try_from(by).ok()?)
    }

    /// Whether this log is `other`, continued or as it is.
    pub fn continues(&self, other: &Self) -> bool {
        self.key == other.key && self.statements.starts_with(&other.statements)
    }

    /// Checks a log that was decoded from bytes: every signature, the chain, and that its devices are what the
    /// statements say. Needs no certificates: which device the first statement brought is taken on the word of
    /// whoever encoded the log.
    pub fn check(&self) -> Result<(), LogError> {
        let (first, rest) = self.statements.split_first().ok_or(LogError::Creation)?;
        let stated = read(first, &self.key)?;
        let StatementKind::Create { handle, certificate } = &stated.claim else {
            return Err(LogError::Creation);
        };
        if self.account != AccountId::of_key(&self.key) || stated.account != self.account {
            return Err(LogError::WrongAccount);
        }
        if stated.sequence != 0 || stated.previous != [0; 32] {
            return Err(LogError::Order);
        }
        let brought = self.devices.iter().find(|(_, state)| state.brought_by == 0);
        let (device, state) = brought.ok_or(LogError::OtherCertificate)?;
        let state = DeviceState { revoked_by: None, since: stated.at, ..state.clone() };
        if state.certificate != *certificate || *handle != self.handle {
            return Err(LogError::OtherCertificate);
        }
        let mut log = Self {
            account: self.account,
            key: self.key,
            handle: handle.clone(),
            statements: vec![first.clone()],
            devices: BTreeMap::from([(*device, state)]),
        };
        for statement in rest {
            let (next, stated) = log.follows(statement)?;
            log.apply(next, statement, &stated)?;
        }
        if log == *self { Ok(()) } else { Err(LogError::OtherCertificate) }
    }

    /// The next statement for a claim, to be signed by the account key.
    pub fn next(&self, at: Timestamp, claim: StatementKind) -> Statement {
        Statement { account: self.account, sequence: self.len(), previous: self.tip(), at, claim }
    }
}

/// Stands for the first device while nothing tells its id.
const UNNAMED: DeviceId = DeviceId::from_bytes([0; 16]);

/// The leaf that a statement is in the tree: the hash that the next statement carries too.
pub fn leaf(statement: &Signed) -> [u8; 32] {
    wire_hash(&codec::encode(statement))
}

/// Verifies and reads one statement.
pub fn read(statement: &Signed, account_key: &[u8; 32]) -> Result<Statement, LogError> {
    let body = statement.verified(account_key, Purpose::AccountStatement).map_err(|_| LogError::Signature)?;
    codec::decode(body).map_err(|_| LogError::Malformed)
}

#[cfg(test)]
#[path = "account_log_test.rs"]
mod tests;
