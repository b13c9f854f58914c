//! `doctor`: what is well, what is not, and what to do about it.

use std::time::Duration;

use cipher_api::command::{account, device, evidence, group, status};
use cipher_api::view::{GroupState, LogLostView, StatusView};
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::cause::causes;
use cipher_broker::limit;

use crate::app::error::ProfileError;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::show::hint;
use crate::cli::show::line::{Line, Status};
use crate::cli::show::paint::at;
use crate::evidence as files;
use crate::session::Need;
use cipher_connection::address::shown;
use cipher_connection::advice::{Advice, Known, advice};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Check the store, the account, the broker and the registry
///
/// Exit code 0: nothing fails. Exit code 6: something was found against the registry. Otherwise the exit code is that of the
/// first check that fails.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat doctor\n  cipher-chat doctor --deep\n  cipher-chat doctor --json | jq 'select(.status != \"ok\")'"
)]
pub struct Args {
    /// Take note of what was found against the registry so far: it is not reported again and its files stay; what is found
    /// from now on is reported
    #[arg(long)]
    acknowledge: bool,
    /// Open every value of the store and check every page of its file as well; no other process may have the profile open
    #[arg(long)]
    deep: bool,
}

/// Shows findings and remembers the first that fails.
struct Findings<'a> {
    context: &'a Context,
    first: Option<ErrorKind>,
    /// Whether evidence is only shown, because the person takes note of it.
    acknowledge: bool,
}

impl Findings<'_> {
    fn ok(&self, name: &str, detail: &str) -> Result {
        self.show(name, Status::Ok, detail, None)
    }

    fn warn(&self, name: &str, detail: &str, hint: &str) -> Result {
        self.show(name, Status::Warn, detail, Some(hint))
    }

    fn fail(&mut self, name: &str, error: &Error) -> Result {
        // A lie of the registry outweighs whatever else is wrong.
        if self.first.is_none() || error.kind == ErrorKind::Trust {
            self.first = Some(error.kind);
        }
        let hint = error.hint.as_ref().map(|hint| hint::words(hint, self.context.ui.typed()));
        self.show(name, Status::Fail, &with_causes(error), hint.as_deref())
    }

    fn fail_profile(&mut self, name: &str, error: &ProfileError) -> Result {
        if let ProfileError::Core(error) = error {
            return self.fail(name, error);
        }
        let hint = hint::of_profile(error, self.context.ui.typed());
        let failed = error.kind().because(error.to_string()).caused_by(error.clone());
        self.fail(name, &hint.into_iter().fold(failed, |failed, hint| failed.hint(Hint::text(hint))))
    }

    /// A command for the profile at hand.
    fn command(&self, verb: &str) -> String {
        self.context.ui.command(verb)
    }

    fn show(&self, name: &str, status: Status, detail: &str, hint: Option<&str>) -> Result {
        self.context.ui.show(&Line::Check { name, status, detail, hint })
    }
}

/// Its sentence, and what it came from: who looks for a fault wants all of it.
fn with_causes(error: &Error) -> String {
    causes(error).into_iter().fold(error.message.clone(), |told, cause| told + "; caused by: " + &cause)
}

/// Runs it.
pub async fn run(context: &Context, Args { acknowledge, deep }: Args) -> Result {
    let mut findings = Findings { context, first: None, acknowledge };
    // What keeps it from being opened is told once.
    if deep && OpenProfile::known(context).is_ok() {
        // Before it is opened: then it is this command that has it open.
        examine(&mut findings).await?;
    }
    match OpenProfile::open(context, Need::Everything).await {
        Ok(profile) => {
            tokens(&profile, &mut findings)?;
            let online = broker(context, &profile, &mut findings).await?;
            store(&profile, online, &mut findings).await?;
            if acknowledge {
                profile.ask(evidence::Acknowledge {}).await?;
                context.ui.show(&Line::Done { action: "acknowledged", target: None })?;
            }
            profile.close().await;
        }
        Err(error @ ProfileError::Name(_)) => return Err(error.into()),
        Err(error) => findings.fail_profile("store", &error)?,
    }
    findings.first.map_or(Ok(()), |kind| Err(Failure::Shown(kind.code())))
}

/// Whether every value and every page of the store is whole.
async fn examine(findings: &mut Findings<'_>) -> Result {
    let found = match OpenProfile::examine(findings.context).await {
        Ok(found) => found,
        Err(ProfileError::Core(error)) => return findings.fail("file", &error),
        Err(error) => return Err(error.into()),
    };
    if found.mended {
        let detail = "it was damaged; what could be read of it is in a new file";
        findings.warn("file", detail, "look after the disk: it lost a bit, or more")?;
    } else {
        findings.ok("file", "every page is whole")?;
    }
    if found.damaged.is_empty() {
        return findings.ok("values", &format!("{} open", found.values));
    }
    for (table, count) in found.damaged {
        let damaged = format!("{count} of '{table}' damaged, {} of all tables open", found.values);
        let hint = Hint::text(
            "what they were is lost, and nothing else: groups and contacts come back by themselves",
        );
        findings.fail("values", &ErrorKind::Storage.because(damaged).hint(hint))?;
    }
    Ok(())
}

/// Whether the tokens can be read: what is damaged refuses every one of them, and nothing else of the profile shows it.
fn tokens(profile: &OpenProfile<'_>, findings: &mut Findings<'_>) -> Result {
    match profile.count_tokens() {
        Ok(Some(count)) => findings.ok("tokens", &format!("{count} open")),
        Ok(None) => findings.ok("tokens", "not opened: another process has the profile open"),
        Err(error) => findings.fail_profile("tokens", &error),
    }
}

async fn broker(context: &Context, profile: &OpenProfile<'_>, findings: &mut Findings<'_>) -> Result<bool> {
    if !profile.session.connected(PATIENCE).await {
        findings.fail_profile("broker", &profile.unreachable())?;
        return Ok(false);
    }
    let server = shown(&context.settings.server);
    let Some(broker) = profile.session.broker() else {
        findings.ok(
            "broker",
            &format!(
                "connected to {}, through the process that owns the profile",
                profile.session.server().unwrap_or_default()
            ),
        )?;
        return Ok(true);
    };
    findings.ok("broker", &format!("{server} runs nats-server {}", broker.version))?;
    let known = Known {
        version: &broker.version,
        encrypted: broker.encrypted,
        loopback: broker.loopback,
        synced: context.settings.synced,
    };
    for Advice { about, found, hint } in advice(known) {
        findings.warn(about, &found, hint)?;
    }
    if broker.jetstream {
        findings.ok("jetstream", "enabled")?;
    } else {
        let error = ErrorKind::Unreachable
            .because("the broker runs without JetStream")
            .hint(Hint::text("start nats-server with one of the files that ship, or with -js"));
        findings.fail("jetstream", &error)?;
    }
    Ok(true)
}

async fn store(profile: &OpenProfile<'_>, online: bool, findings: &mut Findings<'_>) -> Result {
    let status = match profile.session.ask(status::Status {}).await {
        Ok(status) => status,
        Err(error) => return findings.fail("store", &error),
    };
    findings.ok("store", &format!("opens, format {}", status.schema))?;
    if !status.registered {
        return match profile.ask(account::Show {}).await {
            Err(error) => findings.fail_profile("account", &error),
            _ => Ok(()),
        };
    }
    if let Ok(account) = profile.session.ask(account::Show {}).await {
        findings.ok("account", &format!("@{}", account.handle))?;
        if status.phrase_due {
            findings.warn(
                "phrase",
                "the recovery phrase was never shown",
                &format!("{} shows it", findings.command(&format!("register {}", account.handle))),
            )?;
        }
    }
    // The registry is asked by asking it for something: what one's own profile looks like there.
    if online && !status.stopped && registry(profile, findings).await? {
        profile.look().await;
    }
    // Whatever waited was tried by now.
    if let Some(error) = profile.session.trouble().filter(|error| error.kind == ErrorKind::Limit) {
        findings.fail("room", &error)?;
    }
    let groups_now = profile.session.ask(group::List {}).await.unwrap_or_default();
    let recovering = groups_now.iter().any(|group| group.recovering.is_some());
    let now = profile.session.ask(status::Status {}).await.unwrap_or(status);
    figures(profile, &now, recovering, findings)?;
    devices(profile, findings).await?;
    account_log(profile, findings).await?;
    groups(profile, findings).await
}

async fn devices(profile: &OpenProfile<'_>, findings: &Findings<'_>) -> Result {
    let Ok(devices) = profile.session.ask(device::List {}).await else { return Ok(()) };
    let active: Vec<_> = devices.iter().filter(|device| !device.revoked).collect();
    let names: Vec<_> = active.iter().map(|device| device.name.as_str()).collect();
    if active.iter().any(|device| device.current) {
        findings.ok("devices", &format!("{}: {}", active.len(), names.join(", ")))
    } else {
        findings.warn(
            "devices",
            "this device was revoked",
            &hint::words(&Hint::DeviceLinkAnew, findings.context.ui.typed()),
        )
    }
}

/// What the registry is held to, and what was found against it.
async fn account_log(profile: &OpenProfile<'_>, findings: &mut Findings<'_>) -> Result {
    if let Ok(head) = profile.session.ask(evidence::Head {}).await {
        match Line::head(&head) {
            Line::Head { size, root: Some(root), at: Some(at), .. } => {
                let short: String = root.chars().take(16).collect();
                findings.ok("account-log", &format!("{size} entries, root {short}…, signed {at}"))?;
            }
            _ => {
                let hint = format!("{} asks for one", findings.command("sync"));
                findings.warn("account-log", "no head seen yet", &hint)?;
            }
        }
    }
    let Ok(found) = profile.session.ask(evidence::List {}).await else { return Ok(()) };
    if found.is_empty() {
        return findings.ok("evidence", "nothing was found against the registry");
    }
    let folder = profile.place()?;
    for evidence in found {
        // Also those whose file was removed or could not be written then.
        let file = files::keep(&folder, &evidence).map_or_else(
            |error| format!("no file could be written: {error}"),
            |file| format!("kept in {}", file.display()),
        );
        let what = format!(
            "{} at {}: {}",
            evidence.kind.name(),
            findings.context.ui.time(evidence.at),
            evidence.what
        );
        let hint = format!("{file}; show it to your operator and to others");
        if findings.acknowledge {
            findings.warn("evidence", &what, &hint)?;
        } else {
            findings.fail("evidence", &ErrorKind::Trust.because(what).hint(Hint::text(hint)))?;
        }
    }
    Ok(())
}

/// Whether the registry answers, and as it should.
async fn registry(profile: &OpenProfile<'_>, findings: &mut Findings<'_>) -> Result<bool> {
    let Ok(me) = profile.session.ask(account::Show {}).await else { return Ok(false) };
    let question = profile.session.ask(account::ShowProfile { handle: me.handle });
    match tokio::time::timeout(limit::REQUEST_TIMEOUT.saturating_add(PATIENCE), question).await {
        Ok(Ok(there)) if there.account_id == me.account_id => {
            findings.ok("registry", "answers, knows this account")?;
            return Ok(true);
        }
        Ok(Ok(_)) => findings.fail(
            "registry",
            &ErrorKind::Trust
                .because("the registry gives your handle to another account")
                .hint(Hint::text("tell your operator; do not trust handles of this registry")),
        ),
        Ok(Err(error)) => findings.fail("registry", &error),
        Err(_) => findings.fail(
            "registry",
            &ErrorKind::Unreachable
                .because("the registry does not answer")
                .hint(Hint::text("is cipher-registry running?")),
        ),
    }?;
    Ok(false)
}

fn figures(
    profile: &OpenProfile<'_>,
    status: &StatusView,
    recovering: bool,
    findings: &mut Findings<'_>,
) -> Result {
    // Unknown is no finding: the registry refuses requests of a clock that is far off, so an answer says enough.
    if let Some(skew) = status.clock_skew_ms {
        clock(skew, findings)?;
    }
    match status.key_packages.map(|count| (count, usize::try_from(count).unwrap_or(usize::MAX))) {
        Some((count, known)) if known < limit::KEY_PACKAGE_REFILL => {
            findings.warn(
                "key-packages",
                &format!("{count} left at the registry"),
                &format!("{} refills them", findings.command("sync")),
            )?;
        }
        Some((count, _)) => findings.ok("key-packages", &format!("{count} at the registry"))?,
        None => {
            let hint = format!("{} counts and refills them", findings.command("sync"));
            findings.warn("key-packages", "not counted yet", &hint)?;
        }
    }
    match status.outbox {
        0 => findings.ok("outbox", "empty")?,
        n if recovering => findings.warn(
            "outbox",
            &format!("{n} waiting for the broker, or for this device's place in a group"),
            &format!(
                "{} delivers what waits for the broker; what is said of the groups below tells the rest",
                findings.command("sync")
            ),
        )?,
        n => findings.warn(
            "outbox",
            &format!("{n} waiting for the broker"),
            &format!("{} delivers them", findings.command("sync")),
        )?,
    }
    if status.stopped {
        findings.fail_profile("copies", &profile.blamed(cipher_core::stopped()))?;
    } else if let Some(at) = status.doubled_at {
        let at = findings.context.ui.time(at);
        let detail = format!(
            "at {at} something lay in a log in this device's name that it did not send: it took new keys"
        );
        let link = findings.context.ui.typed().of("NAME").command("device link");
        let hint =
            format!("if this profile was copied, use only one copy; link a second machine with: {link}");
        findings.warn("copies", &detail, &hint)?;
    }
    if let Some(lost) = &status.log_lost {
        let LogLostView { at, conversations, open, messages, commits, missing } = lost;
        let at = findings.context.ui.time(*at);
        let detail = format!(
            "at {at} the broker no longer had what it had stored: {conversations} conversations concerned, \
             {messages} own messages sent again, {commits} changes given back, {open} not put right yet, \
             {missing} messages of others missing here"
        );
        findings.warn("broker-log", &detail, "tell your operator; what others said is sent again by them")?;
    }
    let skipped: u64 = status.skipped.values().sum();
    if skipped > 0 {
        let classes: Vec<_> =
            status.skipped.iter().map(|(class, count)| format!("{class} {count}")).collect();
        findings.warn(
            "skipped",
            &classes.join(", "),
            "messages that could not be read; a few are normal after joining",
        )?;
    }
    Ok(())
}

fn clock(skew: i64, findings: &mut Findings<'_>) -> Result {
    let window = i64::try_from(limit::REQUEST_WINDOW.as_millis()).unwrap_or(i64::MAX);
    let (detail, hint) =
        (format!("differs by {skew} ms from the registry's"), "set the clock of this machine");
    if skew.abs() >= window {
        findings
            .fail("clock", &ErrorKind::Refused.because(format!("the clock {detail}")).hint(Hint::text(hint)))
    } else if skew.abs() >= window / 10 {
        findings.warn("clock", &detail, hint)
    } else {
        findings.ok("clock", &detail)
    }
}

async fn groups(profile: &OpenProfile<'_>, findings: &Findings<'_>) -> Result {
    let Ok(groups) = profile.session.ask(group::List {}).await else { return Ok(()) };
    let lost: Vec<_> = groups.iter().filter(|group| group.recovering.is_some()).collect();
    let outside = groups.iter().filter(|group| group.state == GroupState::Restored).count();
    if outside > 0 {
        findings.warn(
            "groups",
            &format!("waiting to be let in again after a restore: {outside} of {}", groups.len()),
            "that goes by itself, as a member of each comes online, or another device of the account if it has one",
        )?;
    }
    if lost.is_empty() && outside == 0 {
        return findings.ok("groups", &format!("{} followed", groups.len()));
    }
    for group in lost {
        let Some(recovering) = &group.recovering else { continue };
        let asked = match recovering.asked {
            0 => "the others were not asked yet".to_owned(),
            1 => "the others were asked once".to_owned(),
            times => format!("the others were asked {times} times"),
        };
        let detail = format!(
            "this device lost its place in {} ({}) at {} ({}); {asked} to let it back in, and what is sent there waits",
            group.name,
            group.id,
            findings.context.ui.time(recovering.since),
            recovering.why.name()
        );
        let hint = match (&recovering.offered, &recovering.denied) {
            (Some(offered), _) => format!(
                "{} would let it back in, and was not in the group when this device last followed it: {}, or decline",
                at(&offered.handle),
                findings.command(&format!("group accept {}", group.id))
            ),
            (None, Some(denied)) => format!(
                "{} says that you are no member there any more: ask a member to add you again; what you send there \
                 makes this device ask once more",
                at(&denied.handle)
            ),
            (None, None) if recovering.declined => {
                "you did not take the place that was offered: the others are asked again within an hour"
                    .to_owned()
            }
            (None, None) => {
                "keep this program running, the device comes back by itself; if no other member is online, ask one to start theirs"
                    .to_owned()
            }
        };
        findings.warn("groups", &detail, &hint)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_check_that_fails_tells_what_the_error_came_from_once() {
        let silent = || ErrorKind::Unreachable.because("no answer: timed out");
        for (error, told) in [
            (silent(), "no answer: timed out"),
            (silent().caused_by(io::Error::other("timed out")), "no answer: timed out"),
            (silent().caused_by(io::Error::other("no route")), "no answer: timed out; caused by: no route"),
        ] {
            assert_eq!(with_causes(&error), told);
        }
    }
}
