//! The rules that separate singular values from noise.

use core::fmt;
use core::str::FromStr;

use alloc::string::ToString;

use num_traits::Float;

use super::{RankError, SingularValues};
use crate::weights::ElementType;

/// The factor allowed above the expected largest singular value of pure rounding noise.
const ROUNDING_NOISE_MARGIN: f64 = 1.05;

/// The rule for which singular values σ count, in a matrix of m rows and n columns.
///
/// Every rule is a threshold, and σ counts if it is strictly above it. Parameters must be finite
/// and not negative. If σ_max = 0, nothing counts.
///
/// The text form, for a command line: `absolute:0.001`, `relative:1e-6`, `numpy:1.2e-7`,
/// `gavish-donoho`, `rounding-noise:2e-5`.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, Tolerance, singular_values};
/// use mother::weights::ElementType;
///
/// let values = singular_values(MatrixView::new(&[5.0, 0.0, 0.0, 1e-3], 2, 2)?)?;
/// assert_eq!(values.rank(Tolerance::Absolute(1e-6))?.value(), 2);
/// assert_eq!(values.rank(Tolerance::Relative(1e-2))?.value(), 1);
/// assert_eq!(values.rank(Tolerance::numpy(ElementType::F8E4M3))?.value(), 1);
/// assert_eq!("relative:0.01".parse(), Ok(Tolerance::Relative(1e-2)));
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Tolerance {
    /// σ > ε, for a known scale of the values.
    Absolute(f64),
    /// σ > r·σ_max.
    Relative(f64),
    /// σ > σ_max·max(m, n)·ε, the rule of NumPy's `matrix_rank`, with ε of a chosen precision.
    ///
    /// For a difference of stored matrices, this is the precision of the *stored* type, not of the
    /// difference. Meant for f64 and f32. Since the threshold grows with the matrix, the ε of bf16
    /// (2⁻⁷) counts nothing once max(m, n) ≥ 128, and that of f16 (2⁻¹⁰) nothing from 1024 on.
    Numpy {
        /// The distance from 1 to the next larger number.
        epsilon: f64,
    },
    /// σ > ω(β)·median σ, with β = min(m, n)/max(m, n) and
    /// ω(β) ≈ 0.56β³ − 0.95β² + 1.82β + 1.43: a matrix of low rank plus noise of unknown size.
    ///
    /// The optimal hard threshold of Gavish and Donoho (2014), DOI 10.1109/TIT.2014.2323359. At least half of
    /// the singular values must be noise, so it never counts more than (min(m, n) − 1)/2. The threshold is at
    /// least [`SingularValues::resolution`]: if the matrix has no noise, the noise of the computation doesn't
    /// count.
    GavishDonoho,
    /// σ > 1.05·s·(√m + √n), with s the standard deviation of the noise in each entry.
    ///
    /// s·(√m + √n) is the upper edge of the singular values of independent noise. For noise from rounding,
    /// [`RoundingNoise`](super::RoundingNoise) measures s. The threshold is at least
    /// [`SingularValues::resolution`].
    RoundingNoise {
        /// The standard deviation s of the noise in an entry of the matrix.
        deviation: f64,
    },
}

impl Tolerance {
    /// [`Numpy`](Self::Numpy) for values stored in `format`; integers count as single precision.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::rank::Tolerance;
    /// use mother::weights::ElementType;
    ///
    /// let epsilon = f64::from(f32::EPSILON);
    /// assert_eq!(Tolerance::numpy(ElementType::F32), Tolerance::Numpy { epsilon });
    /// ```
    #[must_use]
    pub fn numpy(format: ElementType) -> Self {
        let epsilon = format.epsilon().unwrap_or(f64::from(f32::EPSILON));
        Self::Numpy { epsilon }
    }

    /// The rule's name and its parameter, if it has one.
    fn parts(self) -> (&'static str, Option<f64>) {
        match self {
            Self::Absolute(epsilon) => ("absolute", Some(epsilon)),
            Self::Relative(ratio) => ("relative", Some(ratio)),
            Self::Numpy { epsilon } => ("numpy", Some(epsilon)),
            Self::GavishDonoho => ("gavish-donoho", None),
            Self::RoundingNoise { deviation } => ("rounding-noise", Some(deviation)),
        }
    }

    pub(super) fn validate(self) -> Result<(), RankError> {
        match self.parts() {
            (rule, Some(value)) if !(value.is_finite() && value >= 0.0) => {
                Err(RankError::InvalidTolerance { rule, value })
            }
            _ => Ok(()),
        }
    }

    /// The threshold for singular values with this resolution. The tolerance must be valid.
    pub(super) fn threshold(self, singular_values: &SingularValues, resolution: f64) -> f64 {
        let shape = (singular_values.rows(), singular_values.columns());
        self.threshold_by_largest(shape, singular_values.largest(), resolution)
            .unwrap_or_else(|| {
                let noise = optimal_ratio(shape.0, shape.1) * singular_values.median();
                Float::max(noise, resolution)
            })
    }

    /// The threshold, for rules that depend only on the shape, the largest singular value and the
    /// resolution; `None` for others. It never decreases when these two increase.
    pub(super) fn threshold_by_largest(
        self,
        (rows, columns): (usize, usize),
        largest: f64,
        resolution: f64,
    ) -> Option<f64> {
        match self {
            Self::Absolute(epsilon) => Some(epsilon),
            Self::Relative(ratio) => Some(largest * ratio),
            // The order of the factors is NumPy's, so that the last bit is NumPy's too.
            Self::Numpy { epsilon } if largest > 0.0 => {
                Some(largest * (rows.max(columns) as f64 * epsilon))
            }
            Self::Numpy { .. } => Some(0.0),
            Self::GavishDonoho => None,
            Self::RoundingNoise { deviation } => {
                let edge = deviation * (Float::sqrt(rows as f64) + Float::sqrt(columns as f64));
                Some(Float::max(ROUNDING_NOISE_MARGIN * edge, resolution))
            }
        }
    }
}

/// Gavish and Donoho's ω(β): the ratio of the optimal threshold to the median singular value.
fn optimal_ratio(rows: usize, columns: usize) -> f64 {
    let longer = rows.max(columns).max(1) as f64;
    let beta = rows.min(columns) as f64 / longer;
    ((0.56 * beta - 0.95) * beta + 1.82) * beta + 1.43
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (rule, Some(value)) => write!(f, "{rule}:{value:?}"),
            (rule, None) => f.write_str(rule),
        }
    }
}

impl FromStr for Tolerance {
    type Err = RankError;

    /// Parses the output of `Display`, and checks the parameter.
    fn from_str(text: &str) -> Result<Self, RankError> {
        let unknown = || RankError::UnknownTolerance {
            text: text.to_string(),
        };
        let (rule, parameter) = match text.split_once(':') {
            Some((rule, number)) => (rule, Some(number.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let tolerance = match (rule, parameter) {
            ("absolute", Some(epsilon)) => Self::Absolute(epsilon),
            ("relative", Some(ratio)) => Self::Relative(ratio),
            ("numpy", Some(epsilon)) => Self::Numpy { epsilon },
            ("gavish-donoho", None) => Self::GavishDonoho,
            ("rounding-noise", Some(deviation)) => Self::RoundingNoise { deviation },
            _ => return Err(unknown()),
        };
        tolerance.validate()?;
        Ok(tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_text_is_named() {
        let texts = [
            "",
            "numpy",
            "gavish-donoho:1",
            "absolute:",
            "relative:x",
            "median:2",
            ":1",
        ];
        for text in texts {
            let error = text.parse::<Tolerance>().unwrap_err();
            assert_eq!(
                error,
                RankError::UnknownTolerance {
                    text: text.to_string()
                }
            );
        }
        for text in ["absolute:-1", "relative:nan", "numpy:inf"] {
            assert!(matches!(
                text.parse::<Tolerance>(),
                Err(RankError::InvalidTolerance { .. })
            ));
        }
    }

    #[test]
    fn optimal_ratio_is_that_of_the_paper() {
        // The exact λ*(β)/√μ_β, where μ_β is the median of the Marchenko–Pastur distribution, by quadrature
        // with SciPy 1.17.1; the paper's cubic is within 0.02 of it.
        for (rows, columns, exact) in [(1, 20, 1.5194), (1, 2, 2.1711), (1, 1, 2.8582)] {
            assert!((optimal_ratio(rows, columns) - exact).abs() < 0.02);
            assert_eq!(optimal_ratio(rows, columns), optimal_ratio(columns, rows));
        }
        assert!(optimal_ratio(0, 0).is_finite());
    }
}
