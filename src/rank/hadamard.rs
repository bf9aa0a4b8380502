//! Random projections in O(n log n): some rows and columns of a Hadamard matrix, with random signs.

use alloc::vec::Vec;

use super::RankError;
use super::random::SplitMix;
use super::solver::reserve;

/// So many vectors are multiplied at once.
pub(super) const LANES: usize = 8;

/// An entry of each vector.
type Lanes = [f64; LANES];

/// Some rows and columns of a Hadamard matrix, in random order, its columns with random signs.
///
/// Entries are 1 and −1. Columns are chosen at random too, since neighbours have the same entries in
/// many rows: few rows would tell little of what is in a few neighbouring entries of vectors.
///
/// # References
///
/// N. Ailon, B. Chazelle, "The fast Johnson–Lindenstrauss transform and approximate nearest
/// neighbors", SIAM Journal on Computing 39(1), 2009, in the form of J. A. Tropp, "Improved analysis
/// of the subsampled randomized Hadamard transform", Advances in Adaptive Data Analysis 3, 2011.
/// [arXiv:1011.1595](https://arxiv.org/abs/1011.1595)
#[derive(Clone)]
pub(super) struct HadamardRows {
    /// The rows.
    rows: Vec<usize>,
    /// The columns, one for each entry of a vector, and their signs.
    columns: Vec<usize>,
    signs: Vec<f64>,
    /// The rows of the whole matrix, a power of two.
    order: usize,
}

impl HadamardRows {
    /// As many rows as are wanted, or as there are, for vectors of a length; the first ones are the
    /// same however many are wanted.
    pub(super) fn new(
        length: usize,
        wanted: usize,
        random: &mut SplitMix,
    ) -> Result<Self, RankError> {
        let mut signs = Vec::new();
        reserve(&mut signs, length)?;
        signs.extend((0..length).map(|_| if random.bits() >> 63 == 0 { 1.0 } else { -1.0 }));
        let order = length.next_power_of_two();
        let columns = random.choose(length, order)?;
        let rows = random.choose(wanted.min(order), order)?;
        Ok(Self {
            rows,
            columns,
            signs,
            order,
        })
    }

    /// How many times longer a vector can become.
    pub(super) fn stretch(&self) -> f64 {
        num_traits::Float::sqrt(self.order as f64)
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
            entries: lanes(self.signs.len())?,
            transformed: lanes(self.order)?,
            product: lanes(self.rows.len())?,
        })
    }

    /// The products of these rows with the vectors in a panel.
    pub(super) fn product<'a>(&self, panel: &'a mut Panel) -> &'a [Lanes] {
        panel.transformed.fill(Lanes::default());
        let signs = self.columns.iter().zip(&self.signs);
        for (entry, (&column, sign)) in panel.entries.iter().zip(signs) {
            panel.transformed[column] = entry.map(|value| value * sign);
        }
        #[cfg(feature = "std")]
        pulp::Arch::new().dispatch(InRegisters(&mut panel.transformed));
        #[cfg(not(feature = "std"))]
        transform(&mut panel.transformed, 1, Arrays);
        for (product, &row) in panel.product.iter_mut().zip(&self.rows) {
            *product = panel.transformed[row];
        }
        &panel.product
    }
}

/// Some vectors side by side, and their products.
pub(super) struct Panel {
    entries: Vec<Lanes>,
    transformed: Vec<Lanes>,
    product: Vec<Lanes>,
}

impl Panel {
    /// The entries of the vectors.
    pub(super) fn entries(&mut self) -> &mut [Lanes] {
        &mut self.entries
    }
}

/// Sums and differences of some values at once.
trait Arithmetic: Copy {
    type Values: Copy;

    fn sum_and_difference(self, a: Self::Values, b: Self::Values) -> (Self::Values, Self::Values);
}

#[cfg(any(not(feature = "std"), test))]
#[derive(Clone, Copy)]
struct Arrays;

#[cfg(any(not(feature = "std"), test))]
impl Arithmetic for Arrays {
    type Values = Lanes;

    fn sum_and_difference(self, a: Lanes, b: Lanes) -> (Lanes, Lanes) {
        (
            core::array::from_fn(|lane| a[lane] + b[lane]),
            core::array::from_fn(|lane| a[lane] - b[lane]),
        )
    }
}

/// In the widest registers this processor has.
#[cfg(feature = "std")]
struct InRegisters<'a>(&'a mut [Lanes]);

#[cfg(feature = "std")]
impl pulp::WithSimd for InRegisters<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        // Eight lanes fill any register a whole number of times.
        let (registers, _) = S::as_mut_simd_f64s(self.0.as_flattened_mut());
        transform(registers, LANES / S::F64_LANES, Registers(simd));
    }
}

#[cfg(feature = "std")]
#[derive(Clone, Copy)]
struct Registers<S>(S);

#[cfg(feature = "std")]
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
            for (row, entry) in panel.entries().iter_mut().enumerate() {
                *entry = core::array::from_fn(|lane| f64::from(u8::from(column + lane == row)));
            }
            for (found, product) in found.iter_mut().zip(rows.product(&mut panel)) {
                for (to, from) in found[column..].iter_mut().zip(product) {
                    *to = *from;
                }
            }
        }
        found
    }

    #[test]
    fn entries_are_signs() {
        for length in [1_usize, 2, 3, 7, 16, 33, 100, 257] {
            let order = length.next_power_of_two();
            let found = dense(length, usize::MAX);
            assert_eq!(found.len(), order);
            assert!(found.iter().flatten().all(|value| value.abs() == 1.0));
        }
    }

    /// All rows together turn and stretch; so some of them stretch no more.
    #[test]
    fn columns_are_orthogonal() {
        for length in [1, 2, 5, 8, 31, 40, 64] {
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

    #[test]
    fn fewer_rows_are_the_first_ones() {
        let all = dense(20, usize::MAX);
        assert_eq!(dense(20, 5), all[..5]);
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
            #[cfg(feature = "std")]
            {
                let mut registers = panel.clone();
                pulp::Arch::new().dispatch(InRegisters(&mut registers));
                assert_eq!(registers, arrays);
            }
        }
    }
}
