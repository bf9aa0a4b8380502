//! Sketches, beside slow ones made from their documentation.

use mother::Scalar;
use mother::sketch::{MatrixSketch, MatrixSketcher, RowGroups, SketchError, SketchKey};

/// Values that look random, from -1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        z = (z ^ (z >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        ((z ^ (z >> 33)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn values(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn sketch<T: Scalar>(values: &[T], width: usize, buckets: usize, key: u64) -> MatrixSketch {
    let groups = RowGroups::new(values.len(), width).unwrap();
    let mut sketcher = MatrixSketcher::new(groups, buckets, SketchKey::new(key)).unwrap();
    sketcher.extend_from_slice(values).unwrap();
    sketcher.finish().unwrap()
}

/// The buckets in the units of the values.
fn buckets(sketch: &MatrixSketch) -> Vec<f64> {
    let unit = 2.0_f64.powi(sketch.exponent());
    (sketch.buckets().iter())
        .map(|&x| f64::from(x) * unit)
        .collect()
}

mod oracle {
    fn mix(mut z: u64) -> u64 {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Squared norms and buckets, group by group, by the formulas of the module's documentation.
    pub(super) fn sketch(values: &[f64], width: usize, k: u64, key: u64) -> (Vec<f64>, Vec<f64>) {
        let rows = values.len().div_ceil(width);
        let mut height = 1;
        while height * 2 * 16 <= rows {
            height *= 2;
        }
        let groups = rows.div_ceil(height);
        let (mut norms, mut sums) = (vec![0.0; groups], vec![0.0; groups * k as usize]);
        for (index, value) in values.iter().enumerate() {
            let (row, c) = ((index / width) as u64, (index % width) as u64);
            let seed = mix(key.wrapping_add((row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            let signs = mix(seed.wrapping_add((c / 64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03)));
            let bucket = (u128::from(c) + u128::from(seed)) % u128::from(k);
            let group = index / width / height;
            norms[group] += value * value;
            let sign = if signs >> (c % 64) & 1 == 1 {
                -1.0
            } else {
                1.0
            };
            sums[group * k as usize + bucket as usize] += sign * value;
        }
        (norms, sums)
    }
}

fn assert_is_oracles<T: Scalar>(values: &[T], width: usize, k: usize) {
    let wide: Vec<f64> = values.iter().map(|value| value.widen()).collect();
    let (norms, sums) = oracle::sketch(&wide, width, k as u64, 42);
    let sketch = sketch(values, width, k, 42);
    assert_eq!(sketch.squared_norms().len(), norms.len());
    for (found, expected) in sketch.squared_norms().iter().zip(&norms) {
        assert!(
            (found - expected).abs() <= 1e-13 * expected,
            "{found} {expected}"
        );
    }
    let largest = sums.iter().fold(0.0_f64, |most, sum| most.max(sum.abs()));
    assert_eq!(sketch.buckets().len(), sums.len());
    for (found, expected) in buckets(&sketch).iter().zip(&sums) {
        // Single precision in units of the largest one, and sums in another order.
        let error = (found - expected).abs();
        assert!(
            error <= 6e-8 * expected.abs() + 1e-13 * largest,
            "{found} {expected}"
        );
    }
}

const SHAPES: [(usize, usize); 12] = [
    (1, 1),
    (3, 5),
    (5, 64),
    (15, 63),
    (16, 65),
    (17, 128),
    (31, 7),
    (32, 200),
    (33, 1),
    (70, 96),
    (200, 33),
    (257, 40),
];

#[test]
fn sketches_are_those_of_the_documentation() {
    let mut noise = Noise(1);
    for (rows, width) in SHAPES {
        let values = noise.values(rows * width);
        let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        for k in [8, 16, 32, 64, 128, 1024] {
            assert_is_oracles(&values, width, k);
            assert_is_oracles(&single, width, k);
        }
        // A last row that is incomplete.
        assert_is_oracles(&values[..values.len() - width / 2], width, 16);
    }
}

#[test]
fn both_precisions_give_the_same_bits() {
    for (rows, width) in SHAPES {
        let single: Vec<f32> = (Noise(2).values(rows * width).iter())
            .map(|&x| x as f32)
            .collect();
        let double: Vec<f64> = single.iter().map(|&x| f64::from(x)).collect();
        assert_eq!(sketch(&single, width, 16, 1), sketch(&double, width, 16, 1));
    }
}

#[test]
fn any_split_gives_the_same_bits() {
    for (rows, width) in [(19, 9), (3, 140), (40, 5)] {
        let values = Noise(3).values(rows * width);
        let single: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let groups = RowGroups::new(values.len(), width).unwrap();
        for k in [8, 64] {
            let (whole, whole_single) =
                (sketch(&values, width, k, 5), sketch(&single, width, k, 5));
            for cut in 0..=values.len() {
                let mut sketcher = MatrixSketcher::new(groups, k, SketchKey::new(5)).unwrap();
                sketcher.extend_from_slice(&values[..cut]).unwrap();
                sketcher.extend_from_slice(&values[cut..]).unwrap();
                assert_eq!(sketcher.finish().unwrap(), whole, "{cut}");
                let mut sketcher = MatrixSketcher::new(groups, k, SketchKey::new(5)).unwrap();
                sketcher.extend_from_slice(&single[..cut]).unwrap();
                sketcher.extend_from_slice(&single[cut..]).unwrap();
                assert_eq!(sketcher.finish().unwrap(), whole_single, "{cut}");
            }
        }
    }
}

#[test]
fn many_pieces_give_the_same_bits() {
    let mut noise = Noise(4);
    let (rows, width) = (150, 333);
    let values: Vec<f32> = noise
        .values(rows * width)
        .iter()
        .map(|&x| x as f32)
        .collect();
    let whole = sketch(&values, width, 32, 6);
    for _ in 0..20 {
        let groups = RowGroups::new(values.len(), width).unwrap();
        let mut sketcher = MatrixSketcher::new(groups, 32, SketchKey::new(6)).unwrap();
        let mut rest = &values[..];
        while !rest.is_empty() {
            let length = (noise.next().powi(4) * 1500.0) as usize;
            let (now, later) = rest.split_at(length.min(rest.len()));
            sketcher.extend_from_slice(now).unwrap();
            rest = later;
        }
        assert_eq!(sketcher.finish().unwrap(), whole);
    }
}

/// All heights up to 16, at every change of height, too.
#[test]
fn rows_at_the_end_leave_the_groups_before_them() {
    let (most, width) = (300, 6);
    let values = Noise(5).values(most * width);
    let sketches: Vec<_> = (1..=most)
        .map(|rows| sketch(&values[..rows * width], width, 8, 7))
        .collect();
    for first in &sketches {
        for added in [1, 2, 3, 15, 16, 17, 100] {
            let Some(second) = sketches.get(first.groups().rows() - 1 + added) else {
                continue;
            };
            let height = second.groups().height();
            let compared = first.compare(second).unwrap();
            // All rows that lie in groups of the greater height that both have whole.
            assert_eq!(compared.len(), first.groups().rows() / height);
            for (group, compared) in compared.iter().enumerate() {
                assert_eq!(compared.values, height * width);
                let exact = &values[group * height * width..][..height * width];
                let exact: f64 = exact.iter().map(|x| x * x).sum();
                assert!((compared.first_squared_norm - exact).abs() <= 1e-13 * exact);
                assert!((compared.second_squared_norm - exact).abs() <= 1e-13 * exact);
                if first.groups().height() == height {
                    assert_eq!(compared.first_squared_norm, compared.second_squared_norm);
                }
                // Buckets are rounded to single precision, in units that may differ.
                assert!(compared.squared_distance <= 1e-12 * exact, "{compared:?}");
            }
        }
    }
}

#[test]
fn no_matrix_has_more_groups_than_the_maximum() {
    let count = |rows| RowGroups::new(rows, 1).unwrap().count();
    let most = (1..20_000).map(count).max();
    assert_eq!(most, Some(RowGroups::MAXIMUM));
}

#[test]
fn values_are_sampled_from_every_group_wherever_rows_end() {
    let key = SketchKey::new(9);
    let positions = |length, width| {
        RowGroups::new(length, width)
            .unwrap()
            .sampled_positions(key)
    };
    for (rows, width) in [(1, 1), (3, 2), (20, 30), (63, 7), (1_000, 5)] {
        let groups = RowGroups::new(rows * width, width).unwrap();
        let all = positions(rows * width, width);
        assert!(all.is_sorted_by(|first, second| first < second));
        for group in 0..groups.count() {
            let values = groups.values(group);
            let sampled = all.iter().filter(|&at| values.contains(at)).count();
            let is_whole = values.len() == groups.height() * width;
            assert!(sampled <= 2 && (sampled > 0 || !is_whole), "{rows} {group}");
        }
        // The same positions, as far as the rows reach, if the height is the same.
        let fewer = RowGroups::new((rows - 1) * width, width).unwrap();
        if fewer.height() == groups.height() {
            let same: Vec<usize> = (all.into_iter())
                .filter(|&at| at < (rows - 1) * width)
                .collect();
            assert_eq!(positions((rows - 1) * width, width), same);
        }
    }
    let other = RowGroups::new(1_000, 10)
        .unwrap()
        .sampled_positions(SketchKey::new(8));
    assert_ne!(positions(1_000, 10), other);
}

/// The numbers of rows with the most groups are among these.
#[test]
fn a_change_of_the_last_row_is_seen() {
    let width = 6;
    for rows in [31, 32, 62, 63, 64, 126, 127, 255, 1_000] {
        let values = Noise(12).values(rows * width);
        let mut changed = values.clone();
        *changed.last_mut().unwrap() += 8.0;
        let [first, second] = [&values, &changed].map(|values| sketch(values, width, 8, 7));
        let groups = first.compare(&second).unwrap();
        assert_eq!(groups.len(), first.groups().count());
        let distance: f64 = groups.iter().map(|group| group.squared_distance).sum();
        assert!((distance - 64.0).abs() <= 1e-5, "{rows} rows: {distance}");
    }
}

#[test]
fn sketches_are_linear() {
    let (rows, width) = (50, 70);
    let mut noise = Noise(6);
    // Few bits, so that no sum is rounded.
    let mut values = || -> Vec<f64> {
        (0..rows * width)
            .map(|_| (noise.next() * 64.0).round())
            .collect()
    };
    let (u, v) = (values(), values());
    let mixed: Vec<f64> = u.iter().zip(&v).map(|(u, v)| 2.0 * u - 3.0 * v).collect();
    let [u, v, mixed] = [u, v, mixed].map(|values| buckets(&sketch(&values, width, 32, 8)));
    for ((u, v), mixed) in u.iter().zip(&v).zip(&mixed) {
        assert_eq!(2.0 * u - 3.0 * v, *mixed);
    }
}

/// Estimates of ‖Δ‖² over many keys, divided by it: of the first group, and of the sum over groups.
fn estimates(delta: &[f64], width: usize, k: usize) -> [Vec<f64>; 2] {
    // The same with any key.
    let zeros = sketch(&vec![0.0; delta.len()], width, k, 0);
    let exact: f64 = delta.iter().map(|x| x * x).sum();
    let (mut of_group, mut of_sum) = (Vec::new(), Vec::new());
    for key in 0..KEYS as u64 {
        let compared = sketch(delta, width, k, key).compare(&zeros).unwrap();
        if compared[0].first_squared_norm > 0.0 {
            of_group.push(compared[0].squared_distance / compared[0].first_squared_norm);
        }
        of_sum.push(
            compared
                .iter()
                .map(|group| group.squared_distance)
                .sum::<f64>()
                / exact,
        );
    }
    [of_group, of_sum]
}

/// For so many keys a mean is known to 1/24 of the spread, and the spread of a normal distribution to
/// 3 %; that of estimates with longer tails to about 10 %.
const KEYS: usize = 576;

fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Without bias: means are within five standard errors of 1.
fn assert_unbiased(values: &[f64]) -> f64 {
    let (mean, spread) = mean_and_spread(values);
    let error = spread / (values.len() as f64).sqrt();
    assert!((mean - 1.0).abs() <= 5.0 * error + 1e-6, "{mean} ± {error}");
    spread
}

/// 16 groups of 4 rows of 96 values.
const ROWS: usize = 64;
const WIDTH: usize = 96;
const GROUPS: f64 = 16.0;

fn dense() -> Vec<f64> {
    Noise(10).values(ROWS * WIDTH)
}

fn low_rank() -> Vec<f64> {
    let mut noise = Noise(11);
    let (left, right) = (noise.values(ROWS), noise.values(WIDTH));
    left.iter()
        .flat_map(|left| right.iter().map(move |right| left * right))
        .collect()
}

/// Most of it in few values.
fn heavy_tailed() -> Vec<f64> {
    Noise(12)
        .values(ROWS * WIDTH)
        .iter()
        .map(|x| x / (1.001 - x.abs()))
        .collect()
}

/// One value in twenty.
fn sparse() -> Vec<f64> {
    let mut noise = Noise(13);
    let mut value = || {
        if noise.next() > 0.9 {
            noise.next()
        } else {
            0.0
        }
    };
    (0..ROWS * WIDTH).map(|_| value()).collect()
}

/// All in two columns, as outliers of transformers.
fn columns() -> Vec<f64> {
    let value = |at: usize| {
        if matches!(at % WIDTH, 5 | 50) {
            1.0
        } else {
            0.0
        }
    };
    (0..ROWS * WIDTH).map(value).collect()
}

#[test]
fn estimates_have_no_bias_and_the_stated_spread() {
    for (name, delta) in [
        ("dense", dense()),
        ("low rank", low_rank()),
        ("heavy-tailed", heavy_tailed()),
        ("sparse", sparse()),
        ("columns", columns()),
    ] {
        for k in [8, 32] {
            let [of_group, of_sum] = estimates(&delta, WIDTH, k);
            let stated = (2.0 / k as f64).sqrt();
            let spread = assert_unbiased(&of_group);
            // What lies in few values is estimated better than the bound, what lies in values of
            // unlike size somewhat worse or better by which of them share a bucket.
            assert!(
                spread <= 1.25 * stated,
                "{name}, {k}: {spread} for {stated}"
            );
            let spread = assert_unbiased(&of_sum);
            let parts: Vec<f64> = delta
                .chunks(4 * WIDTH)
                .map(|x| x.iter().map(|x| x * x).sum())
                .collect();
            let total: f64 = parts.iter().sum();
            // Groups of unlike norms count as fewer.
            let groups = total * total / parts.iter().map(|part| part * part).sum::<f64>();
            let stated = stated / groups.sqrt();
            assert!(
                spread <= 1.25 * stated,
                "{name}, {k}: {spread} for {stated}"
            );
            if name == "dense" {
                assert!(
                    groups > 0.9 * GROUPS && spread >= 0.8 * stated,
                    "{spread} for {stated}"
                );
            }
        }
    }
}

#[test]
fn all_in_one_bucket_is_the_worst_case() {
    let k = 8;
    let mut delta = vec![0.0; ROWS * WIDTH];
    for column in (0..WIDTH).step_by(k) {
        delta[column] = 1.0;
    }
    let [of_group, _] = estimates(&delta, WIDTH, k);
    let spread = assert_unbiased(&of_group);
    let m = (WIDTH / k) as f64;
    let expected = (2.0 * (1.0 - 1.0 / m)).sqrt();
    assert!(
        (spread / expected - 1.0).abs() < 0.15,
        "{spread} for {expected}"
    );
}

#[test]
fn columns_that_share_buckets_count_as_one() {
    let k = 8;
    // Columns 64 apart share a bucket in every row, others of different rows in one key of k.
    let value = |at: usize| if at % WIDTH % 64 == 5 { 1.0 } else { 0.0 };
    let delta: Vec<f64> = (0..ROWS * WIDTH).map(value).collect();
    let [of_group, _] = estimates(&delta, WIDTH, k);
    let spread = assert_unbiased(&of_group);
    let (together, apart) = (4.0, 24.0 / k as f64);
    let expected = (4.0 * (together + apart)).sqrt() / 8.0;
    assert!(
        (spread / expected - 1.0).abs() < 0.15,
        "{spread} for {expected}"
    );
}

#[test]
fn few_values_are_estimated_as_stated() {
    let k = 16;
    for m in [1, 2, 4] {
        let mut delta = vec![0.0; ROWS * WIDTH];
        for row in 0..m {
            delta[row * WIDTH + 7 * row] = 1.0;
        }
        let [of_group, _] = estimates(&delta, WIDTH, k);
        let spread = assert_unbiased(&of_group);
        let stated = (2.0 / k as f64 * (1.0 - 1.0 / m as f64)).sqrt();
        assert!(
            (spread - stated).abs() <= 0.2 * stated,
            "{m}: {spread} for {stated}"
        );
    }
    // Neighbours in a row don't share a bucket.
    let mut delta = vec![0.0; ROWS * WIDTH];
    delta[20..20 + k].fill(1.0);
    let [of_group, _] = estimates(&delta, WIDTH, k);
    assert!(of_group.iter().all(|&estimate| estimate == 1.0));
}

#[test]
fn scale_changes_nothing_but_the_unit() {
    let values = dense();
    let other: Vec<f64> = values
        .iter()
        .zip(low_rank())
        .map(|(a, b)| a + 0.01 * b)
        .collect();
    let plain = sketch(&values, WIDTH, 32, 1);
    let distances = |scale: f64| -> Vec<f64> {
        let scaled = |values: &[f64]| values.iter().map(|x| x * scale).collect::<Vec<_>>();
        let [u, v] = [&values, &other].map(|values| sketch(&scaled(values), WIDTH, 32, 1));
        assert!(u.buckets().iter().all(|bucket| bucket.abs() <= 2.0));
        let compared = u.compare(&v).unwrap().into_iter();
        compared
            .map(|group| group.squared_distance / scale / scale)
            .collect()
    };
    let expected = distances(1.0);
    for exponent in [-498, -300, -10, 10, 300, 498] {
        let scale = 2.0_f64.powi(exponent);
        let scaled: Vec<f64> = values.iter().map(|x| x * scale).collect();
        let scaled = sketch(&scaled, WIDTH, 32, 1);
        assert_eq!(scaled.buckets(), plain.buckets());
        assert_eq!(scaled.exponent(), plain.exponent() + exponent);
        assert_eq!(distances(scale), expected);
    }
    for scale in [1e-150, 1e-40, 1e40, 1e150] {
        for (found, expected) in distances(scale).iter().zip(&expected) {
            // A difference of a hundredth, of numbers in single precision.
            assert!(
                (found - expected).abs() <= 1e-4 * expected,
                "{scale}: {found} {expected}"
            );
        }
    }
    // Squares that vanish leave the sketch as it is.
    let tiny: Vec<f64> = values.iter().map(|x| x * 2.0_f64.powi(-800)).collect();
    assert_eq!(sketch(&tiny, WIDTH, 32, 1).buckets(), plain.buckets());
    let zeros = sketch(&[0.0; 40], 4, 8, 1);
    assert!(zeros.exponent() == 0 && zeros.buckets().iter().all(|&bucket| bucket == 0.0));
}

#[test]
fn misuse_is_an_error() {
    assert_eq!(RowGroups::new(4, 0), Err(SketchError::Width));
    let groups = RowGroups::new(6, 2).unwrap();
    for buckets in [0, 4, 7, 12, 2048] {
        let error = MatrixSketcher::new(groups, buckets, SketchKey::PUBLIC).unwrap_err();
        assert_eq!(error, SketchError::Buckets { buckets });
        let line =
            format!("invalid number of buckets {buckets}; expected a power of two from 8 to 1024");
        assert_eq!(error.to_string(), line);
    }
    let mut sketcher = MatrixSketcher::new(groups, 8, SketchKey::PUBLIC).unwrap();
    sketcher.extend_from_slice(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    let error = sketcher.clone().finish().unwrap_err();
    assert_eq!(
        error,
        SketchError::Incomplete {
            found: 4,
            values: 6
        }
    );
    let too_many = sketcher.extend_from_slice(&[5.0; 3]);
    assert_eq!(too_many, Err(SketchError::TooMany { values: 6 }));
    // Nothing was added.
    sketcher.extend_from_slice(&[5.0, 6.0]).unwrap();
    assert_eq!(
        sketcher.finish().unwrap(),
        sketch(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            2,
            8,
            SketchKey::PUBLIC.value()
        )
    );
    let mut overflowing = MatrixSketcher::new(groups, 8, SketchKey::PUBLIC).unwrap();
    overflowing.extend_from_slice(&[1e154; 6]).unwrap();
    assert_eq!(overflowing.finish(), Err(SketchError::Overflow));
}

#[test]
fn sketches_that_do_not_fit_are_not_compared() {
    let values = Noise(20).values(60);
    let first = sketch(&values, 6, 8, 1);
    assert_eq!(
        first.compare(&sketch(&values, 5, 8, 1)),
        Err(SketchError::Mismatch)
    );
    assert_eq!(
        first.compare(&sketch(&values, 6, 16, 1)),
        Err(SketchError::Mismatch)
    );
    let empty = sketch::<f64>(&[], 6, 8, 1);
    assert_eq!(empty.buckets_of_group(), 0);
    assert_eq!(first.compare(&empty), Ok(Vec::new()));
    assert_eq!(empty.compare(&empty), Ok(Vec::new()));
}

#[test]
fn numbers_that_no_matrix_has_are_refused() {
    let first = sketch(&Noise(21).values(60), 6, 8, 1);
    let (norms, numbers) = (first.squared_norms().to_vec(), first.buckets().to_vec());
    let made = |norms: Vec<f64>, exponent, numbers: Vec<f32>| {
        MatrixSketch::from_parts(first.groups(), norms, exponent, numbers)
    };
    assert_eq!(
        made(norms.clone(), first.exponent(), numbers.clone()).as_ref(),
        Ok(&first)
    );
    for wrong in [f64::NAN, -1e-300, f64::INFINITY, f64::NEG_INFINITY] {
        for at in [0, 4, 9] {
            let mut norms = norms.clone();
            norms[at] = wrong;
            assert_eq!(made(norms, 0, numbers.clone()), Err(SketchError::Numbers));
        }
    }
    // Their sum overflows.
    assert_eq!(
        made(vec![1e308; 10], 0, numbers.clone()),
        Err(SketchError::Numbers)
    );
    for wrong in [f32::NAN, f32::INFINITY, -2.1, f32::MAX] {
        let mut numbers = numbers.clone();
        numbers[79] = wrong;
        assert_eq!(made(norms.clone(), 0, numbers), Err(SketchError::Numbers));
    }
    for exponent in [-1101, 601, i32::MAX, i32::MIN] {
        assert_eq!(
            made(norms.clone(), exponent, numbers.clone()),
            Err(SketchError::Numbers)
        );
    }
    for length in [0, 79, 81, 40, 240] {
        assert_eq!(
            made(norms.clone(), 0, vec![0.0; length]),
            Err(SketchError::Numbers)
        );
    }
    assert_eq!(
        made(norms[..9].to_vec(), 0, numbers),
        Err(SketchError::Numbers)
    );
}
