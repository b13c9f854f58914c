//! What an error came from, for those who look for a fault: logs and `doctor`.

use std::error::Error;
use std::iter::successors;

/// The sentences of the errors below this one, nearest first. What an earlier sentence says already is left out.
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told = vec![error.to_string()];
    for cause in successors(error.source(), |&cause| cause.source()) {
        let sentence = cause.to_string();
        if !told.iter().any(|earlier| earlier.contains(&sentence)) {
            told.push(sentence);
        }
    }
    told.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Step {
        said: &'static str,
        #[source]
        below: Option<Box<dyn Error + Send + Sync>>,
    }

    fn chain(sentences: &[&'static str]) -> Step {
        let (said, rest) = sentences.split_first().unwrap();
        let below = (!rest.is_empty()).then(|| Box::new(chain(rest)) as _);
        Step { said, below }
    }

    #[test]
    fn each_cause_is_told_once_nearest_first() {
        for (sentences, expected) in [
            (&["alone"][..], &[][..]),
            (&["no head", "no route"], &["no route"]),
            (&["no head", "no route", "closed"], &["no route", "closed"]),
            (&["no head: no route", "no route"], &[]),
            (&["no head: no route", "no route", "closed"], &["closed"]),
            (&["no head", "no route: closed", "closed"], &["no route: closed"]),
        ] {
            assert_eq!(causes(&chain(sentences)), expected, "{sentences:?}");
        }
    }

    #[test]
    fn what_the_system_said_below_another_error_is_found() {
        let inner = io::Error::from_raw_os_error(13);
        let said = inner.to_string();
        let error = Step { said: "it failed", below: Some(Box::new(io::Error::other(inner))) };
        assert_eq!(causes(&error), [said]);
    }
}
