//! The one place that knows the linear algebra library: singular values of a finite matrix.

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
    use faer::linalg::qr::col_pivoting::factor as pivoted_qr;
    use faer::linalg::{evd, svd, temp_mat_scratch, temp_mat_zeroed};
    use faer::mat::AsMatMut;
    use faer::{Accum, MatRef, Par};

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
            let settings = Default::default();
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
            let settings = Default::default();
            let block = pivoted_qr::recommended_block_size::<f64>(long, short);
            let request = StackReq::all_of(&[
                temp_mat_scratch::<f64>(long, short),
                temp_mat_scratch::<f64>(block, short),
                StackReq::new::<usize>(short).array(2),
                pivoted_qr::qr_in_place_scratch::<usize, f64>(
                    long,
                    short,
                    block,
                    Par::Seq,
                    settings,
                ),
            ]);
            let stack = MemStack::new(reserve(scratch, request.unaligned_bytes_required())?);
            let (mut factor, stack) = temp_mat_zeroed::<f64, _, _>(long, short, stack);
            let (mut householder, stack) = temp_mat_zeroed::<f64, _, _>(block, short, stack);
            let (mut order, stack) = stack.make_with(short, |_| 0_usize);
            let (mut inverse, stack) = stack.make_with(short, |_| 0_usize);
            let mut factor = factor.as_mat_mut();
            factor.copy_from(tall);
            pivoted_qr::qr_in_place(
                factor.as_mut(),
                householder.as_mat_mut(),
                &mut order,
                &mut inverse,
                Par::Seq,
                stack,
                settings,
            );
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
