//! Commands that need several answers of the registry before anything changes: look handles up, take key
//! packages, and only then act. An errand that fails leaves nothing behind.

use std::collections::BTreeSet;

use cipher_api::{Advice, Error, ErrorKind, Notice, Reply, Result};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::registry::{ClaimedKeyPackage, Operation};

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::question::QuestionReason;
use crate::state::suite::{POST_QUANTUM_SUITE, SUITE};
use crate::state::{Joiner, Words};

/// An errand.
#[derive(Debug)]
pub(super) struct Errand {
    pub ticket: Option<Ticket>,
    goal: Goal,
    /// Handles not looked up yet.
    resolving: BTreeSet<Handle>,
    /// Accounts that were found, in the order asked for.
    accounts: Vec<AccountId>,
    /// Accounts whose key packages are on their way.
    claiming: BTreeSet<AccountId>,
    joiners: Vec<Joiner>,
    /// Accounts whose key packages cannot be had or used, and why: the others go on without them.
    left_out: Vec<(AccountId, Error)>,
}

/// What it is for.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// Show an account.
    ShowProfile,
    /// Block an account that was not known yet.
    Block,
    /// Show the safety number with an account.
    Verify,
    /// Make a group with these members.
    Create { name: String, post_quantum: bool },
    /// Add them to a group.
    Add { group: GroupId },
    /// Open a direct conversation as a contact request.
    Contact { text: Option<String> },
    /// Open a direct conversation and say something.
    Say(Words),
    /// Learn whether something can be said to them.
    Reach,
}

impl Core {
    /// Looks these handles up, and then does what the goal says.
    pub(crate) fn begin_errand(
        &mut self,
        ticket: Option<Ticket>,
        goal: Goal,
        handles: Vec<Handle>,
    ) -> Result<()> {
        self.state.identity()?;
        let id = self.run.volatile_id();
        let resolving: BTreeSet<Handle> = handles.into_iter().collect();
        for handle in &resolving {
            self.ask(
                Operation::Resolve { handle: handle.clone() },
                QuestionReason::Resolve { errand: id, handle: handle.clone() },
                None,
            );
        }
        let errand = Errand {
            ticket,
            goal,
            resolving,
            accounts: vec![],
            claiming: BTreeSet::new(),
            joiners: vec![],
            left_out: vec![],
        };
        self.run.registry.errands.insert(id, errand);
        Ok(())
    }

    pub(super) fn fail_errand(&mut self, id: u64, error: Error) {
        if let Some(errand) = self.run.registry.errands.remove(&id)
            && let Some(ticket) = errand.ticket
        {
            let known = self.known_without_registry(&errand, &error);
            self.run.reply(ticket, known.ok_or(error));
        }
    }

    /// Who is known is shown without the registry, as it was when it last answered.
    fn known_without_registry(&mut self, errand: &Errand, error: &Error) -> Option<Reply> {
        if error.kind != ErrorKind::Unreachable || !matches!(errand.goal, Goal::ShowProfile) {
            return None;
        }
        let account = errand.resolving.first().and_then(|handle| self.state.account_of(handle))?;
        let view = self.profile_view(&account).ok()?;
        self.warn(Notice::ShownAsKnown { handle: view.handle.clone() });
        Some(Reply::Account(Box::new(view)))
    }

    /// A handle was looked up and pinned.
    pub(super) fn errand_resolved(&mut self, id: u64, account: AccountId) -> Result<()> {
        let handle = self.state.handle_of(&account);
        let Some(errand) = self.run.registry.errands.get_mut(&id) else { return Ok(()) };
        errand.resolving.retain(|waiting| waiting.as_str() != handle);
        errand.accounts.push(account);
        if !errand.resolving.is_empty() {
            return Ok(());
        }
        let (goal, accounts) = (errand.goal.clone(), errand.accounts.clone());
        if let Goal::Add { group } = &goal {
            // We may have left, or been removed, since it was asked.
            self.state.must_be_active(*group)?;
        }
        let suite = match &goal {
            Goal::ShowProfile | Goal::Block | Goal::Verify => return self.finish_errand(id),
            Goal::Create { post_quantum: true, .. } => POST_QUANTUM_SUITE.into(),
            Goal::Create { .. } | Goal::Contact { .. } | Goal::Say(_) | Goal::Reach => SUITE.into(),
            Goal::Add { group } => self.state.groups.get(group).map_or(SUITE.into(), |row| row.suite),
        };
        for account in &accounts {
            if *account == self.state.own_id() {
                return Err(ErrorKind::Usage.because("one cannot invite oneself"));
            }
            self.state.must_not_be_blocked(account)?;
            self.state.must_be_unchanged(account)?;
        }
        if matches!(goal, Goal::Reach) {
            return self.finish_errand(id);
        }
        // Somebody may have opened the conversation from the other side in the meantime.
        if let (Goal::Contact { .. } | Goal::Say(_), [account]) = (&goal, accounts.as_slice())
            && (self.state.direct_with(account).is_some() || self.state.direct_invite_of(account).is_some())
        {
            return self.finish_errand(id);
        }
        let mut claiming = BTreeSet::new();
        for account in accounts {
            if let Goal::Add { group } = &goal
                && self.has_member(*group, &account)?
            {
                continue;
            }
            claiming.insert(account);
            self.ask(
                Operation::ClaimKeyPackages { account, suite, device: None },
                QuestionReason::Claim { errand: id, account },
                None,
            );
        }
        let nobody = claiming.is_empty();
        if let Some(errand) = self.run.registry.errands.get_mut(&id) {
            errand.claiming = claiming;
        }
        if nobody { self.finish_errand(id) } else { Ok(()) }
    }

    /// Key packages of one account arrived.
    pub(super) fn errand_claimed(
        &mut self,
        id: u64,
        account: AccountId,
        packages: Vec<ClaimedKeyPackage>,
    ) -> Result<()> {
        let Some(errand) = self.run.registry.errands.get(&id) else { return Ok(()) };
        let suite: u16 = match &errand.goal {
            Goal::Create { post_quantum: true, .. } => POST_QUANTUM_SUITE.into(),
            Goal::Add { group } => self.state.groups.get(group).map_or(SUITE.into(), |row| row.suite),
            _ => SUITE.into(),
        };
        // A device that cannot be added does not keep the account's others out.
        let (mut joiners, mut unfit) = (Vec::new(), None);
        for package in packages {
            let joiner = Joiner { account, device: package.device, key_package: package.key_package };
            match self.judge_key_package(&joiner, suite) {
                Ok(_) => joiners.push(joiner),
                Err(error) => unfit = Some(error),
            }
        }
        if joiners.is_empty() {
            return Err(unfit.unwrap_or_else(|| {
                ErrorKind::Limit
                    .because(format!("{} has no key package left", self.state.named(&account)))
                    .hint(Advice::AccountMustRefill)
            }));
        }
        let Some(errand) = self.run.registry.errands.get_mut(&id) else { return Ok(()) };
        errand.joiners.extend(joiners);
        errand.claiming.remove(&account);
        if errand.claiming.is_empty() { self.finish_errand(id) } else { Ok(()) }
    }

    /// The key packages of one account cannot be had or used: it is left out, and named. Whether that was it.
    pub(super) fn claim_in_vain(&mut self, id: u64, account: AccountId, error: &Error) -> Result<bool> {
        let Some(errand) = self.run.registry.errands.get_mut(&id) else { return Ok(false) };
        // Of a registry that is not there, nobody's key packages can be had.
        if error.kind == ErrorKind::Unreachable || errand.accounts.len() < 2 {
            return Ok(false);
        }
        errand.claiming.remove(&account);
        errand.left_out.push((account, error.clone()));
        if errand.claiming.is_empty() {
            self.finish_errand(id)?;
        }
        Ok(true)
    }

    /// Says who was left out of what was done.
    fn tell_left_out(&mut self, left_out: &[(AccountId, Error)]) {
        for (account, error) in left_out {
            let whose = self.state.named(account);
            self.warn(Notice::LeftOut {
                who: whose,
                group: None,
                name: None,
                error: Box::new(error.clone()),
            });
        }
    }

    /// Everything is here: act.
    fn finish_errand(&mut self, id: u64) -> Result<()> {
        let Some(errand) = self.run.registry.errands.remove(&id) else { return Ok(()) };
        let ticket = errand.ticket;
        let done = self.act(errand);
        match (done, ticket) {
            (Ok(Some(reply)), Some(ticket)) => self.run.reply(ticket, Ok(reply)),
            (Err(error), _) if crate::machine::fatal(&error) => return Err(error),
            (Err(error), Some(ticket)) => self.run.reply(ticket, Err(error)),
            (Ok(_) | Err(_), _) => {}
        }
        Ok(())
    }

    fn act(&mut self, errand: Errand) -> Result<Option<Reply>> {
        let first = errand.accounts.first().copied();
        // Nobody can come: nothing is made that nobody wanted.
        if errand.joiners.is_empty()
            && let Some((_, error)) = errand.left_out.first()
        {
            let error = error.clone();
            self.tell_left_out(errand.left_out.get(1..).unwrap_or_default());
            return Err(error);
        }
        self.tell_left_out(&errand.left_out);
        match errand.goal {
            Goal::Create { .. } | Goal::Add { .. } => {
                self.members_found(errand.goal, errand.joiners, errand.ticket)
            }
            goal => {
                let account = first.ok_or_else(|| ErrorKind::Bug.because("an errand without account"))?;
                self.person_found(goal, account, errand.joiners, errand.ticket)
            }
        }
    }
}
