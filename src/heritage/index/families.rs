//! From near pairs to families and their trees.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::{HashMap, HashSet};
use num_traits::Float;

use super::blocks::Layout;
use super::near::{Compared, Comparer};
use super::{Entry, IndexError, Settings};
use crate::disjoint_sets::DisjointSets;
use crate::evidence::{
    CopyKind, Geometry, MatchRule, NEARLY_ALL, PARTIAL, SAME_SHARE, SharedWeights,
    SignatureComparison, copy_kind, in_both_directions, restricted_squared_distance,
};
use crate::heritage::recovery::sparse::{Family, NearPair, Placement, TreeRules, trees};
use crate::heritage::{Descent, DescentKind, MergeParent, Model, ModelGraph};
use crate::parallel;
use crate::progress::ProgressReporter;
use crate::signature::Signature;

/// How many of the nearest models are considered as the original of a copy.
const NEAREST_ORIGINALS: usize = 8;

/// Two models that may belong to one family, the smaller position first.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Join {
    pub(super) first: usize,
    pub(super) second: usize,
    /// The smaller of the two shares that were compared.
    shared: f64,
    unrelatedness: f64,
}

impl Join {
    /// `None` if the two aren't related.
    pub(super) fn of(compared: &Compared) -> Option<Self> {
        let pair = &compared.pair;
        let is_near = compared.is_related && compared.unrelatedness <= Geometry::UNRELATED;
        is_near.then_some(Self {
            first: pair.first,
            second: pair.second,
            shared: pair.compared[0].min(pair.compared[1]),
            unrelatedness: compared.unrelatedness,
        })
    }

    /// The same join with the models at other positions.
    pub(super) fn moved(self, place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        let (first, second) = (place(self.first)?, place(self.second)?);
        Some(Self {
            first,
            second,
            ..self
        })
    }

    /// Orders pairs by what they share, most first, and then the nearest first; ties are broken by name.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        (other.shared.total_cmp(&self.shared))
            .then(self.unrelatedness.total_cmp(&other.unrelatedness))
            .then((self.first, self.second).cmp(&(other.first, other.second)))
    }
}

/// Groups the models by their near pairs. Members are ascending, and families are in the order of their first
/// member.
///
/// Pairs that share most are joined first, and then the nearest, but two sets are joined only if most pairs
/// between them can be compared. So a model with matrices from two families belongs to one of them and
/// doesn't join them. The blocks of two models determine whether they can be compared.
pub(super) fn families(
    block_of: &[usize],
    layouts: &[&Layout],
    mut joins: Vec<Join>,
) -> Vec<Vec<usize>> {
    joins.sort_by(Join::order);
    let mut sets = DisjointSets::new(block_of.len());
    let mut counts: Vec<BTreeMap<usize, usize>> = (block_of.iter())
        .map(|&block| BTreeMap::from([(block, 1)]))
        .collect();
    let mut comparable: HashMap<(usize, usize), bool> = HashMap::new();
    for join in joins {
        let (u, v) = (sets.find(join.first), sets.find(join.second));
        if u == v {
            continue;
        }
        let (mut can, mut all) = (0, 0);
        for (&first, &of_first) in &counts[u] {
            for (&second, &of_second) in &counts[v] {
                let blocks = (first.min(second), first.max(second));
                let is_comparable = *comparable.entry(blocks).or_insert_with(|| {
                    first == second || layouts[first].is_comparable(layouts[second])
                });
                let pairs = of_first * of_second;
                all += pairs;
                can += if is_comparable { pairs } else { 0 };
            }
        }
        if 2 * can > all {
            let moved = core::mem::take(&mut counts[u.max(v)]);
            sets.join(u, v);
            for (block, count) in moved {
                *counts[u.min(v)].entry(block).or_default() += count;
            }
        }
    }
    sets.into_members()
}

/// Places the models of a small family with [`Recovery`](crate::heritage::Recovery), over all pairs.
pub(super) fn place_densely(
    settings: &Settings,
    signatures: &[Signature],
) -> Result<ModelGraph, IndexError> {
    let evidence = SignatureComparison::new().compare(signatures)?;
    Ok(settings.recovery.recover(&evidence)?)
}

/// The original of a copy, and how the copy was made.
type Origin = (usize, CopyKind);

/// A family too large for comparing all pairs.
pub(super) struct LargeFamily<'a> {
    pub(super) settings: &'a Settings,
    pub(super) names: Vec<&'a str>,
    pub(super) entries: Vec<&'a Entry>,
    /// The near pairs of its members, by position in the family.
    pub(super) near: Vec<Compared>,
}

impl LargeFamily<'_> {
    /// Places all members. Parents are positions in the family.
    pub(super) fn place(
        mut self,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<Model>, IndexError> {
        let comparison = self.compare_without_replaced(reporter)?;
        let comparer = Comparer {
            comparison,
            entries: &self.entries,
        };
        let (kinds, originals) = self.copies();
        let pairs = self.pairs();
        let family = Family {
            names: self.names.clone(),
            merges: self.merges(&comparer, &pairs, &originals)?,
            pairs,
            originals,
            partial: self.partial(&comparer),
        };
        let recovery = &self.settings.recovery;
        let (stage, stages) = recovery.stages_of(&self.names);
        let rules = TreeRules {
            model: recovery.model(),
            stage,
            stages: &stages,
        };
        let found = trees(&family, recovery.knowledge(), &rules)?;
        let stage = found.stage(recovery.model());
        let place = |(member, placement): (usize, &Placement)| {
            let parent = placement.parent;
            let pair = parent.and_then(|parent| self.pair(&family.pairs, parent, member));
            let kind = kinds[member].filter(|&(original, _)| Some(original) == parent);
            let mut model = Model::new(self.names[member]);
            if let Some(score) = comparer.comparison.score(&self.entries[member].signature) {
                model = model.with_score(score);
            }
            if let Some(stage) = stage.filter(|_| parent.is_none()) {
                model = model.with_stage(stage);
            }
            placed(model, placement, pair.map(|pair| (member, pair)), kind)
        };
        let mut models: Vec<Model> = found.placements.iter().enumerate().map(place).collect();
        for merge in &family.merges {
            let parents = merge.parents().iter();
            let parents = parents.map(|&(parent, weight)| MergeParent { parent, weight });
            let model = &mut models[merge.model()];
            *model = model.clone().with_merged_from(parents.collect());
        }
        Ok(models)
    }

    /// Compares the near pairs again without the weights that were mostly replaced, if there are any.
    fn compare_without_replaced(
        &mut self,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<SignatureComparison, IndexError> {
        let without = self.mostly_replaced();
        if without.is_empty() {
            return Ok(SignatureComparison::new());
        }
        let comparison = SignatureComparison::new().without(without);
        let pairs: Vec<(usize, usize)> = (self.near.iter())
            .map(|compared| (compared.pair.first, compared.pair.second))
            .collect();
        let comparer = Comparer {
            comparison: comparison.clone(),
            entries: &self.entries,
        };
        self.near = comparer.compare(&pairs, reporter)?;
        Ok(comparison)
    }

    pub(super) fn pair<'p>(
        &self,
        pairs: &'p [NearPair],
        a: usize,
        b: usize,
    ) -> Option<&'p NearPair> {
        let ends = (a.min(b), a.max(b));
        let found = pairs.binary_search_by_key(&ends, |pair| (pair.first, pair.second));
        found.ok().map(|at| &pairs[at])
    }

    /// All names of the weights that were replaced in at least half of the near pairs that have them.
    fn mostly_replaced(&self) -> Vec<String> {
        let related = || self.near.iter().filter(|compared| compared.is_related);
        let mut replaced: BTreeMap<&str, usize> = BTreeMap::new();
        for name in related().flat_map(|compared| &compared.replaced) {
            *replaced.entry(name).or_default() += 1;
        }
        let has = |member: usize, name: &str| self.entries[member].signature.tensor(name).is_some();
        let mostly = replaced.into_iter().filter(|&(name, count)| {
            // If names don't decide the matching, the model without the name has the weight under another
            // one.
            let having = related().filter(|c| {
                let (first, second) = (has(c.pair.first, name), has(c.pair.second, name));
                (first && second) || (c.rule != MatchRule::Names && (first || second))
            });
            2 * count >= having.count()
        });
        mostly.map(|(name, _)| name.into()).collect()
    }

    /// The near pairs, with all distances in the same unit.
    fn pairs(&self) -> Vec<NearPair> {
        let common = self.common();
        let signatures: Vec<&Signature> = self.entries.iter().map(|e| &e.signature).collect();
        let shared = SharedWeights::of(&signatures);
        let pair = |compared: &Compared| NearPair {
            distance: if compared.size > 0.0 {
                common * compared.pair.distance
            } else {
                compared.pair.distance
            },
            squared_distance: self.squared_distance(compared),
            shared_sets: shared.sets_with(compared.pair.first, compared.pair.second),
            ..compared.pair
        };
        self.near.iter().map(pair).collect()
    }

    /// d² over all weights. If only a part was compared, the rest is assumed to differ to the same degree.
    fn squared_distance(&self, compared: &Compared) -> f64 {
        let pair = &compared.pair;
        if pair.compared[0].min(pair.compared[1]) >= NEARLY_ALL {
            return pair.squared_distance;
        }
        let norms = [pair.first, pair.second].map(|member| self.entries[member].squared_norm);
        compared.unrelatedness * (norms[0] + norms[1])
    }

    /// The original of every member that is a copy, and all copies with the first original in their chain.
    fn copies(&self) -> (Vec<Option<Origin>>, Vec<(usize, usize)>) {
        let mut near: Vec<Vec<(f64, usize)>> = vec![Vec::new(); self.entries.len()];
        for compared in self.near.iter().filter(|compared| compared.is_related) {
            let pair = &compared.pair;
            near[pair.first].push((pair.distance, pair.second));
            near[pair.second].push((pair.distance, pair.first));
        }
        let origin = |(copy, mut near): (usize, Vec<(f64, usize)>)| {
            near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            near.truncate(NEAREST_ORIGINALS);
            near.into_iter().find_map(|(_, original)| {
                let (of_original, of_copy) = (
                    &self.entries[original].signature,
                    &self.entries[copy].signature,
                );
                Some((original, copy_kind(of_original, of_copy)?))
            })
        };
        let made_from: Vec<Option<Origin>> = parallel::map(near.into_iter().enumerate(), origin);
        let mut kinds = made_from.clone();
        let mut originals = Vec::new();
        for copy in 0..made_from.len() {
            let mut original = copy;
            let mut steps = 0;
            while let Some((next, _)) = made_from[original]
                && steps <= NEAREST_ORIGINALS
            {
                original = next;
                steps += 1;
            }
            if steps > NEAREST_ORIGINALS {
                // A cycle: neither is a copy of the other.
                kinds[copy] = None;
            } else if steps > 0 {
                originals.push((copy, original));
                kinds[copy] = made_from[copy].map(|(_, kind)| (original, kind));
            }
        }
        (kinds, originals)
    }

    /// See [`Family::partial`].
    fn partial(&self, comparer: &Comparer<'_>) -> HashMap<(usize, usize), Option<f64>> {
        let common = self.common();
        let mut near: Vec<Vec<(usize, &NearPair)>> = vec![Vec::new(); self.entries.len()];
        let mut uneven = HashSet::new();
        for compared in self.near.iter().filter(|compared| compared.is_related) {
            let pair = &compared.pair;
            if (pair.compared[0] - pair.compared[1]).abs() > SAME_SHARE {
                uneven.insert((pair.first, pair.second));
            }
            near[pair.first].push((pair.second, pair));
            near[pair.second].push((pair.first, pair));
        }
        let distances = parallel::map(near.iter().enumerate(), |(child, near)| {
            self.partial_parents(child, near, comparer, common)
        });
        let are_even = |u: usize, v: usize| !uneven.contains(&(u.min(v), u.max(v)));
        in_both_directions(distances.into_iter().flatten().collect(), are_even)
            .into_iter()
            .collect()
    }

    /// The near models that cover less of a child than another one does, each with the distance that it would have
    /// over all of the child. `common` is the unit of distances.
    fn partial_parents(
        &self,
        child: usize,
        near: &[(usize, &NearPair)],
        comparer: &Comparer<'_>,
        common: f64,
    ) -> Vec<((usize, usize), Option<f64>)> {
        let share = |pair: &NearPair| pair.share_of(child);
        let most = near.iter().map(|(_, pair)| share(pair)).fold(0.0, f64::max);
        let covers = |pair: &NearPair| share(pair) > most - PARTIAL;
        let covering = near.iter().filter(|(_, pair)| covers(pair));
        let nearest = covering
            .min_by(|(a, to_a), (b, to_b)| to_a.distance.total_cmp(&to_b.distance).then(a.cmp(b)));
        let Some(&(nearest, to_nearest)) = nearest else {
            return Vec::new();
        };
        let less = near.iter().filter(|(_, pair)| !covers(pair));
        let distance = |&(parent, pair): &(usize, &NearPair)| {
            let [from_parent, from_nearest] = restricted_squared_distance(
                comparer.comparison.options(),
                &self.entries[child].signature,
                &self.entries[parent].signature,
                &self.entries[nearest].signature,
            )?;
            let ratio = Float::sqrt(from_parent / from_nearest);
            let scale = if pair.distance > 0.0 { common } else { 1.0 };
            let distance = (from_nearest > 0.0 && ratio.is_finite())
                .then_some(scale * to_nearest.distance * ratio);
            Some(((parent, child), distance))
        };
        less.filter_map(distance).collect()
    }

    /// The mean size of the compared weights: the unit of distances.
    fn common(&self) -> f64 {
        let sizes = self.near.iter().map(|compared| compared.size);
        sizes.sum::<f64>() / self.near.len().max(1) as f64
    }
}

/// The model at its place, given its position with the comparison with its parent, and how it was copied from it.
fn placed(
    model: Model,
    placement: &Placement,
    with_parent: Option<(usize, &NearPair)>,
    copied: Option<Origin>,
) -> Model {
    let certainty = &placement.certainty;
    let model = match certainty.runner_up {
        Some(runner_up) => model.with_runner_up(runner_up),
        None => model,
    };
    let Some(parent) = placement.parent else {
        return model.with_root_confidence(certainty.confidence);
    };
    let mut descent = Descent {
        joined: certainty.joined,
        alike: certainty.alike.clone(),
        ..Descent::new(parent).with_confidence(certainty.confidence)
    };
    if let Some((member, pair)) = with_parent {
        descent = descent
            .with_distance(pair.distance)
            .with_compared(pair.share_of(member));
    }
    if let Some((_, kind)) = copied {
        descent = descent.with_kind(DescentKind::Copy(kind));
    }
    model.with_descent(descent)
}

/// Combines the models of many neighbourhoods into one graph.
pub(super) fn graph<'a>(
    parts: impl Iterator<Item = &'a [Model]>,
) -> Result<ModelGraph, IndexError> {
    let mut models = Vec::new();
    for part in parts {
        let offset = models.len();
        let moved = |model: &Model| model.clone().moved(|other| Some(other + offset));
        models.extend(part.iter().map(moved));
    }
    Ok(ModelGraph::new(models)?)
}
