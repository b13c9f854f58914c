//! Hints to devices: look at your account and your stock. Best effort: a device looks by itself now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use tokio::sync::mpsc;

/// A device is told at most this often.
const PAUSE: Duration = Duration::from_secs(60);
/// Hints that may wait to be sent; further ones are dropped.
const WAITING: usize = 4096;
/// Devices remembered; when there are more, those told longest ago may be told again early.
const REMEMBERED: usize = 100_000;

/// Who was told when, and the way out.
#[derive(Debug)]
pub(crate) struct Hints {
    told: Mutex<HashMap<DeviceId, Timestamp>>,
    out: mpsc::Sender<DeviceId>,
    waiting: Mutex<Option<mpsc::Receiver<DeviceId>>>,
}

impl Default for Hints {
    fn default() -> Self {
        let (out, waiting) = mpsc::channel(WAITING);
        Self { told: Mutex::default(), out, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Hints {
    /// Tells devices, unless they were told within the minute.
    pub(crate) fn tell(&self, devices: Vec<DeviceId>, now: Timestamp) {
        if devices.is_empty() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.retain(|_, at| now.since(*at) < PAUSE);
            if told.len() >= REMEMBERED {
                told.clear();
            }
        }
        for device in devices {
            if told.get(&device).is_some_and(|at| now.since(*at) < PAUSE) {
                continue;
            }
            // When nobody takes them, or too slowly, a hint is lost: no harm.
            if self.out.try_send(device).is_ok() {
                told.insert(device, now);
            }
        }
    }

    /// Devices to tell; the first who asks gets them.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<DeviceId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_once_a_minute() {
        let hints = Hints::default();
        let mut out = hints.take().unwrap();
        let (one, two) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        for (devices, secs) in [(vec![one], 0), (vec![one, two], 59), (vec![one], 60)] {
            hints.tell(devices, at(secs));
        }
        let mut sent = Vec::new();
        while let Ok(device) = out.try_recv() {
            sent.push(device);
        }
        assert_eq!(sent, [one, two, one]);
        assert!(hints.take().is_none());
    }
}
