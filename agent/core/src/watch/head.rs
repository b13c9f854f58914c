//! Holding the registry to its word: heads of the account log, proofs between them, and what follows when they do
//! not fit.
//!
//! One head is *accepted*: everything later must continue it. Other heads that were shown, in replies, with records,
//! or to fellow members who pass them on, wait until the registry proves that all of them are beginnings of one log.
//! What cannot be proven is evidence.

use std::time::Duration;

use cipher_api::view::{EvidenceKind, HeadView};
use cipher_api::{Advice, Error, ErrorKind, Hint, Notice, Reply, Result};
use cipher_broker::account_log::{self, AccountLog};
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{SignedHead, TreeHead};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AccountRecord, Operation, ReplyBody};
use serde_bytes::ByteBuf;

use crate::input::Interest;
use crate::machine::Core;
use crate::machine::step::Step;
use crate::people::account::bad_record;
use crate::registry::question::QuestionReason;
use crate::state::evidence::exhibit;
use crate::state::{HeadRow, Skip, head_of};

/// How long heads wait for company before a proof is asked for: growth is common, proofs cost a request.
const PROOF_WAIT: Duration = Duration::from_secs(60);
/// The same when a fellow member showed one: many may tell theirs at once.
const GOSSIP_WAIT: Duration = Duration::from_secs(3);
/// The same when the registry did not have one that a fellow member showed: after that no copy of it may be behind.
const LAG_WAIT: Duration = Duration::from_secs(limit::HEAD_LAG.as_secs() + 1);
/// The same while the registry is not believed.
const DOUBT_WAIT: Duration = Duration::from_secs(600);

/// How a head relates to what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits, proven.
    Known,
    /// Nothing speaks against it; a proof will tell.
    Waiting,
    /// It contradicts another head of the same registry.
    Bad,
    /// Too many wait already.
    Full,
}

/// R-KT-01: no log has two contents of one size, and none is shorter than it was a while earlier. Two heads of one
/// registry for which this holds cannot both be of one log that only grows, whatever anybody proves.
fn irreconcilable(one: &TreeHead, other: &TreeHead) -> Option<EvidenceKind> {
    if one.size == other.size {
        return (one.root != other.root).then_some(EvidenceKind::SplitView);
    }
    let (small, large) = if one.size < other.size { (one, other) } else { (other, one) };
    (small.at.since(large.at) > limit::HEAD_LAG).then_some(EvidenceKind::Rollback)
}

impl Core {
    pub(super) fn head_known(&self) -> Reply {
        let meta = &self.state.meta;
        Reply::Head(Box::new(HeadView {
            registry_key: meta.registry_key.as_ref().map(|key| key.to_vec()).unwrap_or_default(),
            head: meta.head.clone(),
            size: self.accepted().map_or(0, |head| head.size),
            log_cursor: meta.log_cursor.unwrap_or(0),
        }))
    }

    /// The registry hints that there is something to look at.
    pub(crate) fn hinted(&mut self) -> Result<()> {
        if self.state.registered() && self.run.connected {
            self.ask_stock();
            self.watch_own_account();
            self.claim_now();
        }
        Ok(())
    }

    /// The head that everything later must continue.
    pub(super) fn accepted(&self) -> Option<TreeHead> {
        self.state.meta.head.as_ref().and_then(head_of)
    }

    /// Looks at the head of a reply. `Err` when nothing that depends on the log may be taken from this reply.
    pub(crate) fn reply_head(&mut self, body: &ReplyBody) -> Result<()> {
        let Some(signed) = &body.head else {
            if self.state.meta.head.is_none() {
                return Ok(());
            }
            return Err(ErrorKind::Trust
                .because("the registry does not show its account log any more")
                .hint(Advice::AskRegistryOperatorUnchanged));
        };
        let head = TreeHead::open(signed, &body.registry_key).map_err(|error| {
            ErrorKind::Trust
                .because_of("the registry's account log cannot be checked", error)
                .hint(Advice::AskRegistryOperatorUnchanged)
        })?;
        self.judge_age(&head, signed, body.at);
        let fit = self.meet(signed, &head, body.at, None);
        self.want_proof();
        if fit == Fit::Bad || self.state.meta.doubt { Err(in_doubt()) } else { Ok(()) }
    }

    /// A head that is old although the registry answers may hide something (G05).
    fn judge_age(&mut self, head: &TreeHead, signed: &SignedHead, replied: Timestamp) {
        let by_registry = replied.since(head.at);
        let age = self.run.now.since(head.at).max(by_registry);
        if age <= limit::HEAD_STALE {
            return;
        }
        // R-KT-07: the reply is to a request made just now, so it tells the registry's clock. When the broker knows of
        // nothing later either, it is this machine's clock that is ahead: nobody is accused.
        let ahead = self.run.now.since(replied) > limit::REQUEST_WINDOW;
        if by_registry <= limit::HEAD_STALE
            && ahead
            && self.run.delivery.broker_at().is_some_and(|at| at.since(replied) <= limit::HEAD_LAG)
        {
            if !std::mem::replace(&mut self.run.watch.clock_told, true) {
                self.warn(Notice::ClocksApart { ours: self.run.now, theirs: replied });
            }
            return;
        }
        let hours = age.as_secs() / 3600;
        let what = format!(
            "the registry answers with an account log that ends {hours} hours ago: it may hide what was stated since, revoked devices too"
        );
        let about: [&[u8]; 2] = [&head.root, &head.at.as_millis().to_be_bytes()];
        self.found(EvidenceKind::StaleHead, &about, what, vec![exhibit("old head", signed)]);
        if self.run.now.since(self.state.meta.stale_told_at) >= limit::HEAD_STALE {
            self.state.meta_mut().stale_told_at = self.run.now;
            self.warn(Notice::StaleLog { hours });
        }
    }

    /// Takes a verified head of the pinned registry into account. `shown` is when the registry said that this is its
    /// log: when it signed the head, or later, a reply that shows it.
    pub(super) fn meet(
        &mut self,
        signed: &SignedHead,
        head: &TreeHead,
        shown: Timestamp,
        from: Option<AccountId>,
    ) -> Fit {
        let Some(accepted) = self.accepted() else {
            if from.is_none() {
                self.accept(signed.clone(), head);
                return Fit::Known;
            }
            return self.wait(signed, from, false);
        };
        let seen = TreeHead { at: head.at.max(shown), ..head.clone() };
        if let Some(fit) = self.contradiction(signed, &seen, from) {
            return fit;
        }
        let same = |other: &TreeHead| other.size == head.size && other.root == head.root;
        if same(&accepted) {
            // The same log, signed again: the later time says more about what must not come after.
            if head.at.since(accepted.at) >= limit::HEAD_REFRESH {
                self.state.meta_mut().head = Some(signed.clone());
            }
            return Fit::Known;
        }
        if self.run.watch.proven.contains(&(head.size, head.root)) {
            return Fit::Known;
        }
        if self.state.meta.heads.iter().filter_map(|row| head_of(&row.head)).any(|other| same(&other)) {
            return Fit::Waiting;
        }
        self.wait(signed, from, false)
    }

    /// Whether a head contradicts another one that is known. Then both are evidence, at once.
    fn contradiction(
        &mut self,
        signed: &SignedHead,
        head: &TreeHead,
        from: Option<AccountId>,
    ) -> Option<Fit> {
        let known = self.state.meta.head.iter().map(|signed| (signed, None));
        let waiting = self.state.meta.heads.iter().map(|row| (&row.head, row.from));
        let (kind, other_signed, other, other_from) =
            known.chain(waiting).find_map(|(other_signed, other_from)| {
                let other = head_of(other_signed)?;
                Some((irreconcilable(head, &other)?, other_signed.clone(), other, other_from))
            })?;
        let who = from.or(other_from).map(|account| self.state.handle_of(&account));
        let what = match (kind, &who) {
            (EvidenceKind::SplitView, Some(who)) => format!(
                "the registry shows @{who} another account log than this device: both have {} entries",
                head.size
            ),
            (EvidenceKind::SplitView, None) => {
                format!("the registry signed two account logs of {} entries", head.size)
            }
            (_, Some(who)) => format!(
                "the registry shows @{who} and this device account logs that cannot be one: of {} entries, and later of {}",
                head.size.max(other.size),
                head.size.min(other.size)
            ),
            (_, None) => format!(
                "the registry went back in time: its account log had {} entries and now has {}",
                head.size.max(other.size),
                head.size.min(other.size)
            ),
        };
        // A log that grows again after a step back is found by its first contradiction, not by each of its heads.
        let about: [&[u8]; 2] = if head.size == other.size {
            [&head.root.min(other.root), &head.root.max(other.root)]
        } else if head.size > other.size {
            [&head.root, b"shorter"]
        } else {
            [&other.root, b"shorter"]
        };
        let exhibits = vec![exhibit("known head", &other_signed), exhibit("shown head", signed)];
        let kind = if who.is_some() { EvidenceKind::SplitView } else { kind };
        self.found(kind, &about, what, exhibits);
        self.state.meta_mut().doubt = true;
        // What must be proven before the registry is believed again: the accepted head is asked for anyway.
        if head.size >= other.size {
            self.wait(signed, from, true);
        } else if self.state.meta.heads.iter().any(|row| row.head == other_signed) {
            for row in &mut self.state.meta_mut().heads {
                row.disputed |= row.head == other_signed;
            }
        }
        Some(Fit::Bad)
    }

    fn wait(&mut self, signed: &SignedHead, from: Option<AccountId>, disputed: bool) -> Fit {
        if self.state.meta.heads.iter().any(|row| row.head == *signed) {
            return Fit::Waiting;
        }
        if self.state.meta.heads.len() >= limit::HEADS {
            self.skip(Skip::Heads);
            return Fit::Full;
        }
        let row = HeadRow { head: signed.clone(), from, since: self.run.now, disputed };
        self.state.meta_mut().heads.push(row);
        Fit::Waiting
    }

    /// The log is what this head says, from now on.
    fn accept(&mut self, signed: SignedHead, head: &TreeHead) {
        self.state.meta_mut().head = Some(signed);
        let cursor = self.state.meta.log_cursor;
        match cursor {
            None => self.state.meta_mut().log_cursor = Some(head.size),
            Some(cursor) if head.size.saturating_sub(cursor) > limit::LOG_CATCH_UP => {
                self.skip_log(head.size);
            }
            Some(_) => {}
        }
        if self.run.interest == Some(Interest::Everything) && self.state.registered() {
            self.follow(cipher_broker::subject::Source::Log);
        }
    }

    /// What happens at each step.
    pub(crate) fn watch_step(&mut self, step: Step) {
        match step {
            Step::Connected { whole } => {
                self.run.watch.proof_asked_at = None;
                self.run.watch.own_asked_at = None;
                if whole {
                    self.watch_own_account();
                }
                self.want_proof();
            }
            Step::Tick => {
                self.tell_evidence();
                self.want_proof();
                self.watch_own_account();
            }
            Step::BatchEnds => self.refetch_some(),
            Step::BatchEnded => {
                if let Some(due) = self.watch_due() {
                    self.run.wake_at(due);
                }
            }
            Step::Opened | Step::Disconnected => {}
        }
    }

    /// When to ask for something again.
    fn watch_due(&self) -> Option<Timestamp> {
        let now = self.run.now;
        [self.proof_due(), self.own_account_due()].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Asks for a proof of what waits, if something does and it is time.
    pub(super) fn want_proof(&mut self) {
        if self.proof_due().is_some_and(|due| self.run.now >= due) {
            self.ask_proof();
        }
    }

    /// When to ask for a proof: at once on a new connection or when enough heads came together, soon when a fellow
    /// member showed one, else after a while.
    pub(super) fn proof_due(&self) -> Option<Timestamp> {
        let meta = &self.state.meta;
        if (meta.heads.is_empty() && !meta.doubt)
            || !self.run.connected
            || !self.state.registered()
            || self.state.is_revoked()
            || self.is_proving()
            || meta.head.is_none()
        {
            return None;
        }
        let Some(asked) = self.run.watch.proof_asked_at else { return Some(self.run.now) };
        let fresh = || meta.heads.iter().filter(|row| row.since >= asked && !row.disputed);
        if fresh().count() >= limit::PROOFS_PER_REQUEST.saturating_sub(1) {
            return Some(self.run.now);
        }
        // What a fellow member was shown and the registry would not prove: a copy may be a little behind, not more.
        let behind = |row: &HeadRow| {
            row.from.is_some() && !row.disputed && row.since < asked && asked.since(row.since) < PROOF_WAIT
        };
        let wait = if fresh().any(|row| row.from.is_some()) {
            GOSSIP_WAIT
        } else if meta.heads.iter().any(behind) {
            LAG_WAIT
        } else if meta.doubt {
            DOUBT_WAIT
        } else {
            PROOF_WAIT
        };
        Some(asked.plus(wait))
    }

    fn is_proving(&self) -> bool {
        self.run.registry.questions().any(|question| matches!(question.purpose, QuestionReason::Prove { .. }))
    }

    /// R-KT-02: a longer head is accepted only with a proof that it continues the accepted one, and that every
    /// other head that was shown is a beginning of it too.
    fn ask_proof(&mut self) {
        let Some(accepted) = self.state.meta.head.clone() else { return };
        // What the registry says it does not have is not asked of it: one size too many refuses all.
        let cap = self.run.watch.proof_cap.take().unwrap_or(u64::MAX);
        let mut rows: Vec<&HeadRow> = self.state.meta.heads.iter().collect();
        rows.sort_by_key(|row| (!row.disputed, row.since));
        let mut heads = vec![(accepted, None)];
        for row in rows {
            if heads.len() < limit::PROOFS_PER_REQUEST
                && head_of(&row.head).is_some_and(|head| head.size <= cap)
            {
                heads.push((row.head.clone(), row.from));
            }
        }
        let sizes = heads.iter().filter_map(|(head, _)| head_of(head)).map(|head| head.size).collect();
        self.run.watch.proof_asked_at = Some(self.run.now);
        self.ask(Operation::ProveConsistency { sizes }, QuestionReason::Prove { heads }, None);
    }

    /// The registry answered with proofs.
    pub(crate) fn proofs_shown(
        &mut self,
        heads: &[(SignedHead, Option<AccountId>)],
        shown: &SignedHead,
        proofs: &[ByteBuf],
    ) -> Result<()> {
        let key = self.state.registry_key().unwrap_or_default();
        let now = TreeHead::open(shown, &key).map_err(|error| {
            ErrorKind::Trust.because_of("the registry's account log cannot be checked", error)
        })?;
        let (mut first_holds, mut all) = (false, true);
        for (place, (signed, from)) in heads.iter().enumerate() {
            let Some(head) = head_of(signed) else { continue };
            if head.size > now.size {
                // Shorter than asked for: a step back is found by the times of both, a slow copy catches up.
                all = false;
                continue;
            }
            let proof = proofs.get(place).map_or(&[][..], |proof| proof.as_slice());
            if now.extends(&head, proof).is_ok() {
                first_holds |= place == 0;
                self.proven(signed, &head);
            } else {
                all = false;
                self.not_proven(signed, &head, *from, shown, &now, proof);
            }
        }
        if first_holds && self.accepted().is_none_or(|known| known.size < now.size) {
            self.accept(shown.clone(), &now);
        }
        let disputed = self.state.meta.heads.iter().any(|row| row.disputed);
        if first_holds && all && !disputed && self.state.meta.doubt {
            self.state.meta_mut().doubt = false;
            self.warn(Notice::LogFits);
        }
        self.want_proof();
        Ok(())
    }

    fn proven(&mut self, signed: &SignedHead, head: &TreeHead) {
        if self.state.meta.heads.iter().any(|row| row.head == *signed) {
            self.state.meta_mut().heads.retain(|row| row.head != *signed);
        }
        if self.run.watch.proven.len() >= limit::HEADS {
            self.run.watch.proven.clear();
        }
        self.run.watch.proven.insert((head.size, head.root));
    }

    /// R-KT-04: both heads and the proof that does not lead from one to the other are kept.
    fn not_proven(
        &mut self,
        signed: &SignedHead,
        head: &TreeHead,
        from: Option<AccountId>,
        shown: &SignedHead,
        now: &TreeHead,
        proof: &[u8],
    ) {
        // What is disputed already is evidence already.
        if self.state.meta.heads.iter().any(|row| row.head == *signed && row.disputed) {
            return;
        }
        let what = match from {
            Some(who) => format!(
                "the registry showed @{} an account log of {} entries that is not the beginning of the one it shows this device",
                self.state.handle_of(&who),
                head.size
            ),
            None => format!(
                "the registry replaced its history: its log of {} entries does not continue the {} entries it showed before",
                now.size, head.size
            ),
        };
        let kind = found_kind(from.is_some());
        let exhibits = vec![
            exhibit("known head", signed),
            exhibit("shown head", shown),
            ("proof that does not hold".into(), proof.to_vec()),
        ];
        self.found(kind, &[&head.size.to_be_bytes(), &head.root], what, exhibits);
        let meta = self.state.meta_mut();
        meta.doubt = true;
        for row in &mut meta.heads {
            row.disputed |= row.head == *signed;
        }
    }

    /// The registry would not prove, and signed that.
    pub(crate) fn proof_refused(
        &mut self,
        heads: &[(SignedHead, Option<AccountId>)],
        refusal: &Refusal,
        size: Option<u64>,
    ) {
        let passing = matches!(
            refusal.code,
            Code::Quota | Code::Internal | Code::ClockSkew | Code::Replayed | Code::Revoked | Code::Blocked
        );
        let longest = heads
            .iter()
            .filter_map(|(signed, from)| Some((head_of(signed)?, signed, from)))
            .max_by_key(|(head, ..)| head.size);
        let Some((longest, signed, from)) = longest else { return };
        let has = size.unwrap_or(0);
        let accepted_fits = self.accepted().is_some_and(|head| head.size <= has);
        if !passing && longest.size > has && accepted_fits {
            // One of them is longer than what the registry has: ask for the others. The long one is judged by
            // the times of the heads, because a copy of the registry may only be slow.
            self.run.watch.proof_cap = Some(has);
            self.ask_proof();
            return;
        }
        let waits_long =
            self.state.meta.heads.iter().any(|row| self.run.now.since(row.since) > limit::HEAD_STALE);
        if (!passing && longest.size <= has) || waits_long {
            let what = format!(
                "the registry does not prove that its account log continues the {} entries it showed before",
                longest.size
            );
            let kind = found_kind(from.is_some());
            let about: [&[u8]; 2] = [&longest.size.to_be_bytes(), &longest.root];
            self.found(kind, &about, what, vec![exhibit("known head", signed)]);
            self.state.meta_mut().doubt = true;
        }
    }

    /// R-KT-03: a record comes with proof that the account's latest statement is in a log that fits ours.
    pub(crate) fn included(&mut self, record: &AccountRecord, log: &AccountLog) -> Result<()> {
        let Some(inclusion) = &record.inclusion else {
            return if self.state.meta.head.is_none() {
                // A registry from before there was an account log.
                Ok(())
            } else {
                Err(bad_record(record, "it comes without proof that the account log holds it"))
            };
        };
        let key = self.state.registry_key().unwrap_or_default();
        let head =
            TreeHead::open(&inclusion.head, &key).map_err(|error| bad_record(record, &error.to_string()))?;
        let latest = log.statements().last().map(account_log::leaf).unwrap_or_default();
        if head.includes(inclusion.index, &latest, &inclusion.proof).is_err() {
            let what = format!(
                "the registry shows a record of @{} that its own account log does not hold",
                record.handle
            );
            let about: [&[u8]; 2] = [record.account.as_bytes(), &wire_hash(&latest)];
            self.found(EvidenceKind::NotProven, &about, what, vec![exhibit("account record", record)]);
            return Err(bad_record(record, "the account log does not hold it"));
        }
        match self.meet(&inclusion.head, &head, head.at, None) {
            Fit::Known | Fit::Waiting => Ok(()),
            Fit::Bad => Err(in_doubt()),
            Fit::Full => Err(ErrorKind::Trust
                .because("the registry shows more and more account logs and proves none of them")
                .hint(Advice::TryLater)),
        }
    }

    /// A fellow member passed on the head it accepted (gossip): the registry cannot rewrite it here.
    pub(crate) fn gossiped(&mut self, group: GroupId, from: AccountId, signed: &SignedHead) {
        let Some(key) = self.state.registry_key() else { return };
        match TreeHead::open(signed, &key) {
            Ok(head) => {
                self.meet(signed, &head, head.at, Some(from));
                self.want_proof();
            }
            Err(_) => {
                self.skip(Skip::Gossip);
                let foreign =
                    head_of(signed).is_some_and(|head| TreeHead::open(signed, &head.registry_key).is_ok());
                if foreign && self.run.watch.foreign_gossip.insert(group) {
                    let (who, name) = (self.state.handle_of(&from), self.state.conversation_name(&group));
                    self.warn(Notice::ForeignRegistry { who, group, name });
                }
            }
        }
    }

    /// The head to pass on with a message to a group, at most once per [`limit::GOSSIP_EVERY`].
    pub(crate) fn gossip(&mut self, group: GroupId) -> Option<SignedHead> {
        let head = self.state.meta.head.clone()?;
        let now = self.run.now;
        let row = self.state.groups.get(&group)?;
        if now.since(row.gossiped_at) < limit::GOSSIP_EVERY {
            return None;
        }
        self.state.groups.get_mut(&group)?.gossiped_at = now;
        Some(head)
    }
}

/// What a failed proof is called: what somebody else was shown makes it two views.
const fn found_kind(gossiped: bool) -> EvidenceKind {
    if gossiped { EvidenceKind::SplitView } else { EvidenceKind::NotProven }
}

/// Why an answer of a registry that was caught is not used.
pub(super) fn in_doubt() -> Error {
    ErrorKind::Trust
        .because("the registry's account log does not fit what it showed before: it went back in time, or shows different people different things")
        .hint(Hint::Audit)
}

#[cfg(test)]
#[path = "head_test.rs"]
mod tests;
