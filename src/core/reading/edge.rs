//! An edge of the service graph before and during the incident, and the place of a service in the graph.

use crate::core::figures::figure;
use crate::domain::analysis::{Analysis, Suspect};
use crate::domain::evidence::{BeforeAfter, Detail, EdgeDetail, Evidence};

use super::proof::{bar, before_after, factor, since};
use super::{Line, Pieces, Role, Writer};

/// Columns of a bar.
const BAR: usize = 8;

/// Callers and callees that are listed.
const LISTED: usize = 5;

/// Share of the added waiting above which it is one side's.
const MOST: f64 = 0.6;

/// Everything about an edge.
pub(super) fn edge(out: &mut Writer, analysis: Option<&Analysis>, item: &Evidence, edge: &EdgeDetail, graph: bool) {
    let line = Pieces::default().with(Role::Plain, "  ").with(Role::Bad, &lost(edge));
    out.pieces(&line, 2);
    if let Some(at) = item.onset {
        out.field("since", &since(at, analysis));
    }
    out.blank();
    let head = format!("  {:<14} {:>9} {:<BAR$}  {:>9} {:<BAR$}  change", "", "before", "", "during", "");
    out.long(Role::Dim, &head);
    let slowest = edge.p95.before.is_some() || edge.p95.after.is_some();
    for (name, pair, unit) in [
        ("requests", edge.rate, "/s"),
        ("errors", edge.errors, "ratio"),
        ("caller waits", edge.client_seconds, "s"),
        ("  p95", edge.p95, "s"),
        ("callee works", edge.server_seconds, "s"),
        ("in between", between(edge), "s"),
    ] {
        if name == "  p95" && !slowest {
            continue;
        }
        // Times are drawn to one scale, so that their lengths add up.
        let times = [edge.client_seconds, edge.server_seconds, edge.p95];
        let most = if unit == "s" { largest(&times) } else { largest(&[pair]) };
        row(out, name, pair, unit, most);
    }
    let note = "  (in between: what the caller waits and the callee does not work: network, queues, retries)";
    out.pieces(&Pieces::default().with(Role::Dim, note), 3);
    if let Some(analysis) = analysis {
        beside(out, analysis, item, edge);
    }
    if let Some(analysis) = analysis.filter(|_| graph) {
        out.heading("Place in the graph");
        for line in neighbourhood(analysis, &edge.client, Some(&edge.server)) {
            out.keep(|| line);
        }
    }
}

/// The other edges of both sides: whether others wait as well.
fn beside(out: &mut Writer, analysis: &Analysis, item: &Evidence, edge: &EdgeDetail) {
    let others = analysis.evidence.iter().filter_map(|other| match &other.detail {
        Detail::Edge(found) if other.id != item.id => Some((other.id, found)),
        _ => None,
    });
    let touching = |other: &EdgeDetail| {
        let ends = [&edge.client, &edge.server];
        ends.contains(&&other.client) || ends.contains(&&other.server)
    };
    let others: Vec<_> = others.filter(|(_, other)| touching(other)).take(LISTED * 2).collect();
    if others.is_empty() {
        return;
    }
    out.heading("Other calls of both");
    for (id, other) in others {
        let (before, after) = before_after(other.client_seconds, "s");
        let (_, errors) = before_after(other.errors, "ratio");
        let failing = if other.errors.after.is_some_and(|share| share > 0.0) {
            format!(", {errors} fail")
        } else {
            String::new()
        };
        let times = factor(other.client_seconds.before, other.client_seconds.after);
        let line = Pieces::default()
            .with(Role::Accent, &format!("  {id:<5}"))
            .with(Role::Plain, &format!("{} → {}  ", other.client, other.server))
            .to(38)
            .with(Role::Dim, &format!("{before} → {after} {times}{failing}"));
        out.pieces(&line, 7);
    }
}

fn row(out: &mut Writer, name: &str, pair: BeforeAfter, unit: &str, most: f64) {
    let (before, after) = before_after(pair, unit);
    let change = factor(pair.before, pair.after);
    let worse = name != "requests" && matches!((pair.before, pair.after), (Some(b), Some(a)) if a > b * 1.5);
    let share = |value: Option<f64>| if most > 0.0 { value.unwrap_or(0.0) / most } else { 0.0 };
    let line = Pieces::default()
        .with(Role::Plain, &format!("  {name:<14} {before:>9} "))
        .with(Role::Accent, &bar(share(pair.before), BAR))
        .to(27 + BAR + 2)
        .with(Role::Plain, &format!("{after:>9} "))
        .with(if worse { Role::Bad } else { Role::Accent }, &bar(share(pair.after), BAR))
        .to(27 + 2 * BAR + 14)
        .with(if worse { Role::Bad } else { Role::Plain }, &change);
    out.pieces(&line, 4);
}

fn largest(pairs: &[BeforeAfter]) -> f64 {
    let values = pairs.iter().flat_map(|pair| [pair.before, pair.after]).flatten();
    values.filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// What the caller waits and the callee does not work.
fn between(edge: &EdgeDetail) -> BeforeAfter {
    let less = |client: Option<f64>, server: Option<f64>| Some((client? - server?).max(0.0));
    BeforeAfter {
        before: less(edge.client_seconds.before, edge.server_seconds.before),
        after: less(edge.client_seconds.after, edge.server_seconds.after),
    }
}

/// Where the time is lost, in words.
pub(super) fn lost(edge: &EdgeDetail) -> String {
    let added = |pair: BeforeAfter| pair.after.zip(pair.before).map(|(after, before)| after - before);
    let (client, server) = (&edge.client, &edge.server);
    let errors = added(edge.errors).filter(|added| *added > 0.01);
    let failing = errors.map_or_else(String::new, |_| {
        format!("; {} of the calls fail", figure(edge.errors.after.unwrap_or(0.0), "ratio"))
    });
    if edge.rate.before.is_some_and(|rate| rate > 0.0) && edge.rate.after.is_none_or(|rate| rate == 0.0) {
        return format!("{client} no longer calls {server}");
    }
    // The mean hides what few calls suffer.
    let tail = match (added(edge.p95), edge.p95.before) {
        (Some(added), Some(before)) if added > (before * 0.5).max(0.001) => Some(figure(added, "s")),
        _ => None,
    };
    let waits = match (added(edge.client_seconds), edge.client_seconds.before) {
        (Some(added), Some(before)) if added > (before * 0.2).max(0.001) => added,
        _ if edge.client_seconds.after.is_none() && tail.is_some() => {
            let longer = tail.unwrap_or_default();
            return format!("one call in twenty waits {longer} longer or more for {server}{failing}");
        }
        (None, _) if edge.client_seconds.after.is_none() => {
            return format!("how long {client} waits for {server} is not measured{failing}");
        }
        (None, _) => return format!("{client} did not call {server} before{failing}"),
        _ if tail.is_some() => {
            let longer = tail.unwrap_or_default();
            return format!("the mean hides it: one call in twenty waits {longer} longer or more{failing}");
        }
        _ if errors.is_some() => {
            let share = figure(edge.errors.after.unwrap_or(0.0), "ratio");
            return format!("no time is lost: {share} of the calls fail, and they are no slower");
        }
        _ => return format!("no time is lost between {client} and {server}"),
    };
    let total = figure(waits, "s");
    let place = match added(edge.server_seconds) {
        None => format!("{client} waits {total} longer for {server}; what {server} itself needs is not measured"),
        Some(works) if works >= waits * MOST => {
            format!("the time is lost in {server} itself: it works {} longer", figure(works, "s"))
        }
        Some(works) if works <= waits * (1.0 - MOST) => {
            format!("the time is lost between {client} and {server} ({total} longer): network, queue or retries")
        }
        Some(_) => format!("{client} waits {total} longer: lost partly in {server}, partly on the way"),
    };
    format!("{place}{failing}")
}

/// A service, or an edge, with what calls it above and what it calls below, suspects first and marked.
pub fn neighbourhood<'a>(analysis: &'a Analysis, service: &str, callee: Option<&str>) -> Vec<Line> {
    let last = callee.unwrap_or(service);
    let suspect = |name: &str| analysis.suspects.iter().find(|suspect| suspect.service == name);
    let sorted = |mut names: Vec<&'a str>| {
        names.retain(|name| *name != service && Some(*name) != callee);
        names.sort_by_key(|name| (suspect(name).map_or(usize::MAX, |suspect| suspect.rank), *name));
        names.dedup();
        names
    };
    let callers = sorted(analysis.graph.iter().filter(|e| e.server == service).map(|e| e.client.as_str()).collect());
    let callees = sorted(analysis.graph.iter().filter(|e| e.client == last).map(|e| e.server.as_str()).collect());
    let mut lines = Vec::new();
    let mut level = usize::from(!callers.is_empty());
    put(&mut lines, &callers, 0, "calls", suspect);
    line(&mut lines, service, level, "▸", suspect(service));
    if let Some(callee) = callee {
        level += 1;
        line(&mut lines, callee, level, "▸", suspect(callee));
    }
    put(&mut lines, &callees, level + 1, "called", suspect);
    if lines.len() == 1 {
        lines.push(Line { role: Role::Dim, text: "  no call from or to it is known".into(), marks: Vec::new() });
    }
    lines
}

fn put<'a>(
    lines: &mut Vec<Line>,
    names: &[&str],
    level: usize,
    word: &str,
    suspect: impl Fn(&str) -> Option<&'a Suspect>,
) {
    for name in names.iter().take(LISTED) {
        line(lines, name, level, " ", suspect(name));
    }
    if names.len() > LISTED {
        let text = format!("{}… {} more {word}", " ".repeat(2 + level * 2), names.len() - LISTED);
        lines.push(Line { role: Role::Dim, text, marks: Vec::new() });
    }
}

fn line(lines: &mut Vec<Line>, name: &str, level: usize, mark: &str, suspect: Option<&Suspect>) {
    let branch = if level > 0 { format!("{}└ ", "  ".repeat(level - 1)) } else { String::new() };
    let pieces = Pieces::default().with(Role::Accent, &format!("{mark} ")).with(Role::Dim, &branch);
    let pieces = pieces.with(if suspect.is_some() { Role::Heading } else { Role::Plain }, name);
    let pieces = match suspect {
        Some(suspect) => pieces.with(Role::Bad, &format!("  #{} {:.2}", suspect.rank, suspect.score)),
        None => pieces,
    };
    lines.push(Line { role: Role::Plain, text: pieces.text, marks: pieces.marks });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sample;

    fn pair(before: f64, after: f64) -> BeforeAfter {
        BeforeAfter { before: Some(before), after: Some(after) }
    }

    fn calls(client_seconds: BeforeAfter, server_seconds: BeforeAfter, errors: BeforeAfter) -> EdgeDetail {
        let (client, server) = ("web".to_owned(), "shop".to_owned());
        EdgeDetail { client, server, rate: pair(9.0, 9.0), errors, client_seconds, server_seconds, p95: pair(0.0, 0.0) }
    }

    #[test]
    fn where_the_time_is_lost_is_said() {
        let none = BeforeAfter::default();
        let said = |client, server, errors| lost(&calls(client, server, errors));
        assert_eq!(
            said(pair(0.05, 3.0), pair(0.04, 2.9), pair(0.0, 0.3)),
            "the time is lost in shop itself: it works 2.86 s longer; 30% of the calls fail"
        );
        assert_eq!(
            said(pair(0.05, 3.0), pair(0.04, 0.04), none),
            "the time is lost between web and shop (2.95 s longer): network, queue or retries"
        );
        assert!(said(pair(0.05, 3.0), none, none).ends_with("what shop itself needs is not measured"));
        assert!(said(pair(0.05, 0.05), none, pair(0.0, 0.5)).starts_with("no time is lost: 50% of the calls fail"));
        let tail = |client_seconds| EdgeDetail { p95: pair(0.1, 1.3), ..calls(client_seconds, none, none) };
        assert_eq!(lost(&tail(none)), "one call in twenty waits 1.2 s longer or more for shop");
        assert!(lost(&tail(pair(0.05, 0.05))).starts_with("the mean hides it: one call in twenty waits 1.2 s"));
        assert_eq!(said(none, none, none), "how long web waits for shop is not measured");
    }

    #[test]
    fn neighbours_are_listed_suspects_first() {
        let analysis = sample::investigation().analysis;
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(neighbourhood(&analysis, "payments", None)), ["  checkout  #2 0.38", "▸ └ payments  #1 0.93"]);
        assert_eq!(
            texts(neighbourhood(&analysis, "checkout", Some("payments"))),
            ["▸ checkout  #2 0.38", "▸ └ payments  #1 0.93"]
        );
        assert_eq!(texts(neighbourhood(&analysis, "x", None)), ["▸ x", "  no call from or to it is known"]);
    }
}
