//! The state of the program and how it changes: pure. May import `domain`, `analysis`, `context`, `gate`.
