//! Eq. 2: the ranks of the differences of all pairs on one layer.

use alloc::vec;
use alloc::vec::Vec;

use super::block::MatrixShape;
use crate::Scalar;
use crate::rank::{Difference, MatrixView, RankError, Tolerance, ranks_of_differences};
use crate::signature::{Cause, LayerShape, ModelFailure};
use crate::weights::ElementType;

/// How the ranks of a pair's layers are combined into one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RankOverLayers {
    /// The largest rank, as in Eq. 2.
    #[default]
    Maximum,
    /// The sum of all ranks.
    Sum,
}

impl RankOverLayers {
    /// Adds the rank on one more layer to a pair's distance.
    pub(super) fn take(self, distance: &mut f64, rank: f64) {
        *distance = match self {
            Self::Maximum => distance.max(rank),
            Self::Sum => *distance + rank,
        };
    }
}

/// The whole layer of one model.
pub(super) struct WholeLayer<T> {
    /// The model's position in its group.
    pub(super) model: usize,
    pub(super) values: Vec<T>,
    pub(super) stored: Option<ElementType>,
}

/// The rank of the difference on one layer for each of these pairs, in their order; pairs are positions in
/// `models`.
pub(super) fn ranks<T: Scalar>(
    layer: &LayerShape,
    models: &[&WholeLayer<T>],
    pairs: &[(usize, usize)],
    tolerance: Option<Tolerance>,
) -> Result<Vec<f64>, Vec<(usize, ModelFailure)>> {
    let MatrixShape { rows, width } = MatrixShape::of_matrix(layer);
    let failure = |model: usize, error: RankError| {
        let layer = layer.name.clone();
        let reason = Cause::new(error);
        (model, ModelFailure::Rank { layer, reason })
    };
    let matrices = (models.iter())
        .map(|whole| {
            MatrixView::new(&whole.values, rows, width)
                .map_err(|error| vec![failure(whole.model, error)])
        })
        .collect::<Result<Vec<_>, _>>()?;
    let differences: Vec<Difference> = pairs
        .iter()
        .map(|&(first, second)| Difference {
            first,
            second,
            tolerance: tolerance
                .unwrap_or_else(|| stored_rule(models[first].stored, models[second].stored)),
        })
        .collect();
    let mut found = Vec::with_capacity(pairs.len());
    let mut failures: Vec<(usize, ModelFailure)> = Vec::new();
    for (&(first, _), outcome) in pairs
        .iter()
        .zip(ranks_of_differences(&matrices, &differences))
    {
        match outcome {
            Ok(rank) => found.push(rank as f64),
            Err(error) => failures.push(failure(models[first].model, error)),
        }
    }
    if failures.is_empty() {
        Ok(found)
    } else {
        failures.dedup_by_key(|(model, _)| *model);
        Err(failures)
    }
}

/// The rule for the types in which two layers are stored: the coarser type decides.
fn stored_rule(first: Option<ElementType>, second: Option<ElementType>) -> Tolerance {
    let epsilon = |t: Option<ElementType>| t.and_then(ElementType::epsilon).unwrap_or(0.0);
    let epsilon = epsilon(first).max(epsilon(second)).max(f64::EPSILON);
    if epsilon > f64::from(f32::EPSILON) {
        Tolerance::GavishDonoho
    } else {
        Tolerance::Numpy { epsilon }
    }
}
