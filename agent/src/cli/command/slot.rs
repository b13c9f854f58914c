//! `slot`: which keys and passphrases open the store.

use std::fs::File;
use std::path::PathBuf;

use cipher_api::{ErrorKind, Hint};
use cipher_seal::{SlotKind, Unlock, key_file};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::profile::Profile;
use crate::unlock;
use crate::unlock::slots::{self, Held};

/// Choose which keys and passphrases open the store of this profile
///
/// Everything that a profile keeps is sealed. Any one slot opens it: a key in a file, or a passphrase. A new profile has one slot,
/// for the key in the file store.key beside it: that protects a copy of the store alone, not a copy of the whole folder. For more, add a passphrase, or a key file that
/// lies elsewhere, and remove the first slot.
///
/// Slots change only while no process has the profile open. A removed key or passphrase still opens copies that were made before.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat slot list\n  cipher-chat slot add passphrase\n  cipher-chat slot remove 1                  (asks for the passphrase that stays)\n  cipher-chat slot add key-file /run/media/stick/ana.key\n  cipher-chat slot passphrase                (change it)"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the slots
    List,
    /// Let another key or passphrase open the store
    Add {
        #[command(subcommand)]
        what: New,
    },
    /// Remove a slot; what opens another one must be given
    ///
    /// The slots behind it move up. If store.key opens nothing any more it is erased. Once a single slot is left, what was removed
    /// opens nothing that is written from now on, not even with an old copy of store.keys.
    Remove {
        /// Its number in `slot list`
        #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
        number: u8,
    },
    /// Change the passphrase
    Passphrase {
        /// Descriptor whose first line is the new passphrase, instead of asking twice; the second line if --passphrase-fd is the same
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
    },
}

#[derive(Debug, clap::Subcommand)]
enum New {
    /// A passphrase; asked for twice
    Passphrase {
        /// Descriptor whose first line is the new passphrase, instead of asking; the second line if --passphrase-fd is the same
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
    },
    /// A key in the system's keyring, which the session's login opens (builds with the feature `keyring`)
    Keyring,
    /// The key in a file of 32 bytes; made if the file is not there
    KeyFile {
        /// The file
        file: PathBuf,
    },
}

/// Runs it.
pub fn run(context: &Context, Args { verb }: Args) -> Result {
    OpenProfile::known(context)?;
    let settings = &context.settings;
    let (profile, unlocking) = (Profile::new(&settings.home, &settings.profile)?, &settings.unlocking);
    if let Verb::List = verb {
        let kinds = slots::list(&profile)?;
        let lines: Vec<Line<'_>> = kinds.iter().zip(1..).map(|(kind, number)| line(number, *kind)).collect();
        return context.ui.list(&lines, "");
    }
    // Before anything is asked for: who cannot change it must not type a passphrase for it.
    let kinds = slots::list(&profile)?;
    match &verb {
        Verb::Remove { number } => slots::is_there(&kinds, usize::from(*number))?,
        Verb::Passphrase { .. } if !kinds.contains(&SlotKind::Passphrase) => {
            return Err(ErrorKind::Misuse
                .because("no passphrase opens this store yet")
                .hint(Hint::text("add one with `slot add passphrase`"))
                .into());
        }
        Verb::List | Verb::Add { .. } | Verb::Passphrase { .. } => {}
    }
    let held = Held::take(profile.clone())?;
    match verb {
        Verb::List => {}
        Verb::Add { what } => {
            let mut slots = held.open(&unlock::unlock(&profile, unlocking)?)?;
            let (new, kind, made) = match what {
                New::Keyring => {
                    let number = slots.add_keyring().map_err(|error| match error.kind {
                        // Nothing is to be opened here.
                        ErrorKind::Storage => error.hint(Hint::text(
                            "nothing was changed; add a passphrase or a key file, or use a build with the feature `keyring` in a session that has a keyring",
                        )),
                        _ => error,
                    })?;
                    context.ui.happened(context.ui.show(&line(number, SlotKind::Keyring)));
                    return Ok(());
                }
                New::Passphrase { new_passphrase_fd } => {
                    (unlocking.new_passphrase(new_passphrase_fd)?, SlotKind::Passphrase, None)
                }
                New::KeyFile { file } => {
                    let (key, made) = slots::key_from(&file)?;
                    (key, SlotKind::Key, made.then_some(file))
                }
            };
            let number = slots.add(&new).inspect_err(|_| {
                // It opens nothing.
                if let Some(file) = &made {
                    let _ = key_file::erase(file);
                }
            })?;
            context.ui.happened(context.ui.show(&line(number, kind)));
            if let Some(file) = made {
                context.ui.note(&format!(
                    "made {}: keep it where copies of this profile do not lie",
                    file.display()
                ));
            }
            if let Some(beside) = slots.beside() {
                context.ui.note(&format!(
                    "{} beside the store still opens it, without anybody being asked, until its slot is removed: {}",
                    profile.key().display(),
                    context.ui.command(&format!("slot remove {beside}"))
                ));
            }
        }
        Verb::Remove { number } => {
            let number = usize::from(number);
            let first = unlock::unlock(&profile, unlocking)?;
            let mut slots = held.open(&first)?;
            let mut removed = slots.remove(number, &first)?;
            let named = unlocking.key_file.is_some() || unlocking.passphrase_fd.is_some();
            let kinds = slots.kinds();
            let stays =
                |wanted| kinds.iter().zip(1..).any(|(kind, other)| other != number && *kind == wanted);
            // What the command opens the store with by itself may be what is to go.
            if !removed && !named && stays(SlotKind::Keyring) {
                let key = unlock::keyring::fetch(&profile);
                removed = key.is_ok_and(|key| slots.remove(number, &Unlock::Keyring(key)) == Ok(true));
            }
            if !removed && !named && stays(SlotKind::Passphrase) {
                let asks = unlocking.asks && File::open("/dev/tty").is_ok();
                let stays = unlocking.passphrase(&profile).map_err(|error| match asks {
                    false => ErrorKind::Storage
                        .because(format!("slot {number} goes only if what opens another one is given"))
                        .hint(Hint::text(
                            "nothing was changed; give it with --key-file FILE or --passphrase-fd N, or run the command at a terminal, which asks for the passphrase",
                        ))
                        .caused_by(error),
                    true => error,
                })?;
                removed = slots.remove(number, &stays)?;
            }
            if !removed {
                return Err(ErrorKind::Storage
                    .because("the key or passphrase opens no slot that stays")
                    .hint(Hint::text(
                        "nothing was changed; give what opens another slot, with --key-file FILE or --passphrase-fd N",
                    ))
                    .into());
            }
            let target = format!("slot {number}");
            context.ui.happened(context.ui.show(&Line::Done { action: "removed", target: Some(&target) }));
        }
        Verb::Passphrase { new_passphrase_fd } => {
            let old = unlocking.passphrase(&profile)?;
            let mut slots = held.open(&old)?;
            slots.change(&old, &unlocking.new_passphrase(new_passphrase_fd)?)?;
            let line = Line::Done { action: "changed", target: Some("passphrase") };
            context.ui.happened(context.ui.show(&line));
        }
    }
    Ok(())
}

fn line(number: usize, kind: SlotKind) -> Line<'static> {
    let kind = match kind {
        SlotKind::Key => "key",
        SlotKind::Passphrase => "passphrase",
        SlotKind::Keyring => "keyring",
        SlotKind::Unknown => "unknown",
    };
    Line::Slot { number, kind }
}
