//! Raw mode, input, clipboard, synchronized output. May import `domain` only.
