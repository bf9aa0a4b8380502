//! Solves small systems of linear equations.

use alloc::vec;
use alloc::vec::Vec;

/// Solves linear equations by elimination with partial pivoting. Each row holds the coefficients and the
/// right-hand side. `None` if there is no unique solution.
pub(crate) fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let count = rows.len();
    for column in 0..count {
        let pivot = (column..count)
            .max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        let (above, below) = rows.split_at_mut(column + 1);
        let pivot = above.last()?;
        if pivot[column].abs() <= f64::EPSILON || pivot[column].is_nan() {
            return None;
        }
        for row in below {
            let factor = row[column] / pivot[column];
            for (value, of_pivot) in row.iter_mut().zip(pivot).skip(column) {
                *value -= factor * of_pivot;
            }
        }
    }
    let mut solution = vec![0.0; count];
    for at in (0..count).rev() {
        let known: f64 = (at + 1..count)
            .map(|other| rows[at][other] * solution[other])
            .sum();
        solution[at] = (rows[at][count] - known) / rows[at][at];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved_or_refused() {
        let rows = vec![vec![0.0, 2.0, 4.0], vec![1.0, 1.0, 5.0]];
        assert_eq!(solve(rows), Some(vec![3.0, 2.0]));
        let same = vec![vec![1.0, 2.0, 4.0], vec![2.0, 4.0, 5.0]];
        assert_eq!(solve(same), None);
    }
}
