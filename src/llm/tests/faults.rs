//! Faults of servers and of what stands between: the state each must give, and that no text is lost.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::*;

#[tokio::test]
async fn a_clean_close_before_the_end_is_an_error_that_keeps_the_text() {
    for dialect in ALL {
        let cut = [dialect.begin("half "), dialect.text("an ans")].concat();
        // At the end of a frame, and inside the next one.
        for tail in ["", "data: {\"choi", "{\"mess"] {
            let (_server, client) = answering(&dialect, 200, dialect.content_type, format!("{cut}{tail}")).await;
            let (text, error) = text_and_error(&client).await;
            assert_eq!(text, "half an ans", "{dialect:?}");
            assert!(matches!(error, Some(LlmErrorKind::Incomplete { received: 11, .. })), "{dialect:?} {error:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_anything_in_it_is_no_answer() {
    for dialect in ALL {
        for body in ["", "\n\n", ": ping\n\n"] {
            let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
            let error = run(&client).await.1;
            assert!(matches!(error, Some(LlmErrorKind::Incomplete { received: 0, .. })), "{dialect:?} {error:?}");
        }
    }
}

#[tokio::test]
async fn an_error_inside_a_good_response_is_an_error() {
    for dialect in ALL {
        let error = match dialect.protocol {
            Protocol::OpenaiChat => json!({"error": {"message": "slot unavailable"}}),
            Protocol::OpenaiResponses => {
                json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "slot unavailable"}}})
            }
            Protocol::Anthropic => {
                json!({"type": "error", "error": {"type": "api_error", "message": "slot unavailable"}})
            }
            Protocol::Gemini => json!({"error": {"code": 500, "message": "slot unavailable", "status": "INTERNAL"}}),
            Protocol::Ollama => json!({"error": "slot unavailable"}),
        };
        let expected = Some(LlmErrorKind::InBand { what: "slot unavailable".into() });
        let body = [dialect.begin("x"), dialect.frame(&error), dialect.text("y")].concat();
        let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
        assert_eq!(text_and_error(&client).await, ("x".into(), expected.clone()), "{dialect:?}");
        // As a bare line among events, and instead of a stream.
        let body = format!("{}{error}\n", dialect.begin("x"));
        let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
        assert_eq!(text_and_error(&client).await, ("x".into(), expected.clone()), "{dialect:?}");
        let (_server, client) = answering(&dialect, 200, "application/json", error.to_string()).await;
        assert_eq!(text_and_error(&client).await, (String::new(), expected), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_killed_server_leaves_an_incomplete_answer() {
    for dialect in ALL {
        for reset in [false, true] {
            // A reset overtakes what was sent before it: the server waits until the text has been read.
            let (tear_down, told) = tokio::sync::oneshot::channel::<()>();
            let (client, task) = raw(&dialect, LONG, async move |mut stream| {
                stream.write_all(chunked(&dialect, &dialect.begin("half")).as_bytes()).await.unwrap();
                told.await.unwrap();
                if reset {
                    stream.set_zero_linger().unwrap();
                }
            })
            .await;
            let mut tear_down = Some(tear_down);
            let mut stream = client.stream(&request());
            let mut seen = String::new();
            let error = loop {
                match stream.next().await.unwrap() {
                    Ok(StreamEvent::Text(text)) => {
                        seen.push_str(&text);
                        tear_down.take().unwrap().send(()).unwrap();
                    }
                    Ok(_) => {}
                    Err(error) => break error.kind,
                }
            };
            task.await.unwrap();
            assert_eq!(seen, "half", "{dialect:?}");
            assert!(matches!(error, LlmErrorKind::Incomplete { received: 4, .. }), "{dialect:?} {error:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_on_the_request_cannot_be_reached() {
    for dialect in ALL {
        let (client, task) = raw(&dialect, LONG, async |stream| drop(stream)).await;
        assert!(matches!(run(&client).await.1, Some(LlmErrorKind::Unreachable { .. })), "{dialect:?}");
        task.await.unwrap();
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for dialect in ALL {
        let kind = async |status: u16, body: &str| {
            let (_server, client) = answering(&dialect, status, "application/json", body).await;
            run(&client).await.1.unwrap()
        };
        let message = |text: &str| match dialect.protocol {
            Protocol::Ollama => json!({"error": text}).to_string(),
            Protocol::Anthropic => json!({"type": "error", "error": {"type": "x", "message": text}}).to_string(),
            _ => json!({"error": {"message": text, "code": "x"}}).to_string(),
        };
        let after = Some(Duration::from_secs(7));
        let what = |text: &str| text.into();
        for status in [401, 403] {
            let expected = LlmErrorKind::Unauthorized { status, what: what("bad key") };
            assert_eq!(kind(status, &message("bad key")).await, expected);
        }
        assert!(matches!(kind(404, &message("no")).await, LlmErrorKind::ModelNotFound { .. }));
        let unknown = kind(400, &message("The model `x` does not exist")).await;
        assert!(matches!(unknown, LlmErrorKind::ModelNotFound { .. }));
        assert!(matches!(kind(400, &message("bad schema")).await, LlmErrorKind::Rejected { status: 400, .. }));
        let expected = LlmErrorKind::RateLimited { retry_after: after, what: what("slow down") };
        assert_eq!(kind(429, &message("slow down")).await, expected);
        for status in [500, 502, 503, 529] {
            let expected = LlmErrorKind::Server { status, retry_after: after, what: what("overloaded") };
            assert_eq!(kind(status, &message("overloaded")).await, expected);
        }
        let page = kind(502, "<html>bad gateway").await;
        assert!(page.to_string().contains("a web page"), "{page}");
    }
}

#[tokio::test]
async fn a_pause_that_nobody_asked_for_is_none() {
    let (_server, client) = answering_with(&CHAT, ResponseTemplate::new(429)).await;
    let expected = LlmErrorKind::RateLimited { retry_after: None, what: "an empty body".into() };
    assert_eq!(run(&client).await.1, Some(expected));
}

#[tokio::test]
async fn an_overflow_has_its_figures() {
    for body in [
        json!({"error": {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds the available context size", "n_prompt_tokens": 9001, "n_ctx": 8192}}),
        json!({"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."}}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9001 tokens > 8192 maximum"}}),
        json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9001) exceeds the maximum number of tokens allowed (8192)."}}),
    ] {
        for dialect in ALL {
            // As a refusal, and inside a good answer.
            for status in [400, 200] {
                let (_server, client) = answering(&dialect, status, "application/json", body.to_string()).await;
                match run(&client).await.1 {
                    Some(LlmErrorKind::ContextOverflow { tokens, limit, .. }) => {
                        assert_eq!((tokens, limit), (Some(9001), Some(8192)), "{body}");
                    }
                    other => panic!("{dialect:?} {other:?}"),
                }
            }
        }
    }
}

/// What is said to be odd about an answer that is not understood.
fn odd(error: Option<LlmErrorKind>) -> String {
    match error {
        Some(LlmErrorKind::NotUnderstood { what }) => what.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_the_api_is_said_to_be_so() {
    for dialect in ALL {
        let sse = dialect.content_type;
        for (status, kind, body, said) in [
            (200, "text/html", "<html>login", "a web page"),
            (200, sse, "<!doctype html>\n<html>login", "a web page"),
            (200, sse, "data: {broken\n\n", "not JSON"),
            (200, sse, "{broken}\n", "not JSON"),
            (200, "application/json", "{broken", "not JSON"),
            (200, "application/json", "{\"hello\":\"world\"}", "JSON of another kind"),
            (200, "application/json", "", "an empty body"),
            (302, "text/plain", "", "redirects"),
            (301, "text/html", "<html>", "redirects"),
        ] {
            let (_server, client) = answering(&dialect, status, kind, body).await;
            let error = run(&client).await.1;
            assert!(odd(error.clone()).contains(said), "{kind} {body} {dialect:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_encoding_is_said_after_the_text_before_it() {
    for dialect in ALL {
        let utf16: Vec<u8> = dialect.whole(&["x"]).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [vec![0xff, 0xfe], utf16.clone()].concat();
        for body in [utf16, marked] {
            for kind in [dialect.content_type, "application/json"] {
                let (_server, client) = answering(&dialect, 200, kind, body.clone()).await;
                let said = odd(run(&client).await.1);
                assert!(said.contains("UTF-8"), "{dialect:?}: {said}");
            }
        }
        let latin1 = dialect.text("caf\u{e9}").replace('\u{e9}', "\u{1}").into_bytes();
        let latin1: Vec<u8> = latin1.into_iter().map(|byte| if byte == 1 { 0xe9 } else { byte }).collect();
        let body = [dialect.begin("kept").into_bytes(), latin1, dialect.end().into_bytes()].concat();
        let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
        let (text, error) = text_and_error(&client).await;
        assert_eq!(text, "kept", "{dialect:?}");
        assert!(odd(error).contains("UTF-8"));
    }
}

#[tokio::test]
async fn a_compression_that_is_none_is_no_answer() {
    for dialect in ALL {
        let template = ResponseTemplate::new(200)
            .set_body_raw(dialect.whole(&["x"]), dialect.content_type)
            .insert_header("content-encoding", "gzip");
        let (_server, client) = answering_with(&dialect, template).await;
        let said = odd(run(&client).await.1);
        assert!(said.contains("gzip"), "{dialect:?}: {said}");
    }
}

#[tokio::test]
async fn garbage_is_never_an_answer() {
    // A fixed sequence that looks like noise: a linear congruential generator.
    let mut state = 12_345_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(next).collect()
    };
    for dialect in ALL {
        for _ in 0..5 {
            let body = [dialect.begin("kept").into_bytes(), noise(2_000)].concat();
            let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
            let (text, error) = text_and_error(&client).await;
            assert_eq!(text, "kept", "{dialect:?}");
            let kind = error.expect("an error");
            assert!(matches!(kind, LlmErrorKind::NotUnderstood { .. } | LlmErrorKind::Incomplete { .. }), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_frame_of_an_unknown_kind_is_passed_over() {
    for dialect in ALL {
        let unknown: [Value; 4] = [
            json!({"type": "new.kind", "x": 1}),
            json!({}),
            json!([]),
            json!({"choices": "?", "candidates": 1, "message": 2}),
        ];
        let frames: String = unknown.iter().map(|frame| dialect.frame(frame)).collect();
        let body = [dialect.begin("a"), frames, dialect.text("b"), dialect.end()].concat();
        let (_server, client) = answering(&dialect, 200, dialect.content_type, body).await;
        assert_eq!(text_and_error(&client).await, ("ab".into(), None), "{dialect:?}");
    }
}
