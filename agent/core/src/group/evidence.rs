//! Statements of accounts that a commit shows: what allows the removal of a revoked device, and the return of a
//! recovered account, to members whose role would not.
//!
//! Pure: everything is judged by the bytes of the commit and the certificates of leaves.

use std::collections::BTreeMap;

use cipher_broker::account_log;
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::Signed;
use cipher_broker::wire::statement::{Statement, StatementKind};

use crate::state::roster::Leaf;

/// A statement that verifies under the account key of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownStatement {
    /// What it says.
    pub statement: Statement,
    /// As it was signed.
    pub signed: Signed,
}

/// Of what a commit shows, that which verifies under the key of one of these accounts. The rest counts for nothing.
pub(super) fn verified(evidence: &[Signed], keys: &BTreeMap<AccountId, [u8; 32]>) -> Vec<ShownStatement> {
    let shown = evidence.iter().filter_map(|signed| {
        let named: Statement = codec::decode(&signed.body).ok()?;
        let statement = account_log::read(signed, keys.get(&named.account)?).ok()?;
        Some(ShownStatement { statement, signed: signed.clone() })
    });
    shown.collect()
}

impl ShownStatement {
    /// Whether the account says that this leaf is its own no more.
    ///
    /// A device is revoked for ever, so an old revocation says nothing false when it is shown again. A recovery
    /// revokes what was there before it: never the device it brings, nor any that was certified later.
    pub(super) fn revokes(&self, leaf: &Leaf) -> bool {
        self.statement.account == leaf.account
            && match &self.statement.claim {
                StatementKind::RevokeDevice { device } => *device == leaf.device,
                StatementKind::Recover { device, .. } => {
                    *device != leaf.device && leaf.issued_at < self.statement.at
                }
                StatementKind::Create { .. } | StatementKind::AddDevice { .. } | _ => false,
            }
    }

    /// Whether the account says that it goes on with exactly this leaf's device and certificate.
    pub(super) fn brings(&self, leaf: &Leaf) -> bool {
        self.statement.account == leaf.account
            && matches!(&self.statement.claim, StatementKind::Recover { device, certificate }
                if *device == leaf.device && *certificate == leaf.certificate)
    }

    /// The device that a recovery brings.
    pub(super) const fn recovered(&self) -> Option<DeviceId> {
        match &self.statement.claim {
            StatementKind::Recover { device, .. } => Some(*device),
            _ => None,
        }
    }

    /// Whether it revokes this one device of this account by name.
    pub(super) fn names(&self, account: &AccountId, gone: &DeviceId) -> bool {
        self.statement.account == *account
            && matches!(&self.statement.claim, StatementKind::RevokeDevice { device } if device == gone)
    }
}

#[cfg(test)]
mod tests {
    use cipher_broker::sign::Purpose;
    use cipher_broker::time::Timestamp;
    use ed25519_dalek::SigningKey;

    use super::*;

    /// A08 class: what another key signed, or signed for another purpose, counts for nothing.
    #[test]
    fn r_commit_13_only_what_the_account_itself_signed_is_evidence() {
        let (key, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let public = key.verifying_key().to_bytes();
        let account = AccountId::of_key(&public);
        let device = DeviceId::from_bytes([3; 16]);
        let statement = Statement {
            account,
            sequence: 4,
            previous: [5; 32],
            at: Timestamp::from_millis(6),
            claim: StatementKind::RevokeDevice { device },
        };
        let body = codec::encode(&statement);
        let good = Signed::new(&key, Purpose::AccountStatement, body.clone());
        let forged = Signed::new(&other, Purpose::AccountStatement, body.clone());
        let twisted = Signed::new(&key, Purpose::Profile, body);
        let noise = Signed { body: vec![1, 2, 3], signature: vec![] };
        let keys = BTreeMap::from([(account, public)]);
        let shown = verified(&[noise, forged, good.clone(), twisted], &keys);
        assert_eq!(shown, [ShownStatement { statement, signed: good.clone() }]);
        assert_eq!(verified(&[good], &BTreeMap::new()), [], "nobody here has that account");
    }
}
