//! Ways to a server: names, keys, headers, proxies, certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::domain::settings::{ClientCertificate, HeaderValue};

#[tokio::test]
async fn no_server_and_no_key_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(run(&client(settings(&url))).await.1, Some(LlmErrorKind::Unreachable { .. })));
    let without = EndpointSettings { key: Some(SecretRef::Env("STANCH_NO_KEY".into())), ..settings(&url) };
    let error = run(&client(without)).await.1.unwrap().to_string();
    assert!(error.contains("STANCH_NO_KEY is not set"), "{error}");
    let wrong = EndpointSettings { url: Some("localhost:8080".into()), ..settings(&url) };
    let error = LlmClient::new(wrong, Arc::new(Plain)).unwrap_err().to_string();
    assert!(error.contains("http://"), "{error}");
}

#[tokio::test]
async fn a_probe_finds_the_model_in_each_protocol() {
    for dialect in ALL {
        let (at, models) = match dialect.protocol {
            Protocol::OpenaiChat | Protocol::OpenaiResponses => {
                ("/v1/models", json!({"data": [{"id": "tiny", "meta": {"n_ctx": 4096}}, {"id": "big"}]}))
            }
            Protocol::Anthropic => {
                ("/v1/models", json!({"data": [{"id": "tiny", "max_input_tokens": 4096}, {"id": "big"}]}))
            }
            Protocol::Gemini => (
                "/v1beta/models",
                json!({"models": [{"name": "models/tiny", "inputTokenLimit": 4096}, {"name": "models/big"}]}),
            ),
            Protocol::Ollama => ("/api/tags", json!({"models": [{"name": "tiny:latest"}, {"name": "big:7b"}]})),
        };
        let server = MockServer::start().await;
        let (name, value) = dialect.key;
        Mock::given(method("GET"))
            .and(path(at))
            .and(header(name, value))
            .respond_with(ResponseTemplate::new(200).set_body_json(models))
            .mount(&server)
            .await;
        let probe = client(settings_for(&dialect, &server.uri())).probe().await.unwrap();
        assert_eq!((probe.models.len(), probe.has_model), (2, Some(true)), "{dialect:?}");
        let other = EndpointSettings { model: "none".into(), ..settings_for(&dialect, &server.uri()) };
        assert_eq!(client(other).probe().await.unwrap().has_model, Some(false), "{dialect:?}");
        if dialect.protocol != Protocol::Ollama {
            assert_eq!(probe.context, Some(4096), "{dialect:?}");
        }
    }
}

#[test]
fn vendors_gateways_and_azure_have_their_urls_and_headers() {
    let url = |protocol, url: Option<&str>, model: &str| {
        let settings = EndpointSettings { url: url.map(str::to_owned), ..EndpointSettings::new("e", protocol, model) };
        client(settings).prepare(&request()).url
    };
    for (protocol, base, model, expected) in [
        (Protocol::OpenaiChat, None, "m", "https://api.openai.com/v1/chat/completions"),
        (Protocol::OpenaiResponses, None, "m", "https://api.openai.com/v1/responses"),
        (Protocol::Anthropic, None, "m", "https://api.anthropic.com/v1/messages"),
        (
            Protocol::Gemini,
            None,
            "models/g",
            "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse",
        ),
        (
            Protocol::Gemini,
            Some("https://eu.example/v1/projects/p/locations/l/publishers/google/"),
            "g",
            "https://eu.example/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse",
        ),
        (Protocol::Ollama, None, "m", "http://127.0.0.1:11434/api/chat"),
        (Protocol::Ollama, Some("http://box:1/v1"), "m", "http://box:1/api/chat"),
        (Protocol::Ollama, Some("http://box:1/llm/api/"), "m", "http://box:1/llm/api/chat"),
        (
            Protocol::OpenaiResponses,
            Some("https://x.openai.azure.com/openai/v1"),
            "m",
            "https://x.openai.azure.com/openai/v1/responses",
        ),
        (
            Protocol::OpenaiChat,
            Some("https://u:p@x.openai.azure.com/openai/deployments/d?api-version=2024-10-21&sig=s3cret"),
            "m",
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21&sig=hidden",
        ),
    ] {
        assert_eq!(url(protocol, base, model), expected, "as it is written down, without credentials");
    }
    let azure = reqwest::Url::parse("https://x.openai.azure.com/openai/v1").unwrap();
    assert_eq!(wire::bearer(&azure, "k"), ("api-key", "k".to_owned()));
    let gemini = wire::wire(Protocol::Gemini);
    let vertex = reqwest::Url::parse("https://europe-west4-aiplatform.googleapis.com/v1/projects/p").unwrap();
    assert_eq!(gemini.key_header(&vertex, "k"), ("authorization", "Bearer k".to_owned()));
}

#[tokio::test]
async fn headers_of_the_settings_win_and_secrets_are_fetched() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Token t"))
        .and(header("x-team", "shop"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(CHAT.whole(&["ok"]), CHAT.content_type))
        .mount(&server)
        .await;
    let headers = BTreeMap::from([
        ("Authorization".to_owned(), HeaderValue::Secret(SecretRef::Value("Token t".into()))),
        ("x-team".to_owned(), HeaderValue::Plain("shop".into())),
    ]);
    let settings = EndpointSettings { headers, ..settings(&server.uri()) };
    assert_eq!(text_and_error(&client(settings.clone())).await, ("ok".into(), None));
    for (name, value) in [("no header", "x"), ("x-odd", "a\nb")] {
        let headers = BTreeMap::from([(name.to_owned(), HeaderValue::Plain(value.to_owned()))]);
        let error = run(&client(EndpointSettings { headers, ..settings.clone() })).await.1;
        assert!(matches!(error, Some(LlmErrorKind::Settings { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn a_proxy_of_the_settings_is_used() {
    let proxy = MockServer::start().await;
    Mock::given(path(CHAT.path))
        .and(header("host", "llm.example"))
        .and(header("proxy-authorization", "Basic dTpw"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(CHAT.whole(&["ok"]), CHAT.content_type))
        .mount(&proxy)
        .await;
    let through = EndpointSettings {
        proxy: Some(proxy.uri().replace("http://", "http://u:p@")),
        ..settings("http://llm.example")
    };
    assert_eq!(text_and_error(&client(through)).await, ("ok".into(), None));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://user:s3cret@{}", listener.local_addr().unwrap());
    drop(listener);
    for url in ["http://llm.example", "https://llm.example"] {
        let error = run(&client(EndpointSettings { proxy: Some(gone.clone()), ..settings(url) })).await.1;
        let Some(LlmErrorKind::Proxy { what }) = error else { panic!("{error:?}") };
        assert!(what.contains("does not answer") && what.starts_with("http://127.0.0.1:"), "{what}");
        assert!(!what.contains("s3cret") && !what.contains("user"), "{what}");
    }
    // One that does not want to: it is not the server that says so.
    let refusing = MockServer::start().await;
    Mock::given(method("CONNECT")).respond_with(ResponseTemplate::new(407)).mount(&refusing).await;
    let through = EndpointSettings { proxy: Some(refusing.uri()), ..settings("https://llm.example") };
    let error = run(&client(through)).await.1;
    assert!(matches!(&error, Some(LlmErrorKind::Proxy { what }) if what.contains("llm.example:443")), "{error:?}");
}

fn tls(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/fixtures/tls").join(name)
}

/// A server of chat completions that speaks TLS only and wants a client certificate. Gives its port.
async fn secured() -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificates = |name| CertificateDer::pem_file_iter(tls(name)).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.pem"));
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls("server.key")).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates("server.pem"), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client without a certificate is refused here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while !seen.ends_with(b"}") {
                let Ok(n @ 1..) = stream.read(&mut buffer).await else { break };
                seen.extend_from_slice(&buffer[..n]);
            }
            let _ = stream.write_all([head(&CHAT), CHAT.whole(&["ok"])].concat().as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn certified(url: &str) -> EndpointSettings {
    let client_certificate = Some(ClientCertificate { cert: tls("client.pem"), key: tls("client.key") });
    EndpointSettings { ca: Some(tls("ca.pem")), client_certificate, ..settings(url) }
}

#[tokio::test]
async fn an_own_authority_and_a_client_certificate_open_the_door() {
    let url = format!("https://localhost:{}", secured().await);
    assert_eq!(text_and_error(&client(certified(&url))).await, ("ok".into(), None));
    let without_ca = EndpointSettings { ca: None, ..certified(&url) };
    let without_certificate = EndpointSettings { client_certificate: None, ..certified(&url) };
    for (settings, said) in [(without_ca, "certificate"), (without_certificate, "certificate")] {
        let error = run(&client(settings)).await.1;
        let Some(LlmErrorKind::Unreachable { what }) = error else { panic!("{error:?}") };
        assert!(what.to_lowercase().contains(said), "{what}");
    }
}

#[tokio::test]
async fn certificates_are_checked_through_a_proxy_too() {
    let port = secured().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            stream.read_line(&mut asked).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut server).await;
        asked
    });
    // The proxy alone knows where this name leads.
    let settings = EndpointSettings { proxy: Some(proxy), ..certified("https://localhost:4443") };
    assert_eq!(text_and_error(&client(settings)).await, ("ok".into(), None));
    assert!(task.await.unwrap().starts_with("CONNECT localhost:4443 HTTP/1.1"));
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let wrong = |settings: EndpointSettings| LlmClient::new(settings, Arc::new(Plain)).unwrap_err().to_string();
    let base = || settings("https://x");
    assert!(wrong(EndpointSettings { ca: Some("/nowhere".into()), ..base() }).contains("/nowhere"));
    assert!(wrong(EndpointSettings { ca: Some(tls("server.key")), ..base() }).contains("no PEM certificate"));
    let pair = ClientCertificate { cert: tls("client.pem"), key: tls("ca.pem") };
    let error = wrong(EndpointSettings { client_certificate: Some(pair), ..base() });
    assert!(error.contains("not a PEM certificate and key"), "{error}");
    assert!(wrong(EndpointSettings { proxy: Some("::".into()), ..base() }).contains("proxy"));
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_is_said_to() {
    let (_server, client) = {
        let server = MockServer::start().await;
        let url = server.uri().replace("http://", "https://");
        let client = client(settings(&url));
        (server, client)
    };
    let error = run(&client).await.1;
    assert!(matches!(error, Some(LlmErrorKind::Unreachable { .. })), "{error:?}");
}
