//! A notification of the desktop: the service that freedesktop.org describes, asked over the session's D-Bus. Only builds with
//! the feature `desktop` show one.

use cipher_api::view::MessageView;
use notify_rust::{Hint, Notification};

use crate::cli::show::rows::cut;
use crate::cli::show::safe_text::safe_text;

/// Longest text of one, characters.
const LONGEST: usize = 200;

/// Shows who said what, and where; an error says why that cannot be.
pub async fn show(message: &MessageView, conversation: &str) -> Result<(), String> {
    let (summary, body) = words(message, conversation);
    let mut notification = Notification::new();
    notification.appname("cipher-chat").summary(&summary).body(&body);
    notification.hint(Hint::Category("im.received".into()));
    notification.show_async().await.map(drop).map_err(|error| error.to_string())
}

/// Its title and its body. A desktop may read a body as markup, and the words of a peer are none.
fn words(message: &MessageView, conversation: &str) -> (String, String) {
    let text = match (message.text.as_str(), message.attachments.first()) {
        ("", Some(file)) => file.name.as_str(),
        (text, _) => text,
    };
    let body = cut(&safe_text(text), LONGEST);
    let body = body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    (safe_text(&format!("@{} in {conversation}", message.from.handle)), body)
}
