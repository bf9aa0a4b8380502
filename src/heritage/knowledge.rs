//! Facts about models that don't come from their weights.

use core::fmt;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// Facts about models that don't come from their weights: the parent named in a model card, a well-known
/// foundation model, upload times.
///
/// Models are identified by name. Facts about models that aren't among the evidence are ignored, so one
/// unreadable model doesn't affect the others. An edge between two models of the evidence must be possible,
/// though.
///
/// Parents, roots and leaves are facts: [`Recovery`](super::Recovery) finds the best forest that agrees with
/// them, with more trees than requested if necessary. Upload times and claims are only hints, which the joint
/// method weighs against the weights and [`Recovery::paper`](super::Recovery::paper) ignores. On a hub,
/// 99.7 % of edges go from an earlier model to a later one (Horwitz et al., *Charting and Navigating Hugging
/// Face's Model Atlas*, arXiv:2503.10633), so an edge to an earlier model costs ln(0.997 / 0.003) = 5.8. A
/// claim makes an edge ln(0.9 / 0.1) = 2.2 cheaper, which matters only if the weights leave the question
/// open.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::{Evidence, GroupEvidence};
/// use mother::heritage::{Knowledge, Recovery, Trees};
///
/// let names = ["base", "chat", "code"].map(String::from).to_vec();
/// let distances = CondensedMatrix::new(3, vec![1.0, 1.0, 1.4])?;
/// let mut evidence = Evidence::default();
/// evidence.groups.push(GroupEvidence::new(names, None, distances)?);
///
/// let knowledge = Knowledge::new().with_root("base").with_parent("code", "chat");
/// let recovery = Recovery::new().with_trees(Trees::Count(1)).with_knowledge(knowledge);
/// let graph = recovery.recover(&evidence)?;
/// assert_eq!(graph.path(0, 2), Some(vec![0, 1, 2]));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Knowledge {
    /// Pairs of a child and its parent.
    parents: BTreeSet<(String, String)>,
    /// Pairs of a child and a model that is not its parent.
    not_parents: BTreeSet<(String, String)>,
    roots: BTreeSet<String>,
    leaves: BTreeSet<String>,
    times: BTreeMap<String, i64>,
    /// Pairs of a child and its claimed parent.
    claims: BTreeSet<(String, String)>,
}

impl Knowledge {
    /// No facts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `child` was made directly from `parent`.
    #[must_use]
    pub fn with_parent(mut self, child: impl Into<String>, parent: impl Into<String>) -> Self {
        self.parents.insert((child.into(), parent.into()));
        self
    }

    /// `child` was not made directly from `parent`.
    #[must_use]
    pub fn without_parent(mut self, child: impl Into<String>, parent: impl Into<String>) -> Self {
        self.not_parents.insert((child.into(), parent.into()));
        self
    }

    /// The model was made from no other.
    #[must_use]
    pub fn with_root(mut self, model: impl Into<String>) -> Self {
        self.roots.insert(model.into());
        self
    }

    /// No other model was made from this one.
    #[must_use]
    pub fn with_leaf(mut self, model: impl Into<String>) -> Self {
        self.leaves.insert(model.into());
        self
    }

    /// The model was uploaded at this time. Use the same unit for all models, such as seconds since 1970. A
    /// second call replaces the first.
    #[must_use]
    pub fn with_time(mut self, model: impl Into<String>, time: i64) -> Self {
        self.times.insert(model.into(), time);
        self
    }

    /// Somebody claims that `child` was made from `parent`, which is only a weak hint. A child may have
    /// several claimed parents.
    #[must_use]
    pub fn with_claim(mut self, child: impl Into<String>, parent: impl Into<String>) -> Self {
        self.claims.insert((child.into(), parent.into()));
        self
    }

    /// Whether there are no facts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every known edge as child and parent, sorted.
    pub fn parents(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        pairs(&self.parents)
    }

    /// Every pair of a model and another that is known not to be its parent, sorted.
    pub fn not_parents(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        pairs(&self.not_parents)
    }

    /// The known roots, sorted.
    pub fn roots(&self) -> impl Iterator<Item = &str> + '_ {
        self.roots.iter().map(|model| &**model)
    }

    /// The known leaves, sorted.
    pub fn leaves(&self) -> impl Iterator<Item = &str> + '_ {
        self.leaves.iter().map(|model| &**model)
    }

    /// Every claimed edge as child and parent, sorted.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        pairs(&self.claims)
    }

    /// Every model that is mentioned, so that you can look for names that no model has.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::Knowledge;
    ///
    /// let knowledge = Knowledge::new().with_parent("chat", "base").with_time("code", 3);
    /// assert_eq!(knowledge.models().into_iter().collect::<Vec<_>>(), ["base", "chat", "code"]);
    /// ```
    #[must_use]
    pub fn models(&self) -> BTreeSet<&str> {
        let pairs = (self.parents().chain(self.not_parents())).chain(self.claims());
        let mut models: BTreeSet<&str> =
            pairs.flat_map(|(child, parent)| [child, parent]).collect();
        models.extend(self.roots().chain(self.leaves()));
        models.extend(self.times.keys().map(|model| &**model));
        models
    }

    /// When a model was uploaded, if known.
    #[must_use]
    pub fn time(&self, model: &str) -> Option<i64> {
        self.times.get(model).copied()
    }

    /// Checks that the facts don't contradict each other.
    ///
    /// # Errors
    ///
    /// The first [`Contradiction`], in the order of the models' names.
    ///
    /// # Complexity
    ///
    /// O(k log k) time for k facts.
    pub fn check(&self) -> Result<(), Contradiction> {
        let mut parents: BTreeMap<&str, &str> = BTreeMap::new();
        for (child, parent) in self.parents() {
            let edge = |of: fn(String, String) -> Contradiction| of(child.into(), parent.into());
            if let Some(other) = parents.insert(child, parent) {
                return Err(Contradiction::TwoParents {
                    model: child.into(),
                    parents: [other.into(), parent.into()],
                });
            }
            let not_parent = (String::from(child), String::from(parent));
            if self.not_parents.contains(&not_parent) {
                return Err(edge(|model, parent| Contradiction::NotParent {
                    model,
                    parent,
                }));
            }
            if self.roots.contains(child) {
                return Err(edge(|model, parent| Contradiction::RootWithParent {
                    model,
                    parent,
                }));
            }
            if self.leaves.contains(parent) {
                return Err(edge(|child, model| Contradiction::LeafWithChild {
                    model,
                    child,
                }));
            }
        }
        find_cycle(&parents).map_or(Ok(()), |models| Err(Contradiction::Cycle { models }))
    }
}

fn pairs(pairs: &BTreeSet<(String, String)>) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(child, parent)| (&**child, &**parent))
}

/// The models of a cycle, starting with the first by name, each followed by its parent.
fn find_cycle(parents: &BTreeMap<&str, &str>) -> Option<Vec<String>> {
    // Models whose ancestors have all been visited.
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for &start in parents.keys() {
        let mut walked: Vec<&str> = Vec::new();
        let mut on_the_way: BTreeSet<&str> = BTreeSet::new();
        let mut model = start;
        while !done.contains(model) {
            if !on_the_way.insert(model) {
                let first = walked.iter().position(|&other| other == model)?;
                let mut cycle: Vec<String> =
                    walked[first..].iter().map(|&model| model.into()).collect();
                let least = (0..cycle.len()).min_by(|&a, &b| cycle[a].cmp(&cycle[b]))?;
                cycle.rotate_left(least);
                return Some(cycle);
            }
            walked.push(model);
            match parents.get(model) {
                Some(parent) => model = parent,
                None => break,
            }
        }
        done.extend(walked);
    }
    None
}

crate::errors::errors! {
    /// A contradiction among the facts, or between the facts and the evidence.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Contradiction {
        /// A model has two parents.
        TwoParents {
            /// The model.
            model: String,
            /// Its parents, sorted.
            parents: [String; 2],
        } => ("model {model:?} has two known parents, {:?} and {:?}", parents[0], parents[1]),
        /// A model is said both to be made from another and not to be.
        NotParent {
            /// The model.
            model: String,
            /// The other model.
            parent: String,
        } => "{parent:?} is known to be the parent of model {model:?} and known not to be",
        /// A root was made from another model.
        RootWithParent {
            /// The root.
            model: String,
            /// Its known parent.
            parent: String,
        } => "model {model:?} is a known root with a known parent, {parent:?}",
        /// Another model was made from a leaf.
        LeafWithChild {
            /// The leaf.
            model: String,
            /// Its known child.
            child: String,
        } => "model {model:?} is a known leaf with a known child, {child:?}",
        /// Some models are their own ancestors.
        Cycle {
            /// The models, each followed by its parent; the parent of the last is the first.
            models: Vec<String>,
        } => ("models are known to be their own ancestors:{}", Circle(models)),
        /// A model was made from another that shares too few layers with it.
        Architectures {
            /// The model.
            model: String,
            /// Its known parent.
            parent: String,
        } => "the known parent of model {model:?}, {parent:?}, has another architecture",
        /// A model was made from another that is in a different one of the given clusters.
        Clusters {
            /// The model.
            model: String,
            /// Its known parent.
            parent: String,
        } => "the known parent of model {model:?}, {parent:?}, is in another cluster",
    }
}

// Names are printed with `{:?}`, so that a line break in one doesn't break the message.
/// Models, each followed by its parent, and the first again.
struct Circle<'a>(&'a [String]);

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.iter()).try_for_each(|model| write!(f, " {model:?} from"))?;
        write!(f, " {:?}", self.0.first().map_or("", |model| model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contradiction_is_named() {
        let broken = [
            (
                Knowledge::new().with_parent("b", "a").with_parent("b", "c"),
                r#"model "b" has two known parents, "a" and "c""#,
            ),
            (
                Knowledge::new()
                    .with_parent("b", "a")
                    .without_parent("b", "a"),
                r#""a" is known to be the parent of model "b" and known not to be"#,
            ),
            (
                Knowledge::new().with_parent("b", "a").with_root("b"),
                r#"model "b" is a known root with a known parent, "a""#,
            ),
            (
                Knowledge::new().with_parent("b", "a").with_leaf("a"),
                r#"model "a" is a known leaf with a known child, "b""#,
            ),
            (
                Knowledge::new()
                    .with_parent("a", "c")
                    .with_parent("c", "d")
                    .with_parent("d", "b")
                    .with_parent("b", "c"),
                r#"models are known to be their own ancestors: "b" from "c" from "d" from "b""#,
            ),
            (
                Knowledge::new().with_parent("a", "a"),
                r#"models are known to be their own ancestors: "a" from "a""#,
            ),
        ];
        for (knowledge, message) in broken {
            assert_eq!(
                alloc::format!("{}", knowledge.check().unwrap_err()),
                message
            );
        }
    }

    #[test]
    fn consistent_facts_are_no_contradiction() {
        let knowledge = Knowledge::new()
            .with_parent("b", "a")
            .with_parent("c", "a")
            .with_parent("d", "b")
            .without_parent("d", "a")
            .with_root("a")
            .with_leaf("d")
            .with_time("a", 3)
            .with_time("b", 1);
        assert_eq!(knowledge.check(), Ok(()));
        assert!(!knowledge.is_empty());
        assert!(Knowledge::new().is_empty());
    }
}
