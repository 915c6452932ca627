//! Names that stand nowhere in the evidence.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;
use super::text::{first_part, plain, stands_in};

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
                r"\b(?i:errors|latency|cpu|memory|traffic|logs|metrics|replicas|\w+_\w+)\s(?:of|in|on)\s(?P<e>[a-z][\w-]{2,})|\b(?i:[a-z]{3,}s|output|throughput|backlog|usage|p\d\d)\s(?:of|in|by|from)\s(?P<f>[a-z][a-z0-9]{2,})(?:\s(?:fell|rose|have|has|had|is|are|was|were|began|dropped|went|climbed|jumped|doubled|started|collapsed)\b|[,:;]|\.?$)",
            ),
        ]
    });
    const COMMON: &str = " the all its this that these those users user requests calls every each both about more less usually \
        time total production which their our seconds minutes service services callers clients some any one two three around \
        roughly nearly almost over just only most many few what when baseline normal customers upstream downstream use \
        between case other another work memory disk network them zero nothing none javascript github postgresql being \
        connections connection database pool cluster namespace error errors waiting response window minute second hour \
        average least half flight retries progress parallel turn general particular sequence addition fact place order question front back general favour favor case need short long return part time use line lines range bounds spite terms charge danger vain advance doubt detail which whose where itself themselves most calls other others someone start startup shutdown restart production staging host hosts node nodes disk client clients server servers callee caller machine machines kernel process processes threads thread queue queues least inside peak before here there full than and has was were not into onto load deploy scope practice theory principle transit bulk sync full total itself \
        common mind view sight need reach control service turn essence summary advance excess error isolation tandem vain ";
    for groups in NAMED.iter().flat_map(|shape| shape.captures_iter(text)) {
        for name in ["a", "b", "c", "d", "e", "f"].iter().filter_map(|name| groups.name(name)) {
            let word = name.as_str().trim_end_matches(['.', '-', '_']);
            let plain = word.to_lowercase();
            if plain.len() > 2 && !COMMON.contains(&format!(" {plain} ")) && !known(&plain) {
                return Some(word.to_owned());
            }
        }
    }
    compound(text, services, known)
        .or_else(|| beginner(text, known))
        .or_else(|| altered(text, known))
        .or_else(|| joined(text, known))
        .or_else(|| the_service(text, services, cited))
        .or_else(|| identifier(text, known))
}

/// `shippingservice`.
fn joined(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z]{2,}(?:service|svc)\b"));
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
                r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b|\b(?:[A-Z][a-z]{2,}){2,}\b|\b[A-Z]{2,}(?:[A-Z][a-z]{2,})+\b|\b[A-Z][a-z]+(?:[A-Z]+[a-z]*)+[A-Z][a-z]+\b|\b[a-z]{2,}(?:[A-Z][a-z]+)+[A-Za-z]*\b",
            ),
            // `wei.zhang`, `http.Server`, `writer.go`.
            regex(
                r"\b[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z][A-Za-z0-9_-]*)+\b|\b\d+\.[a-z]{3,}\b|(?:^|\s)(?P<path>\.[a-z]{2,6})\b",
            ),
            // `/api/search`, `route=/cart`, `pkg/store/writer.go`.
            regex(r"(?:^|[\s(=])(?P<path>/[A-Za-z][\w.-]*(?:/[\w.{}<>*:-]+)*|[\w.-]+(?:/[\w.-]+){2,})"),
            // A level of logging.
            regex(
                r"\b(?P<path>TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|SELECT|INSERT|UPDATE|DELETE|TRUNCATE|ALTER|GET|POST|PUT|PATCH)\b",
            ),
        ]
    });
    const ORDINARY: &str = " javascript github graphql nosql sqlite rabbitmq dynamodb mongodb mariadb elasticache opensearch pagerduty \
        statefulset daemonset replicaset configmap gitlab opentelemetry postgresql mysql websocket typescript cloudwatch elasticsearch \
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
    const ADJECTIVES: &str = " the a an same other this that affected upstream downstream failing calling called new old main root first \
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

/// Whether a sentence means a service by a word. A name that is a plain word, such as `orders`, may be just that.
pub(super) fn means(text: &str, told: &str, name: &str, plain: &str) -> bool {
    if !stands_in(told, plain) {
        return false;
    }
    // A part of the name of something else.
    if text.contains(&format!("{name} load balancer")) {
        return false;
    }
    // As it is written: `Orders placed` means none.
    let as_written = |text: &str| {
        text.match_indices(name).any(|(at, _)| {
            let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
            !joins(text[..at].chars().next_back()) && !joins(text[at + name.len()..].chars().next())
        })
    };
    if !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return true;
    }
    // Only what can be counted stands so often for itself: `fewer orders`.
    if !name.ends_with('s') {
        return as_written(text);
    }
    let word = |at: usize| {
        let (left, right) = (&text[..at], &text[at + name.len()..]);
        let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '/'));
        let before = left.trim_end();
        let last = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
        free(left.chars().next_back())
            && right.chars().next().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-'))
            && (before.is_empty()
                || before.ends_with(['→', '>', '(', ';', ':', ',', '.'])
                || PLACES.contains(&last.as_str())
                || right.starts_with("'s")
                || right.starts_with("’s")
                || right.trim_start().starts_with(['→', '-'])
                || right.starts_with(" service"))
    };
    text.match_indices(name).any(|(at, _)| word(at))
}

/// Words before the name of a place.
const PLACES: [&str; 26] = [
    "in", "on", "at", "of", "by", "from", "to", "towards", "for", "between", "and", "or", "via", "through", "against",
    "calls", "calling", "with", "that", "service", "into", "the", "only", "both", "where", "because",
];

/// A name of several parts that nobody has. English joins words by hyphens, too: what ends or begins as its compounds
/// do, and what is made of words of the evidence, is none.
fn compound(text: &str, services: &[(String, String)], known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+\b"));
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?:^|[.;:]\s|\b(?:on|at|from|of|by|in|upstream|calls|calling|that|where|because|only)\s)$")
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^(?:['’]s\b|\s(?:p\d\d|cpu|memory|latency|is|are|was|were|has|had|have|logs|logged|warns|warned|retries|produces|receives|received|shows|fails|failed|went|rose|fell|remains|stays|began|started|stopped|collapsed|to|since|about|doubled|calls|fell|ages|live)\b|\s?(?:[,.;:()]|$))",
        )
    });
    // Compounds of operations that are whole words.
    const JOINED: &str = " health-check nil-check null-check load-test circuit-breaker rate-limit root-cause data-race row-lock \
        table-scan thread-pool connection-pool stack-trace cold-start lock-wait lock-timeout cache-hit cache-miss load-balancer \
        disk-space heap-size ";
    // First parts that make a word of another: `re-deploy`, `multi-node`.
    const PREFIXES: &str = " re pre post non self half full multi single cross per over under well co sub super inter intra anti \
        ex mid semi quasi pseudo micro macro near un de so mis out up down all any one two three four five six seven eight nine \
        ten twenty thirty forty fifty sixty seventy eighty ninety hundred first second third last next best worst ";
    // Parts that a name hardly has.
    const WORDS: &str = " in on off by to of and or the at as long short high low time fast slow back real day week hour minute \
        month year root steady round close open hard soft right left top bottom early late non free run follow roll built ";
    // What only a thing that runs is called: `billing-worker`, `geo-resolver`.
    const THINGS: &str = " service svc worker gateway gw resolver api db database agent proxy store manager engine processor \
        consumer producer router scheduler operator exporter collector broker frontend backend app bot runner cron daemon mq \
        redis postgres mysql kafka lb ingress indexer catalog notifier mailer registry cache sync fetcher loader writer reader \
        dispatcher relay hub importer ui server ";
    // What happens to things and is measured of them: `lock-contention`, `error-rate`.
    const MATTERS: &str = " exhaustion contention saturation pressure storm leak leaks spike spikes rate rates ratio limit limits \
        count counts size sizes usage utilization utilisation pool pools timeout timeouts error errors failure failures latency \
        window windows budget threshold quota capacity depth backlog growth drop drops increase rollback restart restarts loop \
        loops path paths call calls handling change changes release rollout deploy deploys deployment migration config flag flags \
        query queries lock locks wait waits level layer point points side wide scale race races safety policy mode state start \
        end second seconds minutes hours old phase bug bugs code line lines request requests response responses connection \
        connections transaction transactions metric metrics alert alerts version versions balancer breaker stack trace traces \
        space failover cycle cycles job jobs task tasks lag hit hits miss misses read reads write writes retry retries crash \
        crashes kill kills throttling scan scans bound load loads volume traffic pause pauses burst bursts memory cpu disk \
        fault faults issue issues problem problems event events user users effect effects chain tail class case cases scope \
        fold percentile quantile digit order ordering step delay delays boundary source sources data type types value \
        values key keys rule rules check checks test tests ";
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
    let within = |list: &str, part: &str| list.contains(&format!(" {part} "));
    NAME.find_iter(text)
        .map(|name| name.as_str())
        .find(|name| {
            let parts: Vec<&str> = name.split('-').collect();
            let (first, last) = (parts[0], parts[parts.len() - 1]);
            if known(name) || within(PREFIXES, first) {
                return false;
            }
            if within(THINGS, last) || parts.len() > 2 && (families(first, false) || families(last, true)) {
                return name != &"client-server";
            }
            let end = text.find(name).unwrap_or(0);
            let (left, right) = (&text[..end], &text[end + name.len()..]);
            let placed = BEFORE.is_match(left) && AFTER.is_match(right);
            let ordinary = within(MATTERS, last) && (known(first) || !placed || JOINED.contains(&format!(" {name} ")))
                || parts.iter().any(|part| within(WORDS, part))
                || parts.iter().any(|part| part.starts_with(|c: char| c.is_ascii_digit()))
                || ["up", "ups", "in", "ins", "out", "outs", "off", "offs", "downs", "backs", "through"]
                    .contains(&last)
                || [
                    "ing", "ed", "ly", "able", "ible", "less", "ful", "ent", "ant", "ous", "ive", "ish", "like",
                    "wise", "ble",
                ]
                .iter()
                .any(|end| last.len() > end.len() && last.ends_with(end))
                || parts.iter().all(|part| known(part));
            // `missing-relation errors`.
            let of_errors = [" error", " warning", " exception", " failure", " message", " line"]
                .iter()
                .any(|noun| right.starts_with(noun));
            !ordinary && !of_errors
        })
        .map(str::to_owned)
}

/// A name of one word where a sentence begins with what it does: `wallet logged`. Only names begin a sentence small.
fn beginner(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?:^|[.;]\s)(?P<a>[a-z][a-z0-9]{2,})(?:['’]s\b|\s(?:is|was|has|had|logs|logged|shows|showed|throws|threw|sees|saw|fails|failed|warns|warned|waits|waited|receives|received|gets|got|stopped|started|began|restarted|complains|felt|emits|emitted|produces|publishes|executes|spends|prints|printed|reports|reported|reached|calls|uses|used|returns|returned|rejects|rejected|answers|answered|never|no longer|itself|cpu|p\d\d|pods?|v\d)\b)",
        )
    });
    const ORDINARY: &str = " error latency cpu memory disk throughput traffic queue pod node everything nothing nobody none one \
        each this that there who what which where when how backlog load network storage system cluster database cache service \
        deployment deploy release rollout incident alert baseline request response work job utilization usage saturation \
        contention pressure demand volume rate ratio count average median peak access all they we it most several few these those other normal usual the both only another some many ";
    NAMED.captures_iter(text).map(|groups| groups["a"].to_owned()).find(|word| {
        let quantile = word.starts_with('p') && word[1..].bytes().all(|byte| byte.is_ascii_digit());
        !ORDINARY.contains(&format!(" {word} "))
            && !quantile
            && !word.ends_with('s')
            && !word.ends_with("ing")
            && !known(word)
    })
}

/// A person who is said to have changed something and did not. Only where a change is cited.
pub(super) fn author(text: &str, cited: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i:\b(?:commit|deploy|deployment|deployed|change|flag|rollout|release|migration|merged|committed|pushed|shipped)\b[^,;]{0,30}?)\s(?:by|from)\s(?P<a>[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*)\b|^(?P<b>[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*)\s(?:switched|bumped|committed|renamed|deployed|merged|rotated|turned|flipped|fixed|shipped|reverted|rolled|pushed|tidied)\b",
        )
    });
    const OTHERS: &str = " the a an about roughly some nearly almost one two three five ten its being adding removing hand default design \
        seconds minutes hours which that this off on then now noon midnight ";
    NAMED.captures_iter(text).find_map(|groups| {
        let name = groups.name("a").or_else(|| groups.name("b"))?.as_str();
        let digits = name.starts_with(|c: char| c.is_ascii_digit());
        (!digits && !OTHERS.contains(&format!(" {name} ")) && !cited(name)).then(|| name.to_owned())
    })
}

/// A name of several capitalised words of which one was altered: `Default Disk Monitor` for `Default Metric Monitor`.
fn altered(text: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[A-Z][a-z]+(?:\s[A-Z][a-z]+){2,}\b"));
    NAME.find_iter(text)
        .map(|name| name.as_str())
        .find(|name| {
            let words: Vec<&str> = name.split(' ').collect();
            // The first may only begin the sentence.
            let rest = words[1..].join(" ");
            let held = words.iter().filter(|word| known(&word.to_lowercase())).count();
            held >= 2 && !known(&name.to_lowercase()) && !known(&rest.to_lowercase())
        })
        .map(str::to_owned)
}

/// A service by the first part of a long name, as people call it, where nothing that is cited speaks of it: `PetSearch`
/// of `PetSearch_AWS::ECS::Fargate`.
pub(super) fn short_name(text: &str, services: &[(String, String)], cited: &dyn Fn(&str) -> bool) -> Option<String> {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '@'));
    let lower = text.to_lowercase();
    services.iter().find_map(|(name, _)| {
        let short = first_part(name);
        // A plain word may be meant as one; a long one is none.
        let plain = short.bytes().all(|byte| byte.is_ascii_lowercase());
        let (text, word) =
            if short.len() >= LONG { (lower.as_str(), short.to_lowercase()) } else { (text, short.to_owned()) };
        let told = short.len() > 4
            && short != name
            && (!plain || short.len() >= LONG)
            && text.match_indices(word.as_str()).any(|(at, _)| {
                !joins(text[..at].chars().next_back()) && !joins(text[at + word.len()..].chars().next())
            });
        (told && !cited(&short.to_lowercase())).then(|| short.to_owned())
    })
}

/// A word of so many letters is the name of a thing.
const LONG: usize = 12;

/// What a thing of a kind is called that is called otherwise in what is cited: `the component collector` where only
/// `component=writer` is told.
pub(super) fn of_its_kind(text: &str, cited: &dyn Fn(&str) -> bool) -> Option<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?P<kind>component|namespace|container|topic|region|zone)\s(?P<name>[a-z][\w-]+)(?:[,.;)]|$|\s(?:is|was|has|had|from|since|at|goes|went|rose|fell)\b)",
        )
    });
    const OTHERS: &str = " level logs itself limit limits name restart restarts memory cpu usage is was has and or that only \
        labels label quota count partition lag size image ";
    NAMED.captures_iter(text).find_map(|groups| {
        let name = &groups["name"];
        let other = !OTHERS.contains(&format!(" {name} ")) && cited(&groups["kind"]) && !cited(&name.to_lowercase());
        other.then(|| name.to_owned())
    })
}

/// A value of a field that is written `field=value`, where what is cited has the field and never that value.
pub(super) fn value(text: &str, cited: &dyn Fn(&str) -> bool) -> Option<String> {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?P<field>[A-Za-z_][\w.]*)=(?P<value>[\w./:-]*\w)"));
    FIELD.captures_iter(text).find_map(|groups| {
        let (field, value) = (groups["field"].to_lowercase(), groups["value"].to_lowercase());
        let [known, stands] = [format!("{field}="), format!("{field}={value}")].map(|words| cited(&words));
        (known && !stands).then(|| groups[0].to_owned())
    })
}

/// How bad an alert is said to be, where every alert that is cited is of another severity.
pub(super) fn severity(text: &str, alerts: &[&str]) -> Option<String> {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(?:is|been|was|as|fires|fired|firing|at|severity)\s(?P<word>critical|warning|info)\b")
    });
    if alerts.is_empty() {
        return None;
    }
    SAID.captures_iter(text).map(|groups| groups["word"].to_owned()).find(|word| {
        let told = |alert: &&str, word: &str| stands_in(alert, word);
        !alerts.iter().any(|alert| told(alert, word))
            && alerts.iter().all(|alert| ["critical", "warning", "info"].iter().any(|other| told(alert, other)))
    })
}

/// A call of a function as it is written in code, where what is cited calls it otherwise: `f.Match("name")` for
/// `f.Match("title")`.
pub(super) fn call(text: &str, cited: &dyn Fn(&str) -> bool) -> Option<String> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+)\((?P<arguments>[^()\s][^()…]{0,60})\)")
    });
    CALL.captures_iter(text).find_map(|groups| {
        let whole = groups.get(0)?.as_str();
        let name = format!("{}(", plain(&groups["name"]).trim());
        (!whole.contains("...") && cited(&name) && !cited(plain(whole).trim())).then(|| whole.to_owned())
    })
}

/// Whether a sentence speaks of a place only to say what is not so of it, and tells no figure of it: `so the cause is not
/// in checkout`, `payments is not the only one that changed`.
pub(super) fn ruled_out(told: &str, name: &str) -> bool {
    static BREAK: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"[,;:]\s|\.\s|\s(?:so|while|whereas|but|and|because|since|although|though|yet|which|where)\s")
    });
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?:not|nor|never|cannot|no)\s(?:\w+\s){0,4}(?:in|from|with|at|to|by|of|on|inside)\s(?:the\s)?$|\b(?:not|never|cannot|nor)\s(?:involve|touch|concern|include|affect|mention|reach|use|call|explain|need|show)\s(?:the\s)?$|\b(?:outside|beyond|besides|apart from|other than)\s(?:of\s)?(?:the\s)?$",
        )
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s(?:alone\s|itself\s)?(?:cannot|(?:does|do|did|can|could|would|is|was|has|need)(?:\snot|n['’]?t))\s(?:explain|account|cause|show|reach|fit|touch|cover|be|the only|alone|where|why|what)\b",
        )
    });
    let mut found = told.match_indices(name).peekable();
    found.peek().is_some()
        && found.all(|(at, _)| {
            let start = BREAK.find_iter(&told[..at]).last().map_or(0, |mark| mark.end());
            let end = BREAK.find(&told[at..]).map_or(told.len(), |mark| at + mark.start());
            let (left, right) = (&told[start..at], &told[(at + name.len()).min(end)..end]);
            let digits = |part: &str| part.contains(|c: char| c.is_ascii_digit());
            (BEFORE.is_match(left) || AFTER.is_match(right)) && !digits(left) && !digits(right)
        })
}
