//! What a language model is given: redaction, token budget, selection, rendering. Pure. May import `domain`, `analysis`.
