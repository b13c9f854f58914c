//! Fills a store quickly, for measurements and nothing else.

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{AccountRecord, SignedProfile};
use cipher_broker::wire::statement::LogEntry;

use crate::error::StoreError;
use crate::store::{Store, Txn, account, log, stock};

/// Accounts in one transaction.
const BATCH: usize = 5_000;

/// One account with one device, as it is to lie in the store.
#[derive(Debug)]
pub struct Filled {
    /// Its handle.
    pub handle: Handle,
    /// Its id.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// The key of the device.
    pub device_key: [u8; 32],
    /// Its first statement.
    pub statement: Signed,
    /// The certificate of its device.
    pub certificate: DeviceCertificate,
    /// Its profile.
    pub profile: SignedProfile,
    /// One-time key packages: suite, end of lifetime, bytes.
    pub packages: Vec<(u16, Timestamp, Vec<u8>)>,
}

/// Writes accounts as they are. **Nothing is verified**: a registry that serves people is filled by their requests,
/// or by an import.
pub fn fill_unverified(store: &Store, accounts: impl IntoIterator<Item = Filled>) -> Result<u64, StoreError> {
    let mut accounts = accounts.into_iter();
    let mut written = 0_u64;
    loop {
        let mut batch: Vec<Filled> = accounts.by_ref().take(BATCH).collect();
        // Neighbours in the tables are written one after the other.
        batch.sort_by_key(|filled| filled.account);
        if batch.is_empty() {
            return Ok(written);
        }
        written = written.saturating_add(batch.len() as u64);
        let txn = store.begin()?;
        {
            let mut tables = Txn::of(&txn)?;
            for filled in batch {
                write(filled, &mut tables)?;
            }
        }
        store.commit(txn)?;
    }
}

fn write(filled: Filled, txn: &mut Txn<'_>) -> Result<(), StoreError> {
    let Filled { handle, account, device, device_key, statement, certificate, profile, packages } = filled;
    let entry = LogEntry { statement: statement.clone(), certificate: Some(certificate.clone()) };
    account::claim(&mut txn.handles, &handle, &account)?;
    account::enrol(&mut txn.devices, &account, &device, &device_key)?;
    let (statements, certificates) = (vec![statement], vec![certificate]);
    let record = AccountRecord { handle, account, statements, certificates, profile, inclusion: None };
    account::put(&mut txn.accounts, &record)?;
    log::append(txn, &account, &entry)?;
    for (suite, not_after, bytes) in packages {
        stock::push(
            &mut txn.stock,
            &mut txn.shelves,
            &stock::Shelf { account, device, suite },
            not_after,
            &bytes,
        )?;
    }
    Ok(())
}
