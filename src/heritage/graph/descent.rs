//! The edge from a model's parent, and the evidence for it.

use core::fmt;

use alloc::vec::Vec;

use crate::evidence::CopyKind;

/// The edge from a parent to the model that holds this value, with the evidence for it.
///
/// Unmeasured values are `None`; for example, the edges of a known family have no distance.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Descent {
    pub(in crate::heritage) parent: usize,
    pub(in crate::heritage) distance: Option<f64>,
    pub(in crate::heritage) confidence: Option<f64>,
    pub(in crate::heritage) kind: Option<DescentKind>,
    pub(in crate::heritage) compared: Option<f64>,
    pub(in crate::heritage) joined: Option<f64>,
    pub(in crate::heritage) alike: Option<EquivalentParents>,
}

impl Descent {
    /// Descent from the model at this position in the list that the graph is made from.
    #[must_use]
    pub const fn new(parent: usize) -> Self {
        Self {
            parent,
            distance: None,
            confidence: None,
            kind: None,
            compared: None,
            joined: None,
            alike: None,
        }
    }

    /// Sets the distance between the weights of the parent and the child.
    #[must_use]
    pub const fn with_distance(mut self, distance: f64) -> Self {
        self.distance = Some(distance);
        self
    }

    /// Sets the confidence of the edge, from 0 to 1.
    #[must_use]
    pub const fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// Sets how the child was made.
    #[must_use]
    pub const fn with_kind(mut self, kind: DescentKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets the share of the child's weights that was compared with the parent, from 0 to 1.
    #[must_use]
    pub const fn with_compared(mut self, share: f64) -> Self {
        self.compared = Some(share);
        self
    }

    /// Sets the probability, from 0 to 1, that an edge joins the two models in either direction.
    #[must_use]
    pub const fn with_joined(mut self, probability: f64) -> Self {
        self.joined = Some(probability);
        self
    }

    /// Sets the models that can't be distinguished from the parent.
    #[must_use]
    pub fn with_equivalent_parents(mut self, parents: EquivalentParents) -> Self {
        self.alike = Some(parents);
        self
    }

    /// The same edge in a list with other positions; `None` if the parent has no position in it.
    pub(super) fn moved(mut self, place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        self.parent = place(self.parent)?;
        self.alike = self.alike.and_then(|alike| {
            let models = alike.models.iter().map(|&model| place(model));
            let models = models.collect::<Option<_>>()?;
            Some(EquivalentParents { models, ..alike })
        });
        Some(self)
    }

    /// The parent's position in the list of models.
    #[must_use]
    pub const fn parent(&self) -> usize {
        self.parent
    }

    /// The distance between the weights of parent and child.
    #[must_use]
    pub const fn distance(&self) -> Option<f64> {
        self.distance
    }

    /// The confidence of the edge, from 0 to 1.
    #[must_use]
    pub const fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// How the child was made, as far as the weights show.
    #[must_use]
    pub const fn kind(&self) -> Option<DescentKind> {
        self.kind
    }

    /// The share of the child's weights that was compared with the parent, which the edge is based on.
    #[must_use]
    pub const fn compared(&self) -> Option<f64> {
        self.compared
    }

    /// The probability that an edge joins the two models in either direction. If it is much larger than
    /// [`confidence`](Self::confidence), the direction is uncertain.
    #[must_use]
    pub const fn joined(&self) -> Option<f64> {
        self.joined
    }

    /// The models that can't be distinguished from the parent, if there are any.
    #[must_use]
    pub const fn equivalent_parents(&self) -> Option<&EquivalentParents> {
        self.alike.as_ref()
    }
}

/// Models with the same compared weights as a parent, such as a base and everything trained from it with a
/// frozen backbone. The weights can't tell which of them is the parent.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EquivalentParents {
    /// The positions of these models, including the parent's, ascending.
    pub models: Vec<usize>,
    /// The probability, from 0 to 1, that the parent is one of them.
    pub confidence: f64,
}

/// How a child was made from its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DescentKind {
    /// Training of all weights: the difference has full rank.
    Full,
    /// Training of a low-rank update, such as LoRA.
    LowRank {
        /// The largest rank of a layer's difference.
        rank: usize,
    },
    /// An adapter, stored separately from the parent's weights.
    Adapter {
        /// The largest rank of its factors; 0 if it has no such factors, as in IA3.
        rank: usize,
    },
    /// A copy, made without training.
    Copy(CopyKind),
}

impl DescentKind {
    /// Its name: `full`, `low-rank`, `adapter`, `duplicate`, `cast`, `quantised` or `pruned`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::LowRank { .. } => "low-rank",
            Self::Adapter { .. } => "adapter",
            Self::Copy(kind) => kind.name(),
        }
    }

    /// The largest rank of a layer's difference or of an adapter's factors; `None` for other kinds.
    #[must_use]
    pub const fn rank(self) -> Option<usize> {
        match self {
            Self::LowRank { rank } | Self::Adapter { rank } => Some(rank),
            _ => None,
        }
    }

    /// The kind with this name; `rank` is required for the kinds that have one.
    #[cfg(any(feature = "serde", feature = "safetensors"))]
    pub(super) fn from_name(name: &str, rank: Option<usize>) -> Option<Self> {
        let all = [Self::Full]
            .into_iter()
            .chain(rank.map(|rank| Self::LowRank { rank }))
            .chain(rank.map(|rank| Self::Adapter { rank }))
            .chain(CopyKind::ALL.map(Self::Copy));
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for DescentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
