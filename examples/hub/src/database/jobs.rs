//! The jobs: models to be read.

use mother::signature::Signature;
use rusqlite::{OptionalExtension as _, Row, params};

use super::models::{count, insert};
use super::{Database, ModelRow, now};
use crate::error::HubError;
use crate::stated::Stated;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A model to be read.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) model: String,
    /// The path below the folder of models.
    pub(crate) path: String,
    pub(crate) stated: Stated,
}

/// A job as stored.
#[derive(Clone, Debug)]
pub(crate) struct JobRow {
    pub(crate) number: i64,
    pub(crate) new: NewJob,
    pub(crate) state: State,
    /// Why it failed: a code and a sentence.
    pub(crate) error: Option<(String, String)>,
    pub(crate) queued: i64,
    pub(crate) ended: Option<i64>,
}

/// The outcome of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    /// Its model was added.
    Added,
    /// It was cancelled before, and its model was not added.
    Cancelled,
    /// A model with this name was added in the meantime.
    Exists,
    /// The hub is full.
    Full,
}

/// The outcome of cancelling a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Yes,
    /// It had already ended.
    TooLate,
    NoSuchJob,
}

/// Why a job was not queued.
#[derive(Debug)]
pub(crate) enum NotQueued {
    /// A model with this name exists.
    ModelExists,
    /// There is an unfinished job for this name.
    JobExists(i64),
    Full,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotQueued {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

const COLUMNS: &str = "number, model, path, stated, state, code, message, queued, ended";

impl Database {
    /// Queues a job, unless the queue is full.
    pub(crate) fn queue_job(&mut self, job: &NewJob, most: usize) -> Result<JobRow, NotQueued> {
        let transaction = self.connection.transaction()?;
        let query = "SELECT 1 FROM models WHERE id = ?1";
        let model = transaction
            .query_row(query, [&job.model], |_| Ok(()))
            .optional()?;
        if model.is_some() {
            return Err(NotQueued::ModelExists);
        }
        let query = "SELECT number FROM jobs WHERE model = ?1 AND state IN ('queued', 'running')";
        let other = transaction
            .query_row(query, [&job.model], |row| row.get(0))
            .optional()?;
        if let Some(other) = other {
            return Err(NotQueued::JobExists(other));
        }
        let query = "SELECT count(*) FROM jobs WHERE state = 'queued'";
        let waiting: usize = transaction.query_row(query, [], |row| row.get(0))?;
        if waiting >= most {
            return Err(NotQueued::Full);
        }
        let queued = now();
        transaction.execute(
            "INSERT INTO jobs (model, path, stated, state, queued) VALUES (?1, ?2, ?3, 'queued', ?4)",
            params![job.model, job.path, job.stated.to_json(), queued],
        )?;
        let number = transaction.last_insert_rowid();
        transaction.commit()?;
        Ok(JobRow {
            number,
            new: job.clone(),
            state: State::Queued,
            error: None,
            queued,
            ended: None,
        })
    }

    /// Whether a path has a model, or a job that didn't fail.
    pub(crate) fn knows_path(&self, path: &str) -> rusqlite::Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM jobs WHERE path = ?1 AND state <> 'failed')";
        self.connection.query_row(query, [path], |row| row.get(0))
    }

    /// Starts the job that has waited longest.
    pub(crate) fn begin_job(&self) -> rusqlite::Result<Option<JobRow>> {
        let change = format!(
            "UPDATE jobs SET state = 'running' WHERE number = \
             (SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING {COLUMNS}"
        );
        let mut change = self.connection.prepare_cached(&change)?;
        change.query_row([], job).optional()
    }

    /// Ends a running job and adds its model, in one transaction.
    pub(crate) fn finish_job(
        &mut self,
        number: i64,
        row: &ModelRow,
        signature: &Signature,
        most: usize,
    ) -> rusqlite::Result<Finished> {
        let bytes = signature.to_bytes();
        let transaction = self.connection.transaction()?;
        let change =
            "UPDATE jobs SET state = 'done', ended = ?2 WHERE number = ?1 AND state = 'running'";
        if transaction.execute(change, params![number, now()])? == 0 {
            return Ok(Finished::Cancelled);
        }
        if count(&transaction)? >= most {
            return Ok(Finished::Full);
        }
        match insert(&transaction, row, &bytes) {
            Ok(_) => {}
            Err(error) if is_taken(&error) => return Ok(Finished::Exists),
            Err(error) => return Err(error),
        }
        transaction.commit()?;
        Ok(Finished::Added)
    }

    /// Ends a running job that failed.
    pub(crate) fn fail_job(&self, number: i64, error: &HubError) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE jobs SET state = 'failed', code = ?2, message = ?3, ended = ?4 \
             WHERE number = ?1 AND state = 'running'",
            params![number, error.code.name(), error.message, now()],
        )?;
        Ok(())
    }

    /// Cancels a queued or running job: its model will not be added.
    pub(crate) fn cancel_job(&self, number: i64) -> rusqlite::Result<Cancelled> {
        let changed = self.connection.execute(
            "UPDATE jobs SET state = 'cancelled', ended = ?2 \
             WHERE number = ?1 AND state IN ('queued', 'running')",
            params![number, now()],
        )?;
        Ok(match (changed, self.job(number)?) {
            (1.., _) => Cancelled::Yes,
            (0, Some(_)) => Cancelled::TooLate,
            (0, None) => Cancelled::NoSuchJob,
        })
    }

    pub(crate) fn job(&self, number: i64) -> rusqlite::Result<Option<JobRow>> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE number = ?1");
        let mut query = self.connection.prepare_cached(&query)?;
        query.query_row([number], job).optional()
    }

    /// The newest jobs, newest first.
    pub(crate) fn jobs(&self, most: usize) -> rusqlite::Result<Vec<JobRow>> {
        let query = format!("SELECT {COLUMNS} FROM jobs ORDER BY number DESC LIMIT ?1");
        let mut query = self.connection.prepare_cached(&query)?;
        let rows = query.query_map([most], job)?;
        rows.collect()
    }

    /// The unfinished jobs, in the order in which they were queued.
    pub(crate) fn unfinished_jobs(&self) -> rusqlite::Result<Vec<JobRow>> {
        let query = format!(
            "SELECT {COLUMNS} FROM jobs WHERE state IN ('queued', 'running') ORDER BY number"
        );
        let mut query = self.connection.prepare(&query)?;
        let rows = query.query_map([], job)?;
        rows.collect()
    }

    /// The number of jobs in each state.
    pub(crate) fn job_counts(&self) -> rusqlite::Result<Vec<(State, usize)>> {
        let query = "SELECT count(*) FROM jobs WHERE state = ?1";
        let mut query = self.connection.prepare_cached(query)?;
        let counts = State::ALL.into_iter().map(|state| {
            let count = query.query_row([state.name()], |row| row.get(0))?;
            Ok((state, count))
        });
        counts.collect()
    }
}

/// Whether a row was not inserted because its key already exists.
fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

fn job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let (stated, state): (String, String) = (row.get(3)?, row.get(4)?);
    let (code, message): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let found = State::ALL.into_iter().find(|known| known.name() == state);
    Ok(JobRow {
        number: row.get(0)?,
        new: NewJob {
            model: row.get(1)?,
            path: row.get(2)?,
            stated: Stated::from_json(&stated),
        },
        state: found.unwrap_or(State::Failed),
        error: code.zip(message),
        queued: row.get(7)?,
        ended: row.get(8)?,
    })
}
