//! OpenAI chat completions, as spoken by OpenAI, Azure, vLLM, llama.cpp, Ollama and others.
//! <https://platform.openai.com/docs/api-reference/chat>

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::FinishReason;
use super::schema::Schema;
use super::wire::{Ask, Part, Piece, Wire, bearer, below, bytes, json};
use crate::domain::diagnosis::Usage;

pub(super) struct OpenAi;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<BodyMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct BodyMessage<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Schema,
}

impl Wire for OpenAi {
    fn default_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn url(&self, base: &Url, _model: &str) -> Url {
        below(base, "/chat/completions")
    }

    fn key_header(&self, base: &Url, key: &str) -> (&'static str, String) {
        bearer(base, key)
    }

    fn body(&self, ask: Ask<'_>) -> Vec<u8> {
        let Ask { request, vendor, .. } = ask;
        let mut messages = vec![BodyMessage { role: "system", content: Content::Text(&request.system) }];
        messages.extend(request.messages.iter().map(|message| BodyMessage {
            role: message.role.word(),
            content: match message.parts.as_slice() {
                [one] => Content::Text(one),
                parts => Content::Parts(parts.iter().map(|text| Part { r#type: "text", text }).collect()),
            },
        }));
        bytes(&Body {
            model: &ask.settings.model,
            messages,
            response_format: ask.schema().map(|(name, schema)| ResponseFormat {
                r#type: "json_schema",
                json_schema: JsonSchema { name, strict: true, schema },
            }),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            // The vendor's reasoning models know only the new name and only their own temperature; the other servers
            // know the old name.
            max_tokens: (!vendor).then_some(request.max_tokens),
            max_completion_tokens: vendor.then_some(request.max_tokens),
            temperature: ask.temperature(),
            seed: request.seed,
        })
    }

    fn decode(&self, _event: &str, data: &str) -> Result<Vec<Piece>, String> {
        if data.trim() == "[DONE]" {
            return Ok(vec![Piece::End]);
        }
        Ok(pieces(&json(data)?))
    }

    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>> {
        body.get("choices")?.as_array()?;
        let mut pieces = pieces(body);
        pieces.push(Piece::End);
        Some(pieces)
    }
}

/// Reads a chunk or a whole completion: they differ in `delta` and `message`.
fn pieces(value: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for choice in value.get("choices").and_then(Value::as_array).into_iter().flatten() {
        // Only the first of several choices is followed.
        if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
            continue;
        }
        let delta = choice.get("delta").or_else(|| choice.get("message"));
        let text = |name: &str| delta.and_then(|delta| delta.get(name)).and_then(Value::as_str).unwrap_or_default();
        if !text("content").is_empty() {
            pieces.push(Piece::Text(text("content").to_owned()));
        }
        let thought = text("reasoning_content").len().max(text("reasoning").len());
        if thought > 0 {
            pieces.push(Piece::Thought(thought));
        }
        if !text("refusal").is_empty() {
            pieces.push(Piece::Text(text("refusal").to_owned()));
            pieces.push(Piece::Finish(FinishReason::Refused));
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            pieces.push(Piece::Finish(match reason {
                "stop" | "eos" => FinishReason::Stop,
                "length" => FinishReason::Length,
                "content_filter" => FinishReason::Refused,
                other => FinishReason::Other(other.to_owned()),
            }));
        }
    }
    if let Some(usage) = value.get("usage").filter(|usage| usage.is_object()) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        // `prompt_tokens` includes what was read from the cache.
        pieces.push(Piece::Usage(Usage {
            input_tokens: count("prompt_tokens").unwrap_or(0),
            output_tokens: count("completion_tokens").unwrap_or(0),
            cached_tokens: usage.pointer("/prompt_tokens_details/cached_tokens").and_then(Value::as_u64).unwrap_or(0),
            reported: count("prompt_tokens").is_some(),
        }));
    }
    pieces
}
