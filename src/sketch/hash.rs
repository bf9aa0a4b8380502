//! The hash that determines signs and buckets.

/// The key that determines the random signs and buckets of sketches.
///
/// Only sketches made with equal keys can be compared. The default key is public, so that sketches can be
/// exchanged. A hub that must expect weights crafted to look alike should use its own secret key. The hash is
/// fast rather than cryptographic: a secret key hides which differences go unnoticed only from someone who
/// doesn't see any sketches made with it.
///
/// # Examples
///
/// ```
/// use mother::sketch::SketchKey;
///
/// assert_eq!(SketchKey::default(), SketchKey::PUBLIC);
/// assert_ne!(SketchKey::new(42), SketchKey::PUBLIC);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SketchKey(u64);

impl SketchKey {
    /// The shared key: the first 64 bits of the fractional part of π.
    pub const PUBLIC: Self = Self(0x243F_6A88_85A3_08D3);

    /// Creates a private key.
    #[must_use]
    pub const fn new(key: u64) -> Self {
        Self(key)
    }

    /// The number passed to [`new`](Self::new).
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The hash that determines the signs and buckets of a row.
    #[inline(always)]
    pub(super) const fn row(self, row: usize) -> RowHash {
        let step = (row as u64)
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        RowHash(mix(self.0.wrapping_add(step)))
    }

    /// Signs that depend on the column alone and that no row uses.
    #[inline(always)]
    pub(super) const fn columns(self) -> RowHash {
        RowHash(mix(self.0))
    }
}

impl Default for SketchKey {
    fn default() -> Self {
        Self::PUBLIC
    }
}

/// The hash of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowHash(u64);

impl RowHash {
    /// The number of buckets by which the columns of this row are shifted.
    #[inline(always)]
    pub(super) const fn offset(self, buckets: usize) -> usize {
        (self.0 % buckets as u64) as usize
    }

    /// One bit for each of 64 columns, starting at `64 * block`; a set bit means minus.
    #[inline(always)]
    pub(super) const fn signs(self, block: usize) -> u64 {
        let step = (block as u64)
            .wrapping_add(1)
            .wrapping_mul(0xD1B5_4A32_D192_ED03);
        mix(self.0.wrapping_add(step))
    }
}

/// The finaliser of SplitMix64.
#[inline(always)]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
