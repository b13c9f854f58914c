//! A new device of an account that has a lot of past.

use std::time::{Duration, Instant};

use cipher_api::Target;
use cipher_api::command::{device, group, message, status};
use cipher_api::view::{GroupState, HistoryPolicy, StatusView};
use cipher_chat::profile::Profile;
use cipher_chat::session::{Need, Session};
use testbed::{Result, ensure, fail};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, number};
use crate::lab::{Lab, core, past};

/// How often a side is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);

/// From the person's yes until the new device is in every group and has every message.
pub(crate) async fn many_groups(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let (groups, messages) = (extent.linked_groups, extent.missed);
    let people = lab.people(2).await?;
    let [alice, bob] = people.as_slice() else { return fail("two people") };
    let old = lab.session(alice, Need::Everything).await?;
    let made = past(&old, bob, groups, messages).await?;

    let profile = Profile::new(lab.home(), "linked").map_err(core)?;
    let new = lab.session_of(&profile, Need::Everything).await?;
    let offer = device::Link { name: "linked".into() };
    let offered = new.ask(offer).await.map_err(core)?;
    let code = offered.code;
    let approve = device::Approve { code: code.clone(), history: HistoryPolicy::All };
    old.ask(approve).await.map_err(core)?;
    let begun = Instant::now();
    old.ask(device::Confirm { code, equal: true }).await.map_err(core)?;
    until(&new, |status| status.registered).await?;
    until(&new, |status| !status.arriving).await?;
    let seconds = begun.elapsed().as_secs_f64();

    let mut there = 0;
    for group in made {
        let target = Target::Group(group);
        let view = new.ask(group::Show { target: target.clone() }).await.map_err(core)?;
        ensure(view.state == GroupState::Active, || format!("the new device is not in {}", view.name))?;
        let read = message::Read::of(target);
        let shown = new.ask(read).await.map_err(core)?;
        there += shown.iter().filter(|message| message.is_text()).count();
    }
    ensure(there == messages, || format!("{there} of {messages} messages came to the new device"))?;
    old.close().await;
    new.close().await;
    report.tell(
        &Figure::new(format!("linking a device: {groups} groups, {messages} messages"), seconds, "s")
            .goal(Goal::Most(30.0)),
    );
    report.tell(&Figure::new("linking a device, messages", number(messages) / seconds, "msg/s"));
    Ok(())
}

async fn until(session: &Session, done: impl Fn(&StatusView) -> bool) -> Result {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let status = session.ask(status::Status {}).await.map_err(core)?;
        if done(&status) {
            return Ok(());
        }
        ensure(Instant::now() < deadline, || format!("not linked after five minutes: {status:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
}
