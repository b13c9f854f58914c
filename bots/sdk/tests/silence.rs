//! When a bot does not answer.

use std::time::Duration;

use cipher_bot::prelude::*;
use cipher_bot::testing::BotTest;

/// Repeats everything.
#[command]
fn parrot(text: Rest) -> Reply {
    text.into()
}

fn bot(name: &str) -> Bot {
    Bot::new(name).on_text(parrot)
}

/// B02: two bots that answer everything do not keep each other busy.
#[test]
fn b02_two_parrots_fall_silent() {
    let mut test = BotTest::new(bot("parrot1")).with(bot("parrot2"));
    test.user("alice").says("hi");
    assert_eq!(test.sent(), ["hi", "hi"]);
}

/// B02: even if both want to answer bots, the row ends.
#[test]
fn b02_bots_that_answer_bots_stop_after_three_hops() {
    let mut test = BotTest::new(bot("parrot1").answering_bots()).with(bot("parrot2").answering_bots());
    test.user("alice").says("hi");
    // Each answers alice (1), the other's answer to her (2) and that one's answer (3).
    assert_eq!(test.sent().len(), 6);
    test.other_bot("parrot3").says_after("hi", 3);
    assert_eq!(test.sent().len(), 6);
}

#[test]
fn a_bot_ignores_other_bots_unless_it_says_otherwise() {
    let mut test = BotTest::new(bot("parrot1"));
    test.other_bot("parrot2").says("hi");
    test.sees_nothing();
    let mut test = BotTest::new(bot("parrot1").answering_bots());
    test.other_bot("parrot2").says("hi");
    test.sees("hi");
    test.sees_nothing();
}

/// B03: one conversation cannot make a bot flood it.
#[test]
fn b03_answers_are_bounded_per_minute() {
    let mut test = BotTest::new(bot("parrot1").answers_per_minute(2));
    for _ in 0..5 {
        test.user("alice").says("hi");
    }
    assert_eq!(test.sent().len(), 2);
    test.passes(Duration::from_secs(60));
    test.user("alice").says("again");
    assert_eq!(test.sent().len(), 3);
}
