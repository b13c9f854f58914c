//! Where commands meet the profile: which one, whether it exists, and how long to wait for the network.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_core::view::StatusView;
use cipher_core::{Command, CoreError, ErrorKind, Event, Reply, Target};

use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::control::client::is_gone;
use crate::evidence::{self, Alarm};
use crate::profile::Profile;
use crate::session::{Login, Need, NetworkSettings, Session};
use cipher_connection::Servers;
use cipher_connection::address::shown;

/// How long a command that can do without the broker waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a command that cannot do without the broker waits for it.
const PERSISTENCE: Duration = Duration::from_secs(10);
/// How long bringing the own state up to date may hold up a command that only wants to show it.
const REFRESH: Duration = Duration::from_secs(3);
/// How long the core may take for one command: several registry questions and a few lost races.
const ANSWER: Duration = Duration::from_secs(60);

/// Pause before a profile is opened again whose owner has ended.
pub const REOPEN: Duration = Duration::from_millis(300);
/// How often in a row one reader opens a profile again.
const REOPENINGS: usize = 20;

/// An open profile.
#[derive(Debug)]
pub struct Desk<'a> {
    context: &'a Context,
    profile: String,
    /// The session behind it.
    pub session: Session,
    /// The folder that was made for this command, if it was, until something was asked that may leave a trace.
    made: Cell<Option<Made>>,
}

/// A profile that was made a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Nobody heard of it.
    Empty,
    /// The registry may have heard of it.
    Told,
}

impl<'a> Desk<'a> {
    /// Opens the profile in force. It must exist.
    pub async fn open(context: &'a Context, need: Need) -> Result<Self> {
        Self::known(context)?;
        let desk = Self::open_profile(context, &context.settings.profile, need).await?;
        if need != Need::Local {
            desk.session.mention(Command::Active);
        }
        Ok(desk)
    }

    /// Opens the profile in force, follows it, and has `work` read something there. When the process that had the
    /// profile open ends before it answered, as a short command does, all of that is done again: who only reads loses
    /// nothing by it.
    pub async fn read<T>(
        context: &'a Context,
        mut work: impl AsyncFnMut(&Self) -> Result<T>,
    ) -> Result<(Self, T)> {
        let mut reopenings = 0;
        loop {
            let desk = Self::open(context, Need::Everything).await?;
            match work(&desk).await {
                Ok(read) => return Ok((desk, read)),
                Err(Failure::Failed(error)) if is_gone(&error) && reopenings < REOPENINGS => {
                    desk.close().await;
                    reopenings += 1;
                    tokio::time::sleep(REOPEN).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Opens the profile in force for somebody who has no account in it yet, making it if need be.
    pub async fn fresh(context: &'a Context, need: Need) -> Result<Self> {
        Self::fresh_or_untold(context, need, None).await
    }

    /// The same, but an account of this handle may be there if its recovery phrase was never shown.
    pub async fn fresh_or_untold(context: &'a Context, need: Need, handle: Option<&Handle>) -> Result<Self> {
        let desk = Self::open_profile(context, &context.settings.profile, need).await?;
        if let Ok(Reply::Account(account)) = desk.session.request(Command::Whoami).await {
            if handle == Some(&account.handle) && desk.status().await?.phrase_due {
                return Ok(desk);
            }
            let profile = &desk.profile;
            return Err(ErrorKind::Conflict
                .because(format!("profile {profile} has the account @{} already", account.handle))
                .hint("another account or device needs another profile: --profile NAME")
                .into());
        }
        Ok(desk)
    }

    /// The same, but a device that was linked and waits for its groups or history may go on.
    pub async fn fresh_or_arriving(context: &'a Context) -> Result<Self> {
        let profile = &context.settings.profile;
        if Profile::new(&context.settings.home, profile)?.exists() {
            let desk = Self::open_profile(context, profile, Need::Everything).await?;
            if desk.status().await?.arriving {
                return Ok(desk);
            }
            desk.close().await;
        }
        Self::fresh(context, Need::Everything).await
    }

    /// Fails if the profile in force does not exist. Makes nothing: a typing error must not leave a folder.
    pub fn known(context: &Context) -> Result {
        let settings = &context.settings;
        if named_profile(context, &settings.profile)?.found()? {
            return Ok(());
        }
        Err(if settings.profile_chosen { unknown_profile(context) } else { no_account(&settings.profile) }
            .into())
    }

    /// Opens a profile, making it if need be.
    pub async fn open_profile(context: &'a Context, name: &str, need: Need) -> Result<Self> {
        let profile = named_profile(context, name)?;
        let made = (!profile.dir().exists()).then_some(Made::Empty);
        let session = Session::open(&profile, network(context), need).await?;
        let desk = Self { context, profile: name.into(), session, made: Cell::new(made) };
        if need != Need::Local {
            desk.tell_of_another_server();
        }
        Ok(desk)
    }

    /// Says so when the process that has the profile open goes to another broker than the one that was asked for.
    fn tell_of_another_server(&self) {
        let settings = &self.context.settings;
        if !settings.server_chosen || !self.session.is_remote() {
            return;
        }
        let Some(used) = self.session.server() else { return };
        let asked = shown(&settings.server);
        let sorted = |list: &str| list.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        // With every port as it is used.
        let whole = Servers::parse(&settings.server).map_or(asked.clone(), |servers| servers.to_string());
        if sorted(&used) != sorted(&whole) {
            let how = match self.session.trouble() {
                Some(error) => format!(", and that one is in trouble: {}", error.message),
                None => String::new(),
            };
            self.context.ui.warn(&format!(
                "the process that has this profile open uses {used}, not {asked}; this command goes through it{how}"
            ));
        }
    }

    /// Ends a command that was to begin something in this profile and failed. If the profile was made for it and
    /// nothing is in it that anybody knows of, it goes again.
    pub async fn undo(self, failure: Failure) -> Failure {
        // An answer that somebody changed on its way is none.
        let unknown = |kind| matches!(kind, ErrorKind::Unreachable | ErrorKind::Trust);
        let open = matches!(&failure, Failure::Failed(error) if unknown(error.kind));
        let nobody_knows = match self.made.get() {
            None => false,
            Some(Made::Empty) => true,
            // Without an answer it may be the registry's by now: the keys must stay.
            Some(Made::Told) => !open,
        };
        let registered = self.status().await.is_ok_and(|status| status.registered);
        let profile = Profile::new(&self.context.settings.home, &self.profile);
        self.close().await;
        if nobody_knows
            && !registered
            && let Ok(profile) = profile
        {
            profile.discard();
        }
        failure
    }

    /// The profile it is about.
    pub fn profile(&self) -> Result<Profile> {
        named_profile(self.context, &self.profile)
    }

    /// How the profile stands.
    pub async fn status(&self) -> Result<StatusView> {
        match self.session.request(Command::Status).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(crate::cli::exit::unexpected()),
        }
    }

    /// The conversation of a target.
    pub async fn group(&self, target: Target) -> Result<GroupId> {
        match self.request(Command::GroupShow { target }).await? {
            Reply::Group(group) => Ok(group.id),
            _ => Err(crate::cli::exit::unexpected()),
        }
    }

    /// Whether the broker is there, after a short wait.
    pub async fn reachable(&self) -> bool {
        self.session.connected(PATIENCE).await
    }

    /// Insists on the broker, for a profile with an account.
    pub async fn online(&self) -> Result {
        let reached = self.reach().await;
        if reached.is_err() {
            self.registered().await?;
        }
        reached
    }

    /// Insists on the broker, account or not.
    pub async fn reach(&self) -> Result {
        if self.session.connected(PERSISTENCE).await {
            return Ok(());
        }
        Err(self.unreachable().into())
    }

    /// Why the broker cannot be reached.
    pub fn unreachable(&self) -> CoreError {
        let server = shown(&self.context.settings.server);
        self.session.trouble().unwrap_or_else(|| {
            ErrorKind::Unreachable
                .because(format!("the broker at {server} does not answer"))
                .hint("start one with `cipher-chat up`, or name another with --server")
        })
    }

    /// Brings everything up to date if broker and registry allow it, and soon; else what is stored must do.
    pub async fn refresh(&self) -> Result {
        if !self.reachable().await {
            self.registered().await?;
            self.context.ui.warn(&format!("{}; this is what is stored here", self.unreachable()));
            return Ok(());
        }
        match tokio::time::timeout(REFRESH, self.request(Command::Refresh)).await {
            Ok(Ok(Reply::Refreshed { answered: false })) => {
                self.context.ui.warn("not up to date yet: the registry does not answer");
                Ok(())
            }
            Ok(Ok(_)) => Ok(()),
            // A device that may not ask any more, a revoked one or a copy that has stopped, still shows what it has.
            Ok(Err(Failure::Failed(error)))
                if error.kind.retryable()
                    || matches!(error.kind, ErrorKind::Refused | ErrorKind::Stopped) =>
            {
                // Whoever runs the connection knows better why.
                let error = self.session.trouble().unwrap_or(error);
                self.context.ui.warn(&format!("not up to date: {error}"));
                Ok(())
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                let who = match self.status().await {
                    Ok(status) if status.registry_silent => "the registry does not answer",
                    Ok(status) if status.questions > 0 => "accounts are still being looked up",
                    _ => "the broker takes its time",
                };
                self.context.ui.warn(&format!("not up to date yet: {who}"));
                Ok(())
            }
        }
    }

    /// Reads what the broker has, if it gives it soon.
    pub async fn look(&self) {
        self.briefly(Command::Refresh).await;
    }

    /// Gives what a command set off (key packages, invitations, first words) the time to leave: the next command
    /// that connects would deliver it, but the other side should not have to wait for that.
    pub async fn settle(&self) {
        self.briefly(Command::Sync).await;
    }

    async fn briefly(&self, command: Command) {
        if let Ok(Err(error)) = tokio::time::timeout(REFRESH, self.session.request(command)).await {
            tracing::debug!(kind = error.kind.name(), "something is left for the next command");
        }
    }

    /// Has a command done.
    pub async fn request(&self, command: Command) -> Result<Reply> {
        let patience =
            if matches!(command, Command::DeviceApprove { .. }) { limit::LINK_LIFETIME } else { ANSWER };
        let begins = begins(&command);
        if begins && self.made.get().is_some() {
            self.made.set(Some(Made::Told));
        }
        let answer = tokio::time::timeout(patience, self.session.request(command)).await;
        let error = if let Ok(Err(error)) = &answer { Some(error) } else { None };
        self.alarm_besides(error);
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            // What is to bring an account needs none: there it is the core that knows what is wrong.
            Ok(Err(error)) if error.kind == ErrorKind::Misuse && !begins => {
                self.registered().await?;
                Err(error.into())
            }
            Ok(Err(error)) => Err(self.worded(error).into()),
            Err(_) => Err(ErrorKind::Unreachable
                .because("broker or registry did not answer in time")
                .hint("what was asked may still happen; `cipher-chat doctor` tells more")
                .into()),
        }
    }

    /// Fails with the one helpful sentence if the profile has no account.
    async fn registered(&self) -> Result {
        match self.session.request(Command::Status).await {
            Ok(Reply::Status(status)) if status.linking => Err(ErrorKind::Misuse
                .because(format!("profile {} is being linked to an account", self.profile))
                .hint(format!("go on with: {}", self.command("device link")))
                .into()),
            Ok(Reply::Status(status)) if !status.registered => Err(no_account(&self.profile).into()),
            _ => Ok(()),
        }
    }

    /// A command for this profile, as a person types it.
    pub fn command(&self, verb: &str) -> String {
        typed(&self.profile, verb)
    }

    /// Shows what must not be missed: warnings, and what was found against the registry.
    pub fn alarm(&self) {
        self.alarm_besides(None);
    }

    /// The same, but for what an error says that is shown next.
    fn alarm_besides(&self, error: Option<&CoreError>) {
        for alarm in self.session.alarms() {
            match alarm {
                Alarm::Evidence(evidence, file) => self.context.ui.alarm(&evidence, file.as_deref()),
                Alarm::Warning(sentence) if error.is_some_and(|error| error.message == sentence) => {}
                Alarm::Warning(sentence) => self.context.ui.warn(&sentence),
            }
        }
    }

    /// An error with what there is to type for this very profile.
    pub fn worded(&self, error: CoreError) -> CoreError {
        if error.kind != ErrorKind::Stopped {
            return error;
        }
        let resume = self.command("device resume");
        error.hint(format!(
            "for a second machine link it in a fresh profile: cipher-chat --profile NAME device link; if the other copy is \
             gone: {resume}"
        ))
    }

    /// Whether something was found against the registry, in this run or before. It has been told when this returns.
    pub async fn evidence(&self) -> Result<bool> {
        let Reply::Evidence(found) = self.request(Command::Evidence).await? else {
            return Err(crate::cli::exit::unexpected());
        };
        // Who has the profile open has told it on another screen than this one, and has written the files.
        if self.session.is_remote() {
            let profile = self.profile()?;
            for view in &found {
                self.context.ui.alarm(view, Some(&evidence::file(&profile, view)));
            }
        }
        Ok(!found.is_empty())
    }

    /// Shows such an event as it comes: once, whoever has the profile open.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::Connection { server, lost } => self.context.ui.connection(server, lost.as_deref()),
            _ if !self.session.is_remote() => self.alarm(),
            Event::Evidence(evidence) => self.context.ui.alarm(evidence, None),
            Event::Warning(sentence) => self.context.ui.warn(sentence),
            _ => {}
        }
    }

    /// Fails on a copy of a profile that has stopped: nothing new comes to it.
    pub async fn goes_on(&self) -> Result {
        if self.status().await?.stopped { Err(self.worded(cipher_core::stopped()).into()) } else { Ok(()) }
    }

    /// Ends the session in order.
    pub async fn close(self) {
        self.session.clone().close().await;
        self.alarm();
    }
}

/// Whether a command may make a profile known to somebody.
const fn begins(command: &Command) -> bool {
    matches!(command, Command::Register { .. } | Command::DeviceLink { .. } | Command::DeviceRecover { .. })
}

/// The profile of a name; a name that is none is a mistake on the command line.
fn named_profile(context: &Context, name: &str) -> Result<Profile> {
    Profile::new(&context.settings.home, name)
        .map_err(|error| Failure::Usage { message: error.message, hint: error.hint })
}

/// How to reach the broker.
pub fn network(context: &Context) -> NetworkSettings {
    let access = &context.settings.access;
    let mut network = NetworkSettings::new(&context.settings.server);
    network.login = match (&access.credentials, &access.nkey) {
        (Some(file), _) => Login::Credentials(file.clone()),
        (None, Some(file)) => Login::Nkey(file.clone()),
        (None, None) => Login::None,
    };
    network.tls.clone_from(&access.tls);
    network
}

fn no_account(profile: &str) -> CoreError {
    ErrorKind::Misuse
        .because(format!("no account in profile {profile}"))
        .hint(typed(profile, "register HANDLE"))
}

fn typed(profile: &str, verb: &str) -> String {
    if profile == crate::settings::DEFAULT_PROFILE {
        format!("cipher-chat {verb}")
    } else {
        format!("cipher-chat --profile {profile} {verb}")
    }
}

fn unknown_profile(context: &Context) -> CoreError {
    let home = &context.settings.home;
    let known = Profile::list(home);
    let hint = if known.is_empty() {
        "there is no profile yet: cipher-chat register HANDLE makes one".into()
    } else {
        format!("profiles here: {}", known.join(", "))
    };
    ErrorKind::NotFound
        .because(format!("no profile {} in {}", context.settings.profile, home.display()))
        .hint(hint)
}
