//! The rules of what changes make of messages, one by one.

use cipher_api::view::GroupEvent;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content, Mention, Poll};

use super::*;
use crate::state::{Author, Powers};

const ANA: AccountId = AccountId::from_bytes([1; 32]);
const BEN: AccountId = AccountId::from_bytes([2; 32]);

fn said(body: Body) -> MessageRow {
    let author = Author { account: ANA, device: DeviceId::from_bytes([1; 16]), kind: Kind::Person };
    let sent_at = Timestamp::from_millis(1_700_000_000_000);
    let content = Content::new([1; 16], sent_at, body);
    MessageRow::said(MessageId::from_bytes([9; 16]), author, content)
}

fn text() -> MessageRow {
    said(Body::Text("tee at five".into()))
}

fn change(by: AccountId, position: u64, change: Change, text: &str) -> WaitingChange {
    let id = MessageId::from_bytes([7; 16]);
    let sent_at = Timestamp::from_millis(1_700_000_000_000);
    WaitingChange { text: text.into(), sent_at, ..WaitingChange::new(id, by, position, change) }
}

fn edit(by: AccountId, position: u64, text: &str) -> WaitingChange {
    change(by, position, Change::Edit, text)
}

fn delete(by: AccountId, position: u64) -> WaitingChange {
    change(by, position, Change::Delete, "")
}

fn react(by: AccountId, position: u64, emoji: &str) -> WaitingChange {
    change(by, position, Change::React, emoji)
}

fn unreact(by: AccountId, position: u64, emoji: &str) -> WaitingChange {
    change(by, position, Change::Unreact, emoji)
}

fn pin(by: AccountId, position: u64) -> WaitingChange {
    change(by, position, Change::Pin, "")
}

fn vote(by: AccountId, position: u64, choices: &[u8]) -> WaitingChange {
    WaitingChange { choices: choices.into(), ..change(by, position, Change::Vote, "") }
}

fn close(by: AccountId, position: u64) -> WaitingChange {
    change(by, position, Change::ClosePoll, "")
}

fn poll(multiple: bool) -> MessageRow {
    let options = ["tea", "coffee", "water"].map(String::from).to_vec();
    said(Body::Poll { question: "what?".into(), poll: Poll { options, multiple } })
}

/// How many chose each answer.
fn counts(row: &MessageRow) -> [usize; 3] {
    let counted = row.poll.as_ref().unwrap().counted();
    [0_u8, 1, 2].map(|number| counted.iter().filter(|vote| vote.choices.contains(&number)).count())
}

const UP: &str = "\u{1f44d}";
const TEA: &str = "\u{1f375}";

#[test]
fn r_forget_03_of_several_times_the_first_counts() {
    let (mut row, by) = (text(), text().account);
    let told = |at: u64| change(by, at, Change::Expire, "");
    assert_eq!(apply(&mut row, &told(5)), Err(Without("R-FORGET-03")), "it does not disappear");
    row.expire = Some(60);
    for (at, stands) in [(900, 900), (950, 900), (400, 400), (400, 400)] {
        _ = apply(&mut row, &told(at));
        assert_eq!(row.expires_at, Some(Timestamp::from_millis(stands)));
    }
    row.forget();
    assert_eq!(apply(&mut row, &told(1)), Err(Without("R-FORGET-03")));
    assert!(row.text.is_empty() && row.expires_at.is_none() && !row.is_shown());
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
    let unknown = || said(Body::Unknown { kind: "dance".into(), text: "tea?".into(), data: None, of: None });
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

#[test]
fn r_content_13_a_message_gets_other_words_for_as_long_as_the_group_wants_it() {
    let late = |seconds: u64, edit_seconds: Option<u32>| {
        let edit = edit(ANA, 5, "tea at six");
        let sent_at = edit.sent_at.plus(std::time::Duration::from_secs(seconds));
        WaitingChange { sent_at, powers: Powers { edit_seconds, ..Powers::default() }, ..edit }
    };
    for (seconds, limit, expected) in [
        (900, Some(900), Ok(())),
        (901, Some(900), Err(Without("R-CONTENT-13"))),
        (1_000_000_000, None, Ok(())),
    ] {
        assert_eq!(apply(&mut text(), &late(seconds, limit)), expected, "{seconds}");
    }
}

#[test]
fn r_content_14_the_words_of_before_are_kept_in_the_order_of_the_log() {
    let edits = [edit(ANA, 5, "first"), edit(ANA, 7, "second"), edit(ANA, 9, "third")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut row = text();
        for index in order.into_iter().chain(order) {
            let _ = apply(&mut row, &edits[index]);
        }
        let words: Vec<_> = row.versions.iter().map(|version| version.text.as_str()).collect();
        assert_eq!(
            (words, row.text.as_str()),
            (vec!["tee at five", "first", "second"], "third"),
            "{order:?}"
        );
    }
    let mut row = text();
    for position in 1..100 {
        apply(&mut row, &edit(ANA, position, &format!("{position}"))).unwrap();
    }
    assert_eq!((row.versions.len(), row.versions[0].text.as_str()), (VERSIONS, "tee at five"));
    assert_eq!(row.versions.last().unwrap().text, "98");
    apply(&mut row, &delete(ANA, 200)).unwrap();
    assert!(row.versions.is_empty(), "what is taken back leaves nothing");
}

#[test]
fn r_content_15_who_may_takes_back_what_others_said() {
    let admin = |delete: bool| Powers { delete, ..Powers::default() };
    let by_ben = |may| WaitingChange { powers: admin(may), ..delete(BEN, 5) };
    let mut row = text();
    assert_eq!(apply(&mut row, &by_ben(false)), Err(Without("R-CONTENT-01")));
    assert_eq!(apply(&mut row, &by_ben(true)), Ok(()));
    assert_eq!((row.deleted, row.deleted_by, row.text.as_str()), (true, Some(BEN), ""));
    let mut row = text();
    let words = WaitingChange { powers: admin(true), ..edit(BEN, 5, "mine now") };
    assert_eq!(
        apply(&mut row, &words),
        Err(Without("R-CONTENT-01")),
        "nobody puts words into others' mouths"
    );
    apply(&mut row, &WaitingChange { powers: admin(true), ..delete(ANA, 5) }).unwrap();
    assert_eq!(row.deleted_by, None, "its author took it back");
}

#[test]
fn r_content_03_an_edit_names_whom_its_own_words_name() {
    let mut row = text();
    let mention = |start| Mention { account: BEN, start, length: 4 };
    let named = WaitingChange { mentions: vec![mention(4), mention(99)], ..edit(ANA, 5, "ask @ben") };
    apply(&mut row, &named).unwrap();
    assert_eq!(row.mentions, [mention(4)]);
    apply(&mut row, &edit(ANA, 6, "ask nobody")).unwrap();
    assert!(row.mentions.is_empty());
}

#[test]
fn r_pinned_01_who_pins_is_for_the_group_to_say() {
    let mut row = text();
    let may_not = WaitingChange { powers: Powers { pin: false, ..Powers::default() }, ..pin(ANA, 5) };
    assert_eq!(apply(&mut row, &may_not), Err(Without("R-PINNED-01")));
    assert_eq!(apply(&mut row, &pin(BEN, 5)), Ok(()));
    assert!(row.is_pinned());
}

#[test]
fn r_pinned_02_words_are_pinned_and_events_are_not() {
    let author = Author { account: ANA, device: DeviceId::from_bytes([1; 16]), kind: Kind::Person };
    let (id, at) = (MessageId::from_bytes([8; 16]), Timestamp::default());
    let mut event = MessageRow::event(id, author, at, GroupEvent::Removed, BEN, String::new());
    assert_eq!(apply(&mut event, &pin(ANA, 5)), Err(Without("R-PINNED-02")));
    let mut row = poll(false);
    apply(&mut row, &pin(ANA, 5)).unwrap();
    apply(&mut row, &delete(ANA, 6)).unwrap();
    assert!(!row.is_pinned(), "what was taken back is not pinned");
    assert_eq!(apply(&mut row, &pin(ANA, 7)), Err(Without("R-CONTENT-04")));
}

#[test]
fn r_pinned_03_what_was_said_last_of_a_pin_stands_in_whatever_order_it_comes() {
    let said = [pin(ANA, 5), change(BEN, 7, Change::Unpin, ""), pin(BEN, 9)];
    for (order, pinned) in
        [(vec![0, 1], false), (vec![1, 0], false), (vec![2, 0, 1], true), (vec![0, 1, 2], true)]
    {
        let mut row = text();
        for index in order {
            let _ = apply(&mut row, &said[index]);
        }
        assert_eq!(row.is_pinned(), pinned);
    }
}

#[test]
fn r_poll_01_any_member_chooses_of_a_poll_and_of_nothing_else() {
    assert_eq!(apply(&mut text(), &vote(BEN, 5, &[0])), Err(Without("R-POLL-01")));
    assert_eq!(apply(&mut text(), &close(ANA, 5)), Err(Without("R-POLL-01")));
    let mut row = poll(false);
    apply(&mut row, &vote(BEN, 5, &[0])).unwrap();
    apply(&mut row, &vote(ANA, 6, &[2])).unwrap();
    assert_eq!(counts(&row), [1, 0, 1]);
    assert_eq!(
        apply(&mut row, &edit(ANA, 7, "which?")),
        Err(Without("R-CONTENT-02")),
        "votes were given to these words"
    );
    apply(&mut row, &delete(ANA, 8)).unwrap();
    assert_eq!(row.poll, None);
    assert_eq!(apply(&mut row, &vote(BEN, 9, &[0])), Err(Without("R-CONTENT-04")));
}

#[test]
fn r_poll_02_an_answer_is_one_that_is_there_and_one_where_one_is_asked_for() {
    for (multiple, choices, expected) in [
        (false, &[0][..], Ok(())),
        (false, &[], Ok(())),
        (false, &[3], Err(Without("R-POLL-02"))),
        (false, &[0, 1], Err(Without("R-POLL-02"))),
        (true, &[0, 1, 2], Ok(())),
        (true, &[1, 0], Err(Without("R-POLL-02"))),
        (true, &[1, 1], Err(Without("R-POLL-02"))),
    ] {
        assert_eq!(apply(&mut poll(multiple), &vote(BEN, 5, choices)), expected, "{multiple} {choices:?}");
    }
}

#[test]
fn r_poll_03_r_poll_04_r_poll_06_every_member_counts_the_same_in_whatever_order_the_pieces_come() {
    let votes = [
        vote(BEN, 5, &[0]),
        vote(ANA, 6, &[1]),
        vote(BEN, 7, &[1]),
        close(ANA, 8),
        vote(BEN, 9, &[2]),
        close(ANA, 10),
        vote(ANA, 11, &[]),
    ];
    for turn in 0..votes.len() {
        for step in [1, 2, 3, 4, 5, 6] {
            let mut row = poll(false);
            // Some come twice.
            for index in 0..votes.len() * 2 {
                let _ = apply(&mut row, &votes[(index * step + turn) % votes.len()]);
            }
            assert_eq!(counts(&row), [0, 2, 0], "{turn} {step}");
            assert_eq!(row.poll.as_ref().unwrap().closed, Some(8));
        }
    }
    let mut row = poll(false);
    apply(&mut row, &vote(BEN, 7, &[1])).unwrap();
    assert_eq!(apply(&mut row, &vote(BEN, 5, &[0])), Err(Without("R-POLL-03")));
    apply(&mut row, &close(ANA, 8)).unwrap();
    assert_eq!(apply(&mut row, &vote(BEN, 9, &[0])), Err(Without("R-POLL-04")));
    assert_eq!(apply(&mut row, &close(ANA, 10)), Err(Without("R-POLL-06")));
    assert_eq!(counts(&row), [0, 1, 0]);
    let mut row = poll(false);
    apply(&mut row, &vote(BEN, 5, &[0])).unwrap();
    apply(&mut row, &vote(BEN, 6, &[])).unwrap();
    assert_eq!(counts(&row), [0, 0, 0], "a vote is taken back");
}

#[test]
fn r_poll_05_a_poll_is_closed_by_who_asked_or_may_take_it_back() {
    let mut row = poll(true);
    assert_eq!(apply(&mut row, &close(BEN, 5)), Err(Without("R-POLL-05")));
    let admin = WaitingChange { powers: Powers { delete: true, ..Powers::default() }, ..close(BEN, 6) };
    assert_eq!(apply(&mut row, &admin), Ok(()));
}
