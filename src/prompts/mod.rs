//! The prompt library. May import `domain` only.
