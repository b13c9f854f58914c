//! Messages per second: the core against OpenMLS, the whole agent against JetStream.

use std::time::Instant;

use cipher_api::command::status;
use cipher_broker::id::GroupId;
use cipher_chat::session::Need;
use futures::StreamExt;
use testbed::{Result, ensure};

use crate::Extent;
use crate::brain::Brain;
use crate::figure::{Figure, Goal, Report, number};
use crate::lab::{Lab, core, send, words};
use crate::raw;

/// Sizes of texts.
const SIZES: [usize; 2] = [256, 4096];
/// Messages a writer has under way.
const WINDOW: usize = cipher_broker::limit::IN_FLIGHT_PER_GROUP;

/// Sealing and opening alone, with the store on disk, one thread.
pub(crate) async fn raw_and_core(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    for members in extent.groups {
        let room = lab.room(*members).await?;
        let mut pair = raw::Pair::of(*members)?;
        for size in SIZES {
            let count = extent.messages;
            let (raw_send, raw_receive) = pair.rates(count, size)?;

            let mut alice = Brain::open(&room.alice, room.group)?;
            let (before, written) = (alice.commits(), written());
            let begun = Instant::now();
            let log = alice.send(count, size)?;
            let sending = number(count) / begun.elapsed().as_secs_f64();
            let written = number(self::written().saturating_sub(written)) / number(count);
            let commits = alice.commits() - before;
            let name = format!(
                "core send, {members} members, {size} B: written in {commits} transactions, per message"
            );
            report.tell(&Figure::new(name, written, "B"));
            drop(alice);

            let mut bob = Brain::open(&room.bob, room.group)?;
            let begun = Instant::now();
            let (shown, _) = bob.receive(log)?;
            let receiving = number(count) / begun.elapsed().as_secs_f64();
            ensure(shown >= count, || format!("{shown} of {count} messages were shown"))?;

            for (what, ours, theirs) in [("send", sending, raw_send), ("receive", receiving, raw_receive)] {
                let name = format!("core {what}, {members} members, {size} B");
                report.tell(
                    &Figure::new(name, ours, "msg/s")
                        .against("raw OpenMLS", theirs)
                        .goal(Goal::RatioAtLeast(0.5)),
                );
            }
        }
    }
    Ok(())
}

/// The whole way: session, broker with a write to disk per message, and back.
pub(crate) async fn through_the_broker(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let client = testbed::raw::agent(&lab.site.broker).await?;
    for (n, size) in SIZES.into_iter().enumerate() {
        let room = lab.room(2).await?;
        let nobody = GroupId::from_bytes([u8::try_from(n).unwrap_or(0); 16]);
        // What a text of that size is when it is sealed.
        let sealed = vec![7; size + 320];
        let count = extent.messages;
        let published = raw::publish(&client, nobody, count, &sealed, WINDOW).await?;
        let (read, reading) = raw::read(&client, nobody).await?;
        ensure(read == count, || format!("{read} of {count} raw messages were read"))?;

        let alice = lab.session(&room.alice, Need::Everything).await?;
        let begun = Instant::now();
        let mut replies = futures::stream::iter(0..count)
            .map(|n| alice.ask(send(room.group, words(size, n))))
            .buffer_unordered(WINDOW);
        while let Some(reply) = replies.next().await {
            reply.map_err(core)?;
        }
        drop(replies);
        let sending = number(count) / begun.elapsed().as_secs_f64();
        alice.ask(status::Sync {}).await.map_err(core)?;
        alice.close().await;
        let figure = Figure::new(format!("session send, {size} B, {WINDOW} under way"), sending, "msg/s");
        report.tell(&figure.against("plain JetStream publish", published).goal(Goal::RatioAtLeast(0.5)));

        let begun = Instant::now();
        let bob = lab.session(&room.bob, Need::Everything).await?;
        bob.ask(status::Sync {}).await.map_err(core)?;
        let receiving = number(count) / begun.elapsed().as_secs_f64();
        bob.close().await;
        let figure = Figure::new(format!("session receive from cold, {size} B"), receiving, "msg/s");
        report.tell(&figure.against("plain JetStream read", reading));
    }
    Ok(())
}

/// Bytes this process has handed to the disk so far.
fn written() -> usize {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}
