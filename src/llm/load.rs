//! What a server says about its own load, on its `/metrics` page.

use std::time::Duration;

use chrono::DateTime;
use prometheus_parse::{Scrape, Value};

use super::LlmClient;
use super::error::{LlmError, LlmErrorKind, Phase};
use super::stream::read_bounded;
use super::wire::beside;

/// Requests of a server, right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Being worked on.
    pub running: u64,
    /// Waiting for a free place. Nothing in an answer shows these.
    pub waiting: u64,
    /// Which server says so.
    pub server: &'static str,
}

/// Names of a server's gauges: running, waiting.
const SERVERS: &[(&str, &str, &str)] = &[
    ("llama.cpp", "llamacpp:requests_processing", "llamacpp:requests_deferred"),
    ("vLLM", "vllm:num_requests_running", "vllm:num_requests_waiting"),
    ("SGLang", "sglang:num_running_reqs", "sglang:num_queue_reqs"),
    ("TGI", "tgi_batch_current_size", "tgi_queue_size"),
];

/// Limit for the page: it is asked for beside a request, and must not add to a server's trouble for long.
const WITHIN: Duration = Duration::from_secs(3);

/// Reads the page; `None` when it is of no server that is known.
pub(super) fn read(page: &str) -> Option<Load> {
    SERVERS.iter().find_map(|(server, running, waiting)| {
        let waiting = gauge(page, waiting)?;
        Some(Load { running: gauge(page, running).unwrap_or(0), waiting, server })
    })
}

/// The sum of a gauge over its label sets. The parser takes some labels apart wrongly, so it never sees them.
fn gauge(page: &str, name: &str) -> Option<u64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None if rest.starts_with([' ', '\t']) => rest,
            None => return None,
        };
        let plain = format!("gauge {}", rest.trim());
        let scrape = Scrape::parse_at(std::iter::once(Ok(plain)), DateTime::UNIX_EPOCH).ok()?;
        match scrape.samples.first()?.value {
            Value::Untyped(value) if value.is_finite() && value >= 0.0 => Some(value.round() as u64),
            _ => None,
        }
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0_u64).saturating_add(value)))
}

impl LlmClient {
    /// Asks the server for its own load; `None` where it tells nothing of the kind. Vendors' end points, which tell
    /// nothing, are not asked.
    pub async fn load(&self) -> Result<Option<Load>, LlmError> {
        let inner = &self.inner;
        if inner.vendor {
            return Ok(None);
        }
        let asked = async {
            match inner.get(beside(&inner.base, "/metrics")).await {
                Ok(response) => read_bounded(inner, response).await.map(|page| read(&String::from_utf8_lossy(&page))),
                // It has no such page, or shows it to nobody, or it is somebody else's.
                Err(error) if error.is_reply() => Ok(None),
                Err(error) => Err(error),
            }
        };
        tokio::time::timeout(WITHIN, asked)
            .await
            .unwrap_or_else(|_| Err(inner.error(LlmErrorKind::Timeout { phase: Phase::Headers, after: WITHIN })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        let llama = "# HELP llamacpp:requests_deferred Number of requests deferred.\n# TYPE llamacpp:requests_deferred gauge\n\
                     llamacpp:requests_processing 2\nllamacpp:requests_deferred 4\n";
        assert_eq!(read(llama), Some(Load { running: 2, waiting: 4, server: "llama.cpp" }));
        let vllm = "vllm:num_requests_running{engine=\"0\",model_name=\"a,b=\\\"c}\"} 8.0\n\
                    vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 3.0\n\
                    vllm:num_requests_waiting{engine=\"1\",model_name=\"m\"} 2.0\n\
                    vllm:num_requests_waiting_by_reason{reason=\"x\"} 9.0\n";
        assert_eq!(read(vllm), Some(Load { running: 8, waiting: 5, server: "vLLM" }));
        assert_eq!(read("tgi_queue_size 1\n"), Some(Load { running: 0, waiting: 1, server: "TGI" }));
        assert_eq!(read("vllm:num_requests_waiting NaN\n"), None);
        assert_eq!(read("<html>llamacpp:requests_deferred"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_page_is_too_odd(tail in "(?s).{0,80}") {
            let _ = read(&format!("vllm:num_requests_waiting{tail}"));
        }
    }
}
