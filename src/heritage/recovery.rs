//! Recovery: from evidence to the forest of who was trained from whom.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::{Descent, GraphError, Model, ModelGraph};
use crate::arborescence::{ArborescenceError, DenseDigraph, Root, minimum_arborescence};
use crate::clustering::{ClusteringError, Dendrogram, Linkage, Partition, linkage};
use crate::condensed::{CondensedError, CondensedMatrix};
use crate::evidence::{Evidence, GroupEvidence};

/// Above this share of the squared distance of independent weights, models are unrelated.
const UNRELATED: f64 = 0.75;

/// The training that made a model of its parent (Eq. 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Stage {
    /// Fine-tuning: the score falls.
    #[default]
    Specialization,
    /// Pre-training or its continuation: the score rises.
    Generalization,
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(name: &str) -> Result<Self, UnknownStage> {
        match name {
            "specialization" => Ok(Self::Specialization),
            "generalization" => Ok(Self::Generalization),
            _ => Err(UnknownStage { name: name.into() }),
        }
    }
}

/// The name of no stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStage {
    /// The name that was to be read.
    pub name: String,
}

impl fmt::Display for UnknownStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no training stage", self.name)
    }
}

impl Error for UnknownStage {}

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

/// How to recover a forest from evidence; the default is the paper's method.
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
/// let graph = Recovery::paper().with_trees(Trees::Count(1)).recover(&evidence)?;
/// assert_eq!(graph.parent(1), graph.index("base"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    trees: Trees,
    linkage: Linkage,
    penalty: f64,
    stage: Stage,
    stages: HashMap<String, Stage>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::paper()
    }
}

impl Recovery {
    /// The paper's Eq. 4 to 6 to the letter: single linkage, specialisation, c = 0.3.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            trees: Trees::Found,
            linkage: Linkage::Single,
            penalty: 0.3,
            stage: Stage::Specialization,
            stages: HashMap::new(),
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

    /// Sets c of Eq. 6: the penalty of a wrong direction as a multiple of the mean distance.
    #[must_use]
    pub fn with_penalty(mut self, c: f64) -> Self {
        self.penalty = c;
        self
    }

    /// Sets the stage of all models that have none of their own.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
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

    /// The minimum arborescence of Eq. 6 in every cluster, over every possible root.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Penalty`] for a c that is negative or not finite,
    /// [`RecoveryError::Partition`] when the clusters aren't those of this evidence, and
    /// [`RecoveryError::Arborescence`].
    ///
    /// # Complexity
    ///
    /// O(n²) time and memory.
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
                self.span(group, &members, &mut found)?;
            }
        }
        found.sort_by(|first, second| first.name.cmp(second.name));
        let positions: HashMap<&str, usize> = found
            .iter()
            .enumerate()
            .map(|(position, model)| (model.name, position))
            .collect();
        let models = found
            .iter()
            .map(|found| {
                let mut model = Model::new(found.name);
                if let Some(score) = found.score {
                    model = model.with_score(score);
                }
                match found.descent {
                    Some((parent, distance)) => {
                        model.with_descent(Descent::new(positions[parent]).with_distance(distance))
                    }
                    None => model,
                }
            })
            .collect();
        Ok(ModelGraph::new(models)?)
    }

    /// Finds the tree of one cluster.
    fn span<'a>(
        &self,
        group: &'a GroupEvidence,
        members: &[usize],
        found: &mut Vec<Found<'a>>,
    ) -> Result<(), RecoveryError> {
        let distances = group
            .distances()
            .select(members)
            .ok_or(RecoveryError::Partition)?;
        let name = |member: usize| group.models()[members[member]].as_str();
        let score = |member: usize| group.scores().map(|scores| scores[members[member]]);
        let lambda = self.penalty * mean(&distances);
        let costs = DenseDigraph::from_fn(members.len(), |parent, child| {
            let stage = self.stages.get(name(child)).copied().unwrap_or(self.stage);
            let lower = matches!((score(parent), score(child)), (Some(p), Some(c)) if p < c);
            let penalised = group.scores().is_some()
                && match stage {
                    Stage::Specialization => lower,
                    Stage::Generalization => !lower,
                };
            let distance = distances.distance(parent, child).unwrap_or(0.0);
            distance + if penalised { lambda } else { 0.0 }
        })?;
        let tree = minimum_arborescence(&costs, Root::Any)?;
        found.extend((0..members.len()).map(|member| Found {
            name: name(member),
            score: score(member),
            descent: tree.parent(member).map(|parent| {
                let distance = distances.distance(parent, member).unwrap_or(0.0);
                (name(parent), distance)
            }),
        }));
        Ok(())
    }
}

/// A model as recovered: its parent by name, with the distance.
struct Found<'a> {
    name: &'a str,
    score: Option<f64>,
    descent: Option<(&'a str, f64)>,
}

/// The mean over the whole matrix, whose diagonal counts as zero (Eq. 6).
fn mean(distances: &CondensedMatrix) -> f64 {
    let models = distances.size() as f64;
    2.0 * distances.values().iter().sum::<f64>() / (models * models)
}

/// Why there is no forest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecoveryError {
    /// So many trees can't be made of so many models.
    Count {
        /// The number of trees wanted.
        trees: usize,
        /// The number of models.
        models: usize,
    },
    /// The distance threshold is NaN or negative.
    Threshold {
        /// The threshold.
        distance: f64,
    },
    /// c of Eq. 6 is negative or not finite.
    Penalty {
        /// The value.
        c: f64,
    },
    /// The clusters are for other evidence.
    Partition,
    /// The distances can't be clustered.
    Clustering(ClusteringError),
    /// A table of distances is broken.
    Distances(CondensedError),
    /// A cluster can't be spanned.
    Arborescence(ArborescenceError),
    /// The result is no forest.
    Graph(GraphError),
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { trees, models } => {
                write!(f, "{models} models can't form {trees} trees")
            }
            Self::Threshold { distance } => {
                write!(f, "a distance threshold can't be {distance}")
            }
            Self::Penalty { c } => write!(f, "the penalty c can't be {c}"),
            Self::Partition => f.write_str("the clusters are not those of this evidence"),
            Self::Clustering(error) => error.fmt(f),
            Self::Distances(error) => error.fmt(f),
            Self::Arborescence(error) => error.fmt(f),
            Self::Graph(error) => error.fmt(f),
        }
    }
}

impl Error for RecoveryError {}

macro_rules! from_error {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for RecoveryError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from_error!(
    Clustering(ClusteringError),
    Distances(CondensedError),
    Arborescence(ArborescenceError),
    Graph(GraphError)
);
