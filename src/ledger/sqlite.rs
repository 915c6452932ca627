//! The ledger in one SQLite file, shared by any number of processes of one host.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Row as _, Sqlite};
use tokio::sync::Mutex;

use super::chain::{PAIRS, Row, Walk, payload_of, to_i64};
use super::{Filter, GENESIS, Head, Ledger, LedgerError};
use crate::domain::ledger::{ChainReport, Draft, Entry};

/// Format of the file, kept in `PRAGMA user_version`.
const FORMAT: i64 = 1;

/// `stan` in ASCII, kept in `PRAGMA application_id`, so that another program's database is not mistaken for ours.
const APPLICATION_ID: i64 = 0x7374_616e;

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(10);

/// The triggers stop mistakes, not attackers: who can write the file can drop them. The chain tells.
pub(super) const SCHEMA: &str = "
CREATE TABLE entries (
    seq       INTEGER PRIMARY KEY,
    at        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    incident  TEXT,
    actor     TEXT NOT NULL,
    payload   TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash      TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX entries_by_incident ON entries (incident, seq);
CREATE INDEX entries_by_kind ON entries (kind, seq);
CREATE TRIGGER entries_follow BEFORE INSERT ON entries
    WHEN NEW.seq IS NULL OR NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entries)
    BEGIN SELECT raise(ABORT, 'entries follow each other without gaps'); END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never removed'); END;
";

const COLUMNS: &str = "SELECT seq, at, kind, incident, actor, payload, prev_hash, hash FROM entries";

/// A ledger in a SQLite file: write-ahead log, `synchronous=FULL`, file mode 0600.
#[derive(Debug)]
pub struct SqliteLedger {
    path: String,
    file: PathBuf,
    /// The one connection that writes; `None` when it was opened for reading.
    writer: Option<Mutex<Writer>>,
    readers: SqlitePool,
    /// Readers since the file could be written again.
    recovered: OnceLock<SqlitePool>,
}

/// The writing connection. On a full or read-only disk there is none until there is room: each append tries again.
#[derive(Debug, Default)]
struct Writer(Option<SqliteConnection>);

impl SqliteLedger {
    /// Opens the ledger at `path`, or makes it: directories with mode 0700, the file with 0600. One that cannot be
    /// written now (a full disk, a read-only file system) is opened for reading, and appending to it fails until it
    /// can.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let (writer, readers) = match open_writer(&name, path).await {
            Ok(connection) => (Writer(Some(connection)), readers(path)),
            Err(error @ (LedgerError::Full(_) | LedgerError::ReadOnly(_) | LedgerError::Io { .. })) => {
                // What is wrong with writing is said where something is to be written.
                (Writer::default(), readers_in_need(path).await.map_err(|_| error)?)
            }
            Err(error) => return Err(error),
        };
        let (file, writer) = (path.to_owned(), Some(Mutex::new(writer)));
        Ok(Self { path: name, file, writer, readers, recovered: OnceLock::new() })
    }

    /// Opens an existing ledger for reading only, for example to verify a copy.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        if let Err(error) = std::fs::File::open(path) {
            return Err(io_error(&name, &error));
        }
        let readers = readers_in_need(path).await?;
        Ok(Self { path: name, file: path.to_owned(), writer: None, readers, recovered: OnceLock::new() })
    }

    /// Closes all connections; what was appended is on disk already.
    pub async fn close(self) {
        self.readers().close().await;
        if let Some(Writer(Some(writer))) = self.writer.map(Mutex::into_inner) {
            // An error here loses nothing: the log is replayed at the next opening.
            let _ = writer.close().await;
        }
    }

    /// The writing connection, so that a test can bring about what a disk would.
    #[cfg(test)]
    pub(super) async fn writer_for_tests(&self) -> tokio::sync::MappedMutexGuard<'_, SqliteConnection> {
        let writer = self.writer.as_ref().expect("a test opens for writing").lock().await;
        tokio::sync::MutexGuard::map(writer, |writer| writer.0.as_mut().expect("it can be written"))
    }

    fn readers(&self) -> &SqlitePool {
        self.recovered.get().unwrap_or(&self.readers)
    }

    fn explain(&self, error: &sqlx::Error) -> LedgerError {
        explain(&self.path, error)
    }

    async fn append_now(&self, draft: Draft) -> Result<Entry, LedgerError> {
        let payload = payload_of(&draft)?;
        let Some(writer) = &self.writer else {
            return Err(LedgerError::ReadOnly(self.path.clone()));
        };
        let mut writer = writer.lock().await;
        let row = match append_row(self.connection(&mut writer).await?, &draft, payload).await {
            Ok(row) => row,
            Err(error) => {
                // SQLite may have ended the transaction by itself, which the connection does not know: begin anew.
                if let Some(connection) = writer.0.take() {
                    let _ = connection.close().await;
                }
                return Err(self.explain(&error));
            }
        };
        // As stored, so that what is returned is what will be read.
        row.into_entry(&self.path)
    }

    /// The connection, opened anew if there was none to be had before.
    async fn connection<'w>(&self, writer: &'w mut Writer) -> Result<&'w mut SqliteConnection, LedgerError> {
        match &mut writer.0 {
            Some(connection) => Ok(connection),
            none => {
                let connection = open_writer(&self.path, &self.file).await?;
                // Those that were made in need may not see what is written now.
                let _ = self.recovered.set(readers(&self.file));
                Ok(none.insert(connection))
            }
        }
    }

    async fn writable_now(&self) -> Result<(), LedgerError> {
        let Some(writer) = &self.writer else {
            return Err(LedgerError::ReadOnly(self.path.clone()));
        };
        let mut writer = writer.lock().await;
        let connection = self.connection(&mut writer).await?;
        let transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.explain(&error))?;
        transaction.rollback().await.map_err(|error| self.explain(&error))
    }

    async fn entries_now(&self, filter: Filter) -> Result<Vec<Entry>, LedgerError> {
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
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
        let rows = query.build().fetch_all(self.readers()).await.map_err(|error| self.explain(&error))?;
        let mut entries = rows.iter().map(|row| self.entry_of(row)).collect::<Result<Vec<_>, _>>()?;
        if filter.newest {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn entry_now(&self, seq: u64) -> Result<Option<Entry>, LedgerError> {
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
        query.push(" WHERE seq = ").push_bind(to_i64(seq));
        let row = query.build().fetch_optional(self.readers()).await.map_err(|error| self.explain(&error))?;
        row.as_ref().map(|row| self.entry_of(row)).transpose()
    }

    fn entry_of(&self, row: &SqliteRow) -> Result<Entry, LedgerError> {
        let row = stored(row).map_err(|what| LedgerError::Damaged { path: self.path.clone(), what })?;
        row.into_entry(&self.path)
    }

    fn stream_now(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>> {
        let rows = sqlx::query(
            "SELECT seq, at, kind, incident, actor, payload, prev_hash, hash FROM entries WHERE seq > ?1 ORDER BY seq",
        )
        .bind(to_i64(after))
        .fetch(self.readers());
        rows.map(|row| self.entry_of(&row.map_err(|error| self.explain(&error))?)).boxed()
    }

    async fn head_now(&self) -> Result<Head, LedgerError> {
        let row = sqlx::query("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")
            .fetch_optional(self.readers())
            .await
            .map_err(|error| self.explain(&error))?;
        let Some(row) = row else {
            return Ok(Head { seq: 0, hash: GENESIS.to_owned() });
        };
        let seq: i64 = row.try_get(0).map_err(|error| self.explain(&error))?;
        Ok(Head { seq: seq.unsigned_abs(), hash: row.try_get(1).map_err(|error| self.explain(&error))? })
    }

    async fn open_intents_now(&self) -> Result<Vec<u64>, LedgerError> {
        let mut open = Vec::new();
        for (intent, outcome) in PAIRS {
            let rows = sqlx::query(
                "SELECT seq FROM entries WHERE kind = ?1 AND seq NOT IN (SELECT json_extract(payload, '$.intent') \
                 FROM entries WHERE kind = ?2 AND json_type(payload, '$.intent') = 'integer') ORDER BY seq",
            )
            .bind(intent.word())
            .bind(outcome.word())
            .fetch_all(self.readers())
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
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
        query.push(" ORDER BY seq");
        let query = query.build();
        let mut rows = query.fetch(self.readers());
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => match stored(&row) {
                    Ok(row) => walk.step(&row),
                    Err(what) => walk.problem(row.try_get("seq").unwrap_or(0), what),
                },
                Ok(None) => break,
                Err(error) => match self.explain(&error) {
                    // Damage is what is being looked for: report how far the chain could be read.
                    LedgerError::Damaged { what, .. } => {
                        walk.problem(0, format!("the file is damaged from here on: {what}"));
                        break;
                    }
                    other => return Err(other),
                },
            }
        }
        drop(rows);
        let triggers: i64 = sqlx::query(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'entries' \
             AND name IN ('entries_follow', 'entries_stay', 'entries_remain')",
        )
        .fetch_one(self.readers())
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| self.explain(&error))?;
        walk.guarded_by(triggers);
        Ok(walk.finish())
    }
}

impl Ledger for SqliteLedger {
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

    fn verify_against(&self, anchored: Vec<Head>) -> BoxFuture<'_, Result<ChainReport, LedgerError>> {
        self.verify_now(anchored).boxed()
    }

    fn writable(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.writable_now().boxed()
    }

    fn place(&self) -> &str {
        &self.path
    }

    fn stream(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>> {
        self.stream_now(after)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

/// The log that lies beside the file.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn readers(path: &Path) -> SqlitePool {
    pool(options(path).read_only(true))
}

fn pool(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new().max_connections(2).idle_timeout(None).connect_lazy_with(options)
}

/// Readers that change nothing beside the file if they can do without. Where SQLite cannot make its shared memory (the
/// disk is full or read-only) nobody can write either, and the file is read without it.
async fn readers_in_need(path: &Path) -> Result<SqlitePool, LedgerError> {
    let name = path.display().to_string();
    let plain = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    let try_out = async |options: SqliteConnectOptions| {
        let readers = pool(options);
        let mut connection = readers.acquire().await.map_err(|error| explain(&name, &error))?;
        check_format(&mut connection, &name).await?;
        drop(connection);
        Ok(readers)
    };
    match try_out(plain.clone()).await {
        Err(LedgerError::Full(_) | LedgerError::ReadOnly(_) | LedgerError::Io { .. }) => {
            let has_log = std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0);
            // An exclusive lock keeps the index of the log in memory; this VFS only pretends to take it.
            let alone = plain.clone().vfs("unix-none").locking_mode(SqliteLockingMode::Exclusive);
            try_out(if has_log { alone } else { plain.immutable(true) }).await
        }
        result => result,
    }
}

async fn open_writer(name: &str, path: &Path) -> Result<SqliteConnection, LedgerError> {
    create(path).map_err(|error| io_error(name, &error))?;
    let mut connection = connect(name, &options(path)).await?;
    prepare(&mut connection, name).await?;
    Ok(connection)
}

/// Makes directory and file with narrow rights, and finds out whether the file can be written.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn is_read_only(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem)
}

fn io_error(path: &str, error: &std::io::Error) -> LedgerError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => LedgerError::Full(path.to_owned()),
        _ if is_read_only(error) => LedgerError::ReadOnly(path.to_owned()),
        _ => LedgerError::Io { path: path.to_owned(), what: error.to_string() },
    }
}

/// Connects. Two processes that make the same file at once may find it locked while it changes to write-ahead
/// logging, which SQLite does not wait for by itself.
async fn connect(path: &str, options: &SqliteConnectOptions) -> Result<SqliteConnection, LedgerError> {
    let mut tries = 0;
    loop {
        match options.connect().await.map_err(|error| explain(path, &error)) {
            Err(LedgerError::Locked(_)) if tries < 50 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// Makes the tables, or checks that they are ours.
async fn prepare(connection: &mut SqliteConnection, path: &str) -> Result<(), LedgerError> {
    if number(connection, "PRAGMA application_id", path).await? == APPLICATION_ID {
        return check_format(connection, path).await;
    }
    let failed = |error: sqlx::Error| explain(path, &error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    // Another process may have made them while this one waited.
    if number(&mut transaction, "PRAGMA application_id", path).await? == APPLICATION_ID {
        transaction.rollback().await.map_err(failed)?;
        return check_format(connection, path).await;
    }
    if number(&mut transaction, "SELECT count(*) FROM sqlite_schema", path).await? != 0 {
        return Err(LedgerError::NotALedger(path.to_owned()));
    }
    sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await.map_err(failed)?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
    )))
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

async fn check_format(connection: &mut SqliteConnection, path: &str) -> Result<(), LedgerError> {
    if number(connection, "PRAGMA application_id", path).await? != APPLICATION_ID {
        return Err(LedgerError::NotALedger(path.to_owned()));
    }
    let found = number(connection, "PRAGMA user_version", path).await?;
    if found > FORMAT {
        return Err(LedgerError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(())
}

async fn number(connection: &mut SqliteConnection, sql: &'static str, path: &str) -> Result<i64, LedgerError> {
    sqlx::query(sql).fetch_one(connection).await.and_then(|row| row.try_get(0)).map_err(|error| explain(path, &error))
}

/// Writes one row behind the last one, whoever wrote that. `BEGIN IMMEDIATE` takes the write lock before the head is
/// read, so no other process can come between.
async fn append_row(connection: &mut SqliteConnection, draft: &Draft, payload: String) -> Result<Row, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let last = sqlx::query("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *transaction)
        .await?;
    let last = match last {
        Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
        None => None,
    };
    let row = Row::behind(last, draft, payload);
    sqlx::query(
        "INSERT INTO entries (seq, at, kind, incident, actor, payload, prev_hash, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(row.seq)
    .bind(&row.at)
    .bind(&row.kind)
    .bind(&row.incident)
    .bind(&row.actor)
    .bind(&row.payload)
    .bind(&row.prev_hash)
    .bind(&row.hash)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(row)
}

/// The columns as they are stored; the error says which of them is not text.
fn stored(row: &SqliteRow) -> Result<Row, String> {
    fn get<'r, T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>>(
        row: &'r SqliteRow,
        column: &'static str,
    ) -> Result<T, String> {
        row.try_get(column).map_err(|_| format!("its {column} is not what was stored"))
    }
    Ok(Row {
        seq: get(row, "seq")?,
        at: get(row, "at")?,
        kind: get(row, "kind")?,
        incident: get(row, "incident")?,
        actor: get(row, "actor")?,
        payload: get(row, "payload")?,
        prev_hash: get(row, "prev_hash")?,
        hash: get(row, "hash")?,
    })
}

/// Puts what SQLite says into our words. Codes: <https://www.sqlite.org/rescode.html>.
fn explain(path: &str, error: &sqlx::Error) -> LedgerError {
    let path = path.to_owned();
    match error {
        sqlx::Error::Database(database) => {
            let code: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
            let what = database.message().to_owned();
            match code & 0xff {
                5 | 6 => LedgerError::Locked(path),
                8 => LedgerError::ReadOnly(path),
                // The shared memory beside the file could not grow.
                10 if code == 4_874 => LedgerError::Full(path),
                11 => LedgerError::Damaged { path, what },
                13 => LedgerError::Full(path),
                26 => LedgerError::NotALedger(path),
                1 if what.contains("no such table") => LedgerError::NotALedger(path),
                _ => LedgerError::Io { path, what },
            }
        }
        sqlx::Error::PoolTimedOut => LedgerError::Locked(path),
        other => LedgerError::Io { path, what: other.to_string() },
    }
}
