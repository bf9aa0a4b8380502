//! Numerical rank: the number of singular values of a matrix that stand out from noise.
//!
//! A stored matrix almost never has less than full rank in the exact sense, so a rank always depends on
//! a rule that separates singular values from noise. The caller chooses the rule explicitly, as a
//! [`Tolerance`]:
//!
//! | rule | a singular value σ counts when | for |
//! |---|---|---|
//! | [`Absolute`](Tolerance::Absolute) | σ > ε | a known scale |
//! | [`Relative`](Tolerance::Relative) | σ > r·σ_max | a known condition number |
//! | [`Numpy`](Tolerance::Numpy) | σ > σ_max·max(m, n)·eps | values computed in a given precision: f64, f32 |
//! | [`GavishDonoho`](Tolerance::GavishDonoho) | σ > ω(β)·median σ | low rank plus noise of unknown size |
//! | [`RoundingNoise`](Tolerance::RoundingNoise) | σ > 1.05·s·(√m + √n) | low rank plus noise of known size |
//!
//! A matrix of low rank that was later *rounded* to 16 bits has full rank by NumPy's rule,
//! whatever eps is: the rounding adds a second matrix of full rank, whose size has nothing to do
//! with σ_max. The last two rules are made for this case. [`RoundingNoise`] measures the standard deviation s
//! that the last rule needs.
//!
//! Matrices are dense, row-major slices of `f32` or `f64` behind a [`MatrixView`]. Everything is computed in
//! `f64`, including the difference of two matrices. The matrix is then scaled by a power of two, so neither
//! tiny nor huge entries lose digits. If the singular value decomposition doesn't converge, a fallback
//! computes the values, and the result names it: see [`Method`].
//!
//! # Examples
//!
//! The rank of an update, computed from the matrix before and after it:
//!
//! ```
//! use mother::rank::{MatrixView, Tolerance, rank_of_difference};
//! use mother::weights::ElementType;
//!
//! let before = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
//! let after = [2.0_f32, 4.0, 2.0, 3.0, 3.0, 7.0]; // (1, -1) times (1, 2, -1) was added
//! let rank = rank_of_difference(
//!     MatrixView::new(&after, 2, 3)?,
//!     MatrixView::new(&before, 2, 3)?,
//!     Tolerance::numpy(ElementType::F32),
//! )?;
//! assert_eq!(rank.value(), 1);
//! # Ok::<(), mother::rank::RankError>(())
//! ```
//!
//! Many matrices, with the working memory allocated once:
//!
//! ```
//! use mother::rank::{MatrixView, SingularValueSolver, Tolerance};
//!
//! let mut solver = SingularValueSolver::new();
//! let mut ranks = Vec::new();
//! for matrix in [[1.0, 2.0, 2.0, 4.0], [1.0, 2.0, 2.0, 3.0]] {
//!     let singular_values = solver.singular_values(MatrixView::new(&matrix, 2, 2)?)?;
//!     ranks.push(singular_values.rank(Tolerance::Relative(1e-9))?.value());
//! }
//! assert_eq!(ranks, [1, 2]);
//! # Ok::<(), mother::rank::RankError>(())
//! ```
//!
//! For the differences of many pairs among some matrices, use [`ranks_of_differences`]. It multiplies each
//! matrix once by random vectors. Where the rank of a difference is clear from these products, it computes no
//! singular values.

mod certain;
mod concentration;
mod decomposition;
mod differences;
mod error;
mod matrix;
mod noise;
mod random;
mod singular_values;
mod sketch;
mod sketch_solver;
mod solver;
mod tolerance;

pub use differences::{Difference, ranks_of_differences};
pub use error::RankError;
pub use matrix::MatrixView;
pub use noise::RoundingNoise;
pub use singular_values::{Method, NumericalRank, SingularValues};
pub use solver::SingularValueSolver;
pub use tolerance::Tolerance;

use crate::Scalar;

/// The singular values of `matrix`, largest first.
///
/// There are min(m, n) of them, so none for an empty matrix. For many matrices, a
/// [`SingularValueSolver`] saves allocations.
///
/// # Errors
///
/// Those of [`SingularValueSolver::singular_values`].
///
/// # Complexity
///
/// O(m·n·min(m, n)) time; extra space of about three times the matrix in `f64`.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, singular_values};
///
/// let diagonal = [0.0_f32, -3.0, 0.0, 4.0, 0.0, 0.0];
/// let values = singular_values(MatrixView::new(&diagonal, 2, 3)?)?;
/// assert!((values.values()[0] - 4.0).abs() < 1e-12);
/// assert!((values.values()[1] - 3.0).abs() < 1e-12);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
pub fn singular_values<T: Scalar>(matrix: MatrixView<'_, T>) -> Result<SingularValues, RankError> {
    let mut solver = SingularValueSolver::new();
    solver.singular_values(matrix)?;
    Ok(solver.into_singular_values())
}

/// The number of singular values of `matrix` that count under `tolerance`.
///
/// It is 0 for an empty matrix and for a matrix of zeros, under every rule.
///
/// # Errors
///
/// [`RankError::InvalidTolerance`] for a parameter that is NaN, infinite or negative, and the errors of
/// [`SingularValueSolver::singular_values`].
///
/// # Complexity
///
/// That of [`singular_values`].
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, Tolerance, rank};
///
/// let matrix = [1.0, 2.0, 3.0, 2.0, 4.0, 6.0];
/// assert_eq!(rank(MatrixView::new(&matrix, 2, 3)?, Tolerance::Absolute(1e-6))?.value(), 1);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
pub fn rank<T: Scalar>(
    matrix: MatrixView<'_, T>,
    tolerance: Tolerance,
) -> Result<NumericalRank, RankError> {
    tolerance.validate()?;
    SingularValueSolver::new()
        .singular_values(matrix)?
        .rank(tolerance)
}

/// The rank of `first` − `second`, with the difference taken in `f64`.
///
/// The order of the matrices doesn't matter. Their scalar types may differ.
///
/// # Errors
///
/// [`RankError::InvalidTolerance`] for a parameter that is NaN, infinite or negative, and the errors of
/// [`SingularValueSolver::singular_values_of_difference`].
///
/// # Complexity
///
/// That of [`singular_values`].
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, Tolerance, rank_of_difference};
///
/// let stored = [1.0_f32, 0.0, 0.0, 1.0];
/// let computed = [1.5_f64, 0.5, 0.5, 1.5];
/// let rank = rank_of_difference(
///     MatrixView::new(&stored, 2, 2)?,
///     MatrixView::new(&computed, 2, 2)?,
///     Tolerance::Relative(1e-6),
/// )?;
/// assert_eq!(rank.value(), 1);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
pub fn rank_of_difference<T: Scalar, U: Scalar>(
    first: MatrixView<'_, T>,
    second: MatrixView<'_, U>,
    tolerance: Tolerance,
) -> Result<NumericalRank, RankError> {
    tolerance.validate()?;
    SingularValueSolver::new()
        .singular_values_of_difference(first, second)?
        .rank(tolerance)
}
