//! Matrices of known singular values, and the oracle that finds those of any.

use mother::rank::{MatrixView, SingularValues, Tolerance, rank, singular_values};

/// A dense row-major matrix that owns its values.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) values: Vec<f64>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Matrix {
    pub(crate) fn from_fn(
        rows: usize,
        columns: usize,
        entry: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let values = (0..rows * columns)
            .map(|index| entry(index / columns, index % columns))
            .collect();
        Self {
            values,
            rows,
            columns,
        }
    }

    pub(crate) fn from_source(
        rows: usize,
        columns: usize,
        source: &mut impl Iterator<Item = f64>,
    ) -> Self {
        Self {
            values: source.take(rows * columns).collect(),
            rows,
            columns,
        }
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    pub(crate) fn view(&self) -> MatrixView<'_, f64> {
        MatrixView::new(&self.values, self.rows, self.columns).unwrap()
    }

    pub(crate) fn transpose(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self.at(column, row))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self::from_fn(self.rows, other.columns, |row, column| {
            (0..self.columns)
                .map(|inner| self.at(row, inner) * other.at(inner, column))
                .sum()
        })
    }

    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self::from_fn(self.rows, self.columns, |row, column| {
            change(self.at(row, column))
        })
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self::from_fn(self.rows, self.columns, |row, column| {
            self.at(row, column) + other.at(row, column)
        })
    }

    pub(crate) fn squares(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum()
    }

    pub(crate) fn singular_values(&self) -> SingularValues {
        singular_values(self.view()).unwrap()
    }

    pub(crate) fn rank(&self, tolerance: Tolerance) -> usize {
        rank(self.view(), tolerance).unwrap().value()
    }
}

/// xorshift64, as in `tests/golden/rank/generate.py`: multiples of 1/1024 from −1 up to 1.
pub(crate) fn generator(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 32) % 2049) as f64 / 1024.0 - 1.0
    })
}

/// About normally distributed, with variance 1.
pub(crate) fn normal(seed: u64) -> impl Iterator<Item = f64> {
    let mut uniform = generator(seed);
    core::iter::repeat_with(move || uniform.by_ref().take(12).sum::<f64>() * 0.5)
}

/// The oracle: one-sided Jacobi, which turns the columns until all are orthogonal.
pub(crate) fn jacobi(matrix: &Matrix) -> Vec<f64> {
    let tall = if matrix.rows < matrix.columns {
        matrix.transpose()
    } else {
        matrix.clone()
    };
    let mut columns: Vec<Vec<f64>> = (0..tall.columns)
        .map(|column| (0..tall.rows).map(|row| tall.at(row, column)).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    for _ in 0..60 {
        let mut largest_cosine = 0.0_f64;
        for i in 0..columns.len() {
            for j in i + 1..columns.len() {
                let alpha = dot(&columns[i], &columns[i]);
                let beta = dot(&columns[j], &columns[j]);
                let gamma = dot(&columns[i], &columns[j]);
                if gamma == 0.0 || alpha == 0.0 || beta == 0.0 {
                    continue;
                }
                largest_cosine = largest_cosine.max(gamma.abs() / (alpha * beta).sqrt());
                let zeta = (beta - alpha) / (2.0 * gamma);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = cosine * tangent;
                let (before, from) = columns.split_at_mut(j);
                for (first, second) in before[i].iter_mut().zip(&mut from[0]) {
                    let (x, y) = (*first, *second);
                    *first = cosine * x - sine * y;
                    *second = sine * x + cosine * y;
                }
            }
        }
        if largest_cosine < 1e-15 {
            break;
        }
    }
    let mut values: Vec<f64> = columns
        .iter()
        .map(|column| dot(column, column).sqrt())
        .collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// Columns of random directions, made orthonormal by Gram and Schmidt, twice for accuracy.
pub(crate) fn orthonormal(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut source = normal(seed);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    while basis.len() < columns {
        let mut vector: Vec<f64> = source.by_ref().take(rows).collect();
        for _ in 0..2 {
            for other in &basis {
                let shadow: f64 = other.iter().zip(&vector).map(|(x, y)| x * y).sum();
                vector
                    .iter_mut()
                    .zip(other)
                    .for_each(|(x, y)| *x -= shadow * y);
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        basis.push(vector);
    }
    Matrix::from_fn(rows, columns, |row, column| basis[column][row])
}

/// A matrix with exactly these singular values, up to rounding.
pub(crate) fn with_spectrum(spectrum: &[f64], rows: usize, columns: usize, seed: u64) -> Matrix {
    let left = orthonormal(rows, spectrum.len(), seed);
    let right = orthonormal(columns, spectrum.len(), seed + 1).transpose();
    let scaled = Matrix::from_fn(rows, spectrum.len(), |row, index| {
        left.at(row, index) * spectrum[index]
    });
    scaled.times(&right)
}

/// A few units of what the decomposition can resolve: different but equally right computations
/// of one singular value differ by about 3 of them at most, seen over a million matrices.
pub(crate) fn slack(values: &SingularValues) -> f64 {
    10.0 * values.resolution()
}

pub(crate) fn assert_close(found: &SingularValues, expected: &[f64]) {
    assert_eq!(found.values().len(), expected.len());
    for (value, expected) in found.values().iter().zip(expected) {
        assert!(
            (value - expected).abs() <= slack(found),
            "{value} is not {expected}"
        );
    }
}
