//! Compares two models from their signatures alone.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use num_traits::Float;

use super::common::{Tensor, leave_out_new_rows, order_of_rows, share_of_near, usual_share};
use super::cut::leave_out_reordered;
use super::edits::are_edits;
use super::geometry::share;
use super::matching::is_telling;
use super::score::score_change;
use super::sums::Sums;
use super::zeros::growth_by_zeros;
use super::{
    IncompatibleSignatures, LayerSelection, MatchRule, Matching, PairGrowth, Score, compatibility,
};
use crate::signature::{Signature, TensorSignature};
use crate::sketch::GroupComparison;

/// Models that share less of their weights than this can't be compared.
pub(crate) const LEAST_COMPARED: f64 = 0.02;

/// Models are related if at least this share of their values is in weights that are near to each other.
const RELATED: f64 = 0.5;

/// If it is below this, a small distance comes from a few large values, such as those of norms.
const HARDLY_ANY: f64 = 0.1;

/// Growth says nothing about models that are further apart than this: half of the way to independent weights. Most of
/// what the one knew isn't left in the other, or its rows were rescaled.
const MOST_TURNED: f64 = 0.5;

/// The least share of a squared distance left after removing weight decay; a smaller step is lost in the
/// error of the estimated decay.
const LEAST_STEP: f64 = 0.2;

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
    pub(super) fn compares_both(&self, (u, v): (&TensorSignature, &TensorSignature)) -> bool {
        self.compares(u) && self.compares(v)
    }

    /// Whether two corresponding tensors count as short vectors.
    pub(super) fn selects_vectors(&self, (u, v): (&TensorSignature, &TensorSignature)) -> bool {
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
/// compared. A matrix that a model lists under several names, such as a head tied to the embeddings, counts once.
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
/// assert_eq!(relation.layers(), 1);
/// assert_eq!(relation.squared_distance(), 0.25);
/// assert!(relation.is_related() && !relation.is_equal());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    compared: [f64; 2],
    squared_norms: [f64; 2],
    /// 0 if the models are unrelated.
    squared_size_of_moved: f64,
    squared_distance: f64,
    squared_distance_of_vectors: f64,
    distance: f64,
    size: f64,
    layers: usize,
    related: bool,
    near: f64,
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
        let (groups, mut tensors, vectors) = compare_groups(options, matched);
        let near =
            share_of_near_weights(&tensors, &matching, first.weights().min(second.weights()));
        let related = near >= RELATED;
        let replaced = leave_out(&mut tensors, matched, related);
        let kept = tensors.iter().map(|tensor| matched[tensor.at]);
        let groups = tensors.iter().map(|tensor| &groups[tensor.groups.clone()]);
        let mut sums = Sums::of(groups.clone());
        // An empty sum would be −0.
        let of_vectors = vectors.iter().map(|group| group.squared_distance);
        sums.squared_distance_of_vectors = of_vectors.fold(0.0, |sum, squared| sum + squared);
        let compared = [first, second].map(|model| {
            sums.share_of(model, |tensor| {
                options.layers.selects_tensor(tensor) && !(related && tensor.is_tied())
            })
        });
        let same_weights = sums.squared_distance == 0.0 && compared == [1.0; 2];
        let mut relation = Self {
            related,
            near,
            replaced: replaced.iter().map(|(u, _)| u.name().into()).collect(),
            replaced_in_second: (replaced.iter().filter(|(u, v)| u.name() != v.name()))
                .map(|(_, v)| v.name().into())
                .collect(),
            equal: are_equal(matched, [first, second]),
            rows: if related {
                order_of_rows(kept.clone(), sums.squared_distance > 0.0)
            } else {
                Ordering::Equal
            },
            rule: matching.rule(),
            ..Self::unrelated(&sums, compared, matched.len())
        };
        if relation.is_related() {
            relation.squared_size_of_moved = sums.squared_size_of_moved;
            relation.growth = if same_weights {
                PairGrowth::of_weights(core::iter::once(&vectors[..]))
            } else if relation.unrelatedness() > MOST_TURNED || are_edits(kept.clone()) {
                None
            } else {
                growth_by_zeros(kept.clone()).or_else(|| PairGrowth::of_weights(groups))
            };
            relation.score_change = score_change(options, kept);
        }
        if same_weights {
            relation.distance = Float::sqrt(relation.squared_distance_of_vectors);
        }
        relation
    }

    /// The relation of two different models that have no common ancestor and name their tensors alike.
    pub(super) fn unrelated(sums: &Sums, compared: [f64; 2], matched: usize) -> Self {
        Self {
            compared,
            squared_norms: sums.squared_norms,
            squared_size_of_moved: 0.0,
            squared_distance: sums.squared_distance,
            squared_distance_of_vectors: sums.squared_distance_of_vectors,
            distance: sums.distance / (sums.layers.max(1) as f64),
            size: sums.size / (sums.layers.max(1) as f64),
            layers: sums.layers,
            related: false,
            near: 0.0,
            growth: None,
            score_change: 0.0,
            replaced: Vec::new(),
            replaced_in_second: Vec::new(),
            equal: false,
            rows: Ordering::Equal,
            rule: MatchRule::Names,
            matched,
        }
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
    /// κ²s/4q with κ and s of [`growth`](crate::growth) and q = ‖u − v‖², and at least 0.2. s counts only the groups
    /// of rows that moved, because frozen weights don't decay.
    ///
    /// Children of one model that were trained with weight decay all move towards zero, and so towards each
    /// other. The square of its error is subtracted from κ², so that only clear shrinkage is removed. |κ|/2
    /// is capped at 0.1, because averaging models also shortens weights.
    #[must_use]
    pub fn share_without_decay(&self) -> f64 {
        let Some(growth) = self.growth.filter(|_| self.squared_distance > 0.0) else {
            return 1.0;
        };
        let shrinkage = growth.squared_shrinkage() * self.squared_size_of_moved;
        (1.0 - shrinkage / self.squared_distance).max(LEAST_STEP)
    }

    /// ‖u − v‖² / (‖u‖² + ‖v‖²): near 0 for a model and its copy, and near 1 for independent weights.
    #[must_use]
    pub fn unrelatedness(&self) -> f64 {
        let norms: f64 = self.squared_norms.iter().sum();
        share(self.squared_distance, norms)
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

    /// Whether almost none of the weights are near to each other, even if the distance over all of them is small.
    pub(crate) fn is_unrelated(&self) -> bool {
        self.near < HARDLY_ANY
    }

    /// The growth from the first to the second model, if they are related. `None` if they are further apart than half of
    /// the way to independent weights, or if lengths changed for another reason: a direction was removed from all
    /// matrices that differ, or their rows were rescaled.
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
    /// are related; most often these are reinitialised heads. Those that differ much more than all others
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
    #[must_use]
    pub const fn layers(&self) -> usize {
        self.layers
    }

    /// Which of two related models comes first, judging by rows: `Less` if the second has some matrices of the first
    /// with rows added at the end, and the first has none of the second's.
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

/// The share of the values of two models in weights that are near to each other.
///
/// Masks, constants and tables are the same in unrelated models. They count only if nothing else can be compared and they
/// make up half of the smaller model, whose weights have this many values.
fn share_of_near_weights(tensors: &[Tensor], matching: &Matching<'_>, weights: u64) -> f64 {
    let is_telling = |tensor: &&Tensor| {
        let (first, second) = matching.pairs()[tensor.at];
        is_telling(first) && is_telling(second)
    };
    let of_all = share_of_near(tensors.iter());
    let values: usize = tensors.iter().map(Tensor::values).sum();
    let are_half = values as u64 >= weights / 2;
    // If none of the weights are near, or all of them, that is also true of the telling ones.
    if of_all == 0.0 || (of_all == 1.0 && are_half) {
        return of_all;
    }
    let telling: Vec<&Tensor> = tensors.iter().filter(is_telling).collect();
    match telling.is_empty() {
        false => share_of_near(telling.into_iter()),
        true if are_half => of_all,
        true => 0.0,
    }
}

/// The groups of rows of the weights that both models have, which of them belong to each weight, and the groups
/// of the short vectors.
fn compare_groups(
    options: &RelationOptions,
    matched: &[(&TensorSignature, &TensorSignature)],
) -> (Vec<GroupComparison>, Vec<Tensor>, Vec<GroupComparison>) {
    let (mut groups, mut tensors, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
    for (at, &(u, v)) in matched.iter().enumerate() {
        // Sketches of one width have the same number of buckets.
        if options.compares_both((u, v)) {
            let start = groups.len();
            let _ = (u.sketch()).compare_each(v.sketch(), |group| groups.push(group));
            leave_out_new_rows(&mut groups, start);
            tensors.push(Tensor::new(at, (u, v), &groups, start..groups.len()));
        } else if options.selects_vectors((u, v)) {
            let _ = (u.sketch()).compare_each(v.sketch(), |group| vectors.push(group));
        }
    }
    (groups, tensors, vectors)
}

/// Leaves out the tensors that say nothing about how far the models moved, and returns those that were replaced.
fn leave_out<'a>(
    tensors: &mut Vec<Tensor>,
    matched: &[(&'a TensorSignature, &'a TensorSignature)],
    related: bool,
) -> Vec<(&'a TensorSignature, &'a TensorSignature)> {
    if !related {
        tensors.retain(|tensor| {
            let (u, v) = matched[tensor.at];
            u.shape() == v.shape()
        });
        return Vec::new();
    }
    let usual = usual_share(tensors);
    leave_out_reordered(tensors, matched, usual);
    tensors.retain(|tensor| !are_tied(matched[tensor.at]));
    let far = tensors.iter().filter(|tensor| tensor.is_far());
    let replaced = far.map(|tensor| matched[tensor.at]).collect();
    tensors.retain(|tensor| tensor.is_trained(usual));
    replaced
}

/// Whether both models have these tensors under other names, too.
fn are_tied((u, v): (&TensorSignature, &TensorSignature)) -> bool {
    u.is_tied() && v.is_tied()
}

/// Whether two models have the same tensors with the same values.
fn are_equal(matched: &[(&TensorSignature, &TensorSignature)], models: [&Signature; 2]) -> bool {
    let counts = |tensor: &&TensorSignature| !tensor.is_tied();
    let pairs = (matched.iter()).filter(|&&pair| !are_tied(pair)).count();
    (models.iter()).all(|model| model.tensors().iter().filter(counts).count() == pairs)
        && (matched.iter()).all(|(u, v)| u.digest() == v.digest() && u.shape() == v.shape())
}

/// Eq. 3 over a model's own layers; `None` if no layer has a score.
pub(super) fn score(options: &RelationOptions, signature: &Signature) -> Option<f64> {
    let tensors = signature.tensors().iter();
    let selected = tensors.filter(|tensor| options.score_layers.selects_tensor(tensor));
    let scores = selected.filter_map(|tensor| options.score.of_moments(&tensor.moments()));
    scores.fold(None, |sum, score| Some(sum.unwrap_or(0.0) + score))
}
