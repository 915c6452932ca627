//! Refusals of servers, in their many forms, as the few kinds that call for different behaviour.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::error::{LlmErrorKind, words};
use crate::domain::Text;
use crate::domain::time::parse_duration;

/// The longest pause that a server is believed to mean.
const LONGEST_PAUSE: f64 = 86_400.0;

/// What an answer with this status means. `model` is the one that was asked for.
pub(super) fn refusal(model: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> LlmErrorKind {
    if status.is_redirection() {
        let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        return LlmErrorKind::NotUnderstood { what: words(&format!("redirects to {to}")) };
    }
    // Some servers wrap their error into a list of one.
    let value: Option<Value> = serde_json::from_slice(body).ok().map(|value| match value {
        Value::Array(mut list) if list.len() == 1 => list.swap_remove(0),
        value => value,
    });
    let message = value.as_ref().and_then(message_of);
    let what = message.as_deref().map_or_else(|| odd_body(body), words);
    if let Some(overflow) = value.as_ref().and_then(overflow) {
        return overflow;
    }
    let pause = || retry_after(headers).or_else(|| value.as_ref().and_then(retry_info));
    let says = |phrases: &[&str]| message.as_deref().is_some_and(|message| says(message, phrases));
    let code = status.as_u16();
    match code {
        401 | 403 => LlmErrorKind::Unauthorized { status: code, what },
        400 if says(&["api key not valid", "invalid api key", "api_key_invalid"]) => {
            LlmErrorKind::Unauthorized { status: code, what }
        }
        404 => LlmErrorKind::ModelNotFound { model: model.to_owned(), what },
        400 | 422 if message.as_deref().is_some_and(names_model) => {
            LlmErrorKind::ModelNotFound { model: model.to_owned(), what }
        }
        413 if value.is_some() => LlmErrorKind::ContextOverflow { tokens: None, limit: None, what },
        429 => LlmErrorKind::RateLimited { retry_after: pause(), what },
        // 408 and 425 ask for the same request again.
        408 | 425 | 500.. => LlmErrorKind::Server { status: code, retry_after: pause(), what },
        _ => LlmErrorKind::Rejected { status: code, what },
    }
}

/// The error that stands in a frame or body of a successful response, if there is one.
pub(super) fn in_band(event: &str, data: &str) -> Option<LlmErrorKind> {
    if event != "error" && !data.contains("\"error\"") {
        return None;
    }
    let value: Value = serde_json::from_str(data).unwrap_or(Value::Null);
    let holder = match value.get("response") {
        // A response that failed has its error inside.
        Some(response) if is_there(response.get("error")) => response,
        _ => &value,
    };
    let error = holder.get("error").filter(|error| !error.is_null());
    let is_event = event == "error" || value.get("type").and_then(Value::as_str) == Some("error");
    if error.is_none() && !is_event {
        return None;
    }
    if let Some(overflow) = overflow(holder) {
        return Some(overflow);
    }
    let error = error.unwrap_or(holder);
    let what = words(&message_of(holder).unwrap_or_else(|| data.to_owned()));
    let words = ["type", "code", "status"].map(|name| error.get(name).and_then(Value::as_str).unwrap_or_default());
    let code = error.get("code").and_then(Value::as_u64).unwrap_or(0);
    let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
    Some(if code == 429 || is(&["rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"]) {
        LlmErrorKind::RateLimited { retry_after: retry_info(holder), what }
    } else if is(&["overloaded_error"]) {
        LlmErrorKind::Server { status: 529, retry_after: None, what }
    } else if code == 503 || is(&["UNAVAILABLE", "unavailable_error"]) {
        LlmErrorKind::Server { status: 503, retry_after: None, what }
    } else {
        LlmErrorKind::InBand { what }
    })
}

fn is_there(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null())
}

/// What a body that should have been JSON is, in words.
pub(super) fn odd_body(body: &[u8]) -> Text {
    let start = &body[..body.len().min(2_000)];
    if start.contains(&0) || start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return "not text in UTF-8".into();
    }
    let text = String::from_utf8_lossy(start);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() {
        return "an empty body".into();
    }
    if start.starts_with('<') {
        return "a web page, not JSON".into();
    }
    words(&format!("not JSON: {}", start.chars().take(120).collect::<String>()))
}

/// When to come back, as the headers say: milliseconds, seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let bounded = |seconds: f64| {
        (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_PAUSE)))
    };
    let millis = text(&HeaderName::from_static("retry-after-ms")).and_then(|text| text.parse::<f64>().ok());
    if let Some(pause) = millis.and_then(|millis| bounded(millis / 1_000.0)) {
        return Some(pause);
    }
    let after = text(&RETRY_AFTER)?;
    if let Ok(seconds) = after.parse::<f64>() {
        return bounded(seconds);
    }
    // A date is in the server's time: what counts is how far it lies after the server's own now. Our clock may differ.
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    bounded((date(after)? - text(&DATE).and_then(date)?).as_seconds_f64().max(0.0))
}

/// When to come back, as Google's servers say in the body: `{"error":{"details":[{"retryDelay":"37s"}]}}`.
fn retry_info(value: &Value) -> Option<Duration> {
    let details = value.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    match delay.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok()) {
        Some(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Some(Duration::from_secs_f64(seconds.min(LONGEST_PAUSE)))
        }
        _ => parse_duration(delay),
    }
}

/// The server's words: `{"error":{"message"}}`, `{"error":"…"}`, `{"message"}`, `{"detail"}`.
fn message_of(value: &Value) -> Option<String> {
    ["/error/message", "/error", "/message", "/detail", "/detail/0/msg"]
        .iter()
        .find_map(|path| value.pointer(path).and_then(Value::as_str))
        .map(str::to_owned)
        .or_else(|| value.get("error").filter(|error| error.is_object()).map(ToString::to_string))
}

fn says(message: &str, phrases: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

fn names_model(message: &str) -> bool {
    let missing = [
        "not found",
        "does not exist",
        "not exist",
        "unknown model",
        "invalid model",
        "no such model",
        "not a valid model",
    ];
    says(message, &["model"]) && says(message, &missing)
}

/// A request that does not fit, as the different servers say it.
fn overflow(value: &Value) -> Option<LlmErrorKind> {
    const PHRASES: [&str; 11] = [
        "maximum context length",
        "prompt is too long",
        "input is too long",
        "exceeds the available context size",
        "exceeds the maximum number of tokens",
        "exceed context limit",
        "context length exceeded",
        "context window",
        "maximum model length",
        "longer than the model's context length",
        "exceeds the model's context length",
    ];
    let error = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let word = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = message_of(value).unwrap_or_default();
    let named = word("type") == "exceed_context_size_error" || word("code") == "context_length_exceeded";
    if !named && !says(&message, &PHRASES) {
        return None;
    }
    let count = |name: &str| error.get(name).and_then(Value::as_u64);
    let (mut tokens, mut limit) = (count("n_prompt_tokens"), count("n_ctx"));
    if limit.is_none() {
        // "maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens",
        // "prompt is too long: 208310 tokens > 200000 maximum": the smaller is the limit.
        let mut numbers: Vec<u64> = message
            .split(|c: char| !(c.is_ascii_digit() || c == ','))
            .filter_map(|digits| digits.replace(',', "").parse().ok())
            .filter(|number| *number >= 100)
            .collect();
        numbers.truncate(2);
        numbers.sort_unstable();
        if let [small, large] = numbers.as_slice() {
            (limit, tokens) = (Some(*small), Some(*large));
        }
    }
    Some(LlmErrorKind::ContextOverflow { tokens, limit, what: words(&message) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(status: u16, headers: &[(&'static str, &str)], body: &str) -> LlmErrorKind {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        refusal("m", StatusCode::from_u16(status).unwrap(), &map, body.as_bytes())
    }

    fn pause(headers: &[(&'static str, &str)], body: &str) -> Option<u128> {
        match kind(429, headers, body) {
            LlmErrorKind::RateLimited { retry_after, .. } => retry_after.map(|pause| pause.as_millis()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_in_a_servers_words_is_masked() {
        let key = "sk-proj-Zx81hTqLm0pV4cRw9NfYb2KdSg7AeUiO";
        for body in [
            json!({"error": {"message": format!("Incorrect API key provided: {key}. You can find it at x")}})
                .to_string(),
            json!({"detail": format!("invalid key {key}")}).to_string(),
            json!({"error": format!("{} {key}", "word ".repeat(50))}).to_string(),
            format!("no such key: {key}"),
        ] {
            let said = kind(401, &[], &body).to_string();
            assert!(!said.contains("Zx81hT") && said.contains("401"), "{said}");
        }
        let said = in_band("error", &json!({"error": {"message": format!("bad key {key}")}}).to_string()).unwrap();
        assert!(!said.to_string().contains("Zx81hT"), "{said}");
    }

    #[test]
    fn when_to_come_back_is_said_in_many_ways() {
        assert_eq!(pause(&[], ""), None);
        assert_eq!(pause(&[("retry-after", "7")], ""), Some(7_000));
        assert_eq!(pause(&[("retry-after", "0.5")], ""), Some(500));
        assert_eq!(pause(&[("retry-after", "1e99")], ""), Some(86_400_000));
        assert_eq!(pause(&[("retry-after", "-1")], ""), None);
        assert_eq!(pause(&[("retry-after", "soon")], ""), None);
        assert_eq!(pause(&[("retry-after-ms", "250"), ("retry-after", "1")], ""), Some(250));
        assert_eq!(pause(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], ""), None, "whose time is that?");
        let clock = ("date", "Wed, 21 Oct 2015 07:27:30 GMT");
        assert_eq!(pause(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), clock], ""), Some(30_000));
        assert_eq!(pause(&[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"), clock], ""), Some(0), "it is over");
        let google = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota",
            "details": [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}]}});
        assert_eq!(pause(&[], &google.to_string()), Some(37_500));
    }

    #[test]
    fn overflows_are_known_by_their_words() {
        for message in [
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
            "prompt is too long: 9,001 tokens > 8,192 maximum",
            "The input token count (9001) exceeds the maximum number of tokens allowed (8192).",
            "input length and `max_tokens` exceed context limit: 9001 > 8192",
            "The decoder prompt (length 9001) is longer than the maximum model length of 8192.",
        ] {
            let expected = (Some(9_001), Some(8_192));
            match kind(400, &[], &json!({"error": {"message": message}}).to_string()) {
                LlmErrorKind::ContextOverflow { tokens, limit, .. } => {
                    assert_eq!((tokens, limit), expected, "{message}");
                }
                other => panic!("{message}: {other:?}"),
            }
        }
        assert!(matches!(kind(413, &[], "{\"error\":\"x\"}"), LlmErrorKind::ContextOverflow { .. }));
        assert!(matches!(kind(413, &[], "<html>"), LlmErrorKind::Rejected { status: 413, .. }), "a proxy's limit");
    }

    #[test]
    fn keys_and_models_are_told_apart() {
        let google = json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}]);
        assert!(matches!(kind(400, &[], &google.to_string()), LlmErrorKind::Unauthorized { status: 400, .. }));
        let ollama = json!({"error": "model 'x' not found"});
        assert!(matches!(kind(404, &[], &ollama.to_string()), LlmErrorKind::ModelNotFound { .. }));
        let fastapi = json!({"detail": [{"msg": "field required"}]});
        let rejected = kind(422, &[], &fastapi.to_string());
        assert!(matches!(&rejected, LlmErrorKind::Rejected { what, .. } if what == "field required"), "{rejected:?}");
        assert!(matches!(kind(408, &[], ""), LlmErrorKind::Server { status: 408, .. }));
    }

    #[test]
    fn errors_inside_good_answers_have_their_kinds() {
        let inside = |event: &str, value: Value| in_band(event, &value.to_string());
        let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert!(matches!(inside("error", overloaded.clone()), Some(LlmErrorKind::Server { status: 529, .. })));
        assert!(matches!(inside("", overloaded), Some(LlmErrorKind::Server { status: 529, .. })));
        let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "boom"}}});
        assert_eq!(inside("response.failed", failed), Some(LlmErrorKind::InBand { what: "boom".into() }));
        let bare = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null});
        assert!(matches!(inside("", bare), Some(LlmErrorKind::RateLimited { .. })));
        let google = json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}});
        assert!(matches!(inside("", google), Some(LlmErrorKind::Server { status: 503, .. })));
        assert_eq!(inside("", json!({"error": "no memory"})), Some(LlmErrorKind::InBand { what: "no memory".into() }));
        for fine in [
            json!({"type": "response.created", "response": {"error": null}}),
            json!({"error": null, "choices": []}),
            json!({"choices": [{"delta": {"content": "{\"error\": 1}"}}]}),
        ] {
            assert_eq!(inside("", fine.clone()), None, "{fine}");
        }
    }
}
