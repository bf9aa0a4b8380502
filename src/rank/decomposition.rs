//! The one place that knows the linear algebra library: singular values, products and factors.

use core::mem::MaybeUninit;

use alloc::vec::Vec;

use super::{Method, RankError};

/// Bytes of working memory, in blocks so that an unoptimised build doesn't take them one by one.
pub(super) type Scratch = Vec<[MaybeUninit<u8>; 64]>;

/// Finds the singular values of the row-major `matrix` by `method`, in any order.
///
/// `matrix` must be finite and of `shape` (rows, columns), neither of them zero, and `values` as
/// long as the shorter side.
///
/// # Errors
///
/// [`RankError::NoConvergence`] when the method fails, [`RankError::OutOfMemory`].
pub(super) fn decompose(
    method: Method,
    matrix: &[f64],
    shape: (usize, usize),
    values: &mut [f64],
    scratch: &mut Scratch,
) -> Result<(), RankError> {
    use faer::diag::DiagMut;
    use faer::dyn_stack::{MemStack, StackReq};
    use faer::linalg::matmul::triangular::{self, BlockStructure};
    use faer::linalg::{evd, svd, temp_mat_scratch, temp_mat_zeroed};
    use faer::mat::AsMatMut;
    use faer::{Accum, MatRef, Par, Spec};

    let (rows, columns) = shape;
    // Read column by column the slice is the transpose, whose singular values are the same.
    let matrix = MatRef::from_column_major_slice(matrix, columns, rows);
    let tall = if columns < rows {
        matrix.transpose()
    } else {
        matrix
    };
    let (long, short) = tall.shape();
    let converged = match method {
        Method::Svd => {
            let none = svd::ComputeSvdVectors::No;
            let mut settings = Spec::<svd::SvdParams, f64>::default();
            settings.recursion_threshold = usize::MAX;
            let request = svd::svd_scratch::<f64>(long, short, none, none, Par::Seq, settings);
            let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
            let values = DiagMut::from_slice_mut(&mut *values);
            svd::svd(tall, values, None, None, Par::Seq, stack, settings).is_ok()
        }
        Method::Gram => {
            let none = evd::ComputeEigenvectors::No;
            let settings = Default::default();
            let request = temp_mat_scratch::<f64>(short, short).and(
                evd::self_adjoint_evd_scratch::<f64>(short, none, Par::Seq, settings),
            );
            let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
            let (mut gram, stack) = temp_mat_zeroed::<f64, _, _>(short, short, stack);
            let mut gram = gram.as_mat_mut();
            triangular::matmul(
                gram.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Replace,
                tall.transpose(),
                BlockStructure::Rectangular,
                tall,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            let eigenvalues = DiagMut::from_slice_mut(&mut *values);
            let outcome =
                evd::self_adjoint_evd(gram.as_ref(), eigenvalues, None, Par::Seq, stack, settings);
            for value in values.iter_mut() {
                // Rounding may push the eigenvalue of a null direction below zero.
                *value = num_traits::Float::sqrt(value.max(0.0));
            }
            outcome.is_ok()
        }
        Method::PivotedQr => {
            let request = StackReq::and(
                temp_mat_scratch::<f64>(long, short),
                pivoted_triangle_request(long, short),
            );
            let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
            let (mut factor, stack) = temp_mat_zeroed::<f64, _, _>(long, short, stack);
            let mut factor = factor.as_mat_mut();
            factor.copy_from(tall);
            pivoted_triangle_in_place(factor.as_mut(), stack);
            for (index, value) in values.iter_mut().enumerate() {
                *value = factor[(index, index)].abs();
            }
            true
        }
    };
    if converged {
        Ok(())
    } else {
        Err(RankError::NoConvergence { rows, columns })
    }
}

/// The memory that [`pivoted_triangle_in_place`] works in.
fn pivoted_triangle_request(rows: usize, columns: usize) -> faer::dyn_stack::StackReq {
    use faer::dyn_stack::StackReq;
    use faer::linalg::qr::col_pivoting::factor as pivoted_qr;
    use faer::linalg::temp_mat_scratch;

    let block = pivoted_qr::recommended_block_size::<f64>(rows, columns);
    StackReq::all_of(&[
        temp_mat_scratch::<f64>(block, columns),
        StackReq::new::<usize>(columns).array(2),
        pivoted_qr::qr_in_place_scratch::<usize, f64>(
            rows,
            columns,
            block,
            faer::Par::Seq,
            Default::default(),
        ),
    ])
}

/// Replaces the upper triangle of a matrix with that of its column-pivoted QR decomposition.
fn pivoted_triangle_in_place(
    mut matrix: faer::MatMut<'_, f64>,
    stack: &mut faer::dyn_stack::MemStack,
) {
    use faer::linalg::qr::col_pivoting::factor as pivoted_qr;
    use faer::linalg::temp_mat_zeroed;
    use faer::mat::AsMatMut;

    let (rows, columns) = matrix.shape();
    let block = pivoted_qr::recommended_block_size::<f64>(rows, columns);
    let (mut householder, stack) = temp_mat_zeroed::<f64, _, _>(block, columns, stack);
    let (mut order, stack) = stack.make_with(columns, |_| 0_usize);
    let (mut inverse, stack) = stack.make_with(columns, |_| 0_usize);
    pivoted_qr::qr_in_place(
        matrix.as_mut(),
        householder.as_mat_mut(),
        &mut order,
        &mut inverse,
        faer::Par::Seq,
        stack,
        Default::default(),
    );
}

/// A matrix in a slice whose rows follow each other at a distance, or the transpose of one.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a>(faer::MatRef<'a, f64>);

impl<'a> Operand<'a> {
    /// The matrix whose first row starts `values`, the next one `stride` later.
    pub(super) fn new(values: &'a [f64], (rows, columns): (usize, usize), stride: usize) -> Self {
        Self(faer::MatRef::from_row_major_slice_with_stride(
            values, rows, columns, stride,
        ))
    }

    pub(super) fn transpose(self) -> Self {
        Self(self.0.transpose())
    }
}

/// Adds the product of two matrices to a row-major one.
pub(super) fn add_product(sum: &mut [f64], first: Operand<'_>, second: Operand<'_>) {
    faer::linalg::matmul::matmul(
        faer::MatMut::from_row_major_slice_mut(sum, first.0.nrows(), second.0.ncols()),
        faer::Accum::Add,
        first.0,
        second.0,
        1.0,
        faer::Par::Seq,
    );
}

/// The lower triangle of the product of a matrix and its transpose, row-major; what is above the
/// diagonal is left as it was.
pub(super) fn gram(product: &mut [f64], matrix: Operand<'_>) {
    use faer::linalg::matmul::triangular::{self, BlockStructure};
    triangular::matmul(
        faer::MatMut::from_row_major_slice_mut(product, matrix.0.nrows(), matrix.0.nrows()),
        BlockStructure::TriangularLower,
        faer::Accum::Replace,
        matrix.0,
        BlockStructure::Rectangular,
        matrix.0.transpose(),
        BlockStructure::Rectangular,
        1.0,
        faer::Par::Seq,
    );
}

/// Replaces a square row-major matrix with the lower triangle L of its decomposition P·L·Qᵀ, with P
/// a permutation and Q orthogonal. L has the same singular values, and its columns shrink.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn pivoted_triangle(
    matrix: &mut [f64],
    size: usize,
    scratch: &mut Scratch,
) -> Result<(), RankError> {
    let bytes = pivoted_triangle_request(size, size).unaligned_bytes_required();
    let stack = faer::dyn_stack::MemStack::new(reserve(scratch, bytes)?);
    // Read column by column it is the transpose, whose R is the transpose of L.
    let transpose = faer::MatMut::from_column_major_slice_mut(matrix, size, size);
    pivoted_triangle_in_place(transpose, stack);
    for (row, values) in matrix.chunks_exact_mut(size).enumerate() {
        values[row + 1..].fill(0.0);
    }
    Ok(())
}

/// Whether the symmetric matrix whose lower triangle is given, row-major, is positive definite; the
/// triangle is overwritten.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn is_positive_definite(
    matrix: &mut [f64],
    size: usize,
    scratch: &mut Scratch,
) -> Result<bool, RankError> {
    use faer::dyn_stack::MemStack;
    use faer::linalg::cholesky::llt::factor;
    let settings = Default::default();
    let request = factor::cholesky_in_place_scratch::<f64>(size, faer::Par::Seq, settings);
    let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
    let matrix = faer::MatMut::from_row_major_slice_mut(matrix, size, size);
    let outcome = factor::cholesky_in_place(
        matrix,
        Default::default(),
        faer::Par::Seq,
        stack,
        settings,
    );
    Ok(outcome.is_ok())
}

/// At least `bytes` bytes of `scratch`, which grows if it must.
fn reserve(scratch: &mut Scratch, bytes: usize) -> Result<&mut [MaybeUninit<u8>], RankError> {
    let blocks = bytes.div_ceil(64);
    if scratch.len() < blocks {
        // Nothing in it need survive the growth.
        scratch.clear();
        scratch
            .try_reserve_exact(blocks)
            .map_err(|_| RankError::OutOfMemory { bytes })?;
        scratch.resize(blocks, [MaybeUninit::uninit(); 64]);
    }
    Ok(scratch.as_flattened_mut())
}
