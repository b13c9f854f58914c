//! Answers and memory survive crashes and a bad network, each exactly once.

use cipher_bot::event::{EventKind, MemberChange};
use cipher_bot::prelude::*;
use cipher_bot::testing::{BotTest, crash_at_every_step};

/// Counts up and says the number twice.
#[command]
fn count(so_far: &mut u32) -> Vec<Reply> {
    *so_far = so_far.saturating_add(1);
    vec![so_far.to_string().into(), Reply::from("done").quoting()]
}

/// Tells the key of an outside effect.
#[command]
fn key(cx: Context) -> Reply {
    cx.idempotency_key().into()
}

/// Reads memory as another type.
#[command]
fn broken(so_far: &mut Vec<String>) -> Reply {
    so_far.push("another type".into());
    so_far.join(", ").into()
}

fn bot() -> Bot {
    Bot::new("counter").command(count).command(key).command(broken)
}

fn script(test: &mut BotTest) {
    for text in ["/count", "hello", "/count", "/key", "/count"] {
        test.user("alice").says(text);
    }
}

#[test]
fn memory_is_kept_between_events() {
    let mut test = BotTest::new(bot());
    script(&mut test);
    let sent = test.sent();
    assert_eq!([sent[0], sent[2], sent[5]], ["1", "2", "3"]);
    assert_eq!(sent.len(), 7);
}

/// B05: a crash after handling, before or after saving, before or after sending, neither loses nor repeats.
#[test]
fn b05_a_crash_at_any_step_changes_nothing_that_is_sent() {
    crash_at_every_step(|| BotTest::new(bot()), script);
}

/// B05: the same on a network that loses, doubles and reorders.
#[test]
fn b05_a_bad_network_changes_nothing_that_is_sent() {
    let mut calm = BotTest::new(bot());
    script(&mut calm);
    for seed in 0..200 {
        let mut test = BotTest::new(bot()).unreliable(seed).crashing_at(seed % calm.steps());
        script(&mut test);
        assert_eq!((test.sent(), test.sent_ids()), (calm.sent(), calm.sent_ids()), "seed {seed}");
    }
}

#[test]
fn every_event_has_its_own_idempotency_key() {
    let mut test = BotTest::new(bot());
    test.user("alice").says("/key");
    test.user("alice").says("/key");
    let sent = test.sent();
    assert_ne!(sent[0], sent[1]);
    assert_eq!(sent[0].len(), 64);
}

#[test]
fn memory_of_another_type_is_left_alone() {
    let mut test = BotTest::new(bot());
    test.user("alice").says("/count");
    test.user("alice").says("/broken");
    test.user("alice").says("/count");
    assert_eq!(test.sent(), ["1", "done", "2", "done"]);
}

/// S3: one event for each account that a change concerns, the bot's own coming and going among them; ids tell them
/// apart, and who is not in the conversation says nothing there.
#[test]
fn s3_each_member_of_a_change_is_an_event_of_its_own() {
    let mut test = BotTest::new(bot());
    test.user("alice").adds(&["bob", "carol"]);
    test.user("bob").leaves();
    test.user("alice").removes(&["counter"]);
    test.user("alice").says("/count");
    test.sees_nothing();
    test.user("alice").adds(&["counter"]);
    test.user("alice").says("/count");
    test.sees("2");
    let told = test.events().into_iter().map(|event| {
        let id = event.id.log().unwrap();
        let what = match event.kind {
            EventKind::Joined { by } => format!("joined by {}", by.handle),
            EventKind::Left { by } => format!("left by {}", by.handle),
            EventKind::MemberChanged(MemberChange { who, change, by }) => {
                format!("{} {change:?} by {}", who.handle, by.handle)
            }
            EventKind::Message(message) => message.text,
            other => panic!("{other:?}"),
        };
        format!("{}.{} {what}", id.position, id.place)
    });
    let told: Vec<String> = told.collect();
    let expected = [
        "1.0 bob Added by alice",
        "1.1 carol Added by alice",
        "2.0 bob Removed by bob",
        "3.0 left by alice",
        "4.0 /count",
        "5.0 joined by alice",
        "6.0 /count",
    ];
    assert_eq!(told[..7], expected);
}
