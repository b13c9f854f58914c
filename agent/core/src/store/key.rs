//! How the keys of rows are written: so that their bytes have their order.

use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};

use crate::store::table::Tells;

/// How a key is written.
pub(crate) trait RowKey: Sized {
    /// What it tells.
    const TELLS: Tells;
    fn to_key(&self) -> Vec<u8>;
    /// `None` for what is no such key.
    fn from_key(bytes: &[u8]) -> Option<Self>;
}

macro_rules! ids {
    ($($id:ty),*) => {
        $(impl RowKey for $id {
            const TELLS: Tells = Tells::Id(Self::LEN);
            fn to_key(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }
            fn from_key(bytes: &[u8]) -> Option<Self> {
                Self::from_slice(bytes).ok()
            }
        })*
    };
}
ids!(GroupId, AccountId, DeviceId);

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl RowKey for $number {
            const TELLS: Tells = Tells::Nothing;
            fn to_key(&self) -> Vec<u8> {
                self.to_be_bytes().to_vec()
            }
            fn from_key(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_be_bytes)
            }
        })*
    };
}
numbers!(u16, u64);

/// It is salted: nobody can try words with it.
impl RowKey for MessageId {
    const TELLS: Tells = Tells::Nothing;

    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl<const N: usize> RowKey for [u8; N] {
    const TELLS: Tells = Tells::Nothing;

    fn to_key(&self) -> Vec<u8> {
        self.to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

/// Two numbers.
impl RowKey for (u64, u64) {
    const TELLS: Tells = Tells::Nothing;

    fn to_key(&self) -> Vec<u8> {
        [self.0.to_key(), self.1.to_key()].concat()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(8)?;
        Some((u64::from_key(first)?, u64::from_key(second)?))
    }
}

/// Something in a conversation.
impl<K: RowKey> RowKey for (GroupId, K) {
    const TELLS: Tells = GroupId::TELLS;

    fn to_key(&self) -> Vec<u8> {
        [self.0.to_key(), self.1.to_key()].concat()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        let (group, rest) = bytes.split_at_checked(GroupId::LEN)?;
        Some((GroupId::from_key(group)?, K::from_key(rest)?))
    }
}

/// A place in a conversation: position, and place within it.
impl RowKey for (GroupId, u64, u16) {
    const TELLS: Tells = GroupId::TELLS;

    fn to_key(&self) -> Vec<u8> {
        [self.0.to_key(), self.1.to_key(), self.2.to_key()].concat()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        let (position, place) = bytes.get(GroupId::LEN..)?.split_at_checked(8)?;
        Some((
            GroupId::from_slice(bytes.get(..GroupId::LEN)?).ok()?,
            u64::from_key(position)?,
            u16::from_key(place)?,
        ))
    }
}

/// All keys of a conversation that end in so many bytes.
pub(crate) fn of_group(group: &GroupId, rest: usize) -> (Vec<u8>, Vec<u8>) {
    let end = |byte| [group.as_bytes().as_slice(), &vec![byte; rest]].concat();
    (end(0), end(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_what_they_stand_for_and_come_back() {
        let group = |n| GroupId::from_bytes([n; 16]);
        let places = [
            (group(0), u64::MAX, u16::MAX),
            (group(1), 0, 0),
            (group(1), 0, 1),
            (group(1), 255, u16::MAX),
            (group(1), 256, 0),
            (group(1), u64::MAX, 0),
            (group(2), 0, 0),
        ];
        let keys: Vec<_> = places.iter().map(RowKey::to_key).collect();
        assert!(keys.is_sorted());
        for (key, place) in keys.iter().zip(places) {
            assert_eq!(RowKey::from_key(key), Some(place));
            assert_eq!(<(GroupId, u64, u16)>::from_key(&key[1..]), None);
        }
        let (first, last) = of_group(&group(1), 10);
        assert!(keys[0] < first && first <= keys[1] && keys[5] <= last && last < keys[6]);
    }
}
