//! A stretch of a conversation, walked from either end.

use std::iter::Peekable;
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::id::GroupId;

use super::{History, MessageKey, readable};
use crate::state::{MessageRow, Place};
use crate::store::key::RowKey as _;
use crate::store::table;

/// From which end a stretch is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Oldest,
    Newest,
}

/// What becomes of a row that is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Take,
    Pass,
    /// Neither it nor anything behind it is wanted.
    Stop,
}

impl History {
    /// Rows between two places that `judge` takes, in the order in which they are come by, at most `limit`. Memory holds what was
    /// taken and no more.
    pub(crate) fn stretch(
        &self,
        group: &GroupId,
        (from, to): (Bound<Place>, Bound<Place>),
        end: End,
        limit: usize,
        mut judge: impl FnMut(Place, &MessageRow) -> Verdict,
    ) -> Result<Vec<(Place, MessageRow)>> {
        let mut found = Vec::new();
        let place = |(position, place): Place| (*group, position, place);
        let first = match from {
            Bound::Unbounded => Bound::Included((*group, 0, 0)),
            bound => bound.map(place),
        };
        let last = match to {
            Bound::Unbounded => Bound::Included((*group, u64::MAX, u16::MAX)),
            bound => bound.map(place),
        };
        if limit == 0 || is_empty(&first, &last) {
            return Ok(found);
        }
        let (from, to) = (first.map(|key| key.to_key()), last.map(|key| key.to_key()));
        let messages = self.store.table(table::MESSAGES)?;
        let stored = messages.range(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice))?;
        let stored = stored.map(|row| {
            let row = row?;
            let key = MessageKey::from_key(&row.key());
            // One that is damaged costs itself.
            Ok(key.and_then(|(_, position, place)| Some(((position, place), readable(&row).ok()?))))
        });
        let written = self.messages.range((first, last));
        let written = written.map(|((_, position, place), row)| ((*position, *place), row));
        let stored: Box<dyn Iterator<Item = Result<Option<(Place, MessageRow)>>>> = match end {
            End::Oldest => Box::new(stored),
            End::Newest => Box::new(stored.rev()),
        };
        let written: Box<dyn Iterator<Item = (Place, &MessageRow)>> = match end {
            End::Oldest => Box::new(written),
            End::Newest => Box::new(written.rev()),
        };
        let mut written = written.peekable();
        let mut take = |place: Place, row: MessageRow| {
            match judge(place, &row) {
                Verdict::Take => found.push((place, row)),
                Verdict::Pass => {}
                Verdict::Stop => return false,
            }
            found.len() < limit
        };
        for row in stored {
            let Some((place, row)) = row? else { continue };
            while let Some((before, row)) = in_front(&mut written, place, end) {
                if !take(before, row.clone()) {
                    return Ok(found);
                }
            }
            // What this batch writes at the same place replaces it.
            let replaced = written.next_if(|(written, _)| *written == place);
            if !take(place, replaced.map_or(row, |(_, row)| row.clone())) {
                return Ok(found);
            }
        }
        for (place, row) in written {
            if !take(place, row.clone()) {
                break;
            }
        }
        Ok(found)
    }
}

/// What the batch wrote in front of a place, seen from the end of which one comes.
fn in_front<'r>(
    written: &mut Peekable<impl Iterator<Item = (Place, &'r MessageRow)>>,
    place: Place,
    end: End,
) -> Option<(Place, &'r MessageRow)> {
    written.next_if(|(written, _)| match end {
        End::Oldest => *written < place,
        End::Newest => *written > place,
    })
}

/// Whether nothing can lie between two bounds, which a range of a tree takes for a mistake.
fn is_empty<T: Ord>(from: &Bound<T>, to: &Bound<T>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
        _ => false,
    }
}
