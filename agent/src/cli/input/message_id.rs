//! Messages as people name them: by the beginning of an id.

use cipher_api::command::message::Read;
use cipher_api::{Advice, ErrorKind, Hint, Target};
use cipher_broker::id::MessageId;

use crate::app::profile::OpenProfile;
use crate::cli::exit::{Failure, Result};

/// A whole id, or at least its first 6 characters, in small letters.
pub fn beginning(id: &str) -> Result<String> {
    let id = id.trim().to_ascii_lowercase();
    match MessageId::beginning_with(&id) {
        Ok(_) => Ok(id),
        Err(invalid) => Err(Failure::Usage { message: invalid.to_string(), hint: Some(Hint::MessageRead) }),
    }
}

/// The message of a conversation that the beginning of an id names.
pub async fn found(profile: &OpenProfile<'_>, target: Target, beginning: &str) -> Result<MessageId> {
    if let Ok(id) = beginning.parse() {
        return Ok(id);
    }
    let messages = profile.ask(Read { target, last: None, mark: false }).await?;
    let mut named = messages.iter().filter(|message| message.event().is_none()).map(|message| message.id);
    let mut named = named.by_ref().filter(|id| id.to_string().starts_with(beginning));
    match (named.next(), named.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(ErrorKind::NotFound
            .because(format!("there is no message in the conversation whose id begins with '{beginning}'"))
            .hint(Hint::MessageRead)
            .into()),
        (Some(_), Some(_)) => Err(ErrorKind::Usage
            .because(format!("several messages have ids that begin with '{beginning}'"))
            .hint(Advice::MoreOfId)
            .into()),
    }
}
