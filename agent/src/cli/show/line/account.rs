//! Lines of accounts and their devices.

use cipher_api::view::{AccountView, DeviceView};

use crate::cli::show::line::Line;

impl<'a> Line<'a> {
    /// An account.
    pub const fn account(account: &'a AccountView) -> Self {
        Self::Account { account, phrase: None }
    }

    /// A device.
    pub fn device(device: &'a DeviceView) -> Self {
        Self::Device {
            device_id: device.device_id,
            name: &device.name,
            kind: device.kind,
            current: device.current,
            created_at: device.created_at.to_string(),
            revoked: device.revoked,
        }
    }
}
