//! Every number that two sides must agree on. Sizes in bytes, times as [`Duration`].

use std::time::Duration;

/// Largest message on a group subject, sealed. Refused before parsing, on both sides.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// Largest text of one message, so that its sealed and padded form stays below [`MESSAGE_BYTES`].
pub const TEXT_BYTES: usize = 192 * 1024;
/// Largest reaction: the longest emoji of Unicode 17 has 35 bytes.
pub const REACTION_BYTES: usize = 64;
/// Different emoji that one account puts under one message, those that it took away again included.
pub const REACTIONS_OF_ACCOUNT: usize = 20;
/// Different emoji under one message.
pub const REACTIONS: usize = 64;
/// Pinned messages of a conversation that are listed, the latest ones.
pub const PINS: usize = 256;
/// Members of a group beyond which nobody tells how far it came: everybody would store what everybody says.
pub const RECEIPT_MEMBERS: usize = 32;
/// Largest thing that devices of one account tell each other in one message: room for one message of history with what is
/// attached to it.
pub const SYNC_BYTES: usize = TEXT_BYTES + 16 * 1024;
/// Messages that a member gives another one at once.
pub const GRANT_MESSAGES: usize = 1_000;
/// Bytes of those messages.
pub const GRANT_BYTES: usize = 1024 * 1024;
/// Bytes of one piece of them, sealed: with the keys for [`DEVICES_PER_ACCOUNT`] it stays below [`MESSAGE_BYTES`].
pub const GRANT_PIECE_BYTES: usize = TEXT_BYTES;
/// Pieces of one grant.
pub const GRANT_PIECES: usize = 32;
/// Messages that one member gave and that are kept, per group.
pub const GRANTED_OF_GIVER: usize = 2_000;
/// Bytes of their words.
pub const GRANTED_BYTES_OF_GIVER: usize = 4 * 1024 * 1024;
/// Largest file that a site takes, unless its operator says otherwise.
pub const FILE_BYTES: u64 = 100 * 1024 * 1024;
/// Room for all files of a site, unless its operator says otherwise.
pub const FILES_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Content of one chunk of a file, as this build seals it.
pub const FILE_CHUNK_BYTES: u32 = 256 * 1024;
/// Smallest and largest content of one chunk that is opened.
pub const FILE_CHUNK_RANGE: std::ops::RangeInclusive<u32> = 4 * 1024..=512 * 1024;
/// Bytes by which a sealed chunk is longer than its content.
pub const FILE_CHUNK_OVERHEAD: usize = 35;
/// Chunks of a file on their way to the broker at once: 2 MiB.
pub const FILE_WINDOW: usize = 8;
/// Chunks of a file on their way from the broker at once. With those that wait for the disk it is 4 MiB, which is what a
/// command that is killed fetches twice at most.
pub const FILE_FETCH_WINDOW: usize = 12;
/// Files of one message.
pub const ATTACHMENTS: usize = 16;
/// Longest name of a file, bytes.
pub const FILE_NAME_BYTES: usize = 255;
/// Longest media type of a file, bytes.
pub const MEDIA_TYPE_BYTES: usize = 127;
/// Largest preview of a file, bytes.
pub const PREVIEW_BYTES: usize = 8 * 1024;
/// Longest side of a preview, pixels.
pub const PREVIEW_SIDE: u16 = 160;
/// Bytes of all previews of one message.
pub const PREVIEWS_BYTES: usize = 32 * 1024;
/// Longest time after which a message is forgotten, in seconds: a year.
pub const EXPIRE_SECONDS: u64 = 366 * 24 * 3600;
/// Largest message on an inbox: a Welcome without tree grows by about 100 bytes per device it adds.
pub const WELCOME_BYTES: usize = 256 * 1024;
/// Size of one piece of a sealed ratchet tree.
pub const TREE_CHUNK_BYTES: usize = 512 * 1024;
/// Most pieces a sealed ratchet tree may have: 16 MiB, far above 5,000 members.
pub const TREE_CHUNKS: u32 = 32;
/// Largest request to or reply of the registry.
pub const REGISTRY_BYTES: usize = 768 * 1024;
/// Characters (Unicode scalar values) of a group name.
pub const GROUP_NAME_CHARS: usize = 128;
/// Answers of a poll.
pub const POLL_OPTIONS: usize = 20;
/// Bytes of an answer of a poll.
pub const POLL_OPTION_BYTES: usize = 256;
/// Accounts that a message names.
pub const MENTIONS: usize = 64;
/// Characters of what a group says it is about.
pub const GROUP_TOPIC_CHARS: usize = 512;
/// Characters of a display name.
pub const DISPLAY_NAME_CHARS: usize = 64;
/// Characters of a status text.
pub const STATUS_CHARS: usize = 140;
/// First words to somebody that are shown with the request, in characters.
pub const FIRST_WORDS_CHARS: usize = 1_000;
/// Devices (leaves) in one group.
pub const MEMBERS: usize = 5_000;
/// Accounts added by one commit; larger adds are split.
pub const ADDS_PER_COMMIT: usize = 200;
/// Messages kept because their epoch has not begun here yet, per group.
pub const PARKED_MESSAGES: usize = 256;
/// Bytes of parked messages per group.
pub const PARKED_BYTES: usize = 4 * 1024 * 1024;
/// Proposals kept per member and epoch.
pub const PROPOSALS_PER_MEMBER: usize = 4;
/// Invitations that wait for an answer, per device.
pub const INVITATIONS: usize = 1_000;
/// Invitations of one account that wait for an answer, per device: who floods locks nobody else out.
pub const INVITATIONS_PER_ACCOUNT: usize = 50;
/// Bytes of the trees of those invitations; a first one may be larger by itself.
pub const TREE_BYTES_PER_ACCOUNT: usize = 16 * 1024 * 1024;
/// Lost messages that one word about them names.
pub const MISSING_MESSAGES: usize = 1_000;
/// How long the authors of what a log lost have to say it again, before others are told what is missing.
pub const MISSING_AFTER: Duration = Duration::from_secs(3600);
/// Own messages that wait for the broker, per profile.
pub const OUTBOX_ROWS: usize = 100_000;
/// Certified devices of one account.
pub const DEVICES_PER_ACCOUNT: usize = 10;

/// Statements of one account, over its whole life: devices come and go.
pub const STATEMENTS_PER_ACCOUNT: usize = 1_000;
/// Sizes in one request for consistency proofs.
pub const PROOFS_PER_REQUEST: usize = 8;
/// A head older than this is worth a warning while the registry answers: it may hide something.
pub const HEAD_STALE: Duration = days(1);
/// How far copies of one registry may be behind each other: a head that is shorter than one signed this much
/// earlier is a step back in time.
pub const HEAD_LAG: Duration = Duration::from_secs(10);
/// Heads that wait for a proof, per profile.
pub const HEADS: usize = 64;
/// One-time key packages remembered as used, per profile: a registry that hands one out again is noticed.
pub const USED_KEY_PACKAGES: usize = 4_096;
/// A registry signs a fresh head at least this often, also when nothing was added.
pub const HEAD_REFRESH: Duration = Duration::from_secs(900);
/// A member tells a group its head of the account log at most this often.
pub const GOSSIP_EVERY: Duration = Duration::from_secs(3600);
/// Entries of the account log that an agent reads one by one after a pause; when more are missing, it asks for the
/// accounts it knows instead.
pub const LOG_CATCH_UP: u64 = 5_000;
/// How long a code for linking a device can be used.
pub const LINK_LIFETIME: Duration = Duration::from_secs(900);
/// Links by which one group can be joined, at the same time.
pub const JOIN_LINKS: usize = 32;
/// Accounts banned from one group.
pub const BANNED: usize = 1_000;
/// Requests to join that wait for an answer, per group.
pub const JOIN_REQUESTS: usize = 256;
/// Those of accounts that were never looked up: keys cost nothing, so a stranger can make thousands.
pub const UNKNOWN_ASKERS: usize = 64;
/// Evidence kept per profile.
pub const EVIDENCE: usize = 64;
/// Largest whisper (presence) on a group's ephemeral subject.
pub const WHISPER_BYTES: usize = 2 * 1024;

/// One-time key packages a device keeps at the registry.
pub const KEY_PACKAGE_STOCK: usize = 50;
/// Stock at which a device refills.
pub const KEY_PACKAGE_REFILL: usize = 20;
/// Key packages in one publish request.
pub const KEY_PACKAGES_PER_REQUEST: usize = 100;
/// Largest key package: an X-Wing package with our certificate is about 3.3 kB.
pub const KEY_PACKAGE_BYTES: usize = 8 * 1024;
/// Lifetime a device gives its key packages.
pub const KEY_PACKAGE_LIFETIME: Duration = days(84);
/// Longest lifetime anybody accepts (OpenMLS does not bound it).
pub const KEY_PACKAGE_MAX_LIFETIME: Duration = days(91);
/// A package with less than this left is not handed out nor added: a member that comes back from a month away
/// must still be able to replay the commit that added it.
pub const KEY_PACKAGE_MIN_REMAINING: Duration = days(45);
/// Clock difference a key package may show in its `not_before`.
pub const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// How far the issue time of a registry request may be from the registry's clock, either way.
pub const REQUEST_WINDOW: Duration = Duration::from_secs(300);
/// How long an agent waits for a registry reply.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long messages stay in the streams.
pub const RETENTION: Duration = days(45);
/// A group whose last commit is older than this gets a fresh one, long before retention takes it away: whoever was
/// away then sees that the group went on without it.
pub const REFRESH_AFTER: Duration = days(22);
/// How much later each next member steps in to make it, and how many steps there are.
pub const REFRESH_TURN: Duration = Duration::from_secs(6 * 3600);
/// A device gives its leaf in a group new keys at least this often while it runs.
pub const LEAF_LIFETIME: Duration = days(28);
/// Fresh commits of one agent in a minute, of both kinds.
pub const REFRESHES_PER_MINUTE: usize = 4;
/// Requests to come back that are kept, per group.
pub const REJOIN_REQUESTS: usize = 256;
/// The first pause before a device asks to come back again; each next one is four times as long.
pub const REJOIN_PAUSE: Duration = Duration::from_secs(30);
/// The longest such pause.
pub const REJOIN_PAUSE_MAX: Duration = Duration::from_secs(6 * 3600);
/// Window in which the broker drops a repeated [`crate::header::MESSAGE_ID`].
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Own messages of one group in flight at once when they go unfenced.
pub const IN_FLIGHT_PER_GROUP: usize = 256;
/// Messages asked for in one batched get.
pub const FETCH_MESSAGES: usize = 500;
/// Bytes asked for in one batched get.
pub const FETCH_BYTES: usize = 1024 * 1024;

/// Ciphertext sizes are multiples of this many bytes plus a constant, so that they say little.
pub const PADDING_BYTES: usize = 256;
/// Messages of one sender that may be missing before one that arrives (RFC 9420 §9.1 ratchet window).
pub const RATCHET_FORWARD: u32 = 10_000;
/// Keys kept for messages of one sender that arrive out of order: more than one sender has in flight, because a
/// lost one is sent again with the same bytes after the others.
pub const RATCHET_OUT_OF_ORDER: u32 = 512;

const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}
