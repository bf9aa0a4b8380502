//! Copies of models: models made from another one without training.

use alloc::vec::Vec;

use num_traits::Float;

use super::Matching;
use super::geometry::share;
use crate::errors::names;
use crate::signature::{PrecisionProfile, Signature, TensorSignature};

names! {
    /// How a copy was made.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[non_exhaustive]
    pub enum CopyKind {
        /// All weights are equal up to single-precision rounding.
        Duplicate => "duplicate",
        /// All weights were rounded to a shorter floating-point type.
        Cast => "cast",
        /// The weights of each large layer were rounded to a small set of values, or to one in each group that
        /// shares a scale: at most 256 evenly spaced values, floats of at most four significant bits, any sixteen
        /// values, or the codes of a block format.
        Quantised => "quantised",
        /// Some weights were set to zero.
        Pruned => "pruned",
    }

    /// The name of the kind: `duplicate`, `cast`, `quantised` or `pruned`.
    pub fn name;

    #[cfg(any(feature = "serde", feature = "safetensors"))]
    pub(crate) const ALL: [Self; 4];
}

/// A model that was copied from another of its group without training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelCopy {
    /// The position of the copy.
    pub copy: usize,
    /// The position of the original.
    pub original: usize,
    /// How the copy was made.
    pub kind: CopyKind,
}

/// A tensor with fewer values may have few distinct ones by chance.
const MANY_VALUES: u64 = 1024;

/// How many standard errors an estimate from a sketch may be off.
const STANDARD_ERRORS: f64 = 6.0;

/// The most that rounding to single precision moves weights, as a share of their norm.
const SINGLE: f64 = 2e-7;

/// Whether two models differ by at most single-precision rounding in every group of rows of every tensor, as
/// when the same weights are merged in another order.
pub(super) fn is_same_but_for_rounding(first: &Signature, second: &Signature) -> bool {
    let (same, others) = (first.tensors().len(), second.tensors().len());
    let skipped = first.skipped_layers().len() + second.skipped_layers().len();
    if same != others || skipped > 0 {
        return false;
    }
    let matching = Matching::of_checked(first, second);
    let pairs = (matching.pairs().iter()).map(|&(original, copy)| Pair { original, copy });
    let is_same = |pair: Pair<'_>| {
        pair.original.shape() == pair.copy.shape()
            && (pair.is_equal() || pair.is_of_one_precision() && pair.is_rounded_within(SINGLE))
    };
    matching.pairs().len() == same && pairs.into_iter().all(is_same)
}

/// How the second model was copied from the first without training, if it was. `None` for equal models, whose
/// direction can't be decided.
///
/// Everything is decided from the signatures. A cast is recognised by digests of the original's values after
/// rounding, taken on one block of values in sixteen and on each tensor's first block. No group of rows may
/// have moved further than rounding moves it. For quantised and pruned models, the squared distance must be
/// what rounding to that many levels or bits, or removing weights, would leave, within six standard errors of
/// the sketches. Whether a tensor was quantised in blocks is known from the type that its source declares.
pub(crate) fn copy_kind(original: &Signature, copy: &Signature) -> Option<CopyKind> {
    if original.tensors().len() != copy.tensors().len() {
        return None;
    }
    let matching = Matching::of_checked(original, copy);
    let pairs: Vec<Pair<'_>> = (matching.pairs().iter())
        .map(|&(original, copy)| Pair { original, copy })
        .collect();
    let same_shapes = pairs
        .iter()
        .all(|pair| pair.original.shape() == pair.copy.shape());
    if pairs.len() != copy.tensors().len() || !same_shapes {
        return None;
    }
    let changed: Vec<&Pair<'_>> = pairs.iter().filter(|pair| !pair.is_equal()).collect();
    if changed.is_empty() {
        None
    } else if all(&changed, Pair::is_single)
        || all(&changed, Pair::is_bfloat)
        || all(&changed, Pair::is_half)
    {
        Some(CopyKind::Cast)
    } else if are_quantised(&changed) || are_quantised_in_blocks(&changed) {
        Some(CopyKind::Quantised)
    } else if all(&changed, Pair::is_pruned) {
        Some(CopyKind::Pruned)
    } else {
        None
    }
}

/// Whether every large tensor was rounded to few evenly spaced values.
fn are_quantised(pairs: &[&Pair<'_>]) -> bool {
    pairs.iter().any(|pair| pair.is_large())
        && pairs.iter().any(|pair| pair.is_quantised())
        && all(pairs, |pair| {
            pair.is_near() && (!pair.is_large() || pair.is_quantised() || pair.is_cast())
        })
}

/// Whether some tensors were rounded to codes with a scale for each block, and others to a shorter float.
fn are_quantised_in_blocks(pairs: &[&Pair<'_>]) -> bool {
    pairs.iter().any(|pair| pair.is_quantised_in_blocks())
        && all(pairs, |pair| {
            pair.is_quantised_in_blocks() || pair.is_half() || pair.is_bfloat()
        })
}

fn all<'a>(pairs: &[&Pair<'a>], has: impl Fn(&Pair<'a>) -> bool) -> bool {
    pairs.iter().all(|pair| has(pair))
}

/// The sum of the fourth powers of a tensor's values.
fn fourth_powers(tensor: &TensorSignature) -> f64 {
    let moments = tensor.moments();
    let (mean, variance) = (
        moments.mean().unwrap_or(0.0),
        moments.variance().unwrap_or(0.0),
    );
    let third = moments.skewness().unwrap_or(0.0) * variance * Float::sqrt(variance);
    let fourth = moments.kurtosis().unwrap_or(0.0) * variance * variance;
    let around_zero = fourth + mean * (4.0 * third + mean * (6.0 * variance + mean * mean));
    moments.count() as f64 * around_zero
}

/// The mean squared change from rounding a tensor's values to a few levels. For evenly spaced levels this is
/// a twelfth of the squared gap.
pub(super) fn rounding(tensor: &TensorSignature) -> Option<f64> {
    let profile = tensor.profile();
    let even = profile
        .levels()
        .map(|levels| levels.gap * levels.gap / 12.0);
    profile.rounding().or(even)
}

/// The mean squared change that a 16-bit storage type makes to a value of square 1: a twelfth of the squared
/// gap, averaged over all significands.
pub(super) fn by_storing(tensor: &TensorSignature) -> f64 {
    /// The mean of 1/m² for significands m from 1 to 2 with evenly distributed logarithms.
    const SIGNIFICANDS: f64 = 0.541;
    let gap = if tensor.profile().fits_bf16() {
        1.0 / 128.0
    } else if tensor.profile().fits_f16() {
        1.0 / 1024.0
    } else {
        0.0
    };
    SIGNIFICANDS * gap * gap / 12.0
}

/// One tensor of a model and the same tensor of its possible copy.
struct Pair<'a> {
    original: &'a TensorSignature,
    copy: &'a TensorSignature,
}

impl Pair<'_> {
    fn is_equal(&self) -> bool {
        self.original.digest() == self.copy.digest()
    }

    /// Whether both tensors fit single precision or neither does; otherwise a cast would explain the change.
    fn is_of_one_precision(&self) -> bool {
        self.original.profile().fits_f32() == self.copy.profile().fits_f32()
    }

    fn is_large(&self) -> bool {
        self.copy.moments().count() >= MANY_VALUES
    }

    fn is_single(&self) -> bool {
        let rounded = self.original.samples().single;
        self.is_cast_to(PrecisionProfile::fits_f32, rounded, SINGLE)
    }

    fn is_bfloat(&self) -> bool {
        let rounded = self.original.samples().bfloat;
        self.is_cast_to(PrecisionProfile::fits_bf16, rounded, 8e-3)
    }

    fn is_half(&self) -> bool {
        let rounded = self.original.samples().half;
        self.is_cast_to(PrecisionProfile::fits_f16, rounded, 1e-3)
    }

    fn is_cast(&self) -> bool {
        self.is_single() || self.is_bfloat() || self.is_half()
    }

    /// Whether the original was cast to a type, given the digest of its values in that type. Casts leave values that
    /// already fit unchanged, and these tensors differ.
    fn is_cast_to(&self, fits: fn(&PrecisionProfile) -> bool, rounded: u64, share: f64) -> bool {
        /// The gap between the smallest half-precision numbers.
        const LEAST_GAP: f64 = 6e-8;
        self.copy.samples().exact == rounded
            && fits(&self.copy.profile())
            && !fits(&self.original.profile())
            && self.is_everywhere_within(share, LEAST_GAP)
    }

    fn is_near(&self) -> bool {
        self.is_within(0.5)
    }

    /// Whether the distance is at most this share of the original's norm.
    fn is_within(&self, share: f64) -> bool {
        let [norm, _, squared] = self.sums();
        squared <= share * share * norm
    }

    /// Whether every group of rows is within this share of its norm, or within this gap for each value.
    fn is_everywhere_within(&self, share: f64, gap: f64) -> bool {
        let mut within = true;
        let _ = (self.original.sketch()).compare_each(self.copy.sketch(), |group| {
            let least = group.values as f64 * gap * gap;
            let limit = share * share * group.first_squared_norm;
            within &= group.squared_distance <= limit.max(least);
        });
        within
    }

    /// Whether every group of rows is within this share of its norm and not all are zero.
    fn is_rounded_within(&self, share: f64) -> bool {
        self.sums()[0] > 0.0 && self.is_everywhere_within(share, 0.0)
    }

    /// Removing weights shortens a model by exactly as much as it moves it.
    ///
    /// So does undoing a step of training, and the parent of such a step may contain zeros of its own. Two
    /// exact conditions distinguish the cases. The removed weights are no longer than the others on average.
    /// And the sum of fourth powers loses no more than such weights contribute: if weights are normal, up to
    /// three times what equal weights would, whereas a step of that length on all weights takes six times as
    /// much.
    fn is_pruned(&self) -> bool {
        /// Relative error of sums of powers.
        const ROUNDING: f64 = 1e-9;
        let [original, copy, squared] = self.sums();
        let shorter = original - copy;
        let zeros = |tensor: &TensorSignature| tensor.profile().zeros() as f64;
        let gone = zeros(self.copy) - zeros(self.original);
        let left = self.original.moments().count() as f64 - zeros(self.original);
        let all = fourth_powers(self.original);
        let fourth = all - fourth_powers(self.copy);
        gone > 0.0
            && (squared - shorter).abs() <= self.tolerance() * shorter
            && shorter / gone <= 1.1 * original / left
            && fourth <= 4.0 * shorter * shorter / gone + ROUNDING * all
    }

    /// Checks that values moved by as much as rounding to the copy's levels explains.
    fn is_quantised(&self) -> bool {
        /// The original may itself be rounded, but more finely.
        const FINER: f64 = 0.25;
        /// Four-bit codes move weights by at least this share of their square. They are often chosen so that
        /// errors compensate each other, which moves weights further.
        const COARSE: f64 = 1e-3;
        const FURTHER: f64 = 2.0;
        /// A model much nearer than this was trained from the copy, as adapters are: rounding can't undo
        /// itself.
        const NEARER: f64 = 0.5;
        let Some(moved) = rounding(self.copy) else {
            return false;
        };
        let [norm, copy, squared] = self.sums();
        let by_rounding = self.copy.moments().count() as f64 * moved + by_storing(self.copy) * copy;
        let further = if by_rounding > COARSE * norm {
            FURTHER
        } else {
            1.0
        };
        rounding(self.original).is_none_or(|finer| finer <= FINER * moved)
            && squared <= (1.0 + self.tolerance()) * further * by_rounding
            && squared >= (1.0 - self.tolerance()) * NEARER * by_rounding
    }

    /// Rounding to codes in blocks moves weights by a share of the norm that follows from the number of bits.
    ///
    /// A block's largest value determines its step size, so the share is about 1.4 divided by 2 for each bit
    /// if values are normal. It is larger if a few values of a block are much larger than the rest. A model
    /// that was trained further keeps no tensor unchanged; a rounded one keeps the tensors that aren't stored
    /// as codes, which the caller checks.
    fn is_quantised_in_blocks(&self) -> bool {
        const SHARES: [f64; 2] = [0.3, 3.0];
        let bits = |tensor: &TensorSignature| tensor.element_type().code_bits();
        let (Some(left), original) = (bits(self.copy), bits(self.original)) else {
            return false;
        };
        let [norm, _, squared] = self.sums();
        let share = Float::sqrt(squared / norm) * f64::from(1_u32 << left);
        let [least, most] = SHARES;
        original.is_none_or(|bits| bits > left) && self.is_near() && (least..=most).contains(&share)
    }

    /// Six standard errors of the estimated squared distance, as a share of it.
    ///
    /// The variance of a group's estimate q from k numbers is 2q²/k. If few groups of rows contain most of the
    /// distance, few numbers decide.
    fn tolerance(&self) -> f64 {
        let numbers = self.copy.sketch().buckets_of_group().max(1) as f64;
        let (mut squared, mut variance) = (0.0, 0.0);
        let _ = (self.original.sketch()).compare_each(self.copy.sketch(), |group| {
            squared += group.squared_distance;
            variance += 2.0 * group.squared_distance * group.squared_distance / numbers;
        });
        share(STANDARD_ERRORS * Float::sqrt(variance), squared)
    }

    /// ‖u‖², ‖v‖² and the estimated ‖u − v‖².
    fn sums(&self) -> [f64; 3] {
        let mut sums = [0.0; 3];
        let _ = (self.original.sketch()).compare_each(self.copy.sketch(), |group| {
            sums[0] += group.first_squared_norm;
            sums[1] += group.second_squared_norm;
            sums[2] += group.squared_distance;
        });
        sums
    }
}
