//! The only module that depends on the linear algebra library: singular values, products and factors.

use core::mem::MaybeUninit;

use alloc::vec::Vec;

use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve;
use faer::{Accum, MatMut, MatRef, Par};

use super::{Method, RankError};
use crate::registers::clearing_wide_registers;

/// Bytes of working memory, in blocks so that an unoptimised build doesn't handle them one by one.
pub(super) type Scratch = Vec<[MaybeUninit<u8>; 64]>;

/// Finds the singular values of the row-major `matrix` by `method`, in any order.
///
/// `matrix` must be finite and of `shape` (rows, columns), neither of them zero. `values` must be as
/// long as the shorter side.
///
/// # Errors
///
/// [`RankError::NoConvergence`] if the method fails, [`RankError::OutOfMemory`].
pub(super) fn decompose(
    method: Method,
    matrix: &[f64],
    shape: (usize, usize),
    values: &mut [f64],
    scratch: &mut Scratch,
) -> Result<(), RankError> {
    let (rows, columns) = shape;
    // Read column by column, the slice is the transpose, whose singular values are the same.
    let matrix = MatRef::from_column_major_slice(matrix, columns, rows);
    let tall = if columns < rows {
        matrix.transpose()
    } else {
        matrix
    };
    let converged = match method {
        Method::Svd => by_svd(tall, values, scratch)?,
        Method::Gram => by_gram(tall, values, scratch)?,
    };
    if converged {
        Ok(())
    } else {
        Err(RankError::NoConvergence { rows, columns })
    }
}

fn by_svd(
    tall: MatRef<'_, f64>,
    values: &mut [f64],
    scratch: &mut Scratch,
) -> Result<bool, RankError> {
    use faer::linalg::svd;

    let ((long, short), none) = (tall.shape(), svd::ComputeSvdVectors::No);
    let mut settings = faer::Spec::<svd::SvdParams, f64>::default();
    settings.recursion_threshold = usize::MAX;
    let request = svd::svd_scratch::<f64>(long, short, none, none, Par::Seq, settings);
    let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
    let values = DiagMut::from_slice_mut(values);
    Ok(clearing_wide_registers(|| {
        svd::svd(tall, values, None, None, Par::Seq, stack, settings).is_ok()
    }))
}

fn by_gram(
    tall: MatRef<'_, f64>,
    values: &mut [f64],
    scratch: &mut Scratch,
) -> Result<bool, RankError> {
    use faer::linalg::{evd, temp_mat_scratch, temp_mat_zeroed};
    use faer::mat::AsMatMut;

    let (short, none) = (tall.ncols(), evd::ComputeEigenvectors::No);
    let settings = Default::default();
    let request = temp_mat_scratch::<f64>(short, short).and(evd::self_adjoint_evd_scratch::<f64>(
        short,
        none,
        Par::Seq,
        settings,
    ));
    let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
    let (mut gram, stack) = temp_mat_zeroed::<f64, _, _>(short, short, stack);
    let mut gram = gram.as_mat_mut();
    let eigenvalues = DiagMut::from_slice_mut(&mut *values);
    let outcome = clearing_wide_registers(|| {
        write_gram(gram.as_mut(), tall.transpose());
        evd::self_adjoint_evd(gram.as_ref(), eigenvalues, None, Par::Seq, stack, settings)
    });
    for value in values.iter_mut() {
        // Rounding may push the eigenvalue of a null direction below zero.
        *value = num_traits::Float::sqrt(value.max(0.0));
    }
    Ok(outcome.is_ok())
}

/// Writes the lower triangle of the product of a matrix and its transpose; the rest is left unchanged.
fn write_gram(product: MatMut<'_, f64>, matrix: MatRef<'_, f64>) {
    triangular::matmul(
        product,
        BlockStructure::TriangularLower,
        Accum::Replace,
        matrix,
        BlockStructure::Rectangular,
        matrix.transpose(),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// A matrix in a slice with a given stride between rows, or the transpose of one.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a>(MatRef<'a, f64>);

impl<'a> Operand<'a> {
    /// The matrix whose first row starts at the beginning of `values`, with `stride` values from row to row.
    pub(super) fn new(values: &'a [f64], (rows, columns): (usize, usize), stride: usize) -> Self {
        Self(MatRef::from_row_major_slice_with_stride(
            values, rows, columns, stride,
        ))
    }

    pub(super) fn transpose(self) -> Self {
        Self(self.0.transpose())
    }
}

/// The product of two matrices, row-major.
pub(super) fn multiply(product: &mut [f64], first: Operand<'_>, second: Operand<'_>) {
    matmul(
        row_major(product, first, second),
        Accum::Replace,
        1.0,
        first,
        second,
    );
}

/// Adds the product of two matrices to a row-major matrix with this stride between rows.
pub(super) fn add_product(sum: &mut [f64], stride: usize, first: Operand<'_>, second: Operand<'_>) {
    // As the transpose, since faer 0.24 swaps the strides in `from_row_major_slice_with_stride_mut`
    // and writes beyond the slice.
    let (rows, columns) = (first.0.nrows(), second.0.ncols());
    let to = MatMut::from_column_major_slice_with_stride_mut(sum, columns, rows, stride);
    matmul(to.transpose_mut(), Accum::Add, 1.0, first, second);
}

/// Subtracts the product of two matrices from a row-major one.
pub(super) fn subtract_product(difference: &mut [f64], first: Operand<'_>, second: Operand<'_>) {
    matmul(
        row_major(difference, first, second),
        Accum::Add,
        -1.0,
        first,
        second,
    );
}

fn row_major<'a>(
    values: &'a mut [f64],
    first: Operand<'_>,
    second: Operand<'_>,
) -> MatMut<'a, f64> {
    MatMut::from_row_major_slice_mut(values, first.0.nrows(), second.0.ncols())
}

fn matmul(
    to: MatMut<'_, f64>,
    accumulate: Accum,
    factor: f64,
    Operand(first): Operand<'_>,
    Operand(second): Operand<'_>,
) {
    clearing_wide_registers(|| {
        faer::linalg::matmul::matmul(to, accumulate, first, second, factor, Par::Seq);
    });
}

/// Writes the upper triangle of the product of a matrix and its transpose, row-major. The part below the
/// diagonal is left unchanged.
pub(super) fn gram(product: &mut [f64], matrix: Operand<'_>) {
    let size = matrix.0.nrows();
    let product = MatMut::from_column_major_slice_mut(product, size, size);
    clearing_wide_registers(|| write_gram(product, matrix.0));
}

/// Decomposes a symmetric matrix into RᵀR, given its upper triangle, row-major; the rows of R
/// decrease in size. `order` is set to the original position of each column of R. R replaces the triangle.
/// Returns the number of rows of R that exceed rounding errors, or 0 if the matrix isn't positive.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn pivoted_cholesky(
    matrix: &mut [f64],
    order: &mut Vec<usize>,
    size: usize,
    scratch: &mut Scratch,
) -> Result<usize, RankError> {
    use faer::linalg::cholesky::llt_pivoting::factor;

    let mut settings = faer::Spec::<factor::PivLltParams, f64>::default();
    // Columns of a block are updated one by one, the others by a matrix product.
    settings.block_size = 16;
    let request = factor::cholesky_in_place_scratch::<usize, f64>(size, Par::Seq, settings);
    let request = StackReq::new::<usize>(size).array(2).and(request);
    let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
    let (mut forward, stack) = stack.make_with(size, |_| 0_usize);
    let (mut inverse, stack) = stack.make_with(size, |_| 0_usize);
    let matrix = MatMut::from_column_major_slice_mut(matrix, size, size);
    let rows = clearing_wide_registers(|| {
        let (forward, inverse) = (&mut *forward, &mut *inverse);
        let one_thread = Par::Seq;
        let found =
            factor::cholesky_in_place(matrix, forward, inverse, one_thread, stack, settings);
        found.map_or(0, |(found, _)| found.rank)
    });
    order.clear();
    order.extend_from_slice(&forward);
    Ok(rows)
}

/// Decomposes a symmetric matrix into RᵀR, given its upper triangle, row-major. R replaces the
/// triangle. Returns whether the matrix is positive definite.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn cholesky(
    matrix: &mut [f64],
    size: usize,
    scratch: &mut Scratch,
) -> Result<bool, RankError> {
    use faer::linalg::cholesky::llt::factor;

    let settings = Default::default();
    let request = factor::cholesky_in_place_scratch::<f64>(size, Par::Seq, settings);
    let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
    let matrix = MatMut::from_column_major_slice_mut(matrix, size, size);
    let none = Default::default();
    Ok(clearing_wide_registers(|| {
        factor::cholesky_in_place(matrix, none, Par::Seq, stack, settings).is_ok()
    }))
}

/// Multiplies row-major `rows` by (RᵀR)⁻¹, where R is the leading `size` rows and columns of an upper
/// triangle with this stride between rows.
pub(super) fn divide_by_product(rows: &mut [f64], triangle: &[f64], size: usize, stride: usize) {
    let count = rows.len() / size.max(1);
    let mut rows = MatMut::from_column_major_slice_mut(rows, size, count);
    let upper = MatRef::from_row_major_slice_with_stride(triangle, size, size, stride);
    clearing_wide_registers(|| {
        let lower = upper.transpose();
        triangular_solve::solve_lower_triangular_in_place(lower, rows.as_mut(), Par::Seq);
        triangular_solve::solve_upper_triangular_in_place(upper, rows, Par::Seq);
    });
}

/// At least `bytes` bytes of `scratch`, which grows if necessary.
fn reserve(scratch: &mut Scratch, bytes: usize) -> Result<&mut [MaybeUninit<u8>], RankError> {
    let blocks = bytes.div_ceil(64);
    if scratch.len() < blocks {
        // Its contents need not survive the growth.
        scratch.clear();
        scratch
            .try_reserve_exact(blocks)
            .map_err(|_| RankError::OutOfMemory { bytes })?;
        scratch.resize(blocks, [MaybeUninit::uninit(); 64]);
    }
    Ok(scratch.as_flattened_mut())
}
