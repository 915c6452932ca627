//! One series against its baseline and what is normal for its metric.

use super::norm::{LEAST_DISTANCE, Norm};
use super::onset::onset;
use super::split::{FEW, Split};
use crate::analysis::robust::{half_mean, median, median_of, quantile, sorted, strength, tail_rank, wander};
use crate::domain::Timestamp;
use crate::domain::evidence::{Band, Turn};
use crate::domain::metric::Sample;

/// Surprise, as a power of ten, below which a deviation is chance: there are many series and few samples in a window.
pub(in crate::analysis) const NOISE: f64 = 1.3;
/// Surprise beyond the noise at which the strength is one half.
pub(super) const HALF: f64 = 1.5;
/// So many stretches of its own let a series speak for itself.
pub(super) const OWN_STRETCHES: usize = 20;
/// What is left of the strength of a series that did the same at the same time on an earlier day.
const SEASONAL: f64 = 0.3;
/// It did the same when it came so near to as far.
const SAME_SHARE: f64 = 0.75;
/// Relative change at which half of the strength is left.
pub(super) const TRIFLE: f64 = 0.1;
/// Weight of a series' own past against that of its siblings, where it has one.
pub(super) const OWN_SHARE: f64 = 0.7;
/// Samples that a series lets one expect in the window for its end to be a finding.
pub(super) const EXPECTED: f64 = 3.0;

pub(super) struct Compared {
    pub(super) band: Band,
    pub(super) peak: f64,
    pub(super) last: f64,
    pub(super) turn: Turn,
    pub(super) score: f64,
    pub(super) strength: f64,
    pub(super) tail: f64,
    pub(super) surprise: f64,
    pub(super) seasonal: bool,
    pub(super) onset: Option<Timestamp>,
}

pub(super) fn compare(split: &Split, norm: &Norm, bad: Option<Turn>, follows_load: bool) -> Option<Compared> {
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
            surprise: 0.0,
            seasonal: false,
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
    let (mut up_gap, mut down_gap) = (up_reach - high, low - down_reach);
    if follows_load && split.lead.is_none() && long {
        // Load comes in waves: what moves no farther from where it was than it did from one stretch to the next all
        // along goes on as before.
        let length = split.window.len();
        let wandered = wander(reference, length);
        let before = median_of(reference[reference.len() - reference.len().min(length.div_ceil(2))..].iter().copied());
        if wandered > 0.0
            && let Some(before) = before
        {
            up_gap = up_gap.min(up_reach - before - wandered);
            down_gap = down_gap.min(before - down_reach - wandered);
        }
    }
    let up = distance(up_gap, up_reach - lead);
    let down = distance(down_gap, lead - down_reach);
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
        let strength = if size < LEAST_DISTANCE { 0.0 } else { strength(surprise, NOISE, HALF) * worth * matters };
        (strength, tail, surprise)
    };
    let (rise, fall) = (judge(up, true), judge(down, false));
    let upwards = (rise.0, up) >= (fall.0, down);
    let (size, (mut strength, tail, mut surprise), turn) =
        if upwards { (up, rise, Turn::Up) } else { (down, fall, Turn::Down) };
    let gap = |reach: f64| if upwards { reach - middle } else { middle - reach };
    let seasonal = strength > 0.0
        && split.seasons.iter().any(|season| {
            let alike = half_mean(season, upwards)
                .is_some_and(|reach| gap(reach) >= SAME_SHARE * gap(if upwards { up_reach } else { down_reach }));
            2 * season.len() >= split.window.len() && alike
        });
    if seasonal {
        // The fault may have been there yesterday as well, so it is not struck out.
        strength *= SEASONAL;
        surprise = surprise.min(NOISE);
    }
    let onset = (strength > 0.0).then(|| onset(split, band, upwards)).flatten();
    let band = onset.and_then(|onset| calm_band(split, onset)).unwrap_or(band);
    Some(Compared {
        peak: if upwards { most } else { least },
        last: *split.window.last()?,
        turn: if strength > 0.0 { turn } else { Turn::Flat },
        score: if upwards { size } else { -size },
        strength,
        tail,
        surprise,
        seasonal,
        onset,
        band,
    })
}

/// The band of a baseline that ends in the trouble itself: what was there before the onset. `None` where the onset lies
/// in the window, or too little lies before it.
fn calm_band(split: &Split, onset: Timestamp) -> Option<Band> {
    if onset >= split.range.start {
        return None;
    }
    let is_calm = |sample: &&Sample| split.baseline_range.contains(sample.at) && sample.at < onset;
    let calm =
        sorted(split.samples.iter().filter(is_calm).map(|sample| sample.value).filter(|value| value.is_finite()));
    if calm.len() < FEW {
        return None;
    }
    Some(Band { low: quantile(&calm, 0.05)?, median: median(&calm)?, high: quantile(&calm, 0.95)?, count: calm.len() })
}
