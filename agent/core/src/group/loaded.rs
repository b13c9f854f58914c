//! A group that is worked on: out of memory, or out of the store.

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::id::GroupId;
use openmls::group::MlsGroup;
use openmls_traits::OpenMlsProvider;

use crate::machine::Core;
use crate::state::live::{Live, mls_id, store_failed};

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
            None => {
                let mls = MlsGroup::load(self.provider.storage(), &mls_id(&group)).map_err(store_failed)?;
                let mls = mls.ok_or_else(|| {
                    ErrorKind::Storage
                        .because("the state of a group is missing from the store")
                        .hint(Advice::StoreDamaged)
                })?;
                Live::of(mls)?
            }
        };
        let result = work(self, &mut live);
        self.groups.put(group, live);
        result
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
        let options = Options { seed: [1; 32], cached_groups: 4 };
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
