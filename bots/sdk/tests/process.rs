//! A bot behind pipes.

use std::io::Write;
use std::process::{Command, Stdio};

use cipher_bot::action::Action;
use cipher_bot::bot::Rules;
use cipher_bot::file::INLINE_BYTES;
use cipher_bot::memory::Failure;
use cipher_bot::prelude::*;
use cipher_bot::stdio::{Asked, HostMessage, LINE_BYTES, Response, is_typing, outcome, question, serve};
use cipher_bot::testing::event;
use serde_json::Value;

/// Counts.
#[command]
fn count(so_far: &mut u32) -> Reply {
    *so_far = so_far.saturating_add(1);
    so_far.to_string().into()
}

/// Takes its time.
#[command]
fn think(typing: Typing) -> Reply {
    typing.tell();
    typing.tell();
    Reply::new("here").with(File::new("thought.txt", "hm"))
}

fn bot() -> Bot {
    Bot::new("counter").command(count).command(think)
}

fn exchange(lines: &[String]) -> Vec<Response> {
    let mut out = Vec::new();
    serve(&bot(), lines.join("\n").as_bytes(), &mut out).unwrap();
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn asks(position: u64, text: &str, memory: Value) -> String {
    let event = Box::new(event(position, "alice", text));
    serde_json::to_string(&HostMessage::Event { event, memory }).unwrap()
}

#[test]
fn each_question_gets_one_response_and_memory_goes_round() {
    let first = exchange(&[asks(1, "/count", Value::Null)]);
    let [Response::Outcome { id, actions, memory }] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(id.log().map(|id| (id.position, id.place)), Some((1, 0)));
    assert_eq!(actions, &[Action::say("1")]);
    let second = exchange(&[asks(2, "/count", memory.clone()), asks(3, "hi", memory.clone())]);
    let [Response::Outcome { actions, .. }, Response::Outcome { actions: none, memory: same, .. }] =
        second.as_slice()
    else {
        panic!("{second:?}")
    };
    assert_eq!(actions, &[Action::say("2")]);
    assert_eq!((none.as_slice(), same), ([].as_slice(), memory));
}

#[test]
fn a_line_that_is_no_question_is_a_failure_and_the_next_one_still_counts() {
    let lines = ["junk".into(), String::new(), "{\"type\":\"describe\"}".into()];
    let responses = exchange(&lines);
    assert!(matches!(responses[0], Response::Failure { id: None, .. }));
    let Response::Description(description) = &responses[1] else { panic!("{responses:?}") };
    assert_eq!(description.commands[0].usage, "/count");
    let bad = exchange(&[asks(1, "/count", Value::from("not memory"))]);
    assert!(matches!(bad[0], Response::Failure { id: Some(_), .. }));
}

#[test]
fn a_line_without_end_ends_the_bot() {
    let endless = vec![b'x'; LINE_BYTES + 1];
    assert!(serve(&bot(), endless.as_slice(), Vec::new()).is_err());
}

/// The host's side: what a program remembers goes round, and it cannot speak more often than a bot may.
#[test]
fn the_host_keeps_the_rules_for_a_program_that_does_not() {
    let rules = Rules { answers_per_minute: 3, ..Rules::default() };
    let shouting = |position: u64, memory: &[u8]| {
        let event = event(position, "alice", "hi");
        let line = match question(&event, memory, rules).unwrap() {
            Asked::Line(line) => line,
            Asked::Nothing(outcome) => return outcome,
        };
        let Ok(HostMessage::Event { memory: seen, .. }) = serde_json::from_slice(&line) else { panic!() };
        let say = Action::say("HI");
        let response = Response::Outcome {
            id: event.id.clone(),
            actions: vec![say; 2],
            memory: (seen.as_u64().unwrap_or(0) + 1).into(),
        };
        outcome(&event, memory, rules, &serde_json::to_vec(&response).unwrap()).unwrap()
    };
    let first = shouting(1, b"");
    let second = shouting(2, &first.memory);
    assert_eq!((first.actions.len(), second.actions.len()), (2, 1));
    assert!(String::from_utf8_lossy(&second.memory).contains("\"process\":2"));
    assert!(!first.held_back && second.held_back, "the second was told once that it says too much");
    let third = shouting(3, &second.memory);
    assert!(third.actions.is_empty() && !third.held_back);
}

#[test]
fn the_host_takes_no_answer_to_another_question() {
    let (mine, other) = (event(1, "alice", "hi"), event(2, "alice", "hi"));
    let response = Response::Outcome { id: other.id, actions: Vec::new(), memory: Value::Null };
    for line in [
        serde_json::to_vec(&response).unwrap(),
        b"junk".to_vec(),
        b"{\"type\":\"failure\",\"message\":\"x\"}".to_vec(),
    ] {
        let failed = outcome(&mine, b"", Rules::default(), &line);
        assert!(matches!(failed, Err(Failure::Process { .. })), "{failed:?}");
    }
}

#[test]
fn a_program_tells_that_it_is_at_work_before_it_answers_and_attaches_bytes() {
    let said = exchange(&[asks(1, "/think", Value::Null)]);
    let [Response::Typing { id }, Response::Typing { .. }, Response::Outcome { id: of, actions, .. }] =
        said.as_slice()
    else {
        panic!("{said:?}")
    };
    assert_eq!(id, of);
    let file = File::new("thought.txt", "hm");
    let expected = Action::Attach { files: vec![file], text: "here".into(), reply_to: None, thread: None };
    assert_eq!(actions, &[expected]);
    let event = event(1, "alice", "hi");
    let typing = |event: &cipher_bot::event::Event| {
        serde_json::to_vec(&Response::Typing { id: event.id.clone() }).unwrap()
    };
    assert!(is_typing(&event, &typing(&event)));
    let other = cipher_bot::testing::event(2, "alice", "hi");
    assert!(!is_typing(&event, &typing(&other)), "of this event");
    assert!(outcome(&event, b"", Rules::default(), &typing(&event)).is_err(), "it is no answer");
}

/// Somebody may keep it, in a thread that goes on: the process ends with its input all the same.
#[test]
fn a_bot_that_keeps_its_typing_ends_with_its_input() {
    static KEPT: std::sync::Mutex<Option<Typing>> = std::sync::Mutex::new(None);
    /// Keeps it.
    #[command]
    fn keep(typing: Typing) -> Reply {
        *KEPT.lock().unwrap() = Some(typing);
        "kept".into()
    }
    let mut out = Vec::new();
    serve(&Bot::new("keeper").command(keep), asks(1, "/keep", Value::Null).as_bytes(), &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("kept"));
    if let Some(typing) = KEPT.lock().unwrap().take() {
        typing.tell();
    }
}

#[test]
fn the_host_takes_no_more_files_and_bytes_than_there_is_room_for() {
    let event = event(1, "alice", "hi");
    let answered = |files: Vec<File>| {
        let actions = vec![Action::Attach { files, text: String::new(), reply_to: None, thread: None }];
        let response = Response::Outcome { id: event.id.clone(), actions, memory: Value::Null };
        outcome(&event, b"", Rules::default(), &serde_json::to_vec(&response).unwrap())
    };
    let most = cipher_broker::limit::ATTACHMENTS;
    assert_eq!(answered(vec![File::at("/a"); most]).unwrap().actions.len(), 1);
    assert_eq!(answered(vec![File::new("a", vec![0; INLINE_BYTES])]).unwrap().actions.len(), 1);
    for files in [vec![], vec![File::at("/a"); most + 1], vec![File::new("a", vec![0; INLINE_BYTES + 1])]] {
        assert!(matches!(answered(files), Err(Failure::Process { .. })));
    }
}

/// The example of the README, as the host runs it.
#[test]
fn the_eight_lines_of_the_readme_are_a_program() {
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/echo");
    assert!(program.exists(), "cargo builds examples before it runs tests: {}", program.display());
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", asks(1, "/echo hi", Value::Null)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let Response::Outcome { actions, .. } = serde_json::from_slice(&output.stdout).unwrap() else {
        panic!("{}", String::from_utf8_lossy(&output.stdout))
    };
    assert_eq!(actions, [Action::say("hi")]);
}
