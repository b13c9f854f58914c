//! Junk of a story: what anybody with a login at the broker can put on any subject, who has listened from the beginning
//! and holds no key. It costs itself and nothing else, whatever the story is.

use cipher_broker::codec;
use cipher_broker::limit;
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;
use cipher_core::Publish;

use crate::support::dice::Dice;
use crate::support::log::{Header, Log};
use crate::support::world::World;

/// How far back what was heard counts as fresh: it is of the epoch that is on, or of one just gone.
const FRESH: usize = 12;

/// Somebody who throws junk. Its dice are its own: a story without junk is what it was.
#[derive(Debug, Clone)]
pub(crate) struct Litter {
    dice: Dice,
    /// How often (of 1000) something is thrown when something happens.
    often: usize,
    /// How often just before something of somebody else reaches the broker.
    between: usize,
}

impl Litter {
    /// The junk of a story. One of four has none: there nothing may be skipped at all.
    pub(crate) fn of(seed: u64) -> Self {
        let (often, between) = match seed / 8 % 4 {
            0 => (0, 0),
            1 => (100, 30),
            2 => (400, 0),
            _ => (300, 200),
        };
        Self { dice: Dice::new(seed ^ 0x6A75_6E6B), often, between }
    }

    /// From now on it also throws between others' looks and their publishes.
    pub(crate) fn meddles(&self, world: &mut World) {
        let mut litter = self.clone();
        litter.dice = Dice::new(litter.dice.roll());
        if litter.between > 0 {
            world.meddle = Some(Box::new(move |_: &str, publish: &Publish, log: &mut Log| {
                if litter.dice.chance(litter.between) {
                    // Where it hurts most: on the subject that is compared, or the very one.
                    let route = publish.expect.as_ref().map_or(publish.route, |expect| expect.route);
                    let bytes = litter.piece(log);
                    log.throw(route, bytes);
                }
            }));
        }
    }

    /// Now and then something lies somewhere that nobody said.
    pub(crate) fn happens(&mut self, world: &mut World) {
        if !self.dice.chance(self.often) {
            return;
        }
        for _ in 0..self.dice.between(1, 3) {
            let bytes = self.piece(&world.log);
            let route = self.place(&world.log);
            world.note(|| format!("  junk of {} bytes on {route:?}", bytes.len()));
            world.log.throw(route, bytes);
        }
        if !world.whispered.is_empty() && self.dice.chance(300) {
            let (_, group, _) = self.dice.pick(&world.whispered).clone();
            let (_, _, bytes) = self.dice.pick(&world.whispered).clone();
            let bytes = self.spoiled(bytes);
            world.whisper_junk(group, &bytes);
        }
    }

    /// Something that was heard, more often of late.
    fn heard(&mut self, log: &Log) -> (Route, Vec<u8>) {
        let fresh = self.dice.chance(600);
        let of = if fresh { log.heard.len().min(FRESH) } else { log.heard.len() };
        log.heard[log.heard.len() - of + self.dice.below(of)].clone()
    }

    /// A subject that exists, of any kind.
    fn place(&mut self, log: &Log) -> Route {
        match (self.heard(log).0, self.dice.below(8)) {
            (Route::Application(group), 0..=3) => Route::Handshake(group),
            (Route::Handshake(group), 0..=1) => Route::Application(group),
            (Route::Tree { group, epoch, piece }, 0) => {
                Route::Tree { group, epoch: epoch + 1, piece: piece + 1 }
            }
            (route, _) => route,
        }
    }

    /// One piece.
    fn piece(&mut self, log: &Log) -> Vec<u8> {
        let (_, bytes) = self.heard(log);
        match self.dice.below(12) {
            0..=4 => bytes,
            5..=8 => self.spoiled(bytes),
            9 => self.of_another_epoch(bytes),
            10 => match codec::decode(&bytes) {
                Ok(Envelope::Message(mls)) => codec::encode(&Envelope::Again(mls)),
                Ok(Envelope::Again(mls)) => codec::encode(&Envelope::Message(mls)),
                Ok(Envelope::Tree(mls)) => codec::encode(&Envelope::Rejoin(mls)),
                _ => vec![7; if self.dice.chance(100) { limit::MESSAGE_BYTES + 1 } else { 100 }],
            },
            _ => {
                let length = self.dice.below(400);
                self.dice.bytes(length)
            }
        }
    }

    /// Cut, flipped or longer.
    fn spoiled(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.dice.below(4) {
            0 => bytes.truncate(self.dice.below(bytes.len())),
            1 => bytes.push(0),
            _ => {
                for _ in 0..self.dice.between(1, 3) {
                    let at = self.dice.below(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.dice.below(8);
                    }
                }
            }
        }
        bytes
    }

    /// The header claims another epoch, mostly a later one.
    fn of_another_epoch(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let (Some(header), Ok(Envelope::Message(mut mls))) = (Header::of(&bytes), codec::decode(&bytes))
        else {
            return bytes;
        };
        let claimed = match self.dice.below(6) {
            0 => header.epoch.saturating_sub(1),
            1 => u64::MAX,
            n => header.epoch + n as u64 - 1,
        };
        if let Some(place) = mls.get_mut(header.epoch_at..header.epoch_at + 8) {
            place.copy_from_slice(&claimed.to_be_bytes());
        }
        codec::encode(&Envelope::Message(mls))
    }
}
