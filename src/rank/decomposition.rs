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
                pivoted_qr_request(long, short, 0),
            );
            let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
            let (mut factor, stack) = temp_mat_zeroed::<f64, _, _>(long, short, stack);
            let mut factor = factor.as_mat_mut();
            factor.copy_from(tall);
            let none = faer::MatMut::from_column_major_slice_mut(&mut [], long, 0);
            pivoted_qr(factor.as_mut(), none, stack, |_| ());
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

/// The memory that [`pivoted_qr`] works in, where Qᵀ is applied to so many other columns.
fn pivoted_qr_request(rows: usize, columns: usize, others: usize) -> faer::dyn_stack::StackReq {
    use faer::dyn_stack::StackReq;
    use faer::linalg::householder::apply_block_householder_sequence_transpose_on_the_left_in_place_scratch as apply_scratch;
    use faer::linalg::qr::col_pivoting::factor;
    use faer::linalg::temp_mat_scratch;

    let block = factor::recommended_block_size::<f64>(rows, columns);
    let settings = Default::default();
    let decompose = factor::qr_in_place_scratch::<usize, f64>(
        rows,
        columns,
        block,
        faer::Par::Seq,
        settings,
    );
    StackReq::all_of(&[
        temp_mat_scratch::<f64>(block, columns),
        StackReq::new::<usize>(columns).array(2),
        decompose.or(apply_scratch::<f64>(rows, block, others)),
    ])
}

/// Replaces the upper triangle of a matrix, which isn't wider than high, with that of its
/// column-pivoted QR decomposition, and other columns with Qᵀ times them. Calls `order` with where
/// each column of the triangle was.
fn pivoted_qr(
    mut matrix: faer::MatMut<'_, f64>,
    others: faer::MatMut<'_, f64>,
    stack: &mut faer::dyn_stack::MemStack,
    order: impl FnOnce(&[usize]),
) {
    use faer::linalg::householder::apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj as apply;
    use faer::linalg::qr::col_pivoting::factor;
    use faer::linalg::temp_mat_zeroed;
    use faer::mat::AsMatMut;
    use faer::{Conj, Par};

    let (rows, columns) = matrix.shape();
    let block = factor::recommended_block_size::<f64>(rows, columns);
    let (mut householder, stack) = temp_mat_zeroed::<f64, _, _>(block, columns, stack);
    let (mut forward, stack) = stack.make_with(columns, |_| 0_usize);
    let (mut inverse, stack) = stack.make_with(columns, |_| 0_usize);
    let mut householder = householder.as_mat_mut();
    factor::qr_in_place(
        matrix.as_mut(),
        householder.as_mut(),
        &mut forward,
        &mut inverse,
        Par::Seq,
        stack,
        Default::default(),
    );
    if others.ncols() > 0 {
        apply(
            matrix.as_ref(),
            householder.as_ref(),
            Conj::No,
            others,
            Par::Seq,
            stack,
        );
    }
    order(&forward);
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

/// Decomposes the leading square part of a square row-major matrix into P·L·Qᵀ, with P a
/// permutation, L lower triangular with columns that shrink, and Q orthogonal. The part is replaced
/// by L, the rows below it by themselves times Q, and `order` by where each row of L was.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn pivoted_triangle(
    matrix: &mut [f64],
    size: usize,
    part: usize,
    order: &mut Vec<usize>,
    scratch: &mut Scratch,
) -> Result<(), RankError> {
    let bytes = pivoted_qr_request(part, part, size - part).unaligned_bytes_required();
    let stack = faer::dyn_stack::MemStack::new(reserve(scratch, bytes)?);
    // Read column by column it is the transpose, and L that of R.
    let transpose = faer::MatMut::from_column_major_slice_mut(matrix, size, size);
    let (triangle, others) = transpose.split_at_row_mut(part).0.split_at_col_mut(part);
    order.clear();
    pivoted_qr(triangle, others, stack, |forward| {
        order.extend_from_slice(forward);
    });
    for (row, values) in matrix.chunks_exact_mut(size).take(part).enumerate() {
        values[row + 1..part].fill(0.0);
    }
    Ok(())
}

/// Replaces the lower triangle of a symmetric row-major matrix with that of its Cholesky
/// decomposition, and says whether the matrix is positive definite.
///
/// # Errors
///
/// [`RankError::OutOfMemory`].
pub(super) fn cholesky(
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
    let none = Default::default();
    let outcome = factor::cholesky_in_place(matrix, none, faer::Par::Seq, stack, settings);
    Ok(outcome.is_ok())
}

/// Multiplies row-major `rows` by the inverse of the symmetric matrix whose [`cholesky`] is given.
pub(super) fn divide_by_symmetric(rows: &mut [f64], cholesky: &[f64], size: usize) {
    use faer::dyn_stack::MemStack;
    use faer::linalg::cholesky::llt::solve::solve_in_place;

    let count = rows.len() / size.max(1);
    let columns = faer::MatMut::from_column_major_slice_mut(rows, size, count);
    let lower = faer::MatRef::from_row_major_slice(cholesky, size, size);
    // It needs no memory.
    solve_in_place(lower, columns, faer::Par::Seq, MemStack::new(&mut []));
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
