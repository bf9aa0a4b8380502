//! Watching long work, and stopping it.

use core::error::Error;
use core::fmt;
use core::ops::ControlFlow;

/// What the work does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading values from the models, and summing them up.
    Reading,
    /// Adding values to the directional scores.
    Scoring,
    /// Comparing pairs of models.
    Comparing,
    /// Finding the trees.
    Recovering,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What begins now.
    pub phase: Phase,
    /// The work done so far, in a unit that only has meaning next to `total`.
    pub done: u64,
    /// The work there is; estimated anew when a model fails.
    pub total: u64,
}

/// Watches long work and may stop it.
///
/// It is called between steps of a fraction of a second, always from the thread that called the
/// work, so a clock in it can tell how long each phase took. Any
/// `FnMut(Progress) -> ControlFlow<()>` is one.
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
    /// Sees the progress; `Break` stops the work with an error that says so.
    fn observe(&mut self, progress: Progress) -> ControlFlow<()>;
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Observer for F {
    fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// The observer asked for the work to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the observer cancelled the work")
    }
}

impl Error for Cancelled {}

/// Reports to an observer how far the work has come.
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

    /// From now on there is this much left to do.
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
