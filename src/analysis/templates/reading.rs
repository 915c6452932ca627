//! Log entries read once: their templates, and which entry shows which.

use super::forms::{self, Forms, NONE};
use super::merge::{self, Template};
use crate::analysis::periods::Periods;
use crate::domain::log::LogEntry;

/// The entries of baseline and window with their templates.
pub struct LogReading<'e> {
    /// All entries that were given.
    pub(in crate::analysis) entries: &'e [LogEntry],
    /// Indices of those inside baseline or window by time, then labels; entries of one stream and time keep their
    /// order.
    pub(super) order: Vec<u32>,
    pub(super) forms: Forms,
    pub(super) templates: Vec<Template<'e>>,
    /// Template of each form.
    pub(super) template_of: Vec<u32>,
    /// What is normal and what is the incident.
    pub(in crate::analysis) periods: Periods,
}

impl<'e> LogReading<'e> {
    /// Mines the templates of the entries in both periods together, so that they can be compared. Linear in the
    /// entries; the order of `entries` does not matter, except among entries of one stream with the same time.
    pub fn of(entries: &'e [LogEntry], periods: Periods) -> Self {
        let order = in_order(entries, &periods);
        let forms = forms::collect(entries, &order, &periods);
        let line = |form: usize| entries[forms.all[form].sample as usize].line.as_str();
        let templates = merge::templates(&forms.shapes, line);
        let mut template_of = vec![0; forms.all.len()];
        for (index, template) in templates.iter().enumerate() {
            for form in &template.forms {
                template_of[*form as usize] = index as u32;
            }
        }
        Self { entries, order, forms, templates, template_of, periods }
    }

    /// Index of each entry that begins an event, with its template, in order of time. Stack frames are no events.
    pub(in crate::analysis) fn events(&self) -> impl Iterator<Item = (u32, u32)> {
        self.order.iter().zip(&self.forms.of).filter_map(|(&index, &form)| {
            if form == NONE { None } else { Some((index, self.template_of[form as usize])) }
        })
    }

    /// How often a template was seen in baseline and window.
    pub(in crate::analysis) fn counts(&self, template: u32) -> [u64; 2] {
        let forms = &self.templates[template as usize].forms;
        forms.iter().map(|form| self.forms.all[*form as usize].counts).fold([0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
    }

    /// A template as people read it, without what says nothing in front: masks, the level, ids of the request.
    pub(in crate::analysis) fn gist(&self, template: u32) -> String {
        gist(&self.templates[template as usize].render())
    }
}

/// Indices of the entries that belong to a period, in order.
fn in_order(entries: &[LogEntry], periods: &Periods) -> Vec<u32> {
    let mut order: Vec<u32> = (0..entries.len().min(NONE as usize) as u32)
        .filter(|&index| periods.of_entry(&entries[index as usize]).is_some())
        .collect();
    let compare = |a: &LogEntry, b: &LogEntry| {
        a.at.cmp(&b.at).then_with(|| {
            if std::sync::Arc::ptr_eq(&a.labels, &b.labels) {
                std::cmp::Ordering::Equal
            } else {
                a.labels.cmp(&b.labels)
            }
        })
    };
    let by_index = |&a: &u32, &b: &u32| compare(&entries[a as usize], &entries[b as usize]);
    if !order.is_sorted_by(|a, b| by_index(a, b).is_le()) {
        order.sort_by(by_index);
    }
    order
}

fn gist(template: &str) -> String {
    let mut words: Vec<&str> = template.split(' ').filter(|word| !word.is_empty()).collect();
    let says_nothing = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
        bare.is_empty() || matches!(bare, "TRACE" | "DEBUG" | "INFO" | "WARN" | "WARNING" | "ERROR" | "FATAL")
    };
    let head = words.iter().take_while(|word| says_nothing(word)).count();
    if head < words.len() {
        words.drain(..head);
    }
    let mut out = String::with_capacity(template.len());
    let mut at = 0;
    while at < words.len() {
        let (key, glued) = words[at].split_once(['=', ':']).unwrap_or((words[at], ""));
        let is_id = crate::analysis::requests::kind_of(key).is_some();
        if is_id && glued.is_empty() && words.get(at + 1) == Some(&"<*>") {
            at += 2;
            continue;
        }
        if !(is_id && glued.trim_end_matches([',', ';']) == "<*>") {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(words[at]);
        }
        at += 1;
    }
    if out.is_empty() { template.to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn a_gist_leaves_out_what_says_nothing() {
        assert_eq!(gist("<*> INFO  f.m.Impl#405 TraceID: <*> SpanID: <*> [query] done"), "f.m.Impl#405 [query] done");
        assert_eq!(gist("[<*>] WARN request_id=<*> cart full"), "cart full");
        assert_eq!(gist("<*>"), "<*>");
    }
}
