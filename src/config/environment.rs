//! What people already have in their environment.

use crate::domain::settings::{Auth, EndpointSettings, Protocol, SecretRef, SourceSettings};

use super::{Config, ENVIRONMENT_PROFILE, Profile};

impl Config {
    /// Adds the sources and end points that environment variables name, unless the files configured their own.
    /// `lookup` returns a variable's value; empty values count as unset.
    #[must_use]
    pub fn with_environment(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        if self.profile.is_empty() {
            // Where the system has a file, what it does not define is critical.
            let profile = Profile { critical: self.system.present, ..profile(&get) };
            if profile.has_sources() {
                self.profile.insert(ENVIRONMENT_PROFILE.to_owned(), profile);
            }
        }
        if self.llm.endpoint.is_empty() {
            self.llm.endpoint = endpoints(&get);
            if self.llm.endpoint.is_empty() {
                self.llm.half_set = half_set(&get);
            }
        }
        self
    }
}

fn profile(get: &impl Fn(&str) -> Option<String>) -> Profile {
    let loki = get("LOKI_ADDR").map(|url| {
        let mut settings = SourceSettings::new(&url);
        settings.tenant = get("LOKI_ORG_ID");
        settings.ca = get("LOKI_CA_CERT_PATH").map(Into::into);
        settings.proxy = get("LOKI_HTTP_PROXY_URL");
        settings.auth = match (get("LOKI_USERNAME"), get("LOKI_BEARER_TOKEN"), get("LOKI_BEARER_TOKEN_FILE")) {
            (Some(username), _, _) if get("LOKI_PASSWORD").is_some() => {
                Some(Auth::Basic { username, password: SecretRef::Env("LOKI_PASSWORD".into()) })
            }
            (_, Some(_), _) => Some(Auth::Bearer(SecretRef::Env("LOKI_BEARER_TOKEN".into()))),
            (_, _, Some(path)) => Some(Auth::Bearer(SecretRef::File(path.into()))),
            _ => None,
        };
        settings
    });
    Profile {
        prometheus: get("PROMETHEUS_URL").map(|url| SourceSettings::new(&url)),
        alertmanager: get("ALERTMANAGER_URL").map(|url| SourceSettings::new(&url)),
        loki,
        ..Profile::default()
    }
}

fn endpoints(get: &impl Fn(&str) -> Option<String>) -> Vec<EndpointSettings> {
    let endpoint = |name: &str, protocol, model: String, url, key: Option<&str>| EndpointSettings {
        url,
        key: key.map(|variable| SecretRef::Env(variable.to_owned())),
        ..EndpointSettings::new(name, protocol, &model)
    };
    let mut found = Vec::new();
    // A model must be named: guessing one would send production text to a model nobody chose.
    if let Some(model) = get("ANTHROPIC_MODEL")
        && get("ANTHROPIC_API_KEY").is_some()
    {
        let url = get("ANTHROPIC_BASE_URL");
        found.push(endpoint("anthropic", Protocol::Anthropic, model, url, Some("ANTHROPIC_API_KEY")));
    }
    if let Some(model) = get("OPENAI_MODEL")
        && (get("OPENAI_API_KEY").is_some() || get("OPENAI_BASE_URL").is_some())
    {
        let key = get("OPENAI_API_KEY").map(|_| "OPENAI_API_KEY");
        found.push(endpoint("openai", Protocol::OpenaiChat, model, get("OPENAI_BASE_URL"), key));
    }
    if let Some(model) = get("GEMINI_MODEL")
        && let Some(key) = ["GEMINI_API_KEY", "GOOGLE_API_KEY"].into_iter().find(|name| get(name).is_some())
    {
        found.push(endpoint("gemini", Protocol::Gemini, model, get("GOOGLE_GEMINI_BASE_URL"), Some(key)));
    }
    if let (Some(host), Some(model)) = (get("OLLAMA_HOST"), get("OLLAMA_MODEL")) {
        found.push(endpoint("ollama", Protocol::Ollama, model, Some(ollama_url(&host)), None));
    }
    found
}

/// End points of which some variables are set and one is missing.
fn half_set(get: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    // The model, and the variables of which one must be set with it. A host of Ollama without a model is common, and
    // says that one is wanted here no more than a key does: it is told like the others.
    let kinds: [(&str, &[&str]); 4] = [
        ("ANTHROPIC_MODEL", &["ANTHROPIC_API_KEY"]),
        ("OPENAI_MODEL", &["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
        ("GEMINI_MODEL", &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
        ("OLLAMA_MODEL", &["OLLAMA_HOST"]),
    ];
    let half = kinds.into_iter().filter_map(|(model, others)| {
        let other = others.iter().find(|name| get(name).is_some());
        match (get(model).is_some(), other) {
            (false, Some(other)) => Some(format!("{other} is set and {model} is not: set {model} to the model to ask")),
            (true, None) => Some(format!("{model} is set and {} is not: set it, too", others.join(" or "))),
            _ => None,
        }
    });
    half.collect()
}

/// The variable holds what the server listens on, too: `0.0.0.0`, `:11434`, a name without a port.
fn ollama_url(host: &str) -> String {
    if host.contains("://") {
        return host.to_owned();
    }
    let host = host.trim_end_matches('/');
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port),
        _ => (host, "11434"),
    };
    let name = if matches!(name, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { name };
    format!("http://{name}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_makes_a_profile_when_the_files_have_none() {
        let config = Config::default().with_environment(lookup(&[
            ("PROMETHEUS_URL", "http://p:9090"),
            ("LOKI_ADDR", "http://l:3100"),
            ("LOKI_ORG_ID", "shop"),
            ("LOKI_USERNAME", "u"),
            ("LOKI_PASSWORD", "x"),
        ]));
        let (name, profile) = config.select(None).unwrap().unwrap();
        assert_eq!(name, ENVIRONMENT_PROFILE);
        assert_eq!(profile.prometheus.unwrap().url, "http://p:9090");
        let loki = profile.loki.unwrap();
        assert_eq!(loki.tenant.as_deref(), Some("shop"));
        assert!(matches!(loki.auth, Some(Auth::Basic { .. })));
    }

    #[test]
    fn no_model_is_guessed() {
        let config = Config::default().with_environment(lookup(&[("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")]));
        assert!(config.llm.endpoint.is_empty());
        assert!(
            config.llm.half_set.iter().any(|said| said.starts_with("OPENAI_API_KEY is set and OPENAI_MODEL is not"))
        );
        assert_eq!(config.llm.half_set.len(), 2);
        let config = Config::default().with_environment(lookup(&[("GEMINI_MODEL", "m")]));
        assert!(
            config.llm.half_set[0].contains("GEMINI_API_KEY or GOOGLE_API_KEY is not"),
            "{:?}",
            config.llm.half_set
        );
        let config = Config::default().with_environment(lookup(&[("OLLAMA_HOST", "box:11434"), ("OLLAMA_MODEL", "m")]));
        assert_eq!(config.llm.endpoint[0].url.as_deref(), Some("http://box:11434"));
        assert_eq!(config.llm.endpoint[0].protocol, Protocol::Ollama);
        let config = Config::default().with_environment(lookup(&[("GOOGLE_API_KEY", "k"), ("GEMINI_MODEL", "m")]));
        assert_eq!(config.llm.endpoint[0].key, Some(SecretRef::Env("GOOGLE_API_KEY".into())));
    }

    #[test]
    fn ollamas_address_is_read_as_it_reads_it() {
        let urls = [
            ("box", "http://box:11434"),
            ("box:80", "http://box:80"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            (":9", "http://127.0.0.1:9"),
            ("[::1]", "http://[::1]:11434"),
            ("https://box/", "https://box/"),
        ];
        for (host, url) in urls {
            assert_eq!(ollama_url(host), url, "{host}");
        }
    }
}
