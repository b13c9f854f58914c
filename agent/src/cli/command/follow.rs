//! Following conversations, for `read` and `tail`.

use cipher_api::Event;
use cipher_api::view::{GroupView, MessageView};

use crate::app::follow::{Following, News, Scope};
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::cli::show::safe_text::safe_text;
use crate::cli::show::typed::word;

/// Characters of an id by which people name a message: more than must be given, and few enough to be typed.
const SHORT_ID: usize = 8;

/// The beginning of a message's id.
pub fn short_id(message: &MessageView) -> String {
    message.id.to_string().chars().take(SHORT_ID).collect()
}

/// Shows what is new until interrupted; `ids` puts the beginning of its id in front of each message.
pub async fn follow(
    context: &Context,
    mut following: Following<'_>,
    mut stop: Interrupt,
    ids: bool,
) -> Result {
    loop {
        let news = tokio::select! {
            () = stop.wait() => break,
            news = following.next() => news?,
        };
        // Whoever reads our output may pause; that must not keep us from ending.
        tokio::select! {
            () = stop.wait() => break,
            shown = show(context, &news, following.scope(), ids) => shown?,
        }
        if let News::Message { message, .. } = &news {
            following.shown(message);
        }
    }
    following.close().await;
    Ok(())
}

async fn show(context: &Context, news: &News, scope: &Scope, ids: bool) -> Result {
    match news {
        News::Message { message, conversation } => {
            let id = (ids && message.event().is_none()).then(|| short_id(message));
            context.ui.message_in_time(message, id.as_deref().or(conversation.as_deref())).await
        }
        News::Event(Event::Missed { count }) => {
            let what = "the history of each conversation has what was said meanwhile";
            context.ui.warn(&format!("events that are not kept any more: {count}; {what}"));
            Ok(())
        }
        News::Event(event) if context.ui.json() => match Line::event(event) {
            Some(line) => context.ui.show_in_time(&line).await,
            None => Ok(()),
        },
        News::Event(Event::Group(group)) => {
            invited(context, group, scope);
            Ok(())
        }
        News::Event(Event::JoinRequest(request)) => {
            let who = safe_text(&request.handle);
            let answer = format!("group requests {} --accept {}", request.group, word(&request.handle));
            context.ui.note(&format!(
                "{who} asks to be let into {}: {}",
                safe_text(&request.group_name),
                context.ui.command(&answer)
            ));
            Ok(())
        }
        // Who is there now would drown what people say, and what became of a message only scripts want to know.
        News::Event(_) => Ok(()),
    }
}

/// Of a group that changed people get an invitation; the rest they read in system lines.
fn invited(context: &Context, group: &GroupView, scope: &Scope) {
    if let (Scope::All, Some(by)) = (scope, &group.invited_by) {
        context.ui.note(&format!(
            "@{by} invites you to {}: {}",
            safe_text(&group.name),
            context.ui.command(&format!("group accept {}", group.id))
        ));
    }
}
