//! The growth of every pair: which of two models was trained from the other.

use super::EvidenceError;
use super::failure::{number, wrong_size};
use crate::condensed::CondensedMatrix;

/// The growth coefficient β of every pair of models, with two estimates of its standard error.
///
/// If `child` was trained from `parent` by steps orthogonal to their starting point, β of (`parent`, `child`)
/// is near 1, and β of the reverse near −1. Two models whose last common ancestor is a have β = (d²(a, child)
/// − d²(a, parent)) / (d²(a, child) + d²(a, parent)).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(remote = "Self")
)]
pub struct Growth {
    coefficients: CondensedMatrix,
    model_errors: CondensedMatrix,
    layer_errors: CondensedMatrix,
}

crate::checked::deserialise_checked!(Growth, |read| Self::new(
    read.coefficients,
    read.model_errors,
    read.layer_errors
));

impl Growth {
    /// Creates the table from β of every pair, from its first to its second model, and the two
    /// estimates of its standard error: from the model of independent rows, and from the disagreement of layers.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] when the tables are for different numbers of models,
    /// [`EvidenceError::Number`] for a value that is not finite or an error that is negative; the
    /// model is named by its position.
    pub fn new(
        coefficients: CondensedMatrix,
        model_errors: CondensedMatrix,
        layer_errors: CondensedMatrix,
    ) -> Result<Self, EvidenceError> {
        let models = coefficients.size();
        let tables = [
            ("growth", &coefficients, f64::NEG_INFINITY),
            ("model error of the growth", &model_errors, 0.0),
            ("layer error of the growth", &layer_errors, 0.0),
        ];
        for (table, values, least) in tables {
            if values.size() != models {
                return Err(wrong_size(table, values.size(), models));
            }
            let broken = |value: f64| !(value.is_finite() && value >= least);
            if let Some((model, _, value)) = values.pairs().find(|&(_, _, value)| broken(value)) {
                return Err(number(table, model, value));
            }
        }
        Ok(Self {
            coefficients,
            model_errors,
            layer_errors,
        })
    }

    /// The number of models.
    #[must_use]
    pub const fn models(&self) -> usize {
        self.coefficients.size()
    }

    /// β from `parent` to `child`, which is exactly the negative of the reverse. 0 for a model and itself,
    /// `None` if there is no such model.
    #[must_use]
    pub fn coefficient(&self, parent: usize, child: usize) -> Option<f64> {
        let coefficient = self.coefficients.distance(parent, child)?;
        Some(if parent < child {
            coefficient
        } else {
            -coefficient
        })
    }

    /// The standard error of β, assuming independent rows and agreeing layers; `None` if there is no such
    /// model.
    #[must_use]
    pub fn model_error(&self, first: usize, second: usize) -> Option<f64> {
        self.model_errors.distance(first, second)
    }

    /// The jackknife standard error of β over layers; 0 if only one layer was measured, `None` if there is no
    /// such model.
    #[must_use]
    pub fn layer_error(&self, first: usize, second: usize) -> Option<f64> {
        self.layer_errors.distance(first, second)
    }
}
