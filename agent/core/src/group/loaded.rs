//! A group that is worked on: out of memory, or out of the store.

use std::collections::BTreeMap;

use cipher_api::{ErrorKind, Result};
use cipher_broker::id::GroupId;
use cipher_broker::wire::group::{GroupData, Role};
use openmls::group::MlsGroup;
use openmls_traits::OpenMlsProvider;

use crate::machine::Core;
use crate::state::Why;
use crate::state::live::{Live, mls_id, store_failed};
use crate::state::suite::{SUITE, suite_of};

impl Core {
    /// Works on a loaded group. It goes back into the cache whatever the work says, because its changes are in
    /// the overlay; only an abort of the whole batch drops it.
    pub(crate) fn with_live<T>(
        &mut self,
        group: GroupId,
        work: impl FnOnce(&mut Self, &mut Live) -> Result<T>,
    ) -> Result<T> {
        // A second copy would lack what the first one did in memory only, and whichever comes back last would win.
        if !self.groups.lend(group) {
            return Err(ErrorKind::Bug.because("a group is worked on twice at once"));
        }
        let result = self.lent(group, work);
        self.groups.comes_back(&group);
        result
    }

    fn lent<T>(&mut self, group: GroupId, work: impl FnOnce(&mut Self, &mut Live) -> Result<T>) -> Result<T> {
        let mut live = match self.groups.remove(&group) {
            Some(live) => live,
            None => match MlsGroup::load(self.provider.storage(), &mls_id(&group)) {
                Ok(Some(mls)) => Live::of(mls)?,
                Err(error) if !error.is_damage() => return Err(store_failed(error)),
                Ok(None) | Err(_) => self.stand_in(group)?,
            },
        };
        let result = work(self, &mut live);
        self.groups.put(group, live);
        result
    }
}

impl Core {
    /// What the store has of a group cannot be read: the group stands empty, and the device asks the others to let it in
    /// again, with a new leaf. History, names and what waits to be sent are rows of their own and stay.
    fn stand_in(&mut self, group: GroupId) -> Result<Live> {
        let Some(row) = self.state.groups.get(&group) else {
            return Err(ErrorKind::Bug.because("a group is worked on that is not there"));
        };
        let (name, direct, personal) = (row.name.clone(), row.direct, row.personal);
        let suite = suite_of(row.suite).unwrap_or(SUITE);
        let data = GroupData {
            personal,
            roles: BTreeMap::from([(self.state.own_id(), Role::Member)]),
            ..self.first_data(name, direct)
        };
        tracing::warn!(group = group.short(), "the state of a group is damaged");
        self.provider.storage().forget_group(&mls_id(&group)).map_err(store_failed)?;
        let live = self.made(group, suite, &data)?;
        self.lost(group, Why::Damaged);
        Ok(live)
    }
}

#[cfg(test)]
mod tests {
    use cipher_api::command::account;
    use cipher_broker::time::Timestamp;

    use super::*;
    use crate::input::{Input, Ticket};
    use crate::machine::Options;

    /// The copy that comes back last would undo what the other one did in memory.
    #[test]
    fn a_group_that_is_lent_is_not_lent_again_until_it_came_back() {
        let options = Options { seed: [1; 32], cached_groups: 4, receipts: false };
        let mut core = Core::in_memory(options);
        core.run.now = Timestamp::from_millis(1_700_000_000_000);
        let handle = "ana".parse().unwrap();
        let register = account::Register { handle, name: String::new(), bot: None, invite_code: None };
        let asks = Input::Command { ticket: Ticket(1), command: Box::new(register.into()) };
        core.handle(vec![asks], Timestamp::from_millis(1_700_000_000_000)).unwrap();
        core.state.identity.as_mut().unwrap().registered = true;
        core.group_create(Ticket(2), "team".into(), Vec::new(), false).unwrap();
        let group = *core.state.groups.iter().next().unwrap().0;
        let inner = core.with_live(group, |core, _| Ok(core.with_live(group, |_, _| Ok(())))).unwrap();
        assert_eq!(inner.unwrap_err().kind, ErrorKind::Bug);
        core.with_live(group, |_, _| Ok(())).unwrap();
        let failed = core.with_live(group, |_, _| Err::<(), _>(ErrorKind::Misuse.because("no")));
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Misuse);
        core.with_live(group, |_, _| Ok(())).unwrap();
    }
}
