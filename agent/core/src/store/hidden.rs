//! The keys of rows as they stand in the file: what they tell is hidden, and their order within a conversation stays.

use std::borrow::Cow;

use cipher_seal::{IdMask, Key};

use crate::store::table::{Table, Tells};

/// Hides what keys of rows tell.
#[derive(Debug)]
pub(super) struct Hiding {
    ids: IdMask,
    /// Key of the hashes that stand for what nobody has to read again.
    names: Key,
}

impl Hiding {
    /// `names` is the key of this store's hashes.
    pub(super) fn new(names: &Key) -> Self {
        Self { ids: IdMask::new(&names.derived("ids")), names: names.clone() }
    }

    /// A key as it stands in the file.
    pub(super) fn hide<'k>(&self, table: Table, key: &'k [u8]) -> Cow<'k, [u8]> {
        match table.key {
            Tells::Nothing => Cow::Borrowed(key),
            Tells::Id(length) => id(key, length, |id| self.ids.hide(id)),
            Tells::Mls => match key.split_first() {
                Some((label, _)) => Cow::Owned([&[*label], self.name(table, key).as_slice()].concat()),
                None => Cow::Borrowed(key),
            },
        }
    }

    /// The key of a row of the file. Nobody can read those of [`Tells::Mls`]: they stay what they are.
    pub(super) fn show<'k>(&self, table: Table, hidden: &'k [u8]) -> Cow<'k, [u8]> {
        match table.key {
            Tells::Nothing | Tells::Mls => Cow::Borrowed(hidden),
            Tells::Id(length) => id(hidden, length, |id| self.ids.show(id)),
        }
    }

    /// What stands in a key for a name or the like.
    pub(super) fn name(&self, table: Table, name: &[u8]) -> [u8; 16] {
        self.names.hash(table.name, name)
    }
}

/// A key whose id was changed.
fn id(key: &[u8], length: usize, change: impl FnOnce(&mut [u8])) -> Cow<'_, [u8]> {
    let mut changed = key.to_vec();
    match changed.get_mut(..length) {
        Some(id) => change(id),
        // No key of this table.
        None => return Cow::Borrowed(key),
    }
    Cow::Owned(changed)
}

#[cfg(test)]
mod tests {
    use cipher_broker::id::{AccountId, GroupId};

    use super::*;
    use crate::store::key::{RowKey as _, of_group};
    use crate::store::table;

    #[test]
    fn keys_in_the_file_tell_no_ids_and_come_back_and_stay_in_order_within_a_group() {
        let hiding = Hiding::new(&Key::from_slice(&[7; 32]).unwrap());
        let other = Hiding::new(&Key::from_slice(&[8; 32]).unwrap());
        let (group, account) = (GroupId::from_bytes([0x61; 16]), AccountId::from_bytes([0x62; 32]));
        let mls = [&[3], group.as_bytes().as_slice()].concat();
        for (table, key) in [
            (table::GROUPS, group.to_key()),
            (table::MESSAGES, (group, 7_u64, 2_u16).to_key()),
            (table::ACCOUNTS, account.to_key()),
            (table::MLS, mls.clone()),
        ] {
            let hidden = hiding.hide(table, &key);
            assert!(
                !hidden.windows(4).any(|bytes| bytes == [bytes[0]; 4] && [0x61, 0x62].contains(&bytes[0]))
            );
            assert_ne!(hidden, other.hide(table, &key), "each store hides them in another way");
            if table.key != Tells::Mls {
                assert_eq!(hiding.show(table, &hidden), key, "{}", table.name);
            }
        }
        assert_eq!(hiding.hide(table::MLS, &mls).len(), 17);
        let places = [(group, 0, 1), (group, 255, 0), (group, 256, 9), (group, u64::MAX, u16::MAX)];
        let keys = places.map(|place: (GroupId, u64, u16)| place.to_key());
        let hidden = keys.each_ref().map(|key| hiding.hide(table::MESSAGES, key));
        assert!(hidden.is_sorted());
        let (first, last) = of_group(&group, 10);
        let hide = |key: &Vec<u8>| hiding.hide(table::MESSAGES, key).into_owned();
        assert!(hidden.iter().all(|key| (hide(&first)..=hide(&last)).contains(&key.to_vec())));
        assert_eq!(hiding.hide(table::OUTBOX, &9_u64.to_key()).as_ref(), 9_u64.to_key());
        for short in [b"".as_slice(), b"no id"] {
            assert_eq!(hiding.hide(table::GROUPS, short), short);
        }
    }
}
