//! Following conversations, for `read` and `tail`.

use cipher_api::view::{GroupView, MessageView};
use cipher_api::{Error, Event};
use tokio::task::JoinHandle;

use crate::app::follow::{Following, News, Said, Scope};
use crate::cli::command::tell::Teller;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::keyboard::Keyboard;
use crate::cli::input::text;
use crate::cli::show::line::Line;
use crate::cli::show::page::Page;
use crate::cli::show::safe_text::safe_text;
use crate::cli::show::typed::word;
use crate::cli::show::ui::Ui;

/// Characters of an id by which people name a message: more than must be given, and few enough to be typed.
const SHORT_ID: usize = 8;

/// The beginning of a message's id.
pub fn short_id(message: &MessageView) -> String {
    message.id.to_string().chars().take(SHORT_ID).collect()
}

/// Shows what is new until interrupted; `ids` puts the beginning of its id in front of each message. Scripts get a line `ready`
/// first: whatever is said after it is shown.
pub async fn follow(
    context: &Context,
    mut following: Following<'_>,
    mut stop: Interrupt,
    mut page: Page<'_>,
    ids: bool,
    typing: Option<Typing>,
    teller: Teller,
) -> Result {
    let mut typing = typing;
    if context.ui.json() {
        // A script that asks and waits for the answer must know from when on it would hear that.
        context
            .ui
            .show_in_time(&Line::Ready {
                server: None,
                home: None,
                profile: following.profile(),
                bot: None,
                handle: None,
            })
            .await?;
    }
    loop {
        let news = tokio::select! {
            () = over(&mut stop, &mut typing) => break,
            news = following.next() => news?,
        };
        // Whoever reads our output may pause; that must not keep us from ending.
        tokio::select! {
            () = over(&mut stop, &mut typing) => break,
            shown = show(context, &mut page, &news, following.scope(), ids) => shown?,
        }
        if let News::Message { message, new, .. } = &news {
            if *new {
                teller.tells(message, &following.name(message.group));
            }
            following.shown(message);
        }
    }
    teller.finish().await;
    following.close().await;
    Ok(())
}

/// Waits until the person wants no more.
async fn over(stop: &mut Interrupt, typing: &mut Option<Typing>) {
    match typing {
        Some(Typing(done)) => tokio::select! {
            () = stop.wait() => {}
            _ = done => {}
        },
        None => stop.wait().await,
    }
}

/// A person types, and each line is said in the conversation. Ends when they are done.
#[derive(Debug)]
pub struct Typing(JoinHandle<()>);

impl Typing {
    /// Has the lines that are typed at this terminal said in a conversation; `None` where nobody could type.
    pub fn begin(context: &Context, group: &GroupView, following: &Following<'_>) -> Option<Self> {
        let mut keyboard = Keyboard::open(context, format!("{}> ", safe_text(&group.name)))?;
        let (ui, outlet, group) = (context.ui.clone(), following.outlet(), group.id);
        Some(Self(tokio::spawn(async move {
            while let Some(line) = keyboard.line().await {
                let words = line.text.clone();
                let said = match text::message(words.clone()) {
                    Ok(text) => outlet.say(group, text).await,
                    Err(failure) => {
                        line.goes(false);
                        tell(&ui, move |ui| ui.fail(&failure)).await;
                        continue;
                    }
                };
                line.goes(matches!(said, Said::Yes | Said::Queued | Said::Late(_)));
                match said {
                    Said::Yes => {}
                    Said::Queued => tell(&ui, |ui| ui.warn(QUEUED)).await,
                    Said::No(error) => tell(&ui, move |ui| ui.error(&error)).await,
                    Said::Unknown(error) => tell(&ui, move |ui| unknown(ui, &error)).await,
                    Said::Late(answer) => {
                        tell(&ui, |ui| ui.warn(LATE)).await;
                        tokio::spawn(late(ui.clone(), words, answer));
                    }
                }
            }
        })))
    }
}

/// What a person is told of a line that waits: it is not among the others yet.
const QUEUED: &str =
    "queued: the broker has not taken it yet; it is sent as soon as it does, and is not to be said again";

/// What a person is told of a line that is on its way, and not to be said again.
const LATE: &str = "there is no answer yet: what you said is kept in this profile and sent as soon as that can be; it is not to be said again";

/// Tells what became of a line in the end, if it was not said: its words stand nowhere else any more.
async fn late(ui: Ui, words: String, answer: JoinHandle<Result<MessageView, Error>>) {
    let Ok(answer) = answer.await else { return };
    match Said::of(answer) {
        Said::No(error) => {
            tell(&ui, move |ui| {
                ui.error(&error);
                ui.note(&format!("not said: {words}"));
            })
            .await;
        }
        Said::Unknown(error) => tell(&ui, move |ui| unknown(ui, &error)).await,
        // That was told when it was late.
        Said::Yes | Said::Queued | Said::Late(_) => {}
    }
}

fn unknown(ui: &Ui, error: &Error) {
    ui.warn(&format!(
        "{}: whether the line was said is not known; if it was, it stands above",
        error.message
    ));
}

/// On another thread: the screen may be slow, and nothing else waits for it.
async fn tell(ui: &Ui, what: impl FnOnce(&Ui) + Send + 'static) {
    let ui = ui.clone();
    drop(tokio::task::spawn_blocking(move || what(&ui)).await);
}

impl Drop for Typing {
    fn drop(&mut self) {
        // The terminal is given back with the keyboard.
        self.0.abort();
    }
}

async fn show(context: &Context, page: &mut Page<'_>, news: &News, scope: &Scope, ids: bool) -> Result {
    match news {
        News::Message { message, conversation, .. } => {
            let id = (ids && message.event().is_none()).then(|| short_id(message));
            page.message_in_time(message, id.as_deref().or(conversation.as_deref())).await
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
