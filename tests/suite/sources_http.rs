//! How HTTP sources fail, and what they send: every class of failure is told apart, and no credential is given away.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use stanch::domain::query::{Answer, Query};
use stanch::domain::settings::{Auth, HeaderValue, Limits, SecretRef, SourceSettings};
use stanch::sources::prometheus::Prometheus;
use stanch::sources::{SourceError, SourceErrorKind, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::{any, body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::secrets::Rotating;
use crate::servers::free_port;

const RULES: &str = r#"{"status":"success","data":{"groups":[]}}"#;

async fn ask(settings: &SourceSettings) -> Result<Answer, SourceError> {
    Prometheus::new("prometheus", settings, Rotating::new(&["s3cret"]))?.ask(&Query::Rules).await
}

/// The error of a server that gives `response` to everything.
async fn failure(response: ResponseTemplate) -> SourceError {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    ask(&SourceSettings::new(&server.uri())).await.unwrap_err()
}

fn page(status: u16, body: &str, content_type: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.as_bytes().to_vec(), content_type)
}

#[track_caller]
fn assert_says(error: &SourceError, kind: SourceErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind, kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let error = ask(&SourceSettings::new(&format!("http://127.0.0.1:{}", free_port()))).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unreachable, &["no connection", "refused", "check that it runs"]);
    let error = ask(&SourceSettings::new("http://prometheus.invalid:9090")).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unreachable, &["prometheus.invalid"]);
}

#[tokio::test]
async fn tls_with_a_server_that_speaks_none_is_said() {
    let server = MockServer::start().await;
    let error = ask(&SourceSettings::new(&server.uri().replace("http:", "https:"))).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unreachable, &["TLS with https://127.0.0.1"]);
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(50));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let settings = SourceSettings { timeout: Duration::from_millis(100), ..SourceSettings::new(&server.uri()) };
    let error = ask(&settings).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Timeout, &["did not answer within 0.1 s"]);
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let cases = [
        (401, "no org id\n", SourceErrorKind::Unauthorized, "tenant"),
        (401, "", SourceErrorKind::Unauthorized, "set `auth`"),
        (403, "forbidden", SourceErrorKind::Unauthorized, "403: forbidden"),
        (404, "404 page not found\n", SourceErrorKind::Unsupported, "path prefix"),
        (400, "bad \u{1b}[2J", SourceErrorKind::BadQuestion, "bad ‹U+001B›[2J"),
        (429, "too many outstanding requests", SourceErrorKind::Server, "limits the rate"),
        (500, "", SourceErrorKind::Server, "500"),
        (502, "<html><title>Bad Gateway</title>", SourceErrorKind::Server, "a web page titled “Bad Gateway”"),
        (504, "", SourceErrorKind::Timeout, "shorter"),
    ];
    for (status, body, kind, part) in cases {
        assert_says(&failure(page(status, body, "text/plain")).await, kind, &[part]);
    }
    let busy = page(503, "", "text/plain").insert_header("Retry-After", "30");
    assert_says(&failure(busy).await, SourceErrorKind::Server, &["come back after 30"]);
}

#[tokio::test]
async fn what_is_not_the_json_promised_is_described() {
    let html = "<!DOCTYPE html>\n<html><head><title>Sign in\n to  Acme</title>";
    let kind = SourceErrorKind::NotUnderstood;
    assert_says(&failure(page(200, html, "text/html")).await, kind, &["titled “Sign in to Acme”", "sign-in page"]);
    let truncated = r#"{"status":"success","data":{"groups":[{"na"#;
    assert_says(
        &failure(page(200, truncated, "application/json")).await,
        kind,
        &["ends in the middle, after 42 bytes"],
    );
    let foreign = r#"{"status":"success","data":{"groups":[{"rules":[{"name":7}]}]}}"#;
    assert_says(&failure(page(200, foreign, "application/json")).await, kind, &["`data.groups[0].rules[0].name`"]);
    assert_says(&failure(page(200, "", "application/json")).await, kind, &["with nothing"]);
    assert_says(&failure(page(200, "hello", "text/plain")).await, kind, &["not JSON", "`hello`"]);
    assert_says(&failure(page(200, "{}", "application/json")).await, kind, &["has no `data`"]);
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_after_decompression() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 4 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 10_000);
    let server = MockServer::start().await;
    let response =
        ResponseTemplate::new(200).set_body_raw(bomb, "application/json").insert_header("Content-Encoding", "gzip");
    Mock::given(any()).respond_with(response).mount(&server).await;
    let limits = Limits { bytes: 100_000, ..Limits::default() };
    let error = ask(&SourceSettings { limits, ..SourceSettings::new(&server.uri()) }).await.unwrap_err();
    assert_says(&error, SourceErrorKind::TooLarge, &["100000 bytes", "limits.bytes"]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\"").await.unwrap();
    });
    let error = ask(&SourceSettings::new(&url)).await.unwrap_err();
    assert_says(&error, SourceErrorKind::NotUnderstood, &["broke off"]);
    server.await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    for url in ["prometheus:9090", "ftp://x", "", "http://"] {
        let error = ask(&SourceSettings::new(url)).await.unwrap_err();
        assert_says(&error, SourceErrorKind::Unreachable, &["http://HOST:PORT"]);
    }
    let ca = Some("/nowhere/ca.pem".into());
    let error = ask(&SourceSettings { ca, ..SourceSettings::new("https://x") }).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unreachable, &["cannot read /nowhere/ca.pem"]);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let to = format!("{}/login?token=abc", elsewhere.uri());
    Mock::given(any()).respond_with(ResponseTemplate::new(302).insert_header("Location", to)).mount(&server).await;
    let auth = Some(Auth::Bearer(SecretRef::Env("TOKEN".into())));
    let error = ask(&SourceSettings { auth, ..SourceSettings::new(&server.uri()) }).await.unwrap_err();
    assert_says(&error, SourceErrorKind::NotUnderstood, &["redirects to", "/login, which is not followed"]);
    assert!(!error.to_string().contains("abc"));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/rules"))
        .respond_with(ResponseTemplate::new(307).insert_header("Location", "/prom/api/v1/rules"))
        .mount(&server)
        .await;
    Mock::given(path("/prom/api/v1/rules")).respond_with(page(200, RULES, "application/json")).mount(&server).await;
    ask(&SourceSettings::new(&server.uri())).await.unwrap();
    let circle = ResponseTemplate::new(302).insert_header("Location", "/api/v1/rules");
    assert_says(&failure(circle).await, SourceErrorKind::NotUnderstood, &["circle"]);
}

#[tokio::test]
async fn prefix_user_tenant_and_headers_are_sent_and_never_printed() {
    let server = MockServer::start().await;
    Mock::given(path("/mimir/prometheus/api/v1/rules"))
        .and(query_param("dedup", "true"))
        .and(header("X-Scope-OrgID", "shop|pay"))
        .and(header("X-Plain", "p"))
        .and(header("X-Key", "s3cret"))
        // user:pa ss
        .and(header("Authorization", "Basic dXNlcjpwYSBzcw=="))
        .respond_with(page(200, RULES, "application/json"))
        .mount(&server)
        .await;
    let url = server.uri().replace("http://", "http://user:pa%20ss@") + "/mimir/prometheus/?dedup=true";
    let mut settings = SourceSettings { tenant: Some("shop|pay".into()), ..SourceSettings::new(&url) };
    settings.headers.insert("X-Plain".into(), HeaderValue::Plain("p".into()));
    settings.headers.insert("X-Key".into(), HeaderValue::Secret(SecretRef::Env("KEY".into())));
    ask(&settings).await.unwrap();

    let error = ask(&SourceSettings::new("http://user:pa%20ss@127.0.0.1:1/x?key=hush")).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("pa%20ss") && !text.contains("pa ss") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn a_credential_that_rotated_is_fetched_anew_once() {
    let server = MockServer::start().await;
    Mock::given(header("Authorization", "Bearer new"))
        .respond_with(page(200, RULES, "application/json"))
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(ResponseTemplate::new(401)).with_priority(9).mount(&server).await;
    let auth = Some(Auth::Bearer(SecretRef::Command(vec!["vault-token".into()])));
    let settings = SourceSettings { auth, ..SourceSettings::new(&server.uri()) };

    let secrets = Rotating::new(&["old", "new"]);
    let client = Prometheus::new("prometheus", &settings, secrets.clone()).unwrap();
    client.ask(&Query::Rules).await.unwrap();
    client.ask(&Query::Rules).await.unwrap();
    assert_eq!(secrets.fetched(), 2, "the burst uses what was fetched");

    let secrets = Rotating::new(&["old"]);
    let client = Prometheus::new("prometheus", &settings, secrets.clone()).unwrap();
    let error = client.ask(&Query::Rules).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unauthorized, &["its credential is refused"]);
    assert_eq!(secrets.fetched(), 2);

    let client = Prometheus::new("prometheus", &settings, Rotating::new(&[])).unwrap();
    let error = client.ask(&Query::Rules).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unauthorized, &["cannot be fetched", "`vault-token` failed"]);
}

fn oauth(token_server: &MockServer, url: &str) -> SourceSettings {
    let auth = Auth::Oauth2 {
        token_url: format!("{}/token", token_server.uri()),
        client_id: "stanch id".into(),
        client_secret: SecretRef::Env("SECRET".into()),
        scopes: vec!["metrics".into(), "logs".into()],
        parameters: [("audience".to_owned(), "prom".to_owned())].into(),
    };
    SourceSettings { auth: Some(auth), ..SourceSettings::new(url) }
}

#[tokio::test]
async fn an_access_token_is_kept_until_it_is_refused() {
    let (server, tokens) = (MockServer::start().await, MockServer::start().await);
    // form-encoded: stanch%20id:s3cret
    Mock::given(path("/token"))
        .and(header("Authorization", "Basic c3RhbmNoJTIwaWQ6czNjcmV0"))
        .and(body_string_contains("grant_type=client_credentials&scope=metrics+logs&audience=prom"))
        .respond_with(page(
            200,
            r#"{"access_token":"first","token_type":"bearer","expires_in":"3600"}"#,
            "application/json",
        ))
        .up_to_n_times(1)
        .expect(1)
        .mount(&tokens)
        .await;
    Mock::given(path("/token"))
        .respond_with(page(200, r#"{"access_token":"second","expires_in":3600}"#, "application/json"))
        .expect(1)
        .mount(&tokens)
        .await;
    Mock::given(header("Authorization", "Bearer first"))
        .respond_with(page(200, RULES, "application/json"))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    Mock::given(header("Authorization", "Bearer second"))
        .respond_with(page(200, RULES, "application/json"))
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(ResponseTemplate::new(401)).with_priority(9).mount(&server).await;

    let client = Prometheus::new("prometheus", &oauth(&tokens, &server.uri()), Rotating::new(&["s3cret"])).unwrap();
    for _ in 0..4 {
        client.ask(&Query::Rules).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_expires_soon_is_renewed_before() {
    let (server, tokens) = (MockServer::start().await, MockServer::start().await);
    let brief = page(200, r#"{"access_token":"a","expires_in":0.0}"#, "application/json");
    Mock::given(path("/token")).respond_with(brief).expect(2).mount(&tokens).await;
    Mock::given(any()).respond_with(page(200, RULES, "application/json")).mount(&server).await;
    let client = Prometheus::new("prometheus", &oauth(&tokens, &server.uri()), Rotating::new(&["s3cret"])).unwrap();
    client.ask(&Query::Rules).await.unwrap();
    client.ask(&Query::Rules).await.unwrap();
}

#[tokio::test]
async fn a_token_end_point_that_reads_only_the_form_is_understood_and_a_refusal_told() {
    let (server, tokens) = (MockServer::start().await, MockServer::start().await);
    Mock::given(any()).respond_with(page(200, RULES, "application/json")).mount(&server).await;
    Mock::given(body_string_contains("client_id=stanch+id&client_secret=s3cret"))
        .respond_with(page(200, r#"{"access_token":"a"}"#, "application/json"))
        .mount(&tokens)
        .await;
    let refusal = r#"{"error":"invalid_client","error_description":"unknown client"}"#;
    Mock::given(any()).respond_with(page(401, refusal, "application/json")).with_priority(9).mount(&tokens).await;
    let settings = oauth(&tokens, &server.uri());
    ask(&settings).await.unwrap();

    let client = Prometheus::new("prometheus", &settings, Rotating::new(&["wrong"])).unwrap();
    let error = client.ask(&Query::Rules).await.unwrap_err();
    assert_says(&error, SourceErrorKind::Unauthorized, &["/token refuses", "invalid_client unknown client"]);
    assert!(!error.to_string().contains("wrong"));
}

#[tokio::test]
async fn a_proxy_is_used_when_it_is_set() {
    let proxy = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("Host", "prometheus.invalid"))
        .respond_with(page(200, RULES, "application/json"))
        .mount(&proxy)
        .await;
    let settings = SourceSettings { proxy: Some(proxy.uri()), ..SourceSettings::new("http://prometheus.invalid") };
    ask(&settings).await.unwrap();
}

#[tokio::test]
async fn dropping_the_question_aborts_the_request() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Arc::new(Prometheus::new("prometheus", &SourceSettings::new(&url), Rotating::new(&[])).unwrap());
    let asking = tokio::spawn(async move { client.ask(&Query::Rules).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1_024];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    asking.abort();
    // The end of the stream is the proof: nobody waits for the answer any more.
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut request)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
}
