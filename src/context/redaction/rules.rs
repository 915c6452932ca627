//! The rules. Shapes follow what the issuers document; most are those that gitleaks and trufflehog look for as well.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;

use super::Found;
use super::commands::COMMANDS;
use super::documents::DOCUMENTS;
use super::values::{has_digit, is_benign, is_hex, is_scheme, looks_base64, looks_issued};

/// One kind of secret. The regular expression's group `s`, or the whole match, is what is replaced.
struct Rule {
    kind: &'static str,
    /// Compiled when a text first holds one of its keywords: most incidents wake few of the rules.
    pattern: OnceLock<Regex>,
    source: &'static str,
    accept: fn(&str) -> bool,
}

impl Rule {
    fn pattern(&self) -> &Regex {
        self.pattern.get_or_init(|| Regex::new(self.source).expect("the patterns are constant and compiled by a test"))
    }
}

/// A rule as written: kind, keywords of which one must stand in the text (in any case), expression, further test.
pub(super) type Row = (&'static str, &'static [&'static str], &'static str, fn(&str) -> bool);

pub(super) fn any(_: &str) -> bool {
    true
}

/// Order is precedence: where two rules meet, the earlier names the value.
const ROWS: &[Row] = &[
    (
        "private-key",
        &["private key"],
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?P<s>.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z))",
        // What was replaced before has no end of its own any more.
        |value| !value.trim_start().starts_with('‹'),
    ),
    ("age-key", &["age-secret-key-"], r"AGE-SECRET-KEY-1[0-9A-Z]{50,64}", any),
    ("jwt", &["eyj"], r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3}", any),
    ("aws-key", &["akia", "asia", "abia", "acca", "a3t"], r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", any),
    (
        "aws-secret",
        &["aws", "secret"],
        r#"(?i)(?:aws.{0,20}?|secret_?access_?key)["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\\]{0,3}(?P<s>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)"#,
        |value| !is_hex(value),
    ),
    (
        "aws-signature",
        &["x-amz-"],
        r"(?i)X-Amz-(?:Signature|Security-Token|Credential)=(?P<s>[A-Za-z0-9%/+=_-]{16,})",
        any,
    ),
    (
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255})",
        any,
    ),
    (
        "gitlab-token",
        &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "gloas-"],
        r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_.-]{20,}",
        any,
    ),
    ("slack-token", &["xox", "xapp-"], r"\b(?:xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{20,})", any),
    (
        "slack-webhook",
        &["hooks.slack.com"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<s>[A-Za-z0-9+/_-]{20,})",
        any,
    ),
    ("teams-webhook", &["webhook.office.com"], r"webhook\.office\.com/webhookb2/(?P<s>[A-Za-z0-9@/-]{30,})", any),
    ("discord-webhook", &["api/webhooks/"], r"discord(?:app)?\.com/api/webhooks/\d+/(?P<s>[A-Za-z0-9_-]{40,})", any),
    (
        "stripe-key",
        &["sk_live", "sk_test", "rk_live", "rk_test", "whsec_"],
        r"\b(?:(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,})",
        any,
    ),
    ("anthropic-key", &["sk-ant-"], r"\bsk-ant-[A-Za-z0-9_-]{20,}", any),
    ("openai-key", &["sk-"], r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,}", has_digit),
    ("google-key", &["aiza"], r"\bAIza[A-Za-z0-9_-]{35}", any),
    (
        "google-oauth",
        &["ya29.", "gocspx-", "1//0"],
        r"(?:\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}|\b1//0[A-Za-z0-9_-]{30,})",
        any,
    ),
    ("npm-token", &["npm_"], r"\bnpm_[A-Za-z0-9]{36}", any),
    ("pypi-token", &["pypi-"], r"\bpypi-[A-Za-z0-9_-]{50,}", any),
    ("cargo-token", &["cio"], r"\bcio[A-Za-z0-9]{32}\b", has_digit),
    ("rubygems-token", &["rubygems_"], r"\brubygems_[a-f0-9]{48}", any),
    ("docker-token", &["dckr_"], r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", any),
    ("vault-token", &["hvs.", "hvb.", "hvr."], r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}", any),
    ("terraform-token", &[".atlasv1."], r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}", any),
    ("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], r"\bdo[opr]_v1_[a-f0-9]{64}", any),
    ("sendgrid-key", &["sg."], r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", any),
    ("twilio-key", &["sk"], r"\bSK[0-9a-fA-F]{32}\b", any),
    ("mailgun-key", &["key-"], r"\bkey-[0-9a-f]{32}\b", any),
    ("mailchimp-key", &["-us"], r"\b[0-9a-f]{32}-us\d{1,2}\b", any),
    ("shopify-token", &["shpat_", "shpca_", "shppa_", "shpss_"], r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", any),
    ("square-token", &["sq0", "eaaa"], r"\b(?:sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})", any),
    ("huggingface-token", &["hf_"], r"\bhf_[A-Za-z0-9]{30,}", any),
    ("databricks-token", &["dapi"], r"\bdapi[a-f0-9]{32}(?:-\d)?\b", any),
    (
        "grafana-token",
        &["glsa_", "glc_", "eyjrijoi"],
        r"\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/=]{32,}|eyJrIjoi[A-Za-z0-9+/=]{30,})",
        any,
    ),
    ("newrelic-key", &["nrak-", "nrjs-", "nral"], r"\b(?:NRAK-[A-Z0-9]{27}|NRJS-[a-f0-9]{19}|[a-f0-9]{36}NRAL)\b", any),
    ("sentry-token", &["sntrys_", "sntryu_"], r"\bsntry[su]_[A-Za-z0-9+/=_-]{30,}", any),
    ("linear-key", &["lin_api_"], r"\blin_api_[A-Za-z0-9]{40}", any),
    ("notion-token", &["ntn_", "secret_"], r"\b(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})\b", any),
    ("doppler-token", &["dp."], r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}", any),
    ("postman-key", &["pmak-"], r"\bPMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34}", any),
    (
        "atlassian-token",
        &["atatt3", "atctt3", "atbb"],
        r"\b(?:AT(?:ATT|CTT)3[A-Za-z0-9_=-]{40,}|ATBB[A-Za-z0-9]{28,})",
        any,
    ),
    ("airtable-token", &["pat"], r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", any),
    ("alibaba-key", &["ltai"], r"\bLTAI[A-Za-z0-9]{12,26}\b", has_digit),
    ("tencent-key", &["akid"], r"\bAKID[A-Za-z0-9]{32}\b", any),
    ("azure-secret", &["8q~"], r"[A-Za-z0-9_.~-]{3}8Q~[A-Za-z0-9_.~-]{31,34}", any),
    ("circleci-token", &["ccipat_", "cciprj_"], r"\bCCI(?:PAT|PRJ)_[A-Za-z0-9_]{20,}", any),
    (
        "cloudflare-token",
        &["v1.0-", "cfut_", "cfat_"],
        r"\b(?:v1\.0-[a-f0-9]{20,}-[a-f0-9]{100,}|cf[ua]t_[A-Za-z0-9_-]{40,})",
        any,
    ),
    ("dropbox-token", &["sl."], r"\bsl\.(?:u\.)?[A-Za-z0-9_-]{100,}", any),
    ("dynatrace-token", &["dt0"], r"\bdt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}", any),
    ("figma-token", &["figd_", "figo_"], r"\bfig[do]_[A-Za-z0-9_-]{30,}", any),
    ("fly-token", &["fo1_", "fm1", "fm2_"], r"\b(?:fo1_[A-Za-z0-9_-]{40,}|fm(?:1[ar]|2)_[A-Za-z0-9+/=,_-]{60,})", any),
    ("groq-key", &["gsk_"], r"\bgsk_[A-Za-z0-9]{40,}", any),
    ("heroku-key", &["hrku-"], r"\bHRKU-[A-Za-z0-9_-]{30,}", any),
    ("hubspot-token", &["pat-"], r"\bpat-(?:na|eu|ap)\d-[a-f0-9]{8}-[a-f0-9-]{27}\b", any),
    ("jfrog-token", &["akcp", "cmvmd"], r"\b(?:AKCp[A-Za-z0-9]{60,}|cmVmdGtuO[A-Za-z0-9+/=]{40,})", any),
    (
        "launchdarkly-key",
        &["sdk-", "api-", "mob-"],
        r"\b(?:sdk|api|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b",
        any,
    ),
    ("mapbox-token", &["sk.ey", "tk.ey"], r"\b[st]k\.ey[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{15,}", any),
    ("netlify-token", &["nfp_", "nfc_"], r"\bnf[pc]_[A-Za-z0-9]{36,}", any),
    ("okta-token", &["ssws"], r"(?i)\bssws\s{1,3}(?P<s>00[A-Za-z0-9_-]{38,42})", any),
    ("onepassword-token", &["ops_ey"], r"\bops_eyJ[A-Za-z0-9+/=_-]{100,}", any),
    ("perplexity-key", &["pplx-"], r"\bpplx-[A-Za-z0-9]{40,}", any),
    ("planetscale-token", &["pscale_"], r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9=._-]{30,}", any),
    ("prefect-key", &["pnu_", "pnb_"], r"\bpn[ub]_[A-Za-z0-9]{36}\b", any),
    ("pulumi-token", &["pul-"], r"\bpul-[a-f0-9]{40}\b", any),
    ("render-key", &["rnd_"], r"\brnd_[A-Za-z0-9]{24,}\b", has_digit),
    ("replicate-token", &["r8_"], r"\br8_[A-Za-z0-9]{37,}\b", any),
    ("sonar-token", &["squ_", "sqp_", "sqa_"], r"\bsq[upa]_[a-f0-9]{40}\b", any),
    ("supabase-token", &["sbp_", "sb_secret_"], r"\b(?:sbp_(?:v0_)?[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})", any),
    ("tailscale-key", &["tskey-"], r"\btskey-[a-z]{3,8}-[A-Za-z0-9]{8,}(?:-[A-Za-z0-9]{8,})?", any),
    ("xai-key", &["xai-"], r"\bxai-[A-Za-z0-9]{60,}", any),
    (
        "yandex-token",
        &["y0_", "aqvn", "t1."],
        r"\b(?:y0_[A-Za-z0-9_-]{50,}|AQVN[A-Za-z0-9_-]{35,38}|t1\.[A-Z0-9a-z_-]{40,}\.[A-Z0-9a-z_-]{80,})",
        any,
    ),
    (
        "password-hash",
        &["$2", "$5$", "$6$", "$y$", "$argon2", "$apr1$", "scram-sha-256$"],
        r"(?:\$(?:2[abxy]?\$\d\d|[56]|y|apr1|argon2(?:id|i|d))\$[A-Za-z0-9./,=+$-]{20,}|SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=:$]{40,})",
        any,
    ),
    ("otp-seed", &["otpauth://"], r"(?i)otpauth://[^\s]{1,200}[?&]secret=(?P<s>[A-Z2-7]{16,})", any),
    (
        "wireguard-key",
        &["privatekey", "presharedkey"],
        r"(?i)\b(?:private|preshared)key\s{0,3}=\s{0,3}(?P<s>[A-Za-z0-9+/]{43}=)",
        any,
    ),
    (
        "registry-auth",
        &["\"auth", "_auth"],
        r#"(?i)(?:\\{0,2}"auth\\{0,2}"\s{0,3}:\s{0,3}\\{0,2}"|_auth(?:token)?\s{0,3}=\s{0,3}["']?)(?P<s>[A-Za-z0-9+/=_.-]{8,})"#,
        |value| !is_benign(value),
    ),
    (
        // An issued key of a vendor that marks it only by the name in front: hexadecimal, so that nothing else tells.
        "vendor-key",
        &[
            "datadog",
            "dd_api",
            "dd_app",
            "dd-api",
            "dd-application",
            "newrelic",
            "rollbar",
            "cloudflare",
            "linode",
            "opsgenie",
            "snyk",
            "splunk",
            "fastly",
            "honeycomb",
            "consul",
            "nomad",
        ],
        r#"(?i)(?:datadog|dd|newrelic|rollbar|cloudflare|linode|opsgenie|snyk|splunk|fastly|honeycomb|consul|nomad)[a-z0-9._-]{0,20}(?:key|token|secret)["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\\]{0,3}(?P<s>[A-Za-z0-9_-]{16,128})\b"#,
        |value| !is_benign(value) && has_digit(value),
    ),
    ("telegram-token", &[":aa"], r"\b\d{8,10}:AA[A-Za-z0-9_-]{32,34}\b", any),
    (
        "pagerduty-key",
        &["pagerduty", "routing_key", "integration_key"],
        r#"(?i)(?:pagerduty.{0,20}|(?:routing|integration)_?key)["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\\]{0,3}(?P<s>[A-Za-z0-9_+-]{20,32})\b"#,
        any,
    ),
    (
        "azure-key",
        &["accountkey=", "sharedaccesskey=", "sharedaccesssignature", "sig="],
        r"(?i)(?:(?:AccountKey|SharedAccessKey)=(?P<s>[A-Za-z0-9+/]{20,}={0,2})|[?&;]sig=(?P<t>[A-Za-z0-9%+/=_-]{20,}))",
        any,
    ),
    (
        "url-password",
        &["://"],
        r#"\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@"'<>]{0,128}:(?P<s>[^\s/@"'<>]{1,256})@"#,
        |value| !is_benign(value),
    ),
    ("url-token", &["://"], r"\bhttps?://(?P<s>[A-Za-z0-9_-]{20,128})@[A-Za-z0-9.-]", has_digit),
    ("bearer", &["bearer"], r#"(?i)\bbearer["'\\]{0,2}[\s:=]{1,3}(?P<s>[A-Za-z0-9._~+/=-]{8,})"#, looks_issued),
    ("basic-auth", &["basic"], r"(?i)\bbasic\s{1,3}(?P<s>[A-Za-z0-9+/]{6,}={0,2})", looks_base64),
    (
        "auth-header",
        &[
            "authorization",
            "x-api-key",
            "x-auth-token",
            "x-access-token",
            "x-vault-token",
            "private-token",
            "x-amz-security-token",
            "proxy-authorization",
        ],
        r#"(?i)\b(?:proxy-)?(?:authorization|x-api-key|x-auth-token|x-access-token|x-vault-token|private-token|x-amz-security-token)["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\[\\]{0,3}(?:(?:basic|bearer|token|apikey|digest|negotiate|aws4-hmac-sha256|splunk|key)\s{1,3})?(?P<s>[^\s"',;\]\\}]{6,})"#,
        |value| !is_benign(value) && !is_scheme(value),
    ),
    (
        "cookie",
        &["cookie"],
        r#"(?i)\b(?:set-)?cookie["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\[\\]{0,3}(?P<s>[A-Za-z0-9_.$%-]{1,80}=[^"'\n\]\\]{4,4096})"#,
        any,
    ),
    (
        "session",
        &["sessionid", "session_id", "sessid", "connect.sid", "csrftoken", "xsrf-token"],
        r#"(?i)\b(?:jsessionid|phpsessid|asp\.net_sessionid|sessionid|session_id|sessid|connect\.sid|csrftoken|xsrf-token)["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\\]{0,3}(?P<s>[A-Za-z0-9%._~+/=-]{12,})"#,
        |value| !is_benign(value),
    ),
    (
        "kubeconfig",
        &["client-key-data", "client-certificate-data"],
        r#"(?i)client-(?:key|certificate)-data["'\\]{0,3}\s{0,3}[:=]\s{0,3}["'\\]{0,3}(?P<s>[A-Za-z0-9+/=]{16,})"#,
        any,
    ),
];

/// Shapes first, then what stands in commands and documents.
fn all_rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(COMMANDS).chain(DOCUMENTS)
}

/// The compiled rules.
pub(super) struct Rules {
    all: Vec<Rule>,
    keywords: AhoCorasick,
    /// For each keyword, the rules it wakes.
    wakes: Vec<Vec<usize>>,
}

/// The rules, compiled on first use.
pub(super) fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(Rules::compile)
}

impl Rules {
    fn compile() -> Self {
        let mut words: Vec<&str> = all_rows().flat_map(|row| row.1.iter().copied()).collect();
        words.sort_unstable();
        words.dedup();
        let wakes = words
            .iter()
            .map(|word| all_rows().enumerate().filter(|(_, row)| row.1.contains(word)).map(|(at, _)| at).collect())
            .collect();
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            // A table of all transitions takes longer to build than the texts of a pack take to search.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&words)
            .expect("the keywords are a small constant list");
        let rules = all_rows()
            .map(|(kind, _, source, accept)| Rule { kind, pattern: OnceLock::new(), source, accept: *accept })
            .collect();
        Self { all: rules, keywords, wakes }
    }

    /// All secrets that a rule knows; may overlap.
    pub(super) fn find(&self, text: &str) -> Vec<Found> {
        let mut awake = vec![false; self.all.len()];
        for word in self.keywords.find_overlapping_iter(text) {
            for &rule in &self.wakes[word.pattern().as_usize()] {
                awake[rule] = true;
            }
        }
        let mut found = Vec::new();
        for (order, rule) in self.all.iter().enumerate().filter(|(order, _)| awake[*order]) {
            for groups in rule.pattern().captures_iter(text) {
                let Some(secret) = ["s", "t", "u"].iter().find_map(|name| groups.name(name)).or_else(|| groups.get(0))
                else {
                    continue;
                };
                if !secret.is_empty() && (rule.accept)(secret.as_str()) {
                    found.push(Found { start: secret.start(), end: secret.end(), kind: rule.kind, order });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for rule in &rules().all {
            assert!(rule.pattern().captures_len() > 0, "{}", rule.kind);
        }
    }
}
