//! The difference between two logs without times, by the shares of their templates.

use super::miner::Mined;
use super::rates::{adjusted, change_p};
use crate::domain::evidence::LogChange;

/// False discovery rate for `More` and `Fewer`.
const FALSE_DISCOVERIES: f64 = 0.01;
/// Smallest ratio of shares that is called a change.
const LEAST_RATIO: f64 = 1.8;

/// A template in two logs.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateChange {
    /// Index into [`Mined::templates`].
    pub template: usize,
    /// Events in the baseline and in the log under test.
    pub counts: [u64; 2],
    /// Their share of each log's events, 0 to 1.
    pub share: [f64; 2],
    /// How it changed, if it did.
    pub change: Option<LogChange>,
}

impl Mined {
    /// Compares two logs that went through one miner; `counts` has for each form its events in the baseline and in
    /// the log under test. What changed comes first, surest first; then by count. The test is the binomial one of
    /// the log comparison, with the logs' sizes in place of their durations.
    pub fn changes(&self, counts: &[[u64; 2]]) -> Vec<TemplateChange> {
        let mut by_template = vec![[0_u64; 2]; self.templates.len()];
        let mut totals = [0_u64; 2];
        for (form, count) in counts.iter().enumerate() {
            let Some(index) = self.template_of(super::FormId::at(form as u32)) else { continue };
            for period in 0..2 {
                by_template[index][period] += count[period];
                totals[period] += count[period];
            }
        }
        let share = totals[1] as f64 / (totals[0] + totals[1]).max(1) as f64;
        let p: Vec<f64> =
            by_template.iter().map(|[before, now]| change_p(*before as f64, *now as f64, share)).collect();
        let q = adjusted(&p);
        let part = |count: u64, total: u64| count as f64 / total.max(1) as f64;
        let mut out: Vec<(f64, TemplateChange)> = by_template
            .iter()
            .enumerate()
            .map(|(template, &counts)| {
                let share = [part(counts[0], totals[0]), part(counts[1], totals[1])];
                let change = match counts {
                    [0, 0] => None,
                    [0, _] => Some(LogChange::New),
                    [_, 0] => Some(LogChange::Vanished),
                    _ if q[template] > FALSE_DISCOVERIES => None,
                    _ if share[1] >= share[0] * LEAST_RATIO => Some(LogChange::More),
                    _ if share[0] >= share[1] * LEAST_RATIO => Some(LogChange::Fewer),
                    _ => None,
                };
                (p[template], TemplateChange { template, counts, share, change })
            })
            .collect();
        out.sort_by(|(p, a), (q, b)| {
            let rank = |one: &TemplateChange| one.change.is_none();
            rank(a).cmp(&rank(b)).then_with(|| if rank(a) { std::cmp::Ordering::Equal } else { p.total_cmp(q) }).then(
                b.counts[1].cmp(&a.counts[1]).then(b.counts[0].cmp(&a.counts[0])).then(a.template.cmp(&b.template)),
            )
        });
        out.into_iter().map(|(_, change)| change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Miner;
    use super::*;

    #[test]
    fn new_vanished_more_and_fewer_are_told_apart() {
        let mut miner = Miner::new();
        let mut counts: Vec<[u64; 2]> = Vec::new();
        for (period, say) in [[200, 50, 0, 100, 10], [200, 0, 40, 10, 100]].iter().enumerate() {
            for (line, times) in
                ["steady state", "going away", "fresh arrival", "getting rare", "more often"].iter().zip(say)
            {
                for i in 0..*times {
                    let form = miner.push(&format!("{line} {i}")).unwrap().index() as usize;
                    counts.resize(counts.len().max(form + 1), [0; 2]);
                    counts[form][period] += 1;
                }
            }
        }
        let mined = miner.templates();
        let found = mined.changes(&counts);
        let change = |start: &str| {
            found.iter().find(|one| mined.templates[one.template].template.starts_with(start)).map(|one| one.change)
        };
        assert_eq!(change("steady"), Some(None));
        assert_eq!(change("going"), Some(Some(LogChange::Vanished)));
        assert_eq!(change("fresh"), Some(Some(LogChange::New)));
        assert_eq!(change("getting"), Some(Some(LogChange::Fewer)));
        assert_eq!(change("more"), Some(Some(LogChange::More)));
        assert_eq!(found.last().unwrap().change, None);
    }
}
