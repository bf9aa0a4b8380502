//! Signatures: one pass, in bounded memory, whatever fails.

extern crate alloc;

use alloc::sync::Arc;
use core::fmt;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashSet;

use mother::Scalar;
use mother::moments::Moments;
use mother::progress::{Cancelled, Progress};
use mother::signature::{ModelFailure, Signature, SignatureOptions};
use mother::sketch::{MatrixSketcher, RowGroups, SketchKey};
use mother::weights::{
    ElementType, InMemoryModel, Layer, SkippedLayer, WeightSource, WeightValues,
};

/// Values that look random, from -1 to 1.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        z = (z ^ (z >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        ((z ^ (z >> 33)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn single(count: usize, seed: u64) -> Vec<f32> {
    noise(count, seed).iter().map(|&x| x as f32).collect()
}

#[test]
fn a_pointer_to_a_source_is_a_source() {
    let model = InMemoryModel::new("a")
        .with_layer("w", [16, 16], single(256, 1))
        .unwrap();
    let options = SignatureOptions::new();
    let expected = options.sign(&model);
    assert!(expected.is_ok());
    assert_eq!(options.sign(&&model), expected);
    assert_eq!(options.sign(&Box::new(model.clone())), expected);
    assert_eq!(options.sign(&Arc::new(model)), expected);
}

/// A model that counts how often each value is read, and that can fail.
struct Source {
    tensors: Vec<Tensor>,
    skipped: Vec<SkippedLayer>,
    reads: AtomicUsize,
    longest: AtomicUsize,
    /// The number of the read that fails.
    fails_at: usize,
    /// Leaves the last value of every read as it was.
    leaves_last: bool,
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
    stored: ElementType,
    counts: Vec<AtomicUsize>,
}

impl Source {
    fn new() -> Self {
        Self {
            tensors: Vec::new(),
            skipped: Vec::new(),
            reads: AtomicUsize::new(0),
            longest: AtomicUsize::new(0),
            fails_at: usize::MAX,
            leaves_last: false,
        }
    }

    fn with(mut self, name: &str, shape: &[usize], stored: ElementType, values: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        self.tensors.push(Tensor {
            name: name.into(),
            shape: shape.into(),
            counts: values.iter().map(|_| AtomicUsize::new(0)).collect(),
            values,
            stored,
        });
        self
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct ReadFailed(usize);

impl fmt::Display for ReadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {} failed", self.0)
    }
}

impl core::error::Error for ReadFailed {}

struct Handle<'a>(&'a Source, &'a Tensor);

impl WeightSource for Source {
    type Error = ReadFailed;
    type Layer<'a> = Handle<'a>;

    fn name(&self) -> &str {
        "source"
    }

    fn layers(&self) -> impl Iterator<Item = Result<Handle<'_>, ReadFailed>> {
        self.tensors.iter().map(|tensor| Ok(Handle(self, tensor)))
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        &self.skipped
    }
}

impl Layer for Handle<'_> {
    type Error = ReadFailed;

    fn name(&self) -> &str {
        &self.1.name
    }

    fn shape(&self) -> &[usize] {
        &self.1.shape
    }

    fn element_type(&self) -> ElementType {
        self.1.stored
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), ReadFailed> {
        let Self(source, tensor) = self;
        let number = source.reads.fetch_add(1, Ordering::Relaxed);
        if number == source.fails_at {
            return Err(ReadFailed(number));
        }
        source.longest.fetch_max(values.len(), Ordering::Relaxed);
        let filled = values.len() - usize::from(source.leaves_last);
        for (index, value) in (offset..).zip(&mut values[..filled]) {
            *value = T::narrow(tensor.values[index]);
            tensor.counts[index].fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Larger than what is read at once, than a part, and than what is read between two reports.
fn large() -> Source {
    Source::new()
        .with(
            "a.weight",
            &[1100, 1003],
            ElementType::F32,
            single_as_double(1100 * 1003, 1),
        )
        .with("b.weight", &[50, 70], ElementType::F64, noise(3500, 2))
        .with("c.bias", &[70], ElementType::F32, single_as_double(70, 3))
        .with(
            "d.flat",
            &[70_001],
            ElementType::F32,
            single_as_double(70_001, 4),
        )
        .with("e.empty", &[0, 3], ElementType::F32, Vec::new())
        .with("f.scalar", &[], ElementType::F64, vec![0.5])
}

fn single_as_double(count: usize, seed: u64) -> Vec<f64> {
    single(count, seed).into_iter().map(f64::from).collect()
}

/// A few small tensors.
fn small() -> Source {
    Source::new()
        .with("a", &[40, 5], ElementType::F32, single_as_double(200, 1))
        .with("b", &[7], ElementType::F32, single_as_double(7, 2))
        .with("c", &[3, 4], ElementType::F64, noise(12, 3))
}

fn sign(source: &Source) -> Result<Signature, ModelFailure> {
    SignatureOptions::new().sign(source)
}

#[test]
fn every_value_is_read_once_in_small_pieces() {
    let source = large();
    sign(&source).unwrap();
    for tensor in &source.tensors {
        let once = |count: &AtomicUsize| count.load(Ordering::Relaxed) == 1;
        assert!(tensor.counts.iter().all(once), "{}", tensor.name);
    }
    assert!(source.longest.load(Ordering::Relaxed) <= 64 * 1024);
}

#[cfg(feature = "rayon")]
#[test]
fn any_number_of_threads_gives_the_same_signatures() {
    let sign = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let models = [large(), small(), large()];
        pool.install(|| SignatureOptions::new().sign_all(&models))
    };
    let one = sign(1);
    assert!(one.iter().all(Result::is_ok));
    for threads in [2, 5] {
        assert!(sign(threads) == one, "{threads} threads");
    }
}

#[test]
fn many_models_are_signed_like_each_alone() {
    let models: Vec<Source> = (0..30)
        .map(|seed| {
            small().with(
                "w",
                &[30, 30],
                ElementType::F32,
                single_as_double(900, seed),
            )
        })
        .collect();
    let together = SignatureOptions::new().sign_all(&models);
    for (model, signature) in models.iter().zip(together) {
        assert_eq!(sign(model), signature);
    }
}

#[test]
fn a_read_that_fails_costs_the_model_alone() {
    let reads = {
        let source = small();
        sign(&source).unwrap();
        source.reads()
    };
    for k in 0..reads {
        let mut broken = small();
        broken.fails_at = k;
        let failure = sign(&broken).unwrap_err();
        let ModelFailure::Reading { reason, layer } = failure else {
            panic!("{failure}");
        };
        assert_eq!(reason.to_string(), format!("read {k} failed"));
        assert!(broken.tensors.iter().any(|tensor| tensor.name == layer));
        let mut broken = small();
        broken.fails_at = k;
        let results = SignatureOptions::new().sign_all(&[small(), broken, small()]);
        assert_eq!(results[0], sign(&small()));
        assert!(results[1].is_err());
        assert_eq!(results[2], results[0]);
    }
}

#[test]
fn a_value_that_is_not_finite_costs_its_tensor_alone() {
    let medium = || {
        small().with(
            "w",
            &[300, 701],
            ElementType::F32,
            single_as_double(300 * 701, 9),
        )
    };
    let whole = sign(&medium()).unwrap();
    for (tensor, places) in [
        (0, [0, 77, 199]),
        (1, [0, 3, 6]),
        (2, [0, 5, 11]),
        (3, [0, 100_003, 300 * 701 - 1]),
    ] {
        for place in places {
            for (value, shown) in [
                (f64::NAN, "NaN"),
                (f64::INFINITY, "inf"),
                (f64::NEG_INFINITY, "-inf"),
            ] {
                let mut source = medium();
                source.tensors[tensor].values[place] = value;
                let signature = sign(&source).unwrap();
                let name = &source.tensors[tensor].name;
                let reason = format!("contains {shown} at index {place}");
                let skipped = SkippedLayer {
                    layer: name.clone(),
                    reason,
                };
                assert_eq!(signature.skipped_layers(), [skipped]);
                let mut expected = whole.tensors().to_vec();
                expected.retain(|tensor| tensor.name() != name);
                assert_eq!(signature.tensors(), expected);
            }
        }
    }
}

#[test]
fn squares_that_overflow_cost_their_tensor_alone() {
    let source = small().with(
        "huge",
        &[2, 2],
        ElementType::F64,
        vec![1e200, 1.0, 1.0, 1.0],
    );
    let signature = sign(&source).unwrap();
    assert_eq!(signature.tensors(), sign(&small()).unwrap().tensors());
    let reason = "the squares of the values overflow".into();
    assert_eq!(
        signature.skipped_layers(),
        [SkippedLayer {
            layer: "huge".into(),
            reason
        }]
    );
}

#[test]
fn unfilled_values_are_not_numbers() {
    let mut source = small();
    source.leaves_last = true;
    assert_eq!(sign(&source), Err(ModelFailure::NoWeight));
}

#[test]
fn models_without_weights_or_with_layers_twice_fail() {
    let twice = small().with("b", &[2, 2], ElementType::F32, vec![1.0; 4]);
    assert_eq!(
        sign(&twice),
        Err(ModelFailure::DuplicateLayer { layer: "b".into() })
    );
    assert_eq!(sign(&Source::new()), Err(ModelFailure::NoWeight));
    let vector = Source::new().with("v", &[1023], ElementType::F32, vec![1.0; 1023]);
    assert_eq!(sign(&vector), Err(ModelFailure::NoWeight));
    let vector = Source::new().with("v", &[1024], ElementType::F32, vec![1.0; 1024]);
    assert!(sign(&vector).unwrap().tensors()[0].is_weight());
    for name in ["bn.running_var", "bn/moving_mean:0", "batch_stats.bn.mean"] {
        let statistics = Source::new().with(name, &[1024], ElementType::F32, vec![1.0; 1024]);
        assert_eq!(sign(&statistics), Err(ModelFailure::NoWeight));
    }
    let broken = Source::new().with(
        "w",
        &[2, 2],
        ElementType::F32,
        vec![1.0, f64::NAN, 2.0, 3.0],
    );
    assert_eq!(sign(&broken), Err(ModelFailure::NoWeight));
}

#[test]
fn layers_that_the_source_skipped_are_listed_in_order() {
    let mut source = small();
    source.tensors[1].values[2] = f64::NAN;
    let skipped = |layer: &str, reason: &str| SkippedLayer {
        layer: layer.into(),
        reason: reason.into(),
    };
    source.skipped = vec![skipped("z", "packed"), skipped("a0", "integers")];
    let signature = sign(&source).unwrap();
    let expected = [
        skipped("a0", "integers"),
        skipped("b", "contains NaN at index 2"),
        skipped("z", "packed"),
    ];
    assert_eq!(signature.skipped_layers(), expected);
}

#[test]
fn every_call_of_the_observer_can_cancel() {
    let options = SignatureOptions::new();
    let mut calls = 0;
    let mut last = None;
    let models = [large(), small()];
    let mut count = |progress: Progress| {
        calls += 1;
        assert!(progress.done <= progress.total);
        last = Some(progress);
        ControlFlow::Continue(())
    };
    options.sign_all_observed(&models, &mut count).unwrap();
    let last = last.unwrap();
    let values: usize = models
        .iter()
        .flat_map(|model| &model.tensors)
        .map(|t| t.values.len())
        .sum();
    assert_eq!((last.done, last.total), (values as u64, values as u64));
    // A tensor of a million values is read in several steps.
    assert!(calls > 4, "{calls}");
    for stop in 0..calls {
        let mut call = 0;
        let mut cancel = |_: Progress| {
            call += 1;
            if call > stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let result = options.sign_all_observed(&[large(), small()], &mut cancel);
        assert_eq!(result.unwrap_err(), Cancelled);
        assert_eq!(call, stop + 1);
    }
}

fn digests<V: Into<WeightValues<'static>>>(values: V, count: usize) -> [u64; 2] {
    let model = InMemoryModel::new("m")
        .with_layer("w", [2, count / 2], values)
        .unwrap();
    SignatureOptions::new().sign(&model).unwrap().tensors()[0]
        .digest()
        .words()
}

#[test]
fn equal_values_have_equal_digests_whatever_they_are_stored_in() {
    for count in [2, 4, 32, 62, 64, 1022, 1024, 1026, 40_000] {
        // Of few bits, and with zeros of both signs.
        let values: Vec<f64> = (noise(2 * count, 1).iter())
            .map(|x| (x * 100.0).round() / 64.0)
            .take(2 * count)
            .collect();
        let count = 2 * count;
        let double = digests(values.clone(), count);
        let singles: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        assert_eq!(digests(singles.clone(), count), double);
        let unsigned: Vec<f32> = singles.iter().map(|x| x + 0.0).collect();
        assert_eq!(digests(unsigned, count), double);
        #[cfg(feature = "half")]
        {
            let bfloats = singles
                .iter()
                .map(|&x| half::bf16::from_f32(x))
                .collect::<Vec<_>>();
            assert_eq!(digests(bfloats, count), double);
            let halves = singles
                .iter()
                .map(|&x| half::f16::from_f32(x))
                .collect::<Vec<_>>();
            assert_eq!(digests(halves, count), double);
        }
    }
}

#[test]
fn other_values_have_other_digests() {
    let count = 2 * 1500;
    let values = single(count, 2);
    let mut seen = HashSet::from([digests(values.clone(), count)]);
    for at in 0..count {
        let mut changed = values.clone();
        changed[at] = f32::from_bits(changed[at].to_bits() ^ 1);
        assert!(seen.insert(digests(changed, count)), "{at}");
    }
    for (at, other) in
        (0..count - 1024).flat_map(|at| [1, 16, 32, 1024].map(|step| (at, at + step)))
    {
        if at % 7 == 0 {
            let mut swapped = values.clone();
            swapped.swap(at, other);
            assert!(seen.insert(digests(swapped, count)), "{at} {other}");
        }
    }
    // Zeros at the end count.
    let mut longer = values;
    longer.extend([0.0; 2]);
    assert!(seen.insert(digests(longer, count + 2)));
}

#[test]
fn digests_distinguish_values_beyond_single_precision() {
    let values = noise(64, 3);
    let mut seen = HashSet::new();
    for value in [
        0.1,
        0.1_f32.into(),
        1e39,
        2e39,
        -1e39,
        f64::MAX / 1e200,
        1e-50,
        -1e-50,
        5e-324,
        1e-200,
    ] {
        for place in [0, 5, 63] {
            let mut values = values.clone();
            values[place] = value;
            assert!(seen.insert(digests(values, 64)), "{value} {place}");
        }
    }
}

#[test]
fn sketches_and_moments_are_those_of_the_kernels() {
    let source = large();
    let signature = sign(&source).unwrap();
    for (tensor, width, buckets) in [
        ("a.weight", 1003, 32),
        ("b.weight", 70, 32),
        ("c.bias", 70, 8),
        ("d.flat", 64, 32),
        ("f.scalar", 1, 8),
    ] {
        let found = signature
            .tensors()
            .iter()
            .find(|found| found.name() == tensor)
            .unwrap();
        let values = &source
            .tensors
            .iter()
            .find(|found| found.name == tensor)
            .unwrap()
            .values;
        let groups = RowGroups::new(values.len(), width).unwrap();
        let mut sketcher = MatrixSketcher::new(groups, buckets, SketchKey::PUBLIC).unwrap();
        sketcher.extend_from_slice(values).unwrap();
        assert_eq!(*found.sketch(), sketcher.finish().unwrap(), "{tensor}");
        assert_eq!(found.moments(), Moments::of(values).unwrap(), "{tensor}");
    }
    assert_eq!(signature.weights(), 1100 * 1003 + 3500 + 70_001);
}

#[test]
fn samples_of_rows_keep_their_cosines() {
    let (rows, width) = (64, 1 << 14);
    let values = single_as_double(rows * width, 5);
    let signature =
        sign(&Source::new().with("w", &[rows, width], ElementType::F32, values.clone())).unwrap();
    let sample = signature.tensors()[0].rows().unwrap();
    assert_eq!(sample.rows().len(), 32);
    // Groups are four rows high, so every second row is kept. All are sums of a sixteenth of a row.
    let mut lengths = Vec::new();
    for (number, sampled) in sample.rows().enumerate() {
        let row = &values[2 * number * width..][..width];
        let exact: f64 = row.iter().map(|x| x * x).sum();
        let found: f64 = sampled.iter().map(|&x| f64::from(x).powi(2)).sum();
        lengths.push(found / exact);
    }
    let mean = lengths.iter().sum::<f64>() / 32.0;
    // Each has a relative error of √(2/16), all in the same unit.
    let spread = lengths
        .iter()
        .map(|x| (x / mean - 1.0).powi(2))
        .sum::<f64>()
        / 32.0;
    assert!(spread.sqrt() < 1.5 * (2.0_f64 / 16.0).sqrt(), "{spread}");
    // A row twice as long is twice as long in the sample, at the same angle.
    let mut doubled = values;
    for value in &mut doubled[..width] {
        *value *= 2.0;
    }
    let other = sign(&Source::new().with("w", &[rows, width], ElementType::F32, doubled)).unwrap();
    let other = other.tensors()[0].rows().unwrap();
    let [first, twice] = [sample, other].map(|sample| *sample.rows().next().unwrap());
    let ratio = twice[0] / first[0];
    assert!(
        twice
            .iter()
            .zip(&first)
            .all(|(twice, first)| (twice - ratio * first).abs() <= 1e-6)
    );
}

#[test]
fn rows_are_kept_for_the_eight_largest_weights() {
    let mut source = Source::new();
    for (number, width) in [9, 4, 8, 3, 7, 2, 6, 5, 5, 5].into_iter().enumerate() {
        source = source.with(
            &format!("w{number}"),
            &[40, width],
            ElementType::F32,
            single_as_double(40 * width, number as u64),
        );
    }
    source = source.with(
        "wide",
        &[31, 1000],
        ElementType::F32,
        single_as_double(31_000, 99),
    );
    let signature = sign(&source).unwrap();
    let kept = signature
        .tensors()
        .iter()
        .filter(|tensor| tensor.rows().is_some());
    let kept: Vec<&str> = kept.map(|tensor| tensor.name()).collect();
    assert_eq!(kept, ["w0", "w1", "w2", "w4", "w6", "w7", "w8", "w9"]);
}

#[test]
fn profiles_are_obvious() {
    let profile = |values: Vec<f64>| {
        let source = Source::new().with("w", &[2, values.len() / 2], ElementType::F64, values);
        sign(&source).unwrap().tensors()[0].profile()
    };
    let fits = |values: Vec<f64>| {
        let profile = profile(values);
        [profile.fits_f32(), profile.fits_bf16(), profile.fits_f16()]
    };
    assert_eq!(fits(vec![1.0, -0.5, 0.0, -0.0]), [true, true, true]);
    assert_eq!(fits(vec![1.0, 0.1, 2.0, 3.0]), [false, false, false]);
    assert_eq!(
        fits(vec![1.0, f64::from(0.1_f32), 2.0, 3.0]),
        [true, false, false]
    );
    // Eleven bits of a significand, an exponent beyond half precision, and its least number.
    assert_eq!(
        fits(vec![1.0, 1.0 + 1.0 / 1024.0, 2.0, 3.0]),
        [true, false, true]
    );
    assert_eq!(fits(vec![1.0, 65_536.0, 2.0, 3.0]), [true, true, false]);
    assert_eq!(fits(vec![1.0, 100_000.0, 2.0, 3.0]), [true, false, false]);
    assert_eq!(fits(vec![1.0, 65_504.0, 2.0, 3.0]), [true, false, true]);
    assert_eq!(
        fits(vec![1.0, 2.0_f64.powi(-24), 2.0, 3.0]),
        [true, true, true]
    );
    assert_eq!(
        fits(vec![1.0, 2.0_f64.powi(-25), 2.0, 3.0]),
        [true, true, false]
    );
    assert_eq!(fits(vec![1.0, 1e39, 2.0, 3.0]), [false, false, false]);
    assert_eq!(profile(vec![1.0, -0.0, 0.0, 3.0]).zeros(), 2);
    let levels = |values: Vec<f64>| {
        profile(values)
            .levels()
            .map(|levels| (levels.count, levels.gap))
    };
    assert_eq!(levels(vec![1.0, 1.0, 1.0, 1.0]), Some((1, 0.0)));
    assert_eq!(levels(vec![0.0, -0.0, 1.5, 1.0]), Some((3, 0.5)));
    let whole: Vec<f64> = (0..256).map(f64::from).collect();
    assert_eq!(
        levels([whole.clone(), whole.clone()].concat()),
        Some((256, 1.0))
    );
    let more: Vec<f64> = (0..258).map(f64::from).collect();
    assert_eq!(levels(more), None);
}

#[test]
fn settings_have_to_fit() {
    use mother::evidence::{EvidenceError, SignatureComparison};
    let sign =
        |options: SignatureOptions, name: &str| options.sign(&small()).unwrap().with_name(name);
    let plain = sign(SignatureOptions::new(), "plain");
    let keyed = sign(SignatureOptions::new().with_key(SketchKey::new(1)), "keyed");
    let short = sign(SignatureOptions::new().with_buckets(8).unwrap(), "short");
    assert_eq!((keyed.key(), short.buckets()), (SketchKey::new(1), 8));
    assert!(short.numbers() < plain.numbers());
    for other in [keyed, short] {
        let error = SignatureComparison::new()
            .relation(&plain, &other)
            .unwrap_err();
        assert!(
            matches!(error, EvidenceError::Incompatible { .. }),
            "{error}"
        );
        let error = SignatureComparison::new()
            .compare(&[plain.clone(), other])
            .unwrap_err();
        assert!(
            matches!(error, EvidenceError::Incompatible { .. }),
            "{error}"
        );
    }
    assert!(SignatureOptions::new().with_buckets(12).is_err());
}
