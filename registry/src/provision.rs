//! Creates, verifies and updates the streams of `cipher_broker::stream`.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind, UpdateStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, Republish, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context, ErrorCode};
use cipher_broker::limit;
use cipher_broker::stream::{self, Doorbell, FILE_LIMIT, StreamSpec};
use cipher_connection::Servers;
use cipher_connection::advice::{Advice, Known, advice};
use futures::future::try_join_all;
use serde::Serialize;

use crate::connect::pause;
use crate::let_go;
use crate::replica_log::log::LogName;
use crate::settings::Files;
use crate::stream_failure::{ANSWER, Failure, NOT_READY};

/// Consumers a stream may have. Nobody of ours makes any; a few are left for an operator who looks.
const CONSUMERS: i32 = 16;

/// Room for files that a server has at least, bytes.
const LEAST_FILES: i64 = 1024 * 1024;

/// In the metadata of the stream of files while it has twice the room that it is to have: the server has as much again for
/// what people say.
const HALVING: &str = "cipher_halving";

/// What may be done about the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Create what is missing, leave what differs.
    Create,
    /// Create what is missing, change what differs and may be changed.
    Update,
    /// Only look.
    Verify,
}

/// One field of one stream that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The stream.
    pub stream: String,
    /// The field, named as in the broker's configuration.
    pub field: &'static str,
    /// How it must be.
    pub want: String,
    /// How it is.
    pub have: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, field, want, have } = self;
        write!(f, "{stream}: {field} is {have}, must be {want}")
    }
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Provisioned {
    /// Streams that had to be made.
    pub created: Vec<String>,
    /// Streams that had to be changed.
    pub updated: Vec<String>,
    /// Streams that were as they must be.
    pub unchanged: Vec<String>,
    /// What is not as it must be, after all that was done.
    pub drifts: Vec<Drift>,
    /// What the operator should know besides; one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

enum Done {
    Created(String),
    Updated(String, Vec<Drift>),
    Found(String, Vec<Drift>),
}

/// Makes all streams as they must be, or says what differs. Several instances may do it at once.
///
/// `patience` bounds the wait for a cluster that has no leader yet.
pub async fn provision(
    client: &Client,
    replicas: usize,
    files: Files,
    mode: Mode,
    patience: Duration,
) -> Result<Provisioned, Failure> {
    let mut specs = stream::all(replicas);
    for spec in specs.iter_mut().filter(|spec| spec.once) {
        *spec = stream::files(replicas, files.room.unwrap_or(limit::FILES_BYTES));
    }
    settle_all(client, &specs, files, mode, patience).await
}

/// The same for the log that the replicas of a registry follow.
pub async fn provision_log(
    client: &Client,
    name: &LogName,
    replicas: usize,
    mode: Mode,
    patience: Duration,
) -> Result<Provisioned, Failure> {
    let log = stream::replica_log(&name.stream, &name.prefix, replicas);
    settle_all(client, &[log], Files::default(), mode, patience).await
}

async fn settle_all(
    client: &Client,
    specs: &[StreamSpec],
    files: Files,
    mode: Mode,
    patience: Duration,
) -> Result<Provisioned, Failure> {
    let context = jetstream::context::ContextBuilder::new().timeout(ANSWER).build(client.clone());
    let deadline = Instant::now().checked_add(patience);
    let work = specs.iter().map(|spec| settle(&context, spec, files, mode, deadline));
    let mut result = Provisioned::default();
    for done in try_join_all(work).await? {
        match done {
            Done::Created(name) => result.created.push(name),
            Done::Updated(name, drifts) => {
                result.updated.push(name);
                result.drifts.extend(drifts);
            }
            Done::Found(name, drifts) => {
                if drifts.is_empty() {
                    result.unchanged.push(name);
                }
                result.drifts.extend(drifts);
            }
        }
    }
    Ok(result)
}

/// What an operator should know of the broker that no stream shows. `synced`: the operator confirms that it writes to disk
/// before it acknowledges.
pub(crate) fn warnings(client: &Client, servers: &Servers, synced: bool) -> Vec<String> {
    let info = client.server_info();
    let encrypted = servers.secure() || info.tls_required;
    let known = Known { version: &info.version, encrypted, loopback: servers.loopback(), synced };
    advice(known)
        .into_iter()
        .map(|Advice { about, found, hint }| format!("{about}: {found}; {hint}"))
        .collect()
}

/// One stream; again and again while the broker says that it may work later.
async fn settle(
    context: &Context,
    spec: &StreamSpec,
    files: Files,
    mode: Mode,
    deadline: Option<Instant>,
) -> Result<Done, Failure> {
    for attempt in 1.. {
        match once(context, spec, files, mode).await {
            Ok(done) => return Ok(done),
            Err(StreamProblem::Final(reason, hint)) => return Err(Failure::of(spec, reason, hint)),
            Err(StreamProblem::Passing(reason)) => {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(Failure::of(spec, reason, NOT_READY));
                }
                tracing::debug!(stream = spec.name, reason, "JetStream is not ready");
                tokio::time::sleep(pause(attempt)).await;
            }
        }
    }
    Err(Failure::of(spec, "gave up".into(), NOT_READY))
}

const NO_JETSTREAM: &str =
    "start nats-server with one of the files that ship, and log in to the account that has JetStream";
const FOREIGN: &str = "another stream of this account takes these subjects: give cipher-chat an account of its own, \
                       deploy/account.md says how";
const LIMITS: &str = "raise the limit of the broker's jetstream block or of its account: deploy/README.md";
const REPLICAS: &str = "--replicas must not be more than the broker has servers";
const HIDDEN: &str = "compare the broker's jetstream limits (duplicate_window above all) with the server files that ship: \
                      a stream that they no longer allow is hidden and not lost, and comes back with them; healthz and \
                      the broker's log name it";

enum StreamProblem {
    /// May work a moment later: no leader yet, a timeout, somebody else creates the same.
    Passing(String),
    /// Will not work: what the broker says, and what to do.
    Final(String, &'static str),
}

impl StreamProblem {
    fn of(code: ErrorCode, text: String) -> Self {
        match code {
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Self::Final("JetStream is not enabled on this broker or for this login".into(), NO_JETSTREAM)
            }
            ErrorCode::STREAM_SUBJECT_OVERLAP => Self::Final(text, FOREIGN),
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => Self::Final(text, REPLICAS),
            ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MAXIMUM_STREAMS_LIMIT => Self::Final(text, LIMITS),
            // What is asked for was allowed when the broker's file was the one that ships.
            ErrorCode::STREAM_INVALID_CONFIG => {
                Self::Final(format!("a limit of the broker does not allow it, or hides it ({text})"), HIDDEN)
            }
            _ => Self::Passing(text),
        }
    }
}

async fn once(context: &Context, spec: &StreamSpec, files: Files, mode: Mode) -> Result<Done, StreamProblem> {
    let Some(have) = look(context, spec).await? else {
        if mode == Mode::Verify {
            // A broker whose limits were lowered below what a stream was made with shows it no more.
            let drift = drift(
                spec,
                "stream",
                "there",
                "missing, or hidden by a limit of the broker: its log and healthz tell",
            );
            return Ok(Done::Found(spec.name.clone(), vec![drift]));
        }
        create(context, spec, files).await?;
        return Ok(Done::Created(spec.name.clone()));
    };
    if mode != Mode::Verify && have.config.metadata.contains_key(HALVING) {
        halve(context, spec, files, &have.config).await?;
        return Ok(Done::Created(spec.name.clone()));
    }
    let drifts = compare(spec, files, &have.config);
    if drifts.is_empty() || mode != Mode::Update {
        return Ok(Done::Found(spec.name.clone(), drifts));
    }
    // What is known of the stream besides, as until when its operator let go of what it held, stays.
    let short = let_go::is_short(&have.config, spec);
    let mut wanted = wanted(spec, files);
    if spec.once && files.room.is_none() && have.config.max_bytes > 0 {
        wanted.max_bytes = have.config.max_bytes;
    }
    let about = std::mem::take(&mut wanted.metadata);
    wanted.metadata = have.config.metadata;
    wanted.metadata.extend(about);
    // Whoever kept messages for less time wanted that, or was making room when it was cut off.
    if short {
        let_go::note(&mut wanted.metadata, &have.state);
    }
    let mut updated = context.update_stream(wanted.clone()).await;
    if let Ok(info) = &updated
        && short
        && let_go::note(&mut wanted.metadata, &info.state)
    {
        // Something went between the two.
        updated = context.update_stream(wanted).await;
    }
    match updated {
        Ok(info) => Ok(Done::Updated(spec.name.clone(), compare(spec, files, &info.config))),
        Err(error) => match error.kind() {
            // Some fields can never change (storage, retention): they stay reported.
            UpdateStreamErrorKind::JetStream(cause)
                if cause.error_code() == ErrorCode::STREAM_INVALID_CONFIG =>
            {
                tracing::warn!(stream = spec.name, %cause, "the broker does not change this stream");
                Ok(Done::Found(spec.name.clone(), drifts))
            }
            UpdateStreamErrorKind::JetStream(cause) => {
                Err(StreamProblem::of(cause.error_code(), cause.to_string()))
            }
            _ => Err(StreamProblem::Passing(error.to_string())),
        },
    }
}

async fn look(context: &Context, spec: &StreamSpec) -> Result<Option<Info>, StreamProblem> {
    match context.get_stream(&spec.name).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(cause) => {
                Err(StreamProblem::of(cause.error_code(), cause.to_string()))
            }
            _ => Err(StreamProblem::Passing(error.to_string())),
        },
    }
}

async fn create(context: &Context, spec: &StreamSpec, files: Files) -> Result<(), StreamProblem> {
    let mut wanted = wanted(spec, files);
    // Files take half of what a server has, at most: it is asked to set aside twice their room, and gets half of it back.
    let halved = spec.once && files.room.is_none();
    if halved {
        wanted.max_bytes = wanted.max_bytes.saturating_mul(2);
        wanted.metadata.insert(HALVING.to_owned(), "yes".to_owned());
    }
    loop {
        let Err(error) = context.create_stream(wanted.clone()).await else { break };
        match error.kind() {
            // A server sets aside what a stream may hold. A small one has less than most, and keeps fewer files.
            CreateStreamErrorKind::JetStream(cause)
                if halved
                    && wanted.max_bytes > LEAST_FILES.saturating_mul(2)
                    && is_scarce(cause.error_code()) =>
            {
                wanted.max_bytes = wanted.max_bytes.div_euclid(2);
            }
            // Another instance was faster, with other settings: passing, because the next look compares.
            CreateStreamErrorKind::JetStream(cause) => {
                return Err(StreamProblem::of(cause.error_code(), cause.to_string()));
            }
            _ => return Err(StreamProblem::Passing(error.to_string())),
        }
    }
    if halved { halve(context, spec, files, &wanted).await } else { Ok(()) }
}

/// Gives the server half of the room back that it set aside for files. Whoever dies before that leaves it to the next look.
async fn halve(
    context: &Context,
    spec: &StreamSpec,
    files: Files,
    have: &Config,
) -> Result<(), StreamProblem> {
    let wanted = half(spec, files, have);
    context.update_stream(wanted).await.map(drop).map_err(|error| match error.kind() {
        UpdateStreamErrorKind::JetStream(cause) => StreamProblem::of(cause.error_code(), cause.to_string()),
        _ => StreamProblem::Passing(error.to_string()),
    })
}

fn half(spec: &StreamSpec, files: Files, have: &Config) -> Config {
    let mut half = wanted(spec, files);
    if files.room.is_none() {
        half.max_bytes = have.max_bytes.div_euclid(2);
    }
    half
}

/// Whether a server has not as much as a stream asks for.
fn is_scarce(code: ErrorCode) -> bool {
    [
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ]
    .contains(&code)
}

/// The configuration that is asked for. What is not named is off or unlimited.
fn wanted(spec: &StreamSpec, files: Files) -> Config {
    let mut metadata = HashMap::new();
    if spec.once {
        metadata.insert(FILE_LIMIT.to_owned(), files.largest.to_string());
    }
    Config {
        metadata,
        name: spec.name.clone(),
        description: Some("cipher-chat; made by cipher-registry".into()),
        subjects: spec.subjects.clone(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: if spec.once { DiscardPolicy::New } else { DiscardPolicy::Old },
        discard_new_per_subject: spec.once,
        max_bytes: spec.max_bytes,
        max_messages: spec.max_messages,
        max_messages_per_subject: if spec.once { 1 } else { -1 },
        max_consumers: CONSUMERS,
        max_age: spec.max_age,
        max_message_size: spec.max_message_bytes,
        num_replicas: spec.replicas,
        duplicate_window: spec.duplicate_window,
        allow_direct: spec.allow_direct,
        deny_delete: spec.deny_delete,
        deny_purge: spec.deny_purge,
        allow_rollup: false,
        republish: spec.doorbell.clone().map(|Doorbell { source, destination, headers_only }| Republish {
            source,
            destination,
            headers_only,
        }),
        ..Config::default()
    }
}

/// Field by field. Fields the broker fills in by itself (placement, compression, most metadata) are not compared.
fn compare(spec: &StreamSpec, files: Files, have: &Config) -> Vec<Drift> {
    let mut want = wanted(spec, files);
    let mut drifts = Vec::new();
    // As much as there was room for.
    if spec.once && files.room.is_none() && have.max_bytes > 0 {
        want.max_bytes = have.max_bytes;
    }
    if let Some(largest) = want.metadata.get(FILE_LIMIT)
        && have.metadata.get(FILE_LIMIT) != Some(largest)
    {
        let have = have.metadata.get(FILE_LIMIT).map_or("not there", String::as_str);
        drifts.push(drift(spec, FILE_LIMIT, largest, have));
    }
    macro_rules! same {
        ($($field:ident as $name:literal),* $(,)?) => {$(
            if want.$field != have.$field {
                let (want, have) = (format!("{:?}", want.$field), format!("{:?}", have.$field));
                drifts.push(drift(spec, $name, want, have));
            }
        )*};
    }
    same!(
        subjects as "subjects",
        storage as "storage",
        retention as "retention",
        discard as "discard",
        max_bytes as "max_bytes",
        max_messages as "max_msgs",
        max_messages_per_subject as "max_msgs_per_subject",
        max_consumers as "max_consumers",
        max_age as "max_age",
        max_message_size as "max_msg_size",
        num_replicas as "num_replicas",
        duplicate_window as "duplicate_window",
        allow_direct as "allow_direct",
        deny_delete as "deny_delete",
        deny_purge as "deny_purge",
        republish as "republish",
        // Each of these would let a user erase or inject what belongs to others.
        allow_rollup as "allow_rollup_hdrs",
        allow_message_ttl as "allow_msg_ttl",
        allow_message_schedules as "allow_msg_schedules",
        allow_message_counter as "allow_msg_counter",
        discard_new_per_subject as "discard_new_per_subject",
        no_ack as "no_ack",
        sealed as "sealed",
        mirror as "mirror",
        sources as "sources",
        subject_transform as "subject_transform",
    );
    drifts
}

fn drift(spec: &StreamSpec, field: &'static str, want: impl Into<String>, have: impl Into<String>) -> Drift {
    Drift { stream: spec.name.clone(), field, want: want.into(), have: have.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> StreamSpec {
        stream::all(3).swap_remove(0)
    }

    /// C8, C10
    #[test]
    fn c8_c10_what_does_not_pass_is_final_and_says_what_to_do() {
        for (code, words) in [
            (ErrorCode::STREAM_SUBJECT_OVERLAP, "an account of its own"),
            (ErrorCode::STREAM_INVALID_CONFIG, "hidden and not lost"),
            (ErrorCode::JETSTREAM_NOT_ENABLED, "has JetStream"),
        ] {
            match StreamProblem::of(code, "x".into()) {
                StreamProblem::Final(_, hint) => assert!(hint.contains(words), "{hint}"),
                StreamProblem::Passing(text) => panic!("{text} passes"),
            }
        }
    }

    #[test]
    fn a_stream_as_wanted_does_not_drift() {
        assert_eq!(compare(&spec(), Files::default(), &wanted(&spec(), Files::default())), []);
    }

    #[test]
    fn the_stream_of_files_may_hold_less_than_most_unless_the_operator_said_how_much() {
        let (any, said) = (Files::default(), Files { room: Some(7 << 20), ..Files::default() });
        let spec = stream::files(1, 7 << 20);
        let fields = |files: Files, change: fn(&mut Config)| {
            let mut have = wanted(&spec, files);
            change(&mut have);
            compare(&spec, files, &have).iter().map(|drift| drift.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(any, |c| c.max_bytes = 1), [""; 0]);
        assert_eq!(fields(said, |c| c.max_bytes = 1), ["max_bytes"]);
        assert_eq!(fields(any, |c| c.max_bytes = -1), ["max_bytes"]);
        assert_eq!(fields(any, |c| c.metadata.clear()), [FILE_LIMIT]);
        assert_eq!(fields(any, |c| c.discard_new_per_subject = false), ["discard_new_per_subject"]);
        assert_eq!(fields(any, |c| c.max_messages_per_subject = -1), ["max_msgs_per_subject"]);
    }

    /// Whoever makes it may die in between, and the next one finds it.
    #[test]
    fn files_get_half_of_what_was_set_aside_unless_the_operator_said_how_much() {
        let spec = stream::files(1, 7 << 20);
        for (room, expected) in [(None, 4 << 20), (Some(7 << 20), 7 << 20)] {
            let files = Files { room, ..Files::default() };
            let mut made = wanted(&spec, files);
            made.max_bytes = 8 << 20;
            made.metadata.insert(HALVING.to_owned(), "yes".to_owned());
            let half = half(&spec, files, &made);
            assert_eq!(half.max_bytes, expected);
            assert!(!half.metadata.contains_key(HALVING) && half.metadata.contains_key(FILE_LIMIT));
            assert_eq!(compare(&spec, files, &half), []);
        }
    }

    /// N06: whatever would let users erase or inject is reported by its name.
    #[test]
    fn n06_every_dangerous_field_is_reported() {
        type Change = fn(&mut Config);
        let table: [(&str, Change); 8] = [
            ("allow_rollup_hdrs", |c| c.allow_rollup = true),
            ("allow_msg_ttl", |c| c.allow_message_ttl = true),
            ("allow_msg_schedules", |c| c.allow_message_schedules = true),
            ("deny_delete", |c| c.deny_delete = false),
            ("deny_purge", |c| c.deny_purge = false),
            ("republish", |c| c.republish = None),
            ("num_replicas", |c| c.num_replicas = 1),
            ("max_age", |c| c.max_age = Duration::from_secs(1)),
        ];
        for (field, change) in table {
            let mut have = wanted(&spec(), Files::default());
            change(&mut have);
            let drifts = compare(&spec(), Files::default(), &have);
            assert_eq!(drifts.iter().map(|d| d.field).collect::<Vec<_>>(), [field]);
            assert!(drifts[0].to_string().starts_with("CHAT-0: "));
        }
    }
}
