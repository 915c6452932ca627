//! What a language model is given: redaction, token budget, selection, rendering. Pure. May import `domain`, `analysis`.

mod figures;
pub mod pack;
pub mod redaction;
mod render;
mod select;
pub mod tokens;

pub use pack::{pack, pack_for, pack_joined};
pub use redaction::{Redacted, Redactor, redact};
pub use render::redactor_for;
pub use tokens::count_tokens;
