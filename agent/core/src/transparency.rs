//! What the registry is held to: heads of the account log, proofs between them, and evidence when they do not fit.

use cipher_broker::account_log::AccountLog;
use cipher_broker::id::AccountId;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::Result;
use crate::reply::Reply;
use crate::view::{EvidenceView, HeadView};

/// Something found against the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EvidenceRow {
    /// As shown.
    #[serde(rename = "v")]
    pub view: EvidenceView,
}

impl Core {
    /// The log of an account as far as it was seen here, the own one's too.
    pub(crate) fn log_of(&self, account: &AccountId) -> Option<&AccountLog> {
        match &self.state.identity {
            Some(own) if own.account == *account => own.log.as_ref(),
            _ => self.state.accounts.get(account)?.log.as_ref(),
        }
    }

    pub(crate) fn evidence(&self) -> Reply {
        Reply::Evidence(self.state.evidence.iter().map(|(_, row)| row.view.clone()).collect())
    }

    pub(crate) fn head_known(&self) -> Reply {
        let meta = &self.state.meta;
        Reply::Head(Box::new(HeadView {
            registry_key: meta.registry_key.as_ref().map(|key| key.to_vec()).unwrap_or_default(),
            head: meta.head.clone(),
            size: 0,
            log_cursor: meta.log_cursor.unwrap_or(0),
        }))
    }

    /// The registry hints that there is something to look at.
    pub(crate) fn hinted(&mut self) -> Result<()> {
        if self.registered() && self.run.connected {
            self.ask_stock();
        }
        Ok(())
    }
}
