//! Real servers for tests: each on a free port of the loopback interface with a temporary folder, killed on drop.
//!
//! A missing binary fails the test and names the package: a test that silently skips proves nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a server may take until it is ready. It takes 0.3 s on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Prometheus that scrapes itself every second.
pub(crate) struct Prometheus {
    server: Server,
}

impl Prometheus {
    /// Starts one. `rules` is the text of a rule file, `openmetrics` the text (closed by `# EOF`) of a history that
    /// is there from the start, `alertmanager` the one to send alerts to.
    pub(crate) async fn start(
        rules: Option<&str>,
        openmetrics: Option<&str>,
        alertmanager: Option<&Alertmanager>,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut config = String::from("global: {scrape_interval: 1s, evaluation_interval: 1s}\n");
        if let Some(rules) = rules {
            write(folder.path(), "rules.yml", rules);
            config.push_str("rule_files: [rules.yml]\n");
        }
        if let Some(alertmanager) = alertmanager {
            let _ = writeln!(
                config,
                "alerting: {{alertmanagers: [{{api_version: v2, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]}}",
                alertmanager.server.port
            );
        }
        if let Some(openmetrics) = openmetrics {
            write(folder.path(), "history.om", openmetrics);
            let made = Command::new("promtool")
                .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet", "history.om", "data"])
                .current_dir(folder.path())
                .output()
                .unwrap_or_else(|why| missing("promtool", "prometheus", &why));
            assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
        }
        let server = Server::start(folder, "/-/ready", "200", |folder, port| {
            let scraped = format!(
                "{config}scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
            );
            write(folder, "prometheus.yml", &scraped);
            let mut command = Command::new("prometheus");
            command.args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--storage.tsdb.retention.time=100y",
                "--web.enable-lifecycle",
                "--enable-feature=native-histograms",
                "--rules.alert.resend-delay=1s",
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ]);
            (command, "prometheus")
        })
        .await;
        Self { server }
    }

    /// Starts one that speaks TLS only and wants a client certificate, with the files of `fixtures/tls`. It answers
    /// 503 until it is ready.
    pub(crate) async fn start_with_tls() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        write(folder.path(), "prometheus.yml", "");
        let tls = fixture("tls").display().to_string();
        let config = format!(
            "tls_server_config: {{cert_file: {tls}/server.pem, key_file: {tls}/server.key, client_ca_file: {tls}/ca.pem, \
             client_auth_type: RequireAndVerifyClientCert}}\n"
        );
        write(folder.path(), "web.yml", &config);
        // Plain HTTP is refused with 400 once it listens.
        let server = Server::start(folder, "/-/ready", "400", |_, port| {
            let mut command = Command::new("prometheus");
            command.args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--web.config.file=web.yml",
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ]);
            (command, "prometheus")
        })
        .await;
        Self { server }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

/// Path of a file or folder below `fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/fixtures").join(name)
}

/// A running Alertmanager that groups by alert name, waits for nothing and notifies nobody.
pub(crate) struct Alertmanager {
    server: Server,
}

impl Alertmanager {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        write(
            folder.path(),
            "alertmanager.yml",
            "route: {receiver: nobody, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n\
             receivers: [{name: nobody}]\n",
        );
        let server = Server::start(folder, "/-/ready", "200", |_, port| {
            let mut command = Command::new("prometheus-alertmanager");
            command.args([
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                "--cluster.listen-address=",
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ]);
            (command, "prometheus-alertmanager")
        })
        .await;
        Self { server }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

/// A process with its folder.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Starts what `command` describes (it is given the folder and the port, and returns the package's name too) and
    /// waits until `path` answers `status`.
    pub(crate) async fn start(
        folder: TempDir,
        path: &str,
        status: &str,
        command: impl Fn(&Path, u16) -> (Command, &'static str),
    ) -> Self {
        let mut said = String::new();
        // Between choosing a free port and listening on it another process may take it.
        for _ in 0..3 {
            let port = free_port();
            let (mut command, package) = command(folder.path(), port);
            let log = File::create(folder.path().join("log")).expect("a log file");
            let mut child = command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap_or_else(|why| missing(package, package, &why));
            if ready(&mut child, port, path, status).await {
                return Self { child, port, _folder: folder };
            }
            let _ = child.kill();
            let _ = child.wait();
            said = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        }
        panic!("the server did not become ready; it said:\n{said}");
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nothing listens on at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the address of a bound socket").port()
}

/// Polls until the server answers `status` on `path`; false when it ended or the deadline passed.
async fn ready(child: &mut Child, port: u16, path: &str, status: &str) -> bool {
    let poll = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            if answers(port, path, status).await.unwrap_or(false) {
                return true;
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, poll).await.unwrap_or(false)
}

async fn answers(port: u16, path: &str, status: &str) -> std::io::Result<bool> {
    let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.ends_with(status.as_bytes()))
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file in the temporary folder");
}

fn missing(program: &str, package: &str, why: &std::io::Error) -> ! {
    panic!(
        "cannot run `{program}` ({why}): install the package `{package}` (Debian and Ubuntu: apt-get install {package})"
    )
}

#[tokio::test]
async fn the_servers_start_and_are_told_apart_by_their_urls() {
    let alertmanager = Alertmanager::start().await;
    let history = "# TYPE old_requests counter\nold_requests_total{job=\"x\"} 1 1500000000\n\
                   old_requests_total{job=\"x\"} 4 1500000060\n# EOF\n";
    let prometheus = Prometheus::start(None, Some(history), Some(&alertmanager)).await;
    assert_ne!(alertmanager.url(), prometheus.url());
}
