//! What must be gone: from what is shown, from what is found, and from the stores.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::Target;
use cipher_api::command::message::{self, MessageRef};
use cipher_api::view::{Body, GroupState, MessageState, MessageView};
use cipher_broker::id::{AccountId, GroupId, MessageId};

use crate::support::disk::{Disk, End, unlock};
use crate::support::oracle::Seen;
use crate::support::saying::{handle_of, tokens};
use crate::support::world::World;

/// Whether a message stays with everybody who has it: what disappears does so at another time for each, and who sent one long after
/// it was written counts from when it was written as long as it does not know better.
pub(crate) fn stays(world: &World, message: &MessageView) -> bool {
    let of_group = world.wanted.range((message.group, 0)..=(message.group, u64::MAX));
    let kept = of_group.filter_map(|(_, (_, kept))| *kept).min();
    let over = |seconds: u32| message.sent_at.plus(Duration::from_secs(seconds.into())) <= world.now;
    message.expire.is_none() && !message.expired && !kept.is_some_and(over)
}

/// Whether it is something that a member said and the broker has.
fn is_said(message: &MessageView) -> bool {
    let words = matches!(message.body, Body::Text | Body::Poll(_));
    words && message.state != MessageState::Queued
}

/// What is over by the message itself, or by its group as the reader knows it, is not shown any more.
pub(crate) fn what_is_over_is_not_shown(world: &World, reader: &Seen) {
    let now = world.clock(reader.index);
    let kept = reader.view.settings.retention_seconds;
    for message in reader.messages.iter().filter(|m| is_said(m) && !m.text.is_empty()) {
        let stored = message.at.unwrap_or(message.sent_at);
        let until = kept.map(|kept| stored.plus(Duration::from_secs(kept.into())));
        let ends = message.expires_at.into_iter().chain(until).min();
        assert!(ends.is_none_or(|ends| ends > now), "{} still shows {message:?} at {now:?}", reader.name);
    }
}

/// What was said while a group wanted messages to disappear does so no later than the group wanted.
pub(crate) fn a_group_has_its_way(world: &World, group: GroupId, reader: &Seen) {
    let outside = world.log.outside(group);
    for message in reader.messages.iter().filter(|m| is_said(m) && !m.deleted && !m.expired) {
        let Some(seq) = message.seq else { continue };
        let Some(place) = outside.iter().find(|m| m.sequence == seq && m.landed) else { continue };
        let Some((Some(wanted), _)) = world.wanted.get(&(group, place.header.epoch)) else { continue };
        assert!(
            message.expire.is_some_and(|expire| expire <= u64::from(*wanted)),
            "{} keeps {message:?} longer than {wanted} seconds",
            reader.name
        );
    }
}

/// One device of each account reads everything, time passes, and nobody is left with anything that was to disappear, nor finds it.
/// `alike`: devices of an account have heard the same, so that what one read is nothing unread on the others.
pub(crate) fn nothing_is_left_of_what_disappears(world: &mut World, alike: bool) {
    if alike {
        one_device_reads_for_all(world);
    }
    for index in 0..world.people.len() {
        reads_everything(world, index);
    }
    world.settle();
    world.pass(Duration::from_secs(2 * 3600));
    world.settle();
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        for view in world.groups(index) {
            let messages = world.messages(index, view.id);
            let waits = messages.iter().any(|message| message.state == MessageState::Queued);
            for message in messages {
                let lasts = message.expire.is_none_or(|expire| expire > 2 * 3600);
                let gone = lasts && !message.text.contains("for a while");
                assert!(
                    message.state == MessageState::Queued || gone,
                    "{name} still reads {:?}, {:?}",
                    message.text,
                    message.expires_at
                );
            }
            if alike && !waits && view.state != GroupState::Invited {
                let found = world.found(index, view.id, "while");
                assert!(found.is_empty(), "{name} still finds {:?}", found.first());
            }
        }
    }
}

fn reads_everything(world: &mut World, index: usize) {
    if world.people[index].core.is_none() {
        return;
    }
    for view in world.groups(index) {
        let target = Target::Group(view.id);
        drop(world.run(index, message::Read { mark: true, ..message::Read::of(target) }));
    }
}

/// What one device of an account has shown is nothing unread on the others.
fn one_device_reads_for_all(world: &mut World) {
    let mut read: BTreeSet<(AccountId, MessageId)> = BTreeSet::new();
    let mut readers: BTreeSet<AccountId> = BTreeSet::new();
    for index in 0..world.people.len() {
        let Some(account) = world.account(index).filter(|_| !world.is_over(index)) else { continue };
        if !readers.insert(account) {
            continue;
        }
        for view in world.groups(index).iter().filter(|view| view.state == GroupState::Active) {
            read.extend(world.messages(index, view.id).iter().map(|message| (account, message.id)));
        }
        reads_everything(world, index);
    }
    world.settle();
    for index in 0..world.people.len() {
        let Some(account) = world.account(index).filter(|_| !world.is_over(index)) else { continue };
        for view in world.groups(index).iter().filter(|view| view.state == GroupState::Active) {
            for message in world.messages(index, view.id) {
                let unread = message.unread && read.contains(&(account, message.id));
                assert!(
                    !unread,
                    "{} has unread what another device showed: {message:?}",
                    world.people[index].name
                );
            }
        }
    }
}

/// Words that lie in a store are words that are shown: what was deleted or forgotten lies nowhere. Changes of messages that are not
/// here wait for them; other words that came too late are kept as sealed; and a device says its history again to an own one.
pub(crate) fn only_what_is_shown_is_kept(world: &mut World) {
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        let shown = shown_tokens(world, index);
        let edits = world.edits.clone();
        let alone = !world
            .people
            .iter()
            .any(|other| other.name != name && handle_of(&other.name) == handle_of(&name));
        let goes = |table: &str, token: &String| match table {
            "changes" => !edits.contains(token),
            "sent" => alone && !edits.contains(token),
            _ => true,
        };
        world.end(index, End::Clean);
        let disk = Disk::holding(world.people[index].disk.files());
        let mut left = BTreeSet::new();
        let look = |table: &'static str, value: &[u8]| {
            for token in
                tokens(value).into_iter().filter(|token| !shown.contains(token) && goes(table, token))
            {
                left.insert((table, token));
            }
        };
        let seen = cipher_core::values(disk.place(), || Ok(unlock()), [9; 32], look);
        seen.unwrap_or_else(|error| panic!("the store of {name}: {error}"));
        assert!(left.is_empty(), "{name} keeps what it does not show: {left:?}");
    }
}

/// All that somebody can read: the words of messages, the earlier ones too, questions and answers, and names of files.
fn shown_tokens(world: &mut World, index: usize) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for view in world.groups(index) {
        for message in world.messages(index, view.id) {
            shown.extend(tokens(message.text.as_bytes()));
            shown.extend(message.attachments.iter().flat_map(|file| tokens(file.name.as_bytes())));
            if let Body::Poll(poll) = &message.body {
                shown.extend(poll.options.iter().flat_map(|option| tokens(option.text.as_bytes())));
            }
            if message.edited {
                let named = MessageRef { id: message.id.to_string(), within: Some(Target::Group(view.id)) };
                let edits = world.look(index, message::Edits { message: named }).unwrap_or_default();
                shown.extend(edits.iter().flat_map(|edit| tokens(edit.text.as_bytes())));
            }
        }
    }
    shown
}
