//! Generated secrets of many kinds, in the places where incidents bring them along, and texts that hold none.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// Kinds of secrets by their shape. What is in brackets ‹› is the secret itself; what is around it comes along.
const KINDS: &[(&str, &str)] = &[
    ("age", "‹AGE-SECRET-KEY-1[0-9A-Z]{58}›"),
    ("airtable", "‹pat[A-Za-z0-9]{14}[.][a-f0-9]{64}›"),
    ("alibaba", "‹LTAI[0-9][A-Za-z0-9]{15,19}›"),
    ("anthropic", "‹sk-ant-api03-[A-Za-z0-9_]{80}AA›"),
    ("atlassian", "‹ATATT3[A-Za-z0-9_]{180}=[A-F0-9]{8}›"),
    ("aws id", "‹AKIA[A-Z0-9]{16}›"),
    ("aws secret", "aws_secret_access_key = ‹[A-Z][a-z][0-9][A-Za-z0-9/+]{37}›"),
    ("aws signed link", "https://b.example/x[?]X-Amz-Signature=‹[a-f0-9]{64}›"),
    ("azure account", "AccountName=a;AccountKey=‹[A-Za-z0-9+/]{86}==›"),
    ("azure client", "‹[A-Za-z0-9]{3}8Q~[A-Za-z0-9_-]{34}›"),
    ("basic auth", "Authorization: Basic ‹[A-Z][a-z][0-9][A-Za-z0-9]{17}==›"),
    ("bcrypt", "‹[$]2b[$]12[$][A-Za-z0-9./]{53}›"),
    ("bearer", "Authorization: Bearer ‹[A-Za-z0-9]{4}[0-9][A-Za-z0-9_-]{26}[a-z0-9]›"),
    ("bitbucket", "‹ATBB[A-Za-z0-9]{32}›"),
    ("cargo", "‹cio[A-Za-z0-9]{31}7›"),
    ("circleci", "‹CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}›"),
    ("cloudflare", "CLOUDFLARE_API_TOKEN=‹[0-9][A-Za-z0-9_-]{38}[a-z]›"),
    ("cookie", "Cookie: session=‹[A-Za-z0-9]{32}›"),
    ("curl user", "curl -s -u admin:‹[A-Za-z0-9!]{11}k› https://h.example/"),
    ("databricks", "‹dapi[a-f0-9]{32}›"),
    ("datadog", "DD_API_KEY=‹[a-f0-9]{31}7›"),
    ("digitalocean", "‹dop_v1_[a-f0-9]{64}›"),
    ("discord webhook", "https://discord[.]com/api/webhooks/[0-9]{18}/‹[A-Za-z0-9_]{68}›"),
    ("docker hub", "‹dckr_pat_[A-Za-z0-9_]{27}›"),
    ("docker config", "\"auths\": [{]\"r\": [{]\"auth\": \"‹[A-Z][a-z][0-9][A-Za-z0-9]{21}›\""),
    ("doppler", "‹dp[.]pt[.][A-Za-z0-9]{43}›"),
    ("dynatrace", "‹dt0c01[.][A-Z0-9]{24}[.][A-Z0-9]{64}›"),
    ("figma", "‹figd_[A-Za-z0-9_]{40}›"),
    ("fly", "‹fm2_[A-Za-z0-9+/]{100}›"),
    ("github classic", "‹ghp_[A-Za-z0-9]{36}›"),
    ("github fine", "‹github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}›"),
    ("gitlab", "‹glpat-[A-Za-z0-9_]{20}›"),
    ("google api", "‹AIza[A-Za-z0-9_]{35}›"),
    ("google oauth", "‹ya29[.][A-Za-z0-9_]{120}›"),
    ("grafana", "‹glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}›"),
    ("groq", "‹gsk_[A-Za-z0-9]{52}›"),
    ("heroku", "‹HRKU-[A-Za-z0-9_]{60}›"),
    ("hubspot", "‹pat-na1-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}›"),
    ("hugging face", "‹hf_[A-Za-z0-9]{34}›"),
    ("jwt", "‹eyJ[A-Za-z0-9]{20}[.]eyJ[A-Za-z0-9_]{60}[.][A-Za-z0-9_]{43}›"),
    ("kubeconfig", "client-key-data: ‹LS0t[A-Za-z0-9+/]{200}›"),
    ("launchdarkly", "‹sdk-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}›"),
    ("linear", "‹lin_api_[A-Za-z0-9]{40}›"),
    ("mailchimp", "‹[0-9a-f]{32}-us1[0-9]›"),
    ("mailgun", "‹key-[0-9a-f]{32}›"),
    ("mysql statement", "ALTER USER 'a'@'%' IDENTIFIED BY '‹[A-Za-z0-9!]{12}›'"),
    ("mysql flag", "mysql -h db -u root -p‹[A-Za-z0-9!]{12}› shop"),
    ("redis flag", "redis-cli -h cache -a ‹[A-Za-z0-9!]{12}› ping"),
    ("ldap flag", "ldapsearch -D cn=a -w ‹[A-Za-z0-9!]{12}› uid=x"),
    ("netlify", "‹nfp_[A-Za-z0-9]{36}›"),
    ("netrc", "machine h.example login bob password ‹[A-Za-z0-9!]{12}›"),
    ("new relic", "‹NRAK-[A-Z0-9]{27}›"),
    ("notion", "‹ntn_[A-Za-z0-9]{46}›"),
    ("npm", "‹npm_[A-Za-z0-9]{36}›"),
    ("npmrc", "//r.example/:_authToken=‹[0-9][A-Za-z0-9-]{30}[a-z]›"),
    ("okta", "Authorization: SSWS ‹00[A-Za-z0-9_]{40}›"),
    ("openai", "‹sk-proj-[A-Za-z0-9_]{60}7[A-Za-z0-9]{20}›"),
    ("otp", "otpauth://totp/x[?]secret=‹[A-Z2-7]{32}›"),
    ("pagerduty", "pagerduty_routing_key: ‹[a-z0-9]{31}7›"),
    ("password flag", "mysqldump --password ‹[A-Za-z0-9!]{11}7› shop"),
    ("password pair", "DB_PASSWORD=‹[A-Za-z0-9!]{12}›"),
    ("perplexity", "‹pplx-[A-Za-z0-9]{48}›"),
    ("planetscale", "‹pscale_tkn_[A-Za-z0-9]{43}›"),
    ("postman", "‹PMAK-[a-f0-9]{24}-[a-f0-9]{34}›"),
    ("pulumi", "‹pul-[a-f0-9]{40}›"),
    ("pypi", "‹pypi-[A-Za-z0-9_]{150}›"),
    ("redis", "requirepass ‹[A-Za-z0-9!]{16}›"),
    ("replicate", "‹r8_[A-Za-z0-9]{37}›"),
    ("rubygems", "‹rubygems_[a-f0-9]{48}›"),
    ("sendgrid", "‹SG[.][A-Za-z0-9_]{22}[.][A-Za-z0-9_]{43}›"),
    ("sentry", "‹sntrys_[A-Za-z0-9+/]{80}›"),
    ("session", "JSESSIONID=‹[A-F0-9]{31}7›"),
    ("shadow", "root:‹[$]6[$][A-Za-z0-9./]{16}[$][A-Za-z0-9./]{86}›:19000:0:99999"),
    ("shopify", "‹shpat_[a-f0-9]{32}›"),
    ("slack", "‹xoxb-[0-9]{11}-[0-9]{12}-[A-Za-z0-9]{24}›"),
    ("slack webhook", "https://hooks.slack.com/services/‹T[A-Z0-9]{8}/B[A-Z0-9]{8}/[A-Za-z0-9]{24}›"),
    ("sonar", "‹squ_[a-f0-9]{40}›"),
    ("splunk", "Authorization: Splunk ‹[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}›"),
    ("square", "‹sq0atp-[A-Za-z0-9_]{22}›"),
    ("stripe", "‹sk_live_[A-Za-z0-9]{24}›"),
    ("supabase", "‹sbp_[a-f0-9]{40}›"),
    ("tailscale", "‹tskey-auth-[A-Za-z0-9]{12}-[A-Za-z0-9]{32}›"),
    ("telegram", "‹[0-9]{10}:AA[A-Za-z0-9_]{33}›"),
    ("terraform", "‹[A-Za-z0-9]{14}[.]atlasv1[.][A-Za-z0-9]{67}›"),
    ("twilio", "‹SK[a-f0-9]{32}›"),
    ("url", "postgres://app:‹[A-Za-z0-9!]{12}›@db:5432/shop"),
    ("vault", "‹hvs[.][A-Za-z0-9_]{90}›"),
    ("wireguard", "PrivateKey = ‹[A-Za-z0-9+/]{43}=›"),
    ("xai", "‹xai-[A-Za-z0-9]{80}›"),
    ("yandex", "‹AQVN[A-Za-z0-9_]{36}›"),
];

/// Where it stands: log lines, labels, annotations, configuration and the output of commands.
const PLACES: [&str; 6] = [
    "2026-11-21T14:02:21Z ERROR [http-7] c.e.Pay - call failed: {} (attempt 3)",
    "level=error msg=\"refused\" detail={} pod=payments-0",
    "{\"level\":\"warn\",\"value\":{},\"service\":\"checkout\"}",
    "annotations:\n  note: {}\nlabels:\n  app: shop",
    "export SETTING={}\nexport OTHER=1",
    "NAME      READY   VALUE\npayments  1/1     {}\ncheckout  1/1     -",
];

fn drawn(runner: &mut TestRunner, shape: &str) -> (String, String) {
    let (before, rest) = shape.split_once('‹').expect("a secret begins");
    let (secret, after) = rest.split_once('›').expect("a secret ends");
    let mut draw = |part: &str| string_regex(part).expect("a regex").new_tree(runner).expect("a text").current();
    let secret = draw(secret);
    let whole = format!("{}{secret}{}", draw(before), draw(after));
    (whole, secret)
}

#[test]
fn no_generated_secret_of_any_kind_stays_in_any_place() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (mut tried, mut left) = (0, Vec::new());
    for (kind, shape) in KINDS {
        for place in PLACES {
            let (whole, secret) = drawn(&mut runner, shape);
            let whole = if place.starts_with('{') { serde_json::to_string(&whole).unwrap() } else { whole };
            let text = place.replace("{}", &whole);
            let out = redact(&text).text;
            tried += 1;
            // A rest of four signs that were part of it would be found by no one; a half would.
            if (0..secret.len().saturating_sub(11)).any(|at| out.contains(&secret[at..at + 12])) {
                left.push(format!("{kind}: {text}\n  → {out}"));
            }
        }
    }
    assert!(KINDS.len() >= 60 && tried >= 300, "{tried}");
    assert!(left.is_empty(), "{} of {tried} stay:\n{}", left.len(), left.join("\n"));
}
