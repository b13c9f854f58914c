//! The rules of edits and deletions, one by one.

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
    let content = Content { salt: [1; 16], sent_at, reply_to: None, hops: 0, body, head: None };
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
