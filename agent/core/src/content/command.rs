//! Requests about what is said.

use cipher_api::command::{MessageCommand as M, file, message, poll};
use cipher_api::{Reply, Result};
use cipher_broker::wire::content::Body;

use crate::input::Ticket;
use crate::machine::Core;
use crate::state::Words;

impl Core {
    /// Does what is asked of messages; `None` when the answer comes later.
    pub(crate) fn message_command(&mut self, ticket: Ticket, command: M) -> Result<Option<Reply>> {
        match command {
            M::Send(message::Send { target, text, reply_to, thread, expire }) => {
                let reply_to = reply_to.map(|id| self.replied_to(&target, id)).transpose()?;
                let thread = thread.map(|thread| self.thread_root(&target, thread)).transpose()?;
                self.send(ticket, target, Words { reply_to, thread, expire, ..Words::of(Body::Text(text)) })
            }
            M::Forward(message::Forward { message, target }) => {
                let words = self.forwarded(&message)?;
                self.send(ticket, target, words)
            }
            M::Show(message::Show { message }) => self.message_show(&message).map(Some),
            M::Edits(message::Edits { message }) => self.message_edits(&message).map(Some),
            M::Thread(message::Thread { message }) => self.message_thread(&message).map(Some),
            M::Pin(message::Pin { message, remove }) => self.message_pin(ticket, &message, remove),
            M::Pins(message::Pins { target }) => self.message_pins(&target).map(Some),
            M::Edit(message::Edit { message, text }) => self.message_edit(ticket, &message, text),
            M::Delete(message::Delete { message, local }) => self.message_delete(ticket, &message, local),
            M::React(message::React { message, emoji, remove }) => {
                self.message_react(ticket, &message, &emoji, remove)
            }
            // People do that.
            M::Typing(_) => Ok(Some(Reply::Done)),
            M::Read(asked) => self.read(&asked).map(Some),
            M::PollCreate(create) => self.poll_create(ticket, create),
            M::PollVote(poll::Vote { message, options }) => self.poll_vote(ticket, &message, &options),
            M::PollClose(poll::Close { message }) => self.poll_close(ticket, &message),
            M::GrantHistory(asked) => self.grant_history(ticket, &asked),
            M::Search(asked) => self.search(&asked).map(Some),
            M::Shown(message::Shown { group, ids }) => {
                self.state.identity()?;
                self.mark_shown(group, &ids.into_iter().collect())?;
                Ok(Some(Reply::Done))
            }
            M::CheckFiles(check) => self.check_files(ticket, check),
            M::BeginFile(begin) => self.begin_file(begin).map(Some),
            M::FileProgress(file::Progress { id, done }) => self.file_progress(id, done).map(Some),
            M::FinishFile(finish) => self.finish_file(finish).map(Some),
            M::DropFile(file::Drop { id }) => self.drop_file(&id).map(Some),
            M::SendFile(send) => self.send_files(ticket, send),
            M::Files(file::List { target, last }) => self.list_files(&target, last).map(Some),
            M::OpenFile(file::Open { file }) => self.open_file(&file).map(Some),
        }
    }
}
