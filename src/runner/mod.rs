//! Execution of one authorised command.
//!
//! May import `domain` and `gate` only. The one room that starts a process which may change something: directly, never
//! through a shell, with an absolute program whose file is checked again right before, a cleaned environment, no
//! standard input, a time-out, and its own process group, so that ending it ends what it started.

mod environment;
mod inputs;
mod output;
mod process;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::Text;
use crate::domain::action::{OutputLine, RunRequest, RunState};
use crate::gate::{Authorised, PROGRAM_DIRECTORIES};

/// What happens during a run. [`RunEvent::Ended`] comes last and exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// A line of output.
    Line(OutputLine),
    /// Lines left out so far, all in all: the bounds of [`Bounds`] were reached. What follows is the end of the
    /// output.
    Dropped(u64),
    /// Something about the run that is not its output.
    Note(Text),
    /// It is over.
    Ended(RunState),
}

/// Bounds of what is kept of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines from the beginning.
    pub lines: usize,
    /// Lines from the end, shown after the run.
    pub tail_lines: usize,
    /// Bytes from the beginning.
    pub bytes: usize,
    /// Bytes of one line; the rest of it is cut.
    pub line_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lines: 5_000, tail_lines: 200, bytes: 2 << 20, line_bytes: 16 << 10 }
    }
}

/// Where and how commands run.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// Directories in which programs are looked up, in order.
    pub directories: Vec<PathBuf>,
    /// Working directory of every run.
    pub cwd: PathBuf,
    /// The environment to take from; only names on the list get through.
    pub inherited: BTreeMap<String, String>,
    /// Bounds of the output.
    pub bounds: Bounds,
    /// Time between asking a process to end and ending it.
    pub patience: Duration,
}

impl RunnerSettings {
    /// From this process: its environment and working directory.
    pub fn of_this_process() -> Self {
        Self {
            directories: PROGRAM_DIRECTORIES.iter().map(PathBuf::from).collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            inherited: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            bounds: Bounds::default(),
            patience: Duration::from_secs(3),
        }
    }
}

/// Who asks for a run and in what connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunContext {
    /// The incident.
    pub incident: String,
    /// The action's id.
    pub action: String,
    /// Profile in use.
    pub profile: String,
    /// Who asks.
    pub actor: String,
    /// Hash of the policy in force.
    pub policy: String,
    /// Of a change, the files that it takes as instructions; none of a read, which runs whatever they hold.
    pub manifests: Option<Vec<String>>,
    /// Time after which it is ended.
    pub timeout: Duration,
}

/// Why a run cannot be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Nothing to run.
    #[error("there is no command")]
    Empty,
    /// The program is not installed where programs are looked up.
    #[error("{program} is not installed in any of {directories}")]
    NotFound {
        /// Its name.
        program: String,
        /// Where was looked.
        directories: String,
    },
    /// The program's file cannot be trusted or executed.
    #[error("{path} is not run: {why}")]
    NotRunnable {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The working directory is not there.
    #[error("the working directory {path} cannot be used: {why}")]
    Directory {
        /// The directory.
        path: String,
        /// Why.
        why: String,
    },
}

/// Runs authorised commands.
#[derive(Debug, Clone)]
pub struct Runner {
    settings: RunnerSettings,
    host: String,
}

impl Runner {
    /// A runner. Only `app` makes one.
    pub fn new(settings: RunnerSettings) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { settings, host }
    }

    /// Builds the exact request for `argv`, to be shown and confirmed: finds the program, hashes its file, cleans the
    /// environment. Runs nothing.
    pub async fn prepare(&self, argv: &[String], context: RunContext) -> Result<RunRequest, RunError> {
        let name = argv.first().filter(|name| !name.is_empty()).ok_or(RunError::Empty)?;
        let path = program::find(name, &self.settings.directories)?;
        let program_sha256 = program::sha256(&path).await?;
        let cwd = self.settings.cwd.display().to_string();
        match tokio::fs::metadata(&self.settings.cwd).await {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(RunError::Directory { path: cwd, why: "it is a file".to_owned() }),
            Err(error) => return Err(RunError::Directory { path: cwd, why: error.to_string() }),
        }
        let environment = environment::clean(&self.settings.inherited, &self.settings.directories);
        let files = match &context.manifests {
            None => Vec::new(),
            Some(given) => inputs::read(argv, given, &self.settings.cwd, &environment)
                .await
                .map_err(|why| RunError::NotRunnable { path: path.display().to_string(), why })?,
        };
        Ok(RunRequest {
            incident: context.incident,
            action: context.action,
            argv: argv.to_vec(),
            program: path.display().to_string(),
            program_sha256,
            files,
            cwd,
            env: environment::shown(&environment),
            host: self.host.clone(),
            profile: context.profile,
            actor: context.actor,
            policy: context.policy,
            timeout_seconds: context.timeout.as_secs().max(1),
        })
    }

    /// Runs it. Events come on the receiver; dropping the receiver or cancelling `cancel` ends the whole process
    /// group. The intent must be in the ledger before this is called.
    ///
    /// Needs a tokio runtime.
    pub fn start(&self, authorised: Authorised, cancel: CancellationToken) -> mpsc::Receiver<RunEvent> {
        let bounds = self.settings.bounds;
        // Room for everything that can be sent, so that a slow receiver never holds the process up.
        let (events, receiver) = mpsc::channel(bounds.lines + bounds.tail_lines + 128);
        let runner = self.clone();
        tokio::spawn(async move {
            let sink = output::Sink::new(events, bounds);
            runner.run(&authorised, cancel, sink).await;
        });
        receiver
    }

    async fn run(&self, authorised: &Authorised, cancel: CancellationToken, mut sink: output::Sink) {
        let state = match self.check(authorised.request()).await {
            Ok(environment) => {
                process::run(authorised.request(), &environment, self.settings.patience, &cancel, &mut sink).await
            }
            Err(why) => RunState::Failed { why },
        };
        sink.end(state);
    }

    /// Everything the digest speaks of, looked at once more. The result is the environment with its real values.
    async fn check(&self, request: &RunRequest) -> Result<BTreeMap<String, String>, String> {
        if request.host != self.host {
            return Err(format!("the request is for {}, this is {}", request.host, self.host));
        }
        if Path::new(&request.cwd) != self.settings.cwd {
            return Err("the working directory is another one than was shown".to_owned());
        }
        let environment = environment::clean(&self.settings.inherited, &self.settings.directories);
        if environment::shown(&environment) != request.env {
            return Err("the environment is another one than was shown".to_owned());
        }
        let name = request.argv.first().ok_or("there is no command")?;
        let path = program::find(name, &self.settings.directories).map_err(|error| error.to_string())?;
        if path.display().to_string() != request.program {
            return Err(format!("{name} is now {}, not {} as was shown", path.display(), request.program));
        }
        let sha256 = program::sha256(&path).await.map_err(|error| error.to_string())?;
        if sha256 != request.program_sha256 {
            return Err(format!("the file {} changed since it was shown", request.program));
        }
        if let Some(path) = inputs::changed(&request.files).await? {
            return Err(format!("the file {path} changed since it was shown"));
        }
        Ok(environment)
    }
}

#[cfg(test)]
mod tests;
