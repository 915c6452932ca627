//! Version of a server, as all of them give it.

use std::collections::BTreeMap;

use super::SourceError;
use super::reply::Reply;
use crate::domain::query::{Answer, Data};
use crate::domain::text::neutralise;

/// Reads an object of strings, in Prometheus' envelope or bare, as Loki and VictoriaMetrics send it.
pub(crate) fn build_info(reply: &Reply) -> Result<Answer, SourceError> {
    let all: BTreeMap<String, serde_json::Value> = reply.json()?;
    let facts = match all.get("data") {
        Some(serde_json::Value::Object(data)) => data.clone().into_iter().collect(),
        _ => all,
    };
    let clean = |word: &str| neutralise(word).into_owned();
    let fact = |(name, value): (String, serde_json::Value)| Some((clean(&name), clean(value.as_str()?)));
    Ok(Answer::new(Data::Facts(facts.into_iter().filter_map(fact).collect())))
}
