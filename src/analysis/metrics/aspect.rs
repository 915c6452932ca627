//! What a metric tells about its service, and which direction of it is trouble: from its name.

use crate::domain::Labels;
use crate::domain::evidence::Turn;
use crate::domain::query::Shape;

/// What a metric tells about its service; the words of [`crate::domain::analysis::Suspect::normal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Failed work, or the lack of success.
    Errors,
    /// Time that work takes.
    Latency,
    /// Processor time and throttling.
    Cpu,
    /// Memory.
    Memory,
    /// Queues, pools, connections, threads, disks: what can run full.
    Saturation,
    /// Bytes moved.
    Network,
    /// Amount of work.
    Traffic,
    /// Anything else.
    Other,
}

impl Aspect {
    /// The word for screens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Saturation => "saturation",
            Self::Network => "network",
            Self::Traffic => "traffic",
            Self::Other => "other",
        }
    }

    /// From the metric's name.
    pub fn of(metric: &str) -> Self {
        let name = metric.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["error", "fail", "5xx", "availab", "success", "exception", "fault", "unavailable", "panic", "abort"]) {
            Self::Errors
        } else if has(&["cpu", "throttl", "load1", "load5", "runqueue"]) {
            Self::Cpu
        } else if has(&["memory", "heap", "rss", "oom", "swap", "working_set", "gc_"]) {
            Self::Memory
        } else if has(&[
            "queue",
            "lag",
            "backlog",
            "pool",
            "connection",
            "inflight",
            "in_flight",
            "pending",
            "thread",
            "disk",
            "filesystem",
            "saturation",
            "evict",
            "oldest",
            "age_seconds",
            "capacity",
            "pressure",
            "waiting",
        ]) {
            Self::Saturation
        } else if has(&["latency", "duration", "response_time", "elapsed", "seconds", "_ms"]) {
            Self::Latency
        } else if has(&["network", "bytes", "packets", "receive", "transmit"]) {
            Self::Network
        } else if has(&[
            "request",
            "rate",
            "throughput",
            "per_second",
            "per_min",
            "qps",
            "rps",
            "total",
            "calls",
            "messages",
            "records",
        ]) {
            Self::Traffic
        } else {
            Self::Other
        }
    }
}

/// Whether a label says that what is counted went wrong.
pub(super) fn is_of_failures(labels: &Labels) -> bool {
    labels.iter().any(|(name, value)| {
        let code = ["code", "status"].iter().any(|word| name.contains(word));
        let outcome = ["outcome", "result", "classification", "level", "severity"].contains(&name);
        let value = value.to_ascii_lowercase();
        code && value.len() == 3 && value.starts_with('5')
            || outcome && ["error", "fail", "failure", "failed", "fatal", "exception"].contains(&value.as_str())
    })
}

/// Whether a metric follows the load of its service, which comes and goes in waves.
pub(super) fn follows_load(metric: &str) -> bool {
    matches!(Aspect::of(metric), Aspect::Traffic | Aspect::Network | Aspect::Cpu | Aspect::Other)
}

/// Whether a rate is that of single events, which come by chance even where nothing changes.
pub(super) fn counts_events(metric: &str, shape: Shape) -> bool {
    let name = metric.to_ascii_lowercase();
    shape == Shape::Rate
        && matches!(Aspect::of(metric), Aspect::Errors | Aspect::Traffic)
        && !["seconds", "bytes", "joules", "_ms", "millis"].iter().any(|word| name.contains(word))
}

/// Which direction of a metric is trouble: up, down, or either.
pub(super) fn bad_turn(metric: &str) -> Option<Turn> {
    let name = metric.to_ascii_lowercase();
    if ["availab", "success", "ready", "healthy", "hit_ratio", "hits"].iter().any(|word| name.contains(word))
        && !name.contains("unavailab")
        && !name.contains("duration")
        || name == "up"
        || name.ends_with("_up")
    {
        return Some(Turn::Down);
    }
    match Aspect::of(metric) {
        Aspect::Errors | Aspect::Latency | Aspect::Cpu | Aspect::Memory | Aspect::Saturation => Some(Turn::Up),
        Aspect::Network | Aspect::Traffic | Aspect::Other => None,
    }
}

pub(super) fn is_ratio(metric: &str) -> bool {
    let name = metric.to_ascii_lowercase();
    // A duration has the letters of a ratio.
    name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ratio")
        || ["availab", "percent", "utilization", "success_rate"].iter().any(|word| name.contains(word))
}

pub(super) fn is_counter(metric: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
}

/// Unit for people, from the metric's suffix and what was done to it.
pub(super) fn unit_of(metric: &str, shape: Shape) -> &'static str {
    let name = metric.to_ascii_lowercase();
    if shape == Shape::Rate {
        return if name.contains("bytes") { "B/s" } else { "/s" };
    }
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
    if ends(&["_ms", "_milliseconds"]) {
        "ms"
    } else if name.contains("seconds") {
        "s"
    } else if name.contains("bytes") {
        "B"
    } else if name.contains("percent") {
        "%"
    } else {
        ""
    }
}
