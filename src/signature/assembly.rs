//! Builds signatures from numbers computed elsewhere.

use alloc::string::String;
use alloc::vec::Vec;

use super::digest::SampleDigests;
use super::signing::{buckets_of, groups_of};
use super::{Digest, PrecisionProfile, Signature, SignatureOptions, TensorSignature};
use crate::moments::Moments;
use crate::sketch::{MatrixSketch, SketchKey};
use crate::weights::ElementType;

crate::errors::errors! {
    /// Why numbers don't form a valid signature.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AssemblyError {
        /// The sketch doesn't fit a tensor of this shape with this number of buckets.
        Sketch {
            /// The tensor's name.
            tensor: String,
        } => "the sketch of {tensor} does not match its shape or the options",
        /// The moments are for a different number of values.
        Moments {
            /// The tensor's name.
            tensor: String,
        } => "the moments of {tensor} are for another number of values",
        /// The sampled values aren't those of a weight of this shape, or one isn't finite.
        Values {
            /// The tensor's name.
            tensor: String,
        } => "the sampled values of {tensor} are too few or too many, or one is not finite",
        /// Two tensors have the same name.
        DuplicateTensor {
            /// The name.
            tensor: String,
        } => "two tensors are named {tensor}",
        /// No tensor is a weight.
        NoWeight => "no tensor is a weight",
    }
}

/// The numbers of one tensor, for readers that compute them themselves.
///
/// # Examples
///
/// ```
/// use mother::moments::Moments;
/// use mother::signature::{Signature, SignatureOptions, TensorNumbers};
/// use mother::sketch::{MatrixSketcher, RowGroups, SketchKey};
///
/// let values = [9.0_f32, 1.0, 1.0, 0.5];
/// let mut sketcher = MatrixSketcher::new(RowGroups::new(4, 2)?, 32, SketchKey::PUBLIC)?;
/// sketcher.extend_from_slice(&values)?;
/// let numbers = TensorNumbers::new("w", [2, 2], sketcher.finish()?, Moments::of(&values)?)
///     .with_digest([1, 2]);
/// let signature = Signature::from_numbers("base", SignatureOptions::new(), vec![numbers])?;
/// assert_eq!(signature.weights(), 4);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TensorNumbers(TensorSignature);

impl TensorNumbers {
    /// Creates the numbers of a single-precision tensor, with unknown digest and precision.
    ///
    /// The sketch must be of the tensor as a matrix, as described at [`TensorSignature::sketch`].
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        sketch: MatrixSketch,
        moments: Moments,
    ) -> Self {
        Self(TensorSignature {
            name: name.into(),
            shape: shape.into(),
            element_type: ElementType::F32,
            digest: Digest::default(),
            samples: SampleDigests::default(),
            moments,
            profile: PrecisionProfile {
                single: true,
                bfloat: false,
                half: false,
                zeros: 0,
                levels: None,
                rounding: None,
            },
            sketch,
            rows: None,
            values: Vec::new(),
            is_cut: false,
            is_tied: false,
        })
    }

    /// Sets the stored type of the values.
    #[must_use]
    pub const fn with_element_type(mut self, element_type: ElementType) -> Self {
        self.0.element_type = element_type;
        self
    }

    /// Sets the digest: 128 bits that are equal for equal values. Digests are only compared with each other,
    /// so any hash works as long as all signatures use it.
    #[must_use]
    pub const fn with_digest(mut self, words: [u64; 2]) -> Self {
        self.0.digest = Digest(words);
        self
    }

    /// Sets the digests by which casts are recognised: those of a sample of the values, unrounded and rounded to
    /// single precision, bfloat16 and half precision.
    #[must_use]
    pub const fn with_rounded_digests(mut self, digests: [u64; 4]) -> Self {
        self.0.samples = SampleDigests::from_words(digests);
        self
    }

    /// Sets whether single precision, bfloat16 and half precision represent every value exactly.
    #[must_use]
    pub const fn with_precision(mut self, fits: [bool; 3]) -> Self {
        [
            self.0.profile.single,
            self.0.profile.bfloat,
            self.0.profile.half,
        ] = fits;
        self
    }

    /// Sets the [sampled values](TensorSignature::values) of a weight.
    #[must_use]
    pub fn with_values(mut self, values: Vec<f32>) -> Self {
        self.0.values = values;
        self
    }

    fn check(self, options: SignatureOptions) -> Result<TensorSignature, AssemblyError> {
        let tensor = self.0;
        let buckets = buckets_of(&tensor.shape, options.buckets);
        let groups = groups_of(&tensor.shape);
        let sketch = &tensor.sketch;
        let is_empty = sketch.groups().count() == 0;
        if groups != Some(sketch.groups()) || !(is_empty || sketch.buckets_of_group() == buckets) {
            let tensor = tensor.name;
            return Err(AssemblyError::Sketch { tensor });
        }
        if tensor.moments.count() != sketch.groups().length() as u64 {
            let tensor = tensor.name;
            return Err(AssemblyError::Moments { tensor });
        }
        if !tensor.values.is_empty() && !has_all_values(&tensor, options.key) {
            let tensor = tensor.name;
            return Err(AssemblyError::Values { tensor });
        }
        Ok(tensor)
    }
}

/// Whether a tensor has the sampled values that its shape implies.
pub(super) fn has_all_values(tensor: &TensorSignature, key: SketchKey) -> bool {
    let positions = tensor.sketch.groups().sampled_positions(key);
    tensor.is_weight()
        && tensor.values.len() == positions.len()
        && tensor.values.iter().all(|value| value.is_finite())
}

impl From<&TensorSignature> for TensorNumbers {
    fn from(tensor: &TensorSignature) -> Self {
        Self(tensor.clone())
    }
}

impl Signature {
    /// Creates a signature from the numbers of its tensors, which must have been made with these options.
    ///
    /// # Errors
    ///
    /// [`AssemblyError`] if a sketch doesn't fit the shape or the options, moments are for a different number
    /// of values, two tensors have the same name, or no tensor is a weight.
    ///
    /// # Complexity
    ///
    /// O(t log t) time for t tensors.
    ///
    /// # Examples
    ///
    /// See [`TensorNumbers`].
    pub fn from_numbers(
        name: impl Into<String>,
        options: SignatureOptions,
        tensors: Vec<TensorNumbers>,
    ) -> Result<Self, AssemblyError> {
        let tensors = tensors.into_iter().map(|tensor| tensor.check(options));
        let mut tensors = tensors.collect::<Result<Vec<TensorSignature>, AssemblyError>>()?;
        tensors.sort_by(|first, second| first.name.cmp(&second.name));
        if let Some(pair) = tensors.windows(2).find(|p| p[0].name == p[1].name) {
            let tensor = pair[0].name.clone();
            return Err(AssemblyError::DuplicateTensor { tensor });
        }
        if !tensors.iter().any(TensorSignature::is_weight) {
            return Err(AssemblyError::NoWeight);
        }
        Ok(Self {
            name: name.into(),
            key: options.key,
            buckets: options.buckets,
            tensors,
            skipped: Vec::new(),
        })
    }
}
