//! Recovery: from evidence to the forest of who was trained from whom.

mod cluster;
mod error;
mod joint;
mod paper;
mod stage;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

pub use self::error::RecoveryError;
pub use self::stage::{Stage, UnknownStage};

use self::cluster::{Cluster, Tree};
use super::{Descent, Model, ModelGraph};
use crate::clustering::{Dendrogram, Linkage, Partition, linkage};
use crate::condensed::CondensedMatrix;
use crate::evidence::{Evidence, GroupEvidence};

/// Above this share of the squared distance of independent weights, models are unrelated.
const UNRELATED: f64 = 0.75;

/// How many trees there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Trees {
    /// As many as the evidence says: models are apart when their squared distance is above three
    /// quarters of what independent weights would have. Where that was not measured, the
    /// dendrogram is cut at its widest relative gap.
    #[default]
    Found,
    /// This many over all architectures, but at least one for each of them.
    Count(usize),
    /// Clusters are joined up to this distance.
    Threshold(f64),
}

/// How the tree of a cluster is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Method {
    #[default]
    Joint,
    Paper,
}

/// How to recover a forest from evidence.
///
/// The default decides jointly, for each tree, which models are close, which grew out of which,
/// which way the score changes, and whether growth and score can be trusted at all: among all
/// arborescences the one of the least cost. The cost of the edge from i to j is
///
/// c · (ln D² + f) + γ(b) + ln((1 + exp(2 s v)) / 2),
///
/// where
/// - D is the distance of i and j, and f ∈ \[0, 1\] is the largest share of the way between them
///   that a third model saves: min over k of (d²(i, j) + d²(i, k) − d²(j, k)) / 2d²(i, j), from both
///   ends. Squared distances add up along a tree, so f is near 0 on its edges and positive between
///   siblings.
/// - b ∈ \[−1, 1\] is the [growth](crate::growth) coefficient, shrunk by its errors:
///   β / (1 + σ² of the layers + c · σ² of the model). γ(b) = c (1 − b) / 2, since d² (1 − β) / 2 is
///   how far i is from the last common ancestor of i and j. To first order, so far, the cost is
///   c · ln(d² + what i is away from the ancestor + what a third model saves).
/// - v ∈ \[−1, 1\] is the share of layers whose score rises from i to j less that of those where it
///   falls, brought towards 0 by what chance gives, 1/√(layers + 1). A unanimous vote has odds of
///   e² (0.88), about what kurtosis was right on in the paper's trees.
/// - s is 1 for specialisation, −1 for generalisation, and 0 where the score says nothing: prior
///   probabilities 0.45, 0.45, 0.1 unless the stage is given.
/// - Where growth says nothing of direction (prior probability 0.03), γ(b) = c (1/2 − |b|/6).
///
/// For each of the six states the least arborescence is found exactly; the tree is the best of
/// them, its prior included. c = 18: on real trees of small transformers and residual networks, of
/// which models were left out at random, the true parents were most probable for c from 12 to 36.
/// The scale of the weights changes nothing.
///
/// [Copies](crate::evidence::ModelCopy) are leaves of what they were copied of: 99.4 % of
/// quantised models on a hub have no children (Horwitz et al., *Charting and Navigating Hugging
/// Face's Model Atlas*, arXiv:2503.10633).
///
/// Every edge and root carries a confidence: its posterior probability over all trees and states
/// with costs as −ln of probabilities, found by
/// [`arborescence_distribution`](crate::arborescence::arborescence_distribution), less 3 % for
/// what the evidence can't show. Clusters of more than 300 models have none, since it takes O(n³)
/// time.
///
/// Where evidence has no growth, b = 0; where it has no layer scores, the score is one layer's.
///
/// [`paper`](Self::paper) is the method of Horwitz, Shul and Hoshen to the letter.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::{Evidence, GroupEvidence};
/// use mother::heritage::{Recovery, Trees};
///
/// let names = ["base", "chat", "code"].map(String::from).to_vec();
/// let distances = CondensedMatrix::new(3, vec![1.0, 1.0, 1.4])?;
/// let group = GroupEvidence::new(names, Some(vec![9.0, 8.0, 8.5]), distances)?;
/// let mut evidence = Evidence::default();
/// evidence.groups.push(group);
/// let graph = Recovery::new().with_trees(Trees::Count(1)).recover(&evidence)?;
/// assert_eq!(graph.parent(1), graph.index("base"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    method: Method,
    trees: Trees,
    linkage: Linkage,
    penalty: f64,
    stage: Option<Stage>,
    stages: HashMap<String, Stage>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::new()
    }
}

impl Recovery {
    /// The joint decision over distances, growth and scores; single linkage.
    #[must_use]
    pub fn new() -> Self {
        Self {
            method: Method::Joint,
            trees: Trees::Found,
            linkage: Linkage::Single,
            penalty: 0.3,
            stage: None,
            stages: HashMap::new(),
        }
    }

    /// The paper's Eq. 4 to 6 to the letter: single linkage, specialisation, c = 0.3.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            method: Method::Paper,
            stage: Some(Stage::Specialization),
            ..Self::new()
        }
    }

    /// Sets how many trees there are.
    #[must_use]
    pub fn with_trees(mut self, trees: Trees) -> Self {
        self.trees = trees;
        self
    }

    /// Sets the linkage of the clustering.
    #[must_use]
    pub fn with_linkage(mut self, linkage: Linkage) -> Self {
        self.linkage = linkage;
        self
    }

    /// Sets c of Eq. 6: the penalty of a wrong direction as a multiple of the mean distance; only
    /// [`paper`](Self::paper) uses it.
    #[must_use]
    pub fn with_penalty(mut self, c: f64) -> Self {
        self.penalty = c;
        self
    }

    /// Sets the stage of all models that have none of their own; unless it is set, the default
    /// method finds out the stage of each tree.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Sets the stage that made one model.
    #[must_use]
    pub fn with_stage_of(mut self, model: impl Into<String>, stage: Stage) -> Self {
        self.stages.insert(model.into(), stage);
        self
    }

    /// Clusters the models and spans every cluster: [`clusters`](Self::clusters), then
    /// [`graph`](Self::graph).
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn recover(&self, evidence: &Evidence) -> Result<ModelGraph, RecoveryError> {
        self.graph(evidence, &self.clusters(evidence)?)
    }

    /// The clusters of every group of the evidence.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Threshold`] for one that is NaN or negative, [`RecoveryError::Count`] for
    /// no tree or more trees than models, and [`RecoveryError::Clustering`].
    ///
    /// # Complexity
    ///
    /// O(n²) time and memory, or that of the [`linkage`] chosen.
    pub fn clusters(&self, evidence: &Evidence) -> Result<Vec<Partition>, RecoveryError> {
        let groups = &evidence.groups;
        match self.trees {
            Trees::Found => groups.iter().map(|group| self.find_trees(group)).collect(),
            Trees::Threshold(distance) if distance >= 0.0 => {
                let cut = |group| Ok(self.dendrogram(group)?.cut_at(distance));
                groups.iter().map(cut).collect()
            }
            Trees::Threshold(distance) => Err(RecoveryError::Threshold { distance }),
            Trees::Count(trees) => self.cut_into(trees, groups),
        }
    }

    fn dendrogram(&self, group: &GroupEvidence) -> Result<Dendrogram, RecoveryError> {
        Ok(linkage(group.distances(), self.linkage)?)
    }

    fn find_trees(&self, group: &GroupEvidence) -> Result<Partition, RecoveryError> {
        Ok(match group.geometry() {
            Some(geometry) => {
                let unrelatedness = CondensedMatrix::from_fn(group.models().len(), |i, j| {
                    geometry.unrelatedness(i, j).unwrap_or(1.0)
                })?;
                linkage(&unrelatedness, self.linkage)?.cut_at(UNRELATED)
            }
            None => self.dendrogram(group)?.cut_at_widest_gap().partition,
        })
    }

    /// Undoes the highest merges of all groups until there are so many clusters.
    fn cut_into(
        &self,
        trees: usize,
        groups: &[GroupEvidence],
    ) -> Result<Vec<Partition>, RecoveryError> {
        let models = groups.iter().map(|group| group.models().len()).sum();
        if trees == 0 || trees > models {
            return Err(RecoveryError::Count { trees, models });
        }
        let dendrograms: Vec<Dendrogram> = groups
            .iter()
            .map(|group| self.dendrogram(group))
            .collect::<Result<_, _>>()?;
        let mut counts = vec![1; groups.len()];
        for _ in groups.len()..trees {
            let mut highest: Option<(usize, f64)> = None;
            for (group, dendrogram) in dendrograms.iter().enumerate() {
                let left = dendrogram.steps().len() + 1 - counts[group];
                if let Some(step) = dendrogram.steps()[..left].last()
                    && highest.is_none_or(|(_, height)| step.height > height)
                {
                    highest = Some((group, step.height));
                }
            }
            if let Some((group, _)) = highest {
                counts[group] += 1;
            }
        }
        dendrograms
            .iter()
            .zip(counts)
            .map(|(dendrogram, count)| Ok(dendrogram.cut_into(count)?))
            .collect()
    }

    /// The tree of every cluster, over every possible root.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Penalty`] for a c that is negative or not finite,
    /// [`RecoveryError::Partition`] when the clusters aren't those of this evidence, and
    /// [`RecoveryError::Arborescence`].
    ///
    /// # Complexity
    ///
    /// O(n³) time for the largest cluster's n models, O(n²) with [`paper`](Self::paper); O(n²)
    /// memory.
    pub fn graph(
        &self,
        evidence: &Evidence,
        clusters: &[Partition],
    ) -> Result<ModelGraph, RecoveryError> {
        if !(self.penalty.is_finite() && self.penalty >= 0.0) {
            return Err(RecoveryError::Penalty { c: self.penalty });
        }
        if clusters.len() != evidence.groups.len() {
            return Err(RecoveryError::Partition);
        }
        let mut found: Vec<Found<'_>> = Vec::new();
        for (group, partition) in evidence.groups.iter().zip(clusters) {
            if partition.labels().len() != group.models().len() {
                return Err(RecoveryError::Partition);
            }
            for members in partition.members() {
                self.span(group, members, &mut found)?;
            }
        }
        found.sort_by(|first, second| first.name.cmp(second.name));
        let positions: HashMap<&str, usize> = found
            .iter()
            .enumerate()
            .map(|(position, model)| (model.name, position))
            .collect();
        let models = found.iter().map(|found| found.model(&positions)).collect();
        Ok(ModelGraph::new(models)?)
    }

    /// Finds the tree of one cluster.
    fn span<'a>(
        &self,
        group: &'a GroupEvidence,
        members: Vec<usize>,
        found: &mut Vec<Found<'a>>,
    ) -> Result<(), RecoveryError> {
        let cluster = Cluster::new(group, members)?;
        let stages: Vec<Option<Stage>> = (0..cluster.len())
            .map(|member| self.stages.get(cluster.name(member)).copied())
            .collect();
        let tree = match self.method {
            Method::Joint => joint::tree(&cluster, self.stage, &stages)?,
            Method::Paper => {
                let stage = self.stage.unwrap_or_default();
                paper::tree(&cluster, self.penalty, |member| {
                    stages[member].unwrap_or(stage)
                })?
            }
        };
        found.extend((0..cluster.len()).map(|member| Found::new(&cluster, &tree, member)));
        Ok(())
    }
}

/// A model as recovered.
struct Found<'a> {
    name: &'a str,
    score: Option<f64>,
    confidence: Option<f64>,
    parent: Option<Ancestry<'a>>,
}

/// The parent of a model by name, and what the edge rests on.
struct Ancestry<'a> {
    parent: &'a str,
    distance: f64,
}

impl<'a> Found<'a> {
    fn new(cluster: &Cluster<'a>, tree: &Tree, member: usize) -> Self {
        Self {
            name: cluster.name(member),
            score: cluster.score(member),
            confidence: tree
                .confidences
                .as_ref()
                .map(|confidences| confidences[member]),
            parent: tree.parents[member].map(|parent| Ancestry {
                parent: cluster.name(parent),
                distance: cluster.distance(parent, member),
            }),
        }
    }

    fn model(&self, positions: &HashMap<&str, usize>) -> Model {
        let mut model = Model::new(self.name);
        if let Some(score) = self.score {
            model = model.with_score(score);
        }
        let Some(ancestry) = &self.parent else {
            return match self.confidence {
                Some(confidence) => model.with_root_confidence(confidence),
                None => model,
            };
        };
        let mut descent = Descent::new(positions[ancestry.parent]).with_distance(ancestry.distance);
        if let Some(confidence) = self.confidence {
            descent = descent.with_confidence(confidence);
        }
        model.with_descent(descent)
    }
}
