//! Series against their baseline.
//!
//! A series is judged by how far the stronger half of its window lies from the median of its baseline, in robust
//! standard deviations with a floor taken from the series themselves (so that the unit does not matter), and by how
//! rarely a fault-free stretch reached as far: stretches of the series itself (its tail rank), and of all series of the
//! same metric, so that a metric that is wild everywhere surprises nobody and kinds of metrics can be compared. Which
//! of the two directions is bad follows from what the metric counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entity::service_of;
use super::robust::{
    change_point, half_mean, median, median_of, quantile, sorted, spread, steady_line, strength, tail_rank,
};
use crate::domain::evidence::{Band, MetricDetail, Turn};
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Purpose, Shape};
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::{Labels, TimeRange, Timestamp};

/// Points kept for the chart of one series.
const MOST_POINTS: usize = 240;
/// A baseline of fewer samples is helped out by what else lies before the window.
const FEW: usize = 8;
/// Distances below this many standard deviations are never called a deviation.
const LEAST_DISTANCE: f64 = 2.0;
/// Surprise, as a power of ten, below which a deviation is chance: there are many series and few samples in a window.
const NOISE: f64 = 1.3;
/// Surprise beyond the noise at which the strength is one half.
const HALF: f64 = 1.5;
/// Fault-free stretches taken from one series, at most.
const MOST_STRETCHES: usize = 64;
/// So many stretches of its own let a series speak for itself.
const OWN_STRETCHES: usize = 20;
/// Relative change at which half of the strength is left.
const TRIFLE: f64 = 0.1;
/// What is looked at before the window, at least, when the baseline lies elsewhere.
const LEAD: Duration = Duration::from_mins(15);
/// Weight of a series' own past against that of its siblings, where it has one.
const OWN_SHARE: f64 = 0.7;
/// Strength of an alert's own series that reached its threshold along a straight line.
const STEADY_STRENGTH: f64 = 0.35;
/// Samples that a series lets one expect in the window for its end to be a finding.
const EXPECTED: f64 = 3.0;

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

/// Which direction of a metric is trouble: up, down, or either.
fn bad_turn(metric: &str) -> Option<Turn> {
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

/// One series compared.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricFinding {
    /// Its service, if its labels name one.
    pub service: Option<String>,
    /// What it tells.
    pub aspect: Aspect,
    /// Whether the question was an alert's own expression, or the same metric and statistic of another service.
    pub alerted: bool,
    /// Whether the labels are those of a firing alert.
    pub of_alert: bool,
    /// Whether it only goes on as it went before: nothing happened, and yet it moves.
    pub steady: bool,
    /// Figures and samples.
    pub detail: MetricDetail,
    /// 0 to 1.
    pub strength: f64,
    /// Share of baseline stretches that reached as far; 1 when unknown.
    pub tail: f64,
    /// When it began to deviate.
    pub onset: Option<Timestamp>,
    /// Where it came from.
    pub provenance: Provenance,
}

/// Compares all series of the snapshot, strongest first. Series without a sample in the window and baseline are left
/// out; the same series asked twice is kept once.
pub fn compare_metrics(snapshot: &Snapshot) -> Vec<MetricFinding> {
    let (window, baseline) = (snapshot.incident.window, snapshot.incident.baseline);
    let mut found: BTreeMap<(String, Labels), MetricFinding> = BTreeMap::new();
    for answer in &snapshot.metrics {
        if matches!(answer.purpose, Purpose::Edge { .. } | Purpose::Restart { .. } | Purpose::Discovery) {
            continue;
        }
        for finding in compare_answer(answer, snapshot, baseline, window) {
            let key = (finding.detail.metric.clone(), finding.detail.labels.clone());
            match found.get_mut(&key) {
                Some(known) => {
                    known.alerted |= finding.alerted;
                    known.of_alert |= finding.of_alert;
                }
                None => {
                    found.insert(key, finding);
                }
            }
        }
    }
    let mut all: Vec<MetricFinding> = found.into_values().collect();
    all.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then(a.tail.total_cmp(&b.tail))
            .then(b.detail.score.abs().total_cmp(&a.detail.score.abs()))
            .then_with(|| a.detail.metric.cmp(&b.detail.metric))
            .then_with(|| a.detail.labels.cmp(&b.detail.labels))
    });
    all
}

/// A series with its samples sorted into what they are compared as.
struct Split {
    labels: Labels,
    samples: Vec<Sample>,
    baseline: Vec<f64>,
    /// What lies before the window, baseline included, for the spread of a series with a short baseline.
    context: Vec<f64>,
    window: Vec<f64>,
    range: TimeRange,
    /// What the series did just before the window, where that is no part of the baseline.
    lead: Option<f64>,
    /// Samples that the density of the baseline lets one expect in the window.
    expected: f64,
}

impl Split {
    /// The fault-free values: the baseline where it is long enough, else all that lies before the window.
    fn reference(&self) -> &[f64] {
        if self.baseline.len() >= FEW { &self.baseline } else { &self.context }
    }
}

fn compare_answer(
    answer: &MetricAnswer,
    snapshot: &Snapshot,
    baseline: TimeRange,
    window: TimeRange,
) -> Vec<MetricFinding> {
    let (asked_metric, shape, alerted) = match &answer.purpose {
        Purpose::Golden { metric, shape } => (Some(metric.as_str()), *shape, false),
        Purpose::AlertExpression { .. } => (None, Shape::Level, true),
        _ => (None, Shape::Level, false),
    };
    let splits: Vec<Split> = Series::in_order(&answer.series)
        .into_iter()
        .map(|series| {
            let metric = series.labels.metric().or(asked_metric).unwrap_or_default();
            let cumulative = alerted && series.labels.metric().is_some() && is_counter(metric);
            let samples = if cumulative { increments(&series.samples) } else { series.samples };
            split(series.labels, samples, baseline, window)
        })
        .collect();
    let named = |split: &Split| split.labels.metric().or(asked_metric).unwrap_or(&answer.provenance.expr).to_owned();
    let mut norms: BTreeMap<String, Norm> = BTreeMap::new();
    for split in &splits {
        norms.entry(named(split)).or_default().spreads.push(spread(&sorted(split.reference().iter().copied())));
    }
    for (metric, norm) in &mut norms {
        norm.settle(metric, splits.iter().filter(|split| named(split) == *metric));
    }
    splits
        .into_iter()
        .filter_map(|split| {
            let metric = named(&split);
            let mut labels = split.labels.clone();
            labels.remove(METRIC_NAME);
            let service = service_of(&labels);
            let of_alert = alerted
                && snapshot.incident.alerts.iter().any(|alert| {
                    let alert_service = service_of(&alert.labels);
                    alert_service.is_none() || alert_service == service
                });
            let mut compared = compare(&split, norms.get(&metric)?, bad_turn(&metric))?;
            let slope = if of_alert { steady_slope(&split, baseline) } else { None };
            if let Some(slope) = slope.filter(|_| !snapshot.incident.is_resolved()) {
                // It reached the alert's threshold by its own course: the alert speaks of it, and of nothing else.
                compared.strength = STEADY_STRENGTH;
                compared.turn = if slope > 0.0 { Turn::Up } else { Turn::Down };
                compared.peak = compared.last;
                compared.onset = None;
            }
            Some(MetricFinding {
                service,
                aspect: Aspect::of(&metric),
                alerted,
                of_alert,
                steady: slope.is_some(),
                strength: compared.strength,
                tail: compared.tail,
                onset: compared.onset,
                detail: MetricDetail {
                    unit: unit_of(&metric, shape).to_owned(),
                    metric,
                    labels,
                    baseline: compared.band,
                    peak: compared.peak,
                    last: compared.last,
                    turn: compared.turn,
                    score: compared.score,
                    samples: thinned(&split.samples, baseline, window),
                },
                provenance: answer.provenance.clone(),
            })
        })
        .collect()
}

fn split(labels: Labels, samples: Vec<Sample>, baseline: TimeRange, window: TimeRange) -> Split {
    let finite = |range: &dyn Fn(Timestamp) -> bool| -> Vec<f64> {
        samples
            .iter()
            .filter(|sample| range(sample.at) && sample.value.is_finite())
            .map(|sample| sample.value)
            .collect()
    };
    let inside = |at: Timestamp| is_inside(window, at);
    let baseline_values = finite(&|at| baseline.contains(at) && !inside(at));
    let context = finite(&|at| !inside(at) && (at < window.start || baseline.contains(at)));
    let window_values = finite(&inside);
    let before = TimeRange::new(window.start.minus(window.duration().max(LEAD)), window.start);
    let lead = median_of(
        samples
            .iter()
            .filter(|sample| before.contains(sample.at) && !baseline.contains(sample.at))
            .map(|one| one.value),
    );
    let spans = baseline.duration().as_secs_f64().max(1.0);
    let expected = baseline_values.len() as f64 * window.duration().as_secs_f64() / spans;
    Split { labels, baseline: baseline_values, context, window: window_values, range: window, lead, expected, samples }
}

/// The slope of a series whose window goes on along the line of its baseline, in units per second.
fn steady_slope(split: &Split, baseline: TimeRange) -> Option<f64> {
    let points = |inside: &dyn Fn(Timestamp) -> bool| -> Vec<(f64, f64)> {
        split
            .samples
            .iter()
            .filter(|sample| sample.value.is_finite() && inside(sample.at))
            .map(|sample| (sample.at.secs_f64() - split.range.start.secs_f64(), sample.value))
            .collect()
    };
    let window = points(&|at| is_inside(split.range, at));
    let before = points(&|at| baseline.contains(at) && !is_inside(split.range, at));
    if before.len() < FEW { None } else { steady_line(&before, &window) }
}

struct Compared {
    band: Band,
    peak: f64,
    last: f64,
    turn: Turn,
    score: f64,
    strength: f64,
    tail: f64,
    onset: Option<Timestamp>,
}

/// What is normal for the series of one metric.
#[derive(Debug, Default)]
struct Norm {
    spreads: Vec<f64>,
    /// The usual spread of a series that moves at all.
    usual: f64,
    /// A spread below this is not one, in the unit of the metric.
    floor: f64,
    /// Distances that fault-free stretches of all its series reach, upwards and downwards, sorted.
    calm: [Vec<f64>; 2],
}

impl Norm {
    fn settle<'s>(&mut self, metric: &str, splits: impl Iterator<Item = &'s Split> + Clone) {
        self.usual = median(&sorted(self.spreads.iter().copied().filter(|spread| *spread > 0.0))).unwrap_or(0.0);
        if is_ratio(metric) {
            let all = splits.clone().flat_map(|split| split.reference().iter().chain(&split.window));
            let percent = all.copied().filter(|value| value.is_finite()).any(|value| value.abs() > 1.5);
            self.floor = if percent { 0.25 } else { 0.0025 };
        }
        for split in splits {
            let reference = split.reference();
            let length = split.window.len();
            let Some(middle) = median(&sorted(reference.iter().copied())) else { continue };
            let scale = self.scale(reference, middle);
            if length == 0 || reference.len() < length || scale <= 0.0 {
                continue;
            }
            let stride = (length / 2).max(1).max(reference.len() / MOST_STRETCHES);
            for stretch in reference.windows(length).step_by(stride) {
                for (calm, upper) in self.calm.iter_mut().zip([true, false]) {
                    if let Some(reach) = half_mean(stretch, upper) {
                        calm.push(if upper { reach - middle } else { middle - reach }.max(0.0) / scale);
                    }
                }
            }
        }
        for calm in &mut self.calm {
            calm.sort_by(f64::total_cmp);
        }
    }

    /// The spread of one series with its floors: all in the unit of the series, so that the unit does not matter.
    fn scale(&self, reference: &[f64], middle: f64) -> f64 {
        let relative = if self.floor > 0.0 { 0.0 } else { 0.02 * middle.abs() };
        spread(&sorted(reference.iter().copied())).max(0.1 * self.usual).max(relative).max(self.floor)
    }

    /// How many times farther, in powers of two, a distance is than any calm stretch of the series itself.
    fn own_surprise(reference: &[f64], window: &[f64], middle: f64, scale: f64, distance: f64, upper: bool) -> f64 {
        let length = window.len().max(1);
        let stride = (length / 2).max(1).max(reference.len() / 400);
        let farthest = reference
            .windows(length)
            .step_by(stride)
            .filter_map(|stretch| half_mean(stretch, upper))
            .map(|reach| if upper { reach - middle } else { middle - reach } / scale)
            .fold(LEAST_DISTANCE, f64::max);
        (distance / farthest).log2().clamp(0.0, 5.0)
    }

    /// How surprising a distance is, as a power of ten: from the share of calm stretches that reach as far, and, past
    /// the farthest of them, from how many times farther it is.
    fn surprise(&self, distance: f64, upper: bool) -> f64 {
        let calm = &self.calm[usize::from(!upper)];
        let as_far = calm.len() - calm.partition_point(|other| *other < distance);
        let rank = -((as_far + 1) as f64 / (calm.len() + 1) as f64).log10();
        let farthest = calm.last().copied().unwrap_or(0.0).max(LEAST_DISTANCE);
        rank + (distance / farthest).log2().clamp(0.0, 5.0)
    }
}

fn compare(split: &Split, norm: &Norm, bad: Option<Turn>) -> Option<Compared> {
    let long = split.baseline.len() >= FEW;
    let reference = split.reference();
    let ordered = sorted(reference.iter().copied());
    let middle = median(&ordered)?;
    let own = sorted(split.baseline.iter().copied());
    let band_of = if long { &own } else { &ordered };
    let band = Band {
        low: quantile(band_of, 0.05)?,
        median: median(&own).unwrap_or(middle),
        high: quantile(band_of, 0.95)?,
        count: split.baseline.len(),
    };
    if split.window.is_empty() {
        // Samples ceased: that is a finding when there were enough of them to expect some.
        let gone = split.expected >= EXPECTED;
        return Some(Compared {
            peak: f64::NAN,
            last: f64::NAN,
            turn: Turn::Absent,
            score: 0.0,
            strength: if gone { 0.3 } else { 0.0 },
            tail: 1.0,
            onset: None,
            band,
        });
    }
    let scale = norm.scale(reference, middle);
    // A short baseline is one point of view, the time before the window another: what deviates must do so from both.
    let (low, high) =
        if own.is_empty() || long { (middle, middle) } else { (band.median.min(middle), band.median.max(middle)) };
    let up_reach = half_mean(&split.window, true)?;
    let down_reach = half_mean(&split.window, false)?;
    let (least, most) = (
        split.window.iter().copied().fold(f64::INFINITY, f64::min),
        split.window.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    );
    let distance = |gap: f64, moved: f64| {
        // Against a baseline of another day, a level that was there before the window is no news.
        let gap = if long && split.lead.is_some() { gap.min(moved) } else { gap };
        if gap <= 0.0 {
            0.0
        } else if scale > 0.0 {
            (gap / scale).min(1e6)
        } else {
            1e6
        }
    };
    let lead = split.lead.unwrap_or(middle);
    let up = distance(up_reach - high, up_reach - lead);
    let down = distance(low - down_reach, lead - down_reach);
    // A change may be certain and yet too small to matter.
    let matters = |reach: f64| {
        let share = (reach - middle).abs() / middle.abs().max(f64::MIN_POSITIVE);
        if norm.floor > 0.0 || share.is_infinite() { 1.0 } else { share / (share + TRIFLE) }
    };
    let worth = |turn: Turn| match bad {
        None => 0.8,
        Some(bad) if bad == turn => 1.0,
        Some(_) => 0.4,
    };
    let judge = |size: f64, upper: bool| {
        let tail = tail_rank(reference, &split.window, upper);
        let mut surprise = norm.surprise(size, upper);
        if reference.len() >= split.window.len() * OWN_STRETCHES {
            let own = Norm::own_surprise(reference, &split.window, middle, scale, size, upper) - tail.log10();
            surprise = OWN_SHARE * own + (1.0 - OWN_SHARE) * surprise;
        }
        let worth = worth(if upper { Turn::Up } else { Turn::Down });
        let matters = matters(if upper { up_reach } else { down_reach });
        (if size < LEAST_DISTANCE { 0.0 } else { strength(surprise, NOISE, HALF) * worth * matters }, tail)
    };
    let (rise, fall) = (judge(up, true), judge(down, false));
    let upwards = (rise.0, up) >= (fall.0, down);
    let (size, (strength, tail), turn) = if upwards { (up, rise, Turn::Up) } else { (down, fall, Turn::Down) };
    Some(Compared {
        peak: if upwards { most } else { least },
        last: *split.window.last()?,
        turn: if strength > 0.0 { turn } else { Turn::Flat },
        score: if upwards { size } else { -size },
        strength,
        tail,
        onset: (strength > 0.0).then(|| onset(split, band, upwards)).flatten(),
        band,
    })
}

/// The change point of the window, seen from the baseline's median; not before the first sample outside the band.
fn onset(split: &Split, band: Band, upwards: bool) -> Option<Timestamp> {
    let inside: Vec<&Sample> =
        split.samples.iter().filter(|sample| sample.value.is_finite() && is_inside(split.range, sample.at)).collect();
    let first =
        inside.iter().find(|sample| if upwards { sample.value > band.high } else { sample.value < band.low })?;
    let lead = inside.len().min(3);
    let values: Vec<f64> =
        std::iter::repeat_n(band.median, lead).chain(inside.iter().map(|sample| sample.value)).collect();
    let point = change_point(&values).and_then(|index| inside.get(index.saturating_sub(lead)));
    Some(point.map_or(first.at, |point| point.at.max(first.at)))
}

/// The window ends with now, and a sample taken now belongs to it.
fn is_inside(window: TimeRange, at: Timestamp) -> bool {
    window.contains(at) || at == window.end
}

fn is_ratio(metric: &str) -> bool {
    let name = metric.to_ascii_lowercase();
    // A duration has the letters of a ratio.
    name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ratio")
        || ["availab", "percent", "utilization", "success_rate"].iter().any(|word| name.contains(word))
}

fn is_counter(metric: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
}

/// Growth between samples of a counter, a fall being a reset to zero.
fn increments(samples: &[Sample]) -> Vec<Sample> {
    samples
        .windows(2)
        .map(|pair| {
            let growth = pair[1].value - pair[0].value;
            Sample { at: pair[1].at, value: if growth < 0.0 { pair[1].value } else { growth } }
        })
        .collect()
}

/// Unit for people, from the metric's suffix and what was done to it.
fn unit_of(metric: &str, shape: Shape) -> &'static str {
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

/// Samples of baseline and window, evenly thinned, the window's kept first.
fn thinned(samples: &[Sample], baseline: TimeRange, window: TimeRange) -> Vec<Sample> {
    let (inside, before): (Vec<Sample>, Vec<Sample>) = samples
        .iter()
        .filter(|sample| is_inside(window, sample.at) || baseline.contains(sample.at))
        .partition(|sample| is_inside(window, sample.at));
    let window_part = every(&inside, MOST_POINTS / 2);
    let mut all = every(&before, MOST_POINTS - window_part.len());
    all.extend(window_part);
    all.sort_by_key(|sample| sample.at);
    all
}

/// At most `most` of the samples, evenly spaced, the last one always among them.
fn every(samples: &[Sample], most: usize) -> Vec<Sample> {
    if samples.len() <= most {
        return samples.to_vec();
    }
    (0..most).map(|index| samples[(index + 1) * samples.len() / most - 1]).collect()
}

#[cfg(test)]
mod tests;
