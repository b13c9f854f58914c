use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, MessageId};
use cipher_broker::wire::content::{Body, Content};

use super::*;
use crate::state::Author;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn said(n: u64, text: &str) -> MessageRow {
    let author = Author {
        account: AccountId::from_bytes([9; 32]),
        device: DeviceId::from_bytes([9; 16]),
        kind: Kind::Person,
    };
    let body = Body::Text(text.into());
    let content = Content::new([0; 16], at(n), body);
    let mut row = MessageRow::said(MessageId::from_bytes([1; 16]), author, content);
    row.at = Some(at(n));
    row
}

fn group(n: u64) -> GroupId {
    GroupId::from_bytes([u8::try_from(n).unwrap(); 16])
}

fn commit(store: &Store, history: &mut History, now: Timestamp) {
    store.write(now, |writing| history.flush(writing)).unwrap();
    history.flushed();
}

/// The index is looked after until nothing is left to do; how many steps that took.
fn rest(store: &Store, history: &mut History) -> usize {
    let mut now = at(1_000_000);
    let mut steps = 0;
    loop {
        history.index.tick(now).unwrap();
        if !history.index.is_clean() {
            steps += 1;
            assert!(steps < 10_000);
            commit(store, history, now);
        }
        let Some(wake) = history.index.wake() else { return steps };
        now = now.max(wake);
    }
}

/// Every term of the index, with where it stands.
fn terms(index: &Index) -> BTreeMap<String, BTreeSet<(GroupId, Place)>> {
    let reading = index.reading().unwrap();
    let mut found: BTreeMap<String, BTreeSet<(GroupId, Place)>> = BTreeMap::new();
    let mut rows = usize::from(reading.get(&key(META, 0)).unwrap().is_some());
    for number in index.segments().unwrap() {
        let segment = Segment::open(index, &reading, number).unwrap().unwrap();
        let docs = segment.head.docs.iter();
        let entries: Vec<Entry> = docs.flat_map(|docs| segment.docs(docs.part).unwrap().unwrap()).collect();
        assert_eq!(entries.len(), segment.head.count as usize);
        rows += 1 + segment.head.docs.len() + segment.head.blocks.len() - segment.head.held.len();
        for block in &segment.head.blocks {
            let mut first = None;
            let read = segment.part(block.part, |bytes| {
                segment::entries(bytes, |term, numbers| {
                    first.get_or_insert_with(|| term.to_owned());
                    let places = found.entry(term.to_owned()).or_default();
                    let mut any = false;
                    for number in numbers {
                        any = true;
                        let entry = entries[number as usize];
                        assert!(!segment.head.is_gone(number), "{term} of what went");
                        places.insert((entry.group, entry.place));
                    }
                    assert!(any, "{term} of nothing");
                    true
                })
            });
            assert!(read.unwrap().is_some());
            assert_eq!(first.as_ref(), Some(&block.first), "no word of before stands in a head");
        }
    }
    assert_eq!(reading.count().unwrap(), rows as u64, "no row is left that nothing names");
    found
}

/// What the terms must be.
fn expected(rows: &BTreeMap<(GroupId, u64), Option<String>>) -> BTreeMap<String, BTreeSet<(GroupId, Place)>> {
    let mut found: BTreeMap<String, BTreeSet<(GroupId, Place)>> = BTreeMap::new();
    for ((group, position), text) in rows {
        for term in text.iter().flat_map(|text| words::terms_of(text)) {
            found.entry(term).or_default().insert((*group, (*position, 0)));
        }
    }
    found
}

fn found(history: &History, word: &str) -> Vec<(GroupId, u64)> {
    let wanted = Wanted {
        terms: vec![Lookup::Prefix(word.into())],
        within: (0..20).map(group).collect(),
        ..Wanted::default()
    };
    let mut candidates = history.index.candidates(wanted).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = candidates.next().unwrap() {
        all.push((entry.group, entry.place.0));
    }
    all
}

/// R-SEARCH-07: whatever is written, changed, deleted, merged and opened again: the index has exactly the words that stand. No word
/// that went is in any part of it.
#[test]
fn r_search_07_the_index_has_exactly_the_words_that_stand() {
    const WORDS: [&str; 8] = ["deploy", "deployed", "done", "tea", "at", "ten", "nginx", "設計を見る"];
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    let mut rows: BTreeMap<(GroupId, u64), Option<String>> = BTreeMap::new();
    let mut dice = 7_u64;
    let mut throw = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for round in 0..400_u64 {
        for _ in 0..=throw(6) {
            let of = (group(throw(3)), throw(900));
            let mut word = || WORDS[usize::try_from(throw(8)).unwrap()];
            let text = format!("{} {} only{round}", word(), word());
            let mut row = said(of.1, &text);
            if rows.contains_key(&of) && throw(2) == 0 {
                row.take_back();
                rows.insert(of, None);
            } else {
                rows.insert(of, Some(text));
            }
            history.insert(of.0, (of.1, 0), row);
        }
        if throw(10) == 0 {
            // It was not written: nothing of it is there.
            let kept = terms(&history.index);
            history.discard();
            assert_eq!(terms(&history.index), kept);
            rows = BTreeMap::new();
            for row in store.table(table::MESSAGES).unwrap().rows().unwrap() {
                let row = row.unwrap();
                let (group, position, _) = <(GroupId, u64, u16)>::from_key(&row.key()).unwrap();
                let message: MessageRow = codec::decode(&row.value().unwrap()).unwrap();
                rows.insert((group, position), message.searched().map(Cow::into_owned));
            }
        } else {
            commit(&store, &mut history, at(round));
        }
        if throw(8) == 0 {
            rest(&store, &mut history);
        }
        if throw(20) == 0 {
            history = History::new(store.clone());
        }
        if round % 16 == 0 {
            assert_eq!(terms(&history.index), expected(&rows), "round {round}");
        }
    }
    rest(&store, &mut history);
    assert_eq!(terms(&history.index), expected(&rows));
    assert!(history.index.segments().unwrap().len() < 30, "they are merged");
    let all = found(&history, "deploy");
    let wanted = rows.iter().filter(|(_, text)| text.as_ref().is_some_and(|text| text.contains("deploy")));
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), wanted.map(|(of, _)| of).collect());
    assert!(all.iter().rev().is_sorted_by_key(|(group, position)| (*position, *group)), "newest first");
}

/// Puts messages into the store past the index, as a build of before there was one did.
fn stored_before(store: &Store, rows: impl Iterator<Item = (GroupId, u64, MessageRow)>) {
    store
        .write(at(0), |writing| {
            let mut messages = writing.table(table::MESSAGES)?;
            for (group, n, row) in rows {
                messages.put_row(&(group, n, 0_u16).to_key(), &row)?;
            }
            Ok(())
        })
        .unwrap();
}

/// A store of before there was an index gets one in steps, whatever is written meanwhile.
#[test]
fn a_store_without_an_index_gets_one_in_steps() {
    let store = Store::in_memory();
    let filler = "x ".repeat(400);
    let text = |n: u64| format!("tea number{n} {filler}");
    stored_before(&store, (0..6_000).map(|n| (group(n % 5), n, said(n, &text(n)))));
    let mut history = History::new(store.clone());
    assert!(!history.index.is_complete().unwrap());
    let mut gone = said(17, "");
    gone.take_back();
    history.insert(group(2), (17, 0), gone);
    history.insert(group(2), (6_002, 0), said(6_002, "tea number6002"));
    commit(&store, &mut history, at(1));
    history.index.hurry().unwrap();
    commit(&store, &mut history, at(2));
    assert!(!history.index.is_complete().unwrap() && history.index.done().unwrap() > 0);
    // What is in it already, and what is not, is dated by the broker, edited, and said.
    for n in (18..6_000).step_by(97) {
        let edited = n % 2 == 0;
        let mut row = said(n, &if edited { format!("tea edited{n}") } else { text(n) });
        row.at = Some(at(n + 1));
        history.insert(group(n % 5), (n, 0), row);
        history.insert(group(n % 5), (10_000 + n, 0), said(n, "tea late"));
    }
    commit(&store, &mut history, at(3));
    // Another process goes on.
    let mut history = History::new(store.clone());
    assert!(rest(&store, &mut history) > 3);
    assert!(history.index.is_complete().unwrap());
    let all = found(&history, "tea");
    let late = (18..6_000_u64).step_by(97).count();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (6_000 + late, 6_000 + late));
    assert_eq!(found(&history, "number17 ").len(), 0);
    assert_eq!(found(&history, "number5999"), [(group(4), 5_999)]);
    assert_eq!((found(&history, "number18").len(), found(&history, "edited18")), (110, vec![(group(3), 18)]));
    assert!(!terms(&history.index).contains_key("number17"));
    let entries: usize = history
        .index
        .segments()
        .unwrap()
        .into_iter()
        .map(|number| {
            let reading = history.index.reading().unwrap();
            let head = Segment::open(&history.index, &reading, number).unwrap().unwrap().head;
            head.count as usize - head.gone.len()
        })
        .sum();
    assert_eq!(entries, 6_000 + late, "each message is in it once");
}

/// Whether any row of the index, of whatever it is a part, has a word.
fn is_anywhere(store: &Store, word: &str) -> bool {
    let reading = store.table(table::INDEX).unwrap();
    let rows = reading.rows().unwrap();
    rows.filter_map(|row| row.unwrap().value().ok())
        .any(|value| value.windows(word.len()).any(|part| part == word.as_bytes()))
}

/// R-SEARCH-07: forgetting does not wait for an index that is being made anew, for whatever reason and however far that is.
#[test]
fn r_search_07_a_word_that_goes_while_the_index_is_made_anew_is_in_no_row_of_it() {
    const WORD: &str = "zugspitze";
    let damage = |store: &Store, which: SegmentNumber, part: u32| {
        store
            .write(at(50), |writing| writing.table(table::INDEX)?.put(&key(which, part), b"nonsense"))
            .unwrap();
    };
    for case in ["of before", "broken", "its own head", "its own part", "unread row", "half made"] {
        let store = Store::in_memory();
        let mut history = History::new(store.clone());
        for n in 0..40 {
            let text = if n == 7 {
                format!("to the {WORD}")
            } else {
                format!("tea number{n} {}", "x ".repeat(30_000))
            };
            history.insert(group(1), (n, 0), said(n, &text));
            commit(&store, &mut history, at(n));
        }
        let segments = history.index.segments().unwrap();
        assert!(is_anywhere(&store, WORD), "{case}");
        match case {
            "of before" => {
                let meta = Meta { version: 0, ..history.index.meta().unwrap() };
                store
                    .write(at(50), |writing| writing.table(table::INDEX)?.put_row(&key(META, 0), &meta))
                    .unwrap();
            }
            "broken" => {
                damage(&store, segments[3], 0);
                assert!(found(&history, "tea").len() < 39);
            }
            "its own head" => damage(&store, segments[7], 0),
            "its own part" => {
                // All parts are in the head but those that are large: merged, they are.
                rest(&store, &mut history);
                let reading = store.table(table::INDEX).unwrap();
                let mut keys = reading.rows().unwrap().map(|row| number_of(&row.unwrap().key()).unwrap());
                let (number, part) = keys.rfind(|(_, part)| *part == 1).unwrap_or((segments[7], 0));
                damage(&store, number, part);
            }
            "unread row" => {
                let key = (group(1), 7_u64, 0_u16).to_key();
                store
                    .write(at(50), |writing| writing.table(table::MESSAGES)?.put(&key, b"nonsense"))
                    .unwrap();
            }
            _ => {
                let meta = Meta { version: 0, ..history.index.meta().unwrap() };
                store
                    .write(at(50), |writing| writing.table(table::INDEX)?.put_row(&key(META, 0), &meta))
                    .unwrap();
                history = History::new(store.clone());
                history.index.hurry().unwrap();
                commit(&store, &mut history, at(60));
                history.index.hurry().unwrap();
                commit(&store, &mut history, at(60));
                assert!(!history.index.is_complete().unwrap());
            }
        }
        if case != "broken" {
            history = History::new(store.clone());
        }
        let mut gone = said(7, "");
        gone.take_back();
        history.insert(group(1), (7, 0), gone);
        commit(&store, &mut history, at(70));
        assert!(!is_anywhere(&store, WORD), "{case}");
        // The process ends, and another one comes to its rest.
        let mut history = History::new(store.clone());
        rest(&store, &mut history);
        assert!(!is_anywhere(&store, WORD), "{case}");
        assert_eq!(found(&history, "tea").len(), 39, "{case}");
        terms(&history.index);
    }
}

/// R-SEARCH-08: a message of signs alone has no term. It stays in the index when segments become one, and is there once.
#[test]
fn r_search_08_a_message_without_terms_is_a_candidate_once_whatever_was_merged_and_changed() {
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    for n in 0..20 {
        history.insert(group(1), (n, 0), said(n, if n == 5 { ":-)" } else { "tea" }));
        commit(&store, &mut history, at(n));
    }
    // Its words are other ones, and the broker has another time of it.
    let mut row = said(6, "coffee");
    row.at = Some(at(600));
    history.insert(group(1), (6, 0), row);
    commit(&store, &mut history, at(30));
    let all = |history: &History| {
        let wanted = Wanted { within: [group(1)].into(), ..Wanted::default() };
        let mut candidates = history.index.candidates(wanted).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = candidates.next().unwrap() {
            all.push(entry.place.0);
        }
        all.sort_unstable();
        all
    };
    let expected: Vec<u64> = (0..20).collect();
    assert_eq!(all(&history), expected);
    assert!(rest(&store, &mut history) > 0);
    assert_eq!(all(&history), expected);
}

/// Whoever uses nothing but commands that live for moments has an index of few segments all the same.
#[test]
fn segments_are_merged_without_any_process_that_has_time() {
    let store = Store::in_memory();
    for n in 0..600 {
        let mut history = History::new(store.clone());
        history.index.tick(at(n)).unwrap();
        history.insert(group(n % 3), (n, 0), said(n, &format!("tea number{n}")));
        commit(&store, &mut history, at(n));
        let segments = history.index.segments().unwrap().len();
        assert!(segments <= 2 * upkeep::CROWD, "{segments} after {n}");
    }
    let history = History::new(store);
    assert_eq!(found(&history, "tea").len(), 600);
    terms(&history.index);
}

/// A batch with new messages writes nothing into the index that was there before: nothing of it has to be made unreadable.
#[test]
fn a_batch_of_new_messages_supersedes_no_row_of_the_index() {
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    for n in 0..5 {
        history.insert(group(1), (n, 0), said(n, "tea"));
        commit(&store, &mut history, at(n));
    }
    assert_eq!(store.dirty_since(), None);
}

/// A store whose first messages have no words has a whole index, and its next process does not make one.
#[test]
fn an_index_is_whole_though_nobody_said_a_word_yet() {
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    let mut silent = said(1, "tea");
    silent.take_back();
    history.insert(group(1), (1, 0), silent);
    commit(&store, &mut history, at(1));
    let mut history = History::new(store.clone());
    assert!(history.index.is_complete().unwrap());
    history.insert(group(1), (2, 0), said(2, "tea"));
    commit(&store, &mut history, at(2));
    assert_eq!(found(&history, "tea"), [(group(1), 2)]);
}

/// What a process of before did not come to is done by the next one that has time, without a word that comes.
#[test]
fn the_next_process_goes_on_with_what_is_to_be_merged() {
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    for n in 0..12 {
        history.insert(group(1), (n, 0), said(n, "tea"));
        commit(&store, &mut history, at(n));
    }
    let mut history = History::new(store.clone());
    assert_eq!(rest(&store, &mut history), 1);
    assert_eq!(history.index.segments().unwrap().len(), 1);
    assert_eq!(rest(&store, &mut History::new(store.clone())), 0);
}

/// A part that does not open costs no answer for good: the index is made anew.
#[test]
fn an_index_that_is_damaged_is_made_anew() {
    let store = Store::in_memory();
    let mut history = History::new(store.clone());
    for n in 0..40 {
        history.insert(group(1), (n, 0), said(n, &format!("tea number{n}")));
        commit(&store, &mut history, at(n));
    }
    let number = history.index.segments().unwrap()[3];
    store.write(at(50), |writing| writing.table(table::INDEX)?.put(&key(number, 0), b"nonsense")).unwrap();
    let mut history = History::new(store.clone());
    assert!(found(&history, "tea").len() < 40);
    rest(&store, &mut history);
    assert_eq!(found(&history, "tea").len(), 40);
    terms(&history.index);
}

/// `CIPHER_MESSAGES=1000000 cargo test -p cipher-core --lib -- --ignored --nocapture figures_of`: what docs/FIGURES.md says of search.
#[test]
#[ignore = "measures, and takes minutes"]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "figures are for a person, who says how many messages there are"
)]
fn figures_of_a_large_index() {
    use std::time::Instant;

    use crate::state::history::stretch::{End, Verdict};
    use crate::store::memory::unlock;
    use crate::store::place::Folder;

    const GROUPS: u64 = 20;
    const BATCH: u64 = 500;
    let count: u64 = std::env::var("CIPHER_MESSAGES").map_or(100_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir_all(&place).unwrap();
        Store::open(std::sync::Arc::new(Folder::new(&place)), || Ok(unlock()), [2; 32]).unwrap()
    };
    let mut dice = 7_u64;
    let mut throw = move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 11) as f64 / (1_u64 << 53) as f64
    };
    // Words as people use them: few of them very often, and always new ones.
    let word = |n: u64| -> String {
        let letters = b"etaoinshrdlucmfwypvbgkjqxz";
        let (mut n, mut word) = (n.wrapping_mul(2_654_435_761) % 1_000_003 + n * 7, String::new());
        while word.len() < 3 || n > 0 {
            word.push(char::from(letters[usize::try_from(n % 26).unwrap()]));
            n /= 19;
        }
        word
    };
    let mut text = || {
        let words = 4 + (throw() * 28.0) as u64;
        let each: Vec<String> = (0..words).map(|_| word((200_000_f64.powf(throw()) - 1.0) as u64)).collect();
        each.join(" ")
    };
    let (mut bytes, mut seconds) = (0_usize, [0.0; 2]);
    let stores = [open("with"), open("without")];
    let mut histories = stores.clone().map(History::new);
    histories[1].index.switch_off();
    let mut n = 0;
    while n < count {
        let rows: Vec<(GroupId, u64, MessageRow)> = (n..(n + BATCH).min(count))
            .map(|n| {
                let text = text();
                bytes += text.len();
                (group(n % GROUPS), n / GROUPS, said(n, &text))
            })
            .collect();
        n += BATCH;
        for (which, history) in histories.iter_mut().enumerate() {
            let begun = Instant::now();
            for (group, position, row) in &rows {
                history.insert(*group, (*position, 0), row.clone());
            }
            commit(&stores[which], history, at(n));
            seconds[which] += begun.elapsed().as_secs_f64();
        }
    }
    let per = |seconds: f64| seconds * 1e6 / count as f64;
    eprintln!("{count} messages, {} B of text each", bytes as u64 / count);
    eprintln!("stored with index {:.1} us, without {:.1} us a message", per(seconds[0]), per(seconds[1]));
    let [mut history, _] = histories;
    let measure = |what: &str, history: &History| {
        let rows = history.index.reading().unwrap();
        let sum: usize = rows.rows().unwrap().map(|row| row.unwrap().value().unwrap().len() + 64).sum();
        let segments = history.index.segments().unwrap().len();
        eprintln!("{what}: {segments} segments, {:.1} % of the text", sum as f64 * 100.0 / bytes as f64);
        let mut times = Vec::new();
        for n in 0..200_u64 {
            let wanted = Wanted {
                terms: vec![Lookup::Prefix(word(n * n % 5_000)), Lookup::Exact(word(n * 37 % 400))],
                within: (0..GROUPS).map(group).collect(),
                ..Wanted::default()
            };
            let begun = Instant::now();
            // Cold: nothing of the index is known.
            let history = History::new(stores[0].clone());
            let rows = history.rows_at().unwrap();
            let mut candidates = history.index.candidates(wanted).unwrap();
            for _ in 0..20 {
                let Some(entry) = candidates.next().unwrap() else { break };
                assert!(rows(&entry.group, entry.place).unwrap().is_some());
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        eprintln!(
            "search of two words: p50 {:.1} ms, p95 {:.1} ms, most {:.1} ms",
            times[100], times[190], times[199]
        );
    };
    measure("as it came", &history);
    let begun = Instant::now();
    let steps = rest(&stores[0], &mut history);
    eprintln!("merged in {steps} steps, {:.1} s", begun.elapsed().as_secs_f64());
    measure("merged", &history);
    let begun = Instant::now();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let read = history.stretch(&group(3), all, End::Newest, 50, |_, _| Verdict::Take).unwrap();
    eprintln!("the last {} of a conversation: {:.2} ms", read.len(), begun.elapsed().as_secs_f64() * 1e3);
}
