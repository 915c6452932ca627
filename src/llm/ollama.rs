//! Ollama's own format: one JSON object a line. <https://docs.ollama.com/api/chat>
//!
//! Beside the compatible formats it has the size of the context: left to itself, the server cuts a longer prompt
//! without a word.

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::FinishReason;
use super::schema::Schema;
use super::wire::{Ask, Listed, Piece, Wire, beside, bytes, json};
use crate::domain::diagnosis::Usage;

pub(super) struct Ollama;

/// The context is asked for in steps: another size makes the server load the model again.
const CONTEXT_STEP: u64 = 4_096;
/// Room for instructions and the frame around the messages, in tokens.
const FRAME: u64 = 2_048;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<BodyMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Schema>,
    stream: bool,
    options: Options,
}

#[derive(Serialize)]
struct BodyMessage {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Options {
    num_ctx: u64,
    num_predict: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl Wire for Ollama {
    fn default_url(&self) -> &'static str {
        "http://127.0.0.1:11434"
    }

    fn url(&self, base: &Url, _model: &str) -> Url {
        // People have the URL of the compatible format already.
        beside(base, "/api/chat")
    }

    fn models_url(&self, base: &Url) -> Url {
        beside(base, "/api/tags")
    }

    fn key_header(&self, _base: &Url, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn body(&self, ask: Ask<'_>) -> Vec<u8> {
        let request = ask.request;
        let mut messages = vec![BodyMessage { role: "system", content: request.system.to_string() }];
        messages.extend(request.messages.iter().map(|message| BodyMessage {
            role: message.role.word(),
            content: message.parts.iter().map(crate::domain::Outgoing::as_str).collect::<Vec<_>>().join("\n\n"),
        }));
        bytes(&Body {
            model: &ask.settings.model,
            messages,
            // It makes a grammar of the shape, in which lists have bounds.
            format: request.schema.as_ref().map(|(_, schema)| schema),
            stream: true,
            options: Options {
                num_ctx: context(ask),
                num_predict: request.max_tokens,
                temperature: ask.temperature(),
                seed: request.seed,
            },
        })
    }

    fn decode(&self, _event: &str, data: &str) -> Result<Vec<Piece>, String> {
        Ok(pieces(&json(data)?))
    }

    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>> {
        body.get("message")?.as_object()?;
        Some(pieces(body))
    }

    fn models(&self, body: &Value) -> Vec<Listed> {
        let listed = body.get("models").and_then(Value::as_array).into_iter().flatten();
        let name = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
        listed.filter_map(name).map(|name| Listed { name, context: None, trained: None }).collect()
    }
}

/// Tokens of context to ask for: the same for every request of the usual size.
fn context(ask: Ask<'_>) -> u64 {
    // Half as many tokens again as we count, for a model of unknown tokens; an answer that comes back to be mended.
    let usual = ask.settings.pack_tokens as u64 * 3 / 2 + u64::from(ask.settings.answer_tokens) * 2;
    // Logs have 2.4 bytes a token.
    let sent = ask.request.texts().map(|text| text.len() as u64).sum::<u64>() * 5 / 12;
    let needed = usual.max(sent + u64::from(ask.request.max_tokens)) + FRAME;
    needed.div_ceil(CONTEXT_STEP) * CONTEXT_STEP
}

fn pieces(value: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if !text("/message/content").is_empty() {
        pieces.push(Piece::Text(text("/message/content").to_owned()));
    }
    // The second is the name in the compatible format, which servers in Ollama's place use here too.
    let thought = text("/message/thinking").len().max(text("/message/reasoning_content").len());
    if thought > 0 {
        pieces.push(Piece::Thought(thought));
    }
    if value.get("done").and_then(Value::as_bool) == Some(true) {
        let count = |name: &str| value.get(name).and_then(Value::as_u64);
        pieces.push(Piece::Usage(Usage {
            input_tokens: count("prompt_eval_count").unwrap_or(0),
            output_tokens: count("eval_count").unwrap_or(0),
            cached_tokens: 0,
            reported: count("prompt_eval_count").is_some(),
        }));
        pieces.push(Piece::Finish(match text("/done_reason") {
            "" | "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            other => FinishReason::Other(other.to_owned()),
        }));
        pieces.push(Piece::End);
    }
    pieces
}
