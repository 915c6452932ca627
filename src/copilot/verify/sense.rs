//! Whether the words of a claim agree with what its evidence shows: which way it went, what came first, of whom it
//! speaks. Words that cannot be judged are left alone; what is judged is judged the same for every analyst.

use std::sync::LazyLock;

use regex::Regex;

use super::figures::{Number, Token, Unit, tokens};
use super::regex;
use super::text::{plain, stands_in};
use crate::domain::Timestamp;
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, LogChange, Turn};

/// A quantity of an item, with which way it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aspect {
    /// The item as a whole.
    Itself,
    Errors,
    Waits,
    Works,
    Traffic,
}

/// Which way a quantity went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
    Flat,
}

/// What an item shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    ways: Vec<(Aspect, Way)>,
    /// Figures before and inside the window.
    pairs: Vec<(Number, Number)>,
    pub(super) at: Option<Timestamp>,
    /// Whether the deviation went back.
    returned: bool,
    /// The greatest deviation and the last figure.
    peak_and_last: Option<(Number, Number)>,
    /// Words by which a sentence may mean it, as [`plain`] makes them.
    names: Vec<String>,
    /// What a change does in its own words, as [`plain`] makes them.
    does: String,
    /// A text that tells what to do, not what is.
    pub(super) advice: bool,
}

/// How far from a normal figure one may lie that is said to be it.
const NEAR: f64 = 0.15;
/// A change below this share of the figure before is none.
const STILL: f64 = 0.02;
/// A change below this share of the figure before may be told or left untold.
const SMALL: f64 = 0.05;
/// What is left of a deviation at the end when it may be said to have gone back.
const RETURNED: f64 = 0.8;

impl Shown {
    pub(super) fn of(item: &Evidence) -> Self {
        let mut shown = Self { at: item.onset, ..Self::default() };
        shown.name(&item.id.to_string());
        shown.name(item.service.as_deref().unwrap_or_default());
        match &item.detail {
            Detail::Alert(alert) => {
                shown.at = Some(alert.starts_at);
                shown.name(alert.name());
                shown.name("alert");
            }
            Detail::Metric(metric) => {
                shown.name(&metric.metric);
                let way = match metric.turn {
                    Turn::Up => Way::Up,
                    Turn::Down | Turn::Absent => Way::Down,
                    Turn::Flat => Way::Flat,
                };
                shown.ways.push((Aspect::Itself, way));
                let band = metric.baseline;
                let moved = (metric.peak - band.median).abs();
                if way != Way::Flat && moved <= band.median.abs() * SMALL {
                    shown.ways.push((Aspect::Itself, Way::Flat));
                }
                shown.returned = (metric.last - band.median).abs() < moved * RETURNED;
                shown.peak_and_last = Some((
                    Number::exact(metric.peak, super::item::unit_of(metric)),
                    Number::exact(metric.last, super::item::unit_of(metric)),
                ));
                for before in [band.low, band.median, band.high] {
                    for after in [metric.peak, metric.last] {
                        shown.pair(before, after, super::item::unit_of(metric));
                    }
                }
            }
            Detail::Log(log) => {
                let way = match log.change {
                    Some(LogChange::New | LogChange::More) => Some(Way::Up),
                    Some(LogChange::Vanished | LogChange::Fewer) => Some(Way::Down),
                    None => None,
                };
                shown.ways.extend(way.map(|way| (Aspect::Itself, way)));
                // Of what follows or does not, either may be told.
                if log.branch.is_some() {
                    shown.ways.extend([(Aspect::Itself, Way::Up), (Aspect::Itself, Way::Down)]);
                }
                if let Some(BeforeAfter { before: Some(before), after: Some(after) }) =
                    log.branch.as_ref().map(|one| one.share)
                {
                    shown.pair(before * 100.0, after * 100.0, Unit::Percent);
                }
                // What is called the same may still have become more or fewer.
                if way.is_none() {
                    shown.figure(
                        Aspect::Itself,
                        BeforeAfter { before: Some(log.baseline_per_minute), after: Some(log.window_per_minute) },
                        Unit::Rate(1.0 / 60.0),
                    );
                    shown.ways.push((Aspect::Itself, Way::Flat));
                }
                shown.at = log.onset.or(item.onset).or(log.first);
                shown.pair(log.baseline_per_minute, log.window_per_minute, Unit::Rate(1.0 / 60.0));
                shown.pair(log.baseline_count as f64, log.window_count as f64, Unit::Bare);
            }
            Detail::Edge(edge) => {
                shown.name(&edge.client);
                shown.name(&edge.server);
                let percent = |figure: BeforeAfter| BeforeAfter {
                    before: figure.before.map(|share| share * 100.0),
                    after: figure.after.map(|share| share * 100.0),
                };
                shown.figure(Aspect::Errors, percent(edge.errors), Unit::Percent);
                shown.figure(Aspect::Waits, edge.client_seconds, Unit::Seconds(1.0));
                shown.figure(Aspect::Waits, edge.p95, Unit::Seconds(1.0));
                shown.figure(Aspect::Works, edge.server_seconds, Unit::Seconds(1.0));
                shown.figure(Aspect::Traffic, edge.rate, Unit::Rate(1.0));
            }
            Detail::Change(change) => {
                shown.at = Some(change.at);
                shown.does = plain(&change.summary);
                for name in [change.kind.as_str(), &change.reference, "change", "release", "deploy", "deployment"] {
                    shown.name(name);
                }
            }
            Detail::Runbook { .. } => shown.advice = true,
            Detail::Query { .. } => {}
        }
        shown
    }

    fn name(&mut self, name: &str) {
        let name = plain(name).trim().to_owned();
        if !name.is_empty() {
            self.names.push(name);
        }
    }

    fn pair(&mut self, before: f64, after: f64, unit: Unit) {
        if before.is_finite() && after.is_finite() {
            let number = if unit == Unit::Bare { Number::exact } else { Number::shown };
            self.pairs.push((number(before, unit), number(after, unit)));
        }
    }

    fn figure(&mut self, aspect: Aspect, figure: BeforeAfter, unit: Unit) {
        match (figure.before, figure.after) {
            (Some(before), Some(after)) => {
                let way = if after > before * (1.0 + STILL) {
                    Way::Up
                } else if after < before * (1.0 - STILL) {
                    Way::Down
                } else {
                    Way::Flat
                };
                self.ways.push((aspect, way));
                if way != Way::Flat && (after - before).abs() <= before.abs() * SMALL {
                    self.ways.push((aspect, Way::Flat));
                }
                self.pair(before, after, unit);
            }
            (None, Some(_)) => self.ways.push((aspect, Way::Up)),
            (Some(_), None) => self.ways.push((aspect, Way::Down)),
            (None, None) => {}
        }
    }

    /// How many of the names a text has in it.
    pub(super) fn meant(&self, text: &str) -> usize {
        self.names.iter().filter(|name| stands_in(text, name)).map(String::len).sum()
    }
}

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| regex(r"[;:.]\s"));
static UP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:rose|rises?|rising|risen|grew|grows?|growing|grown|increas(?:e|es|ed|ing)|climb(?:s|ed|ing)?|jump(?:s|ed|ing)?|spik(?:e|es|ed|ing)|surg(?:e|es|ed|ing)|soar(?:s|ed|ing)?|higher|longer|deeper|explod(?:e|es|ed|ing)|gained|shot up|worsened|deteriorated|multiplied|(?:far |much |even )?more (?:requests?|calls?|lines?|errors?|bytes|often|logins?|messages|traffic|retries|timeouts?|failures|frequent(?:ly)?)|more than (?:usual|normal)|above (?:normal|usual)|higher than (?:normal|usual|before)|up:?\s[~≃]?\d|(?:started|begun|began|starts)\s(?:to\s)?(?:log|throw|report|appear|emit|write|fail|warn)\w*|for the first time|buil[dt]s? up|piled? up|slowed|went up|goes up|up from|up too|up (?:by|about|around|roughly|nearly|almost|some)|doubled|tripled|quadrupled|slower|new|newly|appear(?:s|ed)?|more often|more frequent(?:ly)?|extended|lengthened|raised)\b",
    )
});
static DOWN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:fell|falls?|falling|fallen|drop(?:s|ped|ping)?|decreas(?:e|es|ed|ing)|declin(?:e|es|ed|ing)|sank|shr[aiu]nks?|lower|fewer|vanish(?:es|ed)?|(?:is|are|was|were)\s(?:now\s|all\s)?gone|ceas(?:e|es|ed)|disappear(?:s|ed)?|halved|plung(?:es|ed)|collaps(?:e|es|ed|ing)|drained|dipp?(?:s|ed)|bottomed out|plummet(?:s|ed)?|dried up|rarer|less frequent(?:ly)?|below (?:normal|usual)|less than (?:usual|normal)|lower than (?:normal|usual|before)|down:?\s[~≃]?\d|shorter|shallower|sped up|faster|down (?:to|too)|down (?:by|about|around|roughly|nearly|almost|some)|went down|goes down|down from|more rarely|less often|absent|went away|went silent|dried up|shrinking|(?:has|have) stopped|stopped (?:logging|writing|reporting|appearing|coming|at)|no longer (?:says?|logs?|appears?|comes?|came|writes?|reports?|seen|there|present|answers?|receives?|gets?))\b",
    )
});
static FLAT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:unchanged|stay(?:s|ed)|steady|flat|constant|unaffected|remain(?:s|ed)?|as before|did not change|not changed)\b",
    )
});
/// Words with which a sentence speaks of something else as well.
static ASIDE_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:not|no|never|nor|neither|nothing|none|hardly|than|while|whereas|but|although|again|back|then|before|until|if|would|could|may|might|rather|instead)\b|n't\b",
    )
});
static NOT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:\b(?:did|does|do|has|have|had|is|was|were|are|could|can)(?:\s(?:not|never)|n't|n’t)\s(?:\w+ly\s|even\s|really\s|been\s|get\s|become\s|go\s|wait\s|take\s|run\s|last\s)?|\b(?:never|not)\s|\b(?:no|without)\s(?:\w+\s)?|\brather than\s(?:\w+\s){0,2}|\binstead of\s(?:\w+\s){0,2})$",
    )
});
static ASIDE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b(?:rather than|instead of|not)\s(?:in\s)?(?:a|an|one|any|the)\s(?:\w+\s)?$"));
static FORMERLY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:before|until|previously|formerly|earlier|in the baseline|so far|normally|usually|ordinarily|typically|otherwise)\b",
    )
});
static CHANGES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:commit|deploy|deployment|change|release|migration|flag|rollout|diff|refactor\w*|patch|pr)\b[^,;]{0,60}$",
    )
});
static BACK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:now|back|again|since|recover\w*|latest|last|at the end|subsid\w+|calm\w*|halved|eas(?:ed|ing)|return\w*|afterwards?|then|settl\w+|come down|from (?:its|the|their|a) (?:peak|maximum|high))\b",
    )
});
static NONE_OF: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:no|zero|without(?: any)?|not a single)\s+(?:\w+\s)?(?:errors?|failures?|timeouts?|messages?|lines?|waits?|deviations?|increases?|latency|traffic|requests|anomal(?:y|ies))\b",
    )
});

/// Why the words of a claim do not agree with what it cites; `None` when they do, or cannot be judged.
pub(super) fn contradiction(text: &str, items: &[&Shown]) -> Option<String> {
    let told = plain(text);
    let told = told.trim();
    if items.is_empty() {
        return None;
    }
    if items.iter().all(|item| item.advice) {
        let says = ["runbook", "says", "recommend", "should", "advises", "suggests", "playbook", "according"];
        let states = UP.is_match(told) || DOWN.is_match(told);
        return (states && !says.iter().any(|word| told.contains(word)))
            .then(|| "a runbook tells what to do, not what is".to_owned());
    }
    for clause in clauses(told) {
        if let Some(why) = directions(told, clause, items).or_else(|| swapped(clause, true, items)) {
            return Some(why);
        }
    }
    // A pair may have a comma or a conjunction between its figures.
    if let Some(why) = SENTENCE.split(told).find_map(|sentence| swapped(sentence, false, items)) {
        return Some(why);
    }
    super::order::order(told, items)
}

/// Parts of a sentence that have a verb of their own.
fn clauses(text: &str) -> Vec<&str> {
    static BREAK: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"[;:]\s|,\s|\s(?:while|whereas|but|although|because|and then|after|before|since|when|following|yet)\s|\.\s",
        )
    });
    let mut out = Vec::new();
    let mut start = 0;
    for found in BREAK.find_iter(text) {
        out.push(&text[start..found.start()]);
        start = found.end();
    }
    out.push(&text[start..]);
    let moves = |part: &str| UP.is_match(part) || DOWN.is_match(part) || FLAT.is_match(part);
    // Two verbs of direction joined by `and` are two statements.
    out.into_iter()
        .flat_map(|part| match part.split_once(" and ") {
            Some((first, second)) if moves(first) && moves(second) => vec![first, second],
            _ => vec![part],
        })
        .collect()
}

fn figures_of(clause: &str) -> Vec<Number> {
    tokens(clause)
        .into_iter()
        .filter_map(|token| match token {
            Token::Number(number, _) => Some(number),
            Token::Word(_) => None,
        })
        .collect()
}

/// The items a clause may speak of: those it names, else all.
fn candidates<'a>(clause: &str, items: &[&'a Shown]) -> Vec<&'a Shown> {
    let best = items.iter().map(|item| item.meant(clause)).max().unwrap_or(0);
    let named: Vec<&Shown> = items.iter().copied().filter(|item| best > 0 && item.meant(clause) == best).collect();
    let of = if named.iter().any(|item| !item.ways.is_empty()) { named } else { items.to_vec() };
    let of: Vec<&Shown> = of.into_iter().filter(|item| !item.ways.is_empty()).collect();
    if of.len() < 2 {
        return of;
    }
    // Of several, those whose figures it tells.
    let figures = figures_of(clause);
    let told = |(before, after): &(Number, Number)| figures.iter().any(|one| one.is(*after) || one.is(*before));
    let holding: Vec<&Shown> = of.iter().copied().filter(|item| item.pairs.iter().any(told)).collect();
    if holding.is_empty() { of } else { holding }
}

/// Words that compare with whatever stands behind their `than`.
const COMPARED: [&str; 9] =
    ["higher", "lower", "fewer", "longer", "shorter", "slower", "faster", "deeper", "shallower"];

fn aspects(clause: &str) -> Vec<Aspect> {
    let has = |words: &[&str]| words.iter().any(|word| clause.contains(word));
    let mut out = Vec::new();
    if has(&["error", "fail"]) {
        out.push(Aspect::Errors);
    }
    if has(&["time lost", "lost between"]) {
        return vec![Aspect::Waits];
    }
    let of_server = has(&["server latency", "server side", "server-side", "on the server", "server time"]);
    let of_client = has(&["client", "caller", "wait"]);
    if (!of_server || of_client)
        && has(&["wait", "latenc", "slow", "fast", "sped", "duration", "p95", "response time", "takes", "took"])
    {
        out.push(Aspect::Waits);
    }
    if of_server || has(&["works", "working", "callee", "server time", "own time"]) {
        out.push(Aspect::Works);
    }
    // To take longer for a call is said of either side of it.
    if !of_server && !of_client && !has(&["wait"]) && out.contains(&Aspect::Waits) {
        out.push(Aspect::Works);
    }
    if has(&["often", "frequent", "request rate", "call rate"]) {
        out.push(Aspect::Traffic);
    }
    if has(&["traffic", "throughput", "requests", "rate of", "load", "calls per"]) && out.is_empty() {
        out.push(Aspect::Traffic);
    }
    out
}

/// Whether the direction that a clause tells is one that is shown.
fn directions(whole: &str, clause: &str, items: &[&Shown]) -> Option<String> {
    let of = candidates(clause, items);
    if of.is_empty() {
        return None;
    }
    let aspects = aspects(clause);
    let ways: Vec<Way> = of
        .iter()
        .flat_map(|item| {
            let special: Vec<Way> =
                item.ways.iter().filter(|(aspect, _)| aspects.contains(aspect)).map(|(_, way)| *way).collect();
            if special.is_empty() { item.ways.iter().map(|(_, way)| *way).collect() } else { special }
        })
        .collect();
    let figures = figures_of(clause);
    // What is told by its last figure is told from its peak.
    let back = |item: &&&Shown| {
        let (peak, last) = item.peak_and_last?;
        let told = figures.iter().any(|figure| figure.is(last) && !figure.is(peak));
        told.then_some(if last.value < peak.value { Way::Down } else { Way::Up })
    };
    let ways: Vec<Way> = ways.into_iter().chain(of.iter().filter_map(|item| back(&item))).collect();
    if NONE_OF.is_match(clause)
        && !clause.contains("no longer")
        && !FORMERLY.is_match(clause)
        && ways.iter().all(|way| *way == Way::Up)
    {
        return Some("what it denies is what its evidence shows".to_owned());
    }
    let mut told: Vec<(Way, &str, bool)> = Vec::new();
    for (way, words) in [(Way::Up, &UP), (Way::Down, &DOWN)] {
        for found in words.find_iter(clause) {
            let after = clause[found.end()..].trim_start();
            let before = &clause[..found.start()];
            let bound = COMPARED.contains(&found.as_str()) && (after.starts_with("than") || after.starts_with("in "))
                && !["than normal", "than usual", "than before"].iter().any(|usual| after.starts_with(usual))
                // What came back is told from its peak.
                || way == Way::Down && of.iter().any(|item| item.returned) && BACK.is_match(whole)
                // Idioms, and what is denied in passing.
                || (found.as_str().starts_with("fell") || found.as_str().starts_with("fall"))
                    && ["back", "through", "into", "within", "under", "on ", "short"].iter().any(|way| after.starts_with(way))
                || found.as_str() == "slowed" && clause.contains(" minute") | clause.contains("/min") | clause.contains("/s")
                || matches!(found.as_str(), "jump" | "spike" | "surge" | "drop" | "fall" | "rise") && ASIDE.is_match(before)
                // What had never been so before is so now.
                || before.trim_end().ends_with("never") && FORMERLY.is_match(clause);
            // `new` in front of a thing that is no message of its own: a version, a deploy.
            let of_change = found.as_str() == "new"
                && [
                    "version", "deploy", "release", "revision", "image", "rollout", "pod", "feature", "limit",
                    "config", "build", "replica",
                ]
                .iter()
                .any(|word| after.starts_with(word));
            // `no longer` tells of an end, not of a length.
            let bound = bound || found.as_str() == "longer" && clause[..found.start()].ends_with("no ");
            // A change may drop an index or raise a limit: its own words tell no direction of what was measured.
            let stem: String = found.as_str().chars().take(4).collect();
            let of_change = of_change || items.iter().any(|item| item.does.contains(&format!(" {stem}")));
            // What a change did is told by the change.
            let of_change = of_change || CHANGES.is_match(before) && items.iter().any(|item| !item.does.is_empty());
            if !bound && !of_change {
                told.push((way, found.as_str(), NOT.is_match(&clause[..found.start()])));
            }
        }
    }
    // A direction is judged where the clause tells a figure of the one thing that it speaks of: what words alone mean, and
    // of what they are said, is not told surely enough to call a claim unsupported.
    let [one] = of.as_slice() else { return None };
    let of_it = |figure: &Number| one.pairs.iter().any(|(before, after)| figure.is(*after) || figure.is(*before));
    let plainly = items.len() == 1
        && told.iter().all(|(way, _, denied)| !denied && *way == told[0].0)
        && !ASIDE_WORDS.is_match(whole);
    if !figures.iter().any(of_it) && !plainly {
        return None;
    }
    for (way, word, denied) in told {
        let shown = ways.contains(&way);
        if denied && ways.iter().all(|one| *one == way) {
            return Some(format!("it denies what its evidence shows (“{word}”)"));
        }
        if !denied && !shown {
            return Some(format!("“{word}” is not what its evidence shows"));
        }
    }
    None
}

/// A figure with its unit.
const FIGURE: &str = r"(?:≃|~|≈)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s?(?:%|ms|s|min|[kmgt]?i?b|per cent|percent|seconds?|minutes?)\b|%)?(?:\s?/\s?(?:s|min|h)\b)?";

/// Whether two figures are told in the order in which they came. `worded`: the words of direction are of this pair.
fn swapped(clause: &str, worded: bool, items: &[&Shown]) -> Option<String> {
    static PAIRS: LazyLock<[Regex; 6]> = LazyLock::new(|| {
        [
            regex(r"\bfrom\s(?P<a>(?:[^,;]|,\d){1,40}?)\s(?:to|up to|down to)\s(?P<b>(?:[^,;]|,\d){1,30})"),
            regex(&format!(r"(?:^|[\s(]|:\s)(?P<a>{FIGURE})(?:\s\w+)?\s?(?:→|->)\s?(?P<b>{FIGURE})")),
            regex(&format!(
                r"(?:^|[\s(]|:\s)(?P<b>{FIGURE})(?:\s\w+)?,?\s(?:from|up from|down from|instead of|rather than)\s(?P<a>[^,;]{{1,40}})"
            )),
            regex(&format!(
                r"(?:^|[\s(]|:\s)(?P<a>{FIGURE})(?:\s(?:lines?|times|requests?|errors?|occurrences|connections|calls|messages))?\s(?:before|earlier|normally|usually|previously|in the baseline)(?:,| and|;)?(?: vs\.?| versus| against| but)?(?: only| just)?\s(?P<b>{FIGURE})"
            )),
            regex(&format!(r"(?:[:,]\s|\()(?P<a>{FIGURE})\sto\s(?P<b>{FIGURE})")),
            // `0.5/s after 0.8/s`, `20 ms, formerly 9 ms`.
            regex(&format!(
                r"(?:^|[\s(]|:\s)(?P<b>{FIGURE}),?\s(?:after|formerly|previously|where it was|against the former)\s(?P<a>{FIGURE})"
            )),
        ]
    });
    let number = |text: &str| figures_of(text).into_iter().next();
    for groups in PAIRS.iter().flat_map(|shape| shape.captures_iter(clause)) {
        // `fell to 2 from its peak of 6`, `7 timeouts from payments after 1500 ms`.
        if groups.name("a").is_some_and(|part| {
            ["peak", "maximum", "high", " after ", " since "].iter().any(|word| part.as_str().contains(word))
        }) {
            continue;
        }
        let get = |name: &str| groups.name(name).map(|part| part.as_str()).and_then(number);
        let (Some(a), Some(b)) = (get("a"), get("b")) else { continue };
        let a = if a.unit == Unit::None { Number { unit: b.unit, ..a } } else { a };
        if !a.is_of_the_kind_of(b) {
            return Some("its figures are of different kinds".to_owned());
        }
        let all = || items.iter().flat_map(|item| &item.pairs);
        // Two figures told without a unit are in the unit of what was measured.
        if a.unit == Unit::None
            && b.unit == Unit::None
            && all().any(|(before, after)| {
                let as_told = |told: Number, shown: &Number| Number { unit: shown.unit, ..told }.is(*shown);
                let (order, other) = (as_told(a, before) && as_told(b, after), as_told(a, after) && as_told(b, before));
                other && !order && before.unit != Unit::Bare
            })
        {
            return Some("its figures came in the other order".to_owned());
        }
        if all().any(|(before, after)| a.is(*before) && b.is(*after)) {
            continue;
        }
        if all().any(|(before, after)| a.is(*after) && b.is(*before)) {
            return Some("its figures came in the other order".to_owned());
        }
        let (from, to) = (a.base(), b.base());
        // Where the second figure is known, the first must be near one that it came from.
        let came_from: Vec<f64> = all().filter(|(_, after)| b.is(*after)).map(|(before, _)| before.base()).collect();
        let least = came_from.iter().copied().fold(f64::INFINITY, f64::min);
        let most = came_from.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let near = a.unit == Unit::None || (from >= least - least.abs() * NEAR && from <= most + most.abs() * NEAR);
        if !came_from.is_empty() && !near {
            return Some("what it calls the figure before is not".to_owned());
        }
        if worded && (UP.is_match(clause) && to < from || DOWN.is_match(clause) && to > from) {
            return Some("its figures go the other way than its words".to_owned());
        }
    }
    None
}
