//! What a visitor reaches: the whole profile, or what its token is for.

use std::sync::Arc;

use cipher_api::command::{BotCommand, Command, group};
use cipher_api::{Ask, Error, ErrorKind, Event, Reply, Target};
use cipher_broker::id::GroupId;

use crate::control::server::Served;
use crate::runtime::timer;
use crate::token::grant::Grant;
use crate::token::narrow;
use crate::token::pass::Pass;
use crate::token::table::{self, Place};

/// The session as one visitor reaches it. Clones reach the same.
#[derive(Debug, Clone)]
pub(super) struct Access<S> {
    /// The session itself, for what was looked at already.
    pub(super) session: S,
    pass: Option<Arc<Pass>>,
}

impl<S: Served> Access<S> {
    pub(super) fn new(session: S, pass: Option<Pass>) -> Self {
        Self { session, pass: pass.map(Arc::new) }
    }

    /// From now on no more than a token lets.
    pub(super) fn confine(&mut self, pass: Pass) {
        self.pass = Some(Arc::new(pass));
    }

    /// The token, if it came with one.
    pub(super) const fn pass(&self) -> Option<&Arc<Pass>> {
        self.pass.as_ref()
    }

    /// What the token is good for at this moment; `None` when there is no token.
    pub(super) fn grant(&self) -> Result<Option<Arc<Grant>>, Error> {
        self.pass.as_ref().map(|pass| pass.good(timer::now())).transpose()
    }

    /// Whether a method may be used.
    pub(super) fn may(&self, method: &str) -> Result<Option<Arc<Grant>>, Error> {
        let grant = self.grant()?;
        if let Some(grant) = &grant {
            grant.may(method)?;
        }
        Ok(grant)
    }

    /// Whether an event is told to it; an error once the token is over.
    pub(super) fn hears(&self, event: &Event) -> Result<bool, Error> {
        Ok(self.grant()?.is_none_or(|grant| narrow::hears(&grant, event)))
    }

    /// Asks the core, within what the token is for.
    pub(super) async fn request(&self, mut command: Command) -> Result<Reply, Error> {
        let Some(grant) = self.may(command.method())? else { return self.session.request(command).await };
        self.bound(&grant, &mut command).await?;
        let reply = self.session.request(command).await?;
        Ok(narrow::reply(&grant, reply))
    }

    /// R-TOKEN-02: a request reaches only conversations of the token. They are named by their ids from here on, so that it
    /// reaches the conversation that was looked at, whatever is renamed meanwhile.
    async fn bound(&self, grant: &Grant, command: &mut Command) -> Result<(), Error> {
        let method = command.method();
        let asks = table::asks(command);
        if let Some(name) = asks.name {
            grant.owns(name)?;
        }
        match asks.place {
            // `may` has refused both; a table that says otherwise opens nothing.
            Place::Barred => return Err(grant.lacks(&format!("the method {method}"))),
            Place::Everywhere if grant.groups.is_some() => {
                return Err(grant.lacks(&format!("{method} in all conversations")));
            }
            Place::Everywhere | Place::Narrowed => {}
            Place::Target(target) => *target = self.within(grant, target).await?,
            Place::Group(group) if grant.covers(&group) => {}
            Place::Group(group) => return Err(other(grant, &group.into())),
            Place::Message(message) => {
                message.within = match (&message.within, grant.only()) {
                    (Some(target), _) => Some(self.within(grant, target).await?),
                    (None, Some(only)) => Some(only.into()),
                    (None, None) if grant.groups.is_none() => None,
                    (None, None) => {
                        let why = "with a token for several conversations a message is named with its conversation: `within`";
                        return Err(ErrorKind::Usage.because(why));
                    }
                };
            }
        }
        if let Command::Bot(BotCommand::Events(events)) = command
            && grant.groups.is_some()
        {
            // What it may not see must not take the places of what it may.
            let groups = group::List::reply(self.session.request(group::List {}.into()).await?)?;
            events.busy.extend(groups.iter().map(|group| group.id).filter(|id| !grant.covers(id)));
        }
        Ok(())
    }

    /// The conversation of a target, if it is one of the token's. Of one that is not, the answer does not say whether it is
    /// there.
    async fn within(&self, grant: &Grant, target: &Target) -> Result<Target, Error> {
        if grant.groups.is_none() {
            return Ok(target.clone());
        }
        match self.show(target.clone()).await {
            Ok(group) if grant.covers(&group) => Ok(group.into()),
            Err(error) if !matches!(error.kind, ErrorKind::NotFound | ErrorKind::Usage) => Err(error),
            Ok(_) | Err(_) => Err(other(grant, target)),
        }
    }

    /// A conversation that events are asked for.
    pub(super) async fn group(&self, target: Target) -> Result<GroupId, Error> {
        let target = match self.grant()? {
            Some(grant) => self.within(&grant, &target).await?,
            None => target,
        };
        self.show(target).await
    }

    async fn show(&self, target: Target) -> Result<GroupId, Error> {
        Ok(group::Show::reply(self.session.request(group::Show { target }.into()).await?)?.id)
    }
}

fn other(grant: &Grant, target: &Target) -> Error {
    grant.lacks(&format!("the conversation {target}"))
}
