//! Which server is tried next, with which login, and what its failures were.
//!
//! The client library asks here before each attempt, and its pool of servers tells how the last one ended: as a text
//! without kind, which is read by [`Trouble`](crate::Trouble).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Auth, ReconnectToServer, Server, ServerAddr};
use rand_core::{OsRng, RngCore as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::address::{Servers, UrlLogin};

/// How long a server that has lost its cluster comes after the others.
const SHUN: Duration = Duration::from_secs(60);
/// How often each of the others is tried before it: they may be dead, and it may have its cluster again.
const AFTER: usize = 2;

/// A failed attempt, for whoever says why.
#[derive(Debug)]
pub struct Failed {
    /// Which server.
    pub address: ServerAddr,
    /// As the client library says it.
    pub text: String,
    /// Every server has failed since the broker was last reached.
    pub all: bool,
}

/// The choice of servers.
#[derive(Debug)]
pub struct Dial {
    servers: Servers,
    state: Mutex<State>,
    failures: mpsc::UnboundedSender<Failed>,
    /// How long to wait before the n-th attempt of so many servers.
    pause: fn(usize, usize) -> Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts since the broker was last reached.
    attempts: usize,
    /// Of these, how many each server failed. The pool's own count is no help: what a server failed in an outage of last
    /// week would keep it from being tried in this one.
    failed: HashMap<String, usize>,
    current: Option<ServerAddr>,
    shunned: HashMap<String, Instant>,
}

impl Dial {
    /// For these servers. `failures` hears of each attempt that failed; `pause` says how long to wait before the n-th
    /// attempt, given how many servers there are.
    pub fn new(
        servers: Servers,
        failures: mpsc::UnboundedSender<Failed>,
        pause: fn(usize, usize) -> Duration,
    ) -> Self {
        Self { servers, state: Mutex::default(), failures, pause }
    }

    /// The next server and how long to wait before it. `pool` is what the client library knows of each.
    pub fn next(&self, pool: &[Server]) -> Option<ReconnectToServer> {
        let mut state = self.state();
        self.report(&mut state, pool);
        let now = Instant::now();
        state.shunned.retain(|_, until| *until > now);
        let turn = |server: &Server| {
            let url = server.addr.as_url_str();
            let failed = state.failed.get(url).copied().unwrap_or_default();
            failed.saturating_add(if state.shunned.contains_key(url) { AFTER } else { 0 })
        };
        // Among equals by chance, so that a site does not lean on one server.
        let chosen = pool.iter().min_by_key(|server| (turn(server), OsRng.next_u32()))?;
        state.attempts = state.attempts.saturating_add(1);
        state.current = Some(chosen.addr.clone());
        let delay = (self.pause)(state.attempts, pool.len());
        Some(ReconnectToServer { addr: chosen.addr.clone(), delay: Some(delay) })
    }

    /// Counts and tells how the last attempt ended, if it failed.
    fn report(&self, state: &mut State, pool: &[Server]) {
        let tried = state.current.as_ref().filter(|_| state.attempts > 0);
        let entry = tried.and_then(|tried| pool.iter().find(|server| server.addr == *tried));
        if let Some(Server { addr, last_error: Some(text), .. }) = entry {
            let failed = state.failed.entry(addr.as_url_str().to_owned()).or_default();
            *failed = failed.saturating_add(1);
            let all = pool.iter().all(|server| state.failed.contains_key(server.addr.as_url_str()));
            // Nobody listens while the session ends.
            drop(self.failures.send(Failed { address: addr.clone(), text: text.clone(), all }));
        }
    }

    /// The broker was reached.
    pub fn reached(&self) {
        let mut state = self.state();
        state.attempts = 0;
        state.failed.clear();
    }

    /// The server of the last attempt.
    pub fn current(&self) -> Option<ServerAddr> {
        self.state().current.clone()
    }

    /// Lets the server of the last attempt come after the others for a while. `false` when there is no other one to go to.
    pub fn shun(&self) -> bool {
        let mut state = self.state();
        let Some(current) = state.current.clone() else { return false };
        let now = Instant::now();
        state.shunned.insert(current.as_url_str().to_owned(), now.checked_add(SHUN).unwrap_or(now));
        self.servers.list().iter().any(|server| !state.shunned.contains_key(server.address.as_url_str()))
    }

    /// The login that goes to the server of this attempt.
    pub fn login(&self) -> Auth {
        let current = self.current();
        let login = current.and_then(|address| self.servers.login_of(&address).cloned());
        let mut auth = Auth::new();
        match login {
            Some(UrlLogin::Password { user, password }) => {
                auth.username = Some(user);
                auth.password = Some(password);
            }
            Some(UrlLogin::Token(token)) => auth.token = Some(token),
            None => {}
        }
        auth
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(servers: &Servers) -> Vec<Server> {
        let server = |addr| Server {
            addr,
            failed_attempts: 0,
            did_connect: false,
            is_discovered: false,
            last_error: None,
        };
        servers.addresses().into_iter().map(server).collect()
    }

    fn fails(pool: &mut [Server], address: &ServerAddr) {
        let entry = pool.iter_mut().find(|server| server.addr == *address).unwrap();
        entry.failed_attempts += 1;
        entry.last_error = Some("timed out".into());
    }

    /// C1
    #[test]
    fn c1_each_server_is_given_its_own_login() {
        let servers = Servers::parse("nats://ana:a%40b@h:1,nats://ben:c@h:2,nats://token@h:3").unwrap();
        let (failures, _failed) = mpsc::unbounded_channel();
        let dial = Dial::new(servers.clone(), failures, |_, _| Duration::ZERO);
        let mut pool = pool(&servers);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let next = dial.next(&pool).unwrap();
            let auth = dial.login();
            seen.push((next.addr.port(), auth.username, auth.password, auth.token));
            fails(&mut pool, &next.addr);
        }
        seen.sort();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            seen,
            [
                (1, some("ana"), some("a@b"), None),
                (2, some("ben"), some("c"), None),
                (3, None, None, some("token"))
            ]
        );
    }

    /// E5
    #[test]
    fn e5_a_server_that_lost_its_cluster_is_passed_over_while_there_is_another() {
        let servers = Servers::parse("nats://h:1,nats://h:2").unwrap();
        let (failures, mut failed) = mpsc::unbounded_channel();
        let dial = Dial::new(servers.clone(), failures, |_, _| Duration::ZERO);
        let mut pool = pool(&servers);
        assert!(!dial.shun(), "nothing was tried yet");
        let first = dial.next(&pool).unwrap().addr;
        dial.reached();
        assert!(dial.shun());
        let second = dial.next(&pool).unwrap().addr;
        assert_ne!(first, second);
        // The other one fails: it is told, and tried again before the shunned one.
        fails(&mut pool, &second);
        assert_eq!(dial.next(&pool).unwrap().addr, second);
        let told = failed.try_recv().unwrap();
        assert_eq!((told.address, told.text.as_str(), told.all), (second, "timed out", false));
        assert!(!dial.shun(), "both are shunned now");
        assert!(dial.next(&pool).is_some(), "and one is tried all the same");
    }

    /// E5
    #[test]
    fn e5_servers_that_lost_their_cluster_are_tried_again_when_the_only_other_one_is_dead() {
        let servers = Servers::parse("nats://h:1,nats://h:2,nats://h:3").unwrap();
        let (failures, mut failed) = mpsc::unbounded_channel();
        let dial = Dial::new(servers.clone(), failures, |_, _| Duration::ZERO);
        let mut pool = pool(&servers);
        for _ in 0..2 {
            dial.next(&pool).unwrap();
            dial.reached();
            assert!(dial.shun());
        }
        let dead = dial.next(&pool).unwrap().addr;
        fails(&mut pool, &dead);
        assert_eq!(dial.next(&pool).unwrap().addr, dead, "first those that nothing is known against");
        fails(&mut pool, &dead);
        assert!(
            (0..AFTER).any(|_| {
                let next = dial.next(&pool).unwrap().addr;
                fails(&mut pool, &next);
                next != dead
            }),
            "then the others"
        );
        assert!(
            std::iter::from_fn(|| failed.try_recv().ok()).all(|failed| !failed.all),
            "not all were tried"
        );
    }

    #[test]
    fn what_a_server_failed_before_the_broker_was_last_reached_does_not_count() {
        let servers = Servers::parse("nats://h:1,nats://h:2").unwrap();
        let (failures, _failed) = mpsc::unbounded_channel();
        let dial = Dial::new(servers.clone(), failures, |_, _| Duration::ZERO);
        let mut pool = pool(&servers);
        let dead = dial.next(&pool).unwrap().addr;
        for _ in 0..10 {
            fails(&mut pool, &dead);
        }
        let alive = dial.next(&pool).unwrap().addr;
        assert_ne!(alive, dead);
        dial.reached();
        let mut tried = Vec::new();
        for _ in 0..2 {
            let next = dial.next(&pool).unwrap().addr;
            fails(&mut pool, &next);
            tried.push(next);
        }
        assert!(tried.contains(&dead) && tried.contains(&alive), "each of them first");
    }
}
