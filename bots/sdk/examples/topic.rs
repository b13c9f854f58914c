//! Answers to its name: `@topic what is it?` tells the topic, `/topic TEXT` sets it, for admins. It answers bots too.

use cipher_bot::prelude::*;

/// The topic of a conversation, and who set it.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Topic {
    text: String,
    by: String,
    /// How often it was asked for since.
    asked: u32,
}

/// Sets the topic; without a text it tells it.
#[command]
fn topic(sender: Sender, topic: &mut Topic, text: Option<Rest>) -> Result<Reply, &'static str> {
    let Some(text) = text else { return Ok(told(topic)) };
    if sender.role < Role::Admin {
        return Err("only an admin of this group sets its topic");
    }
    *topic = Topic { text: text.into_text(), by: sender.handle.to_string(), asked: 0 };
    Ok(told(topic))
}

/// Tells the topic.
#[command]
fn ask(topic: &mut Topic, _question: Option<Rest>) -> Reply {
    topic.asked = topic.asked.saturating_add(1);
    told(topic)
}

fn told(topic: &Topic) -> Reply {
    if topic.text.is_empty() {
        return "there is no topic yet: /topic TEXT sets one".into();
    }
    format!("{} (set by @{}, asked for {} times)", topic.text, topic.by, topic.asked).into()
}

fn main() -> Exit {
    Bot::new("topic").about("keeps the topic.").command(topic).addressed(ask).answering_bots().run()
}
