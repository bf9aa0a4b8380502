//! The seven linkage methods and their names.

use crate::errors::{names, unknown};

names! {
    /// How the distance between two clusters is computed from the distances between their points.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[non_exhaustive]
    pub enum Linkage {
        /// The smallest distance between a point of one cluster and a point of the other.
        #[default]
        Single => "single",
        /// The largest distance between a point of one cluster and a point of the other.
        Complete => "complete",
        /// The mean distance over all pairs (UPGMA).
        Average => "average",
        /// The mean of the distances to the two clusters that were merged last (WPGMA).
        Weighted => "weighted",
        /// Ward's method: the increase in the sum of squares, expressed as a distance.
        Ward => "ward",
        /// The distance between the centroids (UPGMC); heights may decrease.
        Centroid => "centroid",
        /// The distance between the midpoints (WPGMC); heights may decrease.
        Median => "median",
    }

    /// The name, which is the same in scipy.
    fn name;

    /// Every linkage.
    pub const ALL: [Self; 7];
}

unknown! {
    /// The name isn't that of a linkage.
    pub struct UnknownLinkage => "unknown linkage `{}`"; Linkage of Self::ALL
}
