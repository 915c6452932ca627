//! OpenAI responses, as spoken by OpenAI, Azure, vLLM, llama.cpp and others.
//! <https://platform.openai.com/docs/api-reference/responses-streaming>

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::schema::Schema;
use super::wire::{Ask, Part, Piece, Wire, bearer, below, bytes, json};
use super::{FinishReason, Role};
use crate::domain::diagnosis::Usage;

pub(super) struct Responses;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    instructions: &'a str,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOptions<'a>>,
    stream: bool,
    /// Nothing of an incident is to be kept on the server.
    store: bool,
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

#[derive(Serialize)]
struct Item<'a> {
    r#type: &'static str,
    role: &'static str,
    content: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct TextOptions<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    name: &'a str,
    strict: bool,
    schema: Schema,
}

impl Wire for Responses {
    fn default_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn url(&self, base: &Url, _model: &str) -> Url {
        below(base, "/responses")
    }

    fn key_header(&self, base: &Url, key: &str) -> (&'static str, String) {
        bearer(base, key)
    }

    fn body(&self, ask: Ask<'_>) -> Vec<u8> {
        let request = ask.request;
        let item = |message: &'_ super::Message| {
            let (role, kind) = match message.role {
                Role::User => ("user", "input_text"),
                Role::Assistant => ("assistant", "output_text"),
            };
            (role, kind)
        };
        bytes(&Body {
            model: &ask.settings.model,
            instructions: &request.system,
            input: request
                .messages
                .iter()
                .map(|message| {
                    let (role, kind) = item(message);
                    let content = message.parts.iter().map(|text| Part { r#type: kind, text }).collect();
                    Item { r#type: "message", role, content }
                })
                .collect(),
            text: ask.schema().map(|(name, schema)| TextOptions {
                format: Format { r#type: "json_schema", name, strict: true, schema },
            }),
            stream: true,
            store: false,
            max_output_tokens: request.max_tokens,
            temperature: ask.temperature(),
        })
    }

    fn decode(&self, event: &str, data: &str) -> Result<Vec<Piece>, String> {
        // Some servers close with the terminal frame of the older protocol.
        if data.trim() == "[DONE]" {
            return Ok(vec![Piece::End]);
        }
        let value = json(data)?;
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(event);
        let delta = || value.get("delta").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match kind {
            "response.output_text.delta" => vec![Piece::Text(delta())],
            "response.refusal.delta" => vec![Piece::Text(delta()), Piece::Finish(FinishReason::Refused)],
            "response.completed" | "response.incomplete" => {
                let mut pieces = ending(value.get("response").unwrap_or(&Value::Null));
                pieces.push(Piece::End);
                pieces
            }
            "response.output_item.added"
                if value.pointer("/item/type").and_then(Value::as_str) == Some("reasoning") =>
            {
                vec![Piece::Thought(0)]
            }
            kind if kind.starts_with("response.reasoning") => vec![Piece::Thought(delta().len())],
            _ => Vec::new(),
        })
    }

    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let items = body.get("output")?.as_array()?;
        let parts = items.iter().filter_map(|item| item.get("content")?.as_array()).flatten();
        for part in parts {
            let text = |name: &str| part.get(name).and_then(Value::as_str);
            match text("type") {
                Some("output_text") => pieces.push(Piece::Text(text("text").unwrap_or_default().to_owned())),
                Some("refusal") => {
                    pieces.push(Piece::Text(text("refusal").unwrap_or_default().to_owned()));
                    pieces.push(Piece::Finish(FinishReason::Refused));
                }
                _ => {}
            }
        }
        pieces.extend(ending(body));
        pieces.push(Piece::End);
        Some(pieces)
    }
}

/// Cost and reason of a finished response.
fn ending(response: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
        // `input_tokens` includes what was read from the cache.
        pieces.push(Piece::Usage(Usage {
            input_tokens: count("/input_tokens").unwrap_or(0),
            output_tokens: count("/output_tokens").unwrap_or(0),
            cached_tokens: count("/input_tokens_details/cached_tokens").unwrap_or(0),
            reported: count("/input_tokens").is_some(),
        }));
    }
    let why = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
    pieces.push(Piece::Finish(match (response.get("status").and_then(Value::as_str), why) {
        (_, Some("max_output_tokens")) => FinishReason::Length,
        (_, Some("content_filter")) => FinishReason::Refused,
        (None | Some("completed"), None) => FinishReason::Stop,
        (_, Some(other)) | (Some(other), None) => FinishReason::Other(other.to_owned()),
    }));
    pieces
}
