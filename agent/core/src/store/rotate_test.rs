//! Forgotten is gone: a burglar who has every file and the key that unlocks them tries to open everything that was
//! ever sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cipher_broker::time::Timestamp;
use cipher_seal::{Key, SealedFile};
use rand_core::OsRng;
use redb::{Builder, ReadableDatabase as _, ReadableTable as _};

use crate::store::Store;
use crate::store::memory::{Memory, unlock};
use crate::store::place::Place as _;
use crate::store::ring::{FILE, Ring, WrapId};
use crate::store::seal::{ChapterId, chapter_of, chapter_place, row_place};
use crate::store::table::{self, Table};

/// Name, key and sealed value of a row.
type Sealed = (&'static str, Vec<u8>, Vec<u8>);

type Files = BTreeMap<String, Vec<u8>>;

/// What the burglar copied over time: every sealed value, and every row of the table of chapters.
#[derive(Default)]
struct Burglar {
    values: BTreeSet<Sealed>,
    chapters: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Burglar {
    /// Copies all rows of a store that nobody has open.
    fn visits(&mut self, files: &Files) {
        let place = Memory::dying_at(files, usize::MAX);
        let db = place.database("store.redb", &Builder::new(), false).unwrap();
        let read = db.begin_read().unwrap();
        for table in table::ALL {
            for row in read.open_table(table.definition()).unwrap().iter().unwrap() {
                let (key, value) = row.unwrap();
                self.values.insert((table.name, key.value().to_vec(), value.value().to_vec()));
            }
        }
        for row in read.open_table(table::KEYS).unwrap().iter().unwrap() {
            let (key, value) = row.unwrap();
            self.chapters.insert((key.value().to_vec(), value.value().to_vec()));
        }
    }

    /// The values that open with the keys that these files still have.
    fn opens(&self, files: &Files) -> BTreeSet<Vec<u8>> {
        let mut rings = Vec::new();
        for (name, bytes) in files {
            if name.starts_with(FILE) {
                rings.extend(Ring::open(&Memory::default(), bytes, &unlock()));
            }
        }
        assert!(!rings.is_empty());
        let mut opened = BTreeSet::new();
        for ring in &rings {
            let keys: Vec<(ChapterId, Key)> = self
                .chapters
                .iter()
                .filter_map(|(row, value)| {
                    let (wrap, sealed) = value.split_first_chunk::<4>()?;
                    let wrap = WrapId::from_be_bytes(*wrap);
                    let place = chapter_place(ring.store(), row, wrap);
                    let key = Key::from_slice(&cipher_seal::open(ring.wrap(wrap)?, &place, sealed).ok()?);
                    chapter_of(row).zip(key)
                })
                .collect();
            let mut place = Vec::new();
            for (name, key, sealed) in &self.values {
                row_place(&mut place, ring.store(), table::named(name).unwrap(), key);
                let keys = keys.iter().filter(|((table, first), _)| table == name && first <= key);
                opened.extend(
                    keys.filter_map(|(_, key)| Some(cipher_seal::open(key, &place, sealed).ok()?.to_vec())),
                );
            }
        }
        opened
    }
}

fn value(table: Table, n: u8, text: &str) -> Vec<u8> {
    format!("{} {n} {text} {}", table.name, ".".repeat(usize::from(n) * 3)).into_bytes()
}

/// Which tables, and how many rows in each.
#[derive(Clone, Copy)]
struct Scene(&'static [Table], u8);

/// Everything.
const WHOLE: Scene = Scene(table::ALL, 150);
/// One table of each sort, with two chapters: for what is repeated a thousand times.
const SMALL: Scene = Scene(&[table::MLS, table::MESSAGES, table::SEEN], 135);

/// Rows in every table.
fn fill(store: &Store, scene: Scene) -> cipher_api::Result<()> {
    store.write(Timestamp::default(), |writing| {
        for table in scene.0 {
            let mut rows = writing.table(*table)?;
            for n in 0..scene.1 {
                rows.put(&[n, 0], &value(*table, n, "first"))?;
            }
        }
        Ok(())
    })
}

/// Removes every third row, and gives every third another value.
fn change(store: &Store, scene: Scene) -> cipher_api::Result<()> {
    store.write(Timestamp::default(), |writing| {
        for table in scene.0 {
            let mut rows = writing.table(*table)?;
            for n in 0..scene.1 {
                match n % 3 {
                    0 => rows.remove(&[n, 0])?,
                    1 => rows.put(&[n, 0], &value(*table, n, "second"))?,
                    _ => {}
                }
            }
        }
        Ok(())
    })
}

/// What must be there after [`change`], and what must not be readable then.
fn living_and_dead(scene: Scene) -> (BTreeSet<Vec<u8>>, BTreeSet<Vec<u8>>) {
    let (mut living, mut dead) = (BTreeSet::new(), BTreeSet::new());
    for table in scene.0 {
        for n in 0..scene.1 {
            let first = value(*table, n, "first");
            match n % 3 {
                2 => _ = living.insert(first),
                _ if table.forgets => _ = dead.insert(first),
                _ => {}
            }
            if n % 3 == 1 {
                living.insert(value(*table, n, "second"));
            }
        }
    }
    (living, dead)
}

fn open(memory: &Memory) -> cipher_api::Result<Store> {
    // No stream of random choices is used twice.
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let mut seed = [5; 32];
    seed[..8].copy_from_slice(&OPENED.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    Store::open(Arc::new(memory.clone()), || Ok(unlock()), seed)
}

/// Every value of an open store.
fn values(store: &Store) -> BTreeSet<Vec<u8>> {
    let mut values = BTreeSet::new();
    for table in table::ALL {
        let reading = store.table(*table).unwrap();
        values.extend(reading.rows().unwrap().map(|row| row.unwrap().value().unwrap().to_vec()));
    }
    values
}

fn filled(scene: Scene) -> Files {
    let memory = Memory::default();
    fill(&open(&memory).unwrap(), scene).unwrap();
    memory.bytes()
}

#[test]
fn what_was_superseded_or_removed_cannot_be_opened_after_a_rotation() {
    let memory = Memory::dying_at(&filled(WHOLE), usize::MAX);
    let (living, dead) = living_and_dead(WHOLE);
    let mut burglar = Burglar::default();
    burglar.visits(&memory.bytes());
    let store = open(&memory).unwrap();
    change(&store, WHOLE).unwrap();
    drop(store);
    burglar.visits(&memory.bytes());
    assert!(burglar.opens(&memory.bytes()).is_superset(&dead), "before it everything opens");
    let store = open(&memory).unwrap();
    assert!(store.dirty_since().is_some(), "also the next process knows what is left to do");
    store.rotate().unwrap();
    assert_eq!(values(&store), living);
    drop(store);
    burglar.visits(&memory.bytes());
    let opened = burglar.opens(&memory.bytes());
    assert_eq!(opened.intersection(&dead).count(), 0);
    assert!(opened.is_superset(&living));
    let store = open(&memory).unwrap();
    assert_eq!((values(&store), store.dirty_since().is_some()), (living, false));
}

/// The process ends by `kill -9` at every writing call in turn, and the next one goes on.
#[test]
fn what_was_forgotten_stays_forgotten_wherever_the_process_ends() {
    let before = filled(SMALL);
    let (living, dead) = living_and_dead(SMALL);
    let mut ends = 0;
    for call in 0.. {
        let memory = Memory::dying_at(&before, call);
        let mut burglar = Burglar::default();
        burglar.visits(&before);
        let done = open(&memory).and_then(|store| change(&store, SMALL).and_then(|()| store.rotate()));
        let died = memory.is_dead();
        // It may have died while the file was closed.
        assert!(done.is_ok() || died, "{done:?}");
        let left = memory.bytes();
        burglar.visits(&left);
        let memory = Memory::dying_at(&left, usize::MAX);
        let store = open(&memory).unwrap();
        // The change was committed or not, as a whole.
        if !living.is_subset(&values(&store)) {
            assert_eq!(values(&store).len(), SMALL.0.len() * usize::from(SMALL.1));
            change(&store, SMALL).unwrap();
        }
        store.rotate().unwrap();
        assert_eq!(values(&store), living, "call {call}");
        drop(store);
        burglar.visits(&memory.bytes());
        let opened = burglar.opens(&memory.bytes());
        let opened: Vec<_> = opened.intersection(&dead).map(|value| String::from_utf8_lossy(value)).collect();
        assert_eq!(opened, [""; 0], "call {call}");
        if !died {
            break;
        }
        ends += 1;
    }
    assert!(ends > 50, "{ends}");
}

/// The file with the wrapping keys could not be replaced, and the process goes on and is killed later: what it sealed
/// meanwhile must not be under keys that only it knew.
#[test]
fn nothing_is_sealed_under_a_key_that_is_not_on_the_disk() {
    const FEW: Scene = Scene(&[table::MLS, table::MESSAGES], 6);
    let before = filled(FEW);
    let (living, _) = living_and_dead(FEW);
    let mut lives = 0;
    let mut first = 0;
    loop {
        let mut failed = true;
        for second in 0.. {
            let memory = Memory::dying_at(&before, usize::MAX);
            let store = open(&memory).unwrap();
            change(&store, FEW).unwrap();
            memory.dies_at(first);
            failed = store.rotate().is_err();
            memory.heals();
            store.reopen().unwrap();
            fill(&store, FEW).unwrap();
            memory.dies_at(second);
            let done = change(&store, FEW).and_then(|()| store.rotate());
            drop(store);
            // Every value opens, or this panics.
            let all = values(&open(&Memory::dying_at(&memory.bytes(), usize::MAX)).unwrap());
            assert!(done.is_err() || all == living, "{first} {second}");
            lives += 1;
            if done.is_ok() {
                break;
            }
        }
        if !failed {
            break;
        }
        first += 1;
    }
    assert!(lives > 200, "{lives}");
}

/// The only slot of a key file was changed, and somebody kept a copy of it from before, with what opened it.
#[test]
fn what_was_removed_opens_nothing_any_more_once_the_store_was_opened_wherever_that_ended() {
    const FEW: Scene = Scene(&[table::MLS, table::MESSAGES], 140);
    let mut files = filled(FEW);
    let copy = files[FILE].clone();
    let (mut file, body) = SealedFile::open(&copy, &unlock()).unwrap();
    file.replace(0, &unlock(), &mut OsRng).unwrap();
    files.insert(FILE.into(), file.seal(&body, &mut OsRng));
    let all = values(&open(&Memory::dying_at(&files, usize::MAX)).unwrap());
    let mut ends = 0;
    for call in 0.. {
        let memory = Memory::dying_at(&files, call);
        let died = open(&memory).is_err();
        let memory = Memory::dying_at(&memory.bytes(), usize::MAX);
        let store = open(&memory).unwrap();
        assert_eq!(values(&store), all, "call {call}");
        fill(&store, Scene(&[table::SEEN], 9)).unwrap();
        drop(store);
        let left = memory.bytes();
        let mut burglar = Burglar::default();
        burglar.visits(&left);
        assert!(burglar.opens(&left).is_superset(&all));
        let opened = burglar.opens(&BTreeMap::from([(FILE.into(), copy.clone())]));
        assert_eq!(opened.len(), 0, "call {call}");
        // And it is not done again.
        let store = open(&memory).unwrap();
        assert!(!store.seal().ring.is_exposed());
        drop(store);
        if !died {
            break;
        }
        ends += 1;
    }
    assert!(ends > 20, "{ends}");
}

/// R-FORGET-09: of a message that disappeared nothing opens a minute later, whoever copied the files before.
#[test]
fn r_forget_09_what_disappeared_cannot_be_opened_after_a_rotation() {
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
    use cipher_broker::wire::content::{Body, Content};

    use crate::state::history::History;
    use crate::state::{Author, MessageRow};

    let words = b"the door code is 4711";
    let group = GroupId::from_bytes([1; 16]);
    let author = Author {
        account: AccountId::from_bytes([2; 32]),
        device: DeviceId::from_bytes([3; 16]),
        kind: Kind::Person,
    };
    let at = Timestamp::from_millis(1_000);
    let body = Body::Text(String::from_utf8(words.to_vec()).unwrap());
    let content = Content { expire: Some(60), ..Content::new([4; 16], at, body) };
    let mut row = MessageRow::said(MessageId::from_bytes([5; 16]), author, content);
    assert!(row.expires(Timestamp::from_millis(61_000)));
    let holds = |opened: &BTreeSet<Vec<u8>>| {
        opened.iter().filter(|value| value.windows(words.len()).any(|part| part == words)).count()
    };
    let memory = Memory::default();
    let mut burglar = Burglar::default();
    let store = open(&memory).unwrap();
    let mut history = History::new(store.clone());
    history.insert(group, (7, 0), row);
    store.write(at, |writing| history.flush(writing)).unwrap();
    history.flushed();
    drop((history, store));
    burglar.visits(&memory.bytes());
    assert_eq!(holds(&burglar.opens(&memory.bytes())), 1, "as long as it is there it opens");
    let store = open(&memory).unwrap();
    let mut history = History::new(store.clone());
    assert_eq!(history.next_expiry().unwrap(), Some(Timestamp::from_millis(61_000)));
    assert!(history.due(Timestamp::from_millis(60_999), 9).unwrap().is_empty());
    let due = history.due(Timestamp::from_millis(61_000), 9).unwrap();
    let [(key, Some((of, place)))] = due.as_slice() else { panic!("{due:?}") };
    let mut row = history.at(of, *place).unwrap().unwrap();
    row.forget();
    history.insert(*of, *place, row);
    history.expiry_done(*key);
    store.write(Timestamp::from_millis(61_000), |writing| history.flush(writing)).unwrap();
    history.flushed();
    assert_eq!(history.next_expiry().unwrap(), None);
    store.rotate().unwrap();
    drop((history, store));
    burglar.visits(&memory.bytes());
    assert_eq!(holds(&burglar.opens(&memory.bytes())), 0);
}
