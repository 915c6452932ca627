//! Execution of one authorised command. May import `domain`, `gate`.
