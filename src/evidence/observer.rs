//! Watching a measurement, and stopping it.

use core::ops::ControlFlow;

use super::EvidenceError;

/// What a measurement is about to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading values from the models.
    Reading,
    /// Taking the values into the directional scores.
    Scoring,
    /// Taking the values into the distances, or the ranks, of pairs.
    Comparing,
}

/// How far a measurement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What begins now.
    pub phase: Phase,
    /// The work done so far, in a unit that only has meaning next to `total`.
    pub done: u64,
    /// The work there is.
    ///
    /// It is estimated anew when a model fails and the others have to be measured without it.
    pub total: u64,
}

/// Watches a measurement and may stop it.
///
/// It is called at the start of every phase of every chunk, always from the thread that called the
/// measurement, so a clock in it can tell how long each phase took. Any
/// `FnMut(Progress) -> ControlFlow<()>` is one.
///
/// # Examples
///
/// ```
/// use core::ops::ControlFlow;
/// use mother::evidence::{EvidenceError, Measurement, Progress};
/// use mother::weights::InMemoryModel;
///
/// let model = InMemoryModel::new("a").with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, 5.0])?;
/// let mut stop_at_once = |_: Progress| ControlFlow::Break(());
/// let stopped = Measurement::new().measure_observed(&[model], &mut stop_at_once);
/// assert_eq!(stopped.unwrap_err(), EvidenceError::Cancelled);
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
pub trait Observer {
    /// Sees the progress; `Break` stops the measurement with
    /// [`EvidenceError::Cancelled`](super::EvidenceError::Cancelled).
    fn observe(&mut self, progress: Progress) -> ControlFlow<()>;
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Observer for F {
    fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// Tells an observer how far the work is.
pub(super) struct Clock<'a> {
    observer: &'a mut dyn Observer,
    done: u64,
    total: u64,
}

impl<'a> Clock<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer) -> Self {
        Self {
            observer,
            done: 0,
            total: 0,
        }
    }

    /// From now on there is so much to do, beside what is done already.
    pub(super) fn begin(&mut self, work: u64) {
        self.total = self.done.saturating_add(work);
    }

    pub(super) fn tick(&mut self, phase: Phase, done: u64) -> Result<(), EvidenceError> {
        self.done = self.done.saturating_add(done);
        let progress = Progress {
            phase,
            done: self.done,
            total: self.total,
        };
        match self.observer.observe(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EvidenceError::Cancelled),
        }
    }
}
