//! A member who was away: everything it missed, from a cold start.

use std::time::Instant;

use cipher_api::command::status;
use cipher_chat::session::Need;
use futures::StreamExt;
use testbed::{Result, disk, ensure};

use crate::Extent;
use crate::brain::Brain;
use crate::figure::{Figure, Goal, Report, number};
use crate::lab::{Lab, core, send, words};
use crate::raw;

/// Missed messages through the broker, the rate against raw decryption in the same run.
pub(crate) async fn missed_messages(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let count = extent.missed;
    let room = lab.room(10).await?;
    let (_, raw_receive) = raw::Pair::of(10)?.rates(count, 256)?;

    let alice = lab.session(&room.alice, Need::Everything).await?;
    let mut replies = futures::stream::iter(0..count)
        .map(|n| alice.ask(send(room.group, words(256, n))))
        .buffer_unordered(cipher_broker::limit::IN_FLIGHT_PER_GROUP);
    while let Some(reply) = replies.next().await {
        reply.map_err(core)?;
    }
    drop(replies);
    alice.close().await;

    let store = room.bob.profile.store();
    let size = || std::fs::metadata(&store).map(|file| file.len());
    let before = size()?;
    let begun = Instant::now();
    let bob = lab.session(&room.bob, Need::Everything).await?;
    bob.ask(status::Sync {}).await.map_err(core)?;
    let rate = number(count) / begun.elapsed().as_secs_f64();
    bob.close().await;
    report.tell(
        &Figure::new(format!("catch-up of {count} missed messages, 256 B"), rate, "msg/s")
            .against("raw OpenMLS decryption", raw_receive)
            .goal(Goal::RatioAtLeast(0.6)),
    );
    let grown = number(usize::try_from(size()?.saturating_sub(before)).unwrap_or(usize::MAX));
    report.tell(&Figure::new("store on disk per message of 256 B", grown / number(count), "B"));
    let broker = disk::size(lab.site.broker.folder())?;
    report.note(&format!("the broker's store holds {broker} bytes by now"));

    // The same without a broker, to count the writes.
    let room = lab.room(10).await?;
    let log = Brain::open(&room.alice, room.group)?.send(count, 256)?;
    let mut bob = Brain::open(&room.bob, room.group)?;
    let begun = Instant::now();
    let (shown, commits) = bob.receive(log)?;
    let rate = number(count) / begun.elapsed().as_secs_f64();
    ensure(shown >= count, || format!("{shown} of {count} messages were shown"))?;
    report.tell(
        &Figure::new(format!("catch-up of {count} in the core alone"), rate, "msg/s")
            .against("raw OpenMLS decryption", raw_receive)
            .goal(Goal::RatioAtLeast(0.6)),
    );
    let each = number(usize::try_from(commits).unwrap_or(usize::MAX)) / number(count);
    report.tell(&Figure::new("transactions (fsyncs) per caught-up message", each, "").goal(Goal::Most(0.01)));
    Ok(())
}
