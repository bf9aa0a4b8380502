//! Combines the trees of all clusters into one graph.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;
use num_traits::Float;

use super::cluster::{Cluster, Tree};
use super::missing::MissingParent;
use super::stages;
use super::{JointConstant, JointModel, RecoveryError, Rules};
use crate::evidence::Merge;
use crate::heritage::{Descent, EquivalentParents, MergeParent, Model, ModelGraph, RunnerUp};

/// The probability that models on one line are checkpoints of one run rather than averages. Weights can't distinguish the
/// two, so both are equally likely.
const IN_LINE: f64 = 0.5;

/// The models of all trees, sorted by name.
pub(super) struct Forest<'a> {
    models: Vec<Model>,
    positions: HashMap<&'a str, usize>,
}

impl<'a> Forest<'a> {
    pub(super) fn new(trees: &[(Cluster<'a>, Tree)]) -> Self {
        let members = |(cluster, _): &(Cluster<'a>, Tree)| -> Vec<&'a str> {
            (0..cluster.len())
                .map(|member| cluster.name(member))
                .collect()
        };
        let mut names: Vec<&str> = trees.iter().flat_map(members).collect();
        names.sort_unstable();
        let positions: HashMap<&str, usize> = (names.iter().enumerate())
            .map(|(position, &name)| (name, position))
            .collect();
        let mut forest = Self {
            models: names.into_iter().map(Model::new).collect(),
            positions,
        };
        for (cluster, tree) in trees {
            for member in 0..cluster.len() {
                forest.add(cluster, tree, member);
            }
        }
        forest.add_stages(trees);
        forest
    }

    fn add(&mut self, cluster: &Cluster<'a>, tree: &Tree, member: usize) {
        let position = |member: usize| self.positions[cluster.name(member)];
        // Nothing is known about a model without relatives.
        let says = cluster.len() > 1 || cluster.constraints().is_placed(member);
        let certainties = tree.certainties.as_ref().filter(|_| says);
        let certainty = certainties.map(|certainties| &certainties[member]);
        let confidence = certainty.map(|certainty| certainty.confidence);
        let alike = certainty.and_then(|certainty| certainty.alike.as_ref());
        let descent = tree.parents[member].map(|parent| Descent {
            parent: position(parent),
            distance: Some(cluster.distance(parent, member)),
            confidence,
            kind: cluster.kind(parent, member),
            compared: Some(cluster.compared(member, parent)),
            joined: certainty.and_then(|certainty| certainty.joined),
            alike: alike.map(|alike| EquivalentParents {
                models: alike.models.iter().copied().map(position).collect(),
                confidence: alike.confidence,
            }),
        });
        let runner_up = certainty.and_then(|certainty| certainty.runner_up);
        let at = position(member);
        self.models[at] = Model {
            score: cluster.score(member),
            root_confidence: confidence.filter(|_| descent.is_none()),
            descent,
            runner_up: runner_up.map(|runner_up| RunnerUp {
                parent: runner_up.parent.map(position),
                ..runner_up
            }),
            ..Model::new(cluster.name(member))
        };
    }

    /// Adds the parents that are more probably missing than not. Other points at the same place only add
    /// children to them.
    pub(super) fn add_hidden_parents(&mut self, trees: &[(Cluster<'a>, Tree)]) {
        for (cluster, tree) in trees {
            let mut missing: Vec<&MissingParent> = tree.missing.iter().collect();
            // The sort is stable: ties go to the first by name.
            missing.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            let mut added: Vec<(&MissingParent, usize)> = Vec::new();
            let mut moved = vec![false; cluster.len()];
            for point in missing {
                let place = HiddenPlace::new(point, &tree.parents);
                let known = |member: usize| cluster.constraints().is_known(member);
                let children = place.children.iter().copied();
                let free: Vec<usize> = children
                    .filter(|&child| !moved[child] && !known(child))
                    .collect();
                let whole = free.len() == place.children.len() && free.len() > 1;
                let meets = |&&(other, _): &&(&MissingParent, usize)| {
                    other.is_the_same(point, |u, v| cluster.distance(u, v))
                };
                let hidden = match added.iter().find(meets) {
                    Some(&(_, hidden)) => hidden,
                    None if whole && point.probability >= 0.5 => {
                        self.add_hidden_parent(cluster, point, &place)
                    }
                    None => continue,
                };
                added.push((point, hidden));
                for child in free {
                    moved[child] = true;
                    self.hang_on_hidden(cluster, point, &place, (hidden, child));
                }
            }
        }
    }

    /// Adds the missing model, still without children, and returns its position.
    fn add_hidden_parent(
        &mut self,
        cluster: &Cluster<'a>,
        point: &MissingParent,
        place: &HiddenPlace,
    ) -> usize {
        let hidden = Model::hidden(self.hidden_name(cluster, place));
        let hidden = match place.parent {
            Some(parent) => hidden.with_descent(
                Descent::new(self.positions[cluster.name(parent)])
                    .with_distance(distance_to(point, parent, cluster))
                    .with_confidence(place.confidence),
            ),
            None => hidden.with_root_confidence(place.confidence),
        };
        self.models.push(hidden);
        self.models.len() - 1
    }

    /// Makes a member a child of a missing model. Its previous parent becomes the runner-up.
    fn hang_on_hidden(
        &mut self,
        cluster: &Cluster<'a>,
        point: &MissingParent,
        place: &HiddenPlace,
        (hidden, child): (usize, usize),
    ) {
        let model = &mut self.models[self.positions[cluster.name(child)]];
        model.runner_up = Some(RunnerUp {
            parent: model.descent().map(Descent::parent),
            confidence: model.confidence().unwrap_or(0.0),
        });
        let confidence = if child == point.beside {
            place.confidence
        } else {
            point.probability
        };
        let descent = Descent::new(hidden)
            .with_distance(distance_to(point, child, cluster))
            .with_confidence(confidence);
        model.descent = Some(descent);
    }

    /// An unused name, derived from that of the first child.
    fn hidden_name(&self, cluster: &Cluster<'a>, place: &HiddenPlace) -> String {
        let first = place
            .children
            .first()
            .map_or("", |&child| cluster.name(child));
        let mut name = format!("(parent of {first})");
        while self.positions.contains_key(&*name) {
            name.push('′');
        }
        name
    }

    /// Stores the estimated stage of each tree in its root.
    fn add_stages(&mut self, trees: &[(Cluster<'a>, Tree)]) {
        let (asked, weights): (Vec<_>, Vec<_>) = (trees.iter())
            .filter_map(|tree| Some((tree, tree.1.stages?)))
            .unzip();
        let Some((cluster, _)) = trees.first() else {
            return;
        };
        let estimates = stages::estimate(&weights, cluster.model());
        for ((cluster, tree), estimate) in asked.into_iter().zip(estimates) {
            let root = tree.parents.iter().position(Option::is_none);
            if let Some(root) = root.map(|root| self.positions[cluster.name(root)]) {
                self.models[root].stage = Some(estimate);
            }
        }
    }

    /// Adds the parents of the merged models in a group. `models` are the names in it.
    pub(super) fn add_merges(&mut self, models: &[String], rules: &Rules, model: &JointModel) {
        let extrapolated = model.get(JointConstant::Extrapolated).min(1.0);
        for merge in &rules.merges {
            let position = |model: usize| self.positions[&*models[model]];
            let parents = merge.parents().iter().map(|&(parent, weight)| MergeParent {
                parent: position(parent),
                weight,
            });
            let parents = parents.collect();
            let merged = position(merge.model());
            self.models[merged].merged_from = parents;
            let ends = merge.parents().iter().map(|&(end, _)| end);
            let mut all = ends.chain([merge.model()]);
            if !all.any(|model| rules.constraints.is_known(model)) {
                self.doubt_average(models, merge, extrapolated);
                let beside = rules
                    .merges
                    .iter()
                    .find(|other| merge.is_in_line_with(other));
                if let Some(other) = beside {
                    let other = self.positions[&*models[other.model()]];
                    doubt(&mut self.models[merged], other, IN_LINE);
                }
            }
        }
    }

    /// Reduces confidences because an average of a model and its descendant may really be the descendant's parent, if that
    /// was extrapolated from it.
    fn doubt_average(&mut self, models: &[String], merge: &Merge, probability: f64) {
        let &[(first, first_weight), (second, second_weight)] = merge.parents() else {
            return;
        };
        if first_weight.min(second_weight) < 0.0 {
            return;
        }
        let [between, first, second] =
            [merge.model(), first, second].map(|model| self.positions[&*models[model]]);
        let far = match (self.descends(first, second), self.descends(second, first)) {
            (true, _) => first,
            (_, true) => second,
            _ => return,
        };
        let Some(above) = self.parent(far) else {
            return;
        };
        doubt(&mut self.models[far], between, probability);
        if let Some(descent) = &mut self.models[far].descent {
            // Otherwise no edge would join the two.
            descent.joined = descent.joined.map(|joined| (1.0 - probability) * joined);
        }
        if self.parent(between) == Some(far) {
            doubt(&mut self.models[between], above, probability);
        }
    }

    fn parent(&self, model: usize) -> Option<usize> {
        self.models[model].descent().map(Descent::parent)
    }

    /// Whether a model is a descendant of another.
    fn descends(&self, model: usize, ancestor: usize) -> bool {
        let above = core::iter::successors(self.parent(model), |&model| self.parent(model));
        // A tree is no deeper than it has models.
        above.take(self.models.len()).any(|model| model == ancestor)
    }

    pub(super) fn into_graph(self) -> Result<ModelGraph, RecoveryError> {
        Ok(ModelGraph::new(self.models)?)
    }
}

/// Moves a share of the confidence in a model's parent to another possible parent.
fn doubt(model: &mut Model, other: usize, share: f64) {
    let Some(confidence) = model.descent.as_mut().and_then(|d| d.confidence.as_mut()) else {
        return;
    };
    let of_other = share * *confidence;
    *confidence -= of_other;
    if (model.runner_up).is_none_or(|second| second.confidence < of_other) {
        model.runner_up = Some(RunnerUp {
            parent: Some(other),
            confidence: of_other,
        });
    }
}

/// The distance from a missing model to one of its neighbours: the rest of the distance from the model next to
/// it.
fn distance_to(point: &MissingParent, member: usize, cluster: &Cluster<'_>) -> f64 {
    if member == point.beside {
        return Float::sqrt(point.squared_distance);
    }
    let whole = cluster.distance(point.beside, member);
    Float::sqrt((whole * whole - point.squared_distance).max(0.0))
}

/// The place of a missing parent in its tree.
struct HiddenPlace {
    parent: Option<usize>,
    /// Ascending.
    children: Vec<usize>,
    /// The probability that the point exists and has this place.
    confidence: f64,
}

impl HiddenPlace {
    fn new(point: &MissingParent, parents: &[Option<usize>]) -> Self {
        let grandparent = parents[point.beside];
        let between = grandparent.is_some_and(|model| point.neighbours.contains(&model));
        let above = between || (grandparent.is_none() && point.above >= 0.5);
        let mut children: Vec<usize> = (point.neighbours.iter().copied())
            .filter(|&neighbour| Some(neighbour) != grandparent)
            .collect();
        if above {
            children.push(point.beside);
            children.sort_unstable();
        }
        let stands_so = if above {
            point.above
        } else {
            1.0 - point.above
        };
        Self {
            parent: if above {
                grandparent
            } else {
                Some(point.beside)
            },
            children,
            confidence: point.probability * stands_so,
        }
    }
}
