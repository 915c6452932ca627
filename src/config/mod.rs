//! Typed configuration, secrets, defaults. May import `domain` only.
