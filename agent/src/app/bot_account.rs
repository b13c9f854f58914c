//! The account of a bot: a profile of its own, owned by an account of a person.
//!
//! ```text
//! the bot's profile: keys ──► certificate ──► the owner's profile: signature ──► registry: both
//! ```

use std::path::PathBuf;

use cipher_api::command::{account, bot};
use cipher_api::view::AccountView;
use cipher_api::{Error, ErrorKind};
use cipher_broker::certificate::Kind;
use cipher_broker::handle::{Handle, InvalidHandle};

use crate::app::error::ProfileError;
use crate::app::notice::FrontEnd;
use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::profile::Profile;
use crate::session::Need;

/// Why a bot has no account, or not the one that was asked for. Its text is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BotAccountError {
    /// It was to be called as the bot is, and that cannot be a handle.
    #[error("the name {name} cannot be a handle: {error}")]
    Name {
        /// Name of the bot.
        name: String,
        /// Why not.
        #[source]
        error: InvalidHandle,
    },
    /// It has an account of another handle than the one that was asked for.
    #[error("bot {name} has the handle @{handle} already")]
    HasHandle {
        /// Name of the bot.
        name: String,
        /// The handle it has.
        handle: Handle,
    },
    /// Another account has the handle.
    #[error("{error}")]
    Taken {
        /// The handle.
        handle: Handle,
        /// The registry's words.
        #[source]
        error: Box<Error>,
    },
    /// The profile that was to be the bot's is its owner's own.
    #[error("profile {profile} in that home is your own; the bot needs another")]
    OwnProfile {
        /// Name of the profile.
        profile: String,
    },
    /// The profile that was to be the bot's is a person's.
    #[error("profile {profile} in {} is a person's", home.display())]
    PersonsProfile {
        /// Name of the profile.
        profile: String,
        /// Its home.
        home: PathBuf,
    },
    /// The profile in force, named like the bot, has no account: it is meant to be the bot's, and registering a person
    /// there would take the bot's handle.
    #[error("{error}")]
    NotMade {
        /// Name of the bot.
        name: String,
        /// Home of the profile.
        home: PathBuf,
        /// What is wrong with the profile.
        #[source]
        error: Box<ProfileError>,
    },
    /// Everything else.
    #[error("{0}")]
    Profile(#[from] ProfileError),
}

impl BotAccountError {
    /// What kind of failure it is; `None` for arguments that make no sense.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Name { .. } | Self::OwnProfile { .. } => None,
            Self::HasHandle { .. } => Some(ErrorKind::Misuse),
            Self::PersonsProfile { .. } => Some(ErrorKind::Conflict),
            Self::Taken { error, .. } => Some(error.kind),
            Self::NotMade { error, .. } => Some(error.kind()),
            Self::Profile(error) => Some(error.kind()),
        }
    }
}

impl From<Error> for BotAccountError {
    fn from(error: Error) -> Self {
        Self::Profile(error.into())
    }
}

type Result<T = (), E = BotAccountError> = std::result::Result<T, E>;

/// An open profile, and the account in it.
pub type OpenAccount<'a> = (OpenProfile<'a>, AccountView);

/// The bot's own profile, with an account: made now if this is its first run. A profile in force that is the bot's own is
/// taken as it is; else it is the owner's.
pub async fn open<'a>(
    front: &'a dyn FrontEnd,
    name: &str,
    handle: Option<&Handle>,
) -> Result<OpenAccount<'a>> {
    let settings = front.settings();
    // Both must make sense before anything is written.
    let nested = format!("{}/{name}", settings.profile);
    Profile::new(&settings.home, &nested)?;
    let wanted = wanted(name, handle)?;
    OpenProfile::known(front).map_err(|error| without_account(front, name, error))?;
    if let Some(known) = known(front, &nested, name, handle).await? {
        return Ok(known);
    }
    let profile = OpenProfile::open(front, Need::Local).await?;
    let account = profile.ask(account::Show {}).await;
    profile.close().await;
    match account {
        Ok(account) if account.kind == Kind::Bot => {
            let known = known(front, &settings.profile, name, handle).await?;
            known.ok_or_else(|| ErrorKind::Bug.because("the account of the bot is gone again").into())
        }
        Ok(_) => register(front, name, front, &nested, wanted).await,
        Err(error) => Err(without_account(front, name, error)),
    }
}

/// The same once a command that has the bot's profile open for a moment has ended. One that goes on is no error here: its
/// session is remote.
pub async fn open_alone<'a>(
    front: &'a dyn FrontEnd,
    name: &str,
    handle: Option<&Handle>,
) -> Result<OpenAccount<'a>> {
    let (bot, account) = open(front, name, handle).await?;
    if !bot.session.is_remote()
        || tokio::time::timeout(patience::ANOTHER_PROCESS, bot.session.ended()).await.is_err()
    {
        return Ok((bot, account));
    }
    bot.close().await;
    open(front, name, None).await
}

/// Makes the account of a bot in the profile in force at `place`, or opens the one that is there already. The profile in
/// force of `owner` owns it.
pub async fn make<'a>(
    owner: &dyn FrontEnd,
    place: &'a dyn FrontEnd,
    name: &str,
    handle: Option<&Handle>,
) -> Result<OpenAccount<'a>> {
    let (own, bots) = (owner.settings(), place.settings());
    let folder = Profile::new(&bots.home, &bots.profile)?;
    if Profile::new(&own.home, &own.profile)? == folder {
        return Err(BotAccountError::OwnProfile { profile: own.profile.clone() });
    }
    let wanted = wanted(name, handle)?;
    OpenProfile::known(owner)?;
    match known(place, &bots.profile, name, handle).await? {
        Some((_, account)) if account.kind != Kind::Bot => {
            Err(BotAccountError::PersonsProfile { profile: bots.profile.clone(), home: bots.home.clone() })
        }
        Some(known) => Ok(known),
        None => register(owner, name, place, &bots.profile, wanted).await,
    }
}

/// The handle of a bot's account under the profile in force, if it has one.
pub async fn handle_of(front: &dyn FrontEnd, name: &str) -> Option<Handle> {
    let settings = front.settings();
    let nested = format!("{}/{name}", settings.profile);
    if !Profile::new(&settings.home, &nested).ok()?.exists() {
        return None;
    }
    let profile = OpenProfile::open_profile(front, &nested, Need::Local).await.ok()?;
    let reply = profile.session.ask(account::Show {}).await;
    profile.close().await;
    reply.ok().map(|account| account.handle)
}

/// The handle that a bot is to have.
fn wanted(name: &str, handle: Option<&Handle>) -> Result<Handle> {
    match handle {
        Some(handle) => Ok(handle.clone()),
        None => name.parse().map_err(|error| BotAccountError::Name { name: name.into(), error }),
    }
}

/// A profile that has an account already, which must have that handle if one is named.
async fn known<'a>(
    front: &'a dyn FrontEnd,
    profile: &str,
    name: &str,
    handle: Option<&Handle>,
) -> Result<Option<OpenAccount<'a>>> {
    if !Profile::new(&front.settings().home, profile)?.exists() {
        return Ok(None);
    }
    let profile = OpenProfile::open_profile(front, profile, Need::Everything).await?;
    if let Ok(account) = profile.session.ask(account::Show {}).await {
        if handle.is_some_and(|handle| *handle != account.handle) {
            return Err(BotAccountError::HasHandle { name: name.into(), handle: account.handle });
        }
        return Ok(Some((profile, account)));
    }
    profile.close().await;
    Ok(None)
}

/// A profile that is named like the bot is meant to be the bot's own.
fn without_account(front: &dyn FrontEnd, name: &str, error: ProfileError) -> BotAccountError {
    let settings = front.settings();
    // A name that cannot be a profile's is a mistake of its own.
    if settings.profile == name && !matches!(error, ProfileError::Name(_)) {
        return BotAccountError::NotMade {
            name: name.into(),
            home: settings.home.clone(),
            error: Box::new(error),
        };
    }
    error.into()
}

/// Both halves: the bot makes its keys in a place and profile, its owner signs for them, the registry takes both.
async fn register<'a>(
    owner: &dyn FrontEnd,
    name: &str,
    place: &'a dyn FrontEnd,
    profile: &str,
    handle: Handle,
) -> Result<OpenAccount<'a>> {
    let owners = OpenProfile::open(owner, Need::Outbox).await?;
    let bot::OwnerCard { owner, handle: owner_handle } = owners.ask(bot::Card {}).await?;
    let bots = OpenProfile::open_profile(place, profile, Need::Everything).await?;
    let bot::Prepared { certificate } = bots.ask(bot::Prepare { owner: owner.clone() }).await?;
    let bot::Signature { signature } = owners.ask(bot::Sign { certificate }).await?;
    owners.close().await;
    bots.reach().await?;
    let bot = Some(account::BotOwnership { owner, handle: owner_handle, signature });
    let command = account::Register { handle: handle.clone(), name: name.into(), bot, invite_code: None };
    match bots.ask(command).await {
        Ok(registered) => {
            bots.settle().await;
            Ok((bots, registered.account))
        }
        Err(ProfileError::Core(error)) if error.kind == ErrorKind::Conflict => {
            Err(BotAccountError::Taken { handle, error: error.into() })
        }
        Err(error) => Err(error.into()),
    }
}
