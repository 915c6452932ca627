//! Tests of the whole: one binary, so that it links once.

mod invariants;
mod servers;
mod sources_prometheus;
