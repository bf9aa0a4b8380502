//! The interpolative decomposition of a small square matrix: some of its columns, and what the others
//! are made of.

use alloc::vec::Vec;

use num_traits::Float;

use super::RankError;
use super::decomposition::{
    Operand, Scratch, add_product, cholesky, divide_by_product, divide_by_transpose,
    divide_by_triangle, gram, multiply, pivoted_cholesky, subtract_product,
};
use super::projection::sum_of_squares;
use super::solver::make_room;

/// A matrix C, nearly C₁·[I K], where C₁ are as many of its columns as its rank is.
///
/// The columns are those that a pivoted Cholesky decomposition RᵀR of CᵀC takes first, which keeps K
/// small. Of the leading rows [R₁ R₂] of R, K is R₁⁻¹·R₂. The pseudo-inverse of [I K] takes a decomposition
/// of I + KᵀK, which is only as large as there are other columns.
///
/// # References
///
/// H. Cheng, Z. Gimbutas, P. G. Martinsson, V. Rokhlin, "On the compression of low rank matrices", SIAM
/// Journal on Scientific Computing 26(4), 2005. [doi:10.1137/030602678](https://doi.org/10.1137/030602678)
#[derive(Clone, Default)]
pub(super) struct InterpolativeDecomposition {
    /// The rows and columns of C.
    size: usize,
    /// The columns of C₁.
    rank: usize,
    /// The upper triangle of CᵀC.
    gram: Vec<f64>,
    /// The upper triangle R.
    triangle: Vec<f64>,
    /// The column of C that each column of R belongs to.
    order: Vec<usize>,
    /// Kᵀ.
    coefficients: Vec<f64>,
    /// The upper triangle whose product with itself is I + KᵀK.
    root: Vec<f64>,
    /// Of some rows, what they have in the columns of C₁, or a matrix as large as the rank.
    chosen: Vec<f64>,
    /// What they have in the other columns.
    others: Vec<f64>,
    scratch: Scratch,
}

impl InterpolativeDecomposition {
    /// Decomposes a matrix of so many rows and columns.
    pub(super) fn decompose(&mut self, matrix: Operand<'_>, size: usize) -> Result<(), RankError> {
        self.size = size;
        make_room(&mut self.triangle, size * size)?;
        gram(&mut self.triangle, matrix.transpose());
        make_room(&mut self.gram, size * size)?;
        self.gram.copy_from_slice(&self.triangle);
        let (triangle, order) = (&mut self.triangle, &mut self.order);
        let rows = pivoted_cholesky(triangle, order, size, &mut self.scratch)?;
        triangle[rows * size..].fill(0.0);
        Ok(())
    }

    /// The length of the longest column.
    pub(super) fn longest_column(&self) -> f64 {
        self.triangle.first().copied().unwrap_or(0.0)
    }

    /// How many columns are longer than this, even without what they have of the columns before them in the
    /// order of R.
    pub(super) fn columns_above(&self, length: f64) -> usize {
        let diagonal = self.triangle.iter().step_by(self.size + 1);
        diagonal.take_while(|&&value| value > length).count()
    }

    /// Whether so many singular values of the matrix are certainly larger than `least`.
    pub(super) fn exceeds(&mut self, rank: usize, least: f64) -> Result<bool, RankError> {
        let size = self.size;
        let squares: f64 = self.gram.iter().step_by(size + 1).sum();
        let square = least * least + rounding_of_squares(squares, size);
        make_room(&mut self.chosen, rank * rank)?;
        // The singular values of C₁ are no larger than the matrix's, but mostly large enough.
        for (row, to) in self.chosen.chunks_exact_mut(rank.max(1)).enumerate() {
            let of_row = self.order[row];
            for (to, &column) in to[row..].iter_mut().zip(&self.order[row..]) {
                *to = self.gram[of_row.min(column) * size + of_row.max(column)];
            }
        }
        if is_above(&mut self.chosen, rank, square, &mut self.scratch)? {
            return Ok(true);
        }
        // Those of the leading rows of R are between the two.
        for (row, values) in self.triangle.chunks_exact_mut(size.max(1)).enumerate() {
            values[..row].fill(0.0);
        }
        let leading = Operand::new(&self.triangle, (rank, size), size);
        gram(&mut self.chosen, leading);
        is_above(&mut self.chosen, rank, square, &mut self.scratch)
    }

    /// Chooses so many columns, at most as many as [`columns_above`](Self::columns_above) 0 but not all, and
    /// says whether the others can be made of them.
    pub(super) fn interpolate(&mut self, rank: usize) -> Result<bool, RankError> {
        self.rank = rank;
        let (size, others) = (self.size, self.size - rank);
        make_room(&mut self.coefficients, others * rank)?;
        for (index, row) in self.triangle.chunks_exact(size).take(rank).enumerate() {
            let column = self.coefficients.iter_mut().skip(index).step_by(rank);
            column.zip(&row[rank..]).for_each(|(to, &from)| *to = from);
        }
        divide_by_transpose(&mut self.coefficients, &self.triangle, rank, size);
        make_room(&mut self.root, others * others)?;
        let coefficients = Operand::new(&self.coefficients, (others, rank), rank);
        gram(&mut self.root, coefficients);
        let diagonal = self.root.iter_mut().step_by(others + 1);
        diagonal.for_each(|value| *value += 1.0);
        cholesky(&mut self.root, others, &mut self.scratch)
    }

    /// The shortest of the x for which C₁·[I K]·x is nearest to y, for some y: `products` are the yᵀC, row
    /// after row.
    pub(super) fn solve(
        &mut self,
        products: &[f64],
        solutions: &mut Vec<f64>,
    ) -> Result<(), RankError> {
        self.choose(products.chunks_exact(self.size))?;
        divide_by_product(&mut self.chosen, &self.triangle, self.rank, self.size);
        self.divide_by_rows();
        self.combine();
        make_room(solutions, products.len())?;
        let (chosen, others) = self.order.split_at(self.rank);
        put_columns(solutions, self.size, chosen, &self.chosen);
        put_columns(solutions, self.size, others, &self.others);
        Ok(())
    }

    /// The Frobenius norm of X·(C₁·[I K])⁺, given the rows of X.
    pub(super) fn norm_of_quotient<'a>(
        &mut self,
        rows: impl ExactSizeIterator<Item = &'a [f64]> + Clone,
    ) -> Result<f64, RankError> {
        let (rank, others) = (self.rank, self.size - self.rank);
        self.choose(rows)?;
        let last = Operand::new(&self.others, (self.others.len() / others, others), others);
        let coefficients = Operand::new(&self.coefficients, (others, rank), rank);
        add_product(&mut self.chosen, last, coefficients);
        self.divide_by_rows();
        divide_by_triangle(&mut self.chosen, &self.triangle, rank, self.size);
        Ok(Float::sqrt(sum_of_squares(&self.chosen)))
    }

    /// Takes rows apart: what they have in the columns of C₁, and in the others.
    fn choose<'a>(
        &mut self,
        rows: impl ExactSizeIterator<Item = &'a [f64]> + Clone,
    ) -> Result<(), RankError> {
        let (chosen, others) = self.order.split_at(self.rank);
        take_columns(&mut self.chosen, rows.clone(), chosen)?;
        take_columns(&mut self.others, rows, others)
    }

    /// Multiplies what is in the columns of C₁ by (I + KKᵀ)⁻¹ = I − K·(I + KᵀK)⁻¹·Kᵀ.
    fn divide_by_rows(&mut self) {
        self.combine();
        let (rank, others) = (self.rank, self.size - self.rank);
        divide_by_product(&mut self.others, &self.root, others, others);
        let last = Operand::new(&self.others, (self.others.len() / others, others), others);
        let coefficients = Operand::new(&self.coefficients, (others, rank), rank);
        subtract_product(&mut self.chosen, last, coefficients);
    }

    /// Makes the other columns those of C₁ times K.
    fn combine(&mut self) {
        let (rank, others) = (self.rank, self.size - self.rank);
        let chosen = Operand::new(&self.chosen, (self.others.len() / others, rank), rank);
        let coefficients = Operand::new(&self.coefficients, (others, rank), rank);
        multiply(&mut self.others, chosen, coefficients.transpose());
    }
}

/// Takes these columns of some rows.
fn take_columns<'a>(
    taken: &mut Vec<f64>,
    rows: impl ExactSizeIterator<Item = &'a [f64]>,
    columns: &[usize],
) -> Result<(), RankError> {
    make_room(taken, rows.len() * columns.len())?;
    for (to, row) in taken.chunks_exact_mut(columns.len().max(1)).zip(rows) {
        for (to, &column) in to.iter_mut().zip(columns) {
            *to = row[column];
        }
    }
    Ok(())
}

/// Puts columns of rows of a length where they belong.
fn put_columns(rows: &mut [f64], length: usize, columns: &[usize], from: &[f64]) {
    let from = from.chunks_exact(columns.len().max(1));
    for (row, from) in rows.chunks_exact_mut(length).zip(from) {
        for (&column, &value) in columns.iter().zip(from) {
            row[column] = value;
        }
    }
}

/// Whether a symmetric matrix, whose upper triangle is given, has no eigenvalue as small as `least`.
fn is_above(
    matrix: &mut [f64],
    size: usize,
    least: f64,
    scratch: &mut Scratch,
) -> Result<bool, RankError> {
    let diagonal = matrix.iter_mut().step_by(size + 1);
    diagonal.for_each(|value| *value -= least);
    cholesky(matrix, size, scratch)
}

/// What rounding may do to a matrix of sums of squares, of so many rows, and to its decomposition.
fn rounding_of_squares(all_squares: f64, size: usize) -> f64 {
    4.0 * size as f64 * f64::EPSILON * all_squares
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 7;

    type Matrix = Vec<Vec<f64>>;

    fn product(first: &Matrix, second: &Matrix) -> Matrix {
        let entry = |row: &Vec<f64>, column| {
            let terms = row
                .iter()
                .zip(second)
                .map(|(value, row)| value * row[column]);
            terms.sum()
        };
        let row = |row| {
            (0..second[0].len())
                .map(|column| entry(row, column))
                .collect()
        };
        first.iter().map(row).collect()
    }

    fn transposed(matrix: &Matrix) -> Matrix {
        let column = |index| matrix.iter().map(|row| row[index]).collect();
        (0..matrix[0].len()).map(column).collect()
    }

    fn assert_near(first: &Matrix, second: &Matrix) {
        let both = first.iter().flatten().zip(second.iter().flatten());
        for (first, second) in both {
            assert!((first - second).abs() < 1e-11, "{first} {second}");
        }
    }

    /// Numbers from −1 to 1, from xorshift64.
    fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut state = seed;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        let mut row = || (0..columns).map(|_| draw()).collect();
        (0..rows).map(|_| row()).collect()
    }

    fn decomposed(matrix: &Matrix) -> InterpolativeDecomposition {
        let mut decomposition = InterpolativeDecomposition::default();
        let values = matrix.concat();
        let operand = Operand::new(&values, (SIZE, SIZE), SIZE);
        decomposition.decompose(operand, SIZE).unwrap();
        decomposition
    }

    /// The pseudo-inverse, from its products with the unit vectors.
    fn pseudo_inverse(decomposition: &mut InterpolativeDecomposition, matrix: &Matrix) -> Matrix {
        let mut solutions = Vec::new();
        decomposition
            .solve(&matrix.concat(), &mut solutions)
            .unwrap();
        transposed(&solutions.chunks(SIZE).map(<[f64]>::to_vec).collect())
    }

    /// Penrose's four conditions, which only the pseudo-inverse meets.
    #[test]
    fn of_a_matrix_of_that_rank_the_pseudo_inverse_is_found() {
        for rank in 0..SIZE {
            let (left, right) = (random(SIZE, rank + 1, 3), random(rank + 1, SIZE, 4));
            let left = left.iter().map(|row| match rank {
                0 => alloc::vec![0.0],
                rank => row[..rank].to_vec(),
            });
            let matrix = product(&left.collect(), &right[..rank.max(1)].to_vec());
            let mut decomposition = decomposed(&matrix);
            assert_eq!(decomposition.columns_above(1e-6), rank);
            assert!(decomposition.interpolate(rank).unwrap());
            let inverse = pseudo_inverse(&mut decomposition, &matrix);
            let (left, right) = (product(&matrix, &inverse), product(&inverse, &matrix));
            assert_near(&product(&left, &matrix), &matrix);
            assert_near(&product(&right, &inverse), &inverse);
            assert_near(&left, &transposed(&left));
            assert_near(&right, &transposed(&right));

            let rows = random(3, SIZE, 5);
            let quotient = product(&rows, &inverse).concat();
            let norm = decomposition.norm_of_quotient(rows.iter().map(Vec::as_slice));
            assert!((norm.unwrap() - sum_of_squares(&quotient).sqrt()).abs() < 1e-11);
        }
    }

    #[test]
    fn singular_values_that_are_larger_are_counted() {
        // Diagonal, with columns in another order.
        let values = [0.5, 8.0, 0.0, 2.0, 4.0, 0.0, 1.0];
        let mut matrix = alloc::vec![alloc::vec![0.0; SIZE]; SIZE];
        for (index, value) in values.into_iter().enumerate() {
            matrix[index][(index + 3) % SIZE] = value;
        }
        let mut decomposition = decomposed(&matrix);
        assert_eq!(decomposition.longest_column(), 8.0);
        for (index, value) in [8.0, 4.0, 2.0, 1.0, 0.5].into_iter().enumerate() {
            let (larger, rank) = (decomposition.columns_above(value), index + 1);
            assert_eq!(larger, index);
            assert!(decomposition.exceeds(rank, 0.99 * value).unwrap());
            assert!(!decomposition.exceeds(rank, 1.01 * value).unwrap());
            assert!(!decomposition.exceeds(rank, f64::NAN).unwrap());
        }
        assert!(decomposition.exceeds(0, 1e9).unwrap());
    }

    /// Each column of a matrix of equal ones is shorter than its singular value.
    #[test]
    fn all_columns_together_are_looked_at_where_some_do_not_suffice() {
        let mut decomposition = decomposed(&alloc::vec![alloc::vec![1.0; SIZE]; SIZE]);
        assert_eq!(decomposition.columns_above(1e-6), 1);
        let value = SIZE as f64;
        assert!(decomposition.longest_column() < 0.99 * value);
        assert!(decomposition.exceeds(1, 0.99 * value).unwrap());
        assert!(!decomposition.exceeds(1, 1.01 * value).unwrap());
    }
}
