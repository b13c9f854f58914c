//! `audit`: the whole account log, replayed as a third party would.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use cipher_api::command::evidence;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::codec;
use cipher_broker::limit;
use cipher_broker::transparency::{SignedHead, TreeHead};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

use crate::app::error::ProfileError;
use crate::app::profile::OpenProfile;
use crate::audit::{Audit, Finding, agree};
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result, defect};
use crate::cli::show::line::{AuditLine, Line};
use crate::evidence as files;
use crate::net::audit::LogConnection;
use crate::profile::Profile;
use crate::runtime::timer::now;
use crate::session::Need;

/// Longest line of a saved log: an entry as large as a request may be, in base64.
const LINE_BYTES: u64 = 2 * limit::REGISTRY_BYTES as u64;
/// How often somebody who looks is told how far it is, in entries.
const STEP: u64 = 500;

/// Replay the whole account log and compare it with what the registry signs
///
/// Verifies every statement of every account, rebuilds the tree, and compares its root with the head that the
/// registry shows now and with the one that this profile accepted before. Trusts no party and needs no account. What
/// does not fit ends with exit code 6 and a file that can be shown to others.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat audit\n  cipher-chat audit --registry-key 9f2c… --server nats://broker:4222\n  cipher-chat audit --write log.ndjson\n  cipher-chat audit --from-file log.ndjson --registry-key 9f2c…"
)]
pub struct Args {
    /// Key of the registry, hexadecimal [default: the one that this profile pinned]
    #[arg(long, value_name = "HEX", value_parser = registry_key)]
    registry_key: Option<Key>,
    /// Save the log and the head for another auditor
    #[arg(long, value_name = "FILE", conflicts_with = "from_file")]
    write: Option<PathBuf>,
    /// Replay a saved log instead of the published one; needs no network, and keeps no evidence
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// A public key.
#[derive(Debug, Clone, Copy)]
struct Key([u8; 32]);

/// One line of a saved log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Saved {
    /// The head that the log leads to.
    Head {
        /// base64 of the signed head.
        head: String,
    },
    /// One entry as published.
    Entry {
        /// base64.
        entry: String,
    },
}

/// What the profile knows, if there is one.
#[derive(Debug, Default)]
struct Known {
    registry_key: Option<[u8; 32]>,
    accepted: Option<SignedHead>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let known = known(context).await?;
    let key = args.registry_key.map(|key| key.0).or(known.registry_key).ok_or_else(|| Failure::Usage {
        message: "there is no profile that knows the registry's key".into(),
        hint: Some(Hint::text("name it: --registry-key HEX; the registry's operator knows it")),
    })?;
    // A head of another registry has nothing to be compared with.
    let accepted = known.accepted.filter(|signed| TreeHead::open(signed, &key).is_ok());
    let begun = Instant::now();
    let audited = match &args.from_file {
        Some(file) => from_file(context, file, &key, accepted.as_ref()),
        None => published(context, &key, accepted.as_ref(), args.write.as_deref()).await,
    };
    context.ui.progress_end();
    let (audit, head) = match audited {
        Ok(audited) => audited,
        Err(NoAudit::Found(finding)) if args.from_file.is_some() => {
            return Err(found_in_file(context, *finding));
        }
        Err(NoAudit::Found(finding)) => return Err(found(context, *finding)),
        Err(NoAudit::Failed(failure)) => return Err(failure),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let (devices, revoked) = audit.devices();
    context.ui.show(&Line::Audit(AuditLine {
        entries: audit.size(),
        accounts: audit.accounts(),
        devices,
        revoked,
        size: head.size,
        root: HEXLOWER.encode(&head.root),
        at: head.at.to_string(),
        registry_key: HEXLOWER.encode(&key),
        compared: audit.compared(),
        seconds: (seconds * 1000.0).round() / 1000.0,
        rate: rate(audit.size(), seconds),
    }))
}

/// Why there is no audit.
enum NoAudit {
    Found(Box<Finding>),
    Failed(Failure),
}

impl From<Finding> for NoAudit {
    fn from(finding: Finding) -> Self {
        Self::Found(Box::new(finding))
    }
}

impl From<Error> for NoAudit {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for NoAudit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// From the broker. The next page is fetched while one is verified.
async fn published(
    context: &Context,
    key: &[u8; 32],
    accepted: Option<&SignedHead>,
    write: Option<&Path>,
) -> std::result::Result<(Audit, TreeHead), NoAudit> {
    let reading = LogConnection::start(&context.settings.network()).await?;
    let signed = reading.head(key).await?;
    let mut audit = Audit::default();
    let head = expect_all(&mut audit, key, ("the registry's head", &signed), accepted)?;
    let mut save = write.map(|path| Save::begin(path, &signed)).transpose()?;
    let mut page = reading.entries(0, head.size).await?;
    while !page.is_empty() {
        let next = audit.size().saturating_add(page.len() as u64);
        if let Some(save) = &mut save {
            page.iter().try_for_each(|entry| save.entry(entry))?;
        }
        let verified = tokio::task::spawn_blocking(move || {
            let taken = page.iter().try_for_each(|entry| audit.take(entry));
            taken.map(|()| audit)
        });
        let (verified, fetched) = tokio::join!(verified, reading.entries(next, head.size));
        audit = verified.map_err(|_| defect("the audit ended by itself"))??;
        context.ui.progress("account log", audit.size(), head.size.max(audit.size()))?;
        page = fetched?;
    }
    reading.end().await;
    audit.finish()?;
    if let Some(save) = save {
        save.end()?;
    }
    Ok((audit, head))
}

/// From a saved log: nobody is asked.
fn from_file(
    context: &Context,
    path: &Path,
    key: &[u8; 32],
    accepted: Option<&SignedHead>,
) -> std::result::Result<(Audit, TreeHead), NoAudit> {
    let cannot = |why: &str| ErrorKind::Misuse.because(format!("{} cannot be read: {why}", path.display()));
    let unread = |error: io::Error| Failure::from(cannot(&error.to_string()).caused_by(error));
    let cannot = |why: &str| Failure::from(cannot(why));
    let file = File::open(path).map_err(unread)?;
    let mut reader = BufReader::new(file);
    let mut next = || -> std::result::Result<Option<Saved>, Failure> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut reader, LINE_BYTES).read_until(b'\n', &mut line);
        match read.map_err(unread)? {
            0 => Ok(None),
            _ => serde_json::from_slice(&line).map(Some).map_err(|_| cannot("it is no saved account log")),
        }
    };
    let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| cannot("it is no saved account log"));
    let Some(Saved::Head { head }) = next()? else {
        return Err(cannot("it does not begin with a head").into());
    };
    let signed: SignedHead = codec::decode(&bytes(&head)?).map_err(|_| cannot("its head is none"))?;
    let mut audit = Audit::default();
    let head = expect_all(&mut audit, key, ("the saved head", &signed), accepted)?;
    while let Some(saved) = next()? {
        let Saved::Entry { entry } = saved else { return Err(cannot("it has two heads").into()) };
        audit.take(&bytes(&entry)?)?;
        if audit.size() % STEP == 0 {
            context.ui.progress("account log", audit.size(), head.size.max(audit.size()))?;
        }
    }
    audit.finish()?;
    Ok((audit, head))
}

/// What the log must lead to.
fn expect_all(
    audit: &mut Audit,
    key: &[u8; 32],
    (name, signed): (&str, &SignedHead),
    accepted: Option<&SignedHead>,
) -> std::result::Result<TreeHead, Finding> {
    let head = audit.expect(name, signed, key)?;
    if let Some(accepted) = accepted {
        let before = audit.expect("the head that this profile accepted", accepted, key)?;
        agree((&before, accepted), (&head, signed))?;
    }
    Ok(head)
}

/// A saved log may have been changed by whoever had it in hands: what is wrong with it is told, and is no evidence
/// against the registry.
fn found_in_file(context: &Context, finding: Finding) -> Failure {
    let error = ErrorKind::Trust
        .because(finding.what.clone())
        .hint(Hint::text("nothing was kept: the file may have been changed since it was saved; check the published log with: cipher-chat audit"));
    context.ui.alarm(&finding.into_evidence(now()), None);
    error.into()
}

/// What was found becomes a file and exit code 6.
fn found(context: &Context, finding: Finding) -> Failure {
    let error = ErrorKind::Trust
        .because(finding.what.clone())
        .hint(Hint::text("show the evidence to your operator and to other users; do not trust new accounts until it is explained"));
    let evidence = finding.into_evidence(now());
    let folder = Profile::new(&context.settings.home, &context.settings.profile)
        .ok()
        .filter(|profile| profile.dir().is_dir())
        .map_or_else(|| context.settings.home.join("evidence"), |profile| profile.evidence());
    match files::keep_in(&folder, &evidence) {
        Ok(file) => context.ui.alarm(&evidence, Some(&file)),
        Err(_) => context.ui.alarm(&evidence, None),
    }
    error.into()
}

/// What the profile knows of the registry. Having none is fine.
async fn known(context: &Context) -> Result<Known> {
    match OpenProfile::known(context) {
        Ok(()) => {}
        // A name that is none is still a mistake, and so is one that was chosen.
        Err(error @ ProfileError::Name(_)) => return Err(error.into()),
        Err(error) if context.settings.profile_chosen => return Err(error.into()),
        Err(_) => return Ok(Known::default()),
    }
    let profile = OpenProfile::open(context, Need::Local).await?;
    let head = profile.ask(evidence::Head {}).await?;
    profile.close().await;
    Ok(Known { registry_key: head.registry_key.as_slice().try_into().ok(), accepted: head.head })
}

/// A log that is being saved.
struct Save {
    to: BufWriter<File>,
    path: PathBuf,
}

impl Save {
    fn begin(path: &Path, head: &SignedHead) -> Result<Self> {
        let file = File::create(path).map_err(|error| unwritable(path, error))?;
        let mut save = Self { to: BufWriter::new(file), path: path.into() };
        save.line(&Saved::Head { head: BASE64.encode(&codec::encode(head)) })?;
        Ok(save)
    }

    fn entry(&mut self, entry: &Bytes) -> Result {
        self.line(&Saved::Entry { entry: BASE64.encode(entry) })
    }

    fn line(&mut self, line: &Saved) -> Result {
        serde_json::to_writer(&mut self.to, line)
            .map_err(io::Error::from)
            .and_then(|()| self.to.write_all(b"\n"))
            .map_err(|error| unwritable(&self.path, error))
    }

    fn end(mut self) -> Result {
        self.to.flush().map_err(|error| unwritable(&self.path, error))
    }
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    ErrorKind::Misuse.because_of(format_args!("{} cannot be written", path.display()), error).into()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rounded figure for people"
)]
fn rate(entries: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (entries as f64 / seconds).round() as u64 } else { 0 }
}

fn registry_key(text: &str) -> std::result::Result<Key, &'static str> {
    let bytes =
        HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| "a key is 64 hexadecimal digits")?;
    bytes.as_slice().try_into().map(Key).map_err(|_| "a key is 64 hexadecimal digits")
}
