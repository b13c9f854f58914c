//! What belongs to what a person says: whom it names, the thread, what is passed on, the answers of a poll.

use std::collections::BTreeMap;

use cipher_api::command::message::MessageRef;
use cipher_api::command::poll;
use cipher_api::{ErrorKind, Reply, Result, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::wire::content::{Body, Content, Mention, Poll};

use crate::content::send::check_text_size;
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::{Place, RowBody, Words, mention, roster};

impl Core {
    /// What a message says, to be passed on: its words. What else belongs to it stays where it is.
    pub(super) fn forwarded(&self, message: &MessageRef) -> Result<Words> {
        let meant = self.meant(message)?;
        let (_, row) = self
            .stands_or_waits(meant.group, &meant.id)
            .ok_or_else(|| ErrorKind::NotFound.because("the message is not here any more"))?;
        if row.deleted || self.state.hides(&row) {
            return Err(ErrorKind::Refused.because("this message was deleted: there is nothing to pass on"));
        }
        if row.body() != RowBody::Text {
            return Err(ErrorKind::Refused.because("only the text of a message can be passed on"));
        }
        let text = self.message_view(meant.group, Place::default(), &row).text;
        Ok(Words { forwarded: true, ..Words::of(Body::Text(text)) })
    }

    /// The message that began the thread that a person means by one of its messages.
    pub(super) fn thread_root(&self, target: &Target, message: MessageRef) -> Result<MessageId> {
        let within = MessageRef { within: Some(target.clone()), ..message };
        let meant = self.meant(&within)?;
        let row = self.stands_or_waits(meant.group, &meant.id).map(|(_, row)| row);
        match row {
            Some(row) if !row.is_said() => Err(ErrorKind::Refused
                .because("this line is no message that a member said: it cannot begin a thread")),
            Some(row) => Ok(row.thread.unwrap_or(meant.id)),
            None => Ok(meant.id),
        }
    }

    /// R-MENTION-03: the members of a conversation that a text names. Where the members are not known now, nobody is.
    pub(super) fn mentions_in(&mut self, group: GroupId, text: &str) -> Vec<Mention> {
        if !text.contains('@') {
            return Vec::new();
        }
        let members = self.with_live(group, |_, live| Ok(roster::accounts(&live.roster))).unwrap_or_default();
        let named: BTreeMap<Handle, AccountId> = members
            .into_iter()
            .filter_map(|account| Some((self.state.handle_of(&account).parse().ok()?, account)))
            .collect();
        mention::meant(text, |handle| named.get(handle).copied())
    }

    /// Asks a question with answers to choose from.
    pub(super) fn poll_create(&mut self, ticket: Ticket, create: poll::Create) -> Result<Option<Reply>> {
        let poll::Create { target, question, options, multiple } = create;
        check_text_size(&question)?;
        let poll = Poll { options, multiple };
        if !poll.is_sound() {
            let (most, bytes) = (limit::POLL_OPTIONS, limit::POLL_OPTION_BYTES);
            return Err(ErrorKind::Usage.because(format!(
                "a poll has 2 to {most} answers, no two alike, each with some words and at most {bytes} bytes"
            )));
        }
        let group = self.resolve(&target)?;
        self.state.must_be_active(group)?;
        self.state.must_reach_peer(&group)?;
        let mentions = self.mentions_in(group, &question);
        let content = Content { mentions, ..self.content(Body::Poll { question, poll }, None) };
        let row = self.enqueue_message(group, &content)?;
        self.sent_or_queued(ticket, group, row)
    }
}
