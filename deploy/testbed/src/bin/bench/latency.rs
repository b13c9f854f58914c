//! From "send" to "shown" between two people who are both there.

use std::time::{Duration, Instant};

use cipher_api::Event;
use cipher_api::command::status;
use cipher_chat::session::Need;
use testbed::{Failure, Result};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, percentiles};
use crate::lab::{Lab, core, send, words};

/// One at a time, two sessions in this process, the broker writes each to disk before it rings.
pub(crate) async fn publish_to_shown(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let room = lab.room(2).await?;
    let alice = lab.session(&room.alice, Need::Everything).await?;
    let bob = lab.session(&room.bob, Need::Everything).await?;
    for session in [&alice, &bob] {
        session.ask(status::Sync {}).await.map_err(core)?;
    }
    let mut events = bob.events();
    let (mut shown, mut acked) = (Vec::new(), Vec::new());
    for n in 0..extent.samples {
        let text = words(256, n);
        let begun = Instant::now();
        let sending = async {
            alice.ask(send(room.group, text.clone())).await.map_err(core)?;
            Ok::<_, Failure>(begun.elapsed())
        };
        let seeing = async {
            loop {
                match tokio::time::timeout(Duration::from_secs(30), events.next()).await {
                    Ok(Some(Event::Message(message))) if message.text == text => return Ok(begun.elapsed()),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return testbed::fail("the message was never shown"),
                }
            }
        };
        let (ack, seen) = tokio::try_join!(sending, seeing)?;
        acked.push(ack.as_secs_f64() * 1000.0);
        shown.push(seen.as_secs_f64() * 1000.0);
    }
    alice.close().await;
    bob.close().await;
    let (p50, p99) = percentiles(&mut shown);
    report.tell(&Figure::new("send to shown, p50", p50, "ms").goal(Goal::Most(5.0)));
    report.tell(&Figure::new("send to shown, p99", p99, "ms"));
    let (p50, p99) = percentiles(&mut acked);
    report.tell(&Figure::new("send to acknowledged, p50", p50, "ms"));
    report.tell(&Figure::new("send to acknowledged, p99", p99, "ms"));
    Ok(())
}
