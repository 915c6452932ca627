//! A real PostgreSQL for tests: its own cluster in a temporary folder, reached by a unix socket only.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use stanch::ledger::MIGRATION;
use tempfile::TempDir;

/// PostgreSQL refuses to run as root; this is `nobody` on Debian and Ubuntu.
pub(crate) const NOBODY: u32 = 65_534;

/// A running server.
pub(crate) struct Postgres {
    child: Child,
    folder: TempDir,
    databases: AtomicUsize,
}

impl Postgres {
    /// Starts one that syncs to disk, with the people `alice` and `bob` who may write ledgers and `auditor` who may read.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // Other accounts reach the socket in it; the data has its own rights.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder is ours");
        let root = rustix::process::geteuid().is_root();
        if root {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root gives files away");
        }
        let made = command(folder.path(), "initdb")
            .args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let child = serve(folder.path());
        let mut server = Self { child, folder, databases: AtomicUsize::new(0) };
        server.ready().await;
        server.sql("postgres", "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE auditor LOGIN").await;
        server
    }

    async fn ready(&mut self) {
        let ready = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                assert!(self.child.try_wait().is_ok_and(|ended| ended.is_none()), "postgres ended: {}", self.log());
                if self.options("postgres", "postgres").connect().await.is_ok() {
                    break;
                }
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), ready).await.is_ok(), "not ready: {}", self.log());
    }

    /// Ends it as a crash would, in the middle of whatever it does, and starts it again: it recovers from its log.
    pub(crate) async fn crash(&mut self) {
        self.end();
        self.child = serve(self.folder.path());
        self.ready().await;
    }

    /// Immediate shutdown: it ends its own processes and gives its shared memory back, which a kill would not, and
    /// writes nothing more.
    fn end(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        let _ = self.child.wait();
    }

    /// Makes a database with the migration applied, and returns its name.
    pub(crate) async fn ledger(&self) -> String {
        let name = self.empty_database().await;
        self.sql(&name, MIGRATION).await;
        self.sql(&name, "GRANT stanch_writer TO alice, bob; GRANT stanch_reader TO auditor").await;
        name
    }

    /// Makes an empty database, and returns its name.
    pub(crate) async fn empty_database(&self) -> String {
        let name = format!("ledger{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).await;
        name
    }

    /// URL of a database for a role.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.folder.path().display())
    }

    fn options(&self, role: &str, database: &str) -> PgConnectOptions {
        self.url(role, database).parse().expect("a URL")
    }

    /// A plain connection of a role.
    pub(crate) async fn connect(&self, role: &str, database: &str) -> PgConnection {
        self.options(role, database).connect().await.expect("the server listens")
    }

    /// Runs statements as the superuser.
    pub(crate) async fn sql(&self, database: &str, sql: &str) {
        let mut connection = self.connect("postgres", database).await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|why| panic!("{why}"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// One of the server's programs, as somebody who may run it.
fn command(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn serve(folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log file");
    command(folder, "postgres")
        .args(["-D", "data", "-c", "listen_addresses=", "-c", "max_connections=150", "-c"])
        .arg(format!("unix_socket_directories={}", folder.display()))
        .stderr(log)
        .spawn()
        .expect("postgres starts")
}

/// Debian keeps the server's programs in a folder for each version.
fn program(name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| Path::exists(path))
    };
    found.pop().or_else(on_path).unwrap_or_else(|| {
        panic!("cannot find `{name}`: install the package `postgresql` (Debian and Ubuntu: apt-get install postgresql)")
    })
}
