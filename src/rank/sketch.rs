//! Products of a matrix with random vectors, from which the rank of a difference can be found.

use alloc::vec::Vec;

use num_traits::Float;

use super::MatrixView;
use super::decomposition::{Operand, add_product};
use super::random::SplitMix;
use super::solver::{make_room, reserve};
use crate::Scalar;
use crate::registers::in_wide_registers;

/// The number of probes: the first vectors, which check the result from the others.
pub(super) const PROBES: usize = 32;

/// The number of sparse vectors in a group.
const GROUP: usize = 64;

/// The number of products with each vector that are computed at once, from data that stays in the cache.
const LANES: usize = 64;

/// Random vectors, the same for all matrices of one shape, as long as their longer side.
///
/// The first 32 consist of independent normal values. The others are sparse: each group of 64 vectors divides
/// the entries among its vectors, as evenly as possible, with random signs, so that a group takes as long as
/// one vector. They are seeded with the shape, so the vectors of a smaller projection are the first ones of a
/// larger one.
pub(super) struct RandomProjection {
    shape: (usize, usize),
    /// One vector after another.
    normal: Vec<f64>,
    /// The positions and values of each vector's entries.
    sparse: Vec<Vec<(usize, f64)>>,
}

/// The products of a matrix, or of its transpose, with the vectors of a [`RandomProjection`].
///
/// The sketch of a difference is the difference of the sketches.
pub(super) struct Sketch {
    /// The rows and columns of the matrix.
    pub(super) shape: (usize, usize),
    /// One product after another, each as long as the shorter side of the matrix.
    products: Vec<f64>,
    /// The Frobenius norm of the matrix.
    pub(super) norm: f64,
}

impl RandomProjection {
    /// Creates `count` vectors for matrices of this shape, if there is memory.
    pub(super) fn new(shape: (usize, usize), count: usize) -> Option<Self> {
        let seed = (shape.0 as u64).rotate_left(32) ^ (shape.1 as u64);
        let (length, mut random) = (shape.0.max(shape.1), SplitMix::new(seed));
        let normal = random.normal(PROBES.saturating_mul(length)).ok()?;
        let mut sparse = Vec::new();
        let mut order = Vec::new();
        reserve(&mut order, length).ok()?;
        order.extend(0..length);
        while sparse.len() + PROBES < count {
            random.shuffle(&mut order);
            for vector in 0..GROUP {
                let share = vector * length / GROUP..(vector + 1) * length / GROUP;
                // Makes them as long as the others.
                let size = Float::sqrt(GROUP as f64);
                let entry = |&at: &usize| {
                    (
                        at,
                        if random.bits() >> 63 == 0 {
                            size
                        } else {
                            -size
                        },
                    )
                };
                sparse.push(order[share].iter().map(entry).collect());
            }
        }
        sparse.truncate(count.saturating_sub(PROBES));
        Some(Self {
            shape,
            normal,
            sparse,
        })
    }

    /// A bound on the ratio of the norm of a matrix's products with this many sparse vectors, taken together,
    /// to the matrix's norm, if the longer side has this length.
    pub(super) fn stretch(length: usize, count: usize) -> f64 {
        let groups = count.div_ceil(GROUP) * GROUP;
        Float::sqrt((groups * length.div_ceil(GROUP)) as f64)
    }

    /// The products of `matrix` with all vectors, if it has their shape and there is memory.
    ///
    /// O(m·n·(32 + count/16)) time; count·min(m, n) values of space.
    pub(super) fn sketch<T: Scalar>(&self, matrix: MatrixView<'_, T>) -> Option<Sketch> {
        let shape = (matrix.rows(), matrix.columns());
        if shape != self.shape {
            return None;
        }
        let (short, long) = (shape.0.min(shape.1), shape.0.max(shape.1));
        let count = PROBES + self.sparse.len();
        let (mut products, mut lanes) = (Vec::new(), Vec::new());
        make_room(&mut products, count.saturating_mul(short)).ok()?;
        make_room(&mut lanes, long * LANES.min(short)).ok()?;
        let vectors = Operand::new(&self.normal, (PROBES, long), long);
        let mut squares = 0.0;
        for first in (0..short).step_by(LANES) {
            let width = LANES.min(short - first);
            let lanes = &mut lanes[..long * width];
            write_lanes(lanes, matrix, first);
            let products = &mut products[first..];
            add_product(
                products,
                short,
                vectors,
                Operand::new(lanes, (long, width), width),
            );
            let products = products[PROBES * short..].chunks_mut(short);
            squares += in_wide_registers(
                #[inline(always)]
                || {
                    for (product, vector) in products.zip(&self.sparse) {
                        add_lanes(&mut product[..width], lanes, vector);
                    }
                    sum_of_squares(lanes)
                },
            );
        }
        Some(Sketch {
            shape,
            products,
            norm: Float::sqrt(squares),
        })
    }
}

/// Writes some lines along the longer side of a matrix, starting at one, side by side as `f64`.
fn write_lanes<T: Scalar>(lanes: &mut [f64], matrix: MatrixView<'_, T>, first: usize) {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let width = lanes.len() / rows.max(columns);
    in_wide_registers(
        #[inline(always)]
        move || {
            if rows > columns {
                let rows = matrix.values().chunks_exact(columns);
                for (to, row) in lanes.chunks_exact_mut(width).zip(rows) {
                    for (to, from) in to.iter_mut().zip(&row[first..]) {
                        *to = from.widen();
                    }
                }
            } else {
                let rows = matrix.values()[first * columns..].chunks_exact(columns);
                for (lane, row) in rows.take(width).enumerate() {
                    for (to, from) in lanes[lane..].iter_mut().step_by(width).zip(row) {
                        *to = from.widen();
                    }
                }
            }
        },
    );
}

/// Adds the products of the lanes with a sparse vector.
#[inline(always)]
fn add_lanes(products: &mut [f64], lanes: &[f64], vector: &[(usize, f64)]) {
    let width = products.len();
    for &(at, sign) in vector {
        for (sum, value) in products.iter_mut().zip(&lanes[at * width..]) {
            *sum += sign * value;
        }
    }
}

impl Sketch {
    /// The lengths of the matrix's shorter side and of its longer one.
    pub(super) fn sides(&self) -> (usize, usize) {
        (
            self.shape.0.min(self.shape.1),
            self.shape.0.max(self.shape.1),
        )
    }

    /// The number of vectors whose products it holds.
    pub(super) fn count(&self) -> usize {
        self.products.len() / self.sides().0.max(1)
    }

    /// Appends products of the difference until there are `count`.
    pub(super) fn extend_difference(
        &self,
        other: &Self,
        count: usize,
        products: &mut Vec<f64>,
    ) -> Option<()> {
        let (from, to) = (products.len(), count * self.sides().0);
        make_room(products, to.max(from)).ok()?;
        let both = self.products[from..].iter().zip(&other.products[from..]);
        let to = products[from..].iter_mut().zip(both);
        in_wide_registers(
            #[inline(always)]
            || to.for_each(|(to, (first, second))| *to = first - second),
        );
        Some(())
    }

    /// A bound on the error of `count` products of the difference compared with exact arithmetic, in the
    /// Frobenius norm.
    ///
    /// The error of sums of n terms with random signs is a few √n·2⁻⁵³ of their size (Higham and Mary 2019);
    /// this is 16 times that.
    pub(super) fn rounding_of_difference(&self, other: &Self, count: usize) -> f64 {
        let sums = Float::sqrt(self.sides().1 as f64 * count as f64);
        8.0 * f64::EPSILON * sums * (self.norm + other.norm)
    }
}

/// The sum of squares, in eight partial sums so that compilers can vectorise it.
#[inline(always)]
pub(super) fn sum_of_squares(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value * value).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::singular_values;

    /// The vectors of a projection.
    fn dense(projection: &RandomProjection) -> Vec<Vec<f64>> {
        let length = projection.shape.0.max(projection.shape.1);
        let mut vectors: Vec<_> = projection
            .normal
            .chunks(length)
            .map(<[f64]>::to_vec)
            .collect();
        for entries in &projection.sparse {
            let mut vector = alloc::vec![0.0; length];
            entries.iter().for_each(|&(at, value)| vector[at] = value);
            vectors.push(vector);
        }
        vectors
    }

    /// The definition, entry by entry: wide, tall and small matrices.
    #[test]
    fn a_sketch_is_the_product_with_all_vectors() {
        for (m, n, count) in [
            (LANES + 3, 90, PROBES + 70),
            (90, LANES + 3, PROBES + 70),
            (2, 3, 40),
        ] {
            let projection = RandomProjection::new((m, n), count).unwrap();
            let matrix: Vec<f32> = (0..m * n).map(|index| (index % 17) as f32 - 8.0).collect();
            let found = projection.sketch(MatrixView::new(&matrix, m, n).unwrap());
            let found = found.unwrap();
            assert_eq!(
                (found.count(), found.sides()),
                (count, (m.min(n), m.max(n)))
            );
            let entry = |line: usize, at: usize| {
                let (row, column) = if m > n { (at, line) } else { (line, at) };
                f64::from(matrix[row * n + column])
            };
            let products = found.products.chunks_exact(m.min(n));
            for (vector, products) in dense(&projection).iter().zip(products) {
                for (line, product) in products.iter().enumerate() {
                    let terms = vector
                        .iter()
                        .enumerate()
                        .map(|(at, value)| value * entry(line, at));
                    assert!((product - terms.sum::<f64>()).abs() < 1e-9);
                }
            }
            let squares: f32 = matrix.iter().map(|value| value * value).sum();
            assert!((found.norm - f64::from(squares).sqrt()).abs() < 1e-9);
        }
    }

    #[test]
    fn sparse_vectors_stretch_no_more_than_said() {
        for (length, count) in [(130, 40), (100, 130), (20, 64)] {
            let projection = RandomProjection::new((5, length), PROBES + count).unwrap();
            let vectors = dense(&projection)[PROBES..].concat();
            let norm = singular_values(MatrixView::new(&vectors, count, length).unwrap());
            let (norm, stretch) = (
                norm.unwrap().largest(),
                RandomProjection::stretch(length, count),
            );
            assert!(norm <= stretch && stretch < 4.0 * norm, "{norm} {stretch}");
        }
    }

    #[test]
    fn fewer_vectors_are_the_first_ones() {
        let all = dense(&RandomProjection::new((20, 70), PROBES + 150).unwrap());
        for count in [0, PROBES, PROBES + 1, PROBES + 64, PROBES + 80] {
            let fewer = dense(&RandomProjection::new((20, 70), count).unwrap());
            assert_eq!(fewer, all[..count.max(PROBES)]);
        }
    }

    #[test]
    fn mismatched_sketches_are_rejected() {
        let projection = RandomProjection::new((3, 2), 4).unwrap();
        let matrix = MatrixView::new(&[1.0; 6], 2, 3).unwrap();
        assert!(projection.sketch(matrix).is_none());
        assert!(RandomProjection::new((1 << 60, 2), 4).is_none());
    }
}
