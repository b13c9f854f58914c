//! What a visitor hears, over lines in memory and a profile that only keeps events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cipher_api::command::{EventCommand, GroupCommand};
use cipher_api::reply::Done;
use cipher_api::rpc::Fault;
use cipher_api::view::{EventsView, GroupView, KeptEvent, MessageState};
use cipher_api::{Command, Cursor, Error, ErrorKind, Event, Notice, Reply, Target};
use cipher_broker::id::{GroupId, MessageId};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::{Door, Served, serve};
use crate::runtime::listener::{Events, Listeners};
use crate::runtime::timer;
use crate::token::book::{self, Book};

/// A profile: its events, how far its subscribers came, and who listens.
#[derive(Clone, Default)]
struct Fake {
    kept: Arc<Mutex<Vec<Event>>>,
    subscribers: Arc<Mutex<BTreeMap<String, usize>>>,
    listeners: Arc<Listeners>,
    book: Option<Book>,
    /// The requests that reached it.
    asked: Arc<Mutex<Vec<Command>>>,
}

impl Fake {
    /// Something takes place that can be told apart.
    fn happens(&self, n: u64) {
        self.tells(numbered(n));
    }

    /// Something takes place in a conversation.
    fn happens_in(&self, group: u8) {
        let (group, id) = (GroupId::from_bytes([group; 16]), MessageId::from_bytes([group; 16]));
        self.tells(Event::State { group, id, state: MessageState::Sent });
    }

    fn tells(&self, event: Event) {
        let mut kept = self.kept.lock().unwrap();
        kept.push(event.clone());
        self.listeners.tell_at(Some(Cursor(kept.len() as u64)), &event);
    }
}

fn group(n: u8) -> GroupView {
    let golden = include_str!("../../api/tests/golden/group.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let view: GroupView = serde_json::from_value(golden["group.create"]["results"][0].clone()).unwrap();
    GroupView { id: GroupId::from_bytes([n; 16]), name: format!("g{n}"), ..view }
}

fn numbered(hours: u64) -> Event {
    Event::Warning { notice: Notice::StaleLog { hours } }
}

impl Served for Fake {
    async fn request(&self, command: Command) -> Result<Reply, Error> {
        self.asked.lock().unwrap().push(command.clone());
        match command {
            Command::Group(GroupCommand::List(_)) => Ok(vec![group(1), group(2)].into()),
            Command::Group(GroupCommand::Show(show)) => [group(1), group(2)]
                .into_iter()
                .find(|group| {
                    show.target == Target::Group(group.id) || show.target == Target::Name(group.name.clone())
                })
                .map(Reply::from)
                .ok_or_else(|| ErrorKind::NotFound.because("no such group")),
            Command::Event(EventCommand::List(list)) => {
                let kept = self.kept.lock().unwrap();
                let subscribers = self.subscribers.lock().unwrap();
                let stands = list.subscriber.and_then(|name| subscribers.get(&name).copied());
                let after = list.after.map(|cursor| usize::try_from(cursor.0).unwrap());
                let after = after.or(stands).unwrap_or(kept.len());
                let events: Vec<KeptEvent> = (1..)
                    .zip(kept.iter())
                    .skip(after)
                    .take(list.limit)
                    .map(|(number, event)| KeptEvent { cursor: Cursor(number), event: event.clone() })
                    .collect();
                let next = after + events.len();
                let more = next < kept.len();
                let known = stands.is_some();
                Ok(EventsView { events, next: Cursor(next as u64), more, missed: 0, known }.into())
            }
            Command::Event(EventCommand::Acknowledge(acknowledge)) => {
                let cursor = usize::try_from(acknowledge.cursor.0).unwrap();
                self.subscribers.lock().unwrap().insert(acknowledge.subscriber, cursor);
                Ok(Done {}.into())
            }
            _ => Err(ErrorKind::Refused.because("this profile only keeps events")),
        }
    }

    async fn connected(&self, _wait: Duration) -> bool {
        false
    }

    fn server(&self) -> Option<String> {
        None
    }

    fn trouble(&self) -> Option<Error> {
        None
    }

    fn follows(&self) -> bool {
        true
    }

    fn events(&self) -> Events {
        self.listeners.listen()
    }

    fn tokens(&self) -> Result<Book, Error> {
        self.book.clone().ok_or_else(|| ErrorKind::NotFound.because("no tokens"))
    }
}

/// A visitor's side.
struct Visitor {
    from: BufReader<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
    served: JoinHandle<Result<(), Error>>,
    last: u64,
    /// Notifications that came while an answer was waited for.
    news: Vec<Value>,
}

impl Visitor {
    fn of(fake: &Fake) -> Self {
        Self::at(fake, Door::Own)
    }

    fn at(fake: &Fake, door: Door) -> Self {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (from, to) = tokio::io::split(theirs);
        let fake = fake.clone();
        let served = tokio::spawn(async move { serve(from, to, fake, door, None, None).await });
        let (from, to) = tokio::io::split(ours);
        Self { from: BufReader::new(from), to, served, last: 0, news: Vec::new() }
    }

    async fn greeted(fake: &Fake) -> Self {
        let mut visitor = Self::of(fake);
        let hello = visitor.asks("hello", json!({ "version": 1, "client": "test 1" })).await.unwrap();
        assert_eq!(hello["version"], 1);
        assert_eq!(hello["capabilities"], json!(["resume", "acknowledge", "tokens", "follows"]));
        visitor
    }

    async fn says(&mut self, line: &str) {
        self.to.write_all(line.as_bytes()).await.unwrap();
        self.to.write_all(b"\n").await.unwrap();
    }

    async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.from.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    async fn asks(&mut self, method: &str, params: Value) -> Result<Value, Fault> {
        self.last += 1;
        let id = self.last;
        self.says(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())
            .await;
        loop {
            let mut answer = self.line().await.expect("an answer");
            if answer.get("method").is_some() {
                self.news.push(answer);
                continue;
            }
            assert_eq!(answer["id"], id);
            return match answer.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => Err(serde_json::from_value(answer["error"].take()).unwrap()),
            };
        }
    }

    async fn news(&mut self) -> Value {
        if self.news.is_empty() { self.line().await.expect("news") } else { self.news.remove(0) }
    }

    /// The number and the cursor of the next event; words that everything is told are passed over.
    async fn hears(&mut self) -> (u64, u64) {
        loop {
            let news = self.news().await;
            if news["method"] == "event" {
                let params = &news["params"];
                let cursor = params["cursor"].as_str().unwrap().parse().unwrap();
                return (params["event"]["notice"]["hours"].as_u64().unwrap(), cursor);
            }
            assert_eq!(news["method"], "up-to-date");
        }
    }

    /// Its process is killed.
    async fn dies(self) {
        drop((self.from, self.to));
        self.served.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_visitor_of_another_version_is_told_in_one_sentence_which_program_to_update() {
    let fake = Fake::default();
    for (version, older) in [(0, "test 1"), (2, "cipher-chat ")] {
        let mut visitor = Visitor::of(&fake);
        let fault =
            visitor.asks("hello", json!({ "version": version, "client": "test 1" })).await.unwrap_err();
        assert!(fault.message.contains(&format!("update {older}")), "{}", fault.message);
        assert!(!fault.message.contains(['\n', ';']), "{}", fault.message);
        let fault = visitor.asks("status", json!({})).await.unwrap_err();
        assert_eq!(fault.code, Fault::INVALID_REQUEST, "it is not served");
        // One that can speak our version too says so, and what it does not know yet is passed over.
        let ours = json!({ "version": 1, "client": "test 1", "colour": "green" });
        assert_eq!(visitor.asks("hello", ours).await.unwrap()["version"], 1);
    }
}

#[tokio::test]
async fn lines_that_are_no_requests_are_answered_with_the_code_of_json_rpc() {
    let fake = Fake::default();
    let mut visitor = Visitor::greeted(&fake).await;
    for (line, code, id) in [
        ("{", Fault::PARSE, json!(null)),
        ("[]", Fault::INVALID_REQUEST, json!(null)),
        (r#"{"id":7}"#, Fault::INVALID_REQUEST, json!(7)),
        (r#"{"jsonrpc":"1.0","id":7,"method":"status"}"#, Fault::INVALID_REQUEST, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"status","params":[]}"#, Fault::INVALID_PARAMS, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"make.tea"}"#, Fault::NO_METHOD, json!(7)),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"status","params":{"so":1}}"#,
            Fault::INVALID_PARAMS,
            json!("a"),
        ),
        (r#"{"jsonrpc":"2.0","id":{},"method":"status"}"#, Fault::INVALID_REQUEST, json!(null)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"status"}"#, Fault::INVALID_REQUEST, json!(null)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"status","parms":{}}"#, Fault::INVALID_REQUEST, json!(7)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"make.tea"}"#, Fault::NO_METHOD, json!(null)),
        // What begins something without an answer would leave its client in the dark.
        (r#"{"jsonrpc":"2.0","method":"hello","params":{"version":1}}"#, Fault::INVALID_REQUEST, json!(null)),
        (r#"{"jsonrpc":"2.0","method":"subscribe"}"#, Fault::INVALID_REQUEST, json!(null)),
        (r#"{"jsonrpc":"2.0","id":8,"method":"status"}"#, i32::from(ErrorKind::Refused.code()), json!(8)),
    ] {
        visitor.says(line).await;
        let answer = visitor.line().await.unwrap();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{line}: {answer}");
    }
    // What wants no answer gets none.
    visitor.says(r#"{"jsonrpc":"2.0","method":"status"}"#).await;
    assert!(visitor.asks("event.list", json!({})).await.is_ok());
}

/// As `printf … | cipher-chat rpc` does.
#[tokio::test]
async fn who_ends_its_input_still_gets_the_answers_and_then_the_end() {
    let fake = Fake::default();
    fake.happens(1);
    let mut visitor = Visitor::greeted(&fake).await;
    visitor.asks("subscribe", json!({ "after": "1" })).await.unwrap();
    for id in 100..150 {
        visitor.says(&json!({ "jsonrpc": "2.0", "id": id, "method": "event.list" }).to_string()).await;
    }
    // The last line has no end.
    visitor.to.write_all(br#"{"jsonrpc":"2.0","id":150,"method":"event.list"}"#).await.unwrap();
    visitor.to.shutdown().await.unwrap();
    let mut answered = 0;
    while let Some(line) = visitor.line().await {
        answered += u64::from(line["id"].as_u64().is_some_and(|id| id >= 100));
    }
    assert_eq!(answered, 51);
    visitor.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_comes_again_with_its_cursor_hears_everything_once_whoever_was_killed() {
    let fake = Fake::default();
    fake.happens(1);
    let mut first = Visitor::greeted(&fake).await;
    let begun = first.asks("subscribe", json!({})).await.unwrap();
    assert_eq!(begun["cursor"], "1", "what happened before is not told without a cursor");
    fake.happens(2);
    fake.happens(3);
    assert_eq!(first.hears().await, (2, 2));
    let (_, cursor) = first.hears().await;
    fake.happens(4);
    first.dies().await;
    fake.happens(5);

    let mut again = Visitor::greeted(&fake).await;
    // A second visitor does not disturb it.
    let mut other = Visitor::greeted(&fake).await;
    other.asks("subscribe", json!({ "after": "0" })).await.unwrap();
    again.asks("subscribe", json!({ "after": cursor.to_string() })).await.unwrap();
    fake.happens(6);
    for n in 4..=6 {
        assert_eq!(again.hears().await, (n, n));
    }
    for n in 1..=6 {
        assert_eq!(other.hears().await, (n, n));
    }

    // The process that has the profile open is another one now: what it keeps is the same.
    let heir = Fake { kept: Arc::clone(&fake.kept), ..Fake::default() };
    heir.happens(7);
    let mut again = Visitor::greeted(&heir).await;
    again.asks("subscribe", json!({ "after": "6" })).await.unwrap();
    assert_eq!(again.hears().await, (7, 7));
}

#[tokio::test]
async fn a_named_subscriber_goes_on_behind_what_it_acknowledged() {
    let fake = Fake::default();
    fake.happens(1);
    let subscribe = || json!({ "subscriber": "screen" });
    let mut visitor = Visitor::greeted(&fake).await;
    assert_eq!(visitor.asks("subscribe", subscribe()).await.unwrap()["cursor"], "1");
    visitor.dies().await;
    // It acknowledged nothing, and stands where it began.
    fake.happens(2);
    let mut visitor = Visitor::greeted(&fake).await;
    visitor.asks("subscribe", subscribe()).await.unwrap();
    assert_eq!(visitor.hears().await, (2, 2));
    fake.happens(3);
    let acknowledge = json!({ "subscriber": "screen", "cursor": "2" });
    visitor.asks("event.acknowledge", acknowledge).await.unwrap();
    visitor.dies().await;
    let mut visitor = Visitor::greeted(&fake).await;
    visitor.asks("subscribe", subscribe()).await.unwrap();
    assert_eq!(visitor.hears().await, (3, 3));
}

#[tokio::test]
async fn a_visitor_that_does_not_read_for_a_while_hears_everything_all_the_same() {
    const ALL: u64 = 20_000;
    let fake = Fake::default();
    let mut visitor = Visitor::greeted(&fake).await;
    visitor.asks("subscribe", json!({})).await.unwrap();
    for n in 1..=ALL {
        fake.happens(n);
        if n % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for n in 1..=ALL {
        assert_eq!(visitor.hears().await, (n, n));
    }
    fake.happens(ALL + 1);
    assert_eq!(visitor.hears().await, (ALL + 1, ALL + 1));
}

#[tokio::test]
async fn it_is_said_when_everything_of_before_was_told() {
    let fake = Fake::default();
    for n in 1..=100 {
        fake.happens(n);
    }
    let mut visitor = Visitor::greeted(&fake).await;
    let begun = visitor.asks("subscribe", json!({ "after": "0" })).await.unwrap();
    for n in 1..=100 {
        assert_eq!(visitor.hears().await, (n, n));
    }
    let news = visitor.news().await;
    assert_eq!(news["method"], "up-to-date");
    assert_eq!(news["params"], json!({ "subscription": begun["subscription"], "cursor": "100" }));
    // Events that are not kept have the place of the one before.
    fake.listeners.tell(&numbered(7));
    assert_eq!(visitor.hears().await, (7, 100));
    visitor.asks("unsubscribe", json!({ "subscription": begun["subscription"] })).await.unwrap();
    fake.happens(101);
    let fault =
        visitor.asks("unsubscribe", json!({ "subscription": begun["subscription"] })).await.unwrap_err();
    assert_eq!(fault.code, i32::from(ErrorKind::NotFound.code()));
    assert_eq!(visitor.news, Vec::<Value>::new());
}

/// A profile with a token for its conversation 1.
struct Bounded {
    fake: Fake,
    book: Book,
    word: String,
    _folder: tempfile::TempDir,
}

impl Bounded {
    fn new(methods: &[&str]) -> Self {
        let (folder, book) = book::tests::book();
        let wish = book::tests::wish("bridge", Some(&[1]), methods);
        let (secret, _) = book.create(wish, timer::now()).unwrap();
        let fake = Fake { book: Some(book.clone()), ..Fake::default() };
        Self { fake, book, word: secret.reveal(), _folder: folder }
    }

    fn hello(&self) -> Value {
        json!({ "version": 1, "token": self.word })
    }

    async fn visitor(&self, door: Door) -> Visitor {
        let mut visitor = Visitor::at(&self.fake, door);
        visitor.asks("hello", self.hello()).await.unwrap();
        visitor
    }

    /// The requests that reached the profile since the last call.
    fn asked(&self) -> Vec<&'static str> {
        self.fake.asked.lock().unwrap().drain(..).map(|command| command.method()).collect()
    }
}

fn refused(fault: &Fault, lacks: &str) {
    let data = fault.data.as_ref().unwrap();
    assert!(fault.message.contains(lacks), "{}", fault.message);
    assert!(data.kind == ErrorKind::Refused && data.hint.is_some() && !data.retryable, "{fault:?}");
}

#[tokio::test]
async fn r_token_02_a_request_reaches_only_conversations_of_the_token_by_their_ids() {
    let bounded = Bounded::new(&["message.send", "message.edit", "group.list", "group.show", "event.list"]);
    let mut visitor = bounded.visitor(Door::Own).await;
    assert_eq!(bounded.asked(), Vec::<&str>::new());
    let say = |target: &str| json!({ "target": target, "text": "x" });
    for target in ["g2", "nowhere", &GroupId::from_bytes([2; 16]).to_string()] {
        let fault = visitor.asks("message.send", say(target)).await.unwrap_err();
        refused(&fault, &format!("the token 'bridge' is not for the conversation {target}"));
    }
    assert!(bounded.asked().iter().all(|method| *method == "group.show"));
    visitor.asks("message.send", say("g1")).await.unwrap_err();
    let edit = json!({ "message": { "id": "aeaqca" }, "text": "x" });
    visitor.asks("message.edit", edit).await.unwrap_err();
    let reached: Vec<Command> = bounded.fake.asked.lock().unwrap().drain(..).collect();
    let id = Target::Group(GroupId::from_bytes([1; 16]));
    for (command, pointer) in [(&reached[1], "/target"), (&reached[2], "/message/within")] {
        assert_eq!(command.params().unwrap().pointer(pointer), Some(&json!(id)), "{command:?}");
    }
    let groups = visitor.asks("group.list", json!({})).await.unwrap();
    assert_eq!(groups.as_array().unwrap().iter().map(|group| &group["name"]).collect::<Vec<_>>(), ["g1"]);
    for (method, params) in [
        ("message.read", json!({ "target": "g1" })),
        ("device.list", json!({})),
        ("account.show", json!({})),
        ("status", json!({})),
        ("event.acknowledge", json!({ "subscriber": "bridge", "cursor": "1" })),
    ] {
        bounded.asked();
        let fault = visitor.asks(method, params).await.unwrap_err();
        assert!(fault.message.contains(method) && fault.message.contains("'bridge'"), "{}", fault.message);
        assert_eq!(bounded.asked(), Vec::<&str>::new(), "{method} reached the profile");
    }
    let connected = visitor.asks("connection", json!({})).await.unwrap();
    assert_eq!(connected, json!({ "connected": false, "server": null, "trouble": null }));
}

#[tokio::test]
async fn r_token_03_events_are_those_of_the_token_s_conversations_kept_ones_too() {
    let bounded = Bounded::new(&["event.list"]);
    for group in [1, 2, 1] {
        bounded.fake.happens_in(group);
    }
    bounded.fake.happens(7);
    let mut visitor = bounded.visitor(Door::Own).await;
    let page = visitor.asks("event.list", json!({ "after": "0" })).await.unwrap();
    let cursors: Vec<&Value> =
        page["events"].as_array().unwrap().iter().map(|kept| &kept["cursor"]).collect();
    assert_eq!((cursors, &page["next"]), (vec![&json!("1"), &json!("3")], &json!("4")));
    let begun = visitor.asks("subscribe", json!({ "after": "1" })).await.unwrap();
    assert_eq!(begun["groups"], json!([GroupId::from_bytes([1; 16])]));
    let scope = json!({ "type": "conversations", "targets": ["g2"] });
    let fault = visitor.asks("subscribe", json!({ "scope": scope })).await.unwrap_err();
    refused(&fault, "is not for the conversation g2");
    for group in [2, 1] {
        bounded.fake.happens_in(group);
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&json!("6")) {
        let news = visitor.news().await;
        if news["method"] == "event" {
            assert_eq!(news["params"]["event"]["group"], json!(GroupId::from_bytes([1; 16])));
            heard.push(news["params"]["cursor"].clone());
        }
    }
    assert_eq!(heard, [json!("3"), json!("6")]);
}

#[tokio::test]
async fn r_token_04_a_revoked_token_ends_requests_and_subscriptions_and_then_the_connection() {
    let bounded = Bounded::new(&["event.list"]);
    let mut listening = bounded.visitor(Door::Own).await;
    listening.asks("subscribe", json!({ "after": "0" })).await.unwrap();
    assert_eq!(listening.news().await["method"], "up-to-date");
    let mut asking = bounded.visitor(Door::Own).await;
    bounded.book.revoke("bridge").unwrap();
    bounded.fake.happens_in(1);
    refused(&asking.asks("event.list", json!({})).await.unwrap_err(), "the token 'bridge' was revoked");
    refused(&asking.asks("subscribe", json!({})).await.unwrap_err(), "was revoked");
    // The event is not told; the end is, and why.
    let last = listening.line().await.unwrap();
    assert_eq!(last["id"], Value::Null);
    refused(&serde_json::from_value(last["error"].clone()).unwrap(), "the token 'bridge' was revoked");
    assert_eq!(listening.line().await, None);
    assert_eq!(listening.served.await.unwrap().unwrap_err().kind, ErrorKind::Refused);
    let fault = Visitor::of(&bounded.fake).asks("hello", bounded.hello()).await.unwrap_err();
    refused(&fault, "this profile does not know this token");
    assert!(!fault.message.contains(&bounded.word[4..]));
}

#[tokio::test]
async fn r_token_05_a_token_s_subscriber_is_called_as_the_token() {
    let bounded = Bounded::new(&["event.list", "event.acknowledge"]);
    let mut visitor = bounded.visitor(Door::Own).await;
    let others = json!({ "subscriber": "screen", "cursor": "9" });
    refused(&visitor.asks("event.acknowledge", others).await.unwrap_err(), "is called 'bridge'");
    for method in ["subscribe", "event.list"] {
        let fault = visitor.asks(method, json!({ "subscriber": "screen" })).await.unwrap_err();
        refused(&fault, "is called 'bridge'");
    }
    visitor.asks("subscribe", json!({ "subscriber": "bridge" })).await.unwrap();
    let own = json!({ "subscriber": "bridge", "cursor": "0" });
    visitor.asks("event.acknowledge", own).await.unwrap();
    assert_eq!(bounded.fake.subscribers.lock().unwrap().keys().collect::<Vec<_>>(), ["bridge"]);
}

/// What it may not see must not take the places of what it may.
#[tokio::test]
async fn a_bot_with_a_token_is_given_events_of_its_conversations_and_of_no_other_bot() {
    let bounded = Bounded::new(&["bot.events", "bot.handled"]);
    let mut visitor = bounded.visitor(Door::Own).await;
    let events = |bot: &str| json!({ "bot": bot, "limit": 8, "busy": [] });
    refused(&visitor.asks("bot.events", events("echo")).await.unwrap_err(), "is called 'bridge'");
    visitor.asks("bot.events", events("bridge")).await.unwrap_err();
    let reached = bounded.fake.asked.lock().unwrap().pop().unwrap();
    assert_eq!(reached.params().unwrap()["busy"], json!([GroupId::from_bytes([2; 16])]));
    let handled =
        |group: u8| json!({ "bot": "bridge", "group": GroupId::from_bytes([group; 16]), "position": 1 });
    refused(&visitor.asks("bot.handled", handled(2)).await.unwrap_err(), "is not for the conversation");
    visitor.asks("bot.handled", handled(1)).await.unwrap_err();
    assert_eq!(bounded.fake.asked.lock().unwrap().pop().unwrap().method(), "bot.handled");
}

#[tokio::test(start_paused = true)]
async fn r_token_06_a_door_that_asks_for_a_token_serves_nothing_before() {
    let bounded = Bounded::new(&["group.list"]);
    let mut stranger = Visitor::at(&bounded.fake, Door::Token);
    refused(&stranger.asks("hello", json!({ "version": 1 })).await.unwrap_err(), "show a token in hello");
    let wrong = crate::token::secret::Secret::random().reveal();
    let fault = stranger.asks("hello", json!({ "version": 1, "token": wrong })).await.unwrap_err();
    refused(&fault, "this profile does not know this token");
    let fault = stranger.asks("group.list", json!({})).await.unwrap_err();
    assert_eq!(fault.code, Fault::INVALID_REQUEST);
    assert_eq!(bounded.asked(), Vec::<&str>::new());
    // It does not keep its place by saying nothing more.
    assert_eq!(stranger.line().await.unwrap()["id"], Value::Null);
    assert_eq!(stranger.line().await, None);
    let mut long = Visitor::at(&bounded.fake, Door::Token);
    long.to.write_all(&[b' '; super::TOKEN_LINE_BYTES + 1]).await.unwrap();
    assert_eq!(long.line().await.unwrap()["error"]["code"], Fault::INVALID_REQUEST);
    let mut visitor = bounded.visitor(Door::Token).await;
    assert!(visitor.asks("group.list", json!({})).await.is_ok());
}

#[tokio::test]
async fn r_token_07_a_connection_never_gets_more_than_the_token_of_its_first_hello() {
    let bounded = Bounded::new(&["group.list"]);
    let all = book::tests::wish("all", None, &["message.read", "group.list"]);
    let (other, _) = bounded.book.create(all, timer::now()).unwrap();
    let mut visitor = Visitor::of(&bounded.fake);
    let hello = visitor.asks("hello", bounded.hello()).await.unwrap();
    assert_eq!(hello["methods"], json!(["hello", "unsubscribe", "connection", "group.list"]));
    assert_eq!(hello["token"]["name"], "bridge");
    // Who speaks behind `rpc --token-file` says hello again.
    let again = visitor.asks("hello", json!({ "version": 1 })).await.unwrap();
    assert_eq!(again["token"]["name"], "bridge");
    let more = json!({ "version": 1, "token": other.reveal() });
    assert!(visitor.asks("hello", more.clone()).await.unwrap_err().message.contains("has another token"));
    assert!(visitor.asks("message.read", json!({ "target": "g1" })).await.is_err());
    let mut free = Visitor::greeted(&bounded.fake).await;
    assert!(free.asks("hello", more).await.unwrap_err().message.contains("first hello"));
}
