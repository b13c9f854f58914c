//! The rules of edits, deletions and reactions, one by one.

use cipher_api::view::GroupEvent;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};

use super::*;
use crate::state::Author;

const ANA: AccountId = AccountId::from_bytes([1; 32]);
const BEN: AccountId = AccountId::from_bytes([2; 32]);

fn said(body: Body) -> MessageRow {
    let author = Author { account: ANA, device: DeviceId::from_bytes([1; 16]), kind: Kind::Person };
    let sent_at = Timestamp::from_millis(1_700_000_000_000);
    let content = Content {
        salt: [1; 16],
        sent_at,
        reply_to: None,
        hops: 0,
        body,
        head: None,
        attachments: Vec::new(),
    };
    MessageRow::said(MessageId::from_bytes([9; 16]), author, content)
}

fn text() -> MessageRow {
    said(Body::Text("tee at five".into()))
}

fn edit(by: AccountId, position: u64, text: &str) -> Changing<'_> {
    Changing { by, position, change: Change::Edit, text }
}

fn delete(by: AccountId, position: u64) -> Changing<'static> {
    Changing { by, position, change: Change::Delete, text: "" }
}

fn react(by: AccountId, position: u64, emoji: &str) -> Changing<'_> {
    Changing { by, position, change: Change::React, text: emoji }
}

fn unreact(by: AccountId, position: u64, emoji: &str) -> Changing<'_> {
    Changing { by, position, change: Change::Unreact, text: emoji }
}

const UP: &str = "\u{1f44d}";
const TEA: &str = "\u{1f375}";

#[test]
fn r_content_01_only_the_account_that_said_a_message_changes_it() {
    for changing in [edit(BEN, 5, "mine now"), delete(BEN, 5)] {
        let mut row = text();
        assert_eq!(apply(&mut row, &changing), Err(Without("R-CONTENT-01")));
        assert_eq!(row, text());
    }
    let mut row = text();
    assert_eq!(apply(&mut row, &edit(ANA, 5, "tea at five")), Ok(()));
    assert_eq!((row.text.as_str(), row.edited, row.deleted), ("tea at five", Some(5), false));
}

#[test]
fn r_content_02_words_are_changed_and_events_are_not() {
    let unknown = || said(Body::Unknown { kind: "poll".into(), text: "tea?".into(), data: None, of: None });
    let mut row = unknown();
    assert_eq!(apply(&mut row, &edit(ANA, 5, "coffee?")), Err(Without("R-CONTENT-02")));
    assert_eq!(apply(&mut row, &delete(ANA, 5)), Ok(()), "whatever was said can be taken back");
    let author = Author { account: ANA, device: DeviceId::from_bytes([1; 16]), kind: Kind::Person };
    let (id, at) = (MessageId::from_bytes([8; 16]), Timestamp::default());
    let mut event = MessageRow::event(id, author, at, GroupEvent::Removed, BEN, String::new());
    let mut change = said(Body::Delete { of: MessageId::from_bytes([7; 16]) });
    for row in [&mut event, &mut change] {
        for changing in [edit(ANA, 5, "nothing happened"), delete(ANA, 5)] {
            assert_eq!(apply(row, &changing), Err(Without("R-CONTENT-02")));
        }
    }
}

#[test]
fn r_content_03_of_several_edits_the_last_in_the_log_stands_in_whatever_order_they_come() {
    let edits = [edit(ANA, 5, "first"), edit(ANA, 7, "second"), edit(ANA, 9, "third")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut row = text();
        for index in order {
            let _ = apply(&mut row, &edits[index]);
        }
        assert_eq!((row.text.as_str(), row.edited), ("third", Some(9)), "{order:?}");
    }
    let mut row = text();
    apply(&mut row, &edits[1]).unwrap();
    assert_eq!(apply(&mut row, &edits[0]), Err(Without("R-CONTENT-03")));
}

#[test]
fn r_content_04_what_was_taken_back_stays_so() {
    let mut row = text();
    apply(&mut row, &edit(ANA, 5, "tea at six")).unwrap();
    apply(&mut row, &delete(ANA, 6)).unwrap();
    assert_eq!((row.text.as_str(), row.edited, row.deleted), ("", None, true));
    for changing in [edit(ANA, 9, "tea at seven"), edit(ANA, 3, "tea"), delete(ANA, 10)] {
        assert_eq!(apply(&mut row, &changing), Err(Without("R-CONTENT-04")));
    }
    assert_eq!(row.text, "");
}

#[test]
fn r_content_06_other_words_are_some_and_not_too_many() {
    for bad in ["", " \n", &"x".repeat(limit::TEXT_BYTES + 1)] {
        let mut row = text();
        assert_eq!(apply(&mut row, &edit(ANA, 5, bad)), Err(Without("R-CONTENT-06")));
        assert_eq!(row, text());
    }
    let mut row = text();
    assert_eq!(apply(&mut row, &edit(ANA, 5, &"x".repeat(limit::TEXT_BYTES))), Ok(()));
}

#[test]
fn r_content_09_anybody_puts_emoji_under_words_and_nobody_under_events_or_what_was_taken_back() {
    let mut row = text();
    apply(&mut row, &react(BEN, 5, UP)).unwrap();
    apply(&mut row, &react(ANA, 6, TEA)).unwrap();
    apply(&mut row, &react(ANA, 7, UP)).unwrap();
    assert_eq!(row.reactions.standing(), [(UP, vec![BEN, ANA]), (TEA, vec![ANA])]);
    assert_eq!((row.text.as_str(), row.edited), ("tee at five", None));
    apply(&mut row, &edit(ANA, 8, "tea at five")).unwrap();
    assert_eq!(row.reactions.standing().len(), 2, "other words keep them");
    apply(&mut row, &delete(ANA, 9)).unwrap();
    assert!(row.reactions.is_empty());
    assert_eq!(apply(&mut row, &react(BEN, 10, UP)), Err(Without("R-CONTENT-04")));
    let author = Author { account: ANA, device: DeviceId::from_bytes([1; 16]), kind: Kind::Person };
    let (id, at) = (MessageId::from_bytes([8; 16]), Timestamp::default());
    let mut event = MessageRow::event(id, author, at, GroupEvent::Removed, BEN, String::new());
    let mut change = said(Body::Delete { of: MessageId::from_bytes([7; 16]) });
    for row in [&mut event, &mut change] {
        assert_eq!(apply(row, &react(BEN, 5, UP)), Err(Without("R-CONTENT-09")));
    }
}

#[test]
fn r_content_10_a_reaction_has_the_form_of_an_emoji() {
    for bad in ["", "yes", "\u{1f44d} ", "\u{202e}\u{1f44d}", &UP.repeat(17)] {
        let mut row = text();
        assert_eq!(apply(&mut row, &react(BEN, 5, bad)), Err(Without("R-CONTENT-10")), "{bad:?}");
        assert_eq!(row, text());
    }
}

#[test]
fn r_content_11_an_account_has_an_emoji_once_and_what_it_said_last_stands_in_whatever_order_it_comes() {
    let said = [react(BEN, 5, UP), unreact(BEN, 7, UP), react(BEN, 9, UP), unreact(ANA, 6, UP)];
    for (stands, last) in [(1, 0), (0, 1), (1, 2)] {
        let some: Vec<_> = said[..=last].iter().chain([&said[3]]).collect();
        for turn in 0..some.len() {
            let mut row = text();
            // Some come twice.
            for index in 0..some.len() * 2 {
                let _ = apply(&mut row, some[(index * 5 + turn) % some.len()]);
            }
            let by: Vec<_> = row.reactions.standing().into_iter().flat_map(|(_, by)| by).collect();
            assert_eq!(by, vec![BEN; stands], "{last} {turn}");
        }
    }
    let mut row = text();
    apply(&mut row, &said[2]).unwrap();
    assert_eq!(apply(&mut row, &said[1]), Err(Without("R-CONTENT-11")));
    assert_eq!(apply(&mut row, &said[2]), Err(Without("R-CONTENT-11")));
}

#[test]
fn r_content_12_there_is_an_end_to_how_many_emoji_are_under_a_message() {
    let emoji = |n: usize| char::from_u32(0x1f400 + u32::try_from(n).unwrap()).unwrap().to_string();
    let mut row = text();
    let mut position = 0;
    for n in 0..limit::REACTIONS_OF_ACCOUNT {
        position += 1;
        apply(&mut row, &react(BEN, position, &emoji(n))).unwrap();
    }
    let one_more = emoji(limit::REACTIONS_OF_ACCOUNT);
    assert_eq!(apply(&mut row, &react(BEN, 99, &one_more)), Err(Without("R-CONTENT-12")));
    apply(&mut row, &unreact(BEN, 100, &emoji(0))).unwrap();
    assert_eq!(apply(&mut row, &react(BEN, 101, &one_more)), Err(Without("R-CONTENT-12")), "it was there");
    apply(&mut row, &react(BEN, 102, &emoji(0))).unwrap();
    for n in limit::REACTIONS_OF_ACCOUNT..limit::REACTIONS {
        let by = AccountId::from_bytes([u8::try_from(n).unwrap(); 32]);
        apply(&mut row, &react(by, 200, &emoji(n))).unwrap();
    }
    assert_eq!(apply(&mut row, &react(ANA, 300, &emoji(limit::REACTIONS))), Err(Without("R-CONTENT-12")));
    assert_eq!(apply(&mut row, &react(ANA, 301, &emoji(1))), Ok(()), "one that is there is no further one");
}
