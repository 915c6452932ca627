//! What can be found on a machine where nothing is configured.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::config::Config;
use crate::core::model::{FirstRun, Found};

/// Ports on which the systems we talk to usually listen.
const PORTS: [(u16, &str, &str); 4] = [
    (9090, "Prometheus", "PROMETHEUS_URL"),
    (9093, "Alertmanager", "ALERTMANAGER_URL"),
    (3100, "Loki", "LOKI_ADDR"),
    (11434, "Ollama", "OLLAMA_HOST"),
];
/// A listener on this machine answers at once; the first screen must not wait for one that does not.
const PATIENCE: Duration = Duration::from_millis(20);

/// Looks at listening ports and the kubeconfig. Sends nothing to anybody.
pub(super) async fn look(config: &Config) -> FirstRun {
    let mut found = Vec::new();
    let probes = PORTS.map(|(port, what, variable)| async move {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listening = matches!(tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await, Ok(Ok(_)));
        listening.then(|| Found {
            what: format!("127.0.0.1:{port}"),
            hint: format!("something listens where {what} usually does: {variable}=http://127.0.0.1:{port} stanch"),
        })
    });
    found.extend(futures_util::future::join_all(probes).await.into_iter().flatten());
    for endpoint in &config.llm.endpoint {
        let hint = format!("model {} from the environment", endpoint.model);
        found.push(Found { what: endpoint.name.clone(), hint });
    }
    let kubeconfig = std::env::var_os("KUBECONFIG")
        .map(Into::into)
        .or_else(|| std::env::home_dir().map(|home| home.join(".kube/config")))
        .filter(|path: &std::path::PathBuf| path.exists());
    if let Some(path) = kubeconfig {
        found.push(Found {
            what: path.display().to_string(),
            hint: "kubeconfig: suggested kubectl commands act on its current context".into(),
        });
    }
    super::screens::first_run(found)
}
