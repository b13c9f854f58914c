//! What a piece of a grant is judged by.

use cipher_broker::id::DeviceId;
use cipher_broker::wire::content::GrantKey;

use serde_bytes::ByteBuf;

use super::*;

fn account(id: u8) -> AccountId {
    AccountId::from_bytes([id; 32])
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn grant() -> HistoryGrant {
    HistoryGrant {
        id: ByteArray::new([1; 16]),
        to: account(3),
        count: 40,
        from: at(10),
        until: at(20),
        piece: 0,
        pieces: 2,
        keys: Vec::new(),
        sealed: ByteBuf::from(vec![1; 64]),
    }
}

fn begun(grant: &HistoryGrant, refused: bool) -> Begun {
    Begun {
        giver: account(2),
        id: grant.id,
        line: MessageId::from_bytes([9; 16]),
        says: GrantLine::of(grant, refused),
        pieces: grant.pieces,
    }
}

fn judged(grant: &HistoryGrant, may: bool, to_member: bool, begun: Option<&Begun>) -> Judged {
    let powers = Powers { grant: may, ..Powers::default() };
    judge(&Piece { giver: account(2), powers, to_member, grant, at: at(1000), begun })
}

#[test]
fn r_grant_01_02_a_member_gives_to_a_member_where_the_group_lets_it() {
    for (may, to_member, expected) in [
        (true, true, Judged::Begins),
        (false, true, Judged::Refused("R-GRANT-01")),
        (true, false, Judged::Refused("R-GRANT-02")),
        (false, false, Judged::Refused("R-GRANT-01")),
    ] {
        assert_eq!(judged(&grant(), may, to_member, None), expected, "{may} {to_member}");
    }
}

/// A change of a grant, and what comes of it.
type Changed = (fn(&mut HistoryGrant), Judged);

#[test]
fn r_grant_03_there_is_an_end_to_how_much_and_to_when() {
    let changed = |change: fn(&mut HistoryGrant)| {
        let mut grant = grant();
        change(&mut grant);
        judged(&grant, true, true, None)
    };
    let nothing = Judged::Nothing(Skip::Limit);
    let changes: [Changed; 13] = [
        (|grant| grant.count = 1000, Judged::Begins),
        (|grant| grant.count = 1001, nothing),
        (|grant| grant.count = 0, nothing),
        (|grant| grant.piece = 2, nothing),
        (|grant| grant.pieces = 0, nothing),
        (|grant| grant.pieces = 32, Judged::Begins),
        (|grant| grant.pieces = 33, nothing),
        (|grant| grant.from = at(21), nothing),
        (|grant| grant.until = at(1600), Judged::Begins),
        (|grant| grant.until = at(1601), nothing),
        (|grant| grant.to = account(2), nothing),
        (|grant| grant.sealed = ByteBuf::from(vec![0; limit::GRANT_PIECE_BYTES + 1]), nothing),
        (
            |grant| {
                let device = DeviceId::from_bytes([1; 16]);
                let key = GrantKey { device, kem: ByteBuf::new(), sealed: ByteBuf::new() };
                grant.keys = vec![key; limit::DEVICES_PER_ACCOUNT + 1];
            },
            nothing,
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        assert_eq!(changed(change), expected, "change {number}");
    }
}

#[test]
fn r_grant_06_a_further_piece_says_what_every_member_was_told() {
    let first = begun(&grant(), false);
    let next = HistoryGrant { piece: 1, ..grant() };
    assert_eq!(judged(&next, true, true, Some(&first)), Judged::GoesOn);
    for other in [
        HistoryGrant { count: 41, ..next.clone() },
        HistoryGrant { to: account(4), ..next.clone() },
        HistoryGrant { pieces: 3, ..next.clone() },
        HistoryGrant { from: at(9), ..next.clone() },
        HistoryGrant { until: at(19), ..next.clone() },
    ] {
        assert_eq!(judged(&other, true, true, Some(&first)), Judged::Nothing(Skip::Policy), "{other:?}");
    }
    // What the group let in one epoch it does not let in another one, and what was refused goes on no more.
    assert_eq!(judged(&next, false, true, Some(&first)), Judged::Nothing(Skip::Policy));
    assert_eq!(judged(&next, true, false, Some(&first)), Judged::Nothing(Skip::Policy));
    let refused = begun(&grant(), true);
    assert_eq!(judged(&next, true, true, Some(&refused)), Judged::Nothing(Skip::Policy));
}

#[test]
fn a_grant_is_cut_into_pieces_that_fit_and_loses_nothing() {
    let message = |sequence: u64, bytes: usize| GrantedMessage {
        of: GrantedOf {
            id: MessageId::from_bytes([7; 16]),
            account: account(1),
            kind: cipher_broker::certificate::Kind::Person,
            reply_to: None,
            edited: false,
        },
        sequence,
        ago: 0,
        sent_at: at(1),
        at: Some(at(1)),
        text: "x".repeat(bytes),
        forwarded: false,
        attachments: Vec::new(),
    };
    let long = limit::GRANT_PIECE_BYTES - 2 * SEALING_BYTES;
    let sizes = [10, 50_000, 40_000, 10, 90_000, long, long, 5];
    let messages: Vec<_> = (1..).zip(sizes).map(|(sequence, bytes)| message(sequence, bytes)).collect();
    let pieces = pieces(&messages);
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1, 1, 1, 1]);
    assert_eq!(pieces.concat(), messages);
    for piece in &pieces {
        assert!(codec::encode(piece).len() + SEALING_BYTES <= limit::GRANT_PIECE_BYTES);
    }
    // As much as is given at once has no more pieces than a grant may have.
    let most: Vec<_> = (1..=40).map(|sequence| message(sequence, 26 * 1024)).collect();
    assert!(super::pieces(&most).len() <= limit::GRANT_PIECES);
    assert!(super::pieces(&[]).is_empty());
}
