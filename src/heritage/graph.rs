//! A forest of models, validated once, that answers queries about a family.

use core::fmt;
use core::iter;

use alloc::string::ToString;
use alloc::vec::Vec;

mod descent;
mod error;
mod model;
mod names;
#[cfg(feature = "petgraph")]
mod petgraph;
#[cfg(any(feature = "serde", feature = "safetensors"))]
mod plain;

pub use self::descent::{Descent, DescentKind, EquivalentParents};
pub use self::error::GraphError;
pub use self::model::{MergeParent, Model, RunnerUp};

use self::names::NameIndex;
use super::layout::Layout;

/// A forest of models: who descends from whom, and the evidence for each edge.
///
/// Methods refer to a model by its position in the list the graph was made from; [`index`] finds the position
/// by name. Trees are numbered from 0 in the order of their roots' positions, and lists of siblings and trees
/// are always sorted by position. A position past the end belongs to no model: a query for it returns `None`,
/// `false` or nothing, and never panics.
///
/// A graph is immutable. Its shape is computed when it is made, in O(n) time and space and without recursion,
/// so a chain of 100,000 models is no problem.
///
/// Two graphs are equal if their lists of models are equal, including the order.
///
/// # Text
///
/// `Display` draws the trees for people to read. It shows the number of models after each root, and the
/// distance (`d`) and confidence (`p`) after each child, if they are known:
///
/// ```
/// use mother::heritage::{Descent, Model, ModelGraph};
///
/// let edge = |parent, distance| Descent::new(parent).with_distance(distance);
/// let graph = ModelGraph::new(vec![
///     Model::new("base"),
///     Model::new("chat").with_descent(edge(0, 0.01234567).with_confidence(0.98)),
///     Model::new("chat-4bit").with_descent(edge(1, 0.0101)),
///     Model::new("code").with_descent(edge(0, 0.02)),
///     Model::new("stranger"),
/// ])?;
/// assert_eq!(graph.to_string(), "\
/// base  (4 models)
/// ├─ chat  d=0.01235  p=0.98
/// │  └─ chat-4bit  d=0.0101
/// └─ code  d=0.02
/// stranger  (1 model)");
/// # Ok::<(), mother::heritage::GraphError>(())
/// ```
///
/// Numbers are rounded to four significant digits, or to the number of digits given as the precision
/// (`{:.2}`). No name can break its line or the terminal: control characters and invisible direction marks
/// are escaped (`\n`, `\u{1b}`), a backslash is doubled, and an empty name is printed as `""`. Each line
/// grows with the depth of its model, so the text of a chain of n models has O(n²) characters; the exports
/// ([`dot`], [`mermaid`], [`newick`]) have O(n).
///
/// # JSON
///
/// With the feature `serde` or `safetensors` a graph is (de)serialised as below; the command's JSON is the same,
/// with more keys.
///
/// ```json
/// {"version": 1,
///  "models": [{"id": "base", "tree": 0, "parent": null, "distance": null, "score": 231.5, "confidence": null,
///              "placed": true},
///             {"id": "chat", "tree": 0, "parent": "base", "distance": 0.0125, "score": null, "confidence": 0.98,
///              "placed": true}],
///  "trees": [{"root": "base", "size": 2}]}
/// ```
///
/// | key of a model | value, if there is one |
/// |---|---|
/// | `runner_up` | the second most probable parent: `{"parent": "base", "confidence": 0.01}`; `null` is a root |
/// | `compared` | the share of its weights on which the edge to its parent is based |
/// | `joined` | the probability that the edge joins the two, in either direction |
/// | `alike` | models that can't be distinguished from the parent: `{"parents": ["base", "probe"], "confidence": 0.97}` |
/// | `kind`, `rank` | how it differs from its parent: see [`DescentKind::name`] |
/// | `merged_from` | the parents of a merge: `[{"parent": "base", "weight": 0.5}]` |
/// | `hidden` | `true` for a missing model |
///
/// A tree also has the `confidence` of its root, if there is one, and its `stage`:
/// `{"name": "specialization", "specialization": 0.9, "generalization": 0.05}`. The name is `null` if neither stage
/// is clear.
///
/// The `version` changes when readers of the old format would break. Graphs of a later version are rejected, and
/// graphs without a version count as version 1. Of a model only the `id` is required, and models may be in any
/// order. Unknown keys are ignored. So are `tree`, `placed` and `trees`, except for the stages, because they follow
/// from the parents. A list named `nodes` is read as `models`.
///
/// [`index`]: Self::index
/// [`dot`]: Self::dot
/// [`mermaid`]: Self::mermaid
/// [`newick`]: Self::newick
#[derive(Clone, Default)]
#[cfg_attr(
    any(feature = "serde", feature = "safetensors"),
    derive(serde::Deserialize),
    serde(try_from = "plain::PlainGraph<'static>")
)]
pub struct ModelGraph {
    models: Vec<Model>,
    names: NameIndex,
    layout: Layout,
}

impl ModelGraph {
    /// Makes a graph from models whose parents are given by position in the list.
    ///
    /// An empty list makes an empty graph.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two models have the same name, a parent is past the end of the list, a model would
    /// be its own ancestor, a score or a distance is not finite, or a confidence is not between 0 and 1.
    /// Distances and scores may be negative.
    ///
    /// # Complexity
    ///
    /// O(n) expected time and O(n) space.
    pub fn new(models: Vec<Model>) -> Result<Self, GraphError> {
        let names = NameIndex::new(&models)?;
        Self::assemble(models, names)
    }

    /// Makes a graph from names: the name of each model and of its parent, if it has one, in any order.
    ///
    /// The edges have no distances and the models no scores.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two models have the same name, a parent is not among the models, or a model would be
    /// its own ancestor.
    ///
    /// # Complexity
    ///
    /// O(n) expected time and O(n) space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::{GraphError, ModelGraph};
    ///
    /// let graph = ModelGraph::from_parents([("b", Some("a")), ("a", None)])?;
    /// assert_eq!(graph.parent(0), Some(1));
    ///
    /// let error = ModelGraph::from_parents([("b", Some("a")), ("a", Some("b"))]).unwrap_err();
    /// assert!(matches!(error, GraphError::Cycle { .. }));
    /// # Ok::<(), GraphError>(())
    /// ```
    pub fn from_parents<S: AsRef<str>>(
        parents: impl IntoIterator<Item = (S, Option<S>)>,
    ) -> Result<Self, GraphError> {
        let (mut models, parents): (Vec<Model>, Vec<Option<S>>) = parents
            .into_iter()
            .map(|(name, parent)| (Model::new(name.as_ref()), parent))
            .unzip();
        let names = NameIndex::new(&models)?;
        for (child, parent) in parents.into_iter().enumerate() {
            let Some(parent) = parent else {
                continue;
            };
            let Some(position) = names.position(&models, parent.as_ref()) else {
                return Err(GraphError::UnknownParent {
                    model: models[child].name().to_string(),
                    parent: parent.as_ref().to_string(),
                });
            };
            models[child].descent = Some(Descent::new(position));
        }
        Self::assemble(models, names)
    }

    fn assemble(models: Vec<Model>, names: NameIndex) -> Result<Self, GraphError> {
        models
            .iter()
            .try_for_each(|model| model.check(models.len()))?;
        let parents: Vec<_> = models.iter().map(Model::parent).collect();
        let layout = Layout::new(&parents).map_err(|node| GraphError::Cycle {
            model: models[node].name().to_string(),
        })?;
        Ok(Self {
            models,
            names,
            layout,
        })
    }

    /// Sets the kinds of edges. `kind` gets the positions of the parent and the child; if it returns `None`,
    /// the edge keeps its kind.
    #[must_use]
    pub fn with_kinds(mut self, kind: impl Fn(usize, usize) -> Option<DescentKind>) -> Self {
        for (child, model) in self.models.iter_mut().enumerate() {
            if let Some(descent) = &mut model.descent {
                descent.kind = kind(descent.parent, child).or(descent.kind);
            }
        }
        self
    }

    /// Selects some of the models as a graph of their own, in the order of their positions.
    ///
    /// A model whose parent isn't selected becomes a root without a confidence. Other references to models
    /// that aren't selected are dropped. Positions that belong to no model are ignored.
    ///
    /// # Complexity
    ///
    /// O(m log m) time and O(m) space for m models.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([
    ///     ("stranger", None),
    ///     ("base", None),
    ///     ("chat", Some("base")),
    ///     ("code", Some("base")),
    /// ])?;
    /// let part = graph.subgraph(&[2, 1]);
    /// assert_eq!(part.to_string(), "base  (2 models)\n└─ chat");
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    #[must_use]
    pub fn subgraph(&self, models: &[usize]) -> Self {
        let mut members = models.to_vec();
        members.retain(|&model| model < self.len());
        members.sort_unstable();
        members.dedup();
        let place = |model: usize| members.binary_search(&model).ok();
        let rebuild = |&model: &usize| self.models[model].clone().moved(place);
        // Part of a forest is a forest.
        Self::new(members.iter().map(rebuild).collect()).unwrap_or_default()
    }

    /// Whether anything is known about a model's place: it has a parent, children, or models that it is an
    /// average of, or it is a root with a confidence. `false` if there is no such model.
    #[must_use]
    pub fn is_placed(&self, model: usize) -> bool {
        self.models.get(model).is_some_and(|found| {
            found.descent.is_some()
                || found.confidence().is_some()
                || !found.merged_from.is_empty()
                || !self.children(model).is_empty()
        })
    }

    /// The number of models.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there are no models.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The models, in the order they were given.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The position of the model with this name. O(1) expected time.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.position(&self.models, name)
    }

    /// The name of a model.
    #[must_use]
    pub fn name(&self, model: usize) -> Option<&str> {
        self.models.get(model).map(Model::name)
    }

    /// The models without a parent, one for each tree, in the order of the trees' numbers.
    #[must_use]
    pub fn roots(&self) -> &[usize] {
        &self.layout.roots
    }

    /// The parent of a model; `None` for a root. O(1).
    #[must_use]
    pub fn parent(&self, model: usize) -> Option<usize> {
        self.models.get(model)?.parent()
    }

    /// The name of the parent of the model with this name; `None` for a root or an unknown name.
    ///
    /// O(1) expected time.
    #[must_use]
    pub fn parent_of(&self, name: &str) -> Option<&str> {
        self.name(self.parent(self.index(name)?)?)
    }

    /// The names of the direct children of the model with this name.
    pub fn children_of(&self, name: &str) -> impl Iterator<Item = &str> {
        let children = self
            .index(name)
            .map_or(&[][..], |model| self.children(model));
        children.iter().filter_map(|&child| self.name(child))
    }

    /// The direct children of a model. O(1).
    #[must_use]
    pub fn children(&self, model: usize) -> &[usize] {
        if model < self.len() {
            self.layout.children(model)
        } else {
            &[]
        }
    }

    /// Every edge as (parent, child), in the order of the children's positions.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        let edge = |(child, model): (usize, &Model)| model.parent().map(|parent| (parent, child));
        self.models.iter().enumerate().filter_map(edge)
    }

    /// The ancestors of a model: its parent first, the root of its tree last.
    pub fn ancestors(&self, model: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        iter::successors(self.parent(model), |&ancestor| self.parent(ancestor))
    }

    /// Whether the first model is an ancestor of the second. No model is its own ancestor. O(1).
    #[must_use]
    pub fn is_ancestor(&self, ancestor: usize, model: usize) -> bool {
        ancestor != model && self.is_in_subtree(model, ancestor)
    }

    /// The number of a model's ancestors: 0 for a root. O(1).
    #[must_use]
    pub fn depth(&self, model: usize) -> Option<usize> {
        self.layout.depth.get(model).copied()
    }

    /// A model and all its descendants in preorder: every parent before its children. O(1).
    #[must_use]
    pub fn subtree(&self, model: usize) -> &[usize] {
        if model < self.len() {
            let start = self.layout.place[model];
            &self.layout.preorder[start..start + self.layout.size[model]]
        } else {
            &[]
        }
    }

    /// All models in preorder, one tree after another: every parent before its children.
    #[must_use]
    pub fn preorder(&self) -> &[usize] {
        &self.layout.preorder
    }

    /// The number of the tree that contains a model. O(1).
    #[must_use]
    pub fn tree(&self, model: usize) -> Option<usize> {
        self.layout.tree.get(model).copied()
    }

    /// The trees in the order of their numbers.
    pub fn trees(&self) -> impl ExactSizeIterator<Item = ModelTree> + Clone + '_ {
        self.roots().iter().map(|&root| ModelTree {
            root,
            size: self.layout.size[root],
        })
    }

    /// The last common ancestor of two models, which may be one of them; `None` if they are in different
    /// trees.
    ///
    /// # Complexity
    ///
    /// O(depth) time, no space.
    #[must_use]
    pub fn lowest_common_ancestor(&self, a: usize, b: usize) -> Option<usize> {
        if self.tree(a)? != self.tree(b)? {
            return None;
        }
        self.with_ancestors(a)
            .find(|&ancestor| self.is_in_subtree(b, ancestor))
    }

    /// The models on the path from `a` to `b`, both included: up to their last common ancestor, and down from
    /// it. `None` if they are in different trees.
    ///
    /// # Complexity
    ///
    /// O(depth) time and space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([
    ///     ("base", None),
    ///     ("chat", Some("base")),
    ///     ("chat-4bit", Some("chat")),
    ///     ("code", Some("base")),
    ///     ("stranger", None),
    /// ])?;
    /// assert_eq!(graph.path(2, 3), Some(vec![2, 1, 0, 3]));
    /// assert_eq!(graph.path(2, 4), None);
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    #[must_use]
    pub fn path(&self, a: usize, b: usize) -> Option<Vec<usize>> {
        let top = self.lowest_common_ancestor(a, b)?;
        let mut path: Vec<_> = self.climb(a, top).collect();
        path.push(top);
        let up = path.len();
        path.extend(self.climb(b, top));
        path[up..].reverse();
        Some(path)
    }

    /// Whether a model is `top` or a descendant of it.
    fn is_in_subtree(&self, model: usize, top: usize) -> bool {
        if model >= self.len() || top >= self.len() {
            return false;
        }
        self.layout.is_within(model, top)
    }

    /// A model that exists, followed by its ancestors.
    fn with_ancestors(&self, model: usize) -> impl Iterator<Item = usize> + '_ {
        iter::once(model).chain(self.ancestors(model))
    }

    /// The models from `from` up to its ancestor `top`, excluding `top`.
    fn climb(&self, from: usize, top: usize) -> impl Iterator<Item = usize> + '_ {
        self.with_ancestors(from)
            .take_while(move |&model| model != top)
    }
}

impl PartialEq for ModelGraph {
    fn eq(&self, other: &Self) -> bool {
        // Everything else follows from the models.
        self.models == other.models
    }
}

impl fmt::Debug for ModelGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelGraph")
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// One tree of a [`ModelGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ModelTree {
    /// The position of its root.
    pub root: usize,
    /// How many models it has.
    pub size: usize,
}
