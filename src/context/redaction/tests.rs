use proptest::prelude::*;

use super::*;

fn hidden(text: &str, secret: &str) -> Redacted {
    let out = redact(text);
    assert!(!out.text.contains(secret), "{text}\n → {}", out.text);
    assert!(out.counts.values().sum::<usize>() > 0);
    out
}

#[test]
fn each_kind_is_found_where_it_stands() {
    // Put together here, so that no scanner takes this file for a leak.
    let alnum = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6";
    let hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (kind, secret) in [
        ("aws-key", format!("AKIA{}", "IOSFODNN7EXAMPLE")),
        ("github-token", format!("ghp_{}", &alnum[..36])),
        ("github-token", format!("github_pat_{}", &alnum[..40])),
        ("gitlab-token", format!("glpat-{}", &alnum[..20])),
        ("slack-token", format!("xoxb-{}-{}", "1234567890", &alnum[..24])),
        ("stripe-key", format!("sk_live_{}", &alnum[..24])),
        ("anthropic-key", format!("sk-ant-api03-{}", &alnum[..40])),
        ("openai-key", format!("sk-proj-{}", &alnum[..40])),
        ("google-key", format!("AIza{}", &alnum[..35])),
        ("npm-token", format!("npm_{}", &alnum[..36])),
        ("pypi-token", format!("pypi-{alnum}")),
        ("vault-token", format!("hvs.{}", &alnum[..30])),
        ("digitalocean-token", format!("dop_v1_{hex}")),
        ("sendgrid-key", format!("SG.{}.{}", &alnum[..22], &alnum[..43])),
        ("huggingface-token", format!("hf_{}", &alnum[..34])),
        ("databricks-token", format!("dapi{}", &hex[..32])),
        ("jwt", format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{}", &alnum[..30])),
    ] {
        for frame in [format!("login with {secret} failed"), format!(r#"{{"k":"{secret}"}}"#), format!("x={secret}")] {
            let out = hidden(&frame, &secret);
            assert_eq!(out.counts.keys().collect::<Vec<_>>(), [kind], "{frame}");
        }
    }
}

#[test]
fn values_behind_a_telling_key_are_hidden_in_every_format() {
    for (text, secret) in [
        ("password=hunter2 user=bob", "hunter2"),
        (r#"{"user":"bob","password":"correct horse 1"}"#, "correct horse 1"),
        (r#"msg="{\"password\":\"hunter2\"}""#, "hunter2"),
        ("DB_PASSWORD='s3cr3t!'", "s3cr3t!"),
        ("  password: s3cr3tvalue", "s3cr3tvalue"),
        ("export API_KEY=abc123def456", "abc123def456"),
        ("client_secret: 8f7e6d5c4b3a2910", "8f7e6d5c4b3a2910"),
        ("Authorization: Bearer abcdef1234567890", "abcdef1234567890"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        (r#"-H "X-Api-Key: 12ab34cd56ef""#, "12ab34cd56ef"),
        ("postgres://app:p4ss@db:5432/shop", "p4ss"),
        ("redis://:onlypass@cache:6379", "onlypass"),
        ("Server=db;User Id=sa;Password=Pa55word;", "Pa55word"),
        ("DefaultEndpointsProtocol=https;AccountKey=abcdefghijklmnopqrstuvwxyz0123456789+/==;", "abcdefghijklmnop"),
        ("Set-Cookie: session=abcdef0123456789; Path=/", "abcdef0123456789"),
        ("client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk", "LS0tLS1CRUdJTiBSU0E"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEcut off", "MIIEcut"),
        ("https://h/x?X-Amz-Signature=0123456789abcdef0123456789abcdef", "0123456789abcdef"),
    ] {
        hidden(text, secret);
    }
}

#[test]
fn ordinary_things_stay() {
    for text in [
        "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331",
        "image registry.example/shop/pay@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 0fa0f1195bb6c21bf070fd4be964b0eb75384484 by author-1",
        "user 4d2a46c7-71cb-4cf1-b5bb-b68406d9da6f logged in",
        "/var/lib/kubelet/pods/4d2a46c7-71cb-4cf1-b5bb-b68406d9da6f/volumes/kubernetes.io~secret/tls",
        "max_tokens=4096 tokens: 512 prompt_tokens=7421",
        "wrong password for user bob",
        "password: incorrect, try again",
        "Basic authentication failed; Bearer token expired",
        "secretName: payments-tls",
        "password_file=/run/secrets/db",
        "token=null secret=${DB_SECRET} password=***",
        "org.springframework.beans.factory.support.AbstractAutowireCapableBeanFactory.doCreateBean",
        "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1",
        "pod payments-5c66d57d58-6mp2b on ip-10-2-3-4.eu-west-1.compute.internal",
        "GET /api/v1/orders/8a533bf9-bd12-4608-a8eb-606890982448?from=2023-01-29T09:03:53Z",
        "mysql -h db -P 3306 -u root -p -e 'show processlist'",
        "redis-cli -h cache -p 6379 ping",
        "mongo-0 restarted; mysqld --port 3306",
        "the cookie jar was full; auth failed",
        "sk-learn-contrib-pipeline-with-long-name started",
        "12345678901234567890123456789012345678901234567890",
    ] {
        assert_eq!(redact(text).text, text);
    }
}

#[test]
fn equal_values_keep_one_name() {
    let mut redactor = Redactor::new();
    let first = redactor.redact("password=alpha1");
    let other = redactor.redact("password=beta22");
    let again = redactor.redact("db password=alpha1 ok");
    assert_eq!(first, "password=‹secret:password:1›");
    assert_eq!(other, "password=‹secret:password:2›");
    assert_eq!(again, "db password=‹secret:password:1› ok");
    assert_eq!(redactor.counts()["password"], 3);
    assert_eq!(placeholders(&again)["password"], 1);
}

#[test]
fn a_random_token_without_a_key_is_hidden() {
    hidden("got qZ8x7LmN2pR5tV9wY3bC6dF1gH4jK0sA8uE5iO2 from peer", "qZ8x7LmN2pR5tV9wY3bC6dF1gH4jK0sA8uE5iO2");
}

proptest! {
    #[test]
    fn redaction_is_idempotent(text in "(\\PC| |password=|token: |://|Bearer |\"){0,60}") {
        let once = redact(&text).text;
        prop_assert_eq!(redact(&once).text, once);
    }

    #[test]
    fn generated_secrets_never_stay(
        secret in "[A-Za-z0-9]{8}[0-9][A-Za-z0-9]{12,24}",
        key in prop::sample::select(vec!["password", "DB_PASSWORD", "api_key", "client_secret", "auth_token", "secretKey", "apiKey"]),
        form in 0..6_usize,
        before in "[a-z ]{0,20}",
    ) {
        let text = match form {
            0 => format!("{before} {key}={secret} done"),
            1 => format!("{{\"a\":1,\"{key}\":\"{secret}\"}}"),
            2 => format!("{key}: {secret}"),
            3 => format!("{key}='{secret}'"),
            4 => format!("msg=\"{{\\\"{key}\\\": \\\"{secret}\\\"}}\""),
            _ => format!("https://x.example/?{key}={secret}&b=2"),
        };
        prop_assert!(!redact(&text).text.contains(&secret), "{}", redact(&text).text);
    }

    #[test]
    fn hexadecimal_and_uuids_stay(hex in "[0-9a-f]{16,64}", a in "[0-9a-f]{8}", b in "[0-9a-f]{4}", c in "[0-9a-f]{12}") {
        let text = format!("trace {hex} request {a}-{b}-{b}-{b}-{c} sha256:{hex}");
        prop_assert_eq!(redact(&text).text, text);
    }
}

#[test]
fn a_service_that_looks_random_in_part_keeps_its_name() {
    let name = "StepFnStateMachine76D362E8-T67Tg48ke8oK_client";
    let mut redactor = Redactor::new().keeping([name]);
    let text = format!("latency of {name} rose");
    assert_eq!(redactor.redact(&text), text);
    // Nothing but random signs is no name, whoever says so.
    let random = "q7Xk29fLmZ04vTbR8sWyPd61HcNe5GaUj3Kw";
    let mut redactor = Redactor::new().keeping([random]);
    assert!(!redactor.redact(&format!("latency of {random} rose")).contains(random));
}
