//! What lies on the subjects of a group, as far as it can be told without keys.

use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::sign::{Signed, wire_hash};
use cipher_broker::subject::Route;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::JoinLinkId;
use openmls::prelude::{ContentType, MlsMessageBodyIn, MlsMessageIn, ProtocolMessage};
use serde_bytes::ByteArray;
use tls_codec::DeserializeBytes;

use crate::input::Delivered;
use crate::state::{Print, Skip, print_of};

/// What lies on a group's subjects.
pub(super) enum Incoming {
    Message(Checked),
    /// Somebody outside asks to join.
    Join {
        link: JoinLinkId,
        request: Vec<u8>,
    },
    /// A member's device asks to come back.
    Rejoin(Vec<u8>),
    /// A member says that a device which asks to come back is not in the group.
    NotMember(Signed),
}

/// A message of our group, of the right kind for its subject.
pub(super) struct Checked {
    pub message: ProtocolMessage,
    pub epoch: u64,
    pub handshake: bool,
    /// Of the commit itself when it is given back.
    pub hash: [u8; 32],
    /// By which own bytes are known, changed or not.
    pub print: Option<Print>,
    /// A commit that the log had lost.
    pub again: bool,
    /// The bytes of a handshake message as they were stored first.
    pub stored: Vec<u8>,
}

/// Everything that can be said about bytes without keys.
pub(super) fn check(group: &GroupId, delivered: &Delivered, handshake: bool) -> Result<Incoming, Skip> {
    // Before parsing: nobody makes us look into more than was agreed (M05).
    if delivered.bytes.len() > limit::MESSAGE_BYTES {
        return Err(Skip::TooLarge);
    }
    let (bytes, again) = match codec::decode(&delivered.bytes) {
        Ok(Envelope::Message(bytes)) => (bytes, false),
        Ok(Envelope::Again(bytes)) if handshake => (bytes, true),
        Ok(Envelope::Join { link, request }) if !handshake => {
            return Ok(Incoming::Join { link: ByteArray::new(link), request });
        }
        Ok(Envelope::Rejoin(request)) if !handshake => return Ok(Incoming::Rejoin(request)),
        Ok(Envelope::NotMember(answer)) if !handshake => return Ok(Incoming::NotMember(answer)),
        _ => return Err(Skip::Parse),
    };
    let print = print_of(&bytes);
    let message = MlsMessageIn::tls_deserialize_exact_bytes(&bytes).map_err(|_| Skip::Parse)?;
    let message: ProtocolMessage = match message.extract() {
        MlsMessageBodyIn::PrivateMessage(message) => message.into(),
        // Handshakes are encrypted here; a readable one (M35) can only be an external commit, which no client of
        // this version makes.
        _ => return Err(Skip::WireFormat),
    };
    if message.group_id().as_slice() != group.as_bytes() {
        return Err(Skip::WrongGroup);
    }
    if (message.content_type() != ContentType::Application) != handshake {
        return Err(Skip::WrongSubject);
    }
    let stored = match (handshake, again) {
        (false, _) => Vec::new(),
        (true, false) => delivered.bytes.clone(),
        (true, true) if message.content_type() == ContentType::Commit => {
            codec::encode(&Envelope::Message(bytes))
        }
        (true, true) => return Err(Skip::WrongSubject),
    };
    let hash = wire_hash(if again { &stored } else { &delivered.bytes });
    let epoch = message.epoch().as_u64();
    Ok(Incoming::Message(Checked { epoch, message, handshake, hash, print, again, stored }))
}

/// The hash of a commit as it was stored first, also of one that was given back to a log that had lost it.
pub(super) fn commit_hash(bytes: &[u8]) -> [u8; 32] {
    match codec::decode(bytes) {
        Ok(Envelope::Again(commit)) => wire_hash(&codec::encode(&Envelope::Message(commit))),
        _ => wire_hash(bytes),
    }
}

/// A parked message: only application and handshake messages of the group were ever parked.
pub(super) fn unpark(group: &GroupId, sequence: u64, bytes: &[u8]) -> Option<(bool, Checked)> {
    [false, true].into_iter().find_map(|handshake| {
        let route = if handshake { Route::Handshake(*group) } else { Route::Application(*group) };
        let delivered = Delivered { route, sequence, at: Timestamp::default(), bytes: bytes.to_vec() };
        match check(group, &delivered, handshake) {
            Ok(Incoming::Message(checked)) => Some((handshake, checked)),
            _ => None,
        }
    })
}
