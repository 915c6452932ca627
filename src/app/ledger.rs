//! Opening the ledger that the configuration names: a SQLite file, or a PostgreSQL database.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{self, state_dir};
use crate::domain::settings::Secrets;
use crate::ledger::{Ledger, LedgerError, PostgresLedger, SqliteLedger};

use super::failure::Failure;

/// Where a ledger lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, by its URL without a password.
    Database(String),
}

/// Where the ledger lies by this configuration.
pub fn place(config: &config::Ledger) -> Result<Place, Failure> {
    match (&config.path, &config.url) {
        (Some(_), Some(_)) => {
            Err(Failure::usage("`ledger.path` and `ledger.url` are two ledgers: there can be only one"))
        }
        (Some(path), None) => Ok(Place::File(path.clone())),
        (None, Some(url)) if has_password(url) => {
            Err(Failure::usage("a password does not belong into `ledger.url`: name its place in `ledger.password`"))
        }
        (None, Some(url)) => Ok(Place::Database(url.clone())),
        (None, None) => state_dir().map(|folder| Place::File(folder.join("ledger.db"))).ok_or_else(|| {
            Failure::usage(
                "there is no home for the ledger: set HOME or XDG_STATE_HOME, or `ledger.path` in the configuration",
            )
        }),
    }
}

/// Whether the user part of a URL carries a password.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let in_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_user || url.contains("?password=") || url.contains("&password=")
}

/// Opens the ledger for reading and writing; makes the file when there is none.
pub async fn open(config: &config::Ledger, secrets: &dyn Secrets) -> Result<Arc<dyn Ledger>, Failure> {
    match place(config)? {
        Place::File(path) => Ok(Arc::new(SqliteLedger::open(path).await.map_err(|error| failed(&error))?)),
        Place::Database(url) => Box::pin(database(config, &url, secrets)).await,
    }
}

/// Opens the ledger for reading. `None` when it is a file that is not there yet.
pub async fn open_for_reading(
    config: &config::Ledger,
    secrets: &dyn Secrets,
) -> Result<Option<Arc<dyn Ledger>>, Failure> {
    match place(config)? {
        Place::File(path) if !path.exists() => Ok(None),
        Place::File(path) => {
            Ok(Some(Arc::new(SqliteLedger::open_read_only(path).await.map_err(|error| failed(&error))?)))
        }
        Place::Database(url) => Box::pin(database(config, &url, secrets)).await.map(Some),
    }
}

async fn database(config: &config::Ledger, url: &str, secrets: &dyn Secrets) -> Result<Arc<dyn Ledger>, Failure> {
    let password = match &config.password {
        Some(secret) => Some(
            secrets.fetch(secret).await.map_err(|why| Failure::failed(format!("the password of the ledger: {why}")))?,
        ),
        None => None,
    };
    Ok(Arc::new(PostgresLedger::open(url, password.as_deref()).await.map_err(|error| failed(&error))?))
}

fn failed(error: &LedgerError) -> Failure {
    Failure::failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_and_no_password_in_it() {
        let url = |url: &str| config::Ledger { url: Some(url.into()), ..config::Ledger::default() };
        assert!(matches!(place(&url("postgres://stanch@db:5432/ledger")), Ok(Place::Database(_))));
        assert!(matches!(place(&url("postgres:///ledger?host=/run/postgresql")), Ok(Place::Database(_))));
        assert!(place(&url("postgres://stanch:secret@db/ledger")).is_err());
        assert!(place(&url("postgres://db/ledger?user=x&password=y")).is_err());
        let both = config::Ledger { path: Some("x".into()), ..url("postgres://db/ledger") };
        assert!(place(&both).is_err());
    }
}
