//! Repeats: `/echo TEXT` anywhere, `@echo TEXT` in a group, and everything in a direct conversation.

use cipher_bot::prelude::*;

/// The bot.
pub fn bot() -> Bot {
    Bot::new("echo").about("repeats what you say.").command(echo).addressed(echo)
}

/// Repeats what you say.
#[command]
fn echo(text: Rest) -> Reply {
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_bot::testing::{BotTest, crash_at_every_step};

    #[test]
    fn in_a_group_it_answers_its_command_and_its_name_and_nothing_else() {
        let mut test = BotTest::new(bot());
        test.user("alice").says("/echo hello");
        test.sees("hello");
        test.user("alice").says("@echo hello, you");
        test.sees("hello, you");
        test.user("alice").says("hello everybody");
        test.user("alice").says("@echoes hello");
        test.sees_nothing();
    }

    #[test]
    fn in_a_direct_conversation_it_answers_everything() {
        let mut test = BotTest::direct(bot());
        test.user("alice").says("just text");
        test.sees("just text");
        test.user("alice").says("/help");
        test.sees("echo: repeats what you say.\n/echo TEXT  Repeats what you say.\n/help  Shows this.");
    }

    /// B02: two of them in one group do not keep each other busy.
    #[test]
    fn b02_two_echo_bots_fall_silent() {
        let mut test = BotTest::new(bot()).with(Bot::new("echo2").command(echo).addressed(echo));
        test.user("alice").says("/echo @echo2 /echo @echo hi");
        assert_eq!(test.sent().len(), 2);
    }

    /// B05: a crash at any step neither loses nor repeats an answer.
    #[test]
    fn b05_a_crash_changes_nothing_that_is_sent() {
        crash_at_every_step(
            || BotTest::new(bot()),
            |test| {
                test.user("alice").says("/echo one");
                test.user("bob").says("@echo two");
            },
        );
    }
}
