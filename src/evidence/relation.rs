//! What two models say of each other, from their signatures alone.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::error::Error;
use core::fmt;
use core::ops::Range;

use num_traits::Float;

use super::{LayerSelection, PairGrowth, Score};
use crate::signature::{Signature, TensorSignature};
use crate::sketch::GroupComparison;

/// Above this share of what independent weights would have, squared distances are those of unrelated
/// models.
const UNRELATED: f64 = super::Geometry::UNRELATED;

/// Above this share few rows, in sketches of few numbers, may be independent.
const UNRELATED_ROWS: f64 = 0.5;

/// What was made anew, and not trained, differs so many times more than the rest.
const MUCH: f64 = 4.0;

/// Models that have a smaller share of their weights in common can't be compared.
pub(crate) const LEAST_COMPARED: f64 = 0.02;

/// The least share of a squared distance that is left without weight decay: a smaller step is lost in
/// the error of decay.
const LEAST_STEP: f64 = 0.2;

/// Relative differences of layer scores below this are rounding.
const SCORE_ROUNDING: f64 = 1e-12;

/// What is compared, and which score.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RelationOptions {
    pub(crate) layers: LayerSelection,
    pub(crate) score_layers: LayerSelection,
    pub(crate) score: Score,
    /// The names of weights that are left out, sorted.
    pub(crate) without: Vec<String>,
}

impl RelationOptions {
    /// Whether a tensor counts as one of the weights that are compared.
    pub(super) fn compares(&self, tensor: &TensorSignature) -> bool {
        self.layers.selects_tensor(tensor)
            && (self.without)
                .binary_search_by(|name| name.as_str().cmp(tensor.name()))
                .is_err()
    }
}

/// Why two signatures can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncompatibleSignatures {
    /// They were made with different keys.
    Keys,
    /// Their sketches differ in the number of buckets.
    Buckets {
        /// Those of the first.
        first: usize,
        /// Those of the second.
        second: usize,
    },
}

impl fmt::Display for IncompatibleSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys => f.write_str("the signatures were made with different keys"),
            Self::Buckets { first, second } => write!(
                f,
                "the sketches of one signature have {first} buckets a group, those of the other {second}"
            ),
        }
    }
}

impl Error for IncompatibleSignatures {}

/// What two models say of each other, on the tensors that both have.
///
/// It depends on these two models alone. Tensors belong together if they have the same name and the
/// same shape, but for the number of rows: of two matrices that differ there, the groups of rows that
/// both have are compared.
///
/// # Examples
///
/// ```
/// use mother::evidence::Relation;
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, last])
/// };
/// let options = SignatureOptions::new();
/// let (base, chat) = (options.sign(&model("base", 1.0)?)?, options.sign(&model("chat", 1.5)?)?);
/// let relation = Relation::between(&base, &chat)?;
/// assert_eq!(relation.compared(), [1.0, 1.0]);
/// assert_eq!(relation.squared_distance(), 0.25);
/// assert!(relation.is_related() && !relation.is_equal());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    compared: [f64; 2],
    squared_norms: [f64; 2],
    squared_distance: f64,
    squared_distance_of_vectors: f64,
    distance: f64,
    size: f64,
    layers: usize,
    related: bool,
    growth: Option<PairGrowth>,
    score_change: f64,
    replaced: Vec<String>,
    equal: bool,
}

impl Relation {
    /// Compares two models on all weights that both have, with kurtosis as the score.
    ///
    /// # Errors
    ///
    /// [`IncompatibleSignatures`] where they were made with other settings.
    ///
    /// # Complexity
    ///
    /// O(numbers of both) time: microseconds, whatever the size of the models.
    pub fn between(first: &Signature, second: &Signature) -> Result<Self, IncompatibleSignatures> {
        check(first, second)?;
        Ok(Self::of_checked(&RelationOptions::default(), first, second))
    }

    /// Compares two models whose signatures were made with the same settings.
    pub(crate) fn of_checked(
        options: &RelationOptions,
        first: &Signature,
        second: &Signature,
    ) -> Self {
        let matched: Vec<(&TensorSignature, &TensorSignature)> =
            matching_tensors(first, second).collect();
        let mut groups: Vec<GroupComparison> = Vec::new();
        let mut tensors: Vec<Tensor> = Vec::new();
        let mut vectors: Vec<GroupComparison> = Vec::new();
        for (at, &(u, v)) in matched.iter().enumerate() {
            if options.compares(u) {
                let start = groups.len();
                // Sketches of one name and one width have the same number of buckets.
                let _ = (u.sketch()).compare_each(v.sketch(), |group| groups.push(group));
                leave_out_new_rows(&mut groups, start);
                tensors.push(Tensor::new(at, &groups, start..groups.len()));
            } else if options.layers.selects_name(u.name()) && !u.is_weight() {
                let _ = (u.sketch()).compare_each(v.sketch(), |group| vectors.push(group));
            }
        }
        let related = are_related(&tensors);
        let usual = usual_share(&tensors);
        let far = tensors
            .iter()
            .filter(|tensor| related && tensor.share > UNRELATED);
        let replaced = far.map(|tensor| matched[tensor.at].0.name().into());
        let replaced: Vec<String> = replaced.collect();
        tensors.retain(|tensor| {
            let (u, v) = matched[tensor.at];
            if related {
                tensor.share <= UNRELATED || tensor.share <= MUCH * usual
            } else {
                u.shape() == v.shape()
            }
        });
        let mut sums = Sums::default();
        for tensor in &tensors {
            sums.take(&groups[tensor.groups.clone()]);
        }
        let mut relation = Self {
            compared: [first, second].map(|model| {
                let selected =
                    (model.tensors().iter()).filter(|tensor| options.layers.selects_tensor(tensor));
                let all: u64 = selected.map(|tensor| tensor.moments().count()).sum();
                if all > 0 {
                    sums.values as f64 / all as f64
                } else {
                    0.0
                }
            }),
            squared_norms: sums.squared_norms,
            squared_distance: sums.squared_distance,
            squared_distance_of_vectors: vectors.iter().map(|group| group.squared_distance).sum(),
            distance: sums.distance / (sums.layers.max(1) as f64),
            size: sums.size / (sums.layers.max(1) as f64),
            layers: sums.layers,
            related,
            growth: None,
            score_change: 0.0,
            replaced,
            equal: first.tensors().len() == second.tensors().len()
                && matched.len() == first.tensors().len()
                && (matched.iter())
                    .all(|(u, v)| u.digest() == v.digest() && u.shape() == v.shape()),
        };
        let all_weights = relation.compared.iter().all(|&share| share == 1.0);
        if relation.is_related() {
            let whole =
                |groups: &[GroupComparison]| PairGrowth::of_weights(core::iter::once(groups));
            relation.growth = if sums.squared_distance > 0.0 || !all_weights {
                PairGrowth::of_weights(tensors.iter().map(|tensor| &groups[tensor.groups.clone()]))
            } else {
                whole(&vectors)
            };
            let kept = tensors.iter().map(|tensor| matched[tensor.at]);
            relation.score_change = score_change(options, kept);
        }
        if sums.squared_distance == 0.0 && all_weights {
            relation.distance = Float::sqrt(relation.squared_distance_of_vectors);
        }
        relation
    }

    /// The share of the first and of the second model's weights that was compared.
    #[must_use]
    pub const fn compared(&self) -> [f64; 2] {
        self.compared
    }

    /// The squared norms of the first and of the second model, over what was compared.
    #[must_use]
    pub const fn squared_norms(&self) -> [f64; 2] {
        self.squared_norms
    }

    /// The squared distance over the weights that were compared.
    #[must_use]
    pub const fn squared_distance(&self) -> f64 {
        self.squared_distance
    }

    /// The squared distance over norms, biases and other short vectors.
    #[must_use]
    pub const fn squared_distance_of_vectors(&self) -> f64 {
        self.squared_distance_of_vectors
    }

    /// Eq. 1: the mean over the weights that were compared of the norm of the difference. Where all
    /// weights of both are equal it is the norm of the difference of all short vectors together: some models are
    /// trained on norms and biases alone.
    #[must_use]
    pub const fn distance(&self) -> f64 {
        self.distance
    }

    /// The mean over the weights that were compared of the square root of the number of values: what
    /// [`distance`](Self::distance) is proportional to if all values move alike. It brings distances to
    /// one unit where models differ in the weights that they share.
    #[must_use]
    pub const fn size(&self) -> f64 {
        self.size
    }

    /// The share of the squared distance that is left without uniform shrinkage, such as weight decay:
    /// 1 − κ²s/4q with κ and s of [`growth`](crate::growth) and q = ‖u − v‖², and at least 0.2.
    ///
    /// Children of one model that were trained with weight decay all move towards zero, and so towards
    /// each other. κ² is taken less the square of its error, so that nothing is left out unless it is
    /// clear, and |κ|/2 counts up to 0.1: averages of models are shorter than these, too.
    #[must_use]
    pub fn share_without_decay(&self) -> f64 {
        let Some(growth) = self.growth.filter(|_| self.squared_distance > 0.0) else {
            return 1.0;
        };
        let size = 0.5 * self.squared_norms.iter().sum::<f64>();
        (1.0 - growth.squared_shrinkage() * size / self.squared_distance).max(LEAST_STEP)
    }

    /// ‖u − v‖² / (‖u‖² + ‖v‖²): near 0 for a model and its copy, and near 1 for independent weights.
    #[must_use]
    pub fn unrelatedness(&self) -> f64 {
        let norms: f64 = self.squared_norms.iter().sum();
        if norms > 0.0 {
            self.squared_distance / norms
        } else {
            0.0
        }
    }

    /// Whether they have enough weights in common to say anything.
    #[must_use]
    pub fn is_comparable(&self) -> bool {
        let [first, second] = self.compared;
        self.layers > 0 && first.max(second) >= LEAST_COMPARED
    }

    /// Whether they are comparable, and nearer to each other than independent weights are.
    #[must_use]
    pub fn is_related(&self) -> bool {
        self.is_comparable() && self.related
    }

    /// The growth from the first to the second model, where they are related.
    #[must_use]
    pub const fn growth(&self) -> Option<PairGrowth> {
        self.growth
    }

    /// By how much the score rises from the first model to the second on most layers, from −1 to 1.
    ///
    /// The mean of Huber's ψ of the relative changes, with the median change as its scale, brought
    /// towards 0 by half of what chance gives, 1/(2√(layers + 1)).
    ///
    /// # References
    ///
    /// P. J. Huber, "Robust Estimation of a Location Parameter", *The Annals of Mathematical
    /// Statistics* 35, 1964. [doi:10.1214/aoms/1177703732](https://doi.org/10.1214/aoms/1177703732)
    #[must_use]
    pub const fn score_change(&self) -> f64 {
        self.score_change
    }

    /// The weights that both models have under one name, but that are as far apart as independent ones
    /// although the models are related: heads that were made anew, most often. Those that differ much
    /// more than all others aren't compared.
    #[must_use]
    pub fn replaced(&self) -> &[String] {
        &self.replaced
    }

    /// Whether both have the same tensors, and every tensor of both holds the same values.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.equal
    }
}

/// Whether two signatures were made with the same settings.
pub(super) fn check(first: &Signature, second: &Signature) -> Result<(), IncompatibleSignatures> {
    if first.key() != second.key() {
        return Err(IncompatibleSignatures::Keys);
    }
    let (first, second) = (first.buckets(), second.buckets());
    if first != second {
        return Err(IncompatibleSignatures::Buckets { first, second });
    }
    Ok(())
}

/// The tensors that two models have in common, by name and by shape but for the number of rows.
pub(super) fn matching_tensors<'a>(
    first: &'a Signature,
    second: &'a Signature,
) -> impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)> {
    let (mut first, mut second) = (first.tensors().iter(), second.tensors().iter());
    let (mut u, mut v) = (first.next(), second.next());
    core::iter::from_fn(move || {
        loop {
            let pair = (u?, v?);
            match pair.0.name().cmp(pair.1.name()) {
                Ordering::Less => u = first.next(),
                Ordering::Greater => v = second.next(),
                Ordering::Equal => {
                    (u, v) = (first.next(), second.next());
                    if is_same_but_for_rows(pair.0, pair.1) {
                        return Some(pair);
                    }
                }
            }
        }
    })
}

fn is_same_but_for_rows(u: &TensorSignature, v: &TensorSignature) -> bool {
    if u.shape() == v.shape() {
        return true;
    }
    // The first dimension counts rows; of longer vectors it is the only one.
    let tail = |tensor: &TensorSignature| tensor.shape().get(1..).map(<[usize]>::to_vec);
    u.is_weight()
        && v.is_weight()
        && u.shape().len() == v.shape().len()
        && tail(u) == tail(v)
        && u.sketch().groups().width() == v.sketch().groups().width()
}

/// Takes off the last groups of rows, down to `start`, where they were made anew in one of the models, as
/// those of tokens that were added to both.
fn leave_out_new_rows(groups: &mut Vec<GroupComparison>, start: usize) {
    let share = |group: &GroupComparison| {
        let norms = group.first_squared_norm + group.second_squared_norm;
        if norms > 0.0 {
            group.squared_distance / norms
        } else {
            0.0
        }
    };
    let mut shares: Vec<f64> = groups[start..].iter().map(share).collect();
    shares.sort_by(f64::total_cmp);
    let usual = shares.get(shares.len() / 2).copied().unwrap_or(0.0);
    while groups.len() > start && groups.last().is_some_and(|last| is_new(share(last), usual)) {
        groups.pop();
    }
}

/// Whether a group's share of what independent rows would have differs from the usual one as only that
/// of new rows does; those of independent rows scatter around 1 by √(2/buckets).
fn is_new(share: f64, usual: f64) -> bool {
    share > UNRELATED_ROWS && share > MUCH * usual
}

/// One weight of both models.
struct Tensor {
    /// Its place among the tensors that both have.
    at: usize,
    groups: Range<usize>,
    values: usize,
    /// ‖u − v‖² / (‖u‖² + ‖v‖²): near 1 for independent weights.
    share: f64,
}

impl Tensor {
    fn new(at: usize, groups: &[GroupComparison], range: Range<usize>) -> Self {
        let (mut squared, mut norms, mut values) = (0.0, 0.0, 0);
        for group in &groups[range.clone()] {
            squared += group.squared_distance;
            norms += group.first_squared_norm + group.second_squared_norm;
            values += group.values;
        }
        Self {
            at,
            groups: range,
            values,
            share: if norms > 0.0 { squared / norms } else { 0.0 },
        }
    }
}

/// Whether two models have most of the weights that both have from one ancestor.
///
/// A head that was made anew for another task has the same name and often the same shape, but says
/// nothing of how far the others moved, so weights are asked one by one.
fn are_related(tensors: &[Tensor]) -> bool {
    let values = |most: f64| {
        let counted = tensors.iter().filter(|tensor| tensor.share <= most);
        counted.map(|tensor| tensor.values).sum::<usize>()
    };
    let near = values(UNRELATED);
    near > 0 && near >= values(f64::INFINITY).div_ceil(2)
}

/// The median share over all values.
fn usual_share(tensors: &[Tensor]) -> f64 {
    let mut shares: Vec<(f64, usize)> = (tensors.iter())
        .map(|tensor| (tensor.share, tensor.values))
        .collect();
    shares.sort_by(|first, second| first.0.total_cmp(&second.0));
    let half = tensors.iter().map(|tensor| tensor.values).sum::<usize>() / 2;
    let mut below = 0;
    let reaches_half = |&&(_, values): &&(f64, usize)| {
        below += values;
        below > half
    };
    shares
        .iter()
        .find(reaches_half)
        .map_or(0.0, |&(share, _)| share)
}

/// Sums over the weights that are compared.
#[derive(Default)]
struct Sums {
    values: u64,
    layers: usize,
    squared_norms: [f64; 2],
    squared_distance: f64,
    distance: f64,
    size: f64,
}

impl Sums {
    fn take(&mut self, groups: &[GroupComparison]) {
        let (mut squared, mut values) = (0.0, 0);
        for group in groups {
            values += group.values as u64;
            self.squared_norms[0] += group.first_squared_norm;
            self.squared_norms[1] += group.second_squared_norm;
            squared += group.squared_distance;
        }
        self.values += values;
        self.layers += usize::from(!groups.is_empty());
        self.squared_distance += squared;
        self.distance += Float::sqrt(squared);
        self.size += Float::sqrt(values as f64);
    }
}

/// Eq. 3 over a model's own layers; `None` where none has a score.
pub(super) fn score(options: &RelationOptions, signature: &Signature) -> Option<f64> {
    let tensors = signature.tensors().iter();
    let selected = tensors.filter(|tensor| options.score_layers.selects_tensor(tensor));
    let scores = selected.filter_map(|tensor| options.score.of_moments(&tensor.moments()));
    scores.fold(None, |sum, score| Some(sum.unwrap_or(0.0) + score))
}

/// See [`Relation::score_change`].
fn score_change<'a>(
    options: &RelationOptions,
    kept: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)>,
) -> f64 {
    let scored =
        kept.filter(|(u, v)| u.shape() == v.shape() && options.score_layers.selects_tensor(u));
    let scores = scored.filter_map(|(u, v)| {
        let score = |tensor: &TensorSignature| options.score.of_moments(&tensor.moments());
        Some((score(u)?, score(v)?))
    });
    vote(scores)
}

/// By how much scores rise on most layers; each pair holds a layer's scores of both models.
pub(crate) fn vote(scores: impl Iterator<Item = (f64, f64)>) -> f64 {
    let changes = scores.map(|(first, second)| {
        let size = (first.abs() + second.abs()).max(f64::MIN_POSITIVE);
        (second - first) / size
    });
    let mut changes: Vec<f64> = changes
        .filter(|change| change.abs() > SCORE_ROUNDING)
        .collect();
    changes.sort_by(|first, second| first.abs().total_cmp(&second.abs()));
    let Some(median) = changes.get(changes.len() / 2).map(|change| change.abs()) else {
        return 0.0;
    };
    // Half of the layers have a whole vote, the others in proportion to how much they change, so
    // that neither one layer that changes much nor many that barely change decide.
    let votes = (changes.iter()).map(|change| (change / median).clamp(-1.0, 1.0));
    let layers = changes.len() as f64;
    let share = votes.sum::<f64>() / layers;
    // Taking off all that chance gives would leave nothing of the votes of few layers, though those
    // of the edges of a tree add up.
    share.signum() * (share.abs() - 0.5 / Float::sqrt(layers + 1.0)).max(0.0)
}

/// The squared distances from a model to two others, on the groups of rows that it shares with both.
pub(crate) fn restricted_squared_distance(
    options: &RelationOptions,
    model: &Signature,
    first: &Signature,
    second: &Signature,
) -> [f64; 2] {
    let mut squared = [0.0; 2];
    let (mut with_first, mut with_second) = (Vec::new(), Vec::new());
    let mut of_second = matching_tensors(model, second).peekable();
    for (tensor, u) in matching_tensors(model, first) {
        while (of_second.next_if(|(other, _)| other.name() < tensor.name())).is_some() {}
        let found = of_second.next_if(|(other, _)| other.name() == tensor.name());
        let Some((_, v)) = found.filter(|_| options.compares(tensor)) else {
            continue;
        };
        for (groups, other) in [(&mut with_first, u), (&mut with_second, v)] {
            groups.clear();
            let _ = (tensor.sketch()).compare_each(other.sketch(), |group| groups.push(group));
        }
        // Rows that only one of them has, or that were made anew, belong to neither sum.
        for (from_first, from_second) in with_first.iter().zip(&with_second) {
            let near = |group: &GroupComparison| {
                let norms = group.first_squared_norm + group.second_squared_norm;
                group.squared_distance <= 0.5 * norms
            };
            if near(from_first) && near(from_second) {
                squared[0] += from_first.squared_distance;
                squared[1] += from_second.squared_distance;
            }
        }
    }
    squared
}
