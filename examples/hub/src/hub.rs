//! The hub: the state shared by requests and background threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mother::safetensors::SafetensorsModel;
use mother::signature::Signature;
use tokio::sync::watch;
use tracing::info;

use crate::catalogue::{Catalogue, Known};
use crate::config::Config;
use crate::database::{Database, ModelRow, Origin, Put};
use crate::error::{Code, HubError};
use crate::folder::Folder;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::recovery::{self, Change, Snapshot};
use crate::stated::Stated;
use crate::{folder, worker, zoo};

/// The shared state.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) catalogue: Catalogue,
    pub(crate) jobs: Jobs,
    pub(crate) folder: Option<Folder>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) snapshots: watch::Sender<Arc<Snapshot>>,
    database: Mutex<Database>,
    /// The number of the newest change. It grows only while the database is locked, so changes are in the order of
    /// their commits.
    change: AtomicU64,
    changes: Sender<(u64, Change)>,
    /// Whether the recovery thread is running.
    pub(crate) recovers: AtomicBool,
}

/// A message to the recovery thread.
pub(crate) type Changes = Receiver<(u64, Change)>;

/// Signals to all threads that the hub is stopping.
pub(crate) struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

impl Hub {
    /// Opens the database, and resumes unfinished jobs.
    pub(crate) fn open(config: Config) -> Result<(Self, Changes), Box<dyn std::error::Error>> {
        // First, since only the process that has the database open may change the files next to it.
        let mut database = Database::open(&config.database, config.signatures)?;
        let mut staging = config.database.clone().into_os_string();
        staging.push("-staged");
        let open = |root| Folder::open(root, staging.into());
        let folder = config.models.as_deref().map(open).transpose()?;
        if folder.is_none() && !database.had_zoo()? {
            database.put_zoo(&sign_zoo(&config)?)?;
        }
        let catalogue = Catalogue::default();
        for row in database.models()? {
            catalogue.insert(row, 0);
        }
        let jobs = Jobs::new(database.unfinished_jobs()?);
        let (sender, receiver) = mpsc::channel();
        let hub = Self {
            config,
            catalogue,
            jobs,
            folder,
            metrics: Metrics::default(),
            shutdown: Shutdown(watch::Sender::new(false)),
            snapshots: watch::Sender::default(),
            database: Mutex::new(database),
            change: AtomicU64::new(0),
            changes: sender,
            recovers: AtomicBool::new(true),
        };
        Ok((hub, receiver))
    }

    /// Locks the database.
    pub(crate) fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// The number of the newest committed change.
    pub(crate) fn newest_change(&self) -> u64 {
        self.change.load(Ordering::Acquire)
    }

    pub(crate) fn model(&self, id: &str) -> Result<Arc<Known>, HubError> {
        self.catalogue
            .get(id)
            .ok_or_else(|| HubError::no_such_model(id))
    }

    /// Waits, for a limited time, until a snapshot includes a change. Returns the newest snapshot.
    pub(crate) async fn snapshot_with(&self, change: u64, wait: Duration) -> Arc<Snapshot> {
        let (mut snapshots, mut shutdown) = (self.snapshots.subscribe(), self.shutdown.subscribe());
        let knows = |snapshot: &Arc<Snapshot>| snapshot.generation > 0 && snapshot.change >= change;
        tokio::select! {
            _ = snapshots.wait_for(knows) => {}
            _ = shutdown.wait_for(|stops| *stops) => {}
            () = tokio::time::sleep(wait) => {}
        }
        self.snapshot()
    }

    /// Adds a model with a known signature. Returns whether it is new.
    pub(crate) fn put(&self, row: ModelRow, signature: Signature) -> Result<bool, HubError> {
        let mut database = self.database();
        match database.put_model(&row, &signature, self.config.most_models)? {
            Put::Created => {
                info!(model = %row.id, origin = row.origin.name(), "added");
                self.added(&database, row, signature);
                Ok(true)
            }
            Put::Same => Ok(false),
            Put::Exists => Err(model_exists(&row.id)),
            Put::Job(job) => Err(job_exists(&row.id, job)),
            Put::Full => Err(hub_full(&self.config)),
        }
    }

    /// Announces a model that was just committed.
    pub(crate) fn added(
        &self,
        _committed: &MutexGuard<'_, Database>,
        row: ModelRow,
        signature: Signature,
    ) {
        let change = self.change.load(Ordering::Acquire) + 1;
        self.catalogue.insert(row, change);
        // Nobody hears it only where the hub stops.
        let _ = self
            .changes
            .send((change, Change::Insert(Box::new(signature))));
        self.change.store(change, Ordering::Release);
    }

    /// Removes a model.
    pub(crate) fn remove(&self, id: &str) -> Result<(), HubError> {
        let database = self.database();
        if !database.remove_model(id)? {
            return Err(HubError::no_such_model(id));
        }
        info!(model = id, "removed");
        let change = self.change.load(Ordering::Acquire) + 1;
        self.catalogue.remove(id);
        let _ = self.changes.send((change, Change::Remove(id.into())));
        self.change.store(change, Ordering::Release);
        Ok(())
    }
}

pub(crate) fn model_exists(id: &str) -> HubError {
    let message = format!("a model named {id:?} already exists; remove it first");
    HubError::new(Code::ModelExists, message)
}

pub(crate) fn job_exists(id: &str, job: i64) -> HubError {
    HubError::new(
        Code::JobExists,
        format!("job {job} is already adding {id:?}"),
    )
}

pub(crate) fn hub_full(config: &Config) -> HubError {
    let message = format!("the hub is full: it has {} models", config.most_models);
    HubError::new(Code::HubFull, message)
}

fn sign_zoo(config: &Config) -> Result<Vec<(ModelRow, Signature)>, Box<dyn std::error::Error>> {
    let sign = |&(name, bytes): &(&str, &[u8])| {
        let model = SafetensorsModel::from_bytes(name, bytes)?;
        let signature = config.signatures.sign(&model)?;
        Ok((
            ModelRow::new(name, Origin::Zoo, None, Stated::default()),
            signature,
        ))
    };
    zoo::MODELS.iter().map(sign).collect()
}

/// The background threads.
pub(crate) struct Background(Vec<JoinHandle<()>>);

impl Background {
    /// Waits for all threads. The hub must be stopping.
    pub(crate) fn join(self) {
        for thread in self.0 {
            // A thread that panicked has logged it.
            let _ = thread.join();
        }
    }
}

/// Starts the threads that recover, read models and search the folder.
pub(crate) fn start(hub: &Arc<Hub>, changes: Changes) -> std::io::Result<Background> {
    let mut threads = vec![spawn(hub, "recovery", move |hub| {
        // Also where it panics.
        let _stopped = Stopped(&hub.recovers);
        recovery::run(hub, &changes);
    })?];
    for _ in 0..hub.config.workers {
        threads.push(spawn(hub, "worker", worker::run)?);
    }
    if hub.folder.is_some() {
        threads.push(spawn(hub, "scan", folder::scan)?);
    }
    Ok(Background(threads))
}

fn spawn(
    hub: &Arc<Hub>,
    name: &str,
    work: impl FnOnce(&Hub) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let hub = Arc::clone(hub);
    thread::Builder::new()
        .name(name.into())
        .spawn(move || work(&hub))
}

/// Records the end of a thread.
struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
