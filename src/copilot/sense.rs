//! Whether the words of a claim agree with what its evidence shows: which way it went, what came first, of whom it
//! speaks. Words that cannot be judged are left alone; what is judged is judged the same for every analyst.

use std::sync::LazyLock;

use regex::Regex;

use super::figures::{Number, Token, Unit, tokens};
use super::verify::{plain, stands_in};
use crate::domain::Timestamp;
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, LogChange, Turn};

fn regex(source: &str) -> Regex {
    Regex::new(source).expect("a constant expression")
}

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
    at: Option<Timestamp>,
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
                for before in [band.low, band.median, band.high] {
                    for after in [metric.peak, metric.last] {
                        shown.pair(before, after, super::verify::unit_of(metric));
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
            self.pairs.push((Number::exact(before, unit), Number::exact(after, unit)));
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
                // What moved little may be called still as well.
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
    fn meant(&self, text: &str) -> usize {
        self.names.iter().filter(|name| stands_in(text, name)).map(String::len).sum()
    }
}

static UP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:rose|rises?|rising|risen|grew|grows?|growing|grown|increas(?:e|es|ed|ing)|climb(?:s|ed|ing)?|jump(?:s|ed|ing)?|spik(?:e|es|ed|ing)|surg(?:e|es|ed|ing)|soar(?:s|ed|ing)?|higher|longer|deeper|explod(?:e|es|ed|ing)|gained|shot up|buil[dt]s? up|piled? up|slowed|went up|goes up|up from|up too|up (?:by|about|around|roughly|nearly|almost|some)|doubled|tripled|quadrupled|slower|new|newly|appear(?:s|ed)?|more often|more frequent(?:ly)?)\b",
    )
});
static DOWN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:fell|falls?|falling|fallen|drop(?:s|ped|ping)?|decreas(?:e|es|ed|ing)|declin(?:e|es|ed|ing)|sank|shr[aiu]nks?|lower|fewer|vanish(?:es|ed)?|gone|ceas(?:e|es|ed)|disappear(?:s|ed)?|halved|plung(?:es|ed)|collaps(?:e|es|ed|ing)|drained|shorter|shallower|sped up|faster|down (?:to|too)|down (?:by|about|around|roughly|nearly|almost|some)|went down|goes down|down from|more rarely|less often|absent|no longer (?:says?|logs?|appears?|comes?|came|writes?|reports?|seen|there|present|answers?|receives?|gets?))\b",
    )
});
static FLAT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:unchanged|stay(?:s|ed)|steady|flat|constant|unaffected|remain(?:s|ed)?|as before|did not change|not changed)\b",
    )
});
static NOT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:\b(?:not|no|never|without|neither|nor|hardly|barely|cannot)|n't|n’t)\s+(?:\S+\s+){0,2}$")
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
        if let Some(why) = directions(clause, items).or_else(|| swapped(clause, items)) {
            return Some(why);
        }
    }
    order(told, items)
}

/// Parts of a sentence that have a verb of their own.
fn clauses(text: &str) -> Vec<&str> {
    static BREAK: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"[;:]\s|,\s|\s(?:while|whereas|but|although|because|and then|after|before|since|when|until|following)\s|\.\s",
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

fn aspects(clause: &str) -> Vec<Aspect> {
    let has = |words: &[&str]| words.iter().any(|word| clause.contains(word));
    let mut out = Vec::new();
    if has(&["error", "fail"]) {
        out.push(Aspect::Errors);
    }
    if has(&["wait", "latenc", "slow", "fast", "sped", "duration", "p95", "response time", "takes", "took"]) {
        out.push(Aspect::Waits);
    }
    if has(&["works", "working", "callee", "server time", "own time"]) {
        out.push(Aspect::Works);
    }
    if has(&["traffic", "throughput", "requests", "rate of", "load", "calls per"]) && out.is_empty() {
        out.push(Aspect::Traffic);
    }
    out
}

/// Whether the direction that a clause tells is one that is shown.
fn directions(clause: &str, items: &[&Shown]) -> Option<String> {
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
    if NONE_OF.is_match(clause) && ways.iter().all(|way| *way == Way::Up) {
        return Some("what it denies is what its evidence shows".to_owned());
    }
    let mut told: Vec<(Way, &str, bool)> = Vec::new();
    for (way, words) in [(Way::Up, &UP), (Way::Down, &DOWN), (Way::Flat, &FLAT)] {
        for found in words.find_iter(clause) {
            let after = clause[found.end()..].trim_start();
            let bound = matches!(found.as_str(), "higher" | "lower" | "fewer") && after.starts_with("than");
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
            if !bound && !of_change {
                told.push((way, found.as_str(), NOT.is_match(&clause[..found.start()])));
            }
        }
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

/// Whether two figures are told in the order in which they came.
fn swapped(clause: &str, items: &[&Shown]) -> Option<String> {
    static PAIRS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            regex(r"\bfrom\s(?P<a>(?:[^,;]|,\d){1,40}?)\s(?:to|up to|down to)\s(?P<b>(?:[^,;]|,\d){1,30})"),
            regex(r"(?:^|[\s(])(?P<a>\d[^\s,;→]*(?:\s[^\s→]{1,4})?)\s?(?:→|->)\s?(?P<b>\d(?:[^,;]|,\d){0,30})"),
            regex(r"(?:^|\s)(?P<b>\d[^\s,;]*(?:\s[^\s,;]{1,4})?),?\s(?:from|up from|down from)\s(?P<a>[^,;]{1,40})"),
        ]
    });
    let number = |text: &str| figures_of(text).into_iter().next();
    for groups in PAIRS.iter().flat_map(|shape| shape.captures_iter(clause)) {
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
        if UP.is_match(clause) && to < from || DOWN.is_match(clause) && to > from {
            return Some("its figures go the other way than its words".to_owned());
        }
    }
    None
}

/// Whether what is told to have come first did.
fn order(text: &str, items: &[&Shown]) -> Option<String> {
    static FIRST: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^(?P<by>after|before|following) (?P<one>[^,]{3,80}), (?P<other>.+)$"));
    static WHEN: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\s(?P<by>preceded by|followed by|before|after|following|follows|followed|precedes|preceded|predates|predated|earlier than|later than)\s",
        )
    });
    let timed: Vec<&Shown> = items.iter().copied().filter(|item| item.at.is_some()).collect();
    if timed.len() < 2 {
        return None;
    }
    // `After the deploy, errors rose` says the same as `errors rose after the deploy`.
    let turned = FIRST.replace(text, "$other $by $one");
    let text = turned.as_ref();
    for groups in WHEN.captures_iter(text) {
        let (Some(whole), Some(by)) = (groups.get(0), groups.name("by")) else { continue };
        let (left, right) = (&text[..whole.start()], &text[whole.end()..]);
        let best = |part: &str, but: Option<&Shown>| -> Option<&Shown> {
            let mut scored: Vec<(usize, &Shown)> = timed
                .iter()
                .copied()
                .filter(|item| but.is_none_or(|but| !std::ptr::eq(but, *item)))
                .map(|item| (item.meant(part), item))
                .collect();
            scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            match scored.as_slice() {
                [(score, _), (next, _), ..] if score == next => None,
                [(score, item), ..] if *score > 0 || but.is_some() && scored.len() == 1 => Some(item),
                _ => None,
            }
        };
        let (first, second) = if let Some(second) = best(right, None) {
            (best(left, Some(second)), second)
        } else if let (Some(first), [one, other], true) =
            (best(left, None), timed.as_slice(), right.starts_with("the "))
        {
            // Of two, what one side does not name is the other.
            (Some(first), if std::ptr::eq(first, *one) { *other } else { *one })
        } else {
            continue;
        };
        let left_is_later =
            |by: &str| matches!(by, "after" | "following" | "follows" | "followed" | "preceded by" | "later than");
        let wrong = |first: &Shown| {
            if left_is_later(by.as_str()) { first.at < second.at } else { first.at > second.at }
        };
        let Some(first) = first else {
            // The other side names none: it speaks of some of the others, and all of them came the other way round.
            if timed.len() > 2 && timed.iter().all(|item| std::ptr::eq(*item, second) || wrong(item)) {
                return Some(format!("what it tells as “{}” came the other way round", by.as_str()));
            }
            continue;
        };
        if wrong(first) {
            return Some(format!("what it tells as “{}” came the other way round", by.as_str()));
        }
    }
    None
}

/// Names in places where a service, metric or alert is named, which stand nowhere in the evidence. `known` says whether
/// a word does.
pub(super) fn stranger(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAMED: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            regex(r"(?P<a>[A-Za-z][\w.-]*)\s?(?:→|->)\s?(?P<b>[A-Za-z][\w.-]*)"),
            regex(
                r"\b(?i:service|deployment|workload)\s(?P<c>[a-z]\w*(?:-[a-z0-9]+)+)|\b(?P<d>[a-z][\w]*(?:-[a-z0-9]+)+)\s(?i:service|deployment|pods?)\b",
            ),
            regex(
                r"\b(?i:errors|latency|cpu|memory|traffic|logs|metrics|replicas|\w+_\w+)\s(?:of|in|on)\s(?P<e>[a-z][\w-]{2,})",
            ),
        ]
    });
    static JOINED: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b|\b(?:[A-Z][a-z]{3,}){2,}\b"));
    const COMMON: &str = " the all its this that these those users user requests calls every each both about more less usually \
        time total production which their our seconds minutes service services callers clients some any one two three around \
        roughly nearly almost over just only most many few what when baseline normal customers upstream downstream use \
        between case other another work memory disk network them zero nothing none javascript github postgresql being \
        connections connection database pool cluster namespace error errors waiting response window minute second hour \
        average least half flight retries progress parallel turn general particular sequence addition fact place order question front back general favour favor case need short long return part time use line lines range bounds spite terms charge danger vain advance doubt detail which whose where itself themselves most calls other others someone start startup shutdown restart production staging host hosts node nodes disk client clients server servers callee caller machine machines kernel process processes threads thread queue queues least inside peak before here there full than and has was were not into onto load deploy ";
    for groups in NAMED.iter().flat_map(|shape| shape.captures_iter(text)) {
        for name in ["a", "b", "c", "d", "e"].iter().filter_map(|name| groups.name(name)) {
            let word = name.as_str().trim_end_matches(['.', '-', '_']);
            let plain = word.to_lowercase();
            if plain.len() > 2 && !COMMON.contains(&format!(" {plain} ")) && !known(&plain) {
                return Some(word.to_owned());
            }
        }
    }
    if let Some(name) = compound(text, known) {
        return Some(name);
    }
    JOINED
        .find_iter(text)
        .map(|word| word.as_str())
        .find(|word| !known(&word.to_lowercase()) && !COMMON.contains(&format!(" {} ", word.to_lowercase())))
        .map(str::to_owned)
}

/// A name of several parts where only a service or its like is named, none of whose parts is known.
fn compound(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+\b"));
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?:^|[.;:]\s|\b(?:on|at|to|from|of|by|in|for|upstream|calls|calling|that|the|/)\s?|/)$")
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)^(?:['’]|\s(?:since|remained|dropped|built|decreased|increased|lost|jumped|climbed|grew|slowed|flag|config|p\d\d|cpu|memory|latency|traffic|errors?|failures|requests|logs|pods?|connections?|throughput|queue|backlog|replicas|restarts?|deploy|deployment|release|server|v\d|is|are|was|were|has|had|looks|logs|records|reports|puts|sees|saw|uses|fails|failed|went|rose|fell|remains|stays|began|started|unaffected|to|from|and|in|at|with|dates|now|closed|consumes|returned|returns|exhausted|cache)|\s?(?:[,.;:()]|$))",
        )
    });
    // First parts of words that are no names: `re-deploy`, `half-open`.
    const PARTS: &str = " re pre post non self half full long short high low up down in out on off all time read write slow \
        fast end back front real first last third one two per single multi cross over under well so follow roll hour minute \
        second day week root worst best steady round tail side client server user long close open built hard soft co ";
    NAME.find_iter(text)
        .find(|name| {
            let parts: Vec<&str> = name.as_str().split('-').collect();
            let ordinary = parts.iter().any(|part| {
                part.len() < 2
                    || part.starts_with(|c: char| c.is_ascii_digit())
                    || ["ing", "ed", "ly"].iter().any(|end| part.ends_with(end))
                    || PARTS.contains(&format!(" {part} "))
                    || known(part)
            });
            let placed = BEFORE.is_match(&text[..name.start()]) && AFTER.is_match(&text[name.end()..])
                || text[name.end()..].starts_with(['\'', '’']);
            !ordinary && placed && !known(name.as_str())
        })
        .map(|name| name.as_str().to_owned())
}

/// Numbers that are written in words or in signs of their own, as figures: `half`, `twofold`, `½`, `two minutes`.
/// An error names a sign that is a number and cannot be read.
pub(super) fn spelled_out(text: &str) -> Result<String, String> {
    static SPAN: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(\d{1,4})\s?(?:m|min|mins|minutes?)(?:\s(?:and\s)?)?(\d{1,2})\s?(?:s|secs?|seconds?)\b")
    });
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:(?P<share>(?:a |one )?half|(?:a |one )third|two[- ]thirds|(?:a |one )quarter|three[- ]quarters|(?:a |one )fifth|(?:a |one )tenth)\s(?:of\b)|(?P<fold>two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)[- ]?fold\b|(?P<count>one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|a hundred|hundred|a dozen)[ -](?P<unit>seconds?|minutes?|hours?|days?|percent|per cent|times|milliseconds?)\b|(?P<twice>doubled|twice|tripled|quadrupled|halved)\b)",
        )
    });
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '½' => out.push_str("50 %"),
            '¼' => out.push_str("25 %"),
            '¾' => out.push_str("75 %"),
            '⅓' => out.push_str("~33.3 %"),
            '⅔' => out.push_str("~66.7 %"),
            '，' | '．' => out.push('.'),
            '\u{ff10}'..='\u{ff19}' => out.push(char::from(b'0' + (code - 0xff10) as u8)),
            '\u{1d7ce}'..='\u{1d7ff}' => out.push(char::from(b'0' + ((code - 0x1d7ce) % 10) as u8)),
            '\u{660}'..='\u{669}' => out.push(char::from(b'0' + (code - 0x660) as u8)),
            '\u{6f0}'..='\u{6f9}' => out.push(char::from(b'0' + (code - 0x6f0) as u8)),
            c if c.is_numeric() && !c.is_ascii() => return Err(c.to_string()),
            c => out.push(c),
        }
    }
    // `2m30s`, `2 min 30 s`, `2 minutes and 30 seconds` are one figure.
    let out = SPAN.replace_all(&out, |groups: &regex::Captures<'_>| {
        let part = |group: usize| groups[group].parse::<u32>().unwrap_or(0);
        format!("{} seconds", part(1) * 60 + part(2))
    });
    let spelled = WORDS.replace_all(&out, |groups: &regex::Captures<'_>| {
        if let Some(share) = groups.name("share") {
            let share = share.as_str().to_lowercase();
            let percent = if share.contains("half") {
                "50"
            } else if share.contains("two") {
                "66.7"
            } else if share.contains("third") {
                "33.3"
            } else if share.contains("three") {
                "75"
            } else if share.contains("quarter") {
                "25"
            } else if share.contains("fifth") {
                "20"
            } else {
                "10"
            };
            return format!("about {percent} % of");
        }
        if let Some(fold) = groups.name("fold") {
            return format!("about {} times", value(fold.as_str()));
        }
        if let Some(twice) = groups.name("twice") {
            let times = match twice.as_str().to_lowercase().as_str() {
                "tripled" => 3,
                "quadrupled" => 4,
                _ => 2,
            };
            // The word stays for the direction it tells.
            return format!("{} about {times} times", twice.as_str());
        }
        match (groups.name("count"), groups.name("unit")) {
            (Some(count), Some(unit)) => format!("about {} {}", value(count.as_str()), unit.as_str()),
            _ => groups[0].to_owned(),
        }
    });
    Ok(spelled.into_owned())
}

fn value(word: &str) -> u32 {
    match word.to_lowercase().trim_start_matches("a ") {
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" => 11,
        "twelve" | "dozen" => 12,
        "fifteen" => 15,
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        _ => 100,
    }
}
