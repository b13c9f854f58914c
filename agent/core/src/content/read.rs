//! A conversation, or the part of it that is asked for, as people read it.

use std::ops::Bound;
use std::time::Duration;

use cipher_api::command::message::{MessageRef, Read};
use cipher_api::view::MessageView;
use cipher_api::{ErrorKind, Hint, Reply, Result, Target};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;

use crate::content::named::Meant;
use crate::machine::Core;
use crate::state::history::stretch::{End, Verdict};
use crate::state::{MessageRow, Place};

/// The broker's clock may be set back by less than that, so what is older by more is older for good.
const CLOCK_BACK: Duration = Duration::from_secs(3600);

/// A line that others are before or behind.
#[derive(Debug, Clone, Copy)]
struct Mark {
    group: GroupId,
    place: Place,
    id: MessageId,
}

/// Which side of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

/// Which rows are wanted beside their place.
#[derive(Debug, Clone, Copy, Default)]
struct Wish {
    unread: bool,
    since: Option<Timestamp>,
}

impl Core {
    pub(super) fn read(&mut self, asked: &Read) -> Result<Reply> {
        let chosen = [asked.after.is_some(), asked.unread, asked.since.is_some(), asked.first.is_some()];
        if asked.around.is_some() && chosen.contains(&true) || (asked.first.is_some() && asked.last.is_some())
        {
            return Err(ErrorKind::Usage
                .because("'around' stands alone beside 'last', and 'first' and 'last' exclude each other"));
        }
        let target = &asked.target;
        let conversations = self.readable(target)?;
        let mut views = match &asked.around {
            Some(id) => self.around(target, id, &conversations, asked.last)?,
            None => self.part(asked, &conversations)?,
        };
        for group in &conversations {
            self.show_waiting_changes(*group, &mut views);
        }
        if asked.mark {
            for group in conversations {
                let shown = views.iter().filter(|view| view.group == group).map(|view| view.id).collect();
                self.mark_shown(group, &shown)?;
            }
        }
        Ok(Reply::Messages(views))
    }

    /// The conversations that a target means, if there is something to read.
    pub(super) fn readable(&self, target: &Target) -> Result<Vec<GroupId>> {
        let group = self.resolve(target)?;
        if self.state.groups.get(&group).is_none() {
            let how = match target {
                Target::Account(handle) => Hint::ContactAccept { handle: handle.clone() },
                Target::Group(_) | Target::Name(_) => Hint::GroupAccept { group: group.into() },
            };
            return Err(ErrorKind::Refused
                .because("this is an invitation that was not accepted yet")
                .hint(how));
        }
        Ok(self.conversations(target, group))
    }

    fn part(&self, asked: &Read, conversations: &[GroupId]) -> Result<Vec<MessageView>> {
        let mark = match &asked.after {
            Some(id) => Some(self.mark(&asked.target, id)?.0),
            None => None,
        };
        let wish = Wish { unread: asked.unread, since: asked.since };
        let end = if asked.first.is_some() { End::Oldest } else { End::Newest };
        let limit = asked.first.or(asked.last).unwrap_or(usize::MAX);
        let mut views = self.lines(conversations, mark.map(|mark| (mark, Side::Behind)), wish, end, limit)?;
        if !asked.unread {
            let waiting = self.waiting_lines(conversations)?;
            views.extend(
                waiting.into_iter().filter(|view| asked.since.is_none_or(|since| view.sent_at >= since)),
            );
        }
        cut(&mut views, end, limit);
        Ok(views)
    }

    fn around(
        &self,
        target: &Target,
        id: &str,
        conversations: &[GroupId],
        limit: Option<usize>,
    ) -> Result<Vec<MessageView>> {
        let (mark, row) = self.mark(target, id)?;
        let limit = limit.unwrap_or(usize::MAX);
        let side = |side, end| self.lines(conversations, Some((mark, side)), Wish::default(), end, limit);
        let mut views = side(Side::Before, End::Newest)?;
        views.push(self.message_view(mark.group, mark.place, &row));
        let mut behind = side(Side::Behind, End::Oldest)?;
        behind.extend(self.waiting_lines(conversations)?);
        behind.truncate(limit);
        views.extend(behind);
        Ok(views)
    }

    /// The line that an id names.
    fn mark(&self, target: &Target, id: &str) -> Result<(Mark, MessageRow)> {
        let message = MessageRef { id: id.to_owned(), within: Some(target.clone()) };
        let Meant { group, row, .. } = self.line_meant(&message)?;
        let Some((place, row)) = row else {
            return Err(ErrorKind::Usage
                .because("this message waits for the broker and has no place in the log yet")
                .hint(Hint::text("give the id of a line with a \"seq\"")));
        };
        Ok((Mark { group, place, id: row.id }, row))
    }

    /// Lines of conversations that are kept, oldest first: at most `limit`, from one end.
    fn lines(
        &self,
        conversations: &[GroupId],
        mark: Option<(Mark, Side)>,
        wish: Wish,
        end: End,
        limit: usize,
    ) -> Result<Vec<MessageView>> {
        if let [group] = conversations {
            return self.lines_of(*group, mark, wish, end, limit);
        }
        // Several with one account, which is rare: in the order of time, and so all of them are needed.
        let mut views = Vec::new();
        for group in conversations {
            views.extend(self.lines_of(*group, None, wish, End::Oldest, usize::MAX)?);
        }
        views.sort_by_key(|view| view.at.unwrap_or(view.sent_at));
        if let Some((mark, side)) = mark {
            let is_it = |view: &MessageView| view.group == mark.group && view.id == mark.id;
            let at = views.iter().position(is_it).unwrap_or(views.len());
            match side {
                Side::Before => views.truncate(at),
                Side::Behind => drop(views.drain(..at.saturating_add(1).min(views.len()))),
            }
        }
        cut(&mut views, end, limit);
        Ok(views)
    }

    fn lines_of(
        &self,
        group: GroupId,
        mark: Option<(Mark, Side)>,
        wish: Wish,
        end: End,
        limit: usize,
    ) -> Result<Vec<MessageView>> {
        let read_to = || self.state.groups.get(&group).filter(|_| wish.unread).and_then(|row| row.read_to);
        let bounds = match mark {
            Some((mark, Side::Before)) => (Bound::Unbounded, Bound::Excluded(mark.place)),
            Some((mark, Side::Behind)) => (Bound::Excluded(mark.place), Bound::Unbounded),
            None => match read_to() {
                Some(read_to) => (Bound::Excluded((read_to, u16::MAX)), Bound::Unbounded),
                None => (Bound::Unbounded, Bound::Unbounded),
            },
        };
        let judge = |place: Place, row: &MessageRow| {
            let at = row.at.unwrap_or(row.sent_at);
            if let Some(since) = wish.since.filter(|since| at < *since) {
                // The time of what a member gave is that member's word.
                let is_over =
                    row.granted().is_none() && row.at.is_some_and(|at| at < since.minus(CLOCK_BACK));
                return if end == End::Newest && is_over { Verdict::Stop } else { Verdict::Pass };
            }
            let is_read = wish.unread && !self.is_unread(&group, place.0, row);
            if !is_read && row.is_shown() && !self.state.hides(row) { Verdict::Take } else { Verdict::Pass }
        };
        let mut rows = self.history.stretch(&group, bounds, end, limit, judge)?;
        if end == End::Newest {
            rows.reverse();
        }
        Ok(rows.iter().map(|(place, row)| self.message_view(group, *place, row)).collect())
    }

    /// Own messages that wait for the broker.
    fn waiting_lines(&self, conversations: &[GroupId]) -> Result<Vec<MessageView>> {
        let mut waiting = Vec::new();
        for group in conversations {
            let queued = self.run.delivery.rows_of(*group);
            for view in queued.filter_map(|id| self.queued_line(id)) {
                // What is said again because a log lost it stands where it was said first.
                if self.history.seen(group, &view.id)?.is_none() {
                    waiting.push(view);
                }
            }
        }
        Ok(waiting)
    }
}

/// Leaves so many of one end.
fn cut(views: &mut Vec<MessageView>, end: End, limit: usize) {
    match end {
        End::Oldest => views.truncate(limit),
        End::Newest => drop(views.drain(..views.len().saturating_sub(limit))),
    }
}
