//! Tests of the whole: one binary, so that it links once.

mod invariants;
mod secrets;
mod servers;
mod sources_http;
mod sources_prometheus;
