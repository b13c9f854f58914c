//! What the invented worlds are made of.

pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod forgotten;
pub(crate) mod litter;
pub(crate) mod log;
pub(crate) mod mallory;
pub(crate) mod oracle;
pub(crate) mod registry;
pub(crate) mod saying;
pub(crate) mod setting;
pub(crate) mod shelf;
pub(crate) mod world;
