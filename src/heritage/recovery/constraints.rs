//! The possible parents of each model of a group or cluster, given known facts, copies and merges.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::model::{JointConstant, JointModel};
use crate::evidence::{Assembled, Coverage, Geometry, GroupEvidence, Merge};
use crate::heritage::Knowledge;

/// The least advantage of a copy over its original by which a model was trained from the copy, as a share of the
/// squared distance of the two. Steps are orthogonal to what copying changed, so the advantage is all of that distance
/// if the model was trained from the copy, and as much the other way if it was trained from the original.
const HALF_WAY: f64 = 0.5;

/// The least such advantage as a share of the squared distance from the original, several errors of its estimate.
const CLEARLY: f64 = 0.1;

/// What a model may have been made from.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    /// From any other model.
    Any,
    /// From one of these models, or from none if the list is empty.
    These(Vec<usize>),
    /// A known parent, regardless of other evidence; `None` if it isn't among the models.
    Only(Option<usize>),
}

/// The rules for some models, by their position.
#[derive(Clone, Debug)]
pub(super) struct Constraints {
    origins: Vec<Origin>,
    /// Whether no other model may be made from this one. Known children are an exception.
    childless: Vec<bool>,
    /// Pairs of a child and a model that is not its parent.
    not_parents: HashSet<(usize, usize)>,
    times: Vec<Option<i64>>,
    /// Pairs of a child and its claimed parent.
    claims: Vec<(usize, usize)>,
    /// Pairs of a merged model and one of the models it was averaged from.
    sources: Vec<(usize, usize)>,
    /// The pairs of `sources` that belong to different trees.
    apart: Vec<(usize, usize)>,
}

impl Constraints {
    /// The constraints from prior knowledge only.
    pub(super) fn new(group: &GroupEvidence, knowledge: &Knowledge) -> Self {
        let names: Vec<&str> = group.models().iter().map(|name| &**name).collect();
        Self::of_names(&names, |name| group.position(name), knowledge)
    }

    /// The constraints from prior knowledge only, for models with these names.
    pub(super) fn of_names(
        names: &[&str],
        position: impl Fn(&str) -> Option<usize>,
        knowledge: &Knowledge,
    ) -> Self {
        let models = names.len();
        let mut constraints = Self {
            origins: vec![Origin::Any; models],
            childless: vec![false; models],
            not_parents: HashSet::new(),
            times: names.iter().map(|name| knowledge.time(name)).collect(),
            claims: Vec::new(),
            sources: Vec::new(),
            apart: Vec::new(),
        };
        let positions = |(child, parent): (&str, &str)| Some((position(child)?, position(parent)?));
        constraints
            .claims
            .extend(knowledge.claims().filter_map(positions));
        for (child, parent) in knowledge.parents().filter_map(positions) {
            constraints.origins[child] = Origin::Only(Some(parent));
        }
        for root in knowledge.roots().filter_map(&position) {
            constraints.origins[root] = Origin::These(Vec::new());
        }
        for leaf in knowledge.leaves().filter_map(&position) {
            constraints.childless[leaf] = true;
        }
        let not_parents = knowledge.not_parents().filter_map(positions);
        constraints.not_parents.extend(not_parents);
        constraints
    }

    /// Adds that copies are leaves below their originals.
    pub(super) fn with_copies(self, group: &GroupEvidence) -> Self {
        let copies = group.copies().iter();
        let originals: Vec<(usize, usize)> = copies
            .filter_map(|copy| Some((copy.copy, group.original(copy.copy)?)))
            .collect();
        let pairs = originals
            .iter()
            .flat_map(|&(copy, _)| (0..group.models().len()).map(move |model| (copy, model)));
        let distance = |u, v| group.distances().distance(u, v);
        self.with_originals(&originals, pairs, distance)
    }

    /// Adds that copies, each given with its original, are leaves, except those with known children, and those
    /// to which a model is clearly nearer than to their originals: adapters are trained on quantised copies, and
    /// pruned models are trained further. The pairs are of a copy and another model each.
    pub(super) fn with_originals(
        mut self,
        copies: &[(usize, usize)],
        pairs: impl Iterator<Item = (usize, usize)>,
        distance: impl Fn(usize, usize) -> Option<f64>,
    ) -> Self {
        let originals: HashMap<usize, usize> = copies.iter().copied().collect();
        let mut parents: HashSet<usize> = self.known_edges().map(|(_, parent)| parent).collect();
        parents.extend(pairs.filter_map(|(copy, model)| {
            let original = *originals.get(&copy)?;
            let squared = |u, v| distance(u, v).map(|distance| distance * distance);
            let (from_original, copied) = (squared(original, model)?, squared(original, copy)?);
            let least = (HALF_WAY * copied).max(CLEARLY * from_original);
            let is_nearer = from_original - squared(copy, model)? > least;
            let is_trained = model != original && !originals.contains_key(&model);
            // Nothing is nearer to a duplicate, unless fewer of its tensors could be matched.
            (is_nearer && is_trained && copied > 0.0).then_some(copy)
        }));
        for &(copy, original) in copies {
            self.prefer(copy, vec![original]);
            self.childless[copy] |= !parents.contains(&copy);
        }
        self
    }

    /// Adds that an average of unrelated models is the root of its own tree, and an average of related models
    /// is a child of one of them.
    pub(super) fn with_merges(mut self, group: &GroupEvidence, merges: &[Merge]) -> Self {
        let Some(geometry) = group.geometry() else {
            return self;
        };
        for merge in merges {
            let parents: Vec<usize> = merge.parents().iter().map(|&(parent, _)| parent).collect();
            let related = parents.iter().all(|&first| {
                let to_first = |&second: &usize| geometry.unrelatedness(first, second);
                (parents.iter().filter_map(to_first))
                    .all(|unrelated| unrelated <= Geometry::UNRELATED)
            });
            let model = merge.model();
            (self.sources).extend(parents.iter().map(|&parent| (model, parent)));
            if related {
                self.prefer(model, parents);
            } else if self.origins[model] == Origin::Any {
                self.origins[model] = Origin::These(Vec::new());
                (self.apart).extend(parents.into_iter().map(|parent| (model, parent)));
            }
        }
        self.add_sources_of_sources();
        self
    }

    /// Adds that averages of related models are children of one of them, and not parents of any.
    pub(super) fn with_merges_of_relatives(mut self, merges: &[Merge]) -> Self {
        for merge in merges {
            let parents: Vec<usize> = merge.parents().iter().map(|&(parent, _)| parent).collect();
            let model = merge.model();
            (self.sources).extend(parents.iter().map(|&parent| (model, parent)));
            // This leaves few circles that have to be found one by one.
            (self.not_parents).extend(parents.iter().map(|&parent| (parent, model)));
            self.prefer(model, parents);
        }
        self.add_sources_of_sources();
        self
    }

    /// Adds that a model assembled from other models' weights came after each of them, and is a child of one
    /// of them.
    pub(super) fn with_assembled(mut self, group: &GroupEvidence) -> Self {
        for Assembled { model, parts } in group.coverage().map_or(&[][..], Coverage::assembled) {
            (self.sources).extend(parts.iter().map(|&part| (*model, part)));
            self.prefer(*model, parts.clone());
        }
        self
    }

    /// A merge was also made from what the merges among its sources were made from.
    fn add_sources_of_sources(&mut self) {
        let mut at = 0;
        while let Some(&(merge, source)) = self.sources.get(at) {
            let earlier = self.sources.iter().filter(|&&(model, _)| model == source);
            let earlier: Vec<(usize, usize)> =
                earlier.map(|&(_, earlier)| (merge, earlier)).collect();
            for pair in earlier {
                if pair.0 != pair.1 && !self.sources.contains(&pair) {
                    self.sources.push(pair);
                }
            }
            at += 1;
        }
    }

    fn prefer(&mut self, model: usize, parents: Vec<usize>) {
        if self.origins[model] == Origin::Any && !parents.is_empty() {
            self.origins[model] = Origin::These(parents);
        }
    }

    /// Every known edge as child and parent.
    pub(super) fn known_edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let origins = self.origins.iter().enumerate();
        origins.filter_map(|(child, origin)| match origin {
            Origin::Only(Some(parent)) => Some((child, *parent)),
            _ => None,
        })
    }

    /// The models that can only be roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        let is_root =
            |origin: &Origin| matches!(origin, Origin::These(parents) if parents.is_empty());
        (0..self.origins.len()).filter(move |&model| is_root(&self.origins[model]))
    }

    /// Pairs that can't be in one tree, in addition to pairs of roots.
    pub(super) fn apart(&self) -> &[(usize, usize)] {
        &self.apart
    }

    /// The constraints of some models, ascending, renumbered by position in that list.
    pub(super) fn select(&self, members: &[usize]) -> Self {
        let member = |model: usize| members.binary_search(&model).ok();
        let origin = |&child: &usize| match &self.origins[child] {
            Origin::These(parents) if !parents.is_empty() => {
                let here: Vec<usize> = parents.iter().copied().filter_map(member).collect();
                if here.is_empty() {
                    Origin::Any
                } else {
                    Origin::These(here)
                }
            }
            Origin::Only(parent) => Origin::Only(parent.and_then(member)),
            origin => origin.clone(),
        };
        let both = |&(first, second): &(usize, usize)| Some((member(first)?, member(second)?));
        let pairs = |pairs: &[(usize, usize)]| pairs.iter().filter_map(both).collect();
        Self {
            origins: members.iter().map(origin).collect(),
            childless: members.iter().map(|&model| self.childless[model]).collect(),
            not_parents: self.not_parents.iter().filter_map(both).collect(),
            times: members.iter().map(|&model| self.times[model]).collect(),
            claims: pairs(&self.claims),
            sources: pairs(&self.sources),
            apart: pairs(&self.apart),
        }
    }

    pub(super) fn allows(&self, parent: usize, child: usize) -> bool {
        let may_be_parent = match &self.origins[child] {
            Origin::Only(known) => return *known == Some(parent),
            Origin::These(parents) => parents.contains(&parent),
            Origin::Any => true,
        };
        may_be_parent && !self.childless[parent] && !self.not_parents.contains(&(child, parent))
    }

    /// Whether the member's parent is known.
    pub(super) fn is_known(&self, member: usize) -> bool {
        matches!(self.origins[member], Origin::Only(_))
    }

    /// Whether the member would have a place even on its own: it is a known root or an average, or its parent
    /// is known.
    pub(super) fn is_placed(&self, member: usize) -> bool {
        !matches!(self.origins[member], Origin::Any)
    }

    /// Whether the member was made from others without training, like copies and averages. Quantisation,
    /// pruning and averaging change lengths and scores for other reasons, so neither shows which model came
    /// first.
    pub(super) fn is_untrained(&self, member: usize) -> bool {
        matches!(&self.origins[member], Origin::These(parents) if !parents.is_empty())
    }

    /// Whether the member can't be a root.
    pub(super) fn must_descend(&self, member: usize) -> bool {
        match &self.origins[member] {
            Origin::Any => false,
            Origin::These(parents) => !parents.is_empty(),
            Origin::Only(_) => true,
        }
    }

    /// How much cheaper every edge into a member must be, so that it becomes a root only if nothing else is
    /// possible. `range` is the largest possible difference in cost between two trees of the cluster.
    pub(super) fn bonus(&self, member: usize, range: f64) -> f64 {
        if self.must_descend(member) {
            range
        } else {
            0.0
        }
    }

    /// Whether a child was uploaded before its parent.
    fn is_early(&self, parent: usize, child: usize) -> bool {
        match (self.times[parent], self.times[child]) {
            (Some(of_parent), Some(of_child)) => of_child < of_parent,
            _ => false,
        }
    }

    /// The extra cost of an edge whose child was uploaded before its parent, minus the reduction if somebody
    /// claims the edge.
    pub(super) fn hints(&self, parent: usize, child: usize, model: &JointModel) -> f64 {
        let early = if self.is_early(parent, child) {
            model.get(JointConstant::EarlyUpload)
        } else {
            0.0
        };
        if self.claims.contains(&(child, parent)) {
            early - model.get(JointConstant::Claimed)
        } else {
            early
        }
    }

    /// Lets copies and averages descend from any model, because their preferred parents form a cycle.
    pub(super) fn forget_preferences(&mut self) {
        for origin in &mut self.origins {
            if matches!(origin, Origin::These(parents) if !parents.is_empty()) {
                *origin = Origin::Any;
            }
        }
    }

    /// If models in the tree descend from averages of themselves, forbids one edge of each of these paths. Returns
    /// whether there were any.
    ///
    /// The forbidden edge is the one that leads from the average towards the model that it was made from. All paths
    /// are cut at once, so the order of models makes no difference.
    pub(super) fn forbid_circles(&mut self, parents: &[Option<usize>]) -> bool {
        let circle = |&(merge, source): &(usize, usize)| {
            let mut model = source;
            while let Some(parent) = parents[model] {
                if parent == merge {
                    return (!self.is_known(model)).then_some((model, merge));
                }
                model = parent;
            }
            None
        };
        let circles: Vec<(usize, usize)> = self.sources.iter().filter_map(circle).collect();
        self.not_parents.extend(&circles);
        !circles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_descends_from_a_merge_of_its_merge() {
        let names = ["a", "b", "c", "first", "second"];
        let constraints = Constraints::of_names(&names, |_| None, &Knowledge::new());
        let merge = |model, parents: [usize; 2]| {
            Merge::new(model, parents.map(|parent| (parent, 0.5)).into(), 0.0)
        };
        let merges = [merge(3, [0, 1]), merge(4, [2, 3])];
        let mut constraints = constraints.with_merges_of_relatives(&merges);
        assert!(constraints.allows(4, 0));
        assert!(constraints.forbid_circles(&[Some(4), None, None, Some(1), Some(2)]));
        assert!(!constraints.allows(4, 0));
    }

    /// Whichever came first would otherwise decide the tree.
    #[test]
    fn all_circles_are_cut_at_once() {
        let names = ["a", "b", "c", "d", "first", "second"];
        let constraints = Constraints::of_names(&names, |_| None, &Knowledge::new());
        let merge = |model, parents: [usize; 2]| {
            Merge::new(model, parents.map(|parent| (parent, 0.5)).into(), 0.0)
        };
        let mut constraints =
            constraints.with_merges_of_relatives(&[merge(4, [0, 1]), merge(5, [2, 3])]);
        // b descends from the merge of a and b through c, and d from that of c and d through a.
        let parents = [Some(5), Some(2), Some(4), Some(0), None, None];
        assert!(constraints.forbid_circles(&parents));
        assert!(!constraints.allows(4, 2) && !constraints.allows(5, 0));
        assert!(!constraints.forbid_circles(&[None, None, None, None, Some(0), Some(2)]));
    }

    #[test]
    fn preferences_that_go_round_in_a_circle_can_be_forgotten() {
        let names = ["a", "b", "c"];
        let position = |name: &str| names.iter().position(|&other| other == name);
        let knowledge = Knowledge::new().with_root("c");
        let constraints = Constraints::of_names(&names, position, &knowledge);
        let constraints =
            constraints.with_originals(&[(0, 1), (1, 0)], core::iter::empty(), |_, _| None);
        let mut members = constraints.select(&[0, 1, 2]);
        members.childless.fill(false);
        assert!(members.allows(1, 0) && !members.allows(2, 0));
        members.forget_preferences();
        assert!(members.allows(2, 0) && members.allows(2, 1));
        // Known parents stay.
        assert!(!members.allows(0, 2));
    }
}
