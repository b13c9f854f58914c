//! Until when a stream let go of what it held, because its operator wanted it to: a mark in the stream's metadata. Agents
//! do not take what is older for a loss, and do not send it again.

use std::collections::HashMap;

use async_nats::jetstream::stream::{Config, State};
use cipher_broker::stream::{LET_GO, StreamSpec};
use cipher_broker::time::Timestamp;

/// Whether a stream keeps its messages for less time than it must.
pub(crate) fn is_short(have: &Config, spec: &StreamSpec) -> bool {
    !have.max_age.is_zero() && (spec.max_age.is_zero() || have.max_age < spec.max_age)
}

/// Notes that a stream let go of all that came before what it holds, by the broker's own clock, which may be another
/// one than ours. Whether that says more than what was noted before.
pub(crate) fn note(metadata: &mut HashMap<String, String>, state: &State) -> bool {
    if state.first_sequence <= 1 {
        return false;
    }
    let until = if state.messages == 0 { &state.last_timestamp } else { &state.first_timestamp };
    let Ok(until) = u64::try_from(until.unix_timestamp_nanos().saturating_add(999_999) / 1_000_000) else {
        return false;
    };
    let until = Timestamp::from_millis(until);
    if metadata.get(LET_GO).and_then(|known| Timestamp::parse(known)).is_some_and(|known| known >= until) {
        return false;
    }
    metadata.insert(LET_GO.into(), until.to_string());
    true
}

#[cfg(test)]
mod tests {
    use cipher_broker::stream;

    use super::*;

    fn state(messages: u64, first: u64) -> State {
        let text = format!(
            r#"{{"messages": {messages}, "bytes": 0, "first_seq": {first}, "last_seq": 9, "consumer_count": 0,
                "first_ts": "2026-01-01T00:00:05.0004Z", "last_ts": "2026-01-01T00:00:09Z"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn e3_a_stream_notes_until_when_it_let_go_and_never_takes_it_back() {
        let mut metadata = HashMap::new();
        assert!(!note(&mut metadata, &state(9, 1)), "nothing is gone");
        assert!(metadata.is_empty());
        assert!(note(&mut metadata, &state(5, 5)));
        assert_eq!(metadata[LET_GO], "2026-01-01T00:00:05.001Z", "up to the first message that is there");
        assert!(note(&mut metadata, &state(0, 10)));
        assert_eq!(metadata[LET_GO], "2026-01-01T00:00:09.000Z", "all of it");
        assert!(!note(&mut metadata, &state(5, 5)));
        assert_eq!(metadata[LET_GO], "2026-01-01T00:00:09.000Z");
    }

    #[test]
    fn an_age_is_short_when_it_is_less_than_it_must_be() {
        let spec = stream::all(1).swap_remove(0);
        let age = |max_age| Config { max_age, ..Config::default() };
        assert!(is_short(&age(spec.max_age / 2), &spec));
        assert!(!is_short(&age(spec.max_age), &spec));
        assert!(!is_short(&age(std::time::Duration::ZERO), &spec), "for ever");
    }
}
