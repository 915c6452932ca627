//! Kinds of changes: an open set.

use crate::domain::change::Change;

/// What a cluster reports of pods in trouble: consequences, seldom causes.
const CONSEQUENCES: &[&str] = &[
    "oomkill",
    "crashloop",
    "back-off",
    "backoff",
    "killing",
    "evicted",
    "unhealthy",
    "probe failed",
    "failedscheduling",
    "restarted",
];

/// How much a kind of change weighs: what is running now against what may run one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// New code or configuration took effect.
    Takes,
    /// Code was written, and is not running by that.
    Written,
    /// A feature was switched.
    Flag,
    /// More or fewer replicas.
    Scale,
    /// A process began anew: often the consequence of a fault, seldom its cause.
    Restart,
    /// Anything else.
    Other,
}

impl Kind {
    pub(super) fn of(change: &Change) -> Self {
        let kind = change.kind.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        let summary = change.summary.to_ascii_lowercase();
        if has(&["event"]) && CONSEQUENCES.iter().any(|word| summary.contains(word)) {
            return Self::Restart;
        }
        if has(&["commit", "merge", "pull", "push"]) {
            Self::Written
        } else if has(&["flag", "toggle", "experiment"]) {
            Self::Flag
        } else if has(&["deploy", "rollout", "release", "rollback", "config", "migration", "apply", "upgrade", "sync"])
        {
            Self::Takes
        } else if has(&["scale", "scaling", "hpa", "autoscal"]) {
            Self::Scale
        } else if has(&["restart", "crash", "oom", "evict"]) {
            Self::Restart
        } else {
            Self::Other
        }
    }

    /// `deployed` tells whether the changes say when code takes effect: where they do, a commit alone changes nothing.
    pub(super) fn weight(self, deployed: bool) -> f64 {
        match self {
            Self::Takes => 1.0,
            Self::Written if deployed => 0.1,
            // As quick as a deploy, but it touches only the code behind it.
            Self::Flag => 0.7,
            Self::Scale => 0.5,
            Self::Restart => 0.3,
            Self::Written | Self::Other => 0.6,
        }
    }
}
