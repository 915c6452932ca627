//! What is learnt of end points from a real server: llama.cpp with a model of random weights, in the three formats that
//! it speaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use stanch::domain::settings::{EndpointSettings, Protocol};
use stanch::llm::{Blame, Endpoint, FinishReason, HealthState, Outcome, Shape, StreamEvent, Trial};

use crate::llm_real::{ask, llama};
use crate::program::Program;
use crate::secrets::NoSecrets;
use crate::servers::{Server, free_port};

const SPOKEN: [Protocol; 3] = [Protocol::OpenaiChat, Protocol::OpenaiResponses, Protocol::Anthropic];

fn endpoint(server: &Server, protocol: Protocol) -> Endpoint {
    let settings = EndpointSettings {
        url: Some(format!("{}/v1", server.url())),
        pack_tokens: 1_000,
        ..EndpointSettings::new("local", protocol, "tiny-random")
    };
    Endpoint::new(&settings, Arc::new(NoSecrets))
}

#[tokio::test]
async fn each_format_of_a_real_server_is_examined() {
    let server = llama(16_384).await;
    for protocol in SPOKEN {
        let endpoint = endpoint(&server, protocol);
        let client = endpoint.client().expect("settings that work");
        let probe = client.probe().await.expect("a list of models");
        assert_eq!((probe.has_model, probe.context), (Some(true), Some(8_192)), "half for each of two slots");
        let counted = client.count_sample().await.expect("an answer").expect("it has a tokenizer");
        assert!(counted > 500, "{protocol:?} {counted}");

        let streaming = client.try_out(Trial::Streaming).await;
        assert_eq!(streaming.streams(), Some(true), "{protocol:?} {streaming:?}");
        assert!(streaming.seen.usage.reported && streaming.seen.usage.input_tokens > 10);
        let shape = client.try_out(Trial::Schema).await;
        assert!(matches!(shape.seen.outcome, Outcome::Finished(_)), "{shape:?}");
        // The server enforces shapes in one of the three; in the others it takes them and does nothing.
        match protocol {
            Protocol::OpenaiChat => assert_eq!(shape.shape(), Shape::Enforced, "{}", shape.text),
            _ => assert!(matches!(shape.shape(), Shape::Ignored(_)), "{protocol:?} {}", shape.text),
        }
        assert!(endpoint.canary().await.is_ok(), "{protocol:?}");
        assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);
    }
}

#[tokio::test]
async fn a_saturated_server_is_said_to_be_saturated() {
    let server = llama(16_384).await;
    let endpoint = endpoint(&server, Protocol::OpenaiChat);
    assert!(endpoint.canary().await.is_ok());
    let idle = endpoint.load().await.expect("a page").expect("load");
    assert_eq!((idle.waiting, idle.server), (0, "llama.cpp"));
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);

    // Six streams for two slots: four of them wait, and nothing but the server's own page shows it.
    let streams = (0..6).map(|_| {
        let client = endpoint.client().expect("settings that work").clone();
        tokio::spawn(async move {
            let mut stream = client.stream(&ask("pool full", 4_000));
            while let Some(event) = stream.next().await {
                assert!(event.is_ok(), "{event:?}");
            }
        })
    });
    let streams: Vec<_> = streams.collect();
    let waiting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if let Ok(Some(load)) = endpoint.load().await
                && load.waiting > 0
            {
                return load;
            }
        }
    };
    let load = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("requests wait");
    let health = endpoint.health(Instant::now());
    assert_eq!((health.state, health.state.blame()), (HealthState::Saturated, Blame::EndPoint), "{load:?}");
    assert!(health.what.starts_with("end point saturated") && !health.advice.is_empty(), "{health:?}");
    streams.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_stream_of_responses_ends_with_its_cost() {
    let server = llama(16_384).await;
    let endpoint = endpoint(&server, Protocol::OpenaiResponses);
    let mut stream = endpoint.client().expect("settings that work").stream(&ask("evidence", 40));
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.expect("an event"));
    }
    assert!(matches!(events.last(), Some(StreamEvent::Finished(FinishReason::Stop | FinishReason::Length))));
    let cost = events.iter().find_map(|event| match event {
        StreamEvent::Usage(usage) => Some(usage.clone()),
        _ => None,
    });
    assert!(cost.is_some_and(|usage| usage.reported && usage.input_tokens > 10 && usage.output_tokens > 0));
}

#[tokio::test]
async fn doctor_says_what_an_end_point_can_do() {
    let server = llama(16_384).await;
    let program = Program::new();
    let url = server.url();
    let config = program.file(
        "doctor.toml",
        &format!(
            "[[llm.endpoint]]\nname = \"chat\"\nprotocol = \"openai-chat\"\nmodel = \"tiny-random\"\nurl = \"{url}/v1\"\n\
             [[llm.endpoint]]\nname = \"responses\"\nprotocol = \"openai-responses\"\nmodel = \"other\"\nurl = \"{url}/v1\"\n\
             [[llm.endpoint]]\nname = \"gone\"\nprotocol = \"ollama\"\nmodel = \"m\"\nurl = \"http://127.0.0.1:{}\"\n",
            free_port()
        ),
    );
    let said = program.run(&["--json", "--config", &config.display().to_string(), "doctor"]);
    assert_eq!(said.code, 3, "an end point is gone: {}", said.stdout);
    let report = said.document();
    let check = |name: &str| -> (&str, &str, &str) {
        let checks = report["checks"].as_array().expect("a list");
        let found = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"));
        let text = |key: &str| found[key].as_str().expect("a text");
        (text("status"), text("detail"), text("fix"))
    };
    let (status, detail, _) = check("llm chat");
    assert!(status == "ok" && detail.contains("may see production"), "{detail}");
    assert_eq!(check("llm chat schema").0, "ok");
    let (status, detail, _) = check("llm chat answer");
    assert!(status == "ok" && detail.contains("streams") && detail.contains("tokens sent"), "{detail}");
    let (status, _, fix) = check("llm chat context");
    assert!(status == "warn" && fix.contains("set pack_tokens = "), "{fix}");
    assert_eq!(check("llm chat load").0, "ok");
    let (status, detail, fix) = check("llm responses schema");
    assert!(status == "warn" && detail.contains("schema not enforced") && !fix.is_empty(), "{detail}");
    let (status, _, fix) = check("llm responses model");
    assert!(status == "warn" && fix.contains("tiny-random"), "{fix}");
    let (status, detail, _) = check("llm gone");
    assert!(status == "fail" && detail.contains("no connection"), "{detail}");
    let audit = program.json(&["audit", "list"]).to_string();
    assert!(audit.contains("llm_intent"), "what left stands in the ledger: {audit}");
}
