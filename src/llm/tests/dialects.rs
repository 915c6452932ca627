//! What the servers of each protocol send, as far as tests need it.

use serde_json::{Value, json};

use crate::domain::settings::Protocol;

/// One protocol, from the server's side.
#[derive(Debug, Clone, Copy)]
pub(in crate::llm) struct Dialect {
    pub(in crate::llm) protocol: Protocol,
    /// What follows the server's address in the settings.
    pub(in crate::llm) base: &'static str,
    /// Where the request must arrive.
    pub(in crate::llm) path: &'static str,
    /// The header that must carry the key.
    pub(in crate::llm) key: (&'static str, &'static str),
    pub(in crate::llm) content_type: &'static str,
    /// A comment or an empty line, which keeps a connection open and says nothing.
    pub(in crate::llm) heartbeat: &'static str,
    text: fn(&str) -> Value,
    thought: fn() -> Value,
    /// What comes before and after the text; the usage says 20 of which 16 cached, and 3.
    before: fn() -> Vec<Value>,
    after: fn() -> Vec<Value>,
    /// The terminal frame that is no JSON.
    done: &'static str,
    whole_json: fn(&str) -> Value,
}

pub(in crate::llm) const CHAT: Dialect = Dialect {
    protocol: Protocol::OpenaiChat,
    base: "/v1",
    path: "/v1/chat/completions",
    key: ("authorization", "Bearer sk-secret"),
    content_type: "text/event-stream",
    heartbeat: ": ping\n\n",
    text: |text| json!({"choices": [{"index": 0, "delta": {"content": text}}]}),
    thought: || json!({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
    before: || vec![json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]})],
    after: || {
        vec![
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 16}}}),
        ]
    },
    done: "data: [DONE]\n\n",
    whole_json: |text| json!({"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "length"}]}),
};

const RESPONSES: Dialect = Dialect {
    protocol: Protocol::OpenaiResponses,
    path: "/v1/responses",
    text: |text| json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": text}),
    thought: || json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"}),
    before: || {
        vec![
            json!({"type": "response.created", "response": {"status": "in_progress", "error": null, "usage": null}}),
            json!({"type": "response.output_item.added", "item": {"type": "message", "content": []}}),
        ]
    },
    after: || {
        vec![
            json!({"type": "response.output_text.done", "text": "all of it once more"}),
            json!({"type": "response.completed", "response": {"status": "completed", "error": null, "incomplete_details": null,
                "usage": {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 16}, "output_tokens": 3}}}),
        ]
    },
    done: "",
    whole_json: |text| {
        json!({"status": "incomplete", "error": null, "incomplete_details": {"reason": "max_output_tokens"},
            "output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text", "text": text}]}]})
    },
    ..CHAT
};

pub(in crate::llm) const ANTHROPIC: Dialect = Dialect {
    protocol: Protocol::Anthropic,
    path: "/v1/messages",
    key: ("x-api-key", "sk-secret"),
    heartbeat: "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    text: |text| json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}}),
    thought: || json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
    before: || {
        vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 4, "cache_read_input_tokens": 16, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        ]
    },
    after: || {
        vec![
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
            json!({"type": "message_stop"}),
        ]
    },
    done: "",
    whole_json: |text| json!({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}], "stop_reason": "max_tokens"}),
    ..CHAT
};

const GEMINI: Dialect = Dialect {
    protocol: Protocol::Gemini,
    base: "/v1beta",
    path: "/v1beta/models/tiny:streamGenerateContent",
    key: ("x-goog-api-key", "sk-secret"),
    text: |text| json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}]}),
    thought: || json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}], "role": "model"}, "index": 0}]}),
    before: || {
        vec![
            json!({"candidates": [{"content": {"parts": [{"thoughtSignature": "x"}]}}], "usageMetadata": {"promptTokenCount": 20}}),
        ]
    },
    after: || {
        vec![json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 1, "thoughtsTokenCount": 2, "cachedContentTokenCount": 16}})]
    },
    done: "",
    whole_json: |text| json!([{"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "MAX_TOKENS"}]}]),
    ..CHAT
};

const OLLAMA: Dialect = Dialect {
    protocol: Protocol::Ollama,
    base: "/v1",
    path: "/api/chat",
    content_type: "application/x-ndjson",
    heartbeat: "\n",
    text: |text| json!({"message": {"role": "assistant", "content": text}, "done": false}),
    thought: || json!({"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": false}),
    before: Vec::new,
    after: || {
        vec![
            json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop", "prompt_eval_count": 20, "eval_count": 3}),
        ]
    },
    done: "",
    whole_json: |text| json!({"message": {"content": text}, "done": true, "done_reason": "length"}),
    ..CHAT
};

/// All protocols.
pub(in crate::llm) const ALL: [Dialect; 5] = [CHAT, RESPONSES, ANTHROPIC, GEMINI, OLLAMA];

impl Dialect {
    pub(in crate::llm) fn is_events(&self) -> bool {
        self.content_type == "text/event-stream"
    }

    /// A frame with this in it.
    pub(in crate::llm) fn frame(&self, value: &Value) -> String {
        match (self.is_events(), value.get("type").and_then(Value::as_str)) {
            (false, _) => format!("{value}\n"),
            (true, Some(event)) => format!("event: {event}\ndata: {value}\n\n"),
            (true, None) => format!("data: {value}\n\n"),
        }
    }

    /// A frame with more of the answer.
    pub(in crate::llm) fn text(&self, text: &str) -> String {
        self.frame(&(self.text)(text))
    }

    /// A frame that shows that the model thinks.
    pub(in crate::llm) fn thought(&self) -> String {
        self.frame(&(self.thought)())
    }

    /// The beginning of an answer, up to this text.
    pub(in crate::llm) fn begin(&self, text: &str) -> String {
        (self.before)().iter().map(|value| self.frame(value)).chain([self.text(text)]).collect()
    }

    /// The end of an answer.
    pub(in crate::llm) fn end(&self) -> String {
        (self.after)().iter().map(|value| self.frame(value)).chain([self.done.to_owned()]).collect()
    }

    /// A whole answer in these pieces.
    pub(in crate::llm) fn whole(&self, pieces: &[&str]) -> String {
        let before = (self.before)().iter().map(|value| self.frame(value)).collect::<String>();
        let text = pieces.iter().map(|piece| self.text(piece)).collect::<String>();
        [before, self.thought(), text, self.end()].concat()
    }

    /// The answer of a server that does not stream, cut at its limit.
    pub(in crate::llm) fn whole_json(&self, text: &str) -> Value {
        (self.whole_json)(text)
    }
}
