//! The database: everything that must outlive the process.
//!
//! Changes are committed here before a client hears of them. Each change is one transaction, so a process killed at
//! any moment leaves nothing half done.

mod jobs;
mod models;

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use mother::signature::{Signature, SignatureOptions};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(crate) use self::jobs::{Cancelled, Finished, JobRow, NewJob, NotQueued, State};
pub(crate) use self::models::{ModelRow, Origin, Put};

/// The migrations from each version of the database to the next.
const MIGRATIONS: [&str; 1] = [include_str!("database/1.sql")];

/// The only connection: it locks the database while it is open.
pub(crate) struct Database {
    connection: Connection,
}

/// Why a database can't be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Sqlite(rusqlite::Error),
    /// Another process has it open.
    Locked,
    /// A later program wrote it.
    Version(usize),
    /// Its signatures were made with other settings.
    Settings {
        name: &'static str,
        found: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "cannot open the database: {error}"),
            Self::Locked => f.write_str("another process has the database open"),
            Self::Version(found) => write!(
                f,
                "unsupported database version {found}; this program knows versions up to {}",
                MIGRATIONS.len()
            ),
            Self::Settings { name, found } => write!(
                f,
                "the signatures in the database were made with another {name} ({found}); \
                 start the hub with that one, or with a new database"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Locked
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl Database {
    /// Opens the database, creating it if necessary, and migrates it to this version.
    ///
    /// Jobs that were running are queued again.
    pub(crate) fn open(path: &Path, options: SignatureOptions) -> Result<Self, OpenError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut connection)?;
        let mut database = Self { connection };
        database.check_settings(options)?;
        (database.connection).execute(
            "UPDATE jobs SET state = 'queued' WHERE state = 'running'",
            [],
        )?;
        Ok(database)
    }

    /// Whether the database responds.
    pub(crate) fn check(&self) -> rusqlite::Result<()> {
        self.connection.query_row("SELECT 1", [], |_| Ok(()))
    }

    fn check_settings(&mut self, options: SignatureOptions) -> Result<(), OpenError> {
        let settings = [
            ("signature version", Signature::VERSION.to_string()),
            ("key", options.key().value().to_string()),
            ("number of buckets", options.buckets().to_string()),
        ];
        for (name, value) in settings {
            match self.setting(name)? {
                Some(found) if found != value => return Err(OpenError::Settings { name, found }),
                Some(_) => {}
                None => self.set(name, &value)?,
            }
        }
        Ok(())
    }

    fn setting(&self, name: &str) -> rusqlite::Result<Option<String>> {
        let query = "SELECT value FROM settings WHERE name = ?1";
        let found = self.connection.query_row(query, [name], |row| row.get(0));
        found.optional()
    }

    fn set(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        let change = "INSERT INTO settings (name, value) VALUES (?1, ?2)";
        self.connection.execute(change, params![name, value])?;
        Ok(())
    }
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(OpenError::Version(version));
    }
    for (before, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", before + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}
