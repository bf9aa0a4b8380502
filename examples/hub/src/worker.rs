//! The work of a job: one model is read once, into its signature.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mother::adapters::Adapter;
use mother::progress::Progress;
use mother::signature::{ModelFailure, Signature};
use mother::weights::WeightSource;
use tracing::{error, info};

use crate::adapter;
use crate::database::{JobRow, ModelRow, Origin};
use crate::error::{Code, HubError};
use crate::hub::Hub;
use crate::jobs::Active;
use crate::stated::Stated;

/// How often a worker checks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why a job ended without a model.
enum Stop {
    Failed(HubError),
    /// It was cancelled, which is already committed.
    Cancelled,
    /// The hub is stopping; the job will be resumed.
    Shutdown,
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Self {
        Self::Failed(error)
    }
}

/// Runs jobs until the hub stops.
pub(crate) fn run(hub: &Hub) {
    while !hub.shutdown.has_begun() {
        match hub.begin_job() {
            Ok(Some((job, active))) => work(hub, &job, &active),
            Ok(None) => hub.jobs.wait(PATIENCE),
            Err(_) => std::thread::sleep(PATIENCE),
        }
    }
}

fn work(hub: &Hub, job: &JobRow, active: &Active) {
    let start = Instant::now();
    let read = catch_unwind(AssertUnwindSafe(|| read(hub, job, active)));
    let read = read.unwrap_or_else(|_| {
        error!(job = job.number, "reading a model panicked");
        Err(Stop::Failed(HubError::internal("a panic")))
    });
    let ended = read.and_then(|(signature, stated)| {
        let path = Some(job.new.path.clone());
        let row = ModelRow::new(&job.new.model, Origin::Folder, path, stated);
        Ok(hub.finish_job(job.number, row, signature)?)
    });
    match ended {
        Ok(()) => hub.metrics.job_took(start.elapsed()),
        Err(Stop::Failed(error)) => hub.fail_job(job.number, &error),
        Err(Stop::Cancelled) => info!(job = job.number, "stopped reading"),
        Err(Stop::Shutdown) => info!(job = job.number, "left unfinished until the next start"),
    }
}

fn read(hub: &Hub, job: &JobRow, active: &Active) -> Result<(Signature, Stated), Stop> {
    let folder = hub.folder.as_ref().ok_or_else(|| {
        HubError::new(
            Code::NoFolder,
            "the hub was started without a folder of models",
        )
    })?;
    let found = folder.find(&job.new.path, hub.config.model_bytes)?;
    let model = found.open()?;
    let mut stated = if job.new.stated.is_empty() {
        found.stated.clone()
    } else {
        job.new.stated.clone()
    };
    let signature = if Adapter::is_adapter(&model) {
        let base = job.new.stated.base_model.first();
        let placed = adapter::place(hub, folder, (&found, model), base)?;
        let signature = sign(hub, &placed.model, active)?;
        placed.base.check_unchanged()?;
        stated.adapter = Some(placed.of);
        signature
    } else {
        sign(hub, &model, active)?
    };
    found.check_unchanged()?;
    let signature = signature.map_err(|error| found.unreadable(&error))?;
    Ok((signature.with_name(&*job.new.model), stated))
}

/// Signs a model. The inner error is that of the model, the outer one says why the job stopped.
fn sign<S: WeightSource>(
    hub: &Hub,
    model: &S,
    active: &Active,
) -> Result<Result<Signature, ModelFailure>, Stop> {
    let start = Instant::now();
    let mut stop = None;
    let mut observer = |progress: Progress| {
        active.advance(progress.done, progress.total);
        stop = if active.is_cancelled() {
            Some(Stop::Cancelled)
        } else if hub.shutdown.has_begun() {
            Some(Stop::Shutdown)
        } else if start.elapsed() > hub.config.job_time {
            let limit = hub.config.job_time.as_secs();
            let message = format!("reading the model took longer than {limit} s");
            Some(HubError::new(Code::JobTooLong, message).into())
        } else {
            return ControlFlow::Continue(());
        };
        ControlFlow::Break(())
    };
    let options = hub.config.signatures;
    let signed = options.sign_all_observed(std::slice::from_ref(model), &mut observer);
    if let Some(stop) = stop {
        return Err(stop);
    }
    let signed = signed.map_err(|_| Stop::Cancelled)?.pop();
    Ok(signed.ok_or_else(|| HubError::internal("no signature"))?)
}
