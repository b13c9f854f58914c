//! What this device asks of the registry: signed questions, look-ups, key packages, admission work.

pub(crate) mod admission_work;
pub(crate) mod key_package;
pub(crate) mod lookup;
pub(crate) mod question;
pub(crate) mod run;
