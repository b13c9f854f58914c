//! What must hold whenever a world has come to rest, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::Target;
use cipher_api::command::{device, file, message};
use cipher_api::view::{Body, GroupEvent, GroupState, GroupView, MessageState, MessageView};
use cipher_broker::id::{AccountId, DeviceId, FileId, GroupId, MessageId};

use crate::support::forgotten;
use crate::support::log::APPLICATION;
use crate::support::world::World;

/// Classes of skipped messages that a world without attackers never shows.
const NEVER: [&str; 14] = [
    "content",
    "credential",
    "decrypt",
    "future-epoch",
    "gap",
    "library",
    "limit",
    "link",
    "parse",
    "policy",
    "signature",
    "too-large",
    "wire-format",
    "wrong-group",
];

/// What repeats of a stored message are counted as: a ratchet key was used before. Every one of these must be
/// explained by bytes that lie in the log twice, else somebody used a key twice.
const REPLAY: &str = "replay";

/// Everything an oracle looks at, of one person in one group.
pub(crate) struct Seen {
    pub(crate) index: usize,
    pub(crate) name: String,
    /// Whose device it is.
    pub(crate) account: AccountId,
    /// It was revoked or stopped: nothing of what follows reaches it.
    pub(crate) over: bool,
    pub(crate) view: GroupView,
    pub(crate) messages: Vec<MessageView>,
}

/// Checks a world at rest in which everybody is honest and connected. Each piece of junk may have been skipped once.
pub(crate) fn check(world: &mut World) {
    let mut by_group: BTreeMap<GroupId, Vec<Seen>> = BTreeMap::new();
    let (repeats, junk) = (world.log.repeats(), world.log.junk);
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        let status = world.status(index);
        assert_eq!((status.outbox, status.questions), (0, 0), "{name} is not done: {status:?}");
        let mut never = 0;
        for (class, count) in &status.skipped {
            never += if NEVER.contains(&class.as_str()) { *count } else { 0 };
            assert!(never <= junk, "{name} skipped {count} as {class}; {junk} pieces are junk");
            assert!(
                class != REPLAY || *count <= repeats + junk,
                "{name} met {count} used keys, {repeats} and {junk} are explained"
            );
        }
        for view in world.groups(index) {
            let messages = world.messages(index, view.id);
            let Some(account) = world.account(index) else { continue };
            let over = world.is_over(index);
            let seen = Seen { index, name: name.clone(), account, over, view, messages };
            by_group.entry(seen.view.id).or_default().push(seen);
        }
    }
    for (group, seen) in &by_group {
        same_world(world, *group, seen);
        history(world, *group, seen);
        findable(world, *group, seen);
        for reader in seen {
            forgotten::what_is_over_is_not_shown(world, reader);
            forgotten::a_group_has_its_way(world, *group, reader);
            files(world, reader);
        }
        own_devices_agree(seen);
    }
}

/// What is shown is found by its words, and what was deleted is not.
fn findable(world: &mut World, group: GroupId, seen: &[Seen]) {
    for reader in seen.iter().filter(|reader| !reader.over) {
        let said = reader.messages.iter().filter(|m| m.is_text() && m.seq.is_some() && !m.deleted);
        let words: BTreeSet<&str> = said.clone().rev().take(3).map(|m| m.text.as_str()).collect();
        for words in words.into_iter().filter(|words| !words.trim().is_empty() && !words.contains('"')) {
            let shown: BTreeSet<MessageId> = said.clone().filter(|m| m.text == words).map(|m| m.id).collect();
            let found = world.found(reader.index, group, words);
            let found: BTreeSet<MessageId> = found.iter().filter(|m| m.text == words).map(|m| m.id).collect();
            assert_eq!(found, shown, "{} looks for '{words}'", reader.name);
        }
    }
}

/// Whoever shows a message has its files, as their sender made them, unless the broker lost or changed a part, which is
/// noticed; and of a message that is gone nothing opens a file.
fn files(world: &mut World, reader: &Seen) {
    let name = &reader.name;
    let (with, without): (Vec<_>, Vec<_>) = reader
        .messages
        .iter()
        .filter(|m| m.is_text() && m.seq.is_some())
        .partition(|m| !m.attachments.is_empty());
    let open = |message: &MessageView| {
        let within = Some(Target::Group(message.group));
        file::Open { file: message::MessageRef { id: message.id.to_string(), within } }
    };
    for message in &with {
        let opens = world.look(reader.index, open(message));
        let opens = opens.unwrap_or_else(|error| panic!("{name} opens what {message:?} names: {error}"));
        let opened: Vec<FileId> = opens.iter().map(|it| it.file.file.id).collect();
        let shown: Vec<FileId> = message.attachments.iter().map(|it| it.id).collect();
        assert_eq!(opened, shown, "{name}");
        for opens in &opens {
            let id = opens.file.file.id;
            let Some(content) = world.shelf.contents.get(&id) else { continue };
            match world.shelf.fetch(opens) {
                Ok(came) => {
                    assert!(came == *content && !world.shelf.spoiled.contains(&id), "{name} has {id}");
                }
                Err(gone) => assert!(world.shelf.spoiled.contains(&id), "{name} gets no {id}: {gone:?}"),
            }
        }
    }
    for message in without.iter().filter(|m| m.deleted).take(3) {
        assert!(world.look(reader.index, open(message)).is_err(), "{name} opens a file of {message:?}");
    }
    if with.is_empty() && world.shelf.contents.is_empty() {
        return;
    }
    let list = file::List { target: Target::Group(reader.view.id), last: None };
    let listed: BTreeSet<FileId> =
        world.look(reader.index, list).unwrap_or_default().iter().map(|it| it.file.id).collect();
    let shown: BTreeSet<FileId> =
        with.iter().flat_map(|m| m.attachments.iter().map(|file| file.id)).collect();
    assert!(shown.is_subset(&listed), "{name} has {shown:?} and lists {listed:?}");
    let all = reader.messages.iter().flat_map(|m| m.attachments.iter().map(|file| file.id));
    assert!(listed.is_subset(&all.collect()), "{name} lists {listed:?} of which it shows {shown:?}");
}

/// Devices of one account have heard the same of what its person wants of a conversation.
fn own_devices_agree(seen: &[Seen]) {
    for one in seen.iter().filter(|s| !s.over && s.view.state == GroupState::Active) {
        for other in seen.iter().filter(|s| s.account == one.account) {
            if !other.over && other.view.state == GroupState::Active {
                // A direct conversation is called after a handle, which one may not have heard.
                let name = |s: &Seen| (!s.view.direct).then(|| s.view.name.clone());
                let what = |s: &Seen| (s.view.muted.clone(), name(s));
                assert_eq!(what(one), what(other), "{} and {}", one.name, other.name);
            }
        }
    }
}

/// Active members agree on epoch, members and authenticator, and are where the log is.
fn same_world(world: &World, group: GroupId, seen: &[Seen]) {
    let outside = world.log.outside(group);
    let commits = outside.iter().filter(|m| m.landed && m.header.content == crate::support::log::COMMIT);
    let epoch = commits.count() as u64;
    let mut active = seen.iter().filter(|s| s.view.state == GroupState::Active);
    let Some(first) = active.next() else { return };
    assert!(
        !world.made_up.contains(&first.view.authenticator),
        "{} believes in what one made up",
        first.name
    );
    assert_eq!(first.view.epoch, epoch, "{} is not in the epoch of the log in {group:?}", first.name);
    for other in active {
        let what = |s: &Seen| {
            let members: BTreeSet<_> = s.view.members.iter().map(|m| (m.account_id, m.role)).collect();
            (s.view.epoch, s.view.authenticator.clone(), members)
        };
        assert_eq!(what(first), what(other), "{} and {} are not in one world", first.name, other.name);
    }
    let stuck: Vec<&str> =
        seen.iter().filter(|s| s.view.state == GroupState::Stuck).map(|s| s.name.as_str()).collect();
    assert!(stuck.is_empty(), "{stuck:?} are stuck in {group:?}");
}

/// What is shown, to whom, how often and in which order.
fn history(world: &World, group: GroupId, seen: &[Seen]) {
    let outside = world.log.outside(group);
    let at: BTreeMap<u64, _> = outside.iter().map(|message| (message.sequence, message)).collect();
    for reader in seen {
        let name = &reader.name;
        let mut ids = BTreeSet::new();
        let mut last = 0;
        // What disappears does so at another time for each.
        let is_words = |m: &&MessageView| m.is_text() || matches!(m.body, Body::Poll(_));
        let stays = |m: &&MessageView| is_words(m) && forgotten::stays(world, m);
        for message in reader.messages.iter().filter(stays) {
            assert!(ids.insert(message.id), "{name} sees {:?} twice", message.text);
            if let Some(sequence) = message.seq {
                assert!(sequence > last, "{name} sees {:?} out of order", message.text);
                last = sequence;
                if world.early.contains(&(group, sequence)) {
                    continue;
                }
                let place = at.get(&sequence).unwrap_or_else(|| {
                    panic!("{name} has {:?} at {sequence}, where nothing of the group lies", message.text)
                });
                assert!(
                    place.landed && place.header.content == APPLICATION,
                    "{name} shows {:?} from a place that does not count",
                    message.text
                );
                member_at(world, group, place.header.epoch, reader, message);
            }
            match message.state {
                MessageState::Unknown => panic!("{name} has no word for the state of {:?}", message.text),
                MessageState::Queued => assert!(
                    reader.view.state != GroupState::Active,
                    "{name} still has {:?} queued",
                    message.text
                ),
                MessageState::Sent | MessageState::Delivered | MessageState::Read => {
                    let sequence =
                        message.seq.unwrap_or_else(|| panic!("{:?} is sent without a place", message.text));
                    everybody_has(world, group, at[&sequence].header.epoch, message, seen);
                    somebody_has(world, group, message, seen);
                    if !reader.over && !world.says_again {
                        same_words(world, group, at[&sequence].header.epoch, reader, message, seen);
                    }
                }
                MessageState::Received | MessageState::Failed => {}
            }
        }
    }
}

/// Nothing is shown to somebody who was no member at its place.
fn member_at(world: &World, group: GroupId, epoch: u64, reader: &Seen, message: &MessageView) {
    if let Some(((_, members), _)) = world.truth.get(&(group, epoch)) {
        let account = reader.account.to_string();
        assert!(
            members.iter().any(|member| member.starts_with(&account)),
            "{} was no member in epoch {epoch} and sees {:?}",
            reader.name,
            message.text
        );
    }
}

/// A message that its sender calls sent is there once, at the same place, for everybody who has been a member since. Where a
/// hostile member committed what nobody can apply, an author says again what it had said behind that, and who had read it
/// there keeps it there.
fn everybody_has(world: &World, group: GroupId, epoch: u64, message: &MessageView, seen: &[Seen]) {
    for other in seen.iter().filter(|s| s.view.state == GroupState::Active) {
        if world.since.get(&(other.index, group)).is_none_or(|since| *since > epoch) {
            continue;
        }
        let found = other.messages.iter().filter(|m| m.id == message.id);
        let found: Vec<(MessageId, Option<u64>)> = found
            .map(|m| (m.id, if world.says_again && m.seq < message.seq { message.seq } else { m.seq }))
            .collect();
        assert_eq!(
            found,
            [(message.id, message.seq)],
            "{} was sent in epoch {epoch}; what {} has of {:?}",
            message.from.handle,
            other.name,
            message.text
        );
    }
}

/// Whoever is said to have a message, or to have read it, shows it on one of its devices, and has read it where it says so.
fn somebody_has(world: &World, group: GroupId, message: &MessageView, seen: &[Seen]) {
    for receipt in &message.receipts {
        let of =
            seen.iter().filter(|s| s.account == receipt.account_id && s.view.state == GroupState::Active);
        let all_along = of.filter(|s| world.since.contains_key(&(s.index, group)));
        let devices: Vec<Option<bool>> =
            all_along.map(|s| s.messages.iter().find(|m| m.id == message.id).map(|m| !m.unread)).collect();
        let holds = match receipt.state {
            MessageState::Read => devices.contains(&Some(true)),
            _ => devices.iter().any(Option::is_some),
        };
        assert!(
            holds || devices.is_empty() || world.says_again,
            "@{} is said to have come to {:?} with {:?}",
            receipt.handle,
            receipt.state,
            message.text
        );
    }
}

/// Whoever has been in the group since a message was said shows the words that its author left standing, and what stands under
/// them.
fn same_words(
    world: &World,
    group: GroupId,
    epoch: u64,
    reader: &Seen,
    message: &MessageView,
    seen: &[Seen],
) {
    let let_go = |m: &MessageView, account| world.let_go.contains(&(account, m.id));
    if let_go(message, reader.account) {
        return;
    }
    let words = |m: &MessageView| {
        let mut under: Vec<_> = m.reactions.iter().map(|it| (it.emoji.clone(), it.by.len())).collect();
        under.sort();
        // Who is gone does not hear what others put there since.
        under.retain(|_| reader.view.state == GroupState::Active);
        let poll = match &m.body {
            Body::Poll(poll) => {
                let counts: Vec<usize> = poll.options.iter().map(|option| option.votes).collect();
                Some((counts, poll.voters, poll.closed))
            }
            _ => None,
        };
        // What is pinned and how a poll stands members go on to change, too.
        let now = (m.pinned_by.is_some(), poll);
        let now = (reader.view.state == GroupState::Active).then_some(now);
        let files: Vec<FileId> = m.attachments.iter().map(|file| file.id).collect();
        let beside = (m.reply_to, m.thread, m.forwarded, m.mentions.len(), files);
        (m.text.clone(), m.edited, m.deleted, under, now, beside)
    };
    let active = seen.iter().filter(|s| s.view.state == GroupState::Active && !s.over);
    for other in active.filter(|s| world.since.get(&(s.index, group)).is_some_and(|since| *since <= epoch)) {
        for theirs in other.messages.iter().filter(|m| m.id == message.id && !let_go(m, other.account)) {
            let author = &message.from.handle;
            assert_eq!(words(theirs), words(message), "{} shows other words than @{author}", other.name);
        }
    }
}

/// Active members agree, whatever lies in the log besides.
pub(crate) fn agree(world: &mut World) {
    let mut worlds = BTreeMap::new();
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        for view in world.groups(index) {
            assert!(view.state != GroupState::Stuck, "{name} is stuck");
            if view.state == GroupState::Active {
                let here = (view.epoch, view.authenticator);
                let known = worlds.entry(view.id).or_insert_with(|| here.clone());
                assert_eq!(*known, here, "{name} is in another world");
            }
        }
    }
}

/// For worlds with attackers: everybody agrees, and every group still works.
pub(crate) fn survive(world: &mut World) {
    world.heal();
    agree(world);
    probe(world);
    agree(world);
}

/// Every active member says something, and everybody else sees it once: the group is alive.
pub(crate) fn probe(world: &mut World) {
    let mut said = Vec::new();
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        // A group that a revoked device was alone in has nobody to remove it; it says nothing there either.
        if world.is_over(index) {
            continue;
        }
        for view in world.person(&name).active() {
            if view.recovering.is_some() {
                continue;
            }
            let text = format!("probe of {name} {}", world.dice.roll());
            world.person(&name).says(view.id, &text);
            said.push((view.id, text));
        }
    }
    world.settle();
    for (group, text) in &said {
        for index in 0..world.people.len() {
            let name = world.people[index].name.clone();
            if world.status(index).stopped {
                continue;
            }
            let mut somebody = world.person(&name);
            if somebody.active().iter().any(|view| view.id == *group && view.recovering.is_none()) {
                assert_eq!(somebody.sees(*group, text), 1, "{name} sees {text:?}");
            }
        }
    }
}

/// What must hold at the end of every story: rest, agreement, and a group that still works.
pub(crate) fn judge(world: &mut World) {
    world.heal();
    check(world);
    probe(world);
    check(world);
}

/// What must hold at the end of a story in which one member keeps no rules: for the honest ones all that holds without it,
/// and of what it said each of them shows the same.
pub(crate) fn judge_with_a_hostile_member(world: &mut World) {
    world.says_again = true;
    judge(world);
    same_words_of_others(world);
}

/// What somebody shows that no person of this world said is there for everybody who has been a member since, at that place.
fn same_words_of_others(world: &mut World) {
    let mut own = BTreeSet::new();
    let mut shown = Vec::new();
    for index in 0..world.people.len() {
        own.extend(world.account(index));
        for view in world.groups(index).into_iter().filter(|view| view.state == GroupState::Active) {
            let messages = world.messages(index, view.id);
            shown.push((index, view.id, messages));
        }
    }
    for (reader, group, messages) in &shown {
        let outside = world.log.outside(*group);
        let epochs: BTreeMap<u64, u64> = outside.iter().map(|m| (m.sequence, m.header.epoch)).collect();
        for message in messages
            .iter()
            .filter(|m| m.is_text() && forgotten::stays(world, m) && !own.contains(&m.from.account_id))
        {
            let Some(epoch) = message.seq.and_then(|seq| epochs.get(&seq)) else { continue };
            for (other, _, theirs) in shown.iter().filter(|(_, of, _)| of == group) {
                let all_along = world.since.get(&(*other, *group)).is_some_and(|since| since <= epoch);
                assert!(
                    !all_along || theirs.iter().any(|m| (m.id, m.seq) == (message.id, message.seq)),
                    "{} shows {:?} of epoch {epoch}; {} does not",
                    world.people[*reader].name,
                    message.text,
                    world.people[*other].name
                );
            }
        }
    }
}

/// What must hold at the end of a story in which months passed: whoever is still a member for somebody else is so for
/// itself, in the same world, and is heard. What aged out is gone, so histories are not compared.
pub(crate) fn judge_after_months(world: &mut World) {
    world.heal();
    speak_up(world);
    one_world(world);
}

/// What must hold at the end of a story in which profiles were restored or used twice: of each device one copy is left;
/// it is in the same world as everybody else, and a group that still works; nobody sees anything twice; and what somebody
/// shows as sent is there for whoever was a member all along.
pub(crate) fn judge_with_copies(world: &mut World) {
    world.heal();
    speak_up(world);
    somebody_resumes(world);
    one_copy_is_left(world);
    one_world(world);
    nothing_twice(world);
    what_is_sent_was_read(world);
    probe(world);
    one_world(world);
}

/// Whose backups alternated with each other has no copy left that goes on, though one only is in use: its person says so
/// (R-COPY-03).
fn somebody_resumes(world: &mut World) {
    let mut copies: BTreeMap<DeviceId, (bool, usize)> = BTreeMap::new();
    for index in 0..world.people.len() {
        let Some(device) = world.own_device(index) else { continue };
        let goes_on = !world.status(index).stopped;
        let (any, last) = copies.entry(device).or_default();
        (*any, *last) = (*any || goes_on, index);
    }
    for (_, last) in copies.into_values().filter(|(any, _)| !any) {
        world.note(|| format!("{last} is resumed"));
        world.run(last, device::Resume {}).unwrap();
        world.settle();
        speak_up(world);
    }
}

/// What must hold at the end of a story in which the broker lost what it had stored: one world, groups that still work, and
/// nobody sees anything twice. What a member of a group shows as sent is there for whoever has been in it since this epoch.
pub(crate) fn judge_after_losses(world: &mut World, group: GroupId, begun: u64) {
    world.heal();
    speak_up(world);
    one_world(world);
    nothing_twice(world);
    nothing_lost(world, group, begun);
    probe(world);
    one_world(world);
    nothing_twice(world);
}

/// What an active member shows as sent is there for every other one that has been a member since this epoch, unless it was
/// told that messages may be missing.
fn nothing_lost(world: &mut World, group: GroupId, begun: u64) {
    let mut members = Vec::new();
    for index in 0..world.people.len() {
        let view = world.groups(index).into_iter().find(|view| view.id == group);
        let here = view.is_some_and(|view| view.state == GroupState::Active && view.recovering.is_none());
        if here && !world.is_over(index) {
            members.push((index, world.messages(index, group)));
        }
    }
    for (sender, said) in &members {
        for message in said.iter().filter(|m| m.is_text() && is_sent(m.state) && forgotten::stays(world, m)) {
            for (reader, shown) in &members {
                let all_along = world.since.get(&(*reader, group)).is_some_and(|since| *since <= begun);
                let told = shown.iter().any(|m| m.event() == Some(GroupEvent::Missed));
                assert!(
                    !all_along || told || shown.iter().any(|m| m.id == message.id),
                    "{} shows {:?} as sent; {} does not have it",
                    world.people[*sender].name,
                    message.text,
                    world.people[*reader].name
                );
            }
        }
    }
}

/// Whoever was away over something sees it once others speak, and is let back in.
fn speak_up(world: &mut World) {
    for _ in 0..4 {
        for index in 0..world.people.len() {
            let name = world.people[index].name.clone();
            if !world.is_over(index) {
                for view in world.person(&name).active() {
                    world.start(index, crate::support::world::send(view.id, "is anybody there?"));
                }
            }
        }
        world.settle();
        world.pass(Duration::from_secs(60));
        world.settle();
    }
}

/// Whoever is a member for somebody else is so for itself, in the same world.
fn one_world(world: &mut World) {
    let (mut members, mut lost) = (Vec::new(), Vec::new());
    let mut worlds = BTreeMap::new();
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        let Some(account) = world.account(index) else { continue };
        // Nor does a revoked device bring anybody back, if nobody is there who could remove it.
        if world.is_over(index) {
            continue;
        }
        let device = world.own_device(index);
        for view in world.groups(index) {
            assert!(view.state != GroupState::Stuck, "{name} is stuck");
            if view.state != GroupState::Active {
                continue;
            }
            if view.recovering.is_some() {
                lost.push((name.clone(), account, device, view.id));
                continue;
            }
            assert!(!world.made_up.contains(&view.authenticator), "{name} believes in what one made up");
            members.extend(view.members.iter().map(|member| (view.id, device, member.account_id)));
            let here = (view.epoch, view.authenticator);
            let known = worlds.entry(view.id).or_insert_with(|| here.clone());
            assert_eq!(*known, here, "{name} is in another world");
        }
    }
    for (name, account, device, group) in lost {
        // A copy of the same device cannot let it back in, nor can it tell that it should stop.
        let inside = members.iter().any(|(of, by, who)| (of, who) == (&group, &account) && *by != device);
        assert!(!inside, "{name} is a member for the others and cannot follow");
    }
}

/// Of several copies of one device exactly one goes on in each group. (Where nothing is said nothing is noticed.)
fn one_copy_is_left(world: &mut World) {
    let mut copies: BTreeMap<DeviceId, bool> = BTreeMap::new();
    let mut places: BTreeSet<(DeviceId, GroupId)> = BTreeSet::new();
    for index in 0..world.people.len() {
        let Some(device) = world.own_device(index) else { continue };
        let goes_on = !world.status(index).stopped;
        *copies.entry(device).or_default() |= goes_on;
        if !goes_on {
            continue;
        }
        let here = |view: &&GroupView| view.state == GroupState::Active && view.recovering.is_none();
        for view in world.groups(index).iter().filter(here) {
            assert!(places.insert((device, view.id)), "two copies of {device:?} go on in {:?}", view.id);
        }
    }
    for (device, goes_on) in copies {
        assert!(goes_on, "every copy of {device:?} has stopped");
    }
}

/// Nobody sees a message twice, whoever sent it how often.
fn nothing_twice(world: &mut World) {
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        for view in world.groups(index) {
            let mut ids = BTreeSet::new();
            for message in world.messages(index, view.id) {
                assert!(ids.insert(message.id), "{name} sees {:?} twice: {message:?}", message.text);
            }
        }
    }
}

/// What an active member shows as sent is there, once, for every other active member that has been one all along and was
/// not told that messages may be missing.
fn what_is_sent_was_read(world: &mut World) {
    let mut members = Vec::new();
    for index in 0..world.people.len() {
        if world.is_over(index) {
            continue;
        }
        for view in world.groups(index) {
            if view.state == GroupState::Active && view.recovering.is_none() {
                let messages = world.messages(index, view.id);
                members.push((index, view.id, messages));
            }
        }
    }
    let devices: BTreeMap<usize, Option<DeviceId>> = members
        .iter()
        .map(|(index, ..)| *index)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|index| (index, world.own_device(index)))
        .collect();
    for (sender, group, messages) in &members {
        let outside = world.log.outside(*group);
        let epochs: BTreeMap<u64, u64> = outside.iter().map(|m| (m.sequence, m.header.epoch)).collect();
        for message in
            messages.iter().filter(|m| m.is_text() && is_sent(m.state) && forgotten::stays(world, m))
        {
            let Some(epoch) = message.seq.and_then(|seq| epochs.get(&seq)) else {
                panic!("{:?} is sent without a place", message.text)
            };
            for (reader, _, shown) in members.iter().filter(|(_, of, _)| of == group) {
                let all_along = world.since.get(&(*reader, *group)).is_some_and(|since| since <= epoch);
                let told = shown.iter().any(|m| m.event() == Some(GroupEvent::Missed));
                // What a copy said that has stopped since, no other copy of the device can open: its keys are the own ones.
                let of_a_copy = Some(message.from.device_id) == devices[reader];
                if reader == sender || !all_along || told || of_a_copy {
                    continue;
                }
                assert!(
                    shown.iter().any(|m| m.id == message.id),
                    "{} shows {:?} as sent in epoch {epoch}; {} does not have it",
                    world.people[*sender].name,
                    message.text,
                    world.people[*reader].name
                );
            }
        }
    }
}

/// Whether an author calls a message of its own sent, whatever became of it since.
fn is_sent(state: MessageState) -> bool {
    matches!(state, MessageState::Sent | MessageState::Delivered | MessageState::Read)
}

/// What a world came to, without anything that cannot repeat (ids, keys, times).
pub(crate) fn outcome(world: &mut World) -> Vec<String> {
    let mut lines = Vec::new();
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        let mut groups = world.groups(index);
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        for view in groups {
            let mut members: Vec<String> =
                view.members.iter().map(|m| format!("{} {:?}", m.handle, m.role)).collect();
            members.sort();
            let messages = world.messages(index, view.id);
            let texts: Vec<String> =
                messages.iter().map(|m| format!("{:?} {:?} {}", m.body, m.state, m.text)).collect();
            lines.push(format!(
                "{name}: {} {:?} epoch {} {members:?} {texts:?}",
                view.name, view.state, view.epoch
            ));
        }
    }
    lines
}
