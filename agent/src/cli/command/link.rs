//! Linking a new machine: what both sides show, ask and wait for.

use std::time::Duration;

use cipher_core::view::{HistoryPolicy, LinkCompareView, StatusView};
use cipher_core::{Command, ErrorKind, Event, LinkEvent, Reply};

use crate::cli::context::Context;
use crate::cli::desk::Desk;
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::prompt;
use crate::cli::show::line::{Line, LinkLine};
use crate::session::{Events, Need};

/// How often is looked whether everything is through, besides the news of it.
const LOOK: Duration = Duration::from_millis(500);

/// On the new machine.
pub async fn link(context: &Context, name: String) -> Result {
    let desk = Desk::fresh_or_arriving(context).await?;
    let mut stop = Interrupt::listen();
    let mut news = desk.session.events();
    let linked = async {
        desk.reach().await?;
        if !desk.status().await?.registered {
            offered(context, &desk, &mut news, name).await?;
        }
        arrived(context, &desk, &mut news).await
    };
    let ended = tokio::select! {
        ended = linked => ended,
        () = stop.wait() => {
            context.ui.progress_end();
            context.ui.note(&format!("interrupted; go on with: {}", desk.command("device link")));
            Err(Failure::Shown(1))
        }
    };
    match ended {
        Ok(()) => {
            desk.close().await;
            Ok(())
        }
        Err(failure @ Failure::Shown(_)) => {
            desk.close().await;
            Err(failure)
        }
        Err(failure) => Err(desk.undo(failure).await),
    }
}

/// Shows the code, then what to compare, until the device is the account's.
async fn offered(context: &Context, desk: &Desk<'_>, news: &mut Events, name: String) -> Result {
    let Reply::LinkCode(code) = desk.request(Command::DeviceLink { name }).await? else {
        return Err(unexpected());
    };
    context.ui.show(&Line::Link(LinkLine::code(&code)))?;
    context.ui.qr(&code.uri);
    context.ui.note("waiting for the other device; Ctrl-C ends it, the code stays good until it expires");
    loop {
        match news.next().await {
            Some(Event::Link(LinkEvent::Compare(compare))) => {
                context.ui.show(&Line::Link(LinkLine::compare(&compare)))?;
                context.ui.note(&format!(
                    "compare with what the other device of @{} shows, and say there whether it is the same",
                    compare.other.trim_start_matches('@')
                ));
            }
            Some(Event::Link(LinkEvent::Linked { handle })) => {
                return context.ui.show(&Line::Link(LinkLine::linked(&handle)));
            }
            Some(Event::Link(LinkEvent::Failed(error))) => {
                if context.ui.json() {
                    context.ui.show(&Line::Link(LinkLine::failed(&error.message)))?;
                }
                return Err(error.into());
            }
            Some(_) => {}
            None => return Err(ended(desk)),
        }
    }
}

/// Waits until groups and history are here.
async fn arrived(context: &Context, desk: &Desk<'_>, news: &mut Events) -> Result {
    through(context, desk, news, "history", |status| !status.arriving).await?;
    // What the broker has for this device by now.
    desk.settle().await;
    let Reply::Account(account) = desk.request(Command::Whoami).await? else { return Err(unexpected()) };
    context.ui.show(&Line::account(&account))?;
    let status = desk.status().await?;
    context.ui.show(&Line::Link(LinkLine::done(account.handle.as_str(), status.groups)))
}

/// Nothing is heard any more: of the process that had the profile open, or of our own core.
fn ended(desk: &Desk<'_>) -> Failure {
    if desk.session.is_remote() {
        let what = "the other process of this profile, which had it open, has ended";
        return ErrorKind::Locked.because(what).hint("run the command again: it goes on").into();
    }
    ErrorKind::Bug.because("the session ended by itself").into()
}

/// Whether this can be a code at all: eight of the letters and digits that codes are made of, or taken for.
fn is_code(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("cipher-chat:link/").unwrap_or(text);
    let letters: Vec<char> = text.chars().filter(|letter| !matches!(letter, '-' | ' ')).collect();
    letters.len() == 8
        && letters.iter().all(|letter| letter.is_ascii_alphanumeric() && !matches!(letter, 'u' | 'U'))
}

/// On a device of the account.
pub async fn approve(
    context: &Context,
    code: String,
    history: HistoryPolicy,
    compare: Option<String>,
) -> Result {
    if !is_code(&code) {
        return Err(Failure::Usage {
            message: format!("'{code}' is not a code for linking a device: it has eight letters and digits"),
            hint: Some("type it as the new machine shows it, for example 4k7x-m2pq".into()),
        });
    }
    if compare.is_none() && !prompt::somebody_is_there(context) {
        return Err(Failure::Usage {
            message: "somebody must compare what both machines show, and nobody is there to be asked".into(),
            hint: Some(
                "give what the new machine shows: --compare \"123 4567\", or --compare - to read it".into(),
            ),
        });
    }
    let desk = Desk::open(context, Need::Everything).await?;
    desk.online().await?;
    let mut news = desk.session.events();
    desk.refresh().await?;
    context.ui.note("waiting for the new machine");
    let command = Command::DeviceApprove { code: code.clone(), history };
    let Reply::LinkCompare(shown) = desk.request(command).await? else { return Err(unexpected()) };
    context.ui.show(&Line::Link(LinkLine::compare(&shown)))?;
    let equal = compared(context, &shown, compare).await?;
    let device = match desk.request(Command::DeviceConfirm { code, equal }).await? {
        Reply::Device(device) if equal => device,
        Reply::Done if !equal => {
            desk.close().await;
            return Err(ErrorKind::Trust
                .because("the two machines do not show the same, so the new one was not let in")
                .hint("somebody may be in between: try once more with a new code, on another network")
                .into());
        }
        _ => return Err(unexpected()),
    };
    context.ui.happened(context.ui.show(&Line::Link(LinkLine::registered(&device))));
    context.ui.happened(context.ui.show(&Line::device(&device)));
    through(context, &desk, &mut news, "sending", |status| status.sending.is_empty() && status.outbox == 0)
        .await?;
    desk.settle().await;
    context.ui.show(&Line::Link(LinkLine::sent(&device)))?;
    desk.close().await;
    Ok(())
}

/// Whether both sides show the same: as a script says, or as the person does.
async fn compared(context: &Context, shown: &LinkCompareView, typed: Option<String>) -> Result<bool> {
    let typed = match typed.as_deref() {
        Some("-") => Some(prompt::line().await?),
        other => other.map(str::to_owned),
    };
    match typed {
        Some(typed) => Ok(digits(&typed) == digits(&shown.string)),
        None => {
            let question = format!("Does {} show the same: {}?", quoted(&shown.other), shown.string);
            prompt::yes(context, &question).await
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn quoted(name: &str) -> String {
    if name.is_empty() { "the new machine".into() } else { format!("“{name}”") }
}

/// Waits until the core says that it is through, and shows how far it is.
async fn through(
    context: &Context,
    desk: &Desk<'_>,
    news: &mut Events,
    what: &str,
    is: impl Fn(&StatusView) -> bool,
) -> Result {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            event = news.next() => match event {
                Some(Event::Progress { done, total }) => context.ui.progress(what, done, total)?,
                Some(Event::Link(LinkEvent::Failed(error))) => {
                    context.ui.progress_end();
                    return Err(error.into());
                }
                Some(Event::Stopped(error)) => {
                    context.ui.progress_end();
                    return Err(desk.worded(error).into());
                }
                Some(event @ (Event::Evidence(_) | Event::Warning(_) | Event::Connection { .. })) => desk.hear(&event),
                Some(_) => {}
                None => {
                    context.ui.progress_end();
                    return Err(ended(desk));
                }
            },
            _ = look.tick() => {
                if is(&desk.status().await?) {
                    context.ui.progress_end();
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_code_is_seen() {
        for code in ["4k7x-m2pq", "4K7XM2PQ", " 4k7x m2pq ", "cipher-chat:link/4k7x-m2pq", "OIL0-1111"] {
            assert!(is_code(code), "{code}");
        }
        for code in ["", "garbage", "4k7x", "4k7x-m2pqq", "4k7x-m2pu", "cipher-chat:join/4k7x-m2pq"] {
            assert!(!is_code(code), "{code}");
        }
    }

    #[test]
    fn only_digits_are_compared() {
        for typed in ["123 4567", "1234567", " 123-4567\n"] {
            assert_eq!(digits(typed), "1234567");
        }
        assert_ne!(digits("123 4568"), "1234567");
    }
}
