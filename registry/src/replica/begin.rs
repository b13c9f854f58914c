//! Begins the log of the replicas anew on the rows of one folder: the brokers have lost the old one, and what it led to
//! is in the folders of the registries still (`docs/adr/0022-hosts.md`).
//!
//! Nothing is copied to the broker here. The folder forgets which log it followed; the next replica that starts on
//! these rows, in this folder or in a copy of it, writes the first record on top of them.

use std::path::Path;

use serde_json::{Value, json};

use crate::connect::{connect, redacted};
use crate::error::{Cause, Error, StoreError};
use crate::key::RegistryKey;
use crate::replica::health;
use crate::replica_log::log::{Log, LogName};
use crate::replica_log::position::Position;
use crate::replica_log::record;
use crate::settings::Settings;
use crate::store::{Store, log};

/// What a folder holds, and how far it had followed the log.
pub(crate) fn show(data_dir: &Path) -> Result<Value, Error> {
    let (_, held) = held(data_dir)?;
    Ok(held.told("held"))
}

/// Begins the log anew. `drop_log`: what is left of the old one at the broker is thrown away.
pub(crate) async fn begin(settings: &Settings, drop_log: bool) -> Result<Value, Error> {
    let (store, held) = held(&settings.data_dir)?;
    RegistryKey::load(settings)?;
    let client = connect(settings, "_INBOX").await?;
    let server = redacted(&settings.server);
    let failed =
        |reason: Cause| Error::Broker { doing: "cannot look at the log", server: server.clone(), reason };
    let replicas = health::ask(&client, &LogName::default()).await.map_err(failed)?;
    if !replicas.is_empty() {
        return Err(Error::Occupied { server });
    }
    let log = Log::new(client, LogName::default());
    let left = log.length().await.map_err(|reason| failed(reason.into()))?;
    let dropped = match (left, held.position) {
        // R-REG-25: a log that has all that this folder has is never thrown away.
        (Some(last), position) if last > 0 && last >= position.map_or(0, |position| position.applied) => {
            let ours = match position {
                None => false,
                Some(position) => {
                    let there = log.get(position.applied).await.map_err(|reason| failed(reason.into()))?;
                    there.is_some_and(|bytes| record::hash(&bytes) == position.hash)
                }
            };
            if ours || !drop_log {
                return Err(Error::LogThere { last, ours });
            }
            true
        }
        (Some(last), _) if last > 0 => {
            if !drop_log {
                return Err(Error::LogThere { last, ours: false });
            }
            true
        }
        (Some(_) | None, _) => false,
    };
    if dropped {
        log.delete().await.map_err(|reason| failed(reason.into()))?;
    }
    Position::forget(&store)?;
    let mut told = held.told("log-begun");
    if let Some(told) = told.as_object_mut() {
        told.insert("dropped".into(), left.filter(|_| dropped).unwrap_or(0).into());
    }
    Ok(told)
}

/// What a folder holds.
struct Held {
    position: Option<Position>,
    statements: u64,
}

impl Held {
    fn told(&self, kind: &str) -> Value {
        let followed = self.position.map(|position| position.applied);
        json!({ "type": kind, "statements": self.statements, "followed": followed })
    }
}

/// Opens a folder that must hold a store: making an empty one here would look like losing everything.
fn held(data_dir: &Path) -> Result<(Store, Held), Error> {
    if !Store::is_in(data_dir) {
        return Err(Error::NotFound(format!("there is no store of a registry in {}", data_dir.display())));
    }
    let store = Store::open_folder(data_dir)?;
    let txn = store.begin()?;
    let position = Position::read(&txn)?;
    txn.abort().map_err(StoreError::from)?;
    let statements = log::size(&store.view())?;
    Ok((store, Held { position, statements }))
}
