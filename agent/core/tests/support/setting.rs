//! The few knobs that a person may turn from outside.

/// The value of an environment variable, if it is set.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::vars_os().find(|(key, _)| key == name).and_then(|(_, value)| value.into_string().ok())
}

/// A number from an environment variable.
pub(crate) fn number(name: &str) -> Option<u64> {
    text(name).map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// Whether an environment variable is set.
pub(crate) fn is_set(name: &str) -> bool {
    text(name).is_some()
}
