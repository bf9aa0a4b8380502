//! The directional score of a layer.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::digest::{Digest, read_segment_again};
use super::relation::RelationOptions;
use crate::Scalar;
use crate::entropy::Histogram;
use crate::moments::Moments;
use crate::signature::{Cause, LayerShape, ModelFailure, OpenModel, TensorSignature};
use crate::weights::{WeightSource, element_count};

/// Relative differences of layer scores below this are due to rounding.
const SCORE_ROUNDING: f64 = 1e-12;

/// The directional score of a layer. A model's score is the sum over its layers (section 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Score {
    /// Eq. 3: raw kurtosis.
    #[default]
    Kurtosis,
    /// Population variance.
    Variance,
    /// Biased skewness.
    Skewness,
    /// Entropy in nats of a histogram with 256 equal bins from the smallest to the largest weight.
    Entropy,
}

impl Score {
    /// Whether the score needs a second read of the values.
    pub(super) fn reads_again(self) -> bool {
        self == Self::Entropy
    }

    /// The score of a layer with these moments; `None` if it is undefined or needs more than moments.
    pub(crate) fn of_moments(self, moments: &Moments) -> Option<f64> {
        let score = match self {
            Self::Kurtosis => moments.kurtosis(),
            Self::Variance => moments.variance(),
            Self::Skewness => moments.skewness(),
            Self::Entropy => None,
        };
        score.filter(|score| score.is_finite())
    }

    /// The score of a layer with these moments and this digest; `None` if it is undefined.
    pub(super) fn of_layer<T: Scalar, S: WeightSource>(
        self,
        model: &OpenModel<'_, S>,
        layer: &LayerShape,
        moments: &Moments,
        seen: &Digest,
    ) -> Result<Option<f64>, ModelFailure> {
        if self == Self::Entropy {
            let entropy = entropy::<T, S>(model, layer, moments, seen)?;
            return Ok(entropy.filter(|entropy| entropy.is_finite()));
        }
        Ok(self.of_moments(moments))
    }
}

/// The entropy of a layer's histogram; `None` if all values are equal.
fn entropy<T: Scalar, S: WeightSource>(
    model: &OpenModel<'_, S>,
    layer: &LayerShape,
    moments: &Moments,
    seen: &Digest,
) -> Result<Option<f64>, ModelFailure> {
    let (Some(minimum), Some(maximum)) = (moments.minimum(), moments.maximum()) else {
        return Ok(None);
    };
    if minimum >= maximum {
        return Ok(None);
    }
    let refused = |error: crate::entropy::HistogramError| ModelFailure::Reading {
        layer: layer.name.clone(),
        reason: Cause::new(error),
    };
    let mut histogram =
        Histogram::new(minimum, maximum, Histogram::DEFAULT_BINS).map_err(refused)?;
    let length = element_count(&layer.shape).unwrap_or(0);
    let mut values = vec![T::zero(); Digest::SEGMENT.min(length)];
    for offset in (0..length).step_by(Digest::SEGMENT) {
        let values = &mut values[..Digest::SEGMENT.min(length - offset)];
        read_segment_again(model, layer, offset, values, seen)?;
        histogram.extend_from_slice(values).map_err(refused)?;
    }
    Ok(histogram.entropy())
}

/// See [`Relation::score_change`](super::Relation::score_change).
pub(super) fn score_change<'a>(
    options: &RelationOptions,
    kept: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)>,
) -> f64 {
    let scored = kept.filter(|(u, v)| {
        u.shape() == v.shape()
            && options.score_layers.selects_tensor(u)
            && options.score_layers.selects_tensor(v)
    });
    let scores = scored.filter_map(|(u, v)| {
        let score = |tensor: &TensorSignature| options.score.of_moments(&tensor.moments());
        Some((score(u)?, score(v)?))
    });
    vote(scores)
}

/// How much scores rise on most layers; each item is a layer's score in both models.
pub(crate) fn vote(scores: impl Iterator<Item = (f64, f64)>) -> f64 {
    let changes = scores.map(|(first, second)| {
        let size = (first.abs() + second.abs()).max(f64::MIN_POSITIVE);
        (second - first) / size
    });
    let mut changes: Vec<f64> = changes
        .filter(|change| change.abs() > SCORE_ROUNDING)
        .collect();
    changes.sort_by(|first, second| first.abs().total_cmp(&second.abs()));
    let Some(median) = changes.get(changes.len() / 2).map(|change| change.abs()) else {
        return 0.0;
    };
    // Half of the layers have a full vote. The others vote in proportion to their change, so that neither one
    // layer that changes a lot nor many that barely change decide.
    let votes = (changes.iter()).map(|change| (change / median).clamp(-1.0, 1.0));
    let layers = changes.len() as f64;
    let share = votes.sum::<f64>() / layers;
    // Subtracting all that chance gives would leave nothing of the votes of few layers, although votes add up
    // over the edges of a tree.
    share.signum() * (share.abs() - 0.5 / Float::sqrt(layers + 1.0)).max(0.0)
}
