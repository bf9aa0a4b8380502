//! Norms and distances: where models lie in weight space, up to a rotation.

use alloc::vec::Vec;

use super::EvidenceError;
use super::failure::{number, wrong_size};
use crate::condensed::CondensedMatrix;

/// The squared norm of every model and the squared distance of every pair, over all compared weights.
///
/// These determine the relative positions of the models: inner products and angles follow from them.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::Geometry;
///
/// let orthogonal = Geometry::new(vec![1.0, 4.0], CondensedMatrix::new(2, vec![5.0])?)?;
/// assert_eq!(orthogonal.inner_product(0, 1), Some(0.0));
/// assert_eq!(orthogonal.unrelatedness(0, 1), Some(1.0));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(remote = "Self")
)]
pub struct Geometry {
    squared_norms: Vec<f64>,
    squared_distances: CondensedMatrix,
}

crate::checked::deserialise_checked!(Geometry, |read| Self::new(
    read.squared_norms,
    read.squared_distances
));

impl Geometry {
    /// Creates the geometry from squared norms and squared distances.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] when the tables are for different numbers of models,
    /// [`EvidenceError::Number`] for a value that is negative or not finite; the model is named by
    /// its position.
    pub fn new(
        squared_norms: Vec<f64>,
        squared_distances: CondensedMatrix,
    ) -> Result<Self, EvidenceError> {
        if squared_norms.len() != squared_distances.size() {
            let models = squared_distances.size();
            return Err(wrong_size("squared norms", squared_norms.len(), models));
        }
        let norms = squared_norms.iter().copied().enumerate();
        let distances = squared_distances
            .pairs()
            .map(|(first, _, value)| (first, value));
        let numbers = norms
            .map(|(model, value)| ("squared norm", model, value))
            .chain(distances.map(|(model, value)| ("squared distance", model, value)));
        for (table, model, value) in numbers {
            if !(value.is_finite() && value >= 0.0) {
                return Err(number(table, model, value));
            }
        }
        Ok(Self {
            squared_norms,
            squared_distances,
        })
    }

    /// The geometry of some of the models, given by position, in that order.
    pub(super) fn select(&self, models: &[usize]) -> Result<Self, EvidenceError> {
        let distances = self.squared_distances.select(models);
        let norms = models
            .iter()
            .filter_map(|&model| self.squared_norms.get(model));
        match distances {
            Some(distances) => Self::new(norms.copied().collect(), distances),
            None => Err(wrong_size(
                "geometry",
                self.squared_norms.len(),
                models.len(),
            )),
        }
    }

    /// Models with an [`unrelatedness`](Self::unrelatedness) above this count as unrelated.
    pub(crate) const UNRELATED: f64 = 0.75;

    /// The longest step of a merge's parents from their base, by [`unrelatedness`](Self::unrelatedness). An average of
    /// unrelated models would also explain its fine-tunes, but with steps above 0.3.
    const LONGEST_STEP: f64 = 0.25;

    /// Whether a short step leads from the first model to the second, longer one.
    pub(crate) fn is_step(&self, from: usize, to: usize) -> bool {
        let norms = &self.squared_norms;
        let unrelatedness = self.unrelatedness(from, to);
        norms[from] < norms[to]
            && self.squared_distance(from, to) > 0.0
            && unrelatedness.is_some_and(|share| share <= Self::LONGEST_STEP)
    }

    /// The inner product of the steps of two models from a base.
    pub(crate) fn product_of_steps(&self, base: usize, u: usize, v: usize) -> f64 {
        let squared = |u, v| self.squared_distance(u, v);
        (squared(base, u) + squared(base, v) - squared(u, v)) / 2.0
    }

    /// ‖u − v‖²; 0 if there is no such model.
    pub(crate) fn squared_distance(&self, u: usize, v: usize) -> f64 {
        self.squared_distances.distance(u, v).unwrap_or(0.0)
    }

    /// ‖u‖² of every model.
    #[must_use]
    pub fn squared_norms(&self) -> &[f64] {
        &self.squared_norms
    }

    /// ‖u − v‖² of every pair.
    #[must_use]
    pub const fn squared_distances(&self) -> &CondensedMatrix {
        &self.squared_distances
    }

    /// ⟨u, v⟩; `None` if there is no such model.
    #[must_use]
    pub fn inner_product(&self, first: usize, second: usize) -> Option<f64> {
        let norms = self.squared_norms.get(first)? + self.squared_norms.get(second)?;
        Some((norms - self.squared_distances.distance(first, second)?) / 2.0)
    }

    /// ‖u − v‖² / (‖u‖² + ‖v‖²); `None` if there is no such model.
    ///
    /// The value is near 0 for a model and its copy. It is near 1 for independent weights, which are nearly
    /// orthogonal, so it identifies unrelated models without knowing the number of trees.
    #[must_use]
    pub fn unrelatedness(&self, first: usize, second: usize) -> Option<f64> {
        let norms = self.squared_norms.get(first)? + self.squared_norms.get(second)?;
        let squared = self.squared_distances.distance(first, second)?;
        Some(share(squared, norms))
    }
}

/// A part as a share of the whole; 0 of nothing.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_tables_are_named() {
        let distances = || CondensedMatrix::new(2, alloc::vec![5.0]).unwrap();
        let short = Geometry::new(alloc::vec![1.0], distances());
        assert!(matches!(short, Err(EvidenceError::Size { found: 1, .. })));
        let negative = Geometry::new(alloc::vec![1.0, -1.0], distances());
        assert!(matches!(
            negative,
            Err(EvidenceError::Number { value: -1.0, .. })
        ));
    }
}
