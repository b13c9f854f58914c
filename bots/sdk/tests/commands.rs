//! Arguments, usage, help, and who is meant.

use cipher_bot::prelude::*;
use cipher_bot::testing::BotTest;

/// Repeats what you say.
#[command]
fn echo(text: Rest) -> Reply {
    text.into()
}

/// Rolls some dice
/// of a size.
///
/// Not for casinos.
#[command]
fn roll(count: u8, sides: Option<u32>) -> Option<Reply> {
    (count > 0).then(|| format!("{count} of {}", sides.unwrap_or(6)).into())
}

/// Divides.
#[command]
fn divide(one: i64, by: i64) -> Result<Reply, String> {
    let quotient = one.checked_div(by).ok_or("I cannot divide by that")?;
    Ok(quotient.to_string().into())
}

#[command]
fn who(sender: Sender, cx: Context, _word: Word) -> Reply {
    format!(
        "{} in {} at {}",
        sender.handle,
        cx.conversation().name,
        cx.event_id().log().map_or(0, |id| id.position)
    )
    .into()
}

#[command]
fn hush() {}

/// Draws a chart.
#[command]
fn chart(what: Rest, typing: Typing) -> Reply {
    typing.tell();
    Reply::new("").with(File::new("chart.csv", format!("{what};1")))
}

/// Likes the call, and says so.
#[command]
fn like(cx: Context) -> (Action, Reply) {
    (Action::react(cx.message().message_id, "thumbsup"), "done".into())
}

fn bot() -> Bot {
    Bot::new("tester")
        .about("tries things.")
        .command(echo)
        .command(roll)
        .command(divide)
        .command(who)
        .command(hush)
        .command(chart)
        .command(like)
}

fn says(text: &str) -> Vec<String> {
    let mut test = BotTest::new(bot());
    test.user("alice").says(text);
    test.sent().into_iter().map(str::to_owned).collect()
}

/// D07: a telephone's keyboard begins a line with a capital.
#[test]
fn d07_a_verb_may_begin_with_a_capital() {
    assert_eq!(says("/Echo hi"), ["hi"]);
    assert_eq!(says("/ROLL 2"), ["2 of 6"]);
    assert_eq!(says("/Help"), says("/help"));
}

#[test]
fn every_type_of_argument_and_answer_works() {
    assert_eq!(says("/echo  hi  there "), ["hi  there"]);
    assert_eq!(says("/roll 2"), ["2 of 6"]);
    assert_eq!(says("/roll 2 20"), ["2 of 20"]);
    assert_eq!(says("/roll 0"), [""; 0]);
    assert_eq!(says("/divide 6 3"), ["2"]);
    assert_eq!(says("/divide 6 0"), ["I cannot divide by that"]);
    assert_eq!(says("/who x"), ["alice in test at 1"]);
    assert_eq!(says("/hush"), [""; 0]);
}

#[test]
fn a_wrong_call_is_answered_with_one_sentence() {
    assert_eq!(says("/echo"), ["TEXT is missing: /echo TEXT"]);
    assert_eq!(says("/roll two"), ["COUNT must be a whole number from 0 to 255: /roll COUNT [SIDES]"]);
    assert_eq!(says("/roll 2 x"), ["SIDES must be a whole number that is not negative: /roll COUNT [SIDES]"]);
    assert_eq!(says("/roll 1 2 3"), ["that is more than I take: /roll COUNT [SIDES]"]);
}

#[test]
fn help_is_made_from_doc_comments_and_argument_names() {
    let help = "tester: tries things.\n/echo TEXT  Repeats what you say.\n/roll COUNT [SIDES]  Rolls some dice of a size.\n\
                /divide ONE BY  Divides.\n/who WORD\n/hush\n\
         /chart WHAT  Draws a chart.\n\
         /like  Likes the call, and says so.\n/help  Shows this.";
    assert_eq!(says("/help"), [help]);
    assert_eq!(bot().description().commands[1].usage, "/roll COUNT [SIDES]");
}

#[test]
fn an_unknown_command_is_answered_only_if_it_is_meant_for_the_bot() {
    let sentence = "I do not know /dance; /help tells what I can do";
    assert_eq!(says("/dance"), [""; 0]);
    assert_eq!(says("/dance@tester"), [sentence]);
    assert_eq!(says("@tester /dance"), [sentence]);
    assert_eq!(says("@Tester: /echo hi"), ["hi"]);
    assert_eq!(says("/echo@tester hi"), ["hi"]);
    assert_eq!(says("/echo@other hi"), [""; 0]);
    assert_eq!(says("@other /echo hi"), [""; 0]);
    assert_eq!(says("/etc/passwd"), [""; 0]);
    let mut test = BotTest::direct(bot());
    test.user("alice").says("/dance");
    test.sees(sentence);
}

/// B01: what people write is a value; no shell, no template, no second command.
#[test]
fn b01_arguments_are_values() {
    for text in [
        "$(rm -rf ~)",
        "`id`",
        "; /divide 1 0",
        "{count} %s %n",
        "\"quoted\" 'twice'",
        "/divide 1 0",
        "a\n/divide 1 0",
        "@tester /help",
        "\u{202e}txet",
        "--help",
    ] {
        assert_eq!(says(&format!("/echo {text}")), [text]);
    }
}

#[test]
fn filters_read_what_no_command_answered_and_only_what_fits() {
    /// Doubles a number.
    #[command]
    fn double(number: i64) -> Reply {
        number.saturating_mul(2).to_string().into()
    }

    let mut test = BotTest::new(Bot::new("doubler").command(echo).on_text(double));
    test.user("alice").says("21");
    test.sees("42");
    test.user("alice").says("not a number");
    test.user("alice").says("/echo 4");
    test.sees("4");
    test.sees_nothing();
}

#[test]
fn a_command_attaches_files_and_tells_that_it_is_at_work() {
    let mut test = BotTest::new(bot());
    test.user("alice").says("/chart sales");
    assert_eq!(test.sent_files(), [("chart.csv", 7)]);
    assert_eq!((test.sent(), test.typed()), (vec![""], 1), "a file needs no words");
    let bytes = test.events().last().and_then(|event| event.message()).map(|said| said.attachments[0].size);
    assert_eq!(bytes, Some(7), "as others are told of it");
}

#[test]
fn a_command_does_other_things_than_talk() {
    let mut test = BotTest::new(bot());
    test.user("alice").says("/like");
    assert_eq!(test.sent(), ["", "done"], "a reaction has no words");
}

/// Handled again after a crash, the same files are attached once.
#[test]
fn a_crash_attaches_nothing_twice() {
    cipher_bot::testing::crash_at_every_step(
        || BotTest::new(bot()),
        |test| {
            test.user("alice").says("/chart sales");
            test.user("bob").says("/chart costs");
            assert_eq!(test.sent_files(), [("chart.csv", 7), ("chart.csv", 7)]);
        },
    );
}
