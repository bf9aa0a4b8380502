//! Jobs as clients see them: their state is in the database, their progress in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mother::signature::Signature;
use serde::Serialize;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::database::{Cancelled, Finished, JobRow, ModelRow, NewJob, NotQueued, State};
use crate::error::{Code, HubError};
use crate::hub::{Hub, hub_full, job_exists, model_exists};

/// The unfinished jobs.
pub(crate) struct Jobs {
    active: Mutex<HashMap<i64, Arc<Active>>>,
    woken: Condvar,
}

/// An unfinished job.
pub(crate) struct Active {
    cancelled: AtomicBool,
    view: watch::Sender<JobView>,
}

/// A job as clients see it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JobView {
    pub(crate) job: i64,
    pub(crate) model: String,
    path: String,
    pub(crate) state: &'static str,
    #[serde(skip)]
    pub(crate) is_finished: bool,
    /// The finished share of the work, from 0 to 1.
    progress: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// Milliseconds since 1970.
    queued: i64,
    ended: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
struct ErrorView {
    code: String,
    message: String,
}

impl From<&JobRow> for JobView {
    fn from(row: &JobRow) -> Self {
        let error = row.error.clone();
        Self {
            job: row.number,
            model: row.new.model.clone(),
            path: row.new.path.clone(),
            state: row.state.name(),
            is_finished: row.state.is_finished(),
            progress: if row.state == State::Done { 1.0 } else { 0.0 },
            error: error.map(|(code, message)| ErrorView { code, message }),
            queued: row.queued,
            ended: row.ended,
        }
    }
}

impl Active {
    fn new(row: &JobRow) -> Arc<Self> {
        Arc::new(Self {
            cancelled: AtomicBool::new(false),
            view: watch::Sender::new(JobView::from(row)),
        })
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Updates the job's progress.
    pub(crate) fn advance(&self, done: u64, total: u64) {
        let progress = (done as f64 / total.max(1) as f64).min(1.0);
        self.view.send_modify(|view| view.progress = progress);
    }
}

impl Jobs {
    /// Starts with the jobs that an earlier process left.
    pub(crate) fn new(unfinished: Vec<JobRow>) -> Self {
        let active = unfinished.iter().map(|row| (row.number, Active::new(row)));
        Self {
            active: Mutex::new(active.collect()),
            woken: Condvar::new(),
        }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<i64, Arc<Active>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job, for a limited time.
    pub(crate) fn wait(&self, patience: Duration) {
        drop(self.woken.wait_timeout(self.active(), patience));
    }

    /// Publishes the final state of a job and forgets it.
    fn end(&self, row: &JobRow) {
        if let Some(active) = self.active().remove(&row.number) {
            active.cancelled.store(true, Ordering::Release);
            active.view.send_replace(JobView::from(row));
        }
    }

    fn progress(&self, mut view: JobView) -> JobView {
        if let Some(active) = self.active().get(&view.job) {
            view.progress = active.view.borrow().progress;
        }
        view
    }
}

impl Hub {
    /// Queues a job, which is committed once this returns.
    pub(crate) fn queue(&self, job: &NewJob, most: usize) -> Result<JobView, HubError> {
        let mut database = self.database();
        let row = database
            .queue_job(job, most)
            .map_err(|refused| match refused {
                NotQueued::ModelExists => model_exists(&job.model),
                NotQueued::JobExists(other) => job_exists(&job.model, other),
                NotQueued::Full => {
                    let message = format!("{most} jobs are already waiting; try again later");
                    HubError::new(Code::QueueFull, message)
                }
                NotQueued::Sqlite(error) => error.into(),
            })?;
        info!(job = row.number, model = %job.model, path = %job.path, "queued");
        self.jobs.active().insert(row.number, Active::new(&row));
        self.jobs.woken.notify_one();
        Ok(JobView::from(&row))
    }

    /// Starts the job that has waited longest.
    pub(crate) fn begin_job(&self) -> Result<Option<(JobRow, Arc<Active>)>, HubError> {
        let Some(row) = self.database().begin_job()? else {
            return Ok(None);
        };
        info!(job = row.number, model = %row.new.model, "started");
        let active = {
            let mut jobs = self.jobs.active();
            let active = jobs.entry(row.number).or_insert_with(|| Active::new(&row));
            Arc::clone(active)
        };
        active.view.send_replace(JobView::from(&row));
        Ok(Some((row, active)))
    }

    /// Adds the model of a running job, unless the job was cancelled.
    pub(crate) fn finish_job(
        &self,
        number: i64,
        row: ModelRow,
        signature: Signature,
    ) -> Result<(), HubError> {
        let mut database = self.database();
        let most = self.config.most_models;
        match database.finish_job(number, &row, &signature, most)? {
            Finished::Added => {
                info!(job = number, model = %row.id, "added");
                self.added(&database, row, signature);
                if let Some(row) = database.job(number)? {
                    self.jobs.end(&row);
                }
                Ok(())
            }
            Finished::Cancelled => Ok(()),
            Finished::Exists => Err(model_exists(&row.id)),
            Finished::Full => Err(hub_full(&self.config)),
        }
    }

    /// Ends a running job that failed.
    pub(crate) fn fail_job(&self, number: i64, error: &HubError) {
        warn!(job = number, code = error.code.name(), message = %error.message, "failed");
        let database = self.database();
        let failed = database.fail_job(number, error);
        match failed.and_then(|()| database.job(number)) {
            Ok(Some(row)) => self.jobs.end(&row),
            Ok(None) => {}
            Err(error) => drop(HubError::internal(error)),
        }
    }

    /// Cancels a job. Once this returns, its model will not be added.
    pub(crate) fn cancel_job(&self, number: i64) -> Result<JobView, HubError> {
        let database = self.database();
        match database.cancel_job(number)? {
            Cancelled::Yes => {}
            Cancelled::TooLate => {
                let message = format!("job {number} has already ended");
                return Err(HubError::new(Code::JobFinished, message));
            }
            Cancelled::NoSuchJob => return Err(no_such_job(number)),
        }
        info!(job = number, "cancelled");
        let row = database.job(number)?.ok_or_else(|| no_such_job(number))?;
        self.jobs.end(&row);
        Ok(JobView::from(&row))
    }

    pub(crate) fn job(&self, number: i64) -> Result<JobView, HubError> {
        let row = self.database().job(number)?;
        let row = row.ok_or_else(|| no_such_job(number))?;
        Ok(self.jobs.progress(JobView::from(&row)))
    }

    /// The newest jobs, newest first.
    pub(crate) fn newest_jobs(&self, most: usize) -> Result<Vec<JobView>, HubError> {
        let rows = self.database().jobs(most)?;
        Ok(rows
            .iter()
            .map(|row| self.jobs.progress(JobView::from(row)))
            .collect())
    }

    /// The events of a job from now on; `None` if it has ended.
    pub(crate) fn watch_job(&self, number: i64) -> Option<watch::Receiver<JobView>> {
        self.jobs
            .active()
            .get(&number)
            .map(|active| active.view.subscribe())
    }
}

fn no_such_job(number: i64) -> HubError {
    HubError::new(Code::NoSuchJob, format!("no job {number}"))
}
