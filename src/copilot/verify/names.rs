//! Names that stand nowhere in the evidence.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;

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
