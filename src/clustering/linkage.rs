//! The seven linkages and their names.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

use alloc::string::String;

/// How the distance of two clusters follows from those of their points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Linkage {
    /// The smallest distance of a pair.
    #[default]
    Single,
    /// The largest distance of a pair.
    Complete,
    /// The mean distance of all pairs (UPGMA).
    Average,
    /// The mean of the distances to the two clusters merged last (WPGMA).
    Weighted,
    /// Ward's: the growth of the sum of squares, as a distance.
    Ward,
    /// The distance of the centroids (UPGMC); heights may fall.
    Centroid,
    /// The distance of the midpoints (WPGMC); heights may fall.
    Median,
}

impl Linkage {
    /// Every linkage.
    pub const ALL: [Self; 7] = [
        Self::Single,
        Self::Complete,
        Self::Average,
        Self::Weighted,
        Self::Ward,
        Self::Centroid,
        Self::Median,
    ];

    /// The name that scipy gives it too.
    const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Complete => "complete",
            Self::Average => "average",
            Self::Weighted => "weighted",
            Self::Ward => "ward",
            Self::Centroid => "centroid",
            Self::Median => "median",
        }
    }
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Linkage {
    type Err = UnknownLinkage;

    fn from_str(name: &str) -> Result<Self, UnknownLinkage> {
        Self::ALL
            .into_iter()
            .find(|linkage| linkage.name() == name)
            .ok_or_else(|| UnknownLinkage { name: name.into() })
    }
}

/// The name of no linkage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLinkage {
    /// The name that was to be read.
    pub name: String,
}

impl fmt::Display for UnknownLinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no linkage", self.name)
    }
}

impl Error for UnknownLinkage {}
