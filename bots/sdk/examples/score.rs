//! Remembers something for each conversation: `/score 3`, `/score`, `/reset`.
//!
//! `cargo build -p cipher-bot --examples`, then `cipher-chat bot run --exec target/debug/examples/score --name score`.

use cipher_bot::prelude::*;

/// What this bot remembers of a conversation. It is saved in one step with the answer.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Score(i64);

/// Adds points, a negative number takes some away; without a number it tells the score.
#[command]
fn score(score: &mut Score, points: Option<i64>) -> Reply {
    score.0 = score.0.saturating_add(points.unwrap_or_default());
    format!("{} points", score.0).into()
}

/// Begins anew. Only who may manage the group.
#[command]
fn reset(sender: Sender, score: &mut Score) -> Result<Reply, &'static str> {
    if sender.role < Role::Admin {
        return Err("only an admin of this group may reset the score");
    }
    *score = Score::default();
    Ok("0 points".into())
}

fn main() -> Exit {
    Bot::new("score").about("keeps the score of a conversation.").command(score).command(reset).run()
}
