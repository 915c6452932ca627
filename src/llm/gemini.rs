//! Gemini's own format, as spoken by Google's Gemini API and Vertex AI.
//! <https://ai.google.dev/api/generate-content>
//!
//! There is no terminal frame: the last frame says why the answer is over, and the connection is closed.

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::schema::Schema;
use super::wire::{Ask, Listed, Piece, Wire, below, bytes, json};
use super::{FinishReason, Role};
use crate::domain::diagnosis::Usage;

pub(super) struct Gemini;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    system_instruction: Content<'a>,
    contents: Vec<Content<'a>>,
    generation_config: Config,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Schema>,
}

impl Wire for Gemini {
    fn default_url(&self) -> &'static str {
        "https://generativelanguage.googleapis.com/v1beta"
    }

    fn url(&self, base: &Url, model: &str) -> Url {
        let model = model.strip_prefix("models/").unwrap_or(model);
        let mut url = below(base, &format!("/models/{model}:streamGenerateContent"));
        url.query_pairs_mut().append_pair("alt", "sse");
        url
    }

    fn models_url(&self, base: &Url) -> Url {
        let mut url = below(base, "/models");
        url.query_pairs_mut().append_pair("pageSize", "1000");
        url
    }

    fn key_header(&self, base: &Url, key: &str) -> (&'static str, String) {
        // Vertex AI takes tokens of the cloud's accounts, which a command prints.
        if base.host_str().is_some_and(|host| host.ends_with("aiplatform.googleapis.com")) {
            return ("authorization", format!("Bearer {key}"));
        }
        ("x-goog-api-key", key.to_owned())
    }

    fn body(&self, ask: Ask<'_>) -> Vec<u8> {
        let request = ask.request;
        bytes(&Body {
            system_instruction: Content { role: None, parts: vec![Part { text: &request.system }] },
            contents: request
                .messages
                .iter()
                .map(|message| Content {
                    role: Some(match message.role {
                        Role::User => "user",
                        Role::Assistant => "model",
                    }),
                    parts: message.parts.iter().map(|text| Part { text }).collect(),
                })
                .collect(),
            generation_config: Config {
                max_output_tokens: request.max_tokens,
                // The vendor takes one, but for its models that think warns against any but its own.
                temperature: request.temperature.filter(|_| !ask.settings.reasoning),
                // A signed number of 32 bits on the other side.
                seed: request.seed.map(|seed| seed & 0x7fff_ffff),
                response_mime_type: request.schema.as_ref().map(|_| "application/json"),
                response_json_schema: ask.schema().map(|(_, schema)| schema),
            },
        })
    }

    fn decode(&self, _event: &str, data: &str) -> Result<Vec<Piece>, String> {
        if data.trim() == "[DONE]" {
            return Ok(vec![Piece::End]);
        }
        Ok(pieces(&json(data)?))
    }

    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>> {
        // A server that ignores the wish for events sends the frames as one list.
        let frames = match body {
            Value::Array(frames) => frames.as_slice(),
            one => std::slice::from_ref(one),
        };
        let known = |frame: &Value| frame.get("candidates").is_some() || frame.get("promptFeedback").is_some();
        if !frames.iter().any(known) {
            return None;
        }
        Some(frames.iter().flat_map(pieces).chain([Piece::End]).collect())
    }

    fn models(&self, body: &Value) -> Vec<Listed> {
        let listed = body.get("models").and_then(Value::as_array).into_iter().flatten();
        listed
            .filter_map(|entry| {
                let name = entry.get("name")?.as_str()?;
                Some(Listed {
                    name: name.strip_prefix("models/").unwrap_or(name).to_owned(),
                    context: entry.get("inputTokenLimit").and_then(Value::as_u64),
                    trained: None,
                })
            })
            .collect()
    }
}

fn pieces(value: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    for candidate in value.get("candidates").and_then(Value::as_array).into_iter().flatten() {
        if candidate.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
            continue;
        }
        for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
            if part.get("thought").and_then(Value::as_bool) == Some(true) {
                pieces.push(Piece::Thought(text(part, "text").len()));
            } else if !text(part, "text").is_empty() {
                pieces.push(Piece::Text(text(part, "text")));
            }
        }
        if let Some(reason) = candidate.get("finishReason").and_then(Value::as_str) {
            pieces.push(Piece::Finish(finish(reason)));
        }
    }
    if value.pointer("/promptFeedback/blockReason").is_some() {
        pieces.push(Piece::Finish(FinishReason::Refused));
    }
    if let Some(usage) = value.get("usageMetadata").filter(|usage| usage.is_object()) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        // `promptTokenCount` includes what was read from the cache; thoughts are paid for like the answer.
        pieces.push(Piece::Usage(Usage {
            input_tokens: count("promptTokenCount").unwrap_or(0),
            output_tokens: count("candidatesTokenCount").unwrap_or(0) + count("thoughtsTokenCount").unwrap_or(0),
            cached_tokens: count("cachedContentTokenCount").unwrap_or(0),
            reported: count("promptTokenCount").is_some(),
        }));
    }
    pieces
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => FinishReason::Refused,
        other => FinishReason::Other(other.to_owned()),
    }
}
