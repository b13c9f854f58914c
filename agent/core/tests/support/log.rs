//! JetStream in memory, as far as the core can tell: one stream per shard, sequences, compare-and-set, the
//! duplicate window, and the differences between a single node and a cluster that a client must live with.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::codec;
use cipher_broker::id::{GroupId, PublishId};
use cipher_broker::limit;
use cipher_broker::stream::MAX_MESSAGE_BYTES;
use cipher_broker::subject::{Route, SHARDS, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_core::{Delivered, Publish, PublishOutcome, StreamState};

use crate::support::dice::Dice;

/// What kind of stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// One copy. A repeated publish meets compare-and-set before the duplicate window.
    R1,
    /// Three copies. The other way round; conflicts often do not tell the last sequence; one fenced message per
    /// compared subject at a time.
    R3,
}

/// One stored message.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) route: Route,
    pub(crate) bytes: Vec<u8>,
    /// When, by the broker's clock.
    pub(crate) at: Timestamp,
    /// Whether nobody said it: see [`crate::support::litter`].
    junk: bool,
}

/// One stream.
#[derive(Debug, Clone, Default)]
struct Stream {
    /// Sequence 1 is at index 0.
    messages: Vec<Stored>,
    /// When it was made.
    created: Timestamp,
    /// How many of the first messages retention took away. Their sequences are never given again.
    gone: u64,
    /// Until when its operator let go of what it held.
    let_go: Option<Timestamp>,
    ids: BTreeMap<PublishId, (u64, Timestamp)>,
    last: Vec<(Route, u64)>,
    by_source: BTreeMap<Source, Vec<u64>>,
    /// Compared subjects with a fenced message in flight, and for how many more publishes.
    busy: Vec<(Route, usize)>,
}

/// All streams.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) flavour: Flavour,
    streams: Vec<Stream>,
    /// Whether agents may not ask where a stream stands: its server file is older.
    pub(crate) keeps_quiet: bool,
    /// How often streams went back.
    pub(crate) went_back: u64,
    /// The broker's clock: the latest time it was told.
    now: Timestamp,
    /// All that was ever put anywhere but junk, in that order: what a stranger has who listened from the beginning.
    pub(crate) heard: Vec<(Route, Vec<u8>)>,
    /// How many pieces of junk were thrown.
    pub(crate) junk: u64,
}

impl Stream {
    fn last_of(&self, route: &Route) -> u64 {
        let last = self.last.iter().find(|(other, _)| other == route).map_or(0, |(_, sequence)| *sequence);
        // A subject that retention emptied counts as one that never had a message.
        if last > self.gone { last } else { 0 }
    }

    fn store(&mut self, route: Route, bytes: Vec<u8>, at: Timestamp, junk: bool) -> u64 {
        self.messages.push(Stored { route, bytes, at, junk });
        let sequence = self.messages.len() as u64;
        match self.last.iter_mut().find(|(other, _)| *other == route) {
            Some((_, last)) => *last = sequence,
            None => self.last.push((route, sequence)),
        }
        if let Some(source) = route.source() {
            self.by_source.entry(source).or_default().push(sequence);
        }
        sequence
    }
}

impl Log {
    pub(crate) fn new(flavour: Flavour) -> Self {
        let streams = vec![Stream::default(); usize::from(SHARDS) + 1];
        Self {
            flavour,
            streams,
            keeps_quiet: false,
            went_back: 0,
            now: Timestamp::default(),
            heard: Vec::new(),
            junk: 0,
        }
    }

    /// Time passes for the broker too. What is older than streams keep it goes, from the front.
    pub(crate) fn passes(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let oldest = self.now.minus(limit::RETENTION);
        // The account log is kept for ever.
        for stream in self.streams.iter_mut().take(usize::from(SHARDS)) {
            let kept = stream.messages.iter().skip(usize::try_from(stream.gone).unwrap());
            stream.gone += kept.take_while(|stored| stored.at < oldest).count() as u64;
        }
    }

    /// An operator puts an older copy of the conversations' streams in place of what there is.
    pub(crate) fn restore(&mut self, copy: &Self) {
        for (stream, older) in self.streams.iter_mut().zip(&copy.streams).take(usize::from(SHARDS)) {
            *stream = older.clone();
        }
        self.went_back += 1;
    }

    /// The conversations' streams are deleted and made anew.
    pub(crate) fn make_anew(&mut self) {
        let created = self.now;
        for stream in self.streams.iter_mut().take(usize::from(SHARDS)) {
            *stream = Stream { created, ..Stream::default() };
        }
        self.went_back += 1;
    }

    /// The conversations' streams lose all that is in them; sequences go on.
    pub(crate) fn empty(&mut self) {
        for stream in self.streams.iter_mut().take(usize::from(SHARDS)) {
            stream.gone = stream.messages.len() as u64;
        }
        self.went_back += 1;
    }

    /// The operator makes room: all that the conversations' streams hold goes, and they remember until when.
    pub(crate) fn make_room(&mut self) {
        for stream in self.streams.iter_mut().take(usize::from(SHARDS)) {
            stream.gone = stream.messages.len() as u64;
            stream.let_go = stream.messages.last().map(|last| last.at).or(stream.let_go);
        }
    }

    /// Where the stream of a source stands.
    pub(crate) fn state(&self, source: &Source) -> StreamState {
        let Stream { created, let_go, .. } = self.stream(source.shard());
        let (created, let_go) = (Some(*created), *let_go);
        let kept = usize::from(source.shard()) < usize::from(SHARDS);
        let max_age = Some(if kept { limit::RETENTION } else { std::time::Duration::ZERO });
        StreamState { last: self.end(source), created, max_age, let_go }
    }

    /// Whether retention took anything away.
    pub(crate) fn forgot(&self) -> bool {
        self.streams.iter().any(|stream| stream.gone > 0)
    }

    fn stream(&self, shard: u8) -> &Stream {
        &self.streams[usize::from(shard)]
    }

    /// One publish that reached the broker. `rough` is how often (of 1000) a cluster is still busy with the
    /// message before.
    pub(crate) fn publish(
        &mut self,
        publish: &Publish,
        now: Timestamp,
        dice: &mut Dice,
        rough: usize,
    ) -> PublishOutcome {
        if publish.bytes.len() > usize::try_from(MAX_MESSAGE_BYTES).unwrap() {
            return PublishOutcome::Refused;
        }
        let flavour = self.flavour;
        self.passes(now);
        let stream = &mut self.streams[usize::from(publish.route.shard())];
        stream.ids.retain(|_, (_, at)| now.since(*at) < limit::DUPLICATE_WINDOW);
        let known = stream.ids.get(&publish.publish_id).map(|(sequence, _)| *sequence);
        let repeated = known.map(|sequence| PublishOutcome::Stored { sequence, duplicate: true });
        if flavour == Flavour::R3
            && let Some(repeated) = repeated
        {
            return repeated;
        }
        if let Some(expect) = &publish.expect {
            assert_eq!(expect.route.shard(), publish.route.shard(), "compare-and-set across streams");
            for (_, left) in &mut stream.busy {
                *left -= 1;
            }
            stream.busy.retain(|(_, left)| *left > 0);
            if stream.busy.iter().any(|(route, _)| *route == expect.route) {
                return PublishOutcome::Conflict { last: None };
            }
            let last = stream.last_of(&expect.route);
            if last != expect.sequence {
                let told = flavour == Flavour::R1 || dice.chance(350);
                return PublishOutcome::Conflict { last: told.then_some(last) };
            }
            if flavour == Flavour::R3 && dice.chance(rough) {
                stream.busy.push((expect.route, dice.between(1, 3)));
            }
        }
        if let Some(repeated) = repeated {
            return repeated;
        }
        let sequence = stream.store(publish.route, publish.bytes.clone(), self.now, false);
        stream.ids.insert(publish.publish_id, (sequence, now));
        self.heard.push((publish.route, publish.bytes.clone()));
        PublishOutcome::Stored { sequence, duplicate: false }
    }

    /// Anybody's bytes on a subject, without compare-and-set and without an id.
    pub(crate) fn inject(&mut self, route: Route, bytes: Vec<u8>) -> u64 {
        self.heard.push((route, bytes.clone()));
        self.streams[usize::from(route.shard())].store(route, bytes, self.now, false)
    }

    /// The same, of somebody who has nothing to say there.
    pub(crate) fn throw(&mut self, route: Route, bytes: Vec<u8>) {
        self.junk += 1;
        self.streams[usize::from(route.shard())].store(route, bytes, self.now, true);
    }

    /// Somebody else uses a publish id first.
    pub(crate) fn squat(&mut self, route: Route, id: PublishId, bytes: Vec<u8>, now: Timestamp) -> u64 {
        let sequence = self.inject(route, bytes);
        self.streams[usize::from(route.shard())].ids.insert(id, (sequence, now));
        sequence
    }

    /// The last sequence of the stream of a source.
    pub(crate) fn end(&self, source: &Source) -> u64 {
        self.stream(source.shard()).messages.len() as u64
    }

    /// The last sequence of a source; 0 when it is empty.
    pub(crate) fn last_of(&self, source: &Source) -> u64 {
        let stream = self.stream(source.shard());
        let last = stream.by_source.get(source).and_then(|all| all.last()).copied();
        last.filter(|last| *last > stream.gone).unwrap_or(0)
    }

    /// The next messages of a source behind `after`, up to `end`, at most `most`.
    pub(crate) fn read(&self, source: &Source, after: u64, end: u64, most: usize) -> Vec<Delivered> {
        let stream = self.stream(source.shard());
        let all = stream.by_source.get(source).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|sequence| *sequence <= after.max(stream.gone));
        all[from..]
            .iter()
            .take_while(|sequence| **sequence <= end)
            .take(most)
            .map(|sequence| {
                let Stored { route, bytes, at, .. } = self.at(source.shard(), *sequence).clone();
                Delivered { route, sequence: *sequence, at, bytes }
            })
            .collect()
    }

    fn at(&self, shard: u8, sequence: u64) -> &Stored {
        &self.stream(shard).messages[usize::try_from(sequence - 1).unwrap()]
    }

    /// Everything that lies on one subject.
    pub(crate) fn on(&self, route: &Route) -> Vec<(u64, Vec<u8>)> {
        let stream = self.stream(route.shard());
        let numbered = (1_u64..).zip(&stream.messages);
        numbered
            .filter(|(n, stored)| *n > stream.gone && stored.route == *route)
            .map(|(n, stored)| (n, stored.bytes.clone()))
            .collect()
    }

    /// Something takes every message off a subject.
    pub(crate) fn lose_all(&mut self, route: &Route) {
        let other = Route::Tree { group: GroupId::from_bytes([0; 16]), epoch: 0, piece: 0 };
        let stream = &mut self.streams[usize::from(route.shard())];
        for stored in stream.messages.iter_mut().filter(|stored| stored.route == *route) {
            stored.route = other;
        }
    }

    /// How many messages lie behind an equal one.
    pub(crate) fn repeats(&self) -> u64 {
        let all = self.all();
        let different: BTreeSet<&[u8]> = all.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        (all.len() - different.len()) as u64
    }

    /// Everything, in the order of each stream.
    pub(crate) fn all(&self) -> Vec<(Route, Vec<u8>)> {
        let messages = self.streams.iter().flat_map(|stream| &stream.messages);
        messages.map(|stored| (stored.route, stored.bytes.clone())).collect()
    }

    /// The pieces of the sealed tree of an epoch: the message with the hash on each subject, or the last one.
    pub(crate) fn tree(
        &self,
        group: GroupId,
        epoch: u64,
        pieces: u32,
        hashes: &[[u8; 32]],
    ) -> Option<Vec<Vec<u8>>> {
        let piece = |piece: u32| {
            let all = self.on(&Route::Tree { group, epoch, piece });
            let mut fits = all.into_iter().map(|(_, bytes)| bytes);
            match hashes.get(piece as usize) {
                Some(hash) => fits.find(|bytes| cipher_broker::sign::wire_hash(bytes) == *hash),
                None => fits.next_back(),
            }
        };
        (0..pieces).map(piece).collect()
    }

    /// A broker that lies about the order: two messages change places.
    pub(crate) fn swap(&mut self, source: &Source, a: u64, b: u64) {
        let at = |sequence: u64| usize::try_from(sequence - 1).unwrap();
        self.streams[usize::from(source.shard())].messages.swap(at(a), at(b));
    }

    /// Messages in all streams.
    pub(crate) fn len(&self) -> usize {
        self.streams.iter().map(|stream| stream.messages.len()).sum()
    }

    /// What a group's log looks like to somebody who sees only the outside of its messages, and knows what is junk.
    pub(crate) fn outside(&self, group: GroupId) -> Vec<Outside> {
        let source = Source::Group(group);
        let mut epoch = 0;
        self.read(&source, 0, u64::MAX, usize::MAX)
            .into_iter()
            .filter(|delivered| !self.at(source.shard(), delivered.sequence).junk)
            .filter_map(|delivered| {
                let header = Header::of(&delivered.bytes)?;
                let landed = header.epoch == epoch;
                if landed && header.content == COMMIT && matches!(delivered.route, Route::Handshake(_)) {
                    epoch += 1;
                }
                Some(Outside { sequence: delivered.sequence, header, landed, bytes: delivered.bytes })
            })
            .collect()
    }
}

/// Content type of an application message (RFC 9420 §6).
pub(crate) const APPLICATION: u8 = 1;
/// Content type of a commit.
pub(crate) const COMMIT: u8 = 3;

/// A message of a group from outside.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) sequence: u64,
    pub(crate) header: Header,
    /// Whether it took its place in the epoch it was made for, if every first commit of an epoch was valid.
    pub(crate) landed: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The part of a `PrivateMessage` that is not encrypted (RFC 9420 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u64,
    pub(crate) content: u8,
    /// Where in the MLS bytes the epoch is.
    pub(crate) epoch_at: usize,
}

impl Header {
    /// Reads it from stored bytes.
    pub(crate) fn of(stored: &[u8]) -> Option<Self> {
        let Envelope::Message(mls) = codec::decode(stored).ok()? else { return None };
        // version, wire format, then the group id with a length of one byte.
        let length = usize::from(*mls.get(4)?);
        if mls.get(..4)? != [0, 1, 0, 2] || length >= 0x40 {
            return None;
        }
        let epoch_at = 5 + length;
        let epoch = u64::from_be_bytes(mls.get(epoch_at..epoch_at + 8)?.try_into().ok()?);
        Some(Self { epoch, content: *mls.get(epoch_at + 8)?, epoch_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_core::{Expect, OutboxId};

    fn publish(id: u8, route: Route, expect: Option<(Route, u64)>) -> Publish {
        Publish {
            row: OutboxId(u64::from(id)),
            route,
            publish_id: PublishId::from_bytes([id; 16]),
            expect: expect.map(|(route, sequence)| Expect { route, sequence }),
            bytes: vec![id],
        }
    }

    #[test]
    fn a_retried_commit_is_a_conflict_on_one_node_and_a_duplicate_in_a_cluster() {
        let handshake = Route::Handshake(GroupId::from_bytes([1; 16]));
        let now = Timestamp::from_millis(1);
        for (flavour, second) in [
            (Flavour::R1, PublishOutcome::Conflict { last: Some(1) }),
            (Flavour::R3, PublishOutcome::Stored { sequence: 1, duplicate: true }),
        ] {
            let (mut log, mut dice) = (Log::new(flavour), Dice::new(1));
            let commit = publish(1, handshake, Some((handshake, 0)));
            let first = log.publish(&commit, now, &mut dice, 0);
            assert_eq!(first, PublishOutcome::Stored { sequence: 1, duplicate: false });
            assert_eq!(log.publish(&commit, now, &mut dice, 0), second);
            let other = publish(2, handshake, Some((handshake, 0)));
            assert!(matches!(log.publish(&other, now, &mut dice, 0), PublishOutcome::Conflict { .. }));
            assert_eq!(log.len(), 1);
        }
    }

    #[test]
    fn the_duplicate_window_spans_the_stream_and_ends() {
        let group = GroupId::from_bytes([1; 16]);
        let (mut log, mut dice) = (Log::new(Flavour::R1), Dice::new(1));
        let now = Timestamp::from_millis(1);
        log.publish(&publish(1, Route::Application(group), None), now, &mut dice, 0);
        let elsewhere = publish(1, Route::Handshake(group), None);
        let outcome = log.publish(&elsewhere, now, &mut dice, 0);
        assert_eq!(outcome, PublishOutcome::Stored { sequence: 1, duplicate: true });
        let later = now.plus(limit::DUPLICATE_WINDOW);
        let outcome = log.publish(&elsewhere, later, &mut dice, 0);
        assert_eq!(outcome, PublishOutcome::Stored { sequence: 2, duplicate: false });
    }

    #[test]
    fn what_retention_took_away_is_gone_and_its_sequences_are_not_given_again() {
        let group = GroupId::from_bytes([1; 16]);
        let (mut log, mut dice) = (Log::new(Flavour::R1), Dice::new(1));
        let now = Timestamp::from_millis(1);
        let (handshake, application) = (Route::Handshake(group), Route::Application(group));
        log.publish(&publish(1, handshake, None), now, &mut dice, 0);
        let later = now.plus(limit::RETENTION);
        log.publish(&publish(2, application, None), later, &mut dice, 0);
        assert_eq!(log.on(&handshake).len(), 1, "not older than streams keep it");
        let later = later.plus(std::time::Duration::from_millis(1));
        let fenced = publish(3, application, Some((handshake, 1)));
        assert_eq!(log.publish(&fenced, later, &mut dice, 0), PublishOutcome::Conflict { last: Some(0) });
        let read = log.read(&Source::Group(group), 0, u64::MAX, 10);
        assert_eq!(
            read.iter().map(|delivered| (delivered.sequence, delivered.at)).collect::<Vec<_>>(),
            [(2, now.plus(limit::RETENTION))]
        );
    }

    #[test]
    fn a_fence_compares_another_subject() {
        let group = GroupId::from_bytes([1; 16]);
        let (mut log, mut dice) = (Log::new(Flavour::R1), Dice::new(1));
        let now = Timestamp::from_millis(1);
        let (handshake, application) = (Route::Handshake(group), Route::Application(group));
        log.inject(handshake, vec![1]);
        log.inject(application, vec![2]);
        let fenced = publish(1, application, Some((handshake, 1)));
        let outcome = log.publish(&fenced, now, &mut dice, 0);
        assert_eq!(outcome, PublishOutcome::Stored { sequence: 3, duplicate: false });
        log.inject(handshake, vec![1]);
        let stale = publish(2, application, Some((handshake, 1)));
        let outcome = log.publish(&stale, now, &mut dice, 0);
        assert_eq!(outcome, PublishOutcome::Conflict { last: Some(4) });
    }
}
