//! Compares two models from their signatures alone.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use num_traits::Float;

use super::common::{Tensor, are_related, leave_out_new_rows, order_of_rows, usual_share};
use super::cut::leave_out_reordered;
use super::{
    IncompatibleSignatures, LayerSelection, MatchRule, Matching, PairGrowth, Score, compatibility,
};
use crate::signature::{Signature, TensorSignature};
use crate::sketch::GroupComparison;

/// Models that share less of their weights than this can't be compared.
pub(crate) const LEAST_COMPARED: f64 = 0.02;

/// The least share of a squared distance left after removing weight decay; a smaller step is lost in the
/// error of the estimated decay.
const LEAST_STEP: f64 = 0.2;

/// Relative differences of layer scores below this are due to rounding.
const SCORE_ROUNDING: f64 = 1e-12;

/// Which tensors are compared, and by which score.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub(crate) struct RelationOptions {
    pub(crate) layers: LayerSelection,
    pub(crate) score_layers: LayerSelection,
    pub(crate) score: Score,
    /// The names of weights to leave out, sorted; an index determines its own.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) without: Vec<String>,
}

impl RelationOptions {
    /// Whether two corresponding tensors are both among the compared weights.
    fn compares_both(&self, (u, v): (&TensorSignature, &TensorSignature)) -> bool {
        self.compares(u) && self.compares(v)
    }

    /// Whether two corresponding tensors count as short vectors.
    fn selects_vectors(&self, (u, v): (&TensorSignature, &TensorSignature)) -> bool {
        let is_vector = |tensor: &TensorSignature| {
            self.layers.selects_name(tensor.name()) && !tensor.is_weight()
        };
        is_vector(u) && is_vector(v)
    }

    /// Whether a tensor is one of the compared weights.
    pub(super) fn compares(&self, tensor: &TensorSignature) -> bool {
        self.layers.selects_tensor(tensor)
            && (self.without)
                .binary_search_by(|name| name.as_str().cmp(tensor.name()))
                .is_err()
    }
}

/// How two models compare on the tensors that both have.
///
/// The result depends on these two models alone. [`Matching`] decides which tensors correspond: mostly those
/// of equal names. If two matrices differ in their number of rows, the groups of rows that both have are
/// compared.
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
    /// The names of these weights in the second model, if they differ.
    replaced_in_second: Vec<String>,
    equal: bool,
    rows: Ordering,
    rule: MatchRule,
    matched: usize,
}

impl Relation {
    /// Compares two models on all weights that both have, with kurtosis as the score.
    ///
    /// # Errors
    ///
    /// [`IncompatibleSignatures`] if the signatures were made with different settings.
    ///
    /// # Complexity
    ///
    /// Time is linear in the numbers that the two signatures contain: microseconds, whatever the size of the
    /// models, and up to milliseconds if names differ (see [`Matching::between`]).
    pub fn between(first: &Signature, second: &Signature) -> Result<Self, IncompatibleSignatures> {
        compatibility::check(first, second)?;
        Ok(Self::of_checked(&RelationOptions::default(), first, second))
    }

    /// Compares two models whose signatures were made with the same settings.
    pub(crate) fn of_checked(
        options: &RelationOptions,
        first: &Signature,
        second: &Signature,
    ) -> Self {
        let matching = Matching::of_checked(first, second);
        let matched = matching.pairs();
        let mut groups: Vec<GroupComparison> = Vec::new();
        let mut tensors: Vec<Tensor> = Vec::new();
        let mut vectors: Vec<GroupComparison> = Vec::new();
        for (at, &(u, v)) in matched.iter().enumerate() {
            if options.compares_both((u, v)) {
                let start = groups.len();
                // Sketches of one width have the same number of buckets.
                let _ = (u.sketch()).compare_each(v.sketch(), |group| groups.push(group));
                leave_out_new_rows(&mut groups, start);
                tensors.push(Tensor::new(at, &groups, start..groups.len()));
            } else if options.selects_vectors((u, v)) {
                let _ = (u.sketch()).compare_each(v.sketch(), |group| vectors.push(group));
            }
        }
        let related = are_related(&tensors);
        let usual = usual_share(&tensors);
        if related {
            leave_out_reordered(&mut tensors, matched, usual);
        }
        let far = tensors.iter().filter(|tensor| related && tensor.is_far());
        let replaced: Vec<_> = far.map(|tensor| matched[tensor.at]).collect();
        tensors.retain(|tensor| {
            let (u, v) = matched[tensor.at];
            if related {
                tensor.is_trained(usual)
            } else {
                u.shape() == v.shape()
            }
        });
        let mut sums = Sums::default();
        for tensor in &tensors {
            sums.take(&groups[tensor.groups.clone()]);
        }
        let mut relation = Self {
            compared: [first, second].map(|model| sums.share_of(options, model)),
            squared_norms: sums.squared_norms,
            squared_distance: sums.squared_distance,
            squared_distance_of_vectors: vectors.iter().map(|group| group.squared_distance).sum(),
            distance: sums.distance / (sums.layers.max(1) as f64),
            size: sums.size / (sums.layers.max(1) as f64),
            layers: sums.layers,
            related,
            growth: None,
            score_change: 0.0,
            replaced: replaced.iter().map(|(u, _)| u.name().into()).collect(),
            replaced_in_second: (replaced.iter())
                .filter(|(u, v)| u.name() != v.name())
                .map(|(_, v)| v.name().into())
                .collect(),
            equal: [first, second]
                .iter()
                .all(|model| model.tensors().len() == matched.len())
                && (matched.iter())
                    .all(|(u, v)| u.digest() == v.digest() && u.shape() == v.shape()),
            rows: if related {
                order_of_rows(
                    tensors.iter().map(|tensor| matched[tensor.at]),
                    sums.squared_distance > 0.0,
                )
            } else {
                Ordering::Equal
            },
            rule: matching.rule(),
            matched: matched.len(),
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

    /// The shares of the first and of the second model's weights that were compared.
    #[must_use]
    pub const fn compared(&self) -> [f64; 2] {
        self.compared
    }

    /// The squared norms of the first and of the second model over the compared weights.
    #[must_use]
    pub const fn squared_norms(&self) -> [f64; 2] {
        self.squared_norms
    }

    /// The squared distance over the compared weights.
    #[must_use]
    pub const fn squared_distance(&self) -> f64 {
        self.squared_distance
    }

    /// The squared distance over norms, biases and other short vectors.
    #[must_use]
    pub const fn squared_distance_of_vectors(&self) -> f64 {
        self.squared_distance_of_vectors
    }

    /// Eq. 1: the mean, over the compared weights, of the norm of the difference. If all weights of both are
    /// equal, this is instead the norm of the difference of all short vectors together, since some models are
    /// trained on norms and biases alone.
    #[must_use]
    pub const fn distance(&self) -> f64 {
        self.distance
    }

    /// The mean, over the compared weights, of the square root of the number of values.
    /// [`distance`](Self::distance) is proportional to it if all values move alike. It converts distances to
    /// one unit if models differ in the weights that they share.
    #[must_use]
    pub const fn size(&self) -> f64 {
        self.size
    }

    /// The share of the squared distance left after removing uniform shrinkage, such as weight decay: 1 −
    /// κ²s/4q with κ and s of [`growth`](crate::growth) and q = ‖u − v‖², and at least 0.2.
    ///
    /// Children of one model that were trained with weight decay all move towards zero, and so towards each
    /// other. The square of its error is subtracted from κ², so that only clear shrinkage is removed. |κ|/2
    /// is capped at 0.1, because averages of models are shorter than these, too.
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

    /// Whether the models share enough weights to be compared.
    #[must_use]
    pub fn is_comparable(&self) -> bool {
        let [first, second] = self.compared;
        self.layers > 0 && first.max(second) >= LEAST_COMPARED
    }

    /// Whether the models are comparable and nearer to each other than independent weights.
    #[must_use]
    pub fn is_related(&self) -> bool {
        self.is_comparable() && self.related
    }

    /// The growth from the first to the second model, if they are related.
    #[must_use]
    pub const fn growth(&self) -> Option<PairGrowth> {
        self.growth
    }

    /// How much the score rises from the first model to the second on most layers, from −1 to 1.
    ///
    /// This is the mean of Huber's ψ of the relative changes, scaled by the median change. It is then shrunk
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

    /// The weights that both models have but that are as far apart as independent ones although the models
    /// are related; most often these are heads initialised anew. Those that differ much more than all others
    /// aren't compared. Names are those in the first model.
    #[must_use]
    pub fn replaced(&self) -> &[String] {
        &self.replaced
    }

    /// The names of replaced weights in either model.
    pub(crate) fn replaced_names(&self) -> impl Iterator<Item = &String> {
        self.replaced.iter().chain(&self.replaced_in_second)
    }

    /// The number of weights compared.
    ///
    /// ```
    /// use mother::evidence::Relation;
    /// use mother::signature::SignatureOptions;
    /// use mother::weights::InMemoryModel;
    ///
    /// let model = InMemoryModel::new("base").with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, 2.0])?;
    /// let signature = SignatureOptions::new().sign(&model)?;
    /// assert_eq!(Relation::between(&signature, &signature)?.layers(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn layers(&self) -> usize {
        self.layers
    }

    /// Which of two related models comes first by its rows: less where some matrices of the second are those of the
    /// first with rows added at the end, and none the other way round.
    pub(crate) const fn rows(&self) -> Ordering {
        self.rows
    }

    /// The rule that matched the tensors.
    #[must_use]
    pub const fn rule(&self) -> MatchRule {
        self.rule
    }

    /// The number of matched tensors; [`Matching::pairs`] lists them.
    #[must_use]
    pub const fn matched(&self) -> usize {
        self.matched
    }

    /// Whether both models have the same tensors with the same values; names may differ.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.equal
    }
}

/// Sums over the compared weights.
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
    /// The compared share of a model's weights.
    fn share_of(&self, options: &RelationOptions, model: &Signature) -> f64 {
        let tensors = model.tensors().iter();
        let selected = tensors.filter(|tensor| options.layers.selects_tensor(tensor));
        let all: u64 = selected.map(|tensor| tensor.moments().count()).sum();
        if all > 0 {
            self.values as f64 / all as f64
        } else {
            0.0
        }
    }

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

/// Eq. 3 over a model's own layers; `None` if no layer has a score.
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
    let scored = kept.filter(|(u, v)| {
        u.shape() == v.shape()
            && options.score_layers.selects_tensor(u)
            && options.score_layers.selects_tensor(v)
    });
    let scores = scored.filter_map(|(u, v)| {
        let score = |tensor: &TensorSignature| options.score.of_moments(&tensor.moments());
        Some((score(u)?, score(v)?))
    });
    vote(scores)
}

/// How much scores rise on most layers; each item is a layer's score in both models.
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
    // Half of the layers have a full vote. The others vote in proportion to their change, so that neither one
    // layer that changes a lot nor many that barely change decide.
    let votes = (changes.iter()).map(|change| (change / median).clamp(-1.0, 1.0));
    let layers = changes.len() as f64;
    let share = votes.sum::<f64>() / layers;
    // Subtracting all that chance gives would leave nothing of the votes of few layers, although votes add up
    // over the edges of a tree.
    share.signum() * (share.abs() - 0.5 / Float::sqrt(layers + 1.0)).max(0.0)
}

/// The squared distances from a model to two others, on the groups of rows that all three share; `None` if
/// there are none.
pub(crate) fn restricted_squared_distance(
    options: &RelationOptions,
    model: &Signature,
    first: &Signature,
    second: &Signature,
) -> Option<[f64; 2]> {
    let mut squared = None;
    let (mut with_first, mut with_second) = (Vec::new(), Vec::new());
    let of_first = Matching::of_checked(model, first);
    let of_second = Matching::of_checked(model, second);
    let mut others = of_second.pairs().iter().peekable();
    for &(tensor, u) in of_first.pairs() {
        while (others.next_if(|(other, _)| other.name() < tensor.name())).is_some() {}
        let found = others.next_if(|(other, _)| other.name() == tensor.name());
        let compares = |other| options.compares_both((tensor, other));
        let Some(&(_, v)) = found.filter(|(_, v)| compares(u) && compares(v)) else {
            continue;
        };
        for (groups, other) in [(&mut with_first, u), (&mut with_second, v)] {
            groups.clear();
            let _ = (tensor.sketch()).compare_each(other.sketch(), |group| groups.push(group));
        }
        // Rows that only one of them has, or that were initialised anew, count in neither sum.
        for (from_first, from_second) in with_first.iter().zip(&with_second) {
            let near = |group: &GroupComparison| {
                let norms = group.first_squared_norm + group.second_squared_norm;
                group.squared_distance <= 0.5 * norms
            };
            if near(from_first) && near(from_second) {
                let [to_first, to_second] = squared.get_or_insert([0.0; 2]);
                *to_first += from_first.squared_distance;
                *to_second += from_second.squared_distance;
            }
        }
    }
    squared
}
