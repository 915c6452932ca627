//! Tests of the whole: one binary, so that it links once.

mod bad_input;
mod crash;
mod gate;
mod generated;
mod headless;
mod inquiry_prometheus;
mod invariants;
mod live;
mod llm_real;
mod loki_server;
mod order;
mod program;
mod pseudo_terminal;
mod replay_promql;
mod secrets;
mod servers;
mod sources_alertmanager;
mod sources_dialects;
mod sources_http;
mod sources_loki;
mod sources_prometheus;
mod templates;
mod tui;
mod tui_demo;
