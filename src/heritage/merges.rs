//! Merged models: which models are weighted averages of others.

use alloc::vec::Vec;

use crate::evidence::Geometry;

/// Both parents of a merge of two have at least this weight.
const LEAST_WEIGHT: f64 = 0.05;

/// What a merge leaves unexplained is below this share of what chance, or one parent, would leave.
const RESIDUAL: f64 = 0.1;

/// A model that is, but for rounding, a weighted average of two others.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Merge {
    model: usize,
    parents: [(usize, f64); 2],
    residual: f64,
}

impl Merge {
    /// The position of the merged model.
    #[must_use]
    pub const fn model(&self) -> usize {
        self.model
    }

    /// The positions of the models that were averaged, ascending, with their weights, which sum to
    /// 1.
    #[must_use]
    pub const fn parents(&self) -> &[(usize, f64); 2] {
        &self.parents
    }

    /// The squared distance of the model from the average, as a share of what it would be if the
    /// parents had nothing to do with the model: 0 for an exact average, 1 by chance.
    #[must_use]
    pub const fn residual(&self) -> f64 {
        self.residual
    }
}

/// Finds the models that are averages of two others, in the order of their positions.
///
/// For a model m and two others a and b, the nearest average to m is that of least squares in the
/// space of differences, with weights that sum to one: a has the weight (d²(m, b) − p) / d²(a, b),
/// where p = (d²(m, a) + d²(m, b) − d²(a, b)) / 2 is the inner product of a − m and b − m. If a
/// and b were trained from m by orthogonal steps, p would be zero, and the residual
/// d²(m, a) d²(m, b) / (d²(m, a) + d²(m, b)).
///
/// The pair with the least residual as a share of that is taken, of equally good ones the first.
/// It is a merge if that share is below a tenth, if the residual is also below a tenth of the
/// squared distance to the nearest single model (so a fine-tune of an average is none), and if both
/// weights are at least 0.05. Averages of real networks had shares below 1e-8, other models of real
/// trees at least 0.6.
///
/// A model that lies exactly midway between its parent and its child is an average, too: what was
/// done to weights can be told, not why. Merges of three and more are not looked for.
///
/// # Complexity
///
/// O(n³) time for n models, O(1) space beside the result.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::Geometry;
/// use mother::heritage::find_merges;
///
/// // Two orthogonal models of length 1, their average, and a stranger.
/// let distances = CondensedMatrix::new(4, vec![2.0, 0.5, 2.0, 0.5, 2.0, 1.5])?;
/// let geometry = Geometry::new(vec![1.0, 1.0, 0.5, 1.0], distances)?;
/// let merges = find_merges(&geometry);
/// assert_eq!(merges.len(), 1);
/// assert_eq!(merges[0].model(), 2);
/// assert_eq!(merges[0].parents(), &[(0, 0.5), (1, 0.5)]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use]
pub fn find_merges(geometry: &Geometry) -> Vec<Merge> {
    let models = geometry.squared_norms().len();
    (0..models)
        .filter_map(|model| merge_of(geometry, model))
        .collect()
}

fn merge_of(geometry: &Geometry, model: usize) -> Option<Merge> {
    let squared = |first, second| {
        let distances = geometry.squared_distances();
        distances.distance(first, second).unwrap_or(0.0)
    };
    let models = geometry.squared_norms().len();
    let others: Vec<(usize, f64)> = (0..models)
        .filter(|&other| other != model)
        .map(|other| (other, squared(model, other)))
        .collect();
    let nearest = others.iter().map(|&(_, g)| g).fold(f64::INFINITY, f64::min);
    // A copy of another model is a copy and no average.
    if nearest <= 0.0 {
        return None;
    }
    let mut best: Option<Merge> = None;
    for (position, &(a, to_a)) in others.iter().enumerate() {
        for &(b, to_b) in &others[position + 1..] {
            let between = squared(a, b);
            let product = 0.5 * (to_a + to_b - between);
            let weight = (to_b - product) / between;
            // Copies of one parent are told apart by no weight: their distance is zero.
            if !(LEAST_WEIGHT..=1.0 - LEAST_WEIGHT).contains(&weight) {
                continue;
            }
            let left = ((to_a * to_b - product * product) / between).max(0.0);
            let residual = left / (to_a * to_b / (to_a + to_b));
            let accepted = residual < RESIDUAL && left < RESIDUAL * nearest;
            if accepted && best.as_ref().is_none_or(|best| residual < best.residual) {
                best = Some(Merge {
                    model,
                    parents: [(a, weight), (b, 1.0 - weight)],
                    residual,
                });
            }
        }
    }
    best
}
