//! Random projections in O(n log n): some rows and columns of a Hadamard matrix, with random signs.

use alloc::vec::Vec;

use super::RankError;
use super::random::SplitMix;
use super::solver::reserve;

/// So many vectors are multiplied at once.
pub(super) const LANES: usize = 8;

/// An entry of each vector.
type Lanes = [f64; LANES];

/// Rows are transformed in blocks of so many, which stay in the first-level cache.
const LARGEST_BLOCK: usize = 256;

/// Some rows and columns of a Hadamard matrix, in random order, with random signs.
///
/// Entries are 1 and −1. The matrix is made of square blocks, each of which is Sylvester's matrix H with
/// random signs for its rows and for its columns. Those of a row of blocks stand side by side; the other
/// rows of blocks are the same but for whole blocks' signs, which are those of a small Sylvester matrix.
/// So all rows are orthogonal, whatever the random signs are, and few rows need few blocks transformed:
/// as many as the vectors fill.
///
/// Columns are chosen at random too, since neighbours have the same entries in many rows: few rows
/// would tell little of what is in a few neighbouring entries of vectors.
///
/// # References
///
/// N. Ailon, B. Chazelle, "The fast Johnson–Lindenstrauss transform and approximate nearest
/// neighbors", SIAM Journal on Computing 39(1), 2009, by blocks as in O. Balabanov, M. Beaupère,
/// L. Grigori, V. Lederer, "Block subsampled randomized Hadamard transform for low-rank approximation on
/// distributed architectures", 2022. [arXiv:2210.11295](https://arxiv.org/abs/2210.11295)
#[derive(Clone)]
pub(super) struct HadamardRows {
    /// The rows, each by its place in every block.
    rows: Vec<usize>,
    /// The signs of each row in each block.
    row_signs: Vec<f64>,
    /// The columns, one for each entry of a vector, and their signs.
    columns: Vec<usize>,
    signs: Vec<f64>,
    /// The rows of a block, a power of two.
    block: usize,
    /// How many blocks vectors fill.
    blocks: usize,
    stretch: f64,
}

impl HadamardRows {
    /// As many rows as are wanted, or as there are, for vectors of a length; the first ones are the
    /// same however many are wanted.
    pub(super) fn new(
        length: usize,
        wanted: usize,
        random: &mut SplitMix,
    ) -> Result<Self, RankError> {
        let order = length.next_power_of_two();
        let block = order.min(LARGEST_BLOCK);
        let blocks = length.div_ceil(block);
        let signs = random.signs(length)?;
        let columns = random.choose(length, blocks * block)?;
        let block_signs = random.signs(blocks * block)?;
        let wanted = wanted.min(order);
        let (mut rows, mut row_signs) = (Vec::new(), Vec::new());
        reserve(&mut rows, wanted)?;
        reserve(&mut row_signs, wanted.saturating_mul(blocks))?;
        for row_of_blocks in 0..wanted.div_ceil(block) {
            for row in random.choose(block.min(wanted - rows.len()), block)? {
                rows.push(row);
                row_signs.extend((0..blocks).map(|at| {
                    let negative = (row_of_blocks & at).count_ones() % 2 == 1;
                    block_signs[at * block + row] * if negative { -1.0 } else { 1.0 }
                }));
            }
        }
        // Rows are orthogonal, and as long as the blocks that vectors fill if they are of one row of
        // blocks. Others are a part of the whole matrix.
        let squares = if wanted <= block {
            blocks * block
        } else {
            order
        };
        Ok(Self {
            rows,
            row_signs,
            columns,
            signs,
            block,
            blocks,
            stretch: num_traits::Float::sqrt(squares as f64),
        })
    }

    /// How many times longer a vector can become.
    pub(super) const fn stretch(&self) -> f64 {
        self.stretch
    }

    /// Room for vectors and their products.
    pub(super) fn panel(&self) -> Result<Panel, RankError> {
        let lanes = |count| {
            let mut values = Vec::new();
            reserve(&mut values, count)?;
            values.resize(count, Lanes::default());
            Ok(values)
        };
        Ok(Panel {
            transformed: lanes(self.blocks * self.block)?,
            product: lanes(self.rows.len())?,
        })
    }

    /// The products of these rows with vectors, whose entries at an index `entry` gives.
    pub(super) fn product<'a>(
        &self,
        panel: &'a mut Panel,
        entry: impl Fn(usize) -> Lanes,
    ) -> &'a [Lanes] {
        let product = Product {
            rows: self,
            panel: &mut *panel,
            entry,
        };
        #[cfg(feature = "simd")]
        pulp::Arch::new().dispatch(product);
        #[cfg(not(feature = "simd"))]
        product.compute(|block| transform(block, 1, Arrays));
        &panel.product
    }
}

/// Some vectors side by side, and their products.
pub(super) struct Panel {
    transformed: Vec<Lanes>,
    product: Vec<Lanes>,
}

/// A product about to be computed.
struct Product<'a, E> {
    rows: &'a HadamardRows,
    panel: &'a mut Panel,
    entry: E,
}

impl<E: Fn(usize) -> Lanes> Product<'_, E> {
    #[inline(always)]
    fn compute(self, transform: impl Fn(&mut [Lanes])) {
        let HadamardRows { block, blocks, .. } = *self.rows;
        let Panel {
            transformed,
            product,
        } = self.panel;
        if self.rows.columns.len() < transformed.len() {
            transformed.fill(Lanes::default());
        }
        let columns = self.rows.columns.iter().zip(&self.rows.signs);
        for (index, (&column, &sign)) in columns.enumerate() {
            transformed[column] = (self.entry)(index).map(|value| value * sign);
        }
        transformed.chunks_exact_mut(block).for_each(transform);
        let signs = self.rows.row_signs.chunks_exact(blocks.max(1));
        for ((sum, &row), signs) in product.iter_mut().zip(&self.rows.rows).zip(signs) {
            let mut lanes = Lanes::default();
            for (block, &sign) in transformed.chunks_exact(block).zip(signs) {
                let values = block[row];
                lanes = core::array::from_fn(|lane| lanes[lane] + values[lane] * sign);
            }
            *sum = lanes;
        }
    }
}

/// In the widest registers this processor has.
#[cfg(feature = "simd")]
impl<E: Fn(usize) -> Lanes> pulp::WithSimd for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        self.compute(
            #[inline(always)]
            |block| {
                // Eight lanes fill any register a whole number of times.
                let (registers, _) = S::as_mut_simd_f64s(block.as_flattened_mut());
                transform(registers, LANES / S::F64_LANES, Registers(simd));
            },
        );
    }
}

/// Sums and differences of some values at once.
trait Arithmetic: Copy {
    type Values: Copy;

    fn sum_and_difference(self, a: Self::Values, b: Self::Values) -> (Self::Values, Self::Values);
}

#[cfg(any(not(feature = "simd"), test))]
#[derive(Clone, Copy)]
struct Arrays;

#[cfg(any(not(feature = "simd"), test))]
impl Arithmetic for Arrays {
    type Values = Lanes;

    fn sum_and_difference(self, a: Lanes, b: Lanes) -> (Lanes, Lanes) {
        (
            core::array::from_fn(|lane| a[lane] + b[lane]),
            core::array::from_fn(|lane| a[lane] - b[lane]),
        )
    }
}

#[cfg(feature = "simd")]
#[derive(Clone, Copy)]
struct Registers<S>(S);

#[cfg(feature = "simd")]
impl<S: pulp::Simd> Arithmetic for Registers<S> {
    type Values = S::f64s;

    #[inline(always)]
    fn sum_and_difference(self, a: S::f64s, b: S::f64s) -> (S::f64s, S::f64s) {
        (self.0.add_f64s(a, b), self.0.sub_f64s(a, b))
    }
}

/// Multiplies Sylvester's Hadamard matrix by a panel of rows, a power of two of them, each of so many
/// values.
#[inline(always)]
fn transform<A: Arithmetic>(panel: &mut [A::Values], width: usize, arithmetic: A) {
    let two = |a, b| arithmetic.sum_and_difference(a, b);
    let mut distance = width;
    // Two rounds of sums and differences at once, as long as there are two.
    while panel.len() / distance >= 4 {
        for block in panel.chunks_exact_mut(4 * distance) {
            let (low, high) = block.split_at_mut(2 * distance);
            let (first, second) = low.split_at_mut(distance);
            let (third, fourth) = high.split_at_mut(distance);
            let rows = first.iter_mut().zip(second).zip(third).zip(fourth);
            for (((first, second), third), fourth) in rows {
                let ((a, b), (c, d)) = (two(*first, *second), two(*third, *fourth));
                ((*first, *third), (*second, *fourth)) = (two(a, c), two(b, d));
            }
        }
        distance *= 4;
    }
    if panel.len() / distance == 2 {
        let (low, high) = panel.split_at_mut(distance);
        for (low, high) in low.iter_mut().zip(high) {
            (*low, *high) = two(*low, *high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product with the identity: the matrix itself.
    fn dense(length: usize, wanted: usize) -> Vec<Vec<f64>> {
        let rows = HadamardRows::new(length, wanted, &mut SplitMix::new(7)).unwrap();
        let mut found = alloc::vec![alloc::vec![0.0; length]; rows.rows.len()];
        let mut panel = rows.panel().unwrap();
        for column in (0..length).step_by(LANES) {
            let entry =
                |row| core::array::from_fn(|lane| f64::from(u8::from(column + lane == row)));
            for (found, product) in found.iter_mut().zip(rows.product(&mut panel, entry)) {
                for (to, from) in found[column..].iter_mut().zip(product) {
                    *to = *from;
                }
            }
        }
        found
    }

    #[test]
    fn entries_are_signs() {
        for length in [1_usize, 2, 3, 7, 16, 33, 100, 257, 600] {
            let order = length.next_power_of_two();
            let found = dense(length, usize::MAX);
            assert_eq!(found.len(), order);
            assert!(found.iter().flatten().all(|value| value.abs() == 1.0));
        }
    }

    /// All rows together turn and stretch; so some of them stretch no more.
    #[test]
    fn columns_are_orthogonal() {
        for length in [1, 2, 5, 8, 31, 40, 64, 300] {
            let found = dense(length, usize::MAX);
            for (first, second) in (0..length).flat_map(|i| (0..length).map(move |j| (i, j))) {
                let sum: f64 = found.iter().map(|row| row[first] * row[second]).sum();
                let expected = if first == second {
                    found.len() as f64
                } else {
                    0.0
                };
                assert_eq!(sum, expected, "{length}: {first}, {second}");
            }
        }
    }

    /// Rows of one row of blocks: as many blocks as vectors fill, fewer than there are.
    #[test]
    fn rows_are_orthogonal_and_no_longer_than_said() {
        for (length, wanted) in [(520, 256), (520, 20), (768, 40), (1000, 9)] {
            let rows = HadamardRows::new(length, wanted, &mut SplitMix::new(7)).unwrap();
            let positions = rows.blocks * rows.block;
            assert_eq!(rows.stretch(), (positions as f64).sqrt());
            // With the columns that vectors don't fill.
            let all = HadamardRows::new(positions, wanted, &mut SplitMix::new(7)).unwrap();
            assert_eq!(all.stretch(), rows.stretch());
            let found = dense(positions, wanted);
            for (i, j) in (0..wanted).flat_map(|i| (0..i + 1).map(move |j| (i, j))) {
                let sum: f64 = found[i].iter().zip(&found[j]).map(|(a, b)| a * b).sum();
                assert_eq!(sum, if i == j { positions as f64 } else { 0.0 });
            }
        }
    }

    #[test]
    fn fewer_rows_are_the_first_ones() {
        let all = dense(20, usize::MAX);
        assert_eq!(dense(20, 5), all[..5]);
        assert_eq!(dense(600, 300), dense(600, 520)[..300]);
        assert!(dense(20, 0).is_empty());
        assert!(dense(0, 3).iter().all(Vec::is_empty));
    }

    /// The definition by halves: H of twice the order is [[H, H], [H, −H]].
    fn sylvester(values: &[f64]) -> Vec<f64> {
        let (low, high) = values.split_at(values.len() / 2);
        if low.is_empty() {
            return values.to_vec();
        }
        let (low, high) = (sylvester(low), sylvester(high));
        let both = || low.iter().zip(&high);
        let sums = both().map(|(a, b)| a + b);
        sums.chain(both().map(|(a, b)| a - b)).collect()
    }

    #[cfg(feature = "simd")]
    struct InRegisters<'a>(&'a mut [Lanes]);

    #[cfg(feature = "simd")]
    impl pulp::WithSimd for InRegisters<'_> {
        type Output = ();

        fn with_simd<S: pulp::Simd>(self, simd: S) {
            let (registers, _) = S::as_mut_simd_f64s(self.0.as_flattened_mut());
            transform(registers, LANES / S::F64_LANES, Registers(simd));
        }
    }

    #[test]
    fn registers_and_arrays_give_what_the_definition_does() {
        for order in [1, 2, 4, 8, 32, 64] {
            let row =
                |row: usize| core::array::from_fn(|lane| ((row * 37 + lane * 11) % 23) as f64);
            let panel: Vec<Lanes> = (0..order).map(row).collect();
            let mut arrays = panel.clone();
            transform(&mut arrays, 1, Arrays);
            for lane in 0..LANES {
                let column: Vec<f64> = panel.iter().map(|row| row[lane]).collect();
                let found: Vec<f64> = arrays.iter().map(|row| row[lane]).collect();
                assert_eq!(found, sylvester(&column), "{order}");
            }
            #[cfg(feature = "simd")]
            {
                let mut registers = panel.clone();
                pulp::Arch::new().dispatch(InRegisters(&mut registers));
                assert_eq!(registers, arrays);
            }
        }
    }
}
