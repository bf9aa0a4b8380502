//! Recovery: from evidence to the forest of who was trained from whom.

mod additivity;
mod belief;
mod cluster;
mod clusters;
mod constraints;
mod costs;
mod error;
mod forest;
mod joint;
mod large;
mod missing;
mod model;
mod paper;
mod partial;
pub(super) mod sparse;
mod stages;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) use self::costs::less_unforeseen;
pub use self::error::RecoveryError;
pub use self::model::{JointConstant, JointModel};

use self::cluster::{Cluster, Tree};
use self::clusters::Group;
use self::constraints::Constraints;
use self::forest::Forest;
use super::merges::merges_of;
use super::{Contradiction, Knowledge, Merge, ModelGraph, Stage};
use crate::arborescence::ArborescenceError;
use crate::clustering::{Linkage, Partition};
use crate::evidence::Evidence;

/// How many trees there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

/// A pair of which a smaller share was compared says nothing of how other models lie.
pub(super) const NEARLY_ALL: f64 = 0.9;

/// How the tree of a cluster is found, with what that method can be told.
///
/// # Examples
///
/// ```
/// use mother::heritage::{Method, Recovery};
///
/// let strict = Recovery::paper().with_method(Method::Paper { penalty: 1.0 });
/// assert_ne!(strict, Recovery::paper());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Method {
    /// Distances, growth and scores decide together, as this model has it.
    Joint(JointModel),
    /// Eq. 4 to 6 of the paper.
    Paper {
        /// c of Eq. 6: the penalty of a wrong direction as a multiple of the mean distance.
        penalty: f64,
    },
}

impl Default for Method {
    fn default() -> Self {
        Self::Joint(JointModel::new())
    }
}

/// How to recover a forest from evidence.
///
/// The default decides jointly, for each tree, which models are close, which grew out of which,
/// which way the score changes, and whether growth and score can be trusted at all: [`JointModel`] has the
/// equations.
///
/// Every tree carries what the states say of its [stage](super::StageEstimate), given that trees
/// of one recovery mostly share it. Every edge carries its [kind](super::DescentKind).
///
/// [`simulations`](super::simulations) shows where this works and where not. What misleads it most
/// are siblings that learnt the same: a model that was trained longer on what another was trained
/// on, from the same parent, lies nearer to that other than to the parent.
///
/// Where models differ in what they share, a parent that covers less of a child than another relative
/// does is compared with that relative on what all three have; where it can't be told from it there, it
/// is no parent. A model whose parent can't be told from an ancestor of that parent hangs on the first
/// such ancestor. A set of models becomes one tree only if most pairs of its parts can be compared, so
/// a model that holds matrices of two families belongs to one of them and doesn't join them.
///
/// Where evidence has no growth, that term is 0; where it has no changes of scores, the score is one
/// layer's.
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
///
/// # References
///
/// P. J. Huber, "Robust Estimation of a Location Parameter", *The Annals of Mathematical
/// Statistics* 35, 1964. [doi:10.1214/aoms/1177703732](https://doi.org/10.1214/aoms/1177703732)
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Recovery {
    method: Method,
    trees: Trees,
    linkage: Linkage,
    stage: Option<Stage>,
    stages: BTreeMap<String, Stage>,
    knowledge: Knowledge,
    hidden_parents: bool,
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
            method: Method::default(),
            trees: Trees::Found,
            linkage: Linkage::Single,
            stage: None,
            stages: BTreeMap::new(),
            knowledge: Knowledge::new(),
            hidden_parents: false,
        }
    }

    /// The paper's Eq. 4 to 6 to the letter: single linkage, specialisation, c = 0.3.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            method: Method::Paper { penalty: 0.3 },
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

    /// Sets how the tree of a cluster is found.
    #[must_use]
    pub fn with_method(mut self, method: Method) -> Self {
        self.method = method;
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

    /// Sets what is known of models beside their weights.
    #[must_use]
    pub fn with_knowledge(mut self, knowledge: Knowledge) -> Self {
        self.knowledge = knowledge;
        self
    }

    /// Adds missing parents to the graph if they are more probable than not, as
    /// [hidden](super::Model::is_hidden) models named after their first child.
    ///
    /// If the paths from a model to its neighbours in the tree share a step, either they meet at a missing model, or
    /// the neighbours learnt the same thing; distances can't distinguish the two. Of the points found on
    /// real trees without a third of their inner nodes (`evaluate --missing 0.3333 --draws 10`), 0.60 were missing
    /// models, and 0.36 of the missing models were found; 0.82 of the pairs below one point were siblings. The
    /// confidence of an edge accounts for a missing parent with and without this option. The squared distance to
    /// a hidden model is the squared distance between the models on both sides of it, less the part on the other side.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::condensed::CondensedMatrix;
    /// use mother::evidence::{Evidence, GroupEvidence};
    /// use mother::heritage::{Recovery, Trees};
    ///
    /// // Two pairs of siblings, each pair of a parent that isn't there, below a base that is.
    /// let names = ["a", "b", "base", "c", "d"].map(String::from).to_vec();
    /// let squared = [2.0, 3.0, 6.0, 6.0, 3.0, 6.0, 6.0, 3.0, 3.0, 2.0];
    /// let distances = CondensedMatrix::new(5, squared.map(f64::sqrt).to_vec())?;
    /// let mut evidence = Evidence::default();
    /// evidence.groups.push(GroupEvidence::new(names, None, distances)?);
    /// let recovery = Recovery::new().with_trees(Trees::Count(1)).with_hidden_parents();
    /// let graph = recovery.recover(&evidence)?;
    /// assert_eq!(graph.parent(0), graph.parent(1));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_hidden_parents(mut self) -> Self {
        self.hidden_parents = true;
        self
    }

    /// The same, in which only models that are there are in the graph.
    pub(super) const fn without_hidden_parents(mut self) -> Self {
        self.hidden_parents = false;
        self
    }

    /// The constants of the joint method, which the paper's has not.
    pub(super) const fn model(&self) -> &JointModel {
        const USUAL: &JointModel = &JointModel::new();
        match &self.method {
            Method::Joint(model) => model,
            Method::Paper { .. } => USUAL,
        }
    }

    pub(super) const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// The stage of all models, and the stages given for some of them.
    pub(super) fn stages_of(&self, names: &[&str]) -> (Option<Stage>, Vec<Option<Stage>>) {
        let stages = names.iter().map(|&name| self.stages.get(name).copied());
        (self.stage, stages.collect())
    }

    /// Clusters the models and spans every cluster: [`clusters`](Self::clusters), then
    /// [`graph`](Self::graph).
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn recover(&self, evidence: &Evidence) -> Result<ModelGraph, RecoveryError> {
        let rules = self.rules(evidence)?;
        let clusters = self.clusters_under(&rules, evidence)?;
        self.graph_under(&rules, evidence, &clusters)
    }

    /// The clusters of every group of the evidence.
    ///
    /// Two known roots are not in one cluster, and neither are an average of unrelated models and
    /// what it is an average of; but for that, the nearest are joined first. A known edge joins its
    /// ends, even if fewer clusters are left than were asked for.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Threshold`] for one that is NaN or negative, [`RecoveryError::Count`] for
    /// no tree or more trees than models, [`RecoveryError::Knowledge`], and
    /// [`RecoveryError::Clustering`].
    ///
    /// # Complexity
    ///
    /// O(n²) time and memory, or that of the [`linkage`](crate::clustering::linkage) chosen;
    /// O(n² log n) time where roots or edges are known, and that of [`find_merges`](super::find_merges).
    pub fn clusters(&self, evidence: &Evidence) -> Result<Vec<Partition>, RecoveryError> {
        self.clusters_under(&self.rules(evidence)?, evidence)
    }

    fn clusters_under(
        &self,
        rules: &[Rules],
        evidence: &Evidence,
    ) -> Result<Vec<Partition>, RecoveryError> {
        let groups: Vec<Group<'_>> = (evidence.groups.iter().zip(rules))
            .map(|(group, rules)| (group, &rules.constraints))
            .collect();
        clusters::clusters(&groups, self.trees, self.linkage)
    }

    /// The rules for each group.
    fn rules(&self, evidence: &Evidence) -> Result<Vec<Rules>, Contradiction> {
        self.knowledge.check()?;
        let group_of = |model: &str| {
            let mut groups = evidence.groups.iter();
            groups.position(|group| group.position(model).is_some())
        };
        for (child, parent) in self.knowledge.parents() {
            if let (Some(first), Some(second)) = (group_of(child), group_of(parent))
                && first != second
            {
                return Err(Contradiction::Architectures {
                    model: child.into(),
                    parent: parent.into(),
                });
            }
        }
        let rules = |group| {
            let constraints = Constraints::new(group, &self.knowledge);
            match self.method {
                Method::Paper { .. } => Rules {
                    constraints,
                    merges: Vec::new(),
                },
                Method::Joint(_) => {
                    let merges = merges_of(group);
                    Rules {
                        constraints: (constraints.with_copies(group))
                            .with_merges(group, &merges)
                            .with_assembled(group),
                        merges,
                    }
                }
            }
        };
        Ok(evidence.groups.iter().map(rules).collect())
    }

    /// The tree of every cluster, over every possible root; more trees than clusters where what is
    /// known leaves no other.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Penalty`] for a c that is negative or not finite, [`RecoveryError::Constant`],
    /// [`RecoveryError::Partition`] when the clusters aren't those of this evidence,
    /// [`RecoveryError::Knowledge`], and [`RecoveryError::Arborescence`].
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
        self.graph_under(&self.rules(evidence)?, evidence, clusters)
    }

    fn graph_under(
        &self,
        rules: &[Rules],
        evidence: &Evidence,
        clusters: &[Partition],
    ) -> Result<ModelGraph, RecoveryError> {
        if let Method::Paper { penalty: c } = self.method
            && !(c.is_finite() && c >= 0.0)
        {
            return Err(RecoveryError::Penalty { c });
        }
        let model = self.model();
        if let Some((constant, value)) = model.fault() {
            return Err(RecoveryError::Constant { constant, value });
        }
        if clusters.len() != evidence.groups.len() {
            return Err(RecoveryError::Partition);
        }
        let mut trees: Vec<(Cluster<'_>, Tree)> = Vec::new();
        for ((group, rules), partition) in evidence.groups.iter().zip(rules).zip(clusters) {
            let labels = partition.labels();
            if labels.len() != group.models().len() {
                return Err(RecoveryError::Partition);
            }
            if let Some((child, parent)) = (rules.constraints.known_edges())
                .find(|&(child, parent)| labels[child] != labels[parent])
            {
                return Err(RecoveryError::Knowledge(Contradiction::Clusters {
                    model: group.models()[child].clone(),
                    parent: group.models()[parent].clone(),
                }));
            }
            for members in partition.members() {
                self.span(
                    Cluster::new(group, members, &rules.constraints, model)?,
                    rules,
                    &mut trees,
                )?;
            }
        }
        let mut forest = Forest::new(&trees);
        let groups = evidence.groups.iter().zip(rules);
        for (group, merge) in groups.flat_map(|(group, r)| r.merges.iter().map(move |m| (group, m)))
        {
            forest.add_merge(group.models(), merge);
        }
        if self.hidden_parents {
            forest.add_hidden_parents(&trees);
        }
        forest.into_graph()
    }

    /// Finds the tree of one cluster, or the trees where the rules leave none.
    fn span<'a>(
        &self,
        mut cluster: Cluster<'a>,
        rules: &Rules,
        trees: &mut Vec<(Cluster<'a>, Tree)>,
    ) -> Result<(), RecoveryError> {
        let tree = self.tree(&mut cluster);
        if !leaves_none(&tree) {
            trees.push((cluster, tree?));
            return Ok(());
        }
        for members in cluster.parts()? {
            let mut part = cluster.part(members.clone(), &rules.constraints)?;
            let mut tree = self.tree(&mut part);
            if leaves_none(&tree) {
                part.constraints_mut().forget_preferences();
                tree = self.tree(&mut part);
            }
            if !leaves_none(&tree) {
                trees.push((part, tree?));
                continue;
            }
            for member in members {
                let mut alone = cluster.part(Vec::from([member]), &rules.constraints)?;
                let tree = self.tree(&mut alone)?;
                trees.push((alone, tree));
            }
        }
        Ok(())
    }

    /// The tree of a cluster, in which nothing was made of an average of itself.
    fn tree(&self, cluster: &mut Cluster<'_>) -> Result<Tree, RecoveryError> {
        let stages: Vec<Option<Stage>> = (0..cluster.len())
            .map(|member| self.stages.get(cluster.name(member)).copied())
            .collect();
        loop {
            let tree = match self.method {
                Method::Joint(_) => joint::tree(cluster, self.stage, &stages)?,
                Method::Paper { penalty } => {
                    let stage = self.stage.unwrap_or_default();
                    paper::tree(cluster, penalty, |member| stages[member].unwrap_or(stage))?
                }
            };
            if !cluster.constraints_mut().forbid_circle(&tree.parents) {
                return Ok(tree);
            }
        }
    }
}

/// What holds for the models of a group, and the averages among them.
struct Rules {
    constraints: Constraints,
    merges: Vec<Merge>,
}

/// Whether the rules leave no tree.
const fn leaves_none(tree: &Result<Tree, RecoveryError>) -> bool {
    matches!(
        tree,
        Err(RecoveryError::Arborescence(
            ArborescenceError::NoArborescence { .. }
        ))
    )
}
