//! What an end point costs on our side: a prepared request, its first byte out, a cancelled stream, and frames.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use divan::Bencher;
use futures_util::StreamExt as _;
use stanch::domain::Outgoing;
use stanch::domain::settings::{EndpointSettings, Protocol, SecretRef, Secrets};
use stanch::llm::{ChatRequest, LlmClient, Message, Role, StreamEvent};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn fetch<'a>(
        &'a self,
        _: &'a SecretRef,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Err("there is none".into()) })
    }
}

/// A server on the loopback interface that says when the first byte of a request came, begins an answer, and says when
/// the connection was closed.
fn server() -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("a bound address"));
    let (seen, moments) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || serve(stream, &seen));
        }
    });
    (url, moments)
}

fn serve(mut stream: TcpStream, seen: &Sender<Instant>) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let mut buffer = vec![0; 1 << 16];
    let mut begun = false;
    let mut last = Vec::new();
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if !begun {
            begun = true;
            let _ = seen.send(Instant::now());
        }
        last.extend_from_slice(&buffer[..n]);
        if last.ends_with(b"}") {
            let _ = stream.write_all(format!("{head}{first}").as_bytes());
            last.clear();
        }
    }
    let _ = seen.send(Instant::now());
}

/// A request with some 8,000 tokens of evidence.
fn request() -> ChatRequest {
    let line: &'static str = "M3 pool_in_use{pool=\"pg-main\"} base 4-9 now 50 since 14:02:20\n";
    let evidence: &'static str = Box::leak(line.repeat(400).into_boxed_str());
    ChatRequest {
        system: "You are terse.".into(),
        messages: vec![Message { role: Role::User, parts: vec![Outgoing::fixed(evidence), "why?".into()] }],
        schema: None,
        max_tokens: 100,
        temperature: None,
        seed: None,
    }
}

fn client(url: &str) -> LlmClient {
    let settings =
        EndpointSettings { url: Some(url.to_owned()), ..EndpointSettings::new("e", Protocol::OpenaiChat, "m") };
    LlmClient::new(settings, Arc::new(NoSecrets)).expect("settings that work")
}

#[divan::bench]
fn prepare(bencher: Bencher<'_, '_>) {
    let (client, request) = (client("http://127.0.0.1:1/v1"), request());
    bencher.bench(|| client.prepare(&request));
}

/// From the request to the server's first byte of it, a new connection included.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn first_byte_out(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().expect("a runtime");
    let (url, moments) = server();
    let request = request();
    bencher.with_inputs(|| client(&url)).bench_local_values(|client| {
        runtime.block_on(async {
            let mut stream = client.stream(&request);
            let _ = stream.next().await;
        });
        // The byte came, and the connection was closed.
        let _ = (moments.recv(), moments.recv());
    });
}

/// From the drop of a stream in the middle of an answer to the server's end of the connection.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn cancel(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().expect("a runtime");
    let (url, moments) = server();
    let request = request();
    let begin = || {
        let client = client(&url);
        let stream = runtime.block_on(async {
            let mut stream = client.stream(&request);
            while !matches!(stream.next().await, Some(Ok(StreamEvent::Text(_)))) {}
            stream
        });
        let _ = moments.recv();
        (client, stream)
    };
    bencher.with_inputs(begin).bench_local_values(|(client, stream)| {
        drop(stream);
        drop(client);
        moments.recv()
    });
}
