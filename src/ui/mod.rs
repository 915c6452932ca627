//! Rendering of the model. Pure. May import `domain`, `core`.
