//! Whose turn it is, on invented time: no profile, no process and no waiting is real.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cipher_bot::action::Action;
use cipher_bot::bot::Outcome;
use cipher_bot::event::{Event, EventId, LogId};
use cipher_bot::memory::Failure;
use cipher_bot::typing::Typing;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::*;
use crate::profile::{Handled, Notice, ProfileError, Wakeups};

/// How long the bot takes for an event.
const TAKES: Duration = Duration::from_millis(150);

/// A profile in memory: conversations wait in turns, as those of the core do.
#[derive(Clone)]
struct Imagined {
    state: Arc<Mutex<State>>,
    news: broadcast::Sender<()>,
    handled: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<GroupId, VecDeque<Waiting>>,
    turns: VecDeque<GroupId>,
    memories: BTreeMap<GroupId, Vec<u8>>,
    /// Where, which one, when, with how many answers.
    handled: Vec<(GroupId, u64, Instant, usize)>,
    told: Vec<Notice>,
    looks: usize,
    /// How often saving fails from now on.
    fails: usize,
    /// How often there is no room for an answer from now on.
    full: usize,
    /// Answers can never be sent.
    refuses: bool,
    /// In which conversations members were told that the bot is at work.
    typed: Vec<GroupId>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Away {
    #[error("the profile is away")]
    Now,
    #[error("there is no room")]
    Full,
    #[error("there is no such file")]
    ForEver,
}

impl ProfileError for Away {
    fn may_pass(&self) -> bool {
        *self == Self::Now
    }

    fn is_final(&self) -> bool {
        *self == Self::ForEver
    }

    fn class(&self) -> &'static str {
        "away"
    }
}

impl Wakeups for broadcast::Receiver<()> {
    async fn next(&mut self) -> bool {
        !matches!(self.recv().await, Err(broadcast::error::RecvError::Closed))
    }

    fn now(&mut self) -> bool {
        self.try_recv().is_ok()
    }
}

impl BotProfile for Imagined {
    type Error = Away;
    type Wakeups = broadcast::Receiver<()>;

    async fn waiting(&self, limit: usize, busy: &BTreeSet<GroupId>) -> Result<Vec<Waiting>, Away> {
        let mut state = self.state.lock().unwrap();
        state.looks += 1;
        let turns: Vec<_> = state.turns.iter().filter(|group| !busy.contains(group)).take(limit).collect();
        let share = limit.checked_div(turns.len()).unwrap_or_default();
        let of = |group: &&GroupId| {
            let memory = state.memories.get(*group).cloned().unwrap_or_default();
            let some = state.waiting[*group].iter().take(share).cloned();
            some.map(move |waiting| Waiting { memory: memory.clone(), ..waiting }).collect::<Vec<_>>()
        };
        Ok(turns.iter().flat_map(of).collect())
    }

    async fn handled(&self, handled: Handled) -> Result<(), Away> {
        let mut state = self.state.lock().unwrap();
        if state.fails > 0 {
            state.fails -= 1;
            return Err(Away::Now);
        }
        if state.full > 0 && !handled.say.is_empty() {
            state.full -= 1;
            return Err(Away::Full);
        }
        if state.refuses && !handled.say.is_empty() {
            return Err(Away::ForEver);
        }
        let LogId { conversation, position, .. } = *handled.event.log().unwrap();
        let waiting = state.waiting.get_mut(&conversation).unwrap();
        let first = waiting.pop_front().unwrap();
        assert_eq!(first.event.id, handled.event, "each in its order, and once");
        let more = !waiting.is_empty();
        state.turns.retain(|group| *group != conversation);
        if more {
            state.turns.push_back(conversation);
        }
        if let Some(memory) = handled.memory {
            state.memories.insert(conversation, memory);
        }
        state.handled.push((conversation, position, Instant::now(), handled.say.len()));
        self.handled.send_replace(state.handled.len());
        Ok(())
    }

    fn types(&self, conversation: &GroupId) {
        self.state.lock().unwrap().typed.push(*conversation);
    }

    fn wakeups(&self) -> broadcast::Receiver<()> {
        self.news.subscribe()
    }

    fn tell(&self, notice: Notice) {
        self.state.lock().unwrap().told.push(notice);
    }
}

impl Imagined {
    fn new() -> Self {
        let state = Arc::default();
        Self { state, news: broadcast::channel(1024).0, handled: watch::channel(0).0 }
    }

    /// So many events arrive in a conversation.
    fn brings(&self, n: u8, events: u64) {
        self.says(n, events, "hi");
    }

    fn says(&self, n: u8, events: u64, text: &str) {
        let mut state = self.state.lock().unwrap();
        let conversation = group(n);
        for _ in 0..events {
            let waiting = state.waiting.entry(conversation).or_default();
            let last = waiting.back().map_or(0, |last| last.event.id.log().unwrap().position);
            let mut event = cipher_bot::testing::event(last + 1, "alice", text);
            event.conversation.id = conversation;
            event.id = EventId::Log(LogId { conversation, ..*event.id.log().unwrap() });
            waiting.push_back(Waiting { event, memory: Vec::new() });
        }
        if !state.turns.contains(&conversation) {
            state.turns.push_back(conversation);
        }
        // The host may not listen yet: it looks before it waits.
        let _ = self.news.send(());
    }

    async fn has_handled(&self, events: usize) {
        self.handled.subscribe().wait_for(|handled| *handled >= events).await.unwrap();
    }

    /// When the first event of a conversation was handled.
    fn first(&self, n: u8) -> Instant {
        let state = self.state.lock().unwrap();
        state.handled.iter().find(|(of, ..)| *of == group(n)).unwrap().2
    }
}

fn group(n: u8) -> GroupId {
    GroupId::from_bytes([n; 16])
}

/// A bot that takes its time, counts in its memory, and answers with what it has counted. At `break` it breaks.
#[derive(Clone, Default)]
struct Slow {
    running: Arc<Mutex<BTreeSet<GroupId>>>,
    most: Arc<Mutex<usize>>,
}

impl Run for Slow {
    async fn handle(&self, event: &Event, memory: &[u8], typing: &Typing) -> Result<Outcome, NotHandled> {
        typing.tell();
        let conversation = event.conversation.id;
        let now = {
            let mut running = self.running.lock().unwrap();
            assert!(running.insert(conversation), "one at a time within a conversation");
            running.len()
        };
        {
            let mut most = self.most.lock().unwrap();
            *most = now.max(*most);
        }
        tokio::time::sleep(TAKES).await;
        self.running.lock().unwrap().remove(&conversation);
        if event.message().unwrap().text == "break" {
            return Err(NotHandled::Failed(Failure::Process { reason: "as told".into() }));
        }
        let memory = [memory, b"x"].concat();
        let text = memory.len().to_string();
        Ok(Outcome { actions: vec![Action::say(text)], memory, held_back: false })
    }
}

/// Hosts in the background until it is dropped.
struct Hosting(task::JoinHandle<Result<(), HostError<Away>>>);

impl Drop for Hosting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn host(profile: &Imagined, runner: &Slow) -> Hosting {
    let worker = Worker { profile: profile.clone(), runner: runner.clone() };
    Hosting(tokio::spawn(async move { dispatch(&worker, &mut Working::default()).await }))
}

/// B5: 320 events of 0.15 s in one conversation, and then one in another.
#[tokio::test(start_paused = true)]
async fn b5_a_flood_of_one_conversation_does_not_delay_another() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.brings(1, 320);
    let _hosting = host(&profile, &runner);
    profile.has_handled(20).await;
    let asked = Instant::now();
    profile.brings(2, 1);
    profile.has_handled(320 + 1).await;
    assert!(profile.first(2) - asked <= TAKES, "{:?}", profile.first(2) - asked);
    assert_eq!(*runner.most.lock().unwrap(), 2, "a busy conversation has one worker");
    let state = profile.state.lock().unwrap();
    let flooded = state.handled.iter().filter(|(of, ..)| *of == group(1)).map(|(_, position, ..)| *position);
    assert!(flooded.eq(1..=320));
    assert_eq!(state.memories[&group(1)].len(), 320, "each goes on with the memory of the one before");
    assert!(state.looks < 2 * 321 + 10, "{} looks", state.looks);
}

/// B5: with more floods than workers each conversation has its turn, and another one's comes within a round.
#[tokio::test(start_paused = true)]
async fn b5_with_more_floods_than_workers_every_conversation_has_its_turn() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    for n in 1..=12 {
        profile.brings(n, 40);
    }
    let _hosting = host(&profile, &runner);
    profile.has_handled(30).await;
    let asked = Instant::now();
    profile.brings(99, 1);
    profile.has_handled(12 * 40 + 1).await;
    // Twelve conversations were in the queue before it: two rounds of eight workers, and its own.
    let waited = profile.first(99) - asked;
    assert!(waited <= 3 * TAKES, "{waited:?}");
    assert_eq!(*runner.most.lock().unwrap(), WORKERS);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_saved_is_asked_again_and_others_go_on_meanwhile() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.state.lock().unwrap().fails = 1;
    profile.brings(1, 1);
    let _hosting = host(&profile, &runner);
    tokio::time::sleep(TAKES * 2).await;
    let asked = Instant::now();
    profile.brings(2, 1);
    profile.has_handled(2).await;
    assert!(profile.first(2) - asked <= TAKES);
    assert!(profile.first(1) - asked < PROFILE_PAUSE * 2);
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_fails_at_everything_is_found_to_be_broken_and_loses_no_more_than_that() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.says(1, 30, "break");
    let mut hosting = host(&profile, &runner);
    let ended = (&mut hosting.0).await.unwrap();
    assert!(matches!(ended, Err(HostError::Broken(GIVEN_UP))), "{:?}", ended.map_err(|_| ()));
    let state = profile.state.lock().unwrap();
    assert_eq!((state.handled.len(), state.waiting[&group(1)].len()), (10, 20));
    assert!(state.handled.iter().all(|(.., answers)| *answers == 0));
    assert_eq!(state.told.len(), 10, "each is told");
}

/// An answer that can never be sent is not tried for ever: its event is passed over, the owner is told why, and others
/// go on.
#[tokio::test(start_paused = true)]
async fn an_answer_that_can_never_be_sent_costs_its_event_and_no_more() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.state.lock().unwrap().refuses = true;
    profile.brings(1, 2);
    let _hosting = host(&profile, &runner);
    profile.has_handled(2).await;
    let state = profile.state.lock().unwrap();
    assert!(state.handled.iter().all(|(.., answers)| *answers == 0));
    let why = NotHandled::Refused("there is no such file".into());
    assert!(matches!(&state.told[0], Notice::GaveUp { why: told, .. } if *told == why), "{:?}", state.told);
    assert!(state.memories.is_empty(), "nothing of it is remembered");
}

/// What has no room now is answered when there is some, however often that is tried: it is no fault of the bot.
#[tokio::test(start_paused = true)]
async fn an_answer_for_which_there_is_no_room_is_given_later_and_nothing_is_given_up() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.state.lock().unwrap().full = 5;
    profile.brings(1, 2);
    let _hosting = host(&profile, &runner);
    profile.has_handled(2).await;
    let state = profile.state.lock().unwrap();
    assert!(state.handled.iter().all(|(.., answers)| *answers == 1), "{:?}", state.handled);
    assert!(state.told.is_empty(), "{:?}", state.told);
}

#[tokio::test(start_paused = true)]
async fn members_are_told_that_a_bot_is_at_work_where_it_is() {
    let (profile, runner) = (Imagined::new(), Slow::default());
    profile.brings(1, 1);
    profile.brings(2, 1);
    let _hosting = host(&profile, &runner);
    profile.has_handled(2).await;
    let mut typed = profile.state.lock().unwrap().typed.clone();
    typed.sort();
    assert_eq!(typed, [group(1), group(2)]);
}
