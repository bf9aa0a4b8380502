//! Copies of models: what was made from a model without training.

use core::fmt;

use alloc::vec::Vec;

use num_traits::Float;

use super::Matching;
use crate::signature::{Signature, TensorSignature};

/// How a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CopyKind {
    /// All weights are the same, but for the rounding of arithmetic in single precision.
    Duplicate,
    /// All weights were rounded to a shorter floating-point type.
    Cast,
    /// The weights of each large layer were rounded to few values, or to few in each group that shares a
    /// scale: at most 256 evenly spaced ones, floats of at most four significant bits, any sixteen, or the
    /// codes of a format that stores blocks of them.
    Quantised,
    /// Some weights were set to zero.
    Pruned,
}

impl CopyKind {
    /// Its name: `duplicate`, `cast`, `quantised` or `pruned`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Cast => "cast",
            Self::Quantised => "quantised",
            Self::Pruned => "pruned",
        }
    }
}

impl fmt::Display for CopyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A model that is a copy of another of its group: it was not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelCopy {
    /// The position of the copy.
    pub copy: usize,
    /// The position of the model it was made from.
    pub original: usize,
    /// How.
    pub kind: CopyKind,
}

/// A tensor of fewer values may have few distinct ones by chance.
const MANY_VALUES: u64 = 1024;

/// How many standard errors of a sketch an estimate may be off.
const STANDARD_ERRORS: f64 = 6.0;

/// How far rounding to single precision moves weights at most, as a share of their length.
const SINGLE: f64 = 2e-7;

/// Whether two models differ by no more than the rounding of arithmetic in single precision does, in any
/// group of rows of any tensor: a merge of the same weights that was computed in another order, say.
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

/// How the second model was made from the first without training, if it was; two equal models aren't
/// told apart.
///
/// All of it follows from the signatures. A cast is recognised by digests of the original's values as
/// rounding would leave them, on one block of values in sixteen and each tensor's first, and no group of
/// rows may have moved further than rounding moves it. For what was
/// quantised and pruned the squared distance has to be what rounding to that many levels or bits, or
/// taking away weights, leaves, within six standard errors of the sketches. That a tensor was quantised in
/// blocks is taken from the type that its source gives.
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
    } else if all(&changed, Pair::is_pruned) {
        Some(CopyKind::Pruned)
    } else if are_quantised(&changed) || are_quantised_in_blocks(&changed) {
        Some(CopyKind::Quantised)
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

/// Whether tensors were rounded to codes with a scale for each block, and others to a shorter float.
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

/// The mean square by which rounding to few levels moved a tensor's values; to even ones it is a twelfth
/// of the squared gap.
fn rounding(tensor: &TensorSignature) -> Option<f64> {
    let profile = tensor.profile();
    let even = profile
        .levels()
        .map(|levels| levels.gap * levels.gap / 12.0);
    profile.rounding().or(even)
}

/// The mean square by which the type that holds a tensor's values moves one of square 1, if it has 16 bits:
/// a twelfth of the squared gap, over all significands alike.
fn by_storing(tensor: &TensorSignature) -> f64 {
    /// The mean of 1/m² for significands m from 1 to 2 whose logarithms are spread evenly.
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

/// One tensor of a model and of what may be its copy.
struct Pair<'a> {
    original: &'a TensorSignature,
    copy: &'a TensorSignature,
}

impl Pair<'_> {
    fn is_equal(&self) -> bool {
        self.original.digest() == self.copy.digest()
    }

    /// Whether none is of single precision and the other one not, which a cast would explain.
    fn is_of_one_precision(&self) -> bool {
        self.original.profile().fits_f32() == self.copy.profile().fits_f32()
    }

    fn is_large(&self) -> bool {
        self.copy.moments().count() >= MANY_VALUES
    }

    // What fits a type already is left as it is by a cast to it, and these tensors differ.

    fn is_single(&self) -> bool {
        let (original, copy) = (self.original.samples(), self.copy.samples());
        copy.exact == original.single
            && self.copy.profile().fits_f32()
            && !self.original.profile().fits_f32()
            && self.is_everywhere_within(SINGLE)
    }

    fn is_bfloat(&self) -> bool {
        let (original, copy) = (self.original.samples(), self.copy.samples());
        copy.exact == original.bfloat
            && self.copy.profile().fits_bf16()
            && !self.original.profile().fits_bf16()
            && self.is_everywhere_within(8e-3)
    }

    fn is_half(&self) -> bool {
        let (original, copy) = (self.original.samples(), self.copy.samples());
        copy.exact == original.half
            && self.copy.profile().fits_f16()
            && !self.original.profile().fits_f16()
            && self.is_everywhere_within(1e-3)
    }

    fn is_cast(&self) -> bool {
        self.is_single() || self.is_bfloat() || self.is_half()
    }

    fn is_near(&self) -> bool {
        self.is_within(0.5)
    }

    /// Whether the distance is at most this share of the original's norm.
    fn is_within(&self, share: f64) -> bool {
        let [norm, _, squared] = self.sums();
        squared <= share * share * norm
    }

    /// Whether no group of rows is further away than this share of its norm, or than the gap between
    /// the least numbers of half precision for each value.
    fn is_everywhere_within(&self, share: f64) -> bool {
        const LEAST_GAP: f64 = 6e-8;
        let mut within = true;
        let _ = (self.original.sketch()).compare_each(self.copy.sketch(), |group| {
            let least = group.values as f64 * LEAST_GAP * LEAST_GAP;
            let limit = share * share * group.first_squared_norm;
            within &= group.squared_distance <= limit.max(least);
        });
        within
    }

    /// Whether no group of rows is further away than this share of its norm, nor any is too small to tell.
    fn is_rounded_within(&self, share: f64) -> bool {
        let [norm, ..] = self.sums();
        let mut within = norm > 0.0;
        let _ = (self.original.sketch()).compare_each(self.copy.sketch(), |group| {
            within &= group.squared_distance <= share * share * group.first_squared_norm;
        });
        within
    }

    /// Taking away weights shortens by just what it moves.
    ///
    /// So does taking back a step of training, whose parent may have zeros of its own. What tells them
    /// apart is exact: the weights that were taken away are no longer than others in the mean, and no
    /// more is gone of the sum of fourth powers than such weights have, which is up to three times what
    /// equal ones would have if they are normal; a step of that length to all weights takes six times.
    fn is_pruned(&self) -> bool {
        /// Sums of powers are exact to this share.
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

    /// Rounding moves a value by what the levels say that it was rounded to.
    fn is_quantised(&self) -> bool {
        /// An original may be rounded itself, but more finely.
        const FINER: f64 = 0.25;
        /// Codes of four bits move weights by at least this share of their square. They are often chosen so
        /// that the errors of one make up for those of others, which moves weights further.
        const COARSE: f64 = 1e-3;
        const FURTHER: f64 = 2.0;
        /// What is much nearer was trained from the copy, as adapters are: rounding can't undo itself.
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

    /// Rounding to codes in blocks moves by a share of the norm that follows from the bits of a code.
    ///
    /// A block's largest value decides its steps, so that the share is about 1.4 for normal values, divided by
    /// 2 for each bit. It is larger where few values of a block are much larger than the others. A model
    /// that was trained further keeps none of its tensors; one that was rounded keeps those that
    /// aren't stored in codes, which the caller looks at.
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
    fn tolerance(&self) -> f64 {
        let numbers = self.copy.sketch().buckets().len().max(1) as f64;
        STANDARD_ERRORS * Float::sqrt(2.0 / numbers)
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
