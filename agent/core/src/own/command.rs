//! Requests about the own account, profiles and devices.

use cipher_api::command::{AccountCommand as A, DeviceCommand as D, account, device};
use cipher_api::{Reply, Result};

use crate::input::Ticket;
use crate::machine::Core;

impl Core {
    /// Does what is asked of the own account; `None` when the answer comes later.
    pub(crate) fn account_command(&mut self, ticket: Ticket, command: A) -> Result<Option<Reply>> {
        match command {
            A::Register(account::Register { handle, name, bot, invite_code }) => {
                self.register(ticket, handle, name, bot, invite_code)
            }
            A::PhraseShown(account::PhraseShown {}) => self.phrase_shown().map(Some),
            A::Show(account::Show {}) => Ok(Some(self.state.own_account()?.into())),
            // That a person is here was noted when the command came.
            A::Active(account::Active {}) => Ok(Some(Reply::Done)),
            A::SetProfile(account::SetProfile { name, status, presence }) => {
                self.set_profile(ticket, name, status, presence)
            }
            A::ShowProfile(account::ShowProfile { handle }) => self.show_profile(ticket, handle),
            A::SetRequests(account::SetRequests { policy }) => self.set_request_policy(policy).map(Some),
            A::SetReceipts(account::SetReceipts { on }) => self.set_receipts(on).map(Some),
        }
    }

    /// Does what is asked of own devices; `None` when the answer comes later.
    pub(crate) fn device_command(&mut self, ticket: Ticket, command: D) -> Result<Option<Reply>> {
        match command {
            D::List(device::List {}) => self.devices().map(Some),
            D::Link(device::Link { name }) => self.device_link(name).map(Some),
            D::Approve(device::Approve { code, history }) => self.device_approve(ticket, &code, history),
            D::Confirm(device::Confirm { code, equal }) => self.device_confirm(ticket, &code, equal),
            D::Rename(device::Rename { device, name }) => self.device_rename(&device, name).map(Some),
            D::Revoke(device::Revoke { device }) => self.device_revoke(ticket, &device),
            D::Resume(device::Resume {}) => self.device_resume().map(Some),
            D::Recover(device::Recover { phrase, name }) => self.device_recover(ticket, &phrase, name),
            D::Backup(device::Backup { behind }) => self.device_backup(behind.as_deref()).map(Some),
            D::Restore(device::Restore { part }) => self.device_restore(&part).map(Some),
            D::Return(device::Return { name, keep_devices, signature }) => {
                self.device_return(ticket, name, keep_devices, signature)
            }
        }
    }
}
