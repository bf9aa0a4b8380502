//! Of what rank the update is that makes one model of another.

/// The rank of the difference of two models.
///
/// Low-rank training such as LoRA changes the layers it trains by matrices of its rank; training all
/// weights changes them by matrices of full rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Update {
    /// The position of the first of the two models.
    pub first: usize,
    /// The position of the second.
    pub second: usize,
    /// The largest rank of the difference of a layer; where that is more than half of the largest
    /// that it could be, of the layers up to the first such one.
    pub rank: usize,
    /// The largest rank that the difference of any layer could have.
    pub full_rank: usize,
}

impl Update {
    /// Whether no layer has changed by more than half of the largest rank.
    #[must_use]
    pub const fn is_low_rank(&self) -> bool {
        self.rank <= self.full_rank / 2
    }

    /// The pair, the lesser position first.
    pub(super) fn pair(&self) -> (usize, usize) {
        (self.first.min(self.second), self.first.max(self.second))
    }
}
