//! Wire formats and streaming of language models. May import `domain` only.
