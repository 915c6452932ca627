//! The ledger in PostgreSQL: one chain for several people on several hosts.
//!
//! The tables and their rights come from [`MIGRATION`]; this store never makes or changes tables itself, and needs no
//! right to. One writer at a time holds an advisory lock for the length of its transaction, so that the head it read
//! is the head it continues; a writer that does not take the lock is stopped by the key and a trigger.

use std::str::FromStr as _;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, Postgres, QueryBuilder, Row as _};

use super::chain::{PAIRS, Row, Walk, closed_intent, payload_of, to_i64};
use super::{Filter, GENESIS, Head, Ledger, LedgerError};
use crate::domain::ledger::{ChainReport, Draft, Entry};

/// The migration that an administrator applies once: tables, triggers and two roles.
pub const MIGRATION: &str = include_str!("../../config/ledger-postgres.sql");

/// Version of the tables, kept in `stanch.format`.
const FORMAT: i64 = 1;

/// How long a connection may take, and how long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most connections of one handle.
const CONNECTIONS: u32 = 4;

/// Takes the lock of all writers with the transaction itself: `stan` in ASCII twice.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(8314037903309005166)";

const COLUMNS: &str = "SELECT seq, at, kind, incident, actor, payload, prev_hash, hash, intent FROM stanch.entries";

/// A ledger in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresLedger {
    place: String,
    pool: PgPool,
}

impl PostgresLedger {
    /// Connects to the database at `url` (`postgres://USER@HOST/DATABASE`, or `postgres:///DATABASE?host=/FOLDER` for a
    /// socket). A server on another host is spoken to with TLS and its certificate is checked, unless `sslmode` says
    /// otherwise. Fails when the tables are not there or when the server does not sync to disk.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, LedgerError> {
        let unreadable = |_| LedgerError::Io {
            path: "of the configuration".into(),
            what: "its url cannot be read: expected postgres://USER@HOST/DATABASE".into(),
        };
        let mut options = PgConnectOptions::from_str(url).map_err(unreadable)?.application_name("stanch");
        let local = options.get_socket().is_some()
            || matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1")
            || options.get_host().starts_with('/');
        if !local && !url.contains("sslmode=") && !url.contains("ssl-mode=") {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(password) = password {
            options = options.password(password);
        }
        let options = options.disable_statement_logging().options([("lock_timeout", "10s")]);
        let host =
            options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let place = format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // Where the server is told to acknowledge before it syncs, it is told otherwise for us.
            .after_connect(|connection, _| Box::pin(sync_on_commit(connection)))
            .connect_with(options)
            .await
            .map_err(|error| explain(&place, &error))?;
        let ledger = Self { place, pool };
        ledger.check().await?;
        Ok(ledger)
    }

    /// Closes all connections; what was appended is on disk already.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn explain(&self, error: &sqlx::Error) -> LedgerError {
        explain(&self.place, error)
    }

    async fn check(&self) -> Result<(), LedgerError> {
        let row = sqlx::query("SELECT max(version)::bigint, current_setting('fsync') FROM stanch.format")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.explain(&error))?;
        let found: Option<i64> = row.try_get(0).map_err(|error| self.explain(&error))?;
        let fsync: String = row.try_get(1).map_err(|error| self.explain(&error))?;
        match found {
            None => Err(LedgerError::NotSetUp(self.place.clone())),
            Some(found) if found > FORMAT => Err(LedgerError::Newer { path: self.place.clone(), found, known: FORMAT }),
            Some(_) if fsync != "on" => Err(LedgerError::NotDurable(self.place.clone())),
            Some(_) => Ok(()),
        }
    }

    async fn append_now(&self, draft: Draft) -> Result<Entry, LedgerError> {
        let payload = payload_of(&draft)?;
        let mut connection = self.pool.acquire().await.map_err(|error| self.explain(&error))?;
        let row = append_row(&mut connection, &draft, payload).await.map_err(|error| self.explain(&error))?;
        // As stored, so that what is returned is what will be read.
        row.into_entry(&self.place)
    }

    async fn writable_now(&self) -> Result<(), LedgerError> {
        let row = sqlx::query(
            "SELECT has_column_privilege('stanch.entries', 'hash', 'INSERT') \
             AND current_setting('transaction_read_only') = 'off'",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.explain(&error))?;
        let writable: bool = row.try_get(0).map_err(|error| self.explain(&error))?;
        if writable { Ok(()) } else { Err(LedgerError::ReadOnly(self.place.clone())) }
    }

    async fn entries_now(&self, filter: Filter) -> Result<Vec<Entry>, LedgerError> {
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push(" WHERE seq > ").push_bind(filter.after.map_or(0, to_i64));
        if let Some(incident) = filter.incident {
            query.push(" AND incident = ").push_bind(incident);
        }
        if !filter.kinds.is_empty() {
            query.push(" AND kind IN (");
            let mut list = query.separated(", ");
            for kind in filter.kinds {
                list.push_bind(kind.word());
            }
            query.push(")");
        }
        query.push(if filter.newest { " ORDER BY seq DESC LIMIT " } else { " ORDER BY seq LIMIT " });
        query.push_bind(to_i64(filter.limit.min(Filter::MAX_LIMIT) as u64));
        let rows = query.build().fetch_all(&self.pool).await.map_err(|error| self.explain(&error))?;
        let mut entries = rows.iter().map(|row| self.entry_of(row)).collect::<Result<Vec<_>, _>>()?;
        if filter.newest {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn entry_now(&self, seq: u64) -> Result<Option<Entry>, LedgerError> {
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push(" WHERE seq = ").push_bind(to_i64(seq));
        let row = query.build().fetch_optional(&self.pool).await.map_err(|error| self.explain(&error))?;
        row.as_ref().map(|row| self.entry_of(row)).transpose()
    }

    fn entry_of(&self, row: &PgRow) -> Result<Entry, LedgerError> {
        stored(row).map_err(|error| self.explain(&error))?.into_entry(&self.place)
    }

    fn stream_now(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>> {
        let rows = sqlx::query(
            "SELECT seq, at, kind, incident, actor, payload, prev_hash, hash FROM stanch.entries WHERE seq > $1 \
             ORDER BY seq",
        )
        .bind(to_i64(after))
        .fetch(&self.pool);
        rows.map(|row| self.entry_of(&row.map_err(|error| self.explain(&error))?)).boxed()
    }

    async fn head_now(&self) -> Result<Head, LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.explain(&error))?;
        let last = last(&mut connection).await.map_err(|error| self.explain(&error))?;
        Ok(last.map_or_else(
            || Head { seq: 0, hash: GENESIS.to_owned() },
            |(seq, hash)| Head { seq: seq.unsigned_abs(), hash },
        ))
    }

    async fn open_intents_now(&self) -> Result<Vec<u64>, LedgerError> {
        let mut open = Vec::new();
        for (intent, outcome) in PAIRS {
            let rows = sqlx::query(
                "SELECT seq FROM stanch.entries AS announced WHERE kind = $1 AND NOT EXISTS (SELECT FROM \
                 stanch.entries WHERE kind = $2 AND intent = announced.seq) ORDER BY seq",
            )
            .bind(intent.word())
            .bind(outcome.word())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.explain(&error))?;
            for row in rows {
                open.push(row.try_get::<i64, _>(0).map_err(|error| self.explain(&error))?.unsigned_abs());
            }
        }
        open.sort_unstable();
        Ok(open)
    }

    async fn verify_now(&self, anchored: Vec<Head>) -> Result<ChainReport, LedgerError> {
        let mut walk = Walk::new(anchored);
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push(" ORDER BY seq");
        let query = query.build();
        // One statement sees one moment, whoever writes meanwhile.
        let mut rows = query.fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(|error| self.explain(&error))? {
            let stored = stored(&row).map_err(|error| self.explain(&error))?;
            let intent: Option<i64> = row.try_get("intent").map_err(|error| self.explain(&error))?;
            let meant = stored.closes().map(to_i64);
            walk.step(&stored);
            if intent != meant {
                walk.problem(stored.seq, "its index of intents does not fit its content".to_owned());
            }
        }
        drop(rows);
        let row = sqlx::query(
            "SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = 'stanch.entries'::regclass AND tgenabled = 'A' \
             AND tgname IN ('entries_follow', 'entries_stay', 'entries_remain')",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.explain(&error))?;
        walk.guarded_by(row.try_get(0).map_err(|error| self.explain(&error))?);
        Ok(walk.finish())
    }
}

impl Ledger for PostgresLedger {
    fn append(&self, draft: Draft) -> BoxFuture<'_, Result<Entry, LedgerError>> {
        self.append_now(draft).boxed()
    }

    fn entries(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<Entry>, LedgerError>> {
        self.entries_now(filter).boxed()
    }

    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>, LedgerError>> {
        self.entry_now(seq).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, LedgerError>> {
        self.head_now().boxed()
    }

    fn open_intents(&self) -> BoxFuture<'_, Result<Vec<u64>, LedgerError>> {
        self.open_intents_now().boxed()
    }

    fn stream(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>> {
        self.stream_now(after)
    }

    fn verify_against(&self, anchored: Vec<Head>) -> BoxFuture<'_, Result<ChainReport, LedgerError>> {
        self.verify_now(anchored).boxed()
    }

    fn writable(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.writable_now().boxed()
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// `synchronous_commit = off` acknowledges before the disk has it; every stronger setting is left as it is.
async fn sync_on_commit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn last(connection: &mut PgConnection) -> Result<Option<(i64, String)>, sqlx::Error> {
    let row = sqlx::query("SELECT seq, hash FROM stanch.entries ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn append_row(connection: &mut PgConnection, draft: &Draft, payload: String) -> Result<Row, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    // Read after the lock was granted, so that it sees what the writer before has committed.
    let row = Row::behind(last(&mut transaction).await?, draft, payload);
    sqlx::query(
        "INSERT INTO stanch.entries (seq, at, kind, incident, actor, payload, intent, prev_hash, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.seq)
    .bind(&row.at)
    .bind(&row.kind)
    .bind(&row.incident)
    .bind(&row.actor)
    .bind(&row.payload)
    .bind(closed_intent(draft.kind, &draft.payload).map(to_i64))
    .bind(&row.prev_hash)
    .bind(&row.hash)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(row)
}

fn stored(row: &PgRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        incident: row.try_get("incident")?,
        actor: row.try_get("actor")?,
        payload: row.try_get("payload")?,
        prev_hash: row.try_get("prev_hash")?,
        hash: row.try_get("hash")?,
    })
}

/// Puts what PostgreSQL says into our words. Codes: appendix A of its manual.
fn explain(place: &str, error: &sqlx::Error) -> LedgerError {
    let path = place.to_owned();
    match error {
        sqlx::Error::Database(database) => {
            let what = database.message().to_owned();
            match database.code().as_deref().unwrap_or_default() {
                "53100" => LedgerError::Full(path),
                // A standby, or a role that may only read.
                "25006" => LedgerError::ReadOnly(path),
                "42501" if what.contains("table entries") => LedgerError::ReadOnly(path),
                "55P03" | "57014" => LedgerError::Locked(path),
                "42P01" | "3F000" => LedgerError::NotSetUp(path),
                "XX001" | "XX002" => LedgerError::Damaged { path, what },
                _ => LedgerError::Io { path, what },
            }
        }
        sqlx::Error::PoolTimedOut => LedgerError::Io { path, what: "the server does not answer".into() },
        other => LedgerError::Io { path, what: other.to_string() },
    }
}
