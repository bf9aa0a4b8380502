//! Observing long work and stopping it.

use core::error::Error;
use core::fmt;
use core::ops::ControlFlow;

/// The next stage of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading values from the models and summing them.
    Reading,
    /// Adding values to the directional scores.
    Scoring,
    /// Comparing pairs of models.
    Comparing,
    /// Recovering the trees.
    Recovering,
}

/// The progress of the work so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The phase that begins now.
    pub phase: Phase,
    /// The work done so far, in a unit that is only meaningful relative to `total`.
    pub done: u64,
    /// The total amount of work; estimated again if a model fails.
    pub total: u64,
}

/// Observes long work and may stop it.
///
/// The observer is called between steps of a fraction of a second, always from the thread that started the
/// work, so it can use a clock to time each phase. Any `FnMut(Progress) -> ControlFlow<()>` is an observer.
///
/// # Examples
///
/// ```
/// use core::ops::ControlFlow;
/// use mother::progress::{Cancelled, Progress};
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = InMemoryModel::new("a").with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, 5.0])?;
/// let mut stop_at_once = |_: Progress| ControlFlow::Break(());
/// let stopped = SignatureOptions::new().sign_all_observed(&[model], &mut stop_at_once);
/// assert_eq!(stopped.unwrap_err(), Cancelled);
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
pub trait Observer {
    /// Receives the progress. Returning `Break` stops the work with an error that says so.
    fn observe(&mut self, progress: Progress) -> ControlFlow<()>;
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Observer for F {
    fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// The observer stopped the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled by the observer")
    }
}

impl Error for Cancelled {}

/// Reports progress to an observer.
pub(crate) struct ProgressReporter<'a> {
    observer: &'a mut dyn Observer,
    done: u64,
    total: u64,
}

impl<'a> ProgressReporter<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self {
            observer,
            done: 0,
            total: 0,
        }
    }

    /// Sets how much work is left from now on.
    pub(crate) fn begin(&mut self, work: u64) {
        self.total = self.done.saturating_add(work);
    }

    pub(crate) fn tick(&mut self, phase: Phase, done: u64) -> Result<(), Cancelled> {
        self.done = self.done.saturating_add(done);
        let progress = Progress {
            phase,
            done: self.done,
            total: self.total,
        };
        match self.observer.observe(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        }
    }
}

/// Does work whose progress nobody observes.
pub(crate) fn unobserved<R>(work: impl FnOnce(&mut ProgressReporter<'_>) -> R) -> R {
    work(&mut ProgressReporter::new(&mut |_| {
        ControlFlow::Continue(())
    }))
}
