//! A signature as plain parts, and the checks that turn parts into a signature.

use alloc::string::String;
use alloc::vec::Vec;

use super::assembly::has_all_values;
use super::digest::SampleDigests;
use super::profile::LEVELS;
use super::signing::{buckets_of, groups_of};
use super::tied::mark_tied;
use super::{
    Digest, Levels, PrecisionProfile, Signature, SignatureFormatError, SignatureOptions,
    TensorSignature, is_weight,
};
use crate::moments::Moments;
use crate::sketch::{MatrixSketch, RowGroups, RowSample, SketchKey};
use crate::weights::{ElementType, SkippedLayer, element_count};

/// No model has more values than this, and doubles count exactly up to it.
const MOST_VALUES: u64 = 1 << 53;

/// The contents of a signature, unchecked.
#[derive(Debug)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename = "Signature")
)]
pub(super) struct SignatureParts {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) key: u64,
    pub(super) buckets: usize,
    pub(super) tensors: Vec<TensorParts>,
    pub(super) skipped: Vec<SkippedLayer>,
}

/// The contents of a tensor signature, unchecked.
#[derive(Debug)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename = "TensorSignature")
)]
pub(super) struct TensorParts {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) element_type: ElementType,
    pub(super) digest: [u64; 2],
    /// Digests of the sample: as it is, and rounded to single, bfloat16 and half precision.
    pub(super) samples: [u64; 4],
    pub(super) moments: [f64; 7],
    /// Whether single, bfloat16 and half precision represent all values exactly.
    pub(super) fits: [bool; 3],
    pub(super) zeros: u64,
    /// The number of distinct values, and their least difference.
    pub(super) levels: Option<(usize, f64)>,
    /// The mean squared change from rounding.
    pub(super) rounding: Option<f64>,
    pub(super) squared_norms: Vec<f64>,
    pub(super) exponent: i32,
    pub(super) buckets: Vec<f32>,
    pub(super) rows: Option<Vec<f32>>,
    /// Sampled values; empty if they are unknown.
    pub(super) values: Vec<f32>,
    /// Whether it is a part of a stored tensor that holds several projections.
    pub(super) is_cut: bool,
}

impl From<&Signature> for SignatureParts {
    fn from(signature: &Signature) -> Self {
        Self {
            version: Signature::VERSION,
            name: signature.name.clone(),
            key: signature.key.value(),
            buckets: signature.buckets,
            tensors: signature.tensors.iter().map(TensorParts::from).collect(),
            skipped: signature.skipped.clone(),
        }
    }
}

impl From<&TensorSignature> for TensorParts {
    fn from(tensor: &TensorSignature) -> Self {
        let profile = tensor.profile;
        Self {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            element_type: tensor.element_type,
            digest: tensor.digest.words(),
            samples: tensor.rounded_digests(),
            moments: tensor.moments.to_parts(),
            fits: [profile.single, profile.bfloat, profile.half],
            zeros: profile.zeros,
            levels: profile.levels.map(|levels| (levels.count, levels.gap)),
            rounding: profile.rounding,
            squared_norms: tensor.sketch.squared_norms().to_vec(),
            exponent: tensor.sketch.exponent(),
            buckets: tensor.sketch.buckets().to_vec(),
            rows: tensor.rows.as_ref().map(|rows| rows.numbers().to_vec()),
            values: tensor.values.clone(),
            is_cut: tensor.is_cut,
        }
    }
}

impl TryFrom<SignatureParts> for Signature {
    type Error = SignatureFormatError;

    fn try_from(parts: SignatureParts) -> Result<Self, SignatureFormatError> {
        if parts.version != Self::VERSION {
            let found = alloc::format!("{}", parts.version);
            return Err(SignatureFormatError::Version { found });
        }
        check_buckets(parts.buckets)?;
        let key = SketchKey::new(parts.key);
        let mut values = 0_u64;
        let mut tensors: Vec<TensorSignature> = Vec::with_capacity(parts.tensors.len());
        for tensor in parts.tensors {
            let name = tensor.name.clone();
            let tensor = (tensor.checked(parts.buckets)).map_err(|reason| {
                let tensor = name;
                SignatureFormatError::Tensor { tensor, reason }
            })?;
            values = values.saturating_add(tensor.moments.count());
            if values > MOST_VALUES {
                return Err(tensor.refused("the model would have more than 2^53 values"));
            }
            if !tensor.values.is_empty() && !has_all_values(&tensor, key) {
                return Err(tensor.refused("impossible sampled values"));
            }
            if tensors.last().is_some_and(|last| last.name >= tensor.name) {
                return Err(tensor.refused("tensors are not sorted by unique names"));
            }
            tensors.push(tensor);
        }
        if !tensors.iter().any(TensorSignature::is_weight) {
            return Err(SignatureFormatError::NoWeight);
        }
        mark_tied(&mut tensors);
        Ok(Self {
            name: parts.name,
            key,
            buckets: parts.buckets,
            tensors,
            skipped: parts.skipped,
        })
    }
}

impl TensorSignature {
    fn refused(self, reason: &'static str) -> SignatureFormatError {
        let tensor = self.name;
        SignatureFormatError::Tensor { tensor, reason }
    }
}

impl TensorParts {
    /// The signature, or why the parts don't fit together.
    fn checked(self, buckets: usize) -> Result<TensorSignature, &'static str> {
        let layout = Layout::of(&self.shape, buckets).ok_or("the shape is too large")?;
        let Layout { groups, buckets } = layout;
        if self.buckets.len() as u64 != layout.numbers() {
            return Err("the sketch's length does not match the shape");
        }
        let count = groups.length() as u64;
        let profile = self.profile(count);
        let sketch =
            MatrixSketch::from_parts(groups, self.squared_norms, self.exponent, self.buckets);
        let sketch = sketch.map_err(|_| "impossible values in the sketch")?;
        debug_assert!(groups.count() == 0 || sketch.buckets_of_group() == buckets);
        let moments = Moments::from_parts(count, self.moments).ok_or("impossible moments")?;
        let has_too_few_rows = !is_weight(&self.shape) || groups.rows() < RowSample::ROWS;
        if self.rows.is_some() && has_too_few_rows {
            return Err("too few rows for a sample");
        }
        let rows = self.rows.map(RowSample::from_numbers).transpose();
        Ok(TensorSignature {
            rows: rows.map_err(|_| "impossible values in the sample of rows")?,
            profile: profile.ok_or("impossible profile")?,
            name: self.name,
            shape: self.shape,
            element_type: self.element_type,
            digest: Digest(self.digest),
            samples: SampleDigests::from_words(self.samples),
            moments,
            sketch,
            values: self.values,
            is_cut: self.is_cut,
            is_tied: false,
        })
    }

    fn profile(&self, count: u64) -> Option<PrecisionProfile> {
        let [single, bfloat, half] = self.fits;
        let levels = match self.levels {
            None => None,
            Some((levels, gap)) => {
                let possible = levels <= LEVELS
                    && levels as u64 <= count
                    && (levels > 0 || count == 0)
                    && (0.0..f64::INFINITY).contains(&gap);
                Some(possible.then_some(Levels { count: levels, gap })?)
            }
        };
        let is_positive = |number: f64| number > 0.0 && number.is_finite();
        let possible = self.zeros <= count
            && (single || !(bfloat || half))
            && self.rounding.is_none_or(is_positive);
        possible.then_some(PrecisionProfile {
            single,
            bfloat,
            half,
            zeros: self.zeros,
            levels,
            rounding: self.rounding,
        })
    }
}

/// How many numbers a tensor of a given shape has.
pub(super) struct Layout {
    pub(super) groups: RowGroups,
    /// The number of buckets per group.
    buckets: usize,
}

impl Layout {
    /// The layout; `None` if there are too many values.
    pub(super) fn of(shape: &[usize], buckets: usize) -> Option<Self> {
        element_count(shape).filter(|&count| count as u64 <= MOST_VALUES)?;
        Some(Self {
            groups: groups_of(shape)?,
            buckets: buckets_of(shape, buckets),
        })
    }

    /// The number of buckets in all groups.
    pub(super) const fn numbers(&self) -> u64 {
        (self.groups.count() * self.buckets) as u64
    }
}

/// Checks that [`SignatureOptions`] accept this number of buckets.
pub(super) fn check_buckets(buckets: usize) -> Result<(), SignatureFormatError> {
    match SignatureOptions::new().with_buckets(buckets) {
        Ok(_) => Ok(()),
        Err(_) => Err(SignatureFormatError::Setting {
            setting: "buckets",
            value: alloc::format!("{buckets}"),
        }),
    }
}

#[cfg(feature = "serde")]
mod plain {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Signature, SignatureParts};

    impl Serialize for Signature {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            SignatureParts::from(self).serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Signature {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let parts = SignatureParts::deserialize(deserializer)?;
            Self::try_from(parts).map_err(D::Error::custom)
        }
    }
}
