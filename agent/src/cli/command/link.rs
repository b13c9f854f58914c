//! Linking a new machine: what both sides show and ask.

use cipher_api::view::{HistoryPolicy, LinkCompareView};
use cipher_api::{ErrorKind, Hint};

use crate::app::linking::{Approval, Arrival, Progress, Step, is_code, is_same};
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::prompt;
use crate::cli::show::line::{Line, LinkLine};

/// On the new machine.
pub async fn link(context: &Context, name: String) -> Result {
    let mut arrival = Arrival::begin(context, name).await?;
    let mut stop = Interrupt::listen();
    let ended = tokio::select! {
        ended = steps(context, &mut arrival) => Some(ended),
        () = stop.wait() => None,
    };
    context.ui.progress_end();
    let profile = arrival.profile;
    match ended {
        Some(Ok(())) => {
            profile.close().await;
            Ok(())
        }
        Some(Err(failure)) => {
            profile.undo(failure.kind()).await;
            Err(failure)
        }
        None => {
            let again = context.ui.command("device link");
            context.ui.note(&format!("interrupted; go on with: {again}"));
            profile.close().await;
            Err(Failure::Shown(1))
        }
    }
}

/// Shows each step until everything is here.
async fn steps(context: &Context, arrival: &mut Arrival<'_>) -> Result {
    let ui = &context.ui;
    loop {
        match arrival.next().await? {
            Step::Code(code) => {
                ui.show(&Line::Link(LinkLine::code(&code)))?;
                ui.qr(&code.uri);
                ui.note(
                    "waiting for the other device; Ctrl-C ends it, the code stays valid until it expires",
                );
            }
            Step::Compare(compare) => {
                ui.show(&Line::Link(LinkLine::compare(&compare)))?;
                ui.note(&format!(
                    "compare with what the other device of @{} shows, and say there whether it is the same",
                    compare.other.trim_start_matches('@')
                ));
            }
            Step::Linked { handle } => ui.show(&Line::Link(LinkLine::linked(&handle)))?,
            Step::Failed(error) => {
                if ui.json() {
                    ui.show(&Line::Link(LinkLine::failed(&error.message)))?;
                }
                return Err(error.into());
            }
            Step::History(Progress { done, total }) => ui.progress("history", done, total)?,
            Step::Arrived { account, groups } => {
                ui.progress_end();
                ui.show(&Line::account(&account))?;
                return ui.show(&Line::Link(LinkLine::done(account.handle.as_str(), groups)));
            }
        }
    }
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
            hint: Some(Hint::text("type it as the new machine shows it, for example 4k7x-m2pq")),
        });
    }
    if compare.is_none() && !prompt::somebody_is_there(context) {
        return Err(Failure::Usage {
            message: "a person must compare what both machines show, and there is no terminal to ask on"
                .into(),
            hint: Some(Hint::text(
                "give what the new machine shows: --compare \"123 4567\", or --compare - to read it",
            )),
        });
    }
    let mut approval = Approval::begin(context, code).await?;
    context.ui.note("waiting for the new machine");
    let shown = approval.compare(history).await?;
    context.ui.show(&Line::Link(LinkLine::compare(&shown)))?;
    let equal = compared(context, &shown, compare).await?;
    let Some(device) = approval.answer(equal).await? else {
        approval.profile.close().await;
        return Err(ErrorKind::Trust
            .because("the two machines do not show the same, so the new one was not let in")
            .hint(Hint::text(
                "a third party may be in between: try once more with a new code, on another network",
            ))
            .into());
    };
    context.ui.happened(context.ui.show(&Line::Link(LinkLine::registered(&device))));
    context.ui.happened(context.ui.show(&Line::device(&device)));
    let sent = sent(context, &mut approval).await;
    context.ui.progress_end();
    sent?;
    approval.profile.settle().await;
    context.ui.show(&Line::Link(LinkLine::sent(&device)))?;
    approval.profile.close().await;
    Ok(())
}

/// Shows how far everything for the new device is until it has left.
async fn sent(context: &Context, approval: &mut Approval<'_>) -> Result {
    while let Some(Progress { done, total }) = approval.sending().await? {
        context.ui.progress("sending", done, total)?;
    }
    Ok(())
}

/// Whether both sides show the same: as a script says, or as the person does.
async fn compared(context: &Context, shown: &LinkCompareView, typed: Option<String>) -> Result<bool> {
    let typed = match typed.as_deref() {
        Some("-") => Some(prompt::line().await?),
        other => other.map(str::to_owned),
    };
    match typed {
        Some(typed) => Ok(is_same(shown, &typed)),
        None => {
            let question = format!("Does {} show the same: {}?", quoted(&shown.other), shown.string);
            prompt::yes(context, &question).await
        }
    }
}

fn quoted(name: &str) -> String {
    if name.is_empty() { "the new machine".into() } else { format!("“{name}”") }
}
