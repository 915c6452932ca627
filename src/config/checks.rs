//! Values that have their type and cannot work all the same. Said at start, with the file and the key, not in the middle
//! of an incident.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Url;

use super::Config;
use super::secrets::names_a_variable;
use crate::domain::settings::{Auth, EndpointSettings, HeaderValue, Price, SecretRef, SourceSettings};

/// The smallest pack that says anything, in tokens.
const LEAST_PACK: usize = 300;
/// The shortest answer that can hold a diagnosis with one hypothesis, in tokens.
const LEAST_ANSWER: u32 = 200;

/// The first value that cannot work: its key, and what to do.
pub(super) fn wrong(config: &Config) -> Option<String> {
    let profiles = config.profile.iter().flat_map(|(name, profile)| {
        let named =
            [("prometheus", &profile.prometheus), ("alertmanager", &profile.alertmanager), ("loki", &profile.loki)];
        let named = named.into_iter().filter_map(|(kind, source)| Some((kind, source.as_ref()?)));
        let pages = profile.exposition.iter().map(|source| ("exposition", source));
        named.chain(pages).filter_map(move |(kind, source)| of_source(&format!("profile.{name}.{kind}"), source))
    });
    let mut names = BTreeSet::new();
    let endpoints = config.llm.endpoint.iter().filter_map(|endpoint| {
        let name = &endpoint.name;
        if name.trim().is_empty() {
            return Some("llm.endpoint: `name` is empty: every end point needs one".to_owned());
        }
        if !names.insert(name) {
            return Some(format!("llm.endpoint: two end points are named `{name}`: give each a name of its own"));
        }
        of_endpoint(&format!("llm.endpoint `{name}`"), endpoint)
    });
    let anchor = config.ledger.anchor.loki.as_ref().and_then(|source| of_source("ledger.anchor.loki", source));
    profiles.chain(endpoints).chain(anchor).chain(of_day(config)).next()
}

fn of_source(key: &str, source: &SourceSettings) -> Option<String> {
    let SourceSettings { url, headers, auth, proxy, .. } = source;
    let secrets = match auth {
        Some(Auth::Basic { password, .. }) => Some(("auth.basic.password", password)),
        Some(Auth::Bearer(token)) => Some(("auth.bearer", token)),
        Some(Auth::Oauth2 { client_secret, .. }) => Some(("auth.oauth2.client_secret", client_secret)),
        None => None,
    };
    of_url(key, url)
        .or_else(|| secrets.and_then(|(name, secret)| of_secret(key, name, secret)))
        .or_else(|| of_headers(key, headers))
        .or_else(|| proxy.as_deref().and_then(|proxy| of_proxy(key, proxy)))
}

/// What is wrong with the address of a server.
fn of_url(key: &str, url: &str) -> Option<String> {
    let url = url.trim();
    let fine = Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if fine {
        return None;
    }
    let shown = without_password(url);
    let bare = !url.contains("://") && Url::parse(&format!("http://{url}")).is_ok();
    let fix = if bare {
        format!("it has no scheme: write `http://{shown}` or `https://{shown}`")
    } else {
        "not the address of a server; write http://HOST:PORT or https://HOST".to_owned()
    };
    Some(format!("{key}: `url` is `{shown}`: {fix}"))
}

fn of_headers(key: &str, headers: &BTreeMap<String, HeaderValue>) -> Option<String> {
    headers.iter().find_map(|(name, value)| match value {
        HeaderValue::Secret(secret) => of_secret(key, &format!("headers.{name}"), secret),
        HeaderValue::Plain(_) => None,
    })
}

/// A secret that stands where its place should: said without a word of it.
fn of_secret(key: &str, name: &str, secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::Env(variable) if !names_a_variable(variable) => Some(format!(
            "{key}: `{name}.env` is not the name of an environment variable (it is not shown); write the variable's \
             name there, or {{ value = \"…\" }} for the secret itself"
        )),
        _ => None,
    }
}

fn of_endpoint(key: &str, endpoint: &EndpointSettings) -> Option<String> {
    let EndpointSettings { pack_tokens, answer_tokens, timeouts, .. } = endpoint;
    let wrong = (endpoint.url.as_deref().and_then(|url| of_url(key, url)))
        .or_else(|| endpoint.key.as_ref().and_then(|secret| of_secret(key, "key", secret)))
        .or_else(|| of_headers(key, &endpoint.headers))
        .or_else(|| endpoint.proxy.as_deref().and_then(|proxy| of_proxy(key, proxy)));
    if wrong.is_some() {
        return wrong;
    }
    if *pack_tokens < LEAST_PACK {
        return Some(format!(
            "{key}: `pack_tokens` is {pack_tokens}: no evidence fits into that; set {LEAST_PACK} or more, or leave it \
             out"
        ));
    }
    if *answer_tokens < LEAST_ANSWER {
        return Some(format!(
            "{key}: `answer_tokens` is {answer_tokens}: no diagnosis fits into that; set {LEAST_ANSWER} or more, or \
             leave it out"
        ));
    }
    let limits = [
        ("connect", timeouts.connect),
        ("headers", timeouts.headers),
        ("first_content", timeouts.first_content),
        ("stall", timeouts.stall),
        ("total", timeouts.total),
    ];
    if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == Some(Duration::ZERO)) {
        return Some(format!(
            "{key}: `timeouts.{name}` is 0s: nothing answers within that; leave it out for the usual"
        ));
    }
    let Price { input, cached, output } = endpoint.price?;
    let prices = [("input", Some(input)), ("cached", cached), ("output", Some(output))];
    prices
        .into_iter()
        .filter_map(|(name, price)| Some((name, price?)))
        .find(|(_, price)| !is_amount(*price))
        .map(|(name, price)| format!("{key}: `price.{name}` is {price}: a price is 0 or more, for a million tokens"))
}

fn is_amount(amount: f64) -> bool {
    amount.is_finite() && amount >= 0.0
}

fn of_day(config: &Config) -> Option<String> {
    let nothing = "nothing would ever be sent; leave it out for no limit, or set `sees = \"nothing\"` in a profile to \
                   send nothing";
    if config.llm.tokens_per_day == Some(0) {
        return Some(format!("llm: `tokens_per_day` is 0: {nothing}"));
    }
    match config.llm.cost_per_day {
        Some(cost) if !is_amount(cost) || cost == 0.0 => Some(format!("llm: `cost_per_day` is {cost}: {nothing}")),
        _ => None,
    }
}

/// What is wrong with the address of a proxy.
fn of_proxy(key: &str, proxy: &str) -> Option<String> {
    const KNOWN: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    // A bare address is one of an HTTP proxy.
    let whole = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let fine = Url::parse(&whole).is_ok_and(|url| {
        KNOWN.contains(&url.scheme())
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (proxy.contains("://") || url.port().is_some())
    });
    (!fine).then(|| {
        format!(
            "{key}: `proxy` is `{}`: not the address of a proxy; write http://HOST:PORT, https://HOST:PORT or \
             socks5://HOST:PORT",
            without_password(proxy)
        )
    })
}

/// An address without what stands before an `@`.
fn without_password(address: &str) -> String {
    let Some((before, host)) = address.rsplit_once('@') else { return address.to_owned() };
    let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}‹hidden›@{host}")
}

#[cfg(test)]
mod tests {
    use crate::config::load::parse;

    fn said(text: &str) -> String {
        parse("c.toml", text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn endpoint(more: &str) -> String {
        format!("[[llm.endpoint]]\nname = \"a\"\nprotocol = \"ollama\"\nmodel = \"m\"\n{more}\n")
    }

    #[test]
    fn what_cannot_work_names_its_file_key_and_value() {
        for (text, parts) in [
            (endpoint("pack_tokens = 10"), ["`pack_tokens` is 10", "300 or more"]),
            (endpoint("answer_tokens = 0"), ["`answer_tokens` is 0", "200 or more"]),
            (endpoint("timeouts = { total = \"0s\" }"), ["`timeouts.total` is 0s", "leave it out"]),
            (endpoint("price = { input = -1.0 }"), ["`price.input` is -1", "0 or more"]),
            (endpoint("proxy = \"http//x\""), ["`proxy` is `http//x`", "http://HOST:PORT"]),
            (
                endpoint("url = \"127.0.0.1:18552\""),
                ["c.toml:5:", "`url` is `127.0.0.1:18552`: it has no scheme: write `http://127.0.0.1:18552`"],
            ),
            (endpoint("url = \"localhost:80/v1\""), ["no scheme", "`https://localhost:80/v1`"]),
            (endpoint("url = \"ftp://x\""), ["`url` is `ftp://x`", "http://HOST:PORT"]),
            (
                "[profile.p]\nprometheus = { url = \"prom:9090\" }\n".into(),
                ["c.toml:2: profile.p.prometheus: `url`", "no scheme"],
            ),
            (endpoint("") + &endpoint(""), ["two end points are named `a`", "of its own"]),
            ("[llm]\ntokens_per_day = 0\n".into(), ["`tokens_per_day` is 0", "leave it out"]),
            ("[llm]\ncost_per_day = 0.0\n".into(), ["`cost_per_day` is 0", "leave it out"]),
            (
                "[profile.p.loki]\nurl = \"http://x\"\nproxy = \"ftp://x:1\"\n".into(),
                ["profile.p.loki: `proxy` is `ftp://x:1`", "socks5://HOST:PORT"],
            ),
        ] {
            let error = said(&text);
            assert!(error.starts_with("c.toml:") && parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_proxys_password_is_never_shown() {
        let error = said(&endpoint("proxy = \"htp://user:hunter2@proxy:1\""));
        assert!(error.contains("htp://‹hidden›@proxy:1") && !error.contains("hunter2"), "{error}");
        for fine in ["http://u:p@proxy:3128", "proxy:3128", "socks5h://127.0.0.1:1080", "https://[::1]:8080"] {
            assert_eq!(said(&endpoint(&format!("proxy = \"{fine}\""))), "", "{fine}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_names_the_nearest_and_all() {
        let error = said("[[llm.endpoint]]\nname = \"a\"\nprotocol = \"openai\"\nmodel = \"m\"\n");
        assert!(error.starts_with("c.toml:3: `openai` is not known here: did you mean `openai-chat`?"), "{error}");
        assert!(error.contains("openai-responses, anthropic, gemini, ollama"), "{error}");
        let error = said(&endpoint("sees = \"everything\""));
        assert!(error.contains("nothing, redacted, production"), "{error}");
    }
}
