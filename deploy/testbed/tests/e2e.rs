//! The shipped binaries against a real broker.
