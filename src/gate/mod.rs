//! What a command does and whether it may run: pure decisions. May import `domain` only.
