//! `backup` and `restore`: a profile as one sealed file, and back.

use std::path::{Path, PathBuf};

use cipher_api::command::{account, device};
use cipher_api::{ErrorKind, Hint};
use cipher_seal::Unlock;
use cipher_seal::typed::{self, TypedError};

use crate::app::backup::{self as app, Return};
use crate::app::error::ProfileError;
use crate::app::profile::OpenProfile;
use crate::cli::command::device::named;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::profile::Profile;
use crate::session::Need;
use crate::unlock::Unlocking;

/// Write a backup of this profile into one file, sealed by a passphrase of its own
///
/// It holds what a new machine needs to be you again: the account with its key, contacts and whom you verified or blocked, all
/// messages that are here, which groups there are, and of a bot what it remembers and how far it is. It does not hold this
/// device's keys, nor what waits to be sent. Keep it as you keep the recovery phrase: file and passphrase together are your
/// account.
///
/// The profile may be in use meanwhile. The file is read again before it gets its name, and overwrites nothing. A backup that was killed
/// leaves a file cipher-unfinished-… beside it, which the next one into the folder removes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat backup /media/stick/alice.backup\n  cipher-chat backup alice.backup --new-passphrase-fd 4 4< FILE\n  cipher-chat --profile alice/echo backup echo.backup"
)]
pub struct BackupArgs {
    /// The file, which is not there yet
    file: PathBuf,
    /// Descriptor whose first line is the passphrase of the backup, instead of asking twice; the second line if --passphrase-fd is the same
    #[arg(long, value_name = "N")]
    new_passphrase_fd: Option<u32>,
}

/// Restore a backup into a profile that is not there yet, as a new device of its account
///
/// The passphrase of the backup is asked for, or read with --passphrase-fd. The whole file is verified before anything is
/// written. If the command is interrupted, or broker or registry are away, run it again with the same file and passphrase to continue:
/// until then another backup is refused there.
///
/// Members of each group let the new device in as they come online: history and trust are there, what was said between the backup
/// and then is not. What becomes of the account's other devices: without a flag they stay if there is another one than the one
/// that made the backup, and one of them must be online to let this one in; otherwise they are revoked.
///
/// A bot is restored into a profile inside its owner's, which signs for it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat restore alice.backup\n  cipher-chat restore alice.backup --passphrase-fd 3 3< FILE\n  cipher-chat restore alice.backup --revoke-devices     (all machines are lost)\n  cipher-chat --profile alice/echo restore echo.backup"
)]
pub struct RestoreArgs {
    /// The file that `backup` wrote
    file: PathBuf,
    /// Keep the account's other devices; one of them lets this one in
    #[arg(long, conflicts_with = "revoke_devices")]
    keep_devices: bool,
    /// Revoke all other devices of the account; members of the groups let this one in
    #[arg(long)]
    revoke_devices: bool,
    /// Name of this machine; only your own devices see it [default: its host name]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Of a bot: the profile of its owner [default: the one that the bot's profile is inside]
    #[arg(long, value_name = "PROFILE")]
    owner: Option<String>,
}

/// Runs `backup`.
pub async fn backup(context: &Context, BackupArgs { file, new_passphrase_fd }: BackupArgs) -> Result {
    OpenProfile::known(context)?;
    // Before anything is asked for.
    app::is_free(&file)?;
    let profile = OpenProfile::open(context, Need::Local).await?;
    profile.ask(account::Show {}).await?;
    let unlock = context.settings.unlocking.new_passphrase(new_passphrase_fd)?;
    let mut stop = Interrupt::listen();
    let progress = |done, total| drop(context.ui.progress("backup", done, total));
    let written = tokio::select! {
        written = app::write(&profile, &file, &unlock, progress) => written.map_err(Failure::from),
        () = stop.wait() => Err(Failure::Shown(1)),
    };
    context.ui.progress_end();
    profile.close().await;
    let messages = written?;
    let target = file.display().to_string();
    context.ui.happened(context.ui.show(&Line::Done { action: "backed up", target: Some(&target) }));
    let messages = if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") };
    context.ui.note(&format!(
        "{messages}. Whoever has this file and its passphrase has the account; without the passphrase nobody opens it."
    ));
    Ok(())
}

/// Runs `restore`.
pub async fn restore(context: &Context, args: RestoreArgs) -> Result {
    let RestoreArgs { file, keep_devices, revoke_devices, name, owner } = args;
    let how = Return {
        name: named(name)?,
        keep_devices: (keep_devices || revoke_devices).then_some(keep_devices),
        owner: owner.or_else(|| {
            let (owner, _) = context.settings.profile.split_once('/')?;
            Some(owner.to_owned())
        }),
    };
    let settings = &context.settings;
    let profile = Profile::new(&settings.home, &settings.profile).map_err(ProfileError::Name)?;
    // The passphrase that is given is the backup's: the new store gets a key, as any other.
    let passphrase_fd = settings.unlocking.passphrase_fd;
    let mut settings = settings.clone();
    let Unlocking { key_file, credentials, asks, .. } = settings.unlocking;
    settings.unlocking = Unlocking::new(key_file, credentials, None, asks);
    let context = &Context { settings, ui: context.ui.clone() };
    let goes_on = profile.found()? && profile.exists();
    if goes_on {
        app::waits(context).await?;
    } else {
        app::is_vacant(&profile)?;
    }
    if let Some(owner) = how.owner.as_deref() {
        owner_is_there(context, owner)?;
    }
    app::is_backup(&file)?;
    let unlock = passphrase(context, &file, passphrase_fd)?;
    if goes_on {
        let of = app::is_what_waits(context, &file, &unlock).await?;
        app::fits(context, &file, &of, how.owner.as_deref()).await?;
        context.ui.note(&format!("{} is in the profile since before, and goes on", file.display()));
    } else {
        let verified = app::verify(&file, &unlock)?;
        app::fits(context, &file, &verified.of, how.owner.as_deref()).await?;
        let progress = |done, total| drop(context.ui.progress("restore", done, total));
        let taken = app::take_in(context, &file, &unlock, &verified, progress).await;
        context.ui.progress_end();
        taken?;
    }
    let (profile, account) = app::come_back(context, how).await.map_err(|error| {
        // Whatever it was: what has come so far is not lost.
        context.ui.note("everything of the backup is in the profile; run the command again to go on");
        Failure::from(error)
    })?;
    context.ui.happened(context.ui.show(&Line::account(&account)));
    let others = profile.ask(device::List {}).await.unwrap_or_default();
    let others = others.iter().filter(|device| !device.current && !device.revoked).count();
    context.ui.note(&match others {
        0 => "every other device of the account is revoked; groups come back as their members answer"
            .to_owned(),
        _ => format!(
            "groups come back as another device of the account answers; revoke a machine that is lost: {}",
            context.ui.command("device revoke DEVICE")
        ),
    });
    profile.settle().await;
    profile.close().await;
    Ok(())
}

fn owner_is_there(context: &Context, owner: &str) -> Result {
    let home = &context.settings.home;
    if Profile::new(home, owner).map_err(ProfileError::Name)?.exists() {
        return Ok(());
    }
    Err(ErrorKind::NotFound
        .because(format!("there is no profile {owner} in {}, which owns the bot", home.display()))
        .hint(Hint::text("nothing was written: restore or register the owner first, or name its profile with --owner PROFILE"))
        .into())
}

/// The passphrase of a backup: from the descriptor, or from the person at the terminal.
fn passphrase(context: &Context, file: &Path, descriptor: Option<u32>) -> Result<Unlock> {
    let given = match descriptor {
        Some(number) => typed::from_descriptor(number),
        None if !context.settings.unlocking.asks => Err(TypedError::NoTerminal),
        None => typed::at_terminal(&format!("Passphrase of {}: ", file.display())),
    };
    given.map(Unlock::Passphrase).map_err(|error| {
        let (error, hint) = match error {
            TypedError::NoTerminal => (
                ErrorKind::Misuse.because_of("there is no passphrase of the backup", error),
                "give it with --passphrase-fd N, for example `--passphrase-fd 3 3< FILE`, or run the command at a terminal",
            ),
            TypedError::Unreadable(error) => (
                ErrorKind::Storage.because_of("the passphrase of the backup cannot be read", error),
                "--passphrase-fd takes the number of a descriptor that the command is started with, for example `--passphrase-fd 3 3< FILE`",
            ),
            error => (ErrorKind::Usage.because(error.to_string()), "give the one that the backup was made with"),
        };
        error.hint(Hint::text(format!("nothing was written: {hint}"))).into()
    })
}
