//! What people of a story say, and what they make of what was said: every kind of content there is.
//!
//! Words that must not be found once they are forgotten have a token in them ([`token`]), which is looked for in what is shown
//! and in what lies in the stores.

use cipher_api::command::message::{self, MessageRef};
use cipher_api::command::{account, file, group, poll};
use cipher_api::view::{Body, GroupState, MessageView, WhoMay};
use cipher_api::{Ask, Target};
use cipher_broker::id::GroupId;

use crate::support::disk::End;
use crate::support::shelf;
use crate::support::world::{World, send, typed};

/// What a story lets people do besides saying something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// Messages are changed, pinned and voted on.
    pub(crate) changes: bool,
    /// Everything else that can be said, files too.
    pub(crate) all: bool,
    /// Groups want messages to disappear, or to be kept for some time only.
    pub(crate) forgets: bool,
}

/// The account that a profile belongs to: further devices are called after the first one.
pub(crate) fn handle_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// What no other words of a story have in them.
pub(crate) fn token(n: usize, part: usize) -> String {
    format!("u{n}v{part}w")
}

/// The tokens in some bytes.
pub(crate) fn tokens(bytes: &[u8]) -> Vec<String> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'u');
    let found = starts.filter_map(|(at, _)| {
        let first = digits(at + 1);
        let middle = at + 1 + first;
        let second = (bytes.get(middle) == Some(&b'v')).then(|| digits(middle + 1))?;
        let end = middle + 1 + second;
        let whole = first > 0 && second > 0 && bytes.get(end) == Some(&b'w');
        whole.then(|| String::from_utf8_lossy(&bytes[at..=end]).into_owned())
    });
    found.collect()
}

#[test]
fn tokens_are_found_in_bytes() {
    let bytes = format!("u1v u12v3w\0uu{} u4v5x u6v7", &token(40, 2)[1..]);
    assert_eq!(tokens(bytes.as_bytes()), ["u12v3w", "u40v2w"]);
}

fn named(message: &MessageView) -> MessageRef {
    MessageRef { id: message.id.to_string(), within: None }
}

/// The answer to what needs nobody else, if it is a good one.
fn answered<R: Ask>(world: &mut World, index: usize, request: R) -> Option<R::Reply> {
    let ticket = world.start(index, request);
    world.reply(index, ticket)?.ok().map(typed::<R>)
}

/// Somebody says something of any kind, or makes something of what was said.
pub(crate) fn anything(world: &mut World, index: usize, group: GroupId, n: usize, kinds: Kinds) {
    let Some(own) = world.account(index) else { return };
    let name = world.people[index].name.clone();
    let target = Target::Group(group);
    let messages = world.messages(index, group);
    let said: Vec<_> =
        messages.iter().filter(|message| message.is_text() && !message.deleted).cloned().collect();
    let one = if said.is_empty() { None } else { Some(world.dice.pick(&said).clone()) };
    let words = format!("{name} says {}", token(n, 0));
    match (world.dice.below(24), one) {
        (0..=1, Some(one)) => {
            let reply_to = Some(one.id.to_string());
            world.start(index, message::Send { reply_to, ..send(group, &words) });
        }
        (2..=3, Some(one)) => {
            world.start(index, message::Send { thread: Some(named(&one)), ..send(group, &words) });
        }
        (4, Some(one)) if one.expire.is_none() => {
            let groups = world.groups(index).into_iter().filter(|view| view.state == GroupState::Active);
            let mut groups: Vec<_> = groups.map(|view| (view.name, view.id)).collect();
            groups.sort_by(|a, b| a.0.cmp(&b.0));
            let target = Target::Group(world.dice.pick(&groups).1);
            world.start(index, message::Forward { message: named(&one), target });
        }
        (5, _) => {
            let other = world.dice.below(world.people.len());
            let other = handle_of(&world.people[other].name).to_owned();
            world.start(index, send(group, &format!("@{other}: {words}")));
        }
        (6..=9, one) => sends_file(world, index, group, n, one),
        (10, Some(one)) => {
            world.let_go.insert((own, one.id));
            world.start(index, message::Delete { message: named(&one), local: true });
        }
        (11, _) => {
            let (until, mentions) = (None, world.dice.chance(500));
            if world.dice.chance(600) {
                world.start(index, group::Mute { target, until, mentions });
            } else {
                world.start(index, group::Unmute { target });
            }
        }
        (12, _) => {
            let name = if world.dice.chance(300) { String::new() } else { format!("alias {n}") };
            world.start(index, group::Alias { target, name });
        }
        (13, _) => {
            let ids: Vec<_> = messages.iter().filter(|_| world.dice.chance(400)).map(|m| m.id).collect();
            world.start(index, message::Shown { group, ids });
        }
        (14, _) => {
            world.start(index, message::Typing { target });
        }
        (15, _) if world.receipts => {
            let on = world.dice.chance(600);
            world.start(index, account::SetReceipts { on });
        }
        (16, _) => {
            let topic = Some(if world.dice.chance(300) { String::new() } else { format!("about {n}") });
            let edit_seconds = Some(*world.dice.pick(&[0, 30, 600]));
            world.start(index, group::Set { topic, edit_seconds, ..group::Set::of(target) });
        }
        (17..=18, _) if kinds.forgets => {
            // Longer than the end of a story takes, or so short that much is gone while it lasts.
            let expire = world.dice.pick(&[None, Some(0), Some(40), Some(3600)]).to_owned();
            let keep = world.dice.pick(&[None, Some(0), Some(300), Some(86_400)]).to_owned();
            let set =
                group::Set { expire_seconds: expire, retention_seconds: keep, ..group::Set::of(target) };
            world.start(index, set);
        }
        (19, _) => {
            let options = (1..=3).map(|part| format!("answer {}", token(n, part))).collect();
            world.start(index, poll::Create { target, question: words, options, multiple: true });
        }
        (20, _) => {
            let polls: Vec<MessageView> =
                messages.iter().filter(|m| matches!(m.body, Body::Poll(_))).cloned().collect();
            if !polls.is_empty() {
                let message = named(world.dice.pick(&polls));
                // Several, or what was chosen is taken back.
                let chosen = (1..=3).filter(|_| world.dice.chance(500));
                let options = chosen.map(|option: usize| option.to_string()).collect();
                world.start(index, poll::Vote { message, options });
            }
        }
        (21, _) => {
            let last = world.dice.between(1, 4);
            let read = message::Read { mark: true, last: Some(last), ..message::Read::of(target) };
            world.start(index, read);
        }
        _ => {
            let expire = world.receipts.then(|| *world.dice.pick(&[1, 60, 3600]));
            let text = if expire.is_some() { format!("{words}, for a while") } else { words };
            world.start(index, message::Send { expire, ..send(group, &text) });
        }
    }
}

/// Somebody uploads a file, from the beginning or where it was, and says a message that names it.
fn sends_file(world: &mut World, index: usize, group: GroupId, n: usize, answers: Option<MessageView>) {
    let size = *world.dice.pick(&[1, 400, 400, 700, 700, 300_000]);
    let content: Vec<u8> = token(n, 9).into_bytes().into_iter().cycle().take(size).collect();
    let begin = file::Begin {
        origin: format!("{index} {n}"),
        name: format!("notes {}.txt", token(n, 8)),
        size: content.len() as u64,
        repeatable: false,
    };
    let Some(mut upload) = answered(world, index, begin.clone()) else { return };
    world.shelf.contents.insert(upload.id, content.clone());
    if world.dice.chance(300) {
        // The process ends while it uploads, after it was told of what is there or before.
        let done = world.shelf.store(&upload, &content, 1);
        if world.dice.chance(500) {
            answered(world, index, file::Progress { id: upload.id, done });
        }
        let end = *world.dice.pick(&[End::Clean, End::Kill, End::PowerLoss]);
        world.restart(index, end);
        let Some(again) = answered(world, index, begin) else { return };
        assert_eq!((again.id, &again.key), (upload.id, &upload.key), "an upload goes on");
        assert!(again.done <= done, "{} of {done} chunks are there", again.done);
        upload = again;
    }
    if world.dice.chance(100) {
        answered(world, index, file::Drop { id: upload.id });
        return;
    }
    world.shelf.store(&upload, &content, usize::MAX);
    let (hash, mime) = (shelf::hash(&content), "text/plain".to_owned());
    if answered(world, index, file::Finish { id: upload.id, hash, mime, preview: None }).is_none() {
        return;
    }
    if world.dice.chance(150) {
        let loses = world.dice.chance(500);
        world.shelf.spoil(upload.id, loses);
    }
    let text = if world.dice.chance(500) { format!("look at {}", token(n, 0)) } else { String::new() };
    let reply_to = answers.filter(|_| world.dice.chance(300)).map(|message| message.id.to_string());
    let lasts = world.receipts && world.dice.chance(300);
    let expire = lasts.then(|| *world.dice.pick(&[1, 60, 3600]));
    let (target, files) = (Target::Group(group), vec![upload.id]);
    world.start(index, file::Send { target, text, reply_to, thread: None, expire, files });
}

/// Somebody finds other words for what it said, or none, or makes something of what anybody said: an emoji, a pin, a vote.
pub(crate) fn changing(world: &mut World, index: usize, group: GroupId, n: usize, kinds: Kinds) {
    let Some(own) = world.account(index) else { return };
    let mut messages = world.messages(index, group);
    if world.dice.chance(300) {
        return pinning_and_voting(world, index, group, &messages, n);
    }
    if world.dice.chance(400) {
        messages.retain(MessageView::is_text);
        if messages.is_empty() {
            return;
        }
        let message = named(world.dice.pick(&messages));
        let emoji = (*world.dice.pick(&["+1", "tada", "tea"])).to_owned();
        let remove = world.dice.chance(300);
        world.start(index, message::React { message, emoji, remove });
        return;
    }
    messages.retain(|message| message.is_text() && message.from.account_id == own);
    if messages.is_empty() {
        return;
    }
    let message = named(world.dice.pick(&messages));
    if world.dice.chance(300) {
        world.start(index, message::Delete { message, local: false });
    } else {
        let more = if kinds.all { format!(" {}", token(n, 0)) } else { String::new() };
        world.edits.insert(token(n, 0));
        let text = format!("{} says {n} now{more}", world.people[index].name);
        world.start(index, message::Edit { message, text });
    }
}

fn pinning_and_voting(world: &mut World, index: usize, group: GroupId, messages: &[MessageView], n: usize) {
    let target = Target::Group(group);
    let polls: Vec<_> =
        messages.iter().filter(|message| matches!(message.body, Body::Poll(_))).cloned().collect();
    let said: Vec<_> = messages.iter().filter(|message| message.is_text()).cloned().collect();
    match world.dice.below(8) {
        0 => {
            let options = vec!["tea".to_owned(), "coffee".into(), "water".into()];
            let multiple = world.dice.chance(500);
            world.start(index, poll::Create { target, question: format!("{n}?"), options, multiple });
        }
        1..=3 if !polls.is_empty() => {
            let message = named(world.dice.pick(&polls));
            let options = vec![(world.dice.below(3) + 1).to_string()];
            world.start(index, poll::Vote { message, options });
        }
        4 if !polls.is_empty() => {
            let message = named(world.dice.pick(&polls));
            world.start(index, poll::Close { message });
        }
        5 if world.dice.chance(300) => {
            let pin = *world.dice.pick(&[WhoMay::All, WhoMay::Admins]);
            let delete = *world.dice.pick(&[WhoMay::Nobody, WhoMay::Admins, WhoMay::All]);
            world.start(index, group::Set { delete: Some(delete), pin: Some(pin), ..group::Set::of(target) });
        }
        6 if !said.is_empty() => {
            // In a group that lets them, members take back what others said.
            let message = named(world.dice.pick(&said));
            world.start(index, message::Delete { message, local: false });
        }
        _ if !said.is_empty() => {
            let message = named(world.dice.pick(&said));
            let remove = world.dice.chance(300);
            world.start(index, message::Pin { message, remove });
        }
        _ => {}
    }
}
