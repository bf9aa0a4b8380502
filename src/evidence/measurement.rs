//! Measures models: what to measure, and the resulting evidence.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use hashbrown::HashMap;

use super::architecture;
use super::group::{GroupPass, Interruption};
use super::memory;
#[cfg(feature = "svd")]
use super::ranks::RankOverLayers;
use super::table::SkippedLayerOf;
use super::{Evidence, EvidenceError, GroupEvidence, LayerSelection, Score};
use crate::progress::{Observer, ProgressReporter};
#[cfg(feature = "svd")]
use crate::rank::Tolerance;
use crate::signature::{Architecture, LayerShape};
use crate::signature::{ModelFailure, OpenModel, SkippedModel, is_weight_matrix};
use crate::weights::WeightSource;

/// How far apart two models are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Distance {
    /// Eq. 1: the mean over layers of the Frobenius norm of the difference.
    ///
    /// This is the default even for low-rank updates. On trees with no other updates,
    /// [`Recovery`](crate::heritage::Recovery) found the same edges with either distance: all of them, on two
    /// trees of 21 real models. Elsewhere rank did worse. It found 0.85 of the edges of a tree that mixes
    /// low-rank with full updates, where L2 finds all, and 0.47 of the edges of fifteen sets, where L2 finds
    /// 0.99. The rank of a full update doesn't show how far apart models are.
    #[default]
    L2,
    /// Eq. 2: the rank of the difference, over all layers (feature `svd`).
    #[cfg(feature = "svd")]
    Rank {
        /// Which singular values count. `None` applies NumPy's rule with the precision of the coarser stored
        /// type, and Gavish and Donoho's for types of 16 bits or fewer.
        tolerance: Option<Tolerance>,
        /// How the layers' ranks are combined into one number.
        over_layers: RankOverLayers,
    },
}

/// What happens when a model can't be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OnFailure {
    /// The model is left out and listed in [`Evidence::skipped`]; the others are measured as if it had not
    /// been given.
    #[default]
    Skip,
    /// The measurement stops with [`EvidenceError::Model`].
    Stop,
}

/// How to measure models; the defaults are Eq. 1 and 3 on every shared weight matrix.
///
/// Layers are matched by their stored name and shape. If models name them differently, compare their
/// signatures instead (see [`Matching`](super::Matching)).
///
/// # Examples
///
/// ```
/// use mother::evidence::Measurement;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, last])
/// };
/// let evidence = Measurement::new().measure(&[model("a", 4.0)?, model("b", 4.5)?])?;
/// assert_eq!(evidence.groups[0].distances().values(), [0.5]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Measurement {
    pub(super) distance: Distance,
    pub(super) score: Score,
    pub(super) distance_layers: LayerSelection,
    pub(super) score_layers: LayerSelection,
    pub(super) buffer_size: usize,
    on_failure: OnFailure,
}

impl Default for Measurement {
    fn default() -> Self {
        Self {
            distance: Distance::default(),
            score: Score::default(),
            distance_layers: LayerSelection::default(),
            score_layers: LayerSelection::default(),
            buffer_size: 64 << 20,
            on_failure: OnFailure::default(),
        }
    }
}

impl Measurement {
    /// Measures Eq. 1 and 3 on every shared weight matrix and skips models that fail.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the distance.
    #[must_use]
    pub fn with_distance(mut self, distance: Distance) -> Self {
        self.distance = distance;
        self
    }

    /// Sets the directional score.
    #[must_use]
    pub fn with_score(mut self, score: Score) -> Self {
        self.score = score;
        self
    }

    /// Sets the target for the bytes of weights held at once, over all models; 64 MiB by default.
    ///
    /// A target, not a limit: 4096 values of each model are always held, and with rank distances a whole
    /// layer of two models for each thread. Sketches of layers, from which ranks are computed, need up to
    /// half as much again. Results don't depend on this setting.
    #[must_use]
    pub fn with_buffer_size(mut self, bytes: usize) -> Self {
        self.buffer_size = bytes;
        self
    }

    /// Sets the layers on which distances are measured.
    #[must_use]
    pub fn with_layers(mut self, layers: LayerSelection) -> Self {
        self.distance_layers = layers;
        self
    }

    /// Sets the layers over which scores are summed.
    #[must_use]
    pub fn with_score_layers(mut self, layers: LayerSelection) -> Self {
        self.score_layers = layers;
        self
    }

    /// Sets what happens when a model fails.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Measures models, given in any order.
    ///
    /// # Errors
    ///
    /// The same as for [`measure_observed`](Self::measure_observed).
    pub fn measure<S: WeightSource>(&self, models: &[S]) -> Result<Evidence, EvidenceError> {
        self.measure_observed(models, &mut |_| ControlFlow::Continue(()))
    }

    /// Measures models, given in any order, and reports progress to `observer`.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::DuplicateModel`]; [`EvidenceError::Cancelled`] when the observer breaks;
    /// [`EvidenceError::Model`] with [`OnFailure::Stop`]; [`EvidenceError::Memory`].
    ///
    /// # Complexity
    ///
    /// O(n² w) time for n models of w weights; with ranks, O(n² w r) for matrices whose shorter side is r.
    /// Memory is O(n²) in addition to the [buffer](Self::with_buffer_size).
    ///
    /// # Changes
    ///
    /// Values are read a second time for [ranks](Distance) and [entropy](Score::Entropy). Checksums then
    /// detect whether they have changed; a model that changed fails with [`ModelFailure::Changed`]. Otherwise
    /// each value is read once.
    pub fn measure_observed<S: WeightSource>(
        &self,
        models: &[S],
        observer: &mut dyn Observer,
    ) -> Result<Evidence, EvidenceError> {
        let mut evidence = Evidence::default();
        let mut sorted: Vec<&S> = models.iter().collect();
        sorted.sort_by(|first, second| first.name().cmp(second.name()));
        if let Some(pair) = sorted.windows(2).find(|p| p[0].name() == p[1].name()) {
            return Err(EvidenceError::DuplicateModel {
                model: pair[0].name().into(),
            });
        }
        let mut candidates = Vec::new();
        for source in sorted {
            evidence
                .skipped_layers
                .extend(source.skipped_layers().iter().map(|layer| SkippedLayerOf {
                    model: source.name().into(),
                    layer: layer.clone(),
                }));
            match open_with_matrix(source) {
                Ok(candidate) => candidates.push(candidate),
                Err(failure) => self.skip(&mut evidence, source.name(), failure)?,
            }
        }
        // A failing model may have kept others from sharing a layer, so the models that depend on it are
        // grouped and measured again.
        let mut reporter = ProgressReporter::new(observer);
        evidence.groups = loop {
            match self.measure_groups(&candidates, &mut reporter) {
                Ok(groups) => break groups,
                Err(Interruption::Stopped(error)) => return Err(error),
                Err(Interruption::Failed(failures)) => {
                    let failed: HashMap<usize, ModelFailure> = failures.into_iter().collect();
                    let mut kept = Vec::new();
                    for (index, candidate) in candidates.into_iter().enumerate() {
                        match failed.get(&index) {
                            Some(failure) => {
                                self.skip(&mut evidence, candidate.name(), failure.clone())?;
                            }
                            None => kept.push(candidate),
                        }
                    }
                    candidates = kept;
                }
            }
        };
        evidence
            .skipped
            .sort_by(|first, second| first.model.cmp(&second.model));
        Ok(evidence)
    }

    fn skip(
        &self,
        evidence: &mut Evidence,
        model: &str,
        failure: ModelFailure,
    ) -> Result<(), EvidenceError> {
        let skipped = SkippedModel {
            model: model.into(),
            failure,
        };
        match self.on_failure {
            OnFailure::Stop => Err(EvidenceError::Model(skipped)),
            OnFailure::Skip => {
                evidence.skipped.push(skipped);
                Ok(())
            }
        }
    }

    /// Measures all groups, or returns the candidates that failed.
    fn measure_groups<S: WeightSource>(
        &self,
        candidates: &[OpenModel<'_, S>],
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<GroupEvidence>, Interruption> {
        let architectures: Vec<&Architecture> = candidates
            .iter()
            .map(|candidate| &candidate.architecture)
            .collect();
        let mut failures = Vec::new();
        let mut passes = Vec::new();
        for group in architecture::groups(&architectures) {
            let layers: Vec<LayerShape> = architecture::shared_layers(&architectures, &group)
                .into_iter()
                .filter(|layer| self.compares(layer) || self.scores(layer))
                .collect();
            let compared = layers.iter().filter(|layer| self.compares(layer)).count();
            if compared > 0 {
                if !memory::is_there(memory::of_pairs(group.len())) {
                    let models = group.len();
                    return Err(Interruption::Stopped(EvidenceError::Memory { models }));
                }
                let members = group.iter().map(|&index| &candidates[index]).collect();
                passes.push((GroupPass::new(self, members, layers), group));
            } else {
                let models = group.len();
                let failure = ModelFailure::NoSharedLayer { models };
                failures.extend(group.iter().map(|&index| (index, failure.clone())));
            }
        }
        if !failures.is_empty() {
            return Err(Interruption::Failed(failures));
        }
        let work = passes.iter().map(|(pass, _)| pass.work());
        reporter.begin(work.fold(0, u64::saturating_add));
        let mut groups = Vec::new();
        for (pass, group) in passes {
            match pass.run(reporter) {
                Ok(evidence) => groups.push(evidence),
                Err(Interruption::Failed(failed)) => {
                    failures.extend(failed.into_iter().map(|(member, why)| (group[member], why)));
                }
                Err(stopped) => return Err(stopped),
            }
        }
        if failures.is_empty() {
            Ok(groups)
        } else {
            Err(Interruption::Failed(failures))
        }
    }

    pub(super) fn compares(&self, layer: &LayerShape) -> bool {
        self.distance_layers.selects_layer(layer)
    }

    pub(super) fn scores(&self, layer: &LayerShape) -> bool {
        self.score_layers.selects_layer(layer)
    }
}

/// Opens a model that has something to measure.
fn open_with_matrix<S: WeightSource>(source: &S) -> Result<OpenModel<'_, S>, ModelFailure> {
    let model = OpenModel::open(source)?;
    let mut layers = model.architecture.iter();
    if layers.any(|layer| is_weight_matrix(&layer.shape)) {
        Ok(model)
    } else {
        Err(ModelFailure::NoWeightMatrix)
    }
}
