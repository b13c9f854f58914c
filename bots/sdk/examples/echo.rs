//! The whole bot of bots/README.md: `cipher-chat bot run --exec target/debug/examples/echo --name echo`.

use cipher_bot::prelude::*;

/// Repeats what you say.
#[command]
fn echo(text: Rest) -> Reply {
    text.into()
}

fn main() -> Exit {
    Bot::new("echo").command(echo).run()
}
