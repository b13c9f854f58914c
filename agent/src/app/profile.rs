//! A profile in use: which one, whether it exists, what is asked of it, and undoing one that was made for nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cipher_api::command::{account, device, evidence, group, status};
use cipher_api::view::StatusView;
use cipher_api::{Ask, Error, ErrorKind, Event, Hint, Request as _, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;
use cipher_connection::Servers;
use cipher_connection::address::shown;
use cipher_core::Examined;

use crate::app::backup;
use crate::app::error::{ProfileError, Result};
use crate::app::notice::{Behind, FrontEnd, Notice};
use crate::app::patience;
use crate::evidence::Alarm;
use crate::profile::Profile;
use crate::runtime::worker;
use crate::session::{Need, NetworkSettings, Session};
use crate::settings::Settings;
use crate::telemetry;
use crate::token::book::Book;
use crate::token::file;
use crate::unlock;

/// An open profile.
#[derive(Debug)]
pub struct OpenProfile<'a> {
    front: &'a dyn FrontEnd,
    name: String,
    /// The session behind it.
    pub session: Session,
    /// Whether its folder was made by opening it.
    made: bool,
    /// Whether something was asked since that the registry may have heard of.
    told: AtomicBool,
}

impl<'a> OpenProfile<'a> {
    /// Opens the profile in force. It must exist.
    pub async fn open(front: &'a dyn FrontEnd, need: Need) -> Result<Self> {
        Self::known(front)?;
        let profile = Self::open_profile(front, &front.settings().profile, need).await?;
        if need != Need::Local {
            profile.session.mention(account::Active {});
        }
        Ok(profile)
    }

    /// Opens the profile in force, follows it, and has `work` read something there. When the process that had the
    /// profile open ends before it answered, as a short command does, all of that is done again: reading twice loses
    /// nothing.
    pub async fn read<T>(
        front: &'a dyn FrontEnd,
        mut work: impl AsyncFnMut(&Self) -> Result<T>,
    ) -> Result<(Self, T)> {
        let mut reopenings = 0;
        loop {
            let profile = Self::open(front, Need::Everything).await?;
            match work(&profile).await {
                Ok(read) => return Ok((profile, read)),
                Err(error) if error.is_gone() && reopenings < patience::REOPENINGS => {
                    profile.close().await;
                    reopenings += 1;
                    tokio::time::sleep(patience::REOPEN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at everything in the store of the profile in force. It must exist, and no other process may have it open.
    pub async fn examine(front: &dyn FrontEnd) -> Result<Examined> {
        Self::known(front)?;
        let Settings { home, profile, unlocking, .. } = front.settings();
        Ok(worker::examine(named(home, profile)?, unlocking.clone()).await?)
    }

    /// Opens the profile in force for an account that is to come, making it if need be.
    pub async fn fresh(front: &'a dyn FrontEnd, need: Need) -> Result<Self> {
        Self::fresh_or_untold(front, need, None).await
    }

    /// The same, but an account of this handle may be there if its recovery phrase was never shown.
    pub async fn fresh_or_untold(
        front: &'a dyn FrontEnd,
        need: Need,
        handle: Option<&Handle>,
    ) -> Result<Self> {
        let profile = Self::open_profile(front, &front.settings().profile, need).await?;
        if let Ok(account) = profile.session.ask(account::Show {}).await {
            if handle == Some(&account.handle) && profile.status().await?.phrase_due {
                return Ok(profile);
            }
            return Err(ProfileError::HasAccount { profile: profile.name, handle: account.handle });
        }
        if profile.made {
            backup::clear(&profile.place()?);
        }
        Ok(profile)
    }

    /// The same, but a device that was linked and waits for its groups or history may go on.
    pub async fn fresh_or_arriving(front: &'a dyn FrontEnd) -> Result<Self> {
        let Settings { home, profile, .. } = front.settings();
        if Profile::new(home, profile)?.exists() {
            let profile = Self::open_profile(front, profile, Need::Everything).await?;
            if profile.status().await?.arriving {
                return Ok(profile);
            }
            profile.close().await;
        }
        Self::fresh(front, Need::Everything).await
    }

    /// Fails if the profile in force does not exist. Makes nothing: a typing error must not leave a folder.
    pub fn known(front: &dyn FrontEnd) -> Result {
        let Settings { home, profile, profile_chosen, .. } = front.settings();
        let place = named(home, profile)?;
        let found = place.found()?;
        if (!found || !place.store().exists()) && place.beside().dir().exists() {
            return Err(ErrorKind::Misuse
                .because(format!(
                    "a backup is being restored into profile {profile}, and not all of it is there"
                ))
                .hint(Hint::DeviceRestoreGoOn)
                .into());
        }
        if found {
            return Ok(());
        }
        let profile = profile.clone();
        Err(if *profile_chosen {
            ProfileError::Unknown { profile, home: home.clone(), others: Profile::list(home) }
        } else {
            ProfileError::NoAccount { profile }
        })
    }

    /// The tokens of the profile in force. Nothing is opened unless the store was never sealed: a token must end also while the
    /// profile is stuck.
    pub async fn tokens(front: &'a dyn FrontEnd) -> Result<Book> {
        Self::known(front)?;
        let Settings { home, profile, unlocking, .. } = front.settings();
        let place = named(home, profile)?;
        if !place.keys().exists() {
            Self::open(front, Need::Local).await?.close().await;
        }
        let (keys, _) = unlock::keys(&place, &unlock::unlock(&place, unlocking)?)?;
        Ok(Book::of(&place, keys.derived(file::PURPOSE))?)
    }

    /// How many tokens the profile has; an error if they are damaged. `None` where they cannot be opened without asking a person:
    /// another process has the profile open, and a passphrase opens it. The file is looked at then all the same.
    pub fn count_tokens(&self) -> Result<Option<usize>> {
        let place = self.place()?;
        if let Some(book) = self.session.book() {
            return Ok(Some(book.look()?));
        }
        let mut unlocking = self.front.settings().unlocking.clone();
        unlocking.asks = false;
        match unlock::unlock(&place, &unlocking).and_then(|unlock| unlock::keys(&place, &unlock)) {
            Ok((keys, _)) => Ok(Some(Book::of(&place, keys.derived(file::PURPOSE))?.look()?)),
            Err(_) => Ok(file::look(&place).map(|()| None)?),
        }
    }

    /// Opens a profile, making it if need be.
    pub async fn open_profile(front: &'a dyn FrontEnd, name: &str, need: Need) -> Result<Self> {
        let profile = named(&front.settings().home, name)?;
        let made = !profile.dir().exists();
        let session =
            Session::open(&profile, &front.settings().unlocking, front.settings().network(), need).await?;
        let profile = Self { front, name: name.into(), session, made, told: AtomicBool::new(false) };
        if need != Need::Local {
            profile.tell_of_another_server();
        }
        Ok(profile)
    }

    /// Tells when the process that has the profile open goes to another broker than the one that was asked for.
    fn tell_of_another_server(&self) {
        let settings = self.front.settings();
        if !settings.server_chosen || !self.session.is_remote() {
            return;
        }
        let Some(used) = self.session.server() else { return };
        let asked = shown(&settings.server);
        let sorted = |list: &str| list.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        // With every port as it is used.
        let whole = Servers::parse(&settings.server).map_or(asked.clone(), |servers| servers.to_string());
        if sorted(&used) != sorted(&whole) {
            let trouble = self.session.trouble();
            self.front.notice(Notice::OtherServer { used: &used, asked: &asked, trouble });
        }
    }

    /// Ends what was to begin something in this profile and failed, with an error of this kind if there was one. If the
    /// profile was made for it and nothing is in it that anybody knows of, it goes again.
    pub async fn undo(self, failed: Option<ErrorKind>) {
        // An answer that was changed on its way is none.
        let unanswered = matches!(failed, Some(ErrorKind::Unreachable | ErrorKind::Trust));
        // Without an answer it may be the registry's by now: the keys must stay.
        let unheard_of = self.made && !(unanswered && self.told.load(Ordering::Relaxed));
        let registered = self.status().await.is_ok_and(|status| status.registered);
        self.end(unheard_of && !registered).await;
    }

    /// Ends the session in order; a profile that is for nothing goes.
    async fn end(self, for_nothing: bool) {
        let place = self.place();
        self.close().await;
        if for_nothing && let Ok(profile) = place {
            profile.discard();
        }
    }

    /// Where it lies.
    pub fn place(&self) -> Result<Profile> {
        named(&self.front.settings().home, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the profile stands.
    pub async fn status(&self) -> Result<StatusView> {
        Ok(self.session.ask(status::Status {}).await?)
    }

    /// The connection that the settings ask for.
    pub(crate) fn network(&self) -> NetworkSettings {
        self.front.settings().network()
    }

    /// The conversation of a target.
    pub async fn group(&self, target: Target) -> Result<GroupId> {
        Ok(self.ask(group::Show { target }).await?.id)
    }

    /// Whether the broker is there, after a short wait.
    pub async fn reachable(&self) -> bool {
        self.session.connected(patience::BRIEF).await
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
        if self.session.connected(patience::INSISTENT).await { Ok(()) } else { Err(self.unreachable()) }
    }

    /// Why the broker cannot be reached.
    pub fn unreachable(&self) -> ProfileError {
        match self.session.trouble() {
            Some(error) => error.into(),
            None => ProfileError::NoBroker { server: shown(&self.front.settings().server) },
        }
    }

    /// Brings everything up to date if broker and registry allow it, and soon; else what is stored must do.
    pub async fn refresh(&self) -> Result {
        if !self.reachable().await {
            self.registered().await?;
            self.front.notice(Notice::Stored(self.unreachable()));
            return Ok(());
        }
        let behind = match tokio::time::timeout(patience::REFRESH, self.ask(status::Refresh {})).await {
            Ok(Ok(status::Refreshed { answered: false })) => Behind::RegistrySilent,
            Ok(Ok(_)) => return Ok(()),
            // A device that may not ask any more, a revoked one or a copy that has stopped, still shows what it has.
            Ok(Err(error))
                if error.kind().retryable()
                    || matches!(error.kind(), ErrorKind::Refused | ErrorKind::Stopped) =>
            {
                // What runs the connection knows better why.
                Behind::Failed(self.session.trouble().map_or(error, ProfileError::from))
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => match self.status().await {
                Ok(status) if status.registry_silent => Behind::RegistrySilent,
                Ok(status) if status.questions > 0 => Behind::LookingUp,
                _ => Behind::Slow,
            },
        };
        self.front.notice(Notice::Behind(behind));
        Ok(())
    }

    /// Reads what the broker has, if it gives it soon.
    pub async fn look(&self) {
        self.briefly(status::Refresh {}).await;
    }

    /// Gives what a command set off (key packages, invitations, first words) the time to leave: the next command
    /// that connects would deliver it, but the other side should not have to wait for that.
    pub async fn settle(&self) {
        self.briefly(status::Sync {}).await;
    }

    async fn briefly<R: Ask>(&self, request: R) {
        let asked = tokio::time::timeout(patience::REFRESH, self.session.ask(request));
        if let Ok(Err(error)) = asked.await {
            tracing::debug!(kind = error.kind.name(), "something is left for the next command");
            telemetry::causes(&error);
        }
    }

    /// Asks the core, for as long as a person would wait.
    pub async fn ask<R: Ask>(&self, request: R) -> Result<R::Reply> {
        let begins = begins::<R>();
        if begins {
            self.told.store(true, Ordering::Relaxed);
        }
        let answer = tokio::time::timeout(patience::answer::<R>(), self.session.ask(request)).await;
        let error = if let Ok(Err(error)) = &answer { Some(error) } else { None };
        self.alarm_besides(error);
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            // What is to bring an account needs none: there it is the core that knows what is wrong.
            Ok(Err(error))
                if error.kind == ErrorKind::Misuse
                    && !begins
                    && error.hint != Some(Hint::DeviceRestoreGoOn) =>
            {
                self.registered().await?;
                Err(error.into())
            }
            Ok(Err(error)) => Err(self.blamed(error)),
            Err(_) => Err(ProfileError::NoAnswer),
        }
    }

    /// Fails with what is wrong if the profile has no account.
    async fn registered(&self) -> Result {
        let profile = || self.name.clone();
        match self.session.ask(status::Status {}).await {
            Ok(status) if status.linking => Err(ProfileError::Linking { profile: profile() }),
            Ok(status) if !status.registered => match self.session.ask(account::Show {}).await {
                Err(error) if error.hint == Some(Hint::DeviceRestoreGoOn) => Err(error.into()),
                Ok(_) | Err(_) => Err(ProfileError::NoAccount { profile: profile() }),
            },
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// An error of the core, with the name of this very profile where that helps.
    pub fn blamed(&self, error: Error) -> ProfileError {
        if error.kind == ErrorKind::Stopped {
            return ProfileError::Stopped { profile: self.name.clone(), error: error.into() };
        }
        error.into()
    }

    /// Tells what must not be missed: warnings, and what was found against the registry.
    pub fn alarm(&self) {
        self.alarm_besides(None);
    }

    /// The same, but for what an error says that is shown next.
    fn alarm_besides(&self, error: Option<&Error>) {
        for alarm in self.session.alarms() {
            match alarm {
                Alarm::Evidence(evidence, file) => {
                    self.front.notice(Notice::Evidence { evidence: &evidence, file: file.as_deref() });
                }
                Alarm::Stopped(why) if error.is_some_and(|error| error.message == why.message) => {}
                Alarm::Stopped(why) => self.front.notice(Notice::Stopped(&why)),
                // The error says it.
                Alarm::Warning(cipher_api::Notice::ThisDeviceRevoked)
                    if error.is_some_and(|error| error.hint == Some(Hint::DeviceLinkAnew)) => {}
                Alarm::Warning(notice) => self.front.notice(Notice::Warning(&notice)),
            }
        }
    }

    /// Whether something was found against the registry, in this run or before. It has been told when this returns.
    pub async fn evidence(&self) -> Result<bool> {
        let found = self.ask(evidence::List {}).await?;
        // The process that has the profile open has told it on another screen than this one, and has written the files.
        if self.session.is_remote() {
            let profile = self.place()?;
            for evidence in &found {
                let file = crate::evidence::file(&profile, evidence);
                self.front.notice(Notice::Evidence { evidence, file: Some(&file) });
            }
        }
        Ok(!found.is_empty())
    }

    /// Tells such an event as it comes: once, whichever process has the profile open.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::Connection { server, lost } => {
                self.front.notice(Notice::Connection { server, lost: lost.as_deref() });
            }
            _ if !self.session.is_remote() => self.alarm(),
            Event::Evidence(evidence) => self.front.notice(Notice::Evidence { evidence, file: None }),
            Event::Warning { notice } => self.front.notice(Notice::Warning(notice)),
            _ => {}
        }
    }

    /// Fails on a copy of a profile that has stopped: nothing new comes to it.
    pub async fn goes_on(&self) -> Result {
        if self.status().await?.stopped { Err(self.blamed(cipher_core::stopped())) } else { Ok(()) }
    }

    /// Ends the session in order. A profile that was made by opening it, and in which nothing has begun, goes again.
    pub async fn leave(self) {
        let begun =
            self.status().await.map_or(true, |status| status.registered || status.linking || status.arriving);
        let for_nothing = self.made && !begun;
        self.end(for_nothing).await;
    }

    /// Ends the session in order.
    pub async fn close(self) {
        self.session.clone().close().await;
        self.alarm();
    }
}

/// Whether a request may make a profile known to the registry.
fn begins<R: Ask>() -> bool {
    let methods =
        [account::Register::METHOD, device::Link::METHOD, device::Recover::METHOD, device::Return::METHOD];
    methods.contains(&R::METHOD)
}

/// The profile of a name; a name that is none is a mistake of the caller.
fn named(home: &Path, name: &str) -> Result<Profile> {
    Profile::new(home, name).map_err(ProfileError::Name)
}
