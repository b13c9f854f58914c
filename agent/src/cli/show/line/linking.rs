//! The steps of linking a device.

use cipher_api::view::{DeviceView, LinkCodeView, LinkCompareView};
use cipher_broker::id::DeviceId;
use serde::Serialize;

/// A step of linking a device as scripts see it: `code`, `compare`, `linked`, `failed`, `done` on the new one,
/// `compare`, `registered`, `done` on the one that approves.
#[derive(Debug, Default, Serialize)]
pub struct LinkLine<'a> {
    /// Which step.
    pub stage: &'a str,
    /// The code to approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    /// The same as a QR code says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<&'a str>,
    /// Until when the code is good, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What both sides show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<&'a str>,
    /// What the other side says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<&'a str>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<&'a str>,
    /// The new device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Groups it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

impl<'a> LinkLine<'a> {
    /// A code waits to be approved.
    pub fn code(code: &'a LinkCodeView) -> Self {
        Self {
            stage: "code",
            code: Some(&code.code),
            uri: Some(&code.uri),
            expires: Some(code.expires.to_string()),
            ..Self::default()
        }
    }

    /// Both sides know what to compare.
    pub fn compare(compare: &'a LinkCompareView) -> Self {
        Self {
            stage: "compare",
            code: Some(&compare.code),
            string: Some(&compare.string),
            other: Some(&compare.other),
            ..Self::default()
        }
    }

    /// This device is the account's.
    pub fn linked(handle: &'a str) -> Self {
        Self { stage: "linked", handle: Some(handle), ..Self::default() }
    }

    /// It ended, and nothing was changed.
    pub fn failed(reason: &'a str) -> Self {
        Self { stage: "failed", reason: Some(reason), ..Self::default() }
    }

    /// Groups and history are here.
    pub fn done(handle: &'a str, groups: usize) -> Self {
        Self { stage: "done", handle: Some(handle), groups: Some(groups), ..Self::default() }
    }

    /// The registry has the new device.
    pub fn registered(device: &'a DeviceView) -> Self {
        Self {
            stage: "registered",
            device_id: Some(device.device_id),
            other: Some(&device.name),
            ..Self::default()
        }
    }

    /// Everything for the new device has left.
    pub fn sent(device: &'a DeviceView) -> Self {
        Self {
            stage: "done",
            device_id: Some(device.device_id),
            other: Some(&device.name),
            ..Self::default()
        }
    }
}
