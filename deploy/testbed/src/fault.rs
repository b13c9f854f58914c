//! A proxy between an agent and its broker that can lose things.
//!
//! "The question got lost" and "the answer got lost" are different faults: only the second finds what sends
//! twice. The proxy understands where one message ends and the next begins, so it can lose exactly the messages of
//! a subject and leave the connection whole.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cipher_broker::permission::covers;

use crate::failure::{Failure, Result};
use crate::frame::{Cutter, Frame};
use crate::wait;

/// What ends a message.
const END: &[u8] = b"\r\n";

/// A proxy in front of one server. It goes when the value goes.
#[derive(Debug)]
pub struct Fault {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    closed: bool,
    delay: Duration,
    lose_up: Option<String>,
    lose_down: Option<String>,
    spoil_down: Option<String>,
    /// Reply subjects whose answers are to be lost.
    unanswered: BTreeSet<String>,
    /// Reply subjects whose answers are to be changed.
    spoilt: BTreeSet<String>,
    /// Messages lost so far, both ways.
    lost: usize,
    connections: Vec<TcpStream>,
}

impl Fault {
    /// A proxy to an address, without any fault yet.
    pub fn before(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { port, shared })
    }

    /// Where agents connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection and refuses new ones.
    pub fn cut(&self) {
        let mut state = self.shared.state();
        state.cut = true;
        state.close_all();
    }

    /// Everything is held for this long, each way.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Messages that go up to subjects of this pattern get lost.
    pub fn lose_questions(&self, pattern: &str) {
        self.shared.state().lose_up = Some(pattern.into());
    }

    /// Messages of this pattern arrive, and the answers to them get lost.
    pub fn lose_answers(&self, pattern: &str) {
        self.shared.state().lose_down = Some(pattern.into());
    }

    /// Messages of this pattern arrive, and the last bit of the answers to them is turned round.
    pub fn spoil_answers(&self, pattern: &str) {
        self.shared.state().spoil_down = Some(pattern.into());
    }

    /// Everything works again. Connections stay.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.cut = false;
        state.delay = Duration::ZERO;
        state.lose_up = None;
        state.lose_down = None;
        state.spoil_down = None;
        state.unanswered.clear();
        state.spoilt.clear();
    }

    /// Messages lost so far.
    pub fn lost(&self) -> usize {
        self.shared.state().lost
    }

    /// Waits until at least that many messages were lost since the proxy began.
    pub fn has_lost(&self, count: usize) -> Result {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut state = self.shared.state();
        while state.lost < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(format!(
                    "{count} messages were to be lost and only {} were",
                    state.lost
                )));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.close_all();
        drop(state);
        // Wakes the listener, which then sees that it is closed.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> SocketAddr {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close_all(&mut self) {
        for connection in self.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Whether a frame gets lost on its way up.
    fn loses_up(&mut self, frame: &mut Frame) -> bool {
        let Some((subject, reply)) = &frame.message else { return false };
        if self.lose_up.as_ref().is_some_and(|pattern| covers(pattern, subject)) {
            return true;
        }
        if let Some(reply) = reply
            && self.lose_down.as_ref().is_some_and(|pattern| covers(pattern, subject))
        {
            self.unanswered.insert(reply.clone());
        }
        if let Some(reply) = reply
            && self.spoil_down.as_ref().is_some_and(|pattern| covers(pattern, subject))
        {
            self.spoilt.insert(reply.clone());
        }
        false
    }

    /// Whether a frame gets lost on its way down. What is to be changed is.
    fn loses_down(&mut self, frame: &mut Frame) -> bool {
        let Some((subject, _)) = &frame.message else { return false };
        if self.spoilt.contains(subject)
            && let Some(byte) = frame.bytes.iter_mut().rev().nth(END.len())
        {
            *byte ^= 1;
        }
        self.unanswered.contains(subject)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for down in listener.incoming().flatten() {
        let mut state = shared.state();
        if state.closed {
            return;
        }
        if state.cut {
            let _ = down.shutdown(Shutdown::Both);
            continue;
        }
        let Ok(up) = TcpStream::connect_timeout(&shared.upstream(), Duration::from_secs(2)) else {
            let _ = down.shutdown(Shutdown::Both);
            continue;
        };
        let _ = (down.set_nodelay(true), up.set_nodelay(true));
        let (Ok(down_too), Ok(up_too)) = (down.try_clone(), up.try_clone()) else { continue };
        state.connections.extend(down.try_clone().into_iter().chain(up.try_clone()));
        drop(state);
        let (one, two) = (Arc::clone(shared), Arc::clone(shared));
        thread::spawn(move || carry(down, up, &one, State::loses_up));
        thread::spawn(move || carry(up_too, down_too, &two, State::loses_down));
    }
}

/// Carries frames one way until either end closes.
fn carry(mut from: TcpStream, mut to: TcpStream, shared: &Shared, loses: fn(&mut State, &mut Frame) -> bool) {
    let mut cutter = Cutter::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        cutter.feed(bytes);
        let mut out = Vec::new();
        let delay = {
            let mut state = shared.state();
            while let Some(mut frame) = cutter.next_frame() {
                if loses(&mut state, &mut frame) {
                    state.lost += 1;
                    shared.changed.notify_all();
                } else {
                    out.extend_from_slice(&frame.bytes);
                }
            }
            state.delay
        };
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        if to.write_all(&out).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
