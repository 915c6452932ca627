//! The program as a person starts it: its own home, nothing of the environment but what a test sets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use stanch::domain::Timestamp;
use stanch::sources::{bundle, demo};
use tempfile::TempDir;

/// A user with a home.
pub(crate) struct Program {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// What the program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().expect("a temporary folder"), variables: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The ledger, once something was written.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.home.path().join(".local/state/stanch/ledger.db")
    }

    /// Writes a file below the home and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("the home is writable");
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.current_dir(self.home.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().expect("the program starts"))
    }

    /// Runs with `--json`; the answer must be exactly one JSON document.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.insert(0, "--json");
        let said = self.run(&all);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        said.document()
    }
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as the one JSON document it must be.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document ({error}): {}{}", self.stdout, self.stderr))
    }
}

/// The demo's incident, written as a bundle below `folder`.
pub(crate) fn demo_bundle(folder: &Path) -> PathBuf {
    let path = folder.join("demo");
    bundle::write(&path, &demo::parts(Timestamp::from_secs(1_800_000_000)), true).expect("the demo is written");
    path
}
