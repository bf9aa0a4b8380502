//! Finds which tensors of two models correspond.

pub(super) mod content;
mod kin;
mod names;
pub(super) mod prefixes;

use core::cmp::Ordering;

use alloc::vec::Vec;

pub(super) use self::kin::is_telling;
use super::common::limit;
use super::geometry::share;
use super::{IncompatibleSignatures, compatibility};
use crate::errors::names;
use crate::signature::{Signature, TensorSignature};

names! {
    /// The rule by which tensors of two models are matched.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[non_exhaustive]
    pub enum MatchRule {
        /// Equal names.
        #[default]
        Names => "names",
        /// Names that are equal once wrappers such as `module.` and a prefix are removed.
        Prefix => "prefix",
        /// Equal shapes and similar values; names are ignored.
        Content => "content",
    }

    /// The name of the rule: `names`, `prefix` or `content`.
    pub fn name;
}

/// The pairs of corresponding tensors of two models.
///
/// The result depends on the two signatures alone. Corresponding tensors have the same shape, except that
/// weights may differ in their number of rows. The first of these rules to cover at least half of the smaller
/// model's weights decides:
///
/// 1. *Names*: tensors of equal names.
/// 2. *Prefix*: parts that wrappers add to names (such as `module`, `_orig_mod` and `base_layer`) are
///    removed. Of the remaining tensors, two match if their names are equal after removing one prefix in each
///    model. The pair of prefixes that matches the most weights with similar values is taken, provided that
///    most of the weights it matches are similar. This is repeated on the tensors still left. It handles
///    unknown wrappers and models nested in a larger one.
/// 3. *Content*: weights of equal shapes are paired, nearest first, as long as they are far nearer than
///    independent weights could be by chance; ties are broken by name. The pairs must cover half of the
///    weights that could be paired by shape, so that independently trained models of one architecture don't
///    match. Then tensors that are the only ones of their shape left in both models are paired.
///
/// If no rule covers half of the weights, the tensors matched by the first two rules correspond. If names
/// match weights but few of those have similar values, the third rule is tried, since layers may have been
/// reordered.
///
/// # Examples
///
/// ```
/// use mother::evidence::{MatchRule, Matching};
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = |layer: &str, last| {
///     InMemoryModel::new("m").with_layer(layer, [2, 2], vec![9.0_f32, 1.0, 1.0, last])
/// };
/// let options = SignatureOptions::new();
/// let base = options.sign(&model("layers.0.weight", 1.0)?)?;
/// let wrapped = options.sign(&model("net.layers.0.weight", 1.5)?)?;
/// let matching = Matching::between(&base, &wrapped)?;
/// assert_eq!(matching.rule(), MatchRule::Prefix);
/// let (first, second) = matching.pairs()[0];
/// assert_eq!((first.name(), second.name()), ("layers.0.weight", "net.layers.0.weight"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Matching<'a> {
    rule: MatchRule,
    pairs: Vec<(&'a TensorSignature, &'a TensorSignature)>,
}

/// Positions of corresponding tensors in the first and in the second model.
type Positions = Vec<(usize, usize)>;

impl<'a> Matching<'a> {
    /// Matches the tensors of two models.
    ///
    /// # Errors
    ///
    /// [`IncompatibleSignatures`] if the signatures were made with different settings.
    ///
    /// # Complexity
    ///
    /// O(t) time for t tensors if names are equal, O(t d) for names of d parts otherwise. By content, O(t k)
    /// for sketches of k numbers to find that models are unrelated, and O(s t k) to match related ones with
    /// up to s ≤ 256 weights of one shape.
    pub fn between(
        first: &'a Signature,
        second: &'a Signature,
    ) -> Result<Self, IncompatibleSignatures> {
        compatibility::check(first, second)?;
        Ok(Self::of_checked(first, second))
    }

    /// Matches models whose signatures were made with the same settings.
    pub(crate) fn of_checked(first: &'a Signature, second: &'a Signature) -> Self {
        let equal = names::equal(first.tensors(), second.tensors());
        let least = first.weights().min(second.weights()).div_ceil(2);
        let covers = |pairs: &Positions| values(first.tensors(), second.tensors(), pairs) >= least;
        let (rule, pairs) = if covers(&equal) {
            match shuffled(first, second, &equal) {
                Some(shuffled) => (MatchRule::Content, shuffled),
                None => (MatchRule::Names, equal),
            }
        } else if is_after(first, second) {
            // The two models are put into a fixed order, so that ties are always broken alike.
            let (rule, pairs) = by_other_rules(second, first, swapped(equal), least);
            (rule, swapped(pairs))
        } else {
            by_other_rules(first, second, equal, least)
        };
        let (u, v) = (first.tensors(), second.tensors());
        Self {
            rule,
            pairs: pairs.into_iter().map(|(i, j)| (&u[i], &v[j])).collect(),
        }
    }

    /// The rule that matched the tensors.
    #[must_use]
    pub const fn rule(&self) -> MatchRule {
        self.rule
    }

    /// The corresponding tensors of the first and the second model, sorted by name in the first.
    #[must_use]
    pub fn pairs(&self) -> &[(&'a TensorSignature, &'a TensorSignature)] {
        &self.pairs
    }
}

/// The corresponding tensors if most of their names differ, sorted by position.
fn by_other_rules(
    first: &Signature,
    second: &Signature,
    equal: Positions,
    least: u64,
) -> (MatchRule, Positions) {
    let (u, v) = (first.tensors(), second.tensors());
    let names = equal.len();
    if !content::have_equal_shapes(u, v) {
        return (MatchRule::Names, equal);
    }
    let mut by_prefix = prefixes::matching(u, v, equal);
    if values(u, v, &by_prefix) < least
        && let Some(mut by_content) = content::matching(u, v)
    {
        by_content.sort_unstable();
        return (MatchRule::Content, by_content);
    }
    by_prefix.sort_unstable();
    let rule = if by_prefix.len() > names {
        MatchRule::Prefix
    } else {
        MatchRule::Names
    };
    (rule, by_prefix)
}

/// How many weights of equal names are checked before their names are trusted.
const SAMPLED: usize = 16;

/// The tensors that correspond by value, if those of equal names are mostly far apart.
fn shuffled(first: &Signature, second: &Signature, equal: &Positions) -> Option<Positions> {
    let (u, v) = (first.tensors(), second.tensors());
    let weights: Vec<&(usize, usize)> = (equal.iter()).filter(|(i, _)| u[*i].is_weight()).collect();
    let step = weights.len().div_ceil(SAMPLED).max(1);
    let sample = weights.iter().step_by(step);
    let is_near =
        |&&&(i, j): &&&(usize, usize)| content::may_be_near(&u[i], &v[j]) && are_near(&u[i], &v[j]);
    let enough = sample.len().div_ceil(4);
    if sample.filter(is_near).take(enough).count() >= enough {
        return None;
    }
    let mut pairs = if is_after(first, second) {
        swapped(content::matching(v, u)?)
    } else {
        content::matching(u, v)?
    };
    pairs.sort_unstable();
    Some(pairs)
}

/// Whether the first model comes after the second in a fixed order.
fn is_after(first: &Signature, second: &Signature) -> bool {
    let tensors = first.tensors().iter().zip(second.tensors());
    let key = |tensor: &TensorSignature| (tensor.digest().words(), tensor.moments().count());
    let orders = tensors.map(|(u, v)| u.name().cmp(v.name()).then_with(|| key(u).cmp(&key(v))));
    let count = first.tensors().len().cmp(&second.tensors().len());
    let different = orders.chain([count]).find(|order| order.is_ne());
    different == Some(Ordering::Greater)
}

fn swapped(pairs: Positions) -> Positions {
    let mut swapped: Positions = pairs.into_iter().map(|(i, j)| (j, i)).collect();
    swapped.sort_unstable();
    swapped
}

/// The number of values in the corresponding weights.
fn values(first: &[TensorSignature], second: &[TensorSignature], pairs: &Positions) -> u64 {
    let weights = pairs.iter().filter(|(i, _)| first[*i].is_weight());
    weights
        .map(|&(i, j)| common_values(&first[i], &second[j]))
        .sum()
}

fn common_values(u: &TensorSignature, v: &TensorSignature) -> u64 {
    u.moments().count().min(v.moments().count())
}

/// Whether two tensors may correspond: they have the same shape, or are weights that differ only in their
/// number of rows.
fn is_same_but_for_rows(u: &TensorSignature, v: &TensorSignature) -> bool {
    if u.shape() == v.shape() {
        return true;
    }
    // The first dimension counts rows; a longer vector has only that one.
    u.is_weight()
        && v.is_weight()
        && u.shape().len() == v.shape().len()
        && u.shape().get(1..) == v.shape().get(1..)
        && u.sketch().groups().width() == v.sketch().groups().width()
}

/// How much two tensors differ on the rows that both have.
#[derive(Clone, Copy)]
struct Difference {
    /// ‖u − v‖² / (‖u‖² + ‖v‖²): near 1 for independent weights.
    share: f64,
    /// How many numbers of each sketch this was estimated from.
    numbers: usize,
}

impl Difference {
    fn between(u: &TensorSignature, v: &TensorSignature) -> Self {
        let (mut squared, mut norms, mut groups) = (0.0, 0.0, 0);
        // Sketches of one width have the same number of buckets.
        let _ = u.sketch().compare_each(v.sketch(), |group| {
            squared += group.squared_distance;
            norms += group.first_squared_norm + group.second_squared_norm;
            groups += 1;
        });
        Self {
            share: share(squared, norms),
            numbers: groups * u.sketch().buckets_of_group(),
        }
    }
}

/// Whether two weights are nearer than weights of unrelated models.
fn are_near(u: &TensorSignature, v: &TensorSignature) -> bool {
    Difference::between(u, v).share <= limit(u, v)
}

/// Whether two weights of one shape have a common origin: they are nearer than chance explains for independent
/// ones.
pub(super) fn are_copies(u: &TensorSignature, v: &TensorSignature) -> bool {
    if u.shape() != v.shape() || !content::may_be_near(u, v) {
        return false;
    }
    let difference = Difference::between(u, v);
    let is_zero = u.sketch().squared_norms().iter().all(|&norm| norm == 0.0);
    !is_zero && difference.share <= content::limit(difference)
}
