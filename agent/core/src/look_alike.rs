//! Display names that look like somebody else's.
