//! `stanch`: a full-screen terminal copilot for incident response.
//!
//! # The map
//!
//! Each room has one job. "May import" is kept by a test over the source tree, as are the invariants below.
//!
//! | room | what lives there | may import |
//! |---|---|---|
//! | [`domain`] | plain data: alerts, series, log entries, changes, incidents, evidence, diagnoses, actions | nothing of ours |
//! | [`analysis`] | what to ask, correlation, baselines, anomaly, log templates, topology, suspects: pure functions | domain |
//! | [`context`] | redaction, token budget, selection and rendering of the pack: pure functions | domain, analysis |
//! | [`gate`] | understanding of commands, effects, policy: pure decisions | domain |
//! | [`core`] | the model of the program, its messages and effects, keymap, action registry | domain, analysis, context, gate |
//! | [`ui`] | rendering of the model: views and widgets | domain, core |
//! | [`sources`] | Prometheus, Alertmanager, Loki, exposition pages, bundles, changes | domain |
//! | [`llm`] | wire formats and streaming of language models | domain, context |
//! | [`copilot`] | a diagnosis or a question from start to end, the offline analyst, verification of citations | domain, analysis, context, gate, llm, sources, prompts |
//! | [`prompts`] | the prompt library | domain |
//! | [`runner`] | execution of one authorised command | domain, gate |
//! | [`ledger`] | the append-only chain of entries and its stores | domain |
//! | [`terminal`] | raw mode, input, clipboard, synchronized output | domain |
//! | [`config`] | typed configuration, secrets, defaults | domain |
//! | [`app`] | the command line, the effect runner, headless commands: wires the others together | everything |
//!
//! # Invariants
//!
//! 1. `domain`, `analysis`, `context`, `gate`, `core` and `ui` do no IO and read no clock.
//! 2. Only `runner` spawns a process that may change something, and only `app` constructs it. No line is ever
//!    handed to a shell.
//! 3. No message that a model or telemetry can produce leads to a run. Only a key press or a command line that
//!    carries the action's digest does. On the way to the answer of a question that was just asked, a kubectl command
//!    that the gate understands to read, and allows without a confirmation, may run as well; no other.
//! 4. Text from telemetry or a model is [`domain::Text`]: nothing in it can act on a terminal or hide.
//! 5. What leaves the process is written to the ledger first, then done, then its outcome is written.
//! 6. Every queue, buffer and response has a bound; what is dropped is counted and shown.
//! 7. The same bundle and the same budget give a byte-identical pack on every machine.

pub mod analysis;
pub mod app;
pub mod config;
pub mod context;
pub mod copilot;
pub mod core;
pub mod domain;
pub mod gate;
pub mod ledger;
pub mod llm;
pub mod prompts;
pub mod runner;
pub mod sources;
pub mod terminal;
pub mod ui;
