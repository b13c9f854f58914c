//! Bringing the leaves of groups in line with what accounts stated about their devices.
//!
//! Declarative: what has to go and to come follows from the roster and the accounts' logs, and is worked out anew
//! whenever a commit is made, so a lost race or a restart costs nothing. That there is something to do is a row (an
//! intent of [`Wish::Devices`]), made in the batch in which a log grew or a roster changed.
//!
//! Whose turn it is: whoever stated it, then the account's own other devices, then people by role and leaf, each waiting
//! a little longer, since it was stated, than the one before. So a revoked device goes as soon as any member's agent is
//! there, and a process that runs for a moment need not wait.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::Result;
use cipher_api::view::{ContactState, GroupState};
use cipher_broker::account_log::{self, AccountLog};
use cipher_broker::certificate::{DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::{GroupData, Role};
use cipher_broker::wire::registry::{ClaimedKeyPackage, Operation};
use cipher_broker::wire::statement::{Statement, StatementKind};
use openmls::prelude::{KeyPackage, MlsGroup};

use crate::group::{ShownStatement, turn};
use crate::machine::Core;
use crate::own::device::active_only;
use crate::registry::question::QuestionReason;
use crate::state::live::Live;
use crate::state::{IntentRow, Joiner, Skip, Wish, roster};

/// Most leaves that come or go by one commit; the rest follows in the next.
const DEVICES_PER_COMMIT: usize = 20;

/// Attempts to get a key package of a recovered device, about two minutes long, before its account goes without it.
const PATIENCE: u32 = 9;

/// Additions of one device that fail before its account goes without it.
const UNFIT: u32 = 3;

/// How asking for key packages of one device goes.
#[derive(Debug, Default)]
pub(super) struct ClaimAttempts {
    /// Questions without an answer.
    asked: u32,
    /// The last one brought a package.
    works: bool,
    attempts: u32,
    not_before: Timestamp,
    /// Times a package of it was here and could not be added.
    unfit: u32,
}

/// What a group's roster lacks or has too much.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Leaves of revoked devices, with the statement that revoked them.
    gone: Vec<(u32, AccountId, Signed)>,
    /// Devices that belong into the group.
    coming: Vec<Coming>,
}

/// One that comes.
#[derive(Debug)]
struct Coming {
    account: AccountId,
    device: DeviceId,
    /// The certificate that the account stated.
    certificate: [u8; 32],
    /// The recovery that brings it; none for devices of the own account.
    evidence: Option<Signed>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.coming.is_empty()
    }

    /// When the last of what it is about was stated, by its account's clock.
    fn stated_at(&self) -> Option<Timestamp> {
        let gone = self.gone.iter().map(|(.., signed)| signed);
        let statements = gone.chain(self.coming.iter().filter_map(|coming| coming.evidence.as_ref()));
        statements.filter_map(|signed| Some(codec::decode::<Statement>(&signed.body).ok()?.at)).max()
    }
}

/// What of a plan can be committed now.
#[derive(Debug, Default)]
pub(super) struct DeviceChanges {
    pub adds: Vec<(KeyPackage, DeviceId)>,
    pub removes: Vec<u32>,
    pub evidence: Vec<Signed>,
}

impl DeviceChanges {
    fn show(&mut self, statement: &Signed) {
        if !self.evidence.contains(statement) {
            self.evidence.push(statement.clone());
        }
    }
}

impl Core {
    /// Looks at the groups of accounts whose log grew.
    pub(super) fn reconcile_changed(&mut self) -> Result<()> {
        while let Some(account) = self.run.group.accounts_changed.pop_first() {
            let own = account == self.state.own_id();
            if own {
                self.own_log_changed()?;
            }
            // Others' new devices are their own business.
            let matters = |log: &AccountLog| {
                own || log.devices().any(|(_, state)| !state.is_active()) || log.recovery().is_some()
            };
            if !self.state.log_of(&account).is_some_and(matters) {
                continue;
            }
            for group in self.state.groups.keys() {
                if self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Active) {
                    self.reconcile_group(group)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a group has to be brought in line, if it has to be.
    pub(super) fn reconcile_group(&mut self, group: GroupId) -> Result<()> {
        let was_loaded = self.groups.has(&group);
        let plan = self.with_live(group, |core, live| Ok(core.plan(live)))?;
        if !was_loaded {
            // Many groups are only looked at: they need not stay in memory.
            self.groups.remove(&group);
        }
        if !plan.is_empty() {
            self.note_coming(group, &plan);
            self.want_devices(group);
        }
        Ok(())
    }

    /// The same for a group that is at hand.
    pub(super) fn reconcile_live(&mut self, group: GroupId, live: &Live) {
        self.run.group.devices_seen.remove(&group);
        let plan = self.plan(live);
        if !plan.is_empty() {
            self.note_coming(group, &plan);
            self.want_devices(group);
        }
    }

    fn note_coming(&mut self, group: GroupId, plan: &Plan) {
        self.run.group.coming.insert(group, plan.coming.iter().map(|coming| coming.device).collect());
    }

    fn want_devices(&mut self, group: GroupId) {
        if self.devices_intent(group).is_none() {
            let id = self.state.next_id();
            self.state.intents.insert(id, IntentRow { group, wish: Wish::Devices { joiners: Vec::new() } });
        }
        self.run.touched.insert(group);
    }

    fn devices_intent(&self, group: GroupId) -> Option<(u64, &Vec<Joiner>)> {
        self.state.intents.iter().find_map(|(id, intent)| match &intent.wish {
            Wish::Devices { joiners } if intent.group == group => Some((*id, joiners)),
            _ => None,
        })
    }

    /// What the accounts' logs say that the roster does not.
    fn plan(&self, live: &Live) -> Plan {
        let mut plan = Plan::default();
        let own = self.state.identity.as_ref().filter(|own| own.registered && !own.revoked);
        let Some(own) = own else { return plan };
        let accounts = roster::accounts(&live.roster);
        for account in accounts {
            let Some(log) = self.state.log_of(&account) else { continue };
            let leaves = || live.roster.iter().filter(|(_, leaf)| leaf.account == account);
            let mut stays = false;
            for (index, leaf) in leaves() {
                match log.revocation_of(&leaf.device, &leaf.certificate) {
                    Some(statement) => plan.gone.push((*index, account, statement.clone())),
                    None => stays = true,
                }
            }
            let missing = |device: &DeviceId| !leaves().any(|(_, leaf)| leaf.device == *device);
            if account == own.account {
                if own.kind == Kind::Bot {
                    continue;
                }
                for (device, state) in log.active().filter(|(device, _)| missing(device)) {
                    let (device, certificate) = (*device, state.certificate);
                    plan.coming.push(Coming { account, device, certificate, evidence: None });
                }
            } else if !stays
                // Whom this person wants nothing of is brought back by others, if at all.
                && self.state.contact_state(&account) != Some(ContactState::Blocked)
                && let Some((statement, stated)) = log.recovery()
                && let StatementKind::Recover { device, certificate } = stated.claim
                && log.is_active(&device)
            {
                let evidence = Some(statement.clone());
                plan.coming.push(Coming { account, device, certificate, evidence });
            }
        }
        plan
    }

    /// The wish to bring a group in line, when it is our turn and something can be committed. What is missing for
    /// the rest is asked for.
    pub(super) fn devices_wish(
        &mut self,
        group: GroupId,
        leavers: &BTreeSet<u32>,
    ) -> Result<Option<(u64, Wish)>> {
        let Some((id, joiners)) = self.devices_intent(group).filter(|_| !self.state.is_lost(&group)) else {
            return Ok(None);
        };
        let joiners = joiners.clone();
        let plan = self.with_live(group, |core, live| Ok(core.plan(live)))?;
        if plan.is_empty() {
            self.run.group.devices_seen.remove(&group);
            self.run.group.coming.remove(&group);
            self.state.intents.remove(&id);
            return Ok(None);
        }
        self.note_coming(group, &plan);
        if !self.is_devices_turn(group, &plan, leavers)? {
            return Ok(None);
        }
        let joiners = self.still_good(group, id, joiners);
        for coming in &plan.coming {
            if !joiners.iter().any(|joiner| joiner.device == coming.device) {
                self.claim_device(group, coming.account, coming.device);
            }
        }
        let now = self.with_live(group, |core, live| Ok(core.device_changes(live, &joiners, leavers)))?;
        let some = !now.adds.is_empty() || !now.removes.is_empty();
        Ok(some.then_some((id, Wish::Devices { joiners })))
    }

    /// Key packages that can be added now. One that ran out while its group could not be committed in is asked for anew.
    fn still_good(&mut self, group: GroupId, id: u64, mut joiners: Vec<Joiner>) -> Vec<Joiner> {
        let suite = self.state.groups.get(&group).map_or(0, |row| row.suite);
        let before = joiners.len();
        joiners.retain(|joiner| self.judge_key_package(joiner, suite).is_ok());
        if joiners.len() != before
            && let Some(intent) = self.state.intents.get_mut(&id)
        {
            intent.wish = Wish::Devices { joiners: joiners.clone() };
        }
        joiners
    }

    /// What of the plan the group's rules let us do with the key packages that are here.
    pub(super) fn device_changes(
        &self,
        live: &Live,
        joiners: &[Joiner],
        leavers: &BTreeSet<u32>,
    ) -> DeviceChanges {
        let plan = self.plan(live);
        let mut changes = DeviceChanges::default();
        let suite = live.mls.ciphersuite().into();
        // One that failed before comes alone, so that it spoils no other.
        let unfit = |device: &DeviceId| self.run.group.claims.get(device).map_or(0, |claims| claims.unfit);
        let mut in_order: Vec<&Coming> = plan.coming.iter().collect();
        in_order.sort_by_key(|coming| unfit(&coming.device));
        for coming in in_order.into_iter().take(DEVICES_PER_COMMIT) {
            if unfit(&coming.device) > 0 && !changes.adds.is_empty() {
                break;
            }
            let joiner = joiners
                .iter()
                .find(|joiner| joiner.account == coming.account && joiner.device == coming.device);
            let Some(package) = joiner.and_then(|joiner| self.judge_key_package(joiner, suite).ok()) else {
                continue;
            };
            let stated = roster::prove_leaf(package.leaf_node())
                .is_ok_and(|leaf| coming.evidence.is_none() || leaf.certificate == coming.certificate);
            if stated {
                changes.adds.push((package, coming.device));
                if let Some(evidence) = &coming.evidence {
                    changes.show(evidence);
                }
            }
        }
        let brought = |account: &AccountId| {
            plan.coming.iter().any(|coming| {
                coming.account == *account && changes.adds.iter().any(|(_, device)| *device == coming.device)
            })
        };
        let own = live.mls.own_leaf_index().u32();
        let mut removes = Vec::new();
        let mut shown: Vec<Signed> = Vec::new();
        for (index, account, statement) in plan.gone.iter().take(DEVICES_PER_COMMIT) {
            if *index == own || leavers.contains(index) {
                continue;
            }
            let stays = live.roster.iter().any(|(other, leaf)| {
                leaf.account == *account && !plan.gone.iter().any(|(gone, ..)| gone == other)
            });
            // R-COMMIT-16: a recovery does not put an account out, so its new device must be at hand.
            if !stays
                && !brought(account)
                && let Some(log) = self.state.log_of(account)
                && let Some(recovered) = recovered_by(statement).map(|first| last_recovered(log, first))
            {
                let may = self.may_remove(&live.data, account);
                match log.revocation(&recovered) {
                    Some(gone_too) if !may => shown.push(gone_too.clone()),
                    Some(_) => {}
                    // Whoever may remove the account anyway does so when there is no new device to be had.
                    None if may && self.gave_up(&recovered) => {}
                    None => continue,
                }
            }
            removes.push(*index);
            shown.push(statement.clone());
        }
        shown.iter().for_each(|statement| changes.show(statement));
        changes.removes = removes;
        changes
    }

    /// Whether a device was asked for in vain long enough.
    fn gave_up(&self, device: &DeviceId) -> bool {
        let given_up = |claims: &ClaimAttempts| claims.attempts >= PATIENCE || claims.unfit >= UNFIT;
        self.run.group.claims.get(device).is_some_and(given_up)
    }

    /// Whether the own role alone allows to remove an account's device.
    fn may_remove(&self, data: &GroupData, account: &AccountId) -> bool {
        let (own, theirs) = (data.role_of(&self.state.own_id()), data.role_of(account));
        *account == self.state.own_id() || own == Role::Owner || (own == Role::Admin && own > theirs)
    }

    /// Whether it is on us: an account's other devices first, then people by role and leaf. Devices of an account
    /// that is there only come by its own.
    fn is_devices_turn(&mut self, group: GroupId, plan: &Plan, leavers: &BTreeSet<u32>) -> Result<bool> {
        let own = self.state.own_id();
        let rank = self.with_live(group, |_, live| {
            let gone = plan.gone.iter().map(|(_, account, _)| (*account, false));
            let coming = plan.coming.iter().map(|coming| (coming.account, coming.evidence.is_none()));
            let ranks = gone.chain(coming).filter_map(|(account, own_only)| {
                turn::rank(live, |index, leaf| {
                    let takes_part = !leavers.contains(&index)
                        && !plan.gone.iter().any(|(gone, ..)| *gone == index)
                        && (!own_only || leaf.account == own);
                    takes_part.then_some(leaf.account != account)
                })
            });
            Ok(ranks.min())
        })?;
        // Whoever stated it carries it out.
        let ours = plan.gone.iter().any(|(.., signed)| self.run.watch.stated(&account_log::leaf(signed)));
        if ours {
            return Ok(true);
        }
        let seen = *self.run.group.devices_seen.entry(group).or_insert(self.run.now);
        // Since it was stated, where that is known: a process that runs for a moment, long after, need not wait.
        let since = plan.stated_at().map_or(seen, |stated| stated.min(seen));
        Ok(self.is_time(since.plus(turn::after(turn::STEP, rank))))
    }

    /// Asks for a key package of a device. One question first, whether there is any: a device that was just made is
    /// about to bring them.
    fn claim_device(&mut self, group: GroupId, account: AccountId, device: DeviceId) {
        let now = self.run.now;
        let asked = self.run.registry.questions().any(|question| {
            matches!(question.purpose, QuestionReason::ClaimDevice { group: g, device: d, .. } if (g, d) == (group, device))
        });
        let claims = self.run.group.claims.entry(device).or_default();
        if asked || (claims.asked > 0 && !claims.works) {
            return;
        }
        if now < claims.not_before {
            let at = claims.not_before;
            return self.run.wake_at(at);
        }
        claims.asked = claims.asked.saturating_add(1);
        let suite = self.state.groups.get(&group).map_or(0, |row| row.suite);
        self.ask(
            Operation::ClaimKeyPackages { account, suite, device: Some(device) },
            QuestionReason::ClaimDevice { group, account, device },
            None,
        );
    }

    /// A key package of a device that has to come is here.
    pub(crate) fn device_claimed(
        &mut self,
        group: GroupId,
        account: AccountId,
        device: DeviceId,
        packages: Vec<ClaimedKeyPackage>,
    ) -> Result<()> {
        let package = packages.into_iter().find(|package| package.device == device);
        let suite = self.state.groups.get(&group).map_or(0, |row| row.suite);
        let joiner = package.map(|package| Joiner { account, device, key_package: package.key_package });
        let judged =
            joiner.map(|joiner| self.judge_key_package(&joiner, suite).map(|_| joiner)).transpose()?;
        let Some(joiner) = judged else {
            self.claim_again(device);
            return Ok(());
        };
        let claims = self.run.group.claims.entry(device).or_default();
        claims.asked = claims.asked.saturating_sub(1);
        (claims.works, claims.attempts) = (true, 0);
        let intent = self.devices_intent(group).map(|(id, _)| id);
        if let Some(Wish::Devices { joiners }) =
            intent.and_then(|id| self.state.intents.get_mut(&id)).map(|intent| &mut intent.wish)
        {
            joiners.retain(|known| known.device != device);
            joiners.push(joiner);
        }
        // Other groups waited for this to work.
        self.touch_devices();
        Ok(())
    }

    /// A claim failed: tries again, less and less often. Whether it was one.
    pub(crate) fn claim_failed(&mut self, purpose: &QuestionReason) -> bool {
        let QuestionReason::ClaimDevice { device, .. } = purpose else { return false };
        self.claim_again(*device);
        true
    }

    fn claim_again(&mut self, device: DeviceId) {
        let claims = self.run.group.claims.entry(device).or_default();
        claims.asked = claims.asked.saturating_sub(1);
        self.claim_later(device);
    }

    fn claim_later(&mut self, device: DeviceId) {
        let now = self.run.now;
        let claims = self.run.group.claims.entry(device).or_default();
        claims.works = false;
        claims.attempts = claims.attempts.saturating_add(1);
        // A package that is good to look at and cannot be added would be asked for again and again.
        let times = claims.attempts.max(claims.unfit.saturating_mul(3)).min(8);
        let wait = Duration::from_millis(250u64.saturating_mul(1 << times));
        claims.not_before = now.plus(wait);
        let at = claims.not_before;
        self.run.wake_at(at);
    }

    /// The commit could not be made with the devices that come: a failed addition counts as a failed claim, and the
    /// rest goes on without it. Whether there was one. Removals never wait for additions.
    pub(super) fn additions_failed(&mut self, group: GroupId, leavers: &BTreeSet<u32>) -> Result<bool> {
        let Some((id, joiners)) = self.devices_intent(group).map(|(id, joiners)| (id, joiners.clone()))
        else {
            return Ok(false);
        };
        let tried: BTreeSet<DeviceId> = self.with_live(group, |core, live| {
            let changes = core.device_changes(live, &joiners, leavers);
            Ok(changes.adds.into_iter().map(|(_, device)| device).collect())
        })?;
        for device in &tried {
            let claims = self.run.group.claims.entry(*device).or_default();
            claims.unfit = claims.unfit.saturating_add(1);
            self.claim_later(*device);
        }
        if let Some(Wish::Devices { joiners }) =
            self.state.intents.get_mut(&id).map(|intent| &mut intent.wish)
        {
            joiners.retain(|joiner| !tried.contains(&joiner.device));
        }
        Ok(!tried.is_empty())
    }

    /// The registry hints that something of the own account changed: a device that had no key packages may have
    /// brought them.
    pub(crate) fn claim_now(&mut self) {
        let now = self.run.now;
        let waiting = self.run.group.claims.values_mut().filter(|claims| claims.not_before > now);
        waiting.for_each(|claims| claims.not_before = now);
        self.touch_devices();
    }

    /// Looks again at every group that has to be brought in line.
    fn touch_devices(&mut self) {
        let waiting =
            self.state.intents.iter().filter(|(_, intent)| matches!(intent.wish, Wish::Devices { .. }));
        let waiting: Vec<GroupId> = waiting.map(|(_, intent)| intent.group).collect();
        self.run.touched.extend(waiting);
    }

    /// Bringing a group in line failed for good, as it is now: the next change of it tries again.
    pub(super) fn devices_failed(&mut self, group: GroupId) {
        if let Some((id, _)) = self.devices_intent(group) {
            self.state.intents.remove(&id);
        }
        self.skip(Skip::Devices);
    }

    /// What a merged commit showed of accounts' statements: whoever did not hear of it elsewhere hears it here. The
    /// registry may have hidden it (G05).
    pub(super) fn evidence_seen(
        &mut self,
        evidence: &[ShownStatement],
        mls: Option<&MlsGroup>,
    ) -> Result<()> {
        for shown in evidence {
            let account = shown.statement.account;
            let Some(mut log) = self.state.log_of(&account).cloned() else { continue };
            let brought = shown.recovered();
            let certificate = mls.into_iter().flat_map(MlsGroup::members).find_map(|member| {
                let certificate: DeviceCertificate =
                    codec::decode(member.credential.serialized_content()).ok()?;
                (certificate.verify().ok()?.device == brought?).then_some(certificate)
            });
            if log.append(&shown.signed, certificate.as_ref()).is_ok() {
                self.log_heard(account, log);
            }
        }
        Ok(())
    }

    /// A group showed more of an account's log.
    pub(super) fn log_heard(&mut self, account: AccountId, log: AccountLog) {
        if account == self.state.own_id() {
            if let Some(mut identity) = self.state.identity.clone() {
                identity.certificates = active_only(&log, identity.certificates);
                identity.log = Some(log);
                self.state.set_identity(identity);
            }
        } else if let Some(row) = self.state.accounts.get_mut(&account) {
            row.devices = log.active().map(|(device, _)| *device).collect();
            row.log = Some(log);
        }
        self.run.group.account_changed(account);
    }
}

/// The device that a recovery brings.
/// The device of the last of several recoveries that followed each other: the ones before it went with the next.
fn last_recovered(log: &AccountLog, first: DeviceId) -> DeviceId {
    let mut last = first;
    for _ in log.devices() {
        match log.revocation(&last).and_then(recovered_by) {
            Some(next) => last = next,
            None => break,
        }
    }
    last
}

fn recovered_by(statement: &Signed) -> Option<DeviceId> {
    let statement: Statement = codec::decode(&statement.body).ok()?;
    match statement.claim {
        StatementKind::Recover { device, .. } => Some(device),
        _ => None,
    }
}
