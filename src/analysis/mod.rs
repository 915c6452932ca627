//! What to ask, and what the answers mean: pure functions of data. May import `domain` only.

pub mod templates;
