//! Readers: one per followed log. A doorbell rings, the log is read; the log is the truth.
//!
//! ```text
//! bell, Fetch, (re)connect, slow look ──► page from `after + 1` ──► Input::Delivered … ──► Input::CaughtUp
//! ```
//! The first page after a `Follow` begins with the entry that was read last, and so does the one behind a bell that
//! says that its subject was empty. When that entry is not there as it was, the reader says so and waits: whether the
//! log went back is the core's to judge.
//!
//! A log that grows faster than it can be read has no end that is ever reached. So the end that counts is the one of the
//! moment in which it was asked for ([`End`]).
//!
//! A bell or a `Fetch` that names a sequence is a promise that it exists: while a replica that lags behind answers
//! without it, the reader asks again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use cipher_broker::limit;
use cipher_broker::subject::{self, Route, Source};
use cipher_core::{Delivered, Displaced, Input, Mark, Reading, StreamState};
use futures::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::net::connect::Network;
use crate::net::fetch::{self, Page};
use crate::net::flood::{Flood, JUNK_COUNTS};
use crate::net::jitter;
use crate::net::link::Reach;
use crate::net::reader::bell::{Rung, next_of, rung_by};
use crate::net::reader::end::End;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;

mod bell;
mod end;

/// Pages that are fetched or wait for the core at once, over all readers. Each is up to a megabyte.
const PAGES: usize = 16;
/// How often a quiet log is looked at, against bells that were lost.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// At every so many looks the last entry is read once more: the stream may have been made anew meanwhile.
const LOOKS_BACK: u32 = 10;
/// Bells of subjects that were empty are a reason for that too, so often between two looks: anybody can begin subjects.
const LOOKS_BACK_BY_BELL: u32 = 16;
/// The first look after subscribing comes sooner: in a cluster, a subscription takes a moment to be known.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Pauses while something that must exist is not there yet, or nobody answers.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a promised sequence is asked for before the promise is taken for broken: about half a minute. It may
/// have been removed by age, or the broker lost it.
const PATIENCE: u32 = 35;
/// How often a replica that shows less than the stream's leader has is asked again.
const LAG: u32 = 12;

/// Between two looks at a log that brings nothing but junk: each look then finds several pieces.
const JUNK_PAUSE: Duration = Duration::from_millis(50);

/// All readers of a session.
#[derive(Debug)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
    tasks: Tasks,
    open: HashMap<Source, Open>,
}

#[derive(Debug)]
struct Shared {
    network: Network,
    mailbox: Arc<Mailbox>,
    pages: Semaphore,
}

#[derive(Debug)]
struct Open {
    orders: mpsc::UnboundedSender<ReaderRequest>,
    task: AbortHandle,
}

/// Where a reading of a log begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub reading: Reading,
    /// Sequence of the last message that is not wanted.
    pub after: u64,
    /// What must lie there.
    pub mark: Option<Mark>,
}

#[derive(Debug, Clone, Copy)]
enum ReaderRequest {
    /// Start over.
    Start(Start),
    /// At least this sequence exists.
    Fetch(u64),
    /// What was read last was of no use.
    Junk,
}

impl Readers {
    pub(crate) fn new(network: Network, mailbox: Arc<Mailbox>, tasks: Tasks) -> Self {
        let shared = Arc::new(Shared { network, mailbox, pages: Semaphore::new(PAGES) });
        Self { shared, tasks, open: HashMap::new() }
    }

    /// Follows a log from there on.
    pub(crate) fn follow(&mut self, source: Source, start: Start) {
        if let Some(open) = self.open.get(&source)
            && open.orders.send(ReaderRequest::Start(start)).is_ok()
        {
            return;
        }
        let (orders, received) = mpsc::unbounded_channel();
        let reader = Reader::new(Arc::clone(&self.shared), source, start, received);
        let task = self.tasks.spawn("reader", reader.run());
        self.open.insert(source, Open { orders, task });
    }

    /// Looks at a followed log now. A log nobody follows has no position to read from: the core follows it first.
    pub(crate) fn fetch(&self, source: Source, sequence: u64) {
        match self.open.get(&source) {
            Some(open) => drop(open.orders.send(ReaderRequest::Fetch(sequence))),
            None => tracing::debug!("a fetch from a log that nobody follows"),
        }
    }

    /// What was read of a log last was of no use.
    pub(crate) fn junk(&self, source: Source) {
        if let Some(open) = self.open.get(&source) {
            _ = open.orders.send(ReaderRequest::Junk);
        }
    }

    /// Stops following.
    pub(crate) fn unfollow(&mut self, source: Source) {
        if let Some(open) = self.open.remove(&source) {
            open.task.abort();
        }
    }
}

/// The subject beside a log that carries what is not stored: whispers of a group's members, hints to a device.
fn aside(source: &Source) -> Option<String> {
    match source {
        Source::Group(group) => Some(subject::ephemeral(group)),
        Source::Inbox(device) => Some(subject::hint(device)),
        _ => None,
    }
}

struct Reader {
    shared: Arc<Shared>,
    source: Source,
    stream: String,
    filter: String,
    orders: mpsc::UnboundedReceiver<ReaderRequest>,
    reading: Reading,
    /// Everything up to here was handed to the core.
    after: u64,
    /// What must lie at `after`, until it was seen there.
    mark: Option<Mark>,
    /// What lies at `after`, as it was read: looked for again behind a new connection, and now and then.
    last: Option<Mark>,
    /// Looks at a quiet log since then.
    looks: u32,
    /// It did not: the core was told, and says how to go on.
    displaced: bool,
    /// The highest sequence of this log that somebody says exists.
    promised: u64,
    want: Want,
    /// How far it is to the end that counts.
    end: End,
    /// Fruitless attempts in a row.
    attempts: u32,
    /// No request before this.
    not_before: Option<Instant>,
    next_look: Instant,
    /// Until when a bell alone is no reason to hurry: the log brought nothing but junk.
    junk_until: Option<Instant>,
    /// How often a bell was a reason to look for what was read last, since the last look at a quiet log.
    looks_back: u32,
    /// When the last page was asked for.
    last_read: Instant,
    flood: Flood,
    /// The connection of the last look.
    link: Reach,
}

/// Why the log is to be read although no bell says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Nothing,
    /// To see whether a bell was lost. Silent if not: an idle agent writes nothing.
    Look,
    /// The core waits to hear that the end is reached.
    Report,
}

impl Reader {
    fn new(
        shared: Arc<Shared>,
        source: Source,
        Start { reading, after, mark }: Start,
        orders: mpsc::UnboundedReceiver<ReaderRequest>,
    ) -> Self {
        Self {
            stream: source.stream(),
            filter: source.filter(),
            next_look: Instant::now() + jitter::jittered(FIRST_LOOK),
            shared,
            source,
            orders,
            reading,
            after,
            mark,
            last: mark,
            looks: 0,
            displaced: false,
            promised: 0,
            want: Want::Report,
            end: End::default(),
            attempts: 0,
            not_before: None,
            junk_until: None,
            looks_back: 0,
            last_read: Instant::now(),
            flood: Flood::new(Instant::now()),
            link: Reach::Pending,
        }
    }

    async fn run(mut self) {
        // Before the first look, so that nothing falls between the look and the bell.
        let Some(first) = self.bells().await else { return };
        let mut bells = Some(first);
        let mut whispers = match aside(&self.source) {
            Some(subject) => self.shared.network.client().await.subscribe(subject).await.ok(),
            None => None,
        };
        let mut state = self.shared.network.link.clone();
        self.on_link(&state.borrow_and_update().clone());
        loop {
            if self.flood.lasts {
                bells = None;
            } else if bells.is_none() {
                bells = self.bells().await;
                if bells.is_none() {
                    return;
                }
                // What came before the subscription is known everywhere.
                self.want = self.want.max(Want::Look);
                self.next_look = Instant::now() + jitter::jittered(FIRST_LOOK);
            }
            self.drain(&mut bells);
            if self.ready() {
                if !self.read(&mut bells).await {
                    return;
                }
                continue;
            }
            let wake = if self.wanting() && !self.displaced {
                self.not_before.unwrap_or(self.next_look)
            } else if self.flood.lasts {
                self.next_look.min(self.last_read + JUNK_PAUSE)
            } else {
                self.next_look
            };
            tokio::select! {
                bell = rung_by(&mut bells) => match bell {
                    Some(bell) => self.on_bell(&bell),
                    None => return,
                },
                Some(whisper) = next_of(&mut whispers) => self.on_whisper(&whisper),
                order = self.orders.recv() => match order {
                    Some(order) => self.on_order(order),
                    None => return,
                },
                changed = state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let link = state.borrow_and_update().clone();
                    self.on_link(&link);
                }
                () = tokio::time::sleep_until(wake), if self.link.is_up() => self.on_time(),
            }
        }
    }

    async fn bells(&self) -> Option<Subscriber> {
        self.shared.network.client().await.subscribe(self.source.doorbell()).await.ok()
    }

    fn wanting(&self) -> bool {
        self.want > Want::Nothing || self.promised > self.after
    }

    fn ready(&self) -> bool {
        self.link.is_up() && self.wanting() && self.not_before.is_none() && !self.displaced
    }

    /// Takes all bells and orders that are there, so that many of them cost one page.
    fn drain(&mut self, bells: &mut Option<Subscriber>) {
        while let Some(Some(bell)) = rung_by(bells).now_or_never() {
            self.on_bell(&bell);
        }
        while let Ok(order) = self.orders.try_recv() {
            self.on_order(order);
        }
    }

    fn on_bell(&mut self, bell: &Message) {
        self.rung(Rung::of(bell));
    }

    /// A bell says that a sequence exists. Behind junk comes more junk, most likely: then there is no hurry.
    fn rung(&mut self, Rung { sequence, first }: Rung) {
        if first > self.after && self.looks_back < LOOKS_BACK_BY_BELL {
            // What we read there may have gone by age, or the broker lost it behind our back.
            self.mark = self.mark.or(self.last);
            self.looks_back += 1;
        }
        if sequence <= self.promised {
            return;
        }
        // The pause of the earlier bell, or of a page that is not there yet, goes on.
        let waits = self.not_before.filter(|_| self.promised > self.after);
        self.promise(sequence);
        if self.junk_until.is_some_and(|until| Instant::now() < until) {
            self.not_before = Some(waits.unwrap_or(self.last_read + JUNK_PAUSE));
        }
    }

    /// Nothing in it is trusted, and none of it may be missed more than a lost one.
    fn on_whisper(&self, whisper: &Message) {
        match self.source {
            Source::Group(group) if whisper.payload.len() <= limit::WHISPER_BYTES => {
                let bytes = whisper.payload.to_vec();
                self.shared.mailbox.overhear(Input::Whispered { group, bytes });
            }
            Source::Inbox(_) => self.shared.mailbox.overhear(Input::Hinted),
            _ => {}
        }
    }

    fn on_order(&mut self, order: ReaderRequest) {
        match order {
            ReaderRequest::Start(Start { reading, after, mark }) => {
                self.reading = reading;
                (self.after, self.mark, self.last, self.displaced) = (after, mark, mark, false);
                // Of another life of the log, perhaps.
                self.promised = 0;
                (self.want, self.end) = (Want::Report, End::default());
                self.start_anew();
            }
            ReaderRequest::Fetch(sequence) => {
                (self.want, self.end) = (Want::Report, End::default());
                self.promise(sequence);
                self.not_before = None;
            }
            ReaderRequest::Junk => self.junk_until = Some(Instant::now() + JUNK_COUNTS),
        }
    }

    fn on_link(&mut self, link: &Reach) {
        if link.is_up() && self.link != *link {
            (self.want, self.end) = (Want::Report, End::default());
            // The broker that is there now may have been restored.
            self.mark = self.last;
            self.start_anew();
        }
        self.link = link.clone();
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.not_before.is_some_and(|at| at <= now) {
            self.not_before = None;
        }
        if self.flood.lasts && self.last_read + JUNK_PAUSE <= now {
            self.want = self.want.max(Want::Look);
        }
        if self.next_look <= now {
            self.next_look = now + jitter::jittered(LOOK_EVERY);
            (self.looks, self.looks_back) = (self.looks + 1, 0);
            if self.looks.is_multiple_of(LOOKS_BACK) {
                self.mark = self.last;
            }
            self.want = self.want.max(Want::Look);
        }
    }

    fn promise(&mut self, sequence: u64) {
        if sequence > self.promised {
            self.promised = sequence;
            self.start_anew();
        }
    }

    fn start_anew(&mut self) {
        self.attempts = 0;
        self.not_before = None;
    }

    /// Reads one page and hands it over. `false` when the session is over.
    ///
    /// Bells are heard meanwhile: a flood of them must not pile up while the core is busy with what they announced.
    async fn read(&mut self, bells: &mut Option<Subscriber>) -> bool {
        let shared = Arc::clone(&self.shared);
        self.last_read = Instant::now();
        let mut rung = Rung::default();
        let going_on = {
            let reading = self.read_page(&shared);
            tokio::pin!(reading);
            loop {
                tokio::select! {
                    biased;
                    going_on = &mut reading => break going_on,
                    bell = rung_by(bells) => match bell {
                        Some(bell) => rung = rung.and(Rung::of(&bell)),
                        None => break reading.await,
                    },
                }
            }
        };
        self.rung(rung);
        going_on
    }

    async fn read_page(&mut self, shared: &Shared) -> bool {
        // Held until the core has room for the page: this bounds what is in memory.
        let Ok(_slot) = shared.pages.acquire().await else { return false };
        let from = self.after.saturating_add(u64::from(self.mark.is_none()));
        match fetch::page(&shared.network, &self.stream, &self.filter, from).await {
            Ok(mut page) => {
                if !self.is_as_it_was(&mut page).await {
                    return true;
                }
                self.on_page(page).await
            }
            Err(error) => {
                tracing::debug!(%error, "a log could not be read");
                self.pause();
                true
            }
        }
    }

    /// Whether the entry that was read last is where it was. If not, whoever knows where the stream stands is asked,
    /// and the core is told; a replica that lags behind is asked again first.
    async fn is_as_it_was(&mut self, page: &mut Page) -> bool {
        let Some(mark) = self.mark else { return true };
        let there = page.messages.first().filter(|first| first.sequence == self.after);
        let another = there.is_some();
        if there.is_some_and(|first| Mark::of(first.at, &first.bytes) == mark) {
            page.messages.remove(0);
            self.mark = None;
            self.attempts = 0;
            return true;
        }
        let mut stream = None;
        if !another {
            let lagging = page.messages.is_empty();
            stream = match self.stream_state().await {
                // Its leader knows, and a replica that has more than we read is not behind.
                Ok((state, gone)) if !lagging || gone => state,
                Ok((state, _))
                    if self.attempts >= PATIENCE
                        || (self.attempts >= LAG && state.is_some_and(|state| state.last >= self.after)) =>
                {
                    state
                }
                Ok(_) | Err(_) => {
                    self.pause();
                    return false;
                }
            };
        }
        tracing::warn!(after = self.after, another, ?stream, "a log does not show what was read last");
        self.displaced = true;
        self.attempts = 0;
        let (reading, source, after) = (self.reading, self.source, self.after);
        let displaced = Displaced { reading, source, after, another, stream };
        self.shared.mailbox.push(Input::Displaced(displaced));
        false
    }

    /// Where the stream stands, and whether by its leader's word the entry that was read last is not in it any more.
    /// Older server files do not allow that question; then any replica tells the last entry that it has.
    async fn stream_state(&self) -> Result<(Option<StreamState>, bool), fetch::FetchError> {
        if self.attempts.is_multiple_of(LAG)
            && let Ok((state, first)) = fetch::stream_state(&self.shared.network, &self.stream).await
        {
            let gone = state.last < self.after || first > self.after;
            return Ok((Some(state), gone));
        }
        fetch::last(&self.shared.network, &self.stream).await.map(|state| (state, false))
    }

    async fn on_page(&mut self, page: Page) -> bool {
        let news = !page.messages.is_empty();
        if let Some(last) = page.messages.last() {
            self.after = last.sequence;
            self.last = Some(Mark::of(last.at, &last.bytes));
            self.attempts = 0;
        }
        let end = self.end.reached(page.messages.len(), page.pending);
        self.count(page.messages.len());
        let messages: Vec<Delivered> =
            page.messages.into_iter().filter_map(|stored| self.checked(stored)).collect();
        if !self.shared.mailbox.deliver(self.reading, messages).await {
            return false;
        }
        if news {
            self.want = Want::Report;
        }
        if page.more {
            if end && self.promised <= self.after {
                self.covered(self.after);
            }
            return true;
        }
        self.end = End::default();
        if self.promised > self.after && self.attempts < PATIENCE {
            self.pause();
            return true;
        }
        // What was promised and is not there after all is covered too: the core then knows that its own publish
        // is not where the broker said.
        let covered = self.promised.max(self.after);
        if self.promised > self.after {
            tracing::warn!("a message that the broker announced cannot be found");
            self.promised = self.after;
        }
        if self.want == Want::Report {
            self.covered(covered);
        }
        self.want = Want::Nothing;
        self.attempts = 0;
        true
    }

    fn covered(&self, sequence: u64) {
        let (reading, source) = (self.reading, self.source);
        self.shared.mailbox.push(Input::CaughtUp { reading, source, sequence });
    }

    /// A page with so many messages came.
    fn count(&mut self, messages: usize) {
        let now = Instant::now();
        let junk = self.junk_until.is_some_and(|until| now < until);
        let pieces = u64::try_from(messages).unwrap_or(u64::MAX);
        if self.flood.came(pieces, junk, now) {
            tracing::debug!(source = ?self.source, lasts = self.flood.lasts, "a flood of junk");
        }
    }

    fn checked(&self, stored: fetch::Stored) -> Option<Delivered> {
        let route = Route::parse(&stored.subject).filter(|route| route.source() == Some(self.source));
        if route.is_none() {
            tracing::warn!("the broker sent a message of another log; it is ignored");
        }
        let fetch::Stored { sequence, at, bytes, .. } = stored;
        Some(Delivered { route: route?, sequence, at, bytes: bytes.into() })
    }

    fn pause(&mut self) {
        let doubled = SHORTEST_PAUSE.saturating_mul(1 << self.attempts.min(7));
        self.attempts = self.attempts.saturating_add(1);
        self.not_before = Some(Instant::now() + jitter::jittered(doubled.min(LONGEST_PAUSE)));
    }
}
