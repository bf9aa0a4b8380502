//! Eq. 2: the ranks of the differences of all pairs on one layer.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::ModelFailure;
use super::architecture::LayerShape;
use super::block::MatrixShape;
use crate::Scalar;
use crate::rank::{MatrixView, RankError, SingularValueSolver, Tolerance};
use crate::weights::ElementType;

/// How the ranks of a pair's layers become one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RankOverLayers {
    /// The largest, as in Eq. 2.
    #[default]
    Maximum,
    /// The sum.
    Sum,
}

impl RankOverLayers {
    /// Takes the rank on one more layer into a pair's distance.
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

/// The rank of the difference for pairs of models on one layer, in the order of the pairs.
pub(super) fn ranks<T: Scalar>(
    layer: &LayerShape,
    pairs: &[(&WholeLayer<T>, &WholeLayer<T>)],
    tolerance: Option<Tolerance>,
) -> Result<Vec<f64>, Vec<(usize, ModelFailure)>> {
    let MatrixShape { rows, width } = MatrixShape::of_matrix(layer);
    let rank = |solver: &mut SingularValueSolver,
                (first, second): &(&WholeLayer<T>, &WholeLayer<T>)| {
        let tolerance = tolerance.unwrap_or_else(|| stored_rule(first.stored, second.stored));
        let first = MatrixView::new(&first.values, rows, width)?;
        let second = MatrixView::new(&second.values, rows, width)?;
        let found = solver.singular_values_of_difference(first, second)?;
        Ok(found.rank(tolerance)?.value() as f64)
    };
    let outcomes = for_each_pair(pairs, rank);
    let mut found = vec![0.0; pairs.len()];
    let mut failures: Vec<(usize, ModelFailure)> = Vec::new();
    for ((rank, outcome), (first, _)) in found.iter_mut().zip(outcomes).zip(pairs) {
        match outcome {
            Ok(value) => *rank = value,
            Err(error) => failures.push((
                first.model,
                ModelFailure::Rank {
                    layer: layer.name.clone(),
                    reason: error.to_string(),
                },
            )),
        }
    }
    if failures.is_empty() {
        Ok(found)
    } else {
        failures.dedup_by_key(|(model, _)| *model);
        Err(failures)
    }
}

/// Applies `rank` to every pair, with a solver for each thread.
fn for_each_pair<P: Sync>(
    pairs: &[P],
    rank: impl Fn(&mut SingularValueSolver, &P) -> Result<f64, RankError> + Sync + Send,
) -> Vec<Result<f64, RankError>> {
    #[cfg(feature = "rayon")]
    return pairs
        .par_iter()
        .map_init(SingularValueSolver::new, rank)
        .collect();
    #[cfg(not(feature = "rayon"))]
    {
        let mut solver = SingularValueSolver::new();
        pairs.iter().map(|pair| rank(&mut solver, pair)).collect()
    }
}

/// The rule that fits what two layers are stored in: the coarser of the two decides.
fn stored_rule(first: Option<ElementType>, second: Option<ElementType>) -> Tolerance {
    let epsilon = |t: Option<ElementType>| t.and_then(ElementType::epsilon).unwrap_or(0.0);
    let epsilon = epsilon(first).max(epsilon(second)).max(f64::EPSILON);
    if epsilon > f64::from(f32::EPSILON) {
        Tolerance::GavishDonoho
    } else {
        Tolerance::Numpy { epsilon }
    }
}
