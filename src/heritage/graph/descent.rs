//! The edge that a model hangs on, and what it rests on.

use core::fmt;

use alloc::vec::Vec;

use crate::evidence::CopyKind;

/// The edge from a parent to the model that carries it, and what the edge rests on.
///
/// What was not measured is `None`: the edges of a known family have no distance.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Descent {
    pub(super) parent: usize,
    pub(super) distance: Option<f64>,
    pub(super) confidence: Option<f64>,
    pub(super) kind: Option<DescentKind>,
    pub(super) compared: Option<f64>,
    pub(super) joined: Option<f64>,
    pub(super) alike: Option<AlikeParents>,
}

impl Descent {
    /// Descent from the model at this position of the list that the graph is made from.
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

    /// Sets the distance between the weights of parent and child.
    #[must_use]
    pub const fn with_distance(mut self, distance: f64) -> Self {
        self.distance = Some(distance);
        self
    }

    /// Sets how sure the edge is, from 0 to 1.
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

    /// Sets how sure it is that an edge joins the two, whichever was first, from 0 to 1.
    #[must_use]
    pub const fn with_joined(mut self, probability: f64) -> Self {
        self.joined = Some(probability);
        self
    }

    /// Sets the models that nothing compared tells from the parent.
    #[must_use]
    pub fn with_alike(mut self, alike: AlikeParents) -> Self {
        self.alike = Some(alike);
        self
    }

    /// The same edge in a list in which models have other positions; `None` if the parent has none.
    pub(super) fn moved(mut self, place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        self.parent = place(self.parent)?;
        self.alike = self.alike.and_then(|alike| {
            let models = alike.models.iter().map(|&model| place(model));
            let models = models.collect::<Option<_>>()?;
            Some(AlikeParents { models, ..alike })
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

    /// How sure the edge is, from 0 to 1.
    #[must_use]
    pub const fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// How the child was made, as far as the weights show it.
    #[must_use]
    pub const fn kind(&self) -> Option<DescentKind> {
        self.kind
    }

    /// The share of the child's weights that was compared with the parent: what the edge rests on.
    #[must_use]
    pub const fn compared(&self) -> Option<f64> {
        self.compared
    }

    /// How sure it is that an edge joins the two, whichever was first. Much more than
    /// [`confidence`](Self::confidence), it says that the direction can't be told.
    #[must_use]
    pub const fn joined(&self) -> Option<f64> {
        self.joined
    }

    /// The models that nothing compared tells from the parent, if there are any besides it.
    #[must_use]
    pub const fn alike(&self) -> Option<&AlikeParents> {
        self.alike.as_ref()
    }
}

/// Models that hold the same compared weights as a parent, such as a base and all that were trained from it
/// with a frozen backbone: which of them the parent is, no weight tells.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AlikeParents {
    /// Their positions, the parent's included, ascending.
    pub models: Vec<usize>,
    /// How sure it is that the parent is one of them, from 0 to 1.
    pub confidence: f64,
}

/// How a child was made of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DescentKind {
    /// By training all weights: the difference has full rank.
    Full,
    /// By training an update of low rank, such as LoRA.
    LowRank {
        /// The largest rank of a layer's difference.
        rank: usize,
    },
    /// By an adapter that is stored by itself, apart from the parent's weights.
    Adapter {
        /// The largest rank of its factors; 0 where it has none, as of IA3.
        rank: usize,
    },
    /// Without training.
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

    /// The largest rank of a layer's difference, where that is low.
    #[must_use]
    pub const fn rank(self) -> Option<usize> {
        match self {
            Self::LowRank { rank } | Self::Adapter { rank } => Some(rank),
            _ => None,
        }
    }

    /// The kind of this name, with the rank that it needs.
    #[cfg(any(feature = "serde", feature = "safetensors"))]
    pub(super) fn from_name(name: &str, rank: Option<usize>) -> Option<Self> {
        let kinds = [
            CopyKind::Duplicate,
            CopyKind::Cast,
            CopyKind::Quantised,
            CopyKind::Pruned,
        ];
        let all = [Self::Full]
            .into_iter()
            .chain(rank.map(|rank| Self::LowRank { rank }))
            .chain(rank.map(|rank| Self::Adapter { rank }))
            .chain(kinds.map(Self::Copy));
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for DescentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
