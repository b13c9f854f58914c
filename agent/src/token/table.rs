//! What each method asks of a token. Closed twice: a request without an entry in `asks` does not compile, and a method
//! without a row in `ROWS` is refused for every token.

use cipher_api::Target;
use cipher_api::command::message::MessageRef;
use cipher_api::command::{
    AccountCommand as A, BotCommand as B, Command, ContactCommand as C, DeviceCommand as D,
    EventCommand as E, EvidenceCommand as V, GroupCommand as G, InviteCommand as I, MessageCommand as M,
    StatusCommand as S,
};
use cipher_broker::id::GroupId;

/// What a method asks of a token that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// That it is for the conversation of the request.
    Conversation,
    /// Nothing more: the answer has what is of the token's conversations.
    Narrowed,
    /// That it is for all conversations.
    Everywhere,
}

/// Methods that a token can name. All others are the owner's: account, contacts, devices, evidence, bots' accounts.
const ROWS: [(&str, Right); 48] = [
    ("message.send", Right::Conversation),
    ("message.read", Right::Conversation),
    ("message.search", Right::Conversation),
    ("history.grant", Right::Conversation),
    ("message.shown", Right::Conversation),
    ("message.edit", Right::Conversation),
    ("message.delete", Right::Conversation),
    ("message.react", Right::Conversation),
    ("file.list", Right::Conversation),
    ("message.show", Right::Conversation),
    ("message.edits", Right::Conversation),
    ("message.thread", Right::Conversation),
    ("message.pin", Right::Conversation),
    ("message.pins", Right::Conversation),
    ("message.forward", Right::Everywhere),
    ("poll.create", Right::Conversation),
    ("poll.vote", Right::Conversation),
    ("poll.close", Right::Conversation),
    ("message.typing", Right::Conversation),
    ("event.list", Right::Narrowed),
    ("event.acknowledge", Right::Narrowed),
    ("group.list", Right::Narrowed),
    ("group.show", Right::Conversation),
    ("group.accept", Right::Conversation),
    ("group.decline", Right::Conversation),
    ("group.add", Right::Conversation),
    ("group.remove", Right::Conversation),
    ("group.rename", Right::Conversation),
    ("group.alias", Right::Conversation),
    ("group.set", Right::Conversation),
    ("group.mute", Right::Conversation),
    ("group.unmute", Right::Conversation),
    ("group.role", Right::Conversation),
    ("group.leave", Right::Conversation),
    ("group.ban", Right::Conversation),
    ("group.create", Right::Everywhere),
    ("invite.create", Right::Conversation),
    ("invite.list", Right::Conversation),
    ("invite.revoke", Right::Conversation),
    ("invite.requests", Right::Narrowed),
    ("invite.answer", Right::Conversation),
    ("invite.join", Right::Everywhere),
    ("bot.events", Right::Narrowed),
    ("bot.handled", Right::Conversation),
    ("sync", Right::Everywhere),
    ("refresh", Right::Everywhere),
    // Of the protocol. `subscribe` is `event.list` as it happens, and `unsubscribe` ends what is one's own.
    ("connection", Right::Narrowed),
    ("unsubscribe", Right::Narrowed),
];

/// Methods that every token has: they show nothing of the profile.
pub const ALWAYS: [&str; 2] = ["connection", "unsubscribe"];

/// Methods of a token for which none are named: listening, reading and saying something.
pub const USUAL: [&str; 7] = [
    "event.list",
    "event.acknowledge",
    "group.list",
    "group.show",
    "message.read",
    "message.send",
    "message.shown",
];

/// What a method asks of a token; `None` when no token may use it.
pub fn right(method: &str) -> Option<Right> {
    ROWS.iter().find(|(name, _)| *name == method).map(|(_, right)| *right)
}

/// The methods that a pattern names, `message.send` or `message.*`: of the second those that a token can have.
pub fn named(pattern: &str) -> impl Iterator<Item = &'static str> {
    let noun = pattern.strip_suffix('*').filter(|noun| noun.ends_with('.')).map(str::to_owned);
    let pattern = pattern.to_owned();
    ROWS.iter().map(|(name, _)| *name).filter(|name| !ALWAYS.contains(name)).filter(move |name| match &noun {
        Some(noun) => name.starts_with(noun.as_str()),
        None => *name == pattern,
    })
}

/// A request as the guard of a token sees it.
#[derive(Debug)]
pub(crate) struct Asks<'a> {
    /// Where it reaches.
    pub(crate) place: Place<'a>,
    /// Under which name something is kept for the caller: of a subscriber, or of a bot.
    pub(crate) name: Option<&'a str>,
}

/// Where a request reaches.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// Where no token does.
    Barred,
    /// Everywhere.
    Everywhere,
    /// Everywhere, for an answer that can be narrowed.
    Narrowed,
    /// A conversation as it is called.
    Target(&'a mut Target),
    /// A conversation.
    Group(GroupId),
    /// A message, in a conversation if one is said.
    Message(&'a mut MessageRef),
}

/// R-TOKEN-01: what a request asks of a token. Without a wildcard on purpose: whoever adds a request decides here.
pub(crate) fn asks(command: &mut Command) -> Asks<'_> {
    let mut name = None;
    let place = match command {
        Command::Account(
            A::Register(_)
            | A::PhraseShown(_)
            | A::Show(_)
            | A::Active(_)
            | A::SetProfile(_)
            | A::ShowProfile(_)
            | A::SetRequests(_)
            | A::SetReceipts(_),
        )
        | Command::Contact(
            C::Add(_)
            | C::List(_)
            | C::Accept(_)
            | C::Decline(_)
            | C::Remove(_)
            | C::Block(_)
            | C::Unblock(_)
            | C::Verify(_)
            | C::Trust(_),
        )
        | Command::Device(
            D::List(_)
            | D::Link(_)
            | D::Approve(_)
            | D::Confirm(_)
            | D::Rename(_)
            | D::Revoke(_)
            | D::Resume(_)
            | D::Recover(_)
            | D::Backup(_)
            | D::Restore(_)
            | D::Return(_),
        )
        | Command::Bot(B::Card(_) | B::Prepare(_) | B::Sign(_))
        // Keys of files, and uploads that are nobody's yet.
        | Command::Message(
            M::CheckFiles(_)
            | M::BeginFile(_)
            | M::FileProgress(_)
            | M::FinishFile(_)
            | M::DropFile(_)
            | M::SendFile(_)
            | M::OpenFile(_),
        )
        | Command::Evidence(V::List(_) | V::Acknowledge(_) | V::Head(_))
        // It counts what is in other conversations, and names devices.
        | Command::Status(S::Status(_)) => Place::Barred,

        Command::Group(G::Create(_))
        | Command::Invite(I::Join(_))
        | Command::Status(S::Sync(_) | S::Refresh(_)) => Place::Everywhere,

        Command::Group(G::List(_)) => Place::Narrowed,
        Command::Group(G::Show(of)) => Place::Target(&mut of.target),
        Command::Group(G::Accept(of)) => Place::Target(&mut of.target),
        Command::Group(G::Decline(of)) => Place::Target(&mut of.target),
        Command::Group(G::Add(of)) => Place::Target(&mut of.target),
        Command::Group(G::Remove(of)) => Place::Target(&mut of.target),
        Command::Group(G::Rename(of)) => Place::Target(&mut of.target),
        Command::Group(G::Alias(of)) => Place::Target(&mut of.target),
        Command::Group(G::Set(of)) => Place::Target(&mut of.target),
        Command::Group(G::Mute(of)) => Place::Target(&mut of.target),
        Command::Group(G::Unmute(of)) => Place::Target(&mut of.target),
        Command::Group(G::SetRole(of)) => Place::Target(&mut of.target),
        Command::Group(G::Leave(of)) => Place::Target(&mut of.target),
        Command::Group(G::Ban(of)) => Place::Target(&mut of.target),

        Command::Invite(I::Create(of)) => Place::Target(&mut of.target),
        Command::Invite(I::List(of)) => Place::Target(&mut of.target),
        Command::Invite(I::Revoke(of)) => Place::Target(&mut of.target),
        Command::Invite(I::Answer(of)) => Place::Target(&mut of.target),
        Command::Invite(I::Requests(of)) => of.target.as_mut().map_or(Place::Narrowed, Place::Target),

        Command::Message(M::Send(of)) => Place::Target(&mut of.target),
        Command::Message(M::Read(of)) => Place::Target(&mut of.target),
        Command::Message(M::Search(of)) => of.target.as_mut().map_or(Place::Everywhere, Place::Target),
        Command::Message(M::GrantHistory(of)) => Place::Target(&mut of.target),
        Command::Message(M::Shown(of)) => Place::Group(of.group),
        Command::Message(M::Typing(of)) => Place::Target(&mut of.target),
        Command::Message(M::Edit(of)) => Place::Message(&mut of.message),
        Command::Message(M::Delete(of)) => Place::Message(&mut of.message),
        Command::Message(M::React(of)) => Place::Message(&mut of.message),
        Command::Message(M::Files(of)) => Place::Target(&mut of.target),
        Command::Message(M::Show(of)) => Place::Message(&mut of.message),
        Command::Message(M::Edits(of)) => Place::Message(&mut of.message),
        Command::Message(M::Thread(of)) => Place::Message(&mut of.message),
        Command::Message(M::Pin(of)) => Place::Message(&mut of.message),
        Command::Message(M::Pins(of)) => Place::Target(&mut of.target),
        // From one conversation to another.
        Command::Message(M::Forward(_)) => Place::Everywhere,
        Command::Message(M::PollCreate(of)) => Place::Target(&mut of.target),
        Command::Message(M::PollVote(of)) => Place::Message(&mut of.message),
        Command::Message(M::PollClose(of)) => Place::Message(&mut of.message),

        Command::Event(E::List(of)) => {
            name = of.subscriber.as_deref();
            Place::Narrowed
        }
        Command::Event(E::Acknowledge(of)) => {
            name = Some(&of.subscriber);
            Place::Narrowed
        }
        Command::Bot(B::Events(of)) => {
            name = Some(&of.bot);
            Place::Narrowed
        }
        Command::Bot(B::Handled(of)) => {
            name = Some(&of.bot);
            Place::Group(of.group)
        }
    };
    Asks { place, name }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
