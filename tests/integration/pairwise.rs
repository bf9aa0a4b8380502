//! Pairwise distances against plain sums, and the promise of the same bits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mother::Scalar;
use mother::pairwise::{PairwiseError, VectorSet, euclidean_distances, squared_distances};
use proptest::prelude::*;

/// The bound that the documentation states for `f32`, with room for terms of second order.
const BOUND: f64 = 7.3e-7;

fn uniforms(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }
}

/// Vectors that differ from one another by about `spread` of their norm.
fn relatives<T: Scalar>(count: usize, length: usize, spread: f64, seed: u64) -> Vec<Vec<T>> {
    let mut uniform = uniforms(seed);
    let root: Vec<f64> = (0..length).map(|_| uniform()).collect();
    (0..count)
        .map(|_| {
            root.iter()
                .map(|value| T::narrow(value + spread * uniform()))
                .collect()
        })
        .collect()
}

fn slices<T>(vectors: &[Vec<T>]) -> Vec<&[T]> {
    vectors.iter().map(Vec::as_slice).collect()
}

fn pairs(count: usize) -> Vec<(usize, usize)> {
    (0..count)
        .flat_map(|i| (i + 1..count).map(move |j| (i, j)))
        .collect()
}

fn squared<T: Scalar>(vectors: &[Vec<T>]) -> Vec<f64> {
    let mut condensed = vec![f64::NAN; pairs(vectors.len()).len()];
    squared_distances(&slices(vectors), &mut condensed).unwrap();
    condensed
}

/// The slow obvious twin.
fn oracle<T: Scalar>(u: &[T], v: &[T]) -> f64 {
    let terms = u.iter().zip(v).map(|(u, v)| u.widen() - v.widen());
    terms.map(|difference| difference * difference).sum()
}

/// How a square is added, as documented.
trait Square: Scalar {
    fn add_square(self, sum: Self) -> Self;
}

impl Square for f32 {
    fn add_square(self, sum: Self) -> Self {
        self.mul_add(self, sum)
    }
}

impl Square for f64 {
    fn add_square(self, sum: Self) -> Self {
        self * self + sum
    }
}

/// The documented order of additions, without any lanes or panels.
fn in_order<T: Square>(u: &[T], v: &[T]) -> f64 {
    let mut total = 0.0;
    for (u, v) in u.chunks(1024).zip(v.chunks(1024)) {
        let mut section = 0.0;
        for (u, v) in u.chunks(32).zip(v.chunks(32)) {
            let mut chains = [T::zero(); 4];
            for (chain, (u, v)) in chains.iter_mut().zip(u.chunks(8).zip(v.chunks(8))) {
                for (&u, &v) in u.iter().zip(v) {
                    *chain = (u - v).add_square(*chain);
                }
            }
            section += ((chains[0] + chains[1]) + (chains[2] + chains[3])).widen();
        }
        total += section;
    }
    total
}

fn check<T: Square>(vectors: &[Vec<T>], bound: f64) {
    let condensed = squared(vectors);
    for (&squared, (i, j)) in condensed.iter().zip(pairs(vectors.len())) {
        let exact = oracle(&vectors[i], &vectors[j]);
        assert!(
            (squared - exact).abs() <= bound * exact,
            "{i} {j}: {squared} {exact}"
        );
        assert_eq!(squared, in_order(&vectors[i], &vectors[j]), "{i} {j}");
    }
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn equals_the_plain_sum(
        count in 0..40_usize,
        length in 0..70_usize,
        exponent in -6..1_i32,
        seed: u64,
    ) {
        let spread = 10.0_f64.powi(exponent);
        check(&relatives::<f32>(count, length, spread, seed), BOUND);
        check(&relatives::<f64>(count, length, spread, seed), 1e-14);
    }

    #[test]
    fn a_pair_does_not_depend_on_the_others(
        count in 2..40_usize,
        length in 0..70_usize,
        seed: u64,
        shift in 0..40_usize,
        reverse: bool,
    ) {
        let vectors = relatives::<f32>(count, length, 1.0, seed);
        let condensed = euclidean_distances(&slices(&vectors)).unwrap();
        let mut order: Vec<usize> = (0..count).collect();
        order.rotate_left(shift % count);
        if reverse {
            order.reverse();
        }
        order.truncate(count.div_ceil(2));
        let chosen: Vec<&[f32]> = order.iter().map(|&i| vectors[i].as_slice()).collect();
        prop_assert_eq!(
            euclidean_distances(&chosen).unwrap(),
            condensed.select(&order).unwrap()
        );
    }

    #[test]
    fn ranges_of_rows_give_the_same_bits(
        count in 0..70_usize,
        length in 0..40_usize,
        seed: u64,
        cuts in prop::collection::vec(0..70_usize, 0..6),
    ) {
        let vectors = relatives::<f32>(count, length, 1.0, seed);
        let set = VectorSet::new(vectors.iter().map(Vec::as_slice)).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(count)).collect();
        cuts.extend([0, count]);
        cuts.sort_unstable();
        let mut condensed = Vec::new();
        for cut in cuts.windows(2) {
            let mut part = vec![0.0; (cut[0]..cut[1]).map(|row| count - row - 1).sum()];
            set.add_squared_distances_of(cut[0]..cut[1], &mut part).unwrap();
            condensed.extend(part);
        }
        prop_assert_eq!(condensed, squared(&vectors));
    }

    #[test]
    fn any_single_bad_value_is_named(
        count in 1..20_usize,
        length in 1..70_usize,
        seed: u64,
        vector in 0..20_usize,
        position in 0..70_usize,
        value in prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
    ) {
        let mut vectors = relatives::<f32>(count, length, 1.0, seed);
        let (vector, position) = (vector % count, position % length);
        vectors[vector][position] = value;
        let mut condensed = vec![7.0; pairs(count).len()];
        match squared_distances(&slices(&vectors), &mut condensed) {
            Err(PairwiseError::NotFinite { vector: v, position: p, value: x }) => {
                prop_assert_eq!((v, p), (vector, position));
                prop_assert!(x.is_nan() == value.is_nan() && (x.is_nan() || x == f64::from(value)));
            }
            other => panic!("{other:?}"),
        }
        prop_assert!(condensed.iter().all(|&untouched| untouched == 7.0));
    }

    /// Also where squares leave the range of `f32` at either end.
    #[test]
    fn every_magnitude_is_right(
        count in 2..12_usize,
        length in 1..70_usize,
        seed: u64,
        exponents in prop::collection::vec(-149..128_i32, 12),
    ) {
        let mut vectors = relatives::<f32>(count, length, 2.0, seed);
        for (vector, &exponent) in vectors.iter_mut().zip(&exponents) {
            for value in vector {
                *value = (f64::from(*value) * 2.0_f64.powi(exponent)) as f32;
            }
        }
        for (squared, (i, j)) in squared(&vectors).into_iter().zip(pairs(count)) {
            let exact = oracle(&vectors[i], &vectors[j]);
            prop_assert!((squared - exact).abs() <= BOUND * exact, "{squared} {exact}");
        }
    }
}

#[test]
fn long_vectors() {
    for length in [1023, 1024, 1025, 2080, 5000] {
        for spread in [1.0, 1e-4, 1e-6] {
            check(&relatives::<f32>(11, length, spread, 3), BOUND);
            check(&relatives::<f64>(11, length, spread, 3), 1e-13);
        }
    }
}

/// Rounding errors that all have the same sign: the bound holds also there.
#[test]
fn the_worst_case_stays_within_the_bound() {
    for step in 1..200_u32 {
        let value = 1.0 + step as f32 * f32::EPSILON * 1001.0;
        check(&[vec![0.0_f32; 4096], vec![value; 4096]], BOUND);
    }
}

#[test]
fn pieces_of_whole_sections_give_the_same_bits() {
    let length = 2 * VectorSet::SECTION + 777;
    let vectors = relatives::<f32>(19, length, 1e-3, 5);
    let mut condensed = vec![0.0; pairs(19).len()];
    for start in (0..length).step_by(VectorSet::SECTION) {
        let end = length.min(start + VectorSet::SECTION);
        let set = VectorSet::new(vectors.iter().map(|vector| &vector[start..end])).unwrap();
        for (rows, output) in set.row_blocks(&mut condensed).unwrap() {
            set.add_squared_distances_of(rows, output).unwrap();
        }
    }
    assert_eq!(condensed, squared(&vectors));
}

/// One section of a pair overflows, another underflows, and neither spoils the other pairs.
#[test]
fn extreme_sections() {
    let mut vectors = relatives::<f32>(20, 3000, 1.0, 7);
    let before = squared(&vectors);
    vectors[3][1500] = 3e38;
    vectors[5][10] = -3e38;
    vectors[18][2999] = 1e-42;
    let after = squared(&vectors);
    for ((&before, &after), (i, j)) in before.iter().zip(&after).zip(pairs(20)) {
        if [3, 5, 18].iter().any(|k| [i, j].contains(k)) {
            let exact = oracle(&vectors[i], &vectors[j]);
            assert!((after - exact).abs() <= BOUND * exact, "{after} {exact}");
        } else {
            assert_eq!(after, before);
        }
    }
}

#[test]
fn subnormal_numbers() {
    let tiny = f32::from_bits(1);
    let vectors = [vec![0.0, tiny], vec![tiny, 0.0], vec![tiny, tiny]];
    let unit = f64::from(tiny) * f64::from(tiny);
    assert_eq!(squared(&vectors), [2.0 * unit, unit, unit]);
    // Equal vectors have distance zero, whatever they hold.
    assert_eq!(squared(&[vec![tiny; 100], vec![tiny; 100]]), [0.0]);
}

#[test]
fn double_precision_overflows_to_infinity() {
    assert_eq!(squared(&[vec![1e200], vec![-1e200]]), [f64::INFINITY]);
    let distances = euclidean_distances(&[&[1e200], &[-1e200]]).unwrap();
    assert_eq!(distances.values(), [f64::INFINITY]);
}

#[test]
fn known_distances() {
    // scipy.spatial.distance.pdist of the same rows, SciPy 1.17.1.
    let vectors = [[0.0, 0.0, 1.0], [3.0, 4.0, 1.0], [1.0, -2.0, 0.5]];
    let vectors: Vec<&[f64]> = vectors.iter().map(<[f64; 3]>::as_slice).collect();
    assert_eq!(
        euclidean_distances(&vectors).unwrap().values(),
        [5.0, 2.29128784747792, 6.34428877022476]
    );
}

#[test]
fn few_vectors_and_no_elements() {
    assert_eq!(euclidean_distances::<f32>(&[]).unwrap().size(), 0);
    assert_eq!(euclidean_distances(&[&[1.0]]).unwrap().size(), 1);
    let empty: [&[f32]; 3] = [&[]; 3];
    let distances = euclidean_distances(&empty).unwrap();
    assert_eq!(distances.values(), [0.0; 3]);
    let set = VectorSet::new(empty).unwrap();
    assert_eq!((set.count(), set.dimension()), (3, 0));
    assert!(
        VectorSet::new::<f64>([])
            .unwrap()
            .row_blocks(&mut [])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn wrong_shapes_are_named() {
    assert_eq!(
        VectorSet::new([&[1.0_f32, 2.0][..], &[1.0]]).unwrap_err(),
        PairwiseError::Length {
            vector: 1,
            length: 1,
            expected: 2
        }
    );
    let set = VectorSet::new([&[1.0_f64][..], &[2.0], &[3.0]]).unwrap();
    let output = |pairs, length| PairwiseError::Output { pairs, length };
    assert_eq!(set.add_squared_distances(&mut [0.0; 2]), Err(output(3, 2)));
    assert_eq!(
        set.add_squared_distances_of(1..2, &mut [0.0; 3]),
        Err(output(1, 3))
    );
    assert_eq!(set.row_blocks(&mut [0.0; 4]).unwrap_err(), output(3, 4));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    for rows in [2..1, 0..4, 4..4, usize::MAX..0] {
        let (start, end) = (rows.start, rows.end);
        assert_eq!(
            set.add_squared_distances_of(rows, &mut []),
            Err(PairwiseError::Rows {
                start,
                end,
                vectors: 3
            })
        );
    }
    assert_eq!(
        PairwiseError::Rows {
            start: 4,
            end: 4,
            vectors: 3
        }
        .to_string(),
        "rows 4..4 are out of range for 3 vectors"
    );
}
