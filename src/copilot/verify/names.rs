//! Names that stand nowhere in the evidence.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;

/// Names in places where a service, metric or alert is named, which stand nowhere in the evidence. `known` says whether
/// a word does.
pub(super) fn stranger(
    text: &str,
    services: &[(String, String)],
    known: &dyn Fn(&str) -> bool,
    cited: &dyn Fn(&str) -> bool,
) -> Option<String> {
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
    compound(text, services, known)
        .or_else(|| joined(text, known))
        .or_else(|| the_service(text, services, cited))
        .or_else(|| identifier(text, known))
}

/// `shippingservice`.
fn joined(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z]{3,}(?:service|svc)\b"));
    NAME.find_iter(text)
        .map(|name| name.as_str())
        .find(|name| !matches!(*name, "microservice" | "webservice" | "subservice" | "selfservice") && !known(name))
        .map(str::to_owned)
}

/// What only a machine is called: a path, a name with a dot or an underscore or capitals in it, that stands nowhere.
fn identifier(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static SHAPES: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            // `pool_in_use`, `NullPointerException`, `listProducts`.
            regex(
                r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b|\b(?:[A-Z][a-z]{2,}){2,}\b|\b[A-Z]{2,}(?:[A-Z][a-z]{2,})+\b|\b[a-z]{2,}(?:[A-Z][a-z]+)+[A-Za-z]*\b",
            ),
            // `wei.zhang`, `http.Server`, `writer.go`.
            regex(r"\b[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z][A-Za-z0-9_-]*)+\b"),
            // `/api/search`, `pkg/store/writer.go`.
            regex(r"(?:^|[\s(])(?P<path>/[A-Za-z][\w.-]*(?:/[\w.{}<>*:-]+)*|[\w.-]+(?:/[\w.-]+){2,})"),
            // A level of logging.
            regex(r"\b(?P<path>TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b"),
        ]
    });
    const ORDINARY: &str = " javascript github gitlab opentelemetry postgresql mysql websocket typescript cloudwatch elasticsearch \
        node.js next.js vue.js asp.net i.e e.g a.m p.m vs.the devops youtube linkedin timescale clickhouse readonly ";
    SHAPES.iter().flat_map(|shape| shape.captures_iter(text)).find_map(|groups| {
        let word = groups.name("path").or_else(|| groups.get(0))?.as_str().trim_end_matches(['.', '-', '_', '/', ':']);
        let plain = word.to_lowercase();
        // A sentence that begins without a blank before it.
        let (first, last) = word.rsplit_once('.').unwrap_or((word, ""));
        let joined = !last.is_empty()
            && last.starts_with(char::is_uppercase)
            && last[1..].chars().all(char::is_lowercase)
            && !first.contains(['_', '.']);
        (!joined && plain.len() > 2 && !ORDINARY.contains(&format!(" {plain} ")) && !known(&plain))
            .then(|| word.to_owned())
    })
}

/// `the baggage service`, where no service that is cited has the word in its name.
fn the_service(text: &str, services: &[(String, String)], cited: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(?i:the|of|in|at|by|to|from|for|both|and)\s(?P<a>[a-z][a-z0-9]+)\s(?:micro)?service\b")
    });
    const ADJECTIVES: &str = " same other this that affected upstream downstream failing calling called new old main root first \
        second last next suspect faulty slow slower whole each every single one any another dependent backing web internal \
        external remote local critical healthy unhealthy cited own managed such its our their named backend frontend target \
        source originating client server which second third core shared central overloaded underlying corresponding remaining \
        following responding receiving sending serving requesting consuming existing missing degraded entire per ";
    NAMED.captures_iter(text).find_map(|groups| {
        let word = &groups["a"];
        if ADJECTIVES.contains(&format!(" {word} ")) || ["ed", "ent", "ive"].iter().any(|end| word.ends_with(end)) {
            return None;
        }
        let named = |name: &str| {
            name.split(['-', '_', '.']).any(|part| part == word) || name.strip_suffix("service") == Some(word)
        };
        let of: Vec<&String> = services.iter().map(|(_, plain)| plain).filter(|plain| named(plain)).collect();
        // `the payment service` is `payment-service` where there is one, and not `inside-payment-service`.
        let parts = |name: &str| name.split(['-', '_', '.']).count();
        let least = of.iter().map(|name| parts(name)).min().unwrap_or(0);
        let of: Vec<&String> = of.into_iter().filter(|name| parts(name) == least).collect();
        let stands = if of.is_empty() { cited(word) } else { of.iter().any(|plain| cited(plain)) };
        (!stands).then(|| format!("the {word} service"))
    })
}

/// A name of several parts where only a service or its like is named, none of whose parts is known.
fn compound(text: &str, services: &[(String, String)], known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+\b"));
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?:^|[.;:]\s|\b(?:on|at|to|from|of|by|in|for|upstream|calls|calling|that|the|/)\s?|/)$")
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)^(?:['’]|\s(?:since|remained|dropped|built|decreased|increased|lost|jumped|climbed|grew|slowed|flag|config|p\d\d|cpu|memory|latency|traffic|errors?|failures|requests|logs|pods?|connections?|throughput|queue|backlog|replicas|restarts?|deploy|deployment|release|server|v\d|is|are|was|were|has|had|looks|logs|records|reports|puts|sees|saw|uses|fails|failed|went|rose|fell|remains|stays|began|started|unaffected|to|from|and|in|at|with|dates|now|closed|consumes|returned|returns|exhausted|cache)|\s?(?:[,.;:()]|$))",
        )
    });
    static VERSION: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s(?:from\s)?v\d"));
    // First parts of words that are no names: `re-deploy`, `half-open`.
    const PARTS: &str = " re pre post non self half full long short high low up down in out on off all time read write slow \
        fast end back front real first last third one two per single multi cross over under well so follow roll hour minute \
        second day week root worst best steady round tail side client server user long close open built hard soft co ";
    // What only a thing that runs is called: `billing-worker`, `geo-resolver`.
    const THINGS: &str = " service svc worker gateway resolver api db database agent proxy store manager engine processor \
        consumer producer router scheduler controller operator exporter collector broker frontend backend app bot runner \
        cron daemon mq redis postgres mysql kafka lb ingress auth search indexer catalog notifier mailer registry server \
        cache sync queue fetcher loader writer reader dispatcher relay hub importer ui web site shop ";
    // Names of the same family: the services here begin or end alike.
    let families = |part: &str, last: bool| {
        services
            .iter()
            .filter(|(_, name)| {
                let mut parts = name.split('-');
                name.contains('-') && (if last { parts.next_back() } else { parts.next() }) == Some(part)
            })
            .count()
            > 1
    };
    NAME.find_iter(text)
        .find(|name| {
            if known(name.as_str()) {
                return false;
            }
            let parts: Vec<&str> = name.as_str().split('-').collect();
            let (first, last) = (parts[0], parts[parts.len() - 1]);
            if parts.iter().any(|part| PARTS.contains(&format!(" {part} "))) {
                return false;
            }
            if THINGS.contains(&format!(" {last} "))
                || parts.len() > 2 && (families(first, false) || families(last, true))
            {
                return true;
            }
            let ordinary = parts.iter().any(|part| {
                part.len() < 2
                    || part.starts_with(|c: char| c.is_ascii_digit())
                    || ["ing", "ed", "ly"].iter().any(|end| part.ends_with(end))
                    || known(part)
            });
            let (left, right) = (&text[..name.start()], &text[name.end()..]);
            let placed = BEFORE.is_match(left) && AFTER.is_match(right)
                || right.starts_with(['\'', '’'])
                || VERSION.is_match(right);
            !ordinary && placed
        })
        .map(|name| name.as_str().to_owned())
}
