//! Junk at a rate, on the subjects of one group: bounded in number and time, on the testbed's own broker alone.

use std::time::Duration;

use async_nats::Client;
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;
use tokio::time::{Instant, MissedTickBehavior};

use crate::failure::{Result, ensure};

/// Between two handfuls.
const TICK: Duration = Duration::from_millis(10);
/// No test or bench may publish more than this in one go.
const MOST: u32 = 500_000;

/// Junk that looks right from outside: whoever reads a log sees group, epoch and kind of every message in it, and can
/// write the same on bytes that nobody sealed.
pub fn looks_right(group: &GroupId, epoch: u64, handshake: bool) -> Vec<u8> {
    // RFC 9420 §6: version mls10, wire format PrivateMessage, group, epoch, content type, no authenticated data.
    let mut mls = vec![0, 1, 0, 2, 16];
    mls.extend_from_slice(group.as_bytes());
    mls.extend_from_slice(&epoch.to_be_bytes());
    mls.extend_from_slice(&[if handshake { 3 } else { 1 }, 0]);
    // Encrypted sender data and ciphertext, each behind its length (RFC 9000 §16).
    mls.push(28);
    mls.extend_from_slice(&[0x5A; 28]);
    mls.extend_from_slice(&[0x41, 0x40]);
    mls.extend_from_slice(&[0xA5; 0x140]);
    codec::encode(&Envelope::Message(mls))
}

/// Publishes so many a second for so long; gives how many it were.
pub async fn flood(
    client: &Client,
    route: Route,
    bytes: Vec<u8>,
    per_second: u32,
    time: Duration,
) -> Result<u32> {
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    ensure(per_second.saturating_mul(seconds) <= MOST, || "that is more than a flood may be".into())?;
    let (subject, bytes) = (route.to_string(), bytes::Bytes::from(bytes));
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut published) = (Instant::now(), 0u32);
    while began.elapsed() < time {
        clock.tick().await;
        let due = began.elapsed().as_secs_f64() * f64::from(per_second);
        while f64::from(published) < due && published < MOST {
            client.publish(subject.clone(), bytes.clone()).await?;
            published += 1;
        }
        client.flush().await?;
    }
    Ok(published)
}
