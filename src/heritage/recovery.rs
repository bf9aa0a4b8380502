//! Recovery: from evidence to a forest that says which model was trained from which.

mod additivity;
mod certainty;
mod cluster;
mod clusters;
mod constraints;
mod costs;
mod doubts;
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

pub(super) use self::costs::UnexplainedErrors;
pub use self::error::RecoveryError;
pub use self::model::{JointConstant, JointModel};

use self::cluster::{Cluster, Tree};
use self::clusters::Group;
use self::constraints::Constraints;
use self::forest::Forest;
use super::merges::merges_of;
use super::{Contradiction, Knowledge, ModelGraph, Stage};
use crate::arborescence::ArborescenceError;
use crate::clustering::{Linkage, Partition};
use crate::evidence::{Evidence, Merge};

/// How many trees to recover.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Trees {
    /// Decide from the evidence: join clusters while their squared distance is at most three quarters of that
    /// between independent weights. If that wasn't measured, cut the dendrogram at its widest relative gap.
    #[default]
    Inferred,
    /// This many trees in total, but at least one for each architecture.
    Count(usize),
    /// Join clusters up to this distance.
    Threshold(f64),
}

/// Pairs compared on a smaller share of their weights carry no information about other models' places.
pub(super) const NEARLY_ALL: f64 = 0.9;

/// The method that finds the tree of a cluster, with its settings.
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
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of them in a recovery"
)]
pub enum Method {
    /// The joint decision over distances, growth and scores, with the constants of this model.
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

/// Recovers a forest from evidence.
///
/// By default, it decides jointly for each tree which models are close, which model each one was trained
/// from, in which direction the score changes, and whether growth and score can be trusted at all.
/// [`JointModel`] has the equations.
///
/// Every tree carries an estimate of its [stage](super::StageEstimate), which assumes that the trees of one
/// recovery mostly share a stage. Every edge carries its [kind](super::DescentKind).
///
/// [`simulations`](super::simulations) shows where this works and where it doesn't. The hardest cases are
/// siblings trained on the same data: a model that was trained longer than its sibling, on the same data and
/// from the same parent, lies closer to that sibling than to the parent.
///
/// Models may share only part of their weights. If a candidate parent covers less of a child than another
/// relative does, the two are compared on the weights that all three share; if the candidate can't be
/// distinguished from the relative there, the relative is preferred. If a model's parent can't be distinguished from an
/// ancestor of that parent, the model becomes a child of the first such ancestor. Two sets of models become
/// one tree only if most pairs between them can be compared, so a model with matrices from two families
/// belongs to one of them and doesn't join the families.
///
/// If the evidence has no growth, that term is 0. If it has no per-layer changes of scores, the score counts
/// as a single layer's.
///
/// [`paper`](Self::paper) follows the method of Horwitz, Shul and Hoshen exactly.
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
    /// The joint decision over distances, growth and scores, with single linkage.
    #[must_use]
    pub fn new() -> Self {
        Self {
            method: Method::default(),
            trees: Trees::Inferred,
            linkage: Linkage::Single,
            stage: None,
            stages: BTreeMap::new(),
            knowledge: Knowledge::new(),
            hidden_parents: false,
        }
    }

    /// Follows Eq. 4 to 6 of the paper exactly: single linkage, specialisation, c = 0.3.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            method: Method::Paper { penalty: 0.3 },
            stage: Some(Stage::Specialization),
            ..Self::new()
        }
    }

    /// Sets how many trees to recover.
    #[must_use]
    pub fn with_trees(mut self, trees: Trees) -> Self {
        self.trees = trees;
        self
    }

    /// Sets the linkage used for clustering.
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

    /// Sets the stage of all models that have none of their own. Without it, the default method estimates the
    /// stage of each tree.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Sets the stage of training that produced one model.
    #[must_use]
    pub fn with_stage_of(mut self, model: impl Into<String>, stage: Stage) -> Self {
        self.stages.insert(model.into(), stage);
        self
    }

    /// Sets facts about the models that don't come from their weights.
    #[must_use]
    pub fn with_knowledge(mut self, knowledge: Knowledge) -> Self {
        self.knowledge = knowledge;
        self
    }

    /// Adds missing parents to the graph if they are more probable than not, as
    /// [hidden](super::Model::is_hidden) models named after their first child.
    ///
    /// If the paths from a model to its neighbours in the tree share a step, either they meet at a missing
    /// model, or the neighbours were trained on the same data; distances can't distinguish the two. On real
    /// trees with a third of their inner nodes removed (`evaluate --missing 0.3333 --draws 10`), a share of
    /// 0.61 of the points found were missing models, and 0.37 of the missing models were found; 0.83 of the
    /// pairs below the same point were siblings. The confidence of an edge accounts for a missing parent with
    /// and without this option. The squared distance to a hidden model is the squared distance between the
    /// models on either side of it, minus the part on the other side.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::condensed::CondensedMatrix;
    /// use mother::evidence::{Evidence, GroupEvidence};
    /// use mother::heritage::{Recovery, Trees};
    ///
    /// // Two pairs of siblings, each with a missing parent, below a base that is present.
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

    /// The same recovery without hidden models in the graph.
    pub(super) const fn without_hidden_parents(mut self) -> Self {
        self.hidden_parents = false;
        self
    }

    /// The constants of the joint method; the defaults if the method is the paper's, which has none.
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

    /// The stage set for all models, and the stages set for individual ones.
    pub(super) fn stages_of(&self, names: &[&str]) -> (Option<Stage>, Vec<Option<Stage>>) {
        let stages = names.iter().map(|&name| self.stages.get(name).copied());
        (self.stage, stages.collect())
    }

    /// Clusters the models and finds the tree of every cluster: [`clusters`](Self::clusters), then
    /// [`graph`](Self::graph).
    ///
    /// # Errors
    ///
    /// The errors of both.
    pub fn recover(&self, evidence: &Evidence) -> Result<ModelGraph, RecoveryError> {
        let rules = self.rules(evidence)?;
        let clusters = self.clusters_under(&rules, evidence)?;
        self.graph_under(&rules, evidence, &clusters)
    }

    /// Clusters the models of every group of the evidence.
    ///
    /// Two known roots are never in one cluster, nor are an average of unrelated models and the models it was
    /// made from. Otherwise the nearest are joined first. A known edge joins its ends, even if that leaves
    /// fewer clusters than requested.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Threshold`] if the threshold is NaN or negative, [`RecoveryError::Count`] if no trees
    /// or more trees than models were requested, [`RecoveryError::Knowledge`], and
    /// [`RecoveryError::Clustering`].
    ///
    /// # Complexity
    ///
    /// O(n²) time and memory, or those of the chosen [`linkage`](crate::clustering::linkage); O(n² log n)
    /// time if roots or edges are known. [`find_merges`](super::find_merges) adds its own.
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

    /// The rules for the models of each group.
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

    /// Finds the tree of every cluster, considering every possible root. Returns more trees than clusters if
    /// the known facts leave no single tree.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Penalty`] if c is negative or not finite, [`RecoveryError::Constant`],
    /// [`RecoveryError::Partition`] if the clusters don't belong to this evidence,
    /// [`RecoveryError::Knowledge`], and [`RecoveryError::Arborescence`].
    ///
    /// # Complexity
    ///
    /// For n models in the largest cluster, O(n³) time, or O(n²) with [`paper`](Self::paper), and O(n²)
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
                let cluster = Cluster::new(group, members, &rules.constraints, model)?;
                self.span(cluster, rules, &mut trees)?;
            }
        }
        let mut forest = Forest::new(&trees);
        for (group, rules) in evidence.groups.iter().zip(rules) {
            forest.add_merges(group.models(), rules, model);
        }
        if self.hidden_parents {
            forest.add_hidden_parents(&trees);
        }
        forest.into_graph()
    }

    /// Finds the tree of one cluster, or several trees if the rules allow no single one.
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

    /// The tree of a cluster, in which no model descends from an average of itself.
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
            if !cluster.constraints_mut().forbid_circles(&tree.parents) {
                return Ok(tree);
            }
        }
    }
}

/// The rules for the models of a group, and the averages among them.
struct Rules {
    constraints: Constraints,
    merges: Vec<Merge>,
}

/// Whether the rules allow no tree.
const fn leaves_none(tree: &Result<Tree, RecoveryError>) -> bool {
    matches!(
        tree,
        Err(RecoveryError::Arborescence(
            ArborescenceError::NoArborescence { .. }
        ))
    )
}
