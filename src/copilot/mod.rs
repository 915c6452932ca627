//! A diagnosis from start to end. May import `domain`, `analysis`, `context`, `gate`, `llm`, `sources`, `prompts`.
