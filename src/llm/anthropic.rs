//! Anthropic messages. <https://docs.anthropic.com/en/api/messages-streaming>
//!
//! The vendor is asked for a shape by the option that is there for it. Other servers know that option only in their
//! newest versions; they are asked for it as the input of a tool that must be called.

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::FinishReason;
use super::schema::Schema;
use super::wire::{Ask, Part, Piece, Wire, below, bytes, json};
use crate::domain::diagnosis::Usage;

pub(super) struct Anthropic;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    system: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tool<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    messages: Vec<BodyMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'static str,
    input_schema: Schema,
}

#[derive(Serialize)]
struct ToolChoice<'a> {
    r#type: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct OutputConfig {
    format: Format,
}

#[derive(Serialize)]
struct Format {
    r#type: &'static str,
    schema: Schema,
}

#[derive(Serialize)]
struct BodyMessage<'a> {
    role: &'static str,
    content: Vec<Part<'a>>,
}

impl Wire for Anthropic {
    fn default_url(&self) -> &'static str {
        "https://api.anthropic.com/v1"
    }

    fn url(&self, base: &Url, _model: &str) -> Url {
        below(base, "/messages")
    }

    fn models_url(&self, base: &Url) -> Url {
        let mut url = below(base, "/models");
        url.query_pairs_mut().append_pair("limit", "1000");
        url
    }

    fn key_header(&self, _base: &Url, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn body(&self, ask: Ask<'_>) -> Vec<u8> {
        let request = ask.request;
        let (by_format, by_tool) = match ask.schema() {
            Some((_, schema)) if ask.vendor => (Some(schema), None),
            by_tool => (None, by_tool),
        };
        let tool = by_tool.as_ref().map(|(name, _)| *name);
        bytes(&Body {
            model: &ask.settings.model,
            max_tokens: request.max_tokens,
            system: &request.system,
            tools: by_tool
                .map(|(name, schema)| [Tool { name, description: "Hands in the answer.", input_schema: schema }]),
            tool_choice: tool.map(|name| ToolChoice { r#type: "tool", name }),
            output_config: by_format.map(|schema| OutputConfig { format: Format { r#type: "json_schema", schema } }),
            messages: request
                .messages
                .iter()
                .map(|message| BodyMessage {
                    role: message.role.word(),
                    content: message.parts.iter().map(|text| Part { r#type: "text", text }).collect(),
                })
                .collect(),
            stream: true,
            temperature: ask.temperature(),
        })
    }

    fn decode(&self, event: &str, data: &str) -> Result<Vec<Piece>, String> {
        let value = json(data)?;
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(event);
        Ok(match kind {
            "message_start" => usage(value.pointer("/message/usage")),
            "content_block_delta" => {
                let delta = |name: &str| value.pointer(&format!("/delta/{name}")).and_then(Value::as_str);
                match (delta("text").or_else(|| delta("partial_json")), delta("thinking")) {
                    (Some(text), _) if !text.is_empty() => vec![Piece::Text(text.to_owned())],
                    (_, Some(thought)) => vec![Piece::Thought(thought.len())],
                    _ => Vec::new(),
                }
            }
            "message_delta" => {
                let mut pieces = usage(value.get("usage"));
                if let Some(reason) = value.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    pieces.push(Piece::Finish(finish(reason)));
                }
                pieces
            }
            "message_stop" => vec![Piece::End],
            _ => Vec::new(),
        })
    }

    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        for block in body.get("content")?.as_array()? {
            if let Some(text) = block.get("text").and_then(Value::as_str) {
                pieces.push(Piece::Text(text.to_owned()));
            } else if let Some(input) = block.get("input") {
                pieces.push(Piece::Text(input.to_string()));
            }
        }
        pieces.extend(usage(body.get("usage")));
        pieces.push(Piece::Finish(finish(body.get("stop_reason").and_then(Value::as_str).unwrap_or("end_turn"))));
        pieces.push(Piece::End);
        Some(pieces)
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "end_turn" | "stop_sequence" | "tool_use" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::Refused,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// `input_tokens` leaves out what was read from or written to the cache. The first frame has the input, the last the
/// output; figures that a frame leaves out stay as they were.
fn usage(value: Option<&Value>) -> Vec<Piece> {
    let Some(value) = value.filter(|value| value.is_object()) else { return Vec::new() };
    let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    let cached = count("cache_read_input_tokens");
    vec![Piece::Usage(Usage {
        input_tokens: count("input_tokens") + cached + count("cache_creation_input_tokens"),
        output_tokens: count("output_tokens"),
        cached_tokens: cached,
        reported: true,
    })]
}
