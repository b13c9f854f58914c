//! The frames: JSON-RPC 2.0, one object per line of UTF-8, without batches.
//!
//! A connection begins with `hello`. Then a client asks, several requests at a time if it likes: replies come as they are
//! ready and name the request's id. After `subscribe` the agent sends notifications `event`, each with a cursor; a client
//! that comes again gives the last cursor it handled and misses nothing. A named subscriber may leave that to the agent:
//! `event.acknowledge` keeps its cursor in the store.

use std::fmt;

use cipher_broker::id::GroupId;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::cursor::Cursor;
use crate::error::{Cause, Error, ErrorKind};
use crate::event::Event;
use crate::hint::Hint;
use crate::name::Target;
use crate::reply::Done;
use crate::request::Request;
use crate::schema::MethodSchema;
use crate::view::TokenView;

/// The version of this protocol. A change that an older peer would misread makes it greater; additions do not.
pub const VERSION: u32 = 1;

/// The text of `"jsonrpc"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum JsonRpc {
    /// JSON-RPC 2.0.
    #[default]
    #[serde(rename = "2.0")]
    Two,
}

/// What names a request until its answer. Chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
    /// In an answer to what could not be read, or to who chose it.
    Null,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Always 2.0.
    pub jsonrpc: JsonRpc,
    /// Absent when no answer is wanted; `null` is an id, although JSON-RPC advises against it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Which request.
    pub method: String,
    /// Its parameters by name; absent when there are none.
    #[serde(default = "no_params", skip_serializing_if = "Value::is_null")]
    pub params: Value,
}

impl Call {
    /// A request that wants an answer.
    pub fn new<R: Request>(id: Id, request: &R) -> Result<Self, serde_json::Error> {
        let params = serde_json::to_value(request)?;
        Ok(Self { jsonrpc: JsonRpc::Two, id: Some(id), method: R::METHOD.into(), params })
    }
}

fn present<'de, D: Deserializer<'de>>(id: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(id).map(Some)
}

fn no_params() -> Value {
    Value::Object(serde_json::Map::new())
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Frame {
    /// News.
    Notification(Notification),
    /// A request was done.
    Result {
        /// Always 2.0.
        jsonrpc: JsonRpc,
        /// Of the request.
        id: Id,
        /// As the method says.
        result: Value,
    },
    /// A request failed.
    Error {
        /// Always 2.0.
        jsonrpc: JsonRpc,
        /// Of the request.
        id: Id,
        /// Why.
        error: Fault,
    },
}

impl Frame {
    /// The answer to a request.
    pub fn answer(id: Id, result: Result<Value, Fault>) -> Self {
        match result {
            Ok(result) => Self::Result { jsonrpc: JsonRpc::Two, id, result },
            Err(error) => Self::Error { jsonrpc: JsonRpc::Two, id, error },
        }
    }
}

/// News for a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Always 2.0.
    pub jsonrpc: JsonRpc,
    /// What the parameters are.
    #[serde(flatten)]
    pub news: News,
}

/// Kinds of news.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "params", rename_all = "kebab-case")]
pub enum News {
    /// Something took place.
    Event(Told),
    /// Everything up to the cursor that was asked for has been told: what comes now is new.
    UpToDate {
        /// Of which subscription.
        subscription: u64,
        /// Where it stands.
        cursor: Cursor,
    },
}

/// An event of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Which subscription.
    pub subscription: u64,
    /// Behind this event, for `after` and `event.acknowledge`. Events that are only told to those that listen (presence,
    /// progress, the connection) share it with the one before.
    pub cursor: Cursor,
    /// What took place.
    pub event: Event,
}

/// Why a request failed, as JSON-RPC has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Below zero: of JSON-RPC. Else [`ErrorKind::code`].
    pub code: i32,
    /// One sentence.
    pub message: String,
    /// What programs go by.
    #[serde(default)]
    pub data: Option<FaultData>,
}

/// What programs go by when a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultData {
    /// Decides what to do.
    pub kind: ErrorKind,
    /// What a person can do about it.
    #[serde(default)]
    pub hint: Option<Hint>,
    /// Whether the same request may succeed later without a change.
    #[serde(default)]
    pub retryable: bool,
}

impl Fault {
    /// The line is no JSON.
    pub const PARSE: i32 = -32700;
    /// JSON, but no request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// There is no such method.
    pub const NO_METHOD: i32 = -32601;
    /// The parameters are not those of the method.
    pub const INVALID_PARAMS: i32 = -32602;

    /// A fault of the frame itself: the request was not looked at.
    pub fn of_frame(code: i32, message: impl Into<String>) -> Self {
        let error = ErrorKind::Usage.because(message);
        Self { code, ..Self::from(error) }
    }
}

impl From<Error> for Fault {
    fn from(Error { kind, message, hint, retryable, cause: _ }: Error) -> Self {
        Self { code: kind.code().into(), message, data: Some(FaultData { kind, hint, retryable }) }
    }
}

impl From<Fault> for Error {
    fn from(Fault { code: _, message, data }: Fault) -> Self {
        match data {
            Some(FaultData { kind, hint, retryable }) => {
                Self { kind, message, hint, retryable, cause: Cause::default() }
            }
            None => ErrorKind::Unknown.because(message),
        }
    }
}

/// The first request of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The [`VERSION`] that the client speaks.
    pub version: u32,
    /// Name and version of the program, for the log.
    #[serde(default)]
    pub client: String,
    /// What the owner of the profile gave to this program: from now on the connection may do what the token says, and
    /// nothing else. In the first `hello` of a connection only.
    #[serde(default)]
    pub token: Option<Token>,
}

/// A token as its holder gives it. It is a secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The agent's side of [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The [`VERSION`] that is spoken from now on.
    pub version: u32,
    /// Name and version of the program that has the profile open.
    pub agent: String,
    /// What it can do beyond the version.
    pub capabilities: Vec<Capability>,
    /// Names of the methods that it knows; with a token, of those that this connection may use.
    pub methods: Vec<String>,
    /// What this connection may do; `null` when it came without a token, and may do everything.
    #[serde(default)]
    pub token: Option<TokenView>,
}

/// Something that not every agent of a version can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Cursors outlive the process that gave them.
    Resume,
    /// Named subscribers, and `event.acknowledge`.
    Acknowledge,
    /// The agent follows all conversations while it runs.
    Follows,
    /// Tokens: one that is given in `hello` bounds the connection.
    Tokens,
    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// Asks for events from now on, or from a cursor on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Events of what.
    #[serde(default)]
    pub scope: Scope,
    /// The cursor of the last event that was handled; `null`: where the named subscriber stands, else from now on.
    pub after: Option<Cursor>,
    /// A name under which the agent keeps how far this subscriber came.
    pub subscriber: Option<String>,
}

/// What a subscription is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scope {
    /// The whole profile.
    #[default]
    All,
    /// These conversations, and what is about none.
    Conversations {
        /// Which.
        targets: Vec<Target>,
    },
}

/// A subscription is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscribed {
    /// Names it, in notifications and for `unsubscribe`.
    pub subscription: u64,
    /// Where it begins: events behind this one are told.
    pub cursor: Cursor,
    /// The conversations it is about, when they are not all.
    #[serde(default)]
    pub groups: Option<Vec<GroupId>>,
}

/// Ends a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// Which.
    pub subscription: u64,
}

/// Whether the broker is connected, after a wait if need be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// How long to wait for it at most, milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

/// How the connection to the broker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connected {
    /// Whether it is there.
    pub connected: bool,
    /// The servers that the process which has the profile open uses, without logins.
    #[serde(default)]
    pub server: Option<String>,
    /// Why they cannot be reached.
    #[serde(default)]
    pub trouble: Option<Error>,
}

macro_rules! protocol {
    ($($method:literal: $request:ty => $reply:ty;)*) => {
        $(
            impl Request for $request {
                const METHOD: &'static str = $method;
                type Reply = $reply;
            }
        )*

        /// Names of the methods of the protocol itself.
        pub const METHODS: &[&str] = &[$($method,)*];

        pub(crate) fn schema(method: &str) -> Option<MethodSchema> {
            match method {
                $($method => Some(MethodSchema::of::<$request>()),)*
                _ => None,
            }
        }
    };
}

protocol! {
    "hello": Hello => Welcome;
    "subscribe": Subscribe => Subscribed;
    "unsubscribe": Unsubscribe => Done;
    "connection": Connection => Connected;
}
