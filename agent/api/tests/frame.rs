//! Frames and the methods of the protocol.

use cipher_api::command::message;
use cipher_api::reply::Done;
use cipher_api::rpc::{
    self, Call, Capability, Connected, Connection, Fault, Frame, Hello, Id, JsonRpc, News, Notification,
    Scope, Subscribe, Subscribed, Token, Told, Unsubscribe, Welcome,
};
use cipher_api::{Cursor, Error, ErrorKind, Event, Request, Target};
use serde_json::{Value, json};

use crate::{golden, sample};

#[test]
fn every_frame_has_its_golden_json() {
    let send = message::Send::new(Target::Name("ops".into()), "hello");
    let call = Call::new(Id::Number(1), &send).unwrap();
    let mention = Call { id: None, ..call.clone() };
    let answer = |result| Frame::answer(Id::Text("a-2".into()), result);
    let notification = |news| Frame::Notification(Notification { jsonrpc: JsonRpc::Two, news });
    let told = Told { subscription: 1, cursor: Cursor(7), event: Event::Message(Box::new(sample::said())) };
    let refused = ErrorKind::Refused.because("you have left 'ops'").hint(cipher_api::Advice::AskInviteAgain);
    let frames = [
        answer(Ok(json!({}))),
        answer(Err(refused.into())),
        Frame::answer(Id::Null, Err(Fault::of_frame(Fault::PARSE, "this is no JSON"))),
        notification(News::Event(told)),
        notification(News::UpToDate { subscription: 1, cursor: Cursor(7) }),
    ];
    let json = json!({
        "calls": [golden::json(&call), golden::json(&mention)],
        "frames": frames.iter().map(golden::json).collect::<Vec<_>>(),
    });
    golden::compare("frame", &json);
}

#[test]
fn every_method_of_the_protocol_has_its_golden_json() {
    let capabilities = [
        Capability::Resume,
        Capability::Acknowledge,
        Capability::Follows,
        Capability::Tokens,
        Capability::Unknown,
    ];
    golden::all(&capabilities);
    let scopes = [Scope::All, Scope::Conversations { targets: vec![Target::Name("ops".into())] }];
    golden::all(&scopes);
    let subscribe = |scope| Subscribe { scope, after: Some(Cursor(7)), subscriber: Some("screen".into()) };
    let hello = |token| Hello { version: rpc::VERSION, client: "screen 1.0".into(), token };
    let welcome = |token| Welcome {
        version: rpc::VERSION,
        agent: "cipher-chat 0.1.0".into(),
        capabilities: capabilities.to_vec(),
        methods: vec!["status".into()],
        token,
    };
    let mut methods = serde_json::Map::new();
    let mut add = |method: &str, params: Vec<Value>, results: Vec<Value>| {
        assert!(methods.insert(method.into(), json!({ "params": params, "results": results })).is_none());
    };
    add(
        Hello::METHOD,
        [None, Some(Token("cct_aeaq".into()))].map(|token| golden::json(&hello(token))).to_vec(),
        [None, Some(sample::token_view())].map(|token| golden::json(&welcome(token))).to_vec(),
    );
    add(
        Subscribe::METHOD,
        scopes.map(|scope| golden::json(&subscribe(scope))).to_vec(),
        vec![golden::json(&Subscribed {
            subscription: 1,
            cursor: Cursor(7),
            groups: Some(vec![sample::group(1)]),
        })],
    );
    add(
        Unsubscribe::METHOD,
        vec![golden::json(&Unsubscribe { subscription: 1 })],
        vec![golden::json(&Done {})],
    );
    let connected = Connected {
        connected: false,
        server: Some("nats://127.0.0.1:4222".into()),
        trouble: Some(sample::error()),
    };
    add(
        Connection::METHOD,
        vec![golden::json(&Connection { wait_ms: 3000 })],
        vec![golden::json(&connected)],
    );
    assert_eq!(methods.len(), rpc::METHODS.len());
    assert!(rpc::METHODS.iter().all(|method| methods.contains_key(*method)));
    golden::compare("protocol", &Value::Object(methods));
}

#[test]
fn an_error_comes_back_as_it_was() {
    for kind in ErrorKind::ALL {
        let error = kind.because("what happened").hint(cipher_api::Hint::Sync);
        let fault = Fault::from(error.clone());
        assert_eq!(fault.code, i32::from(kind.code()));
        assert_eq!(Error::from(fault), error);
    }
    // One that is of another program knows no kinds.
    let foreign: Fault = serde_json::from_value(json!({ "code": -32603, "message": "internal" })).unwrap();
    assert_eq!(Error::from(foreign).kind, ErrorKind::Unknown);
}

#[test]
fn subscribing_takes_nothing_but_defaults() {
    let subscribe: Subscribe = serde_json::from_value(json!({})).unwrap();
    assert_eq!(subscribe, Subscribe::default());
}

#[test]
fn a_token_is_not_in_what_is_logged_of_its_frame() {
    let hello =
        Hello { version: rpc::VERSION, client: String::new(), token: Some(Token("cct_secret".into())) };
    assert!(!format!("{hello:?}").contains("secret"));
}
