//! The append-only chain of entries. May import `domain` only.
