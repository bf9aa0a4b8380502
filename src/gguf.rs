//! Models in GGUF files, as used by llama.cpp, read layer by layer.
//!
//! A [`GgufModel`] is one model: a `.gguf` file of version 2 or 3, the first of several files that together
//! hold the model (`name-00001-of-00003.gguf`), or the bytes of a file in memory.
//!
//! # Layers
//!
//! Layers have the form that Hugging Face uses, so that a model and its conversion can be compared.
//! Dimensions are outermost first. Where the architecture is that of Llama or similar, GPT-2 or BERT, names
//! are translated back (`blk.0.attn_q.weight` is `model.layers.0.self_attn.q_proj.weight`), the rows of q and
//! k are in their original order, which llama.cpp changes, and the 1 that llama.cpp adds to Gemma's norms
//! is subtracted. In other architectures, names are llama.cpp's.
//!
//! | stored as | read as |
//! |---|---|
//! | F64, F32, F16, BF16 | the same |
//! | Q8_0, Q6_K, Q5_0, Q5_1, Q5_K, Q4_0, Q4_1, Q4_K, IQ4_NL, IQ4_XS, MXFP4, Q3_K, Q2_K, TQ1_0, TQ2_0 | what the codes stand for, in single precision; the [`ElementType`](crate::weights::ElementType) says how many bits codes have |
//! | integers, NVFP4, Q1_0 and the IQ types of fewer than four bits | [skipped](crate::weights::WeightSource::skipped_layers), with the reason |
//!
//! # What is checked
//!
//! Counts, lengths, names, shapes and positions are all checked before they are used, and an error
//! names the file, the layer and the value at fault. As with [other formats](crate::storage), a file must not
//! change while it is in use, and only a few are kept open.
//!
//! # Memory
//!
//! A model keeps names and shapes. Vocabularies and other metadata are skipped. Reading values takes
//! 64 KiB per call.
//!
//! # Examples
//!
//! ```
//! use mother::gguf::GgufModel;
//! use mother::weights::{Layer, WeightSource};
//!
//! let mut bytes = b"GGUF\x03\0\0\0".to_vec();
//! let counts = [1_u64, 0];
//! bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
//! bytes.extend(8_u64.to_le_bytes());
//! bytes.extend(b"w.weight\x02\0\0\0");
//! bytes.extend([3_u64, 1].iter().flat_map(|length| length.to_le_bytes()));
//! bytes.extend([0; 12]);
//! bytes.resize(96, 0);
//! bytes.extend([1.5_f32, -2.0, 0.25].iter().flat_map(|value| value.to_le_bytes()));
//!
//! let model = GgufModel::from_bytes("tiny", &bytes)?;
//! for layer in model.layers() {
//!     let layer = layer?;
//!     assert_eq!((layer.name(), layer.shape()), ("w.weight", &[1, 3][..]));
//!     let mut last = [0.0_f64; 2];
//!     layer.read(1, &mut last)?;
//!     assert_eq!(last, [-2.0, 0.25]);
//! }
//! # Ok::<(), mother::storage::FileError>(())
//! ```
//!
//! # References
//!
//! The [format](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) of ggml.

mod blocks;
mod file;
mod header;
mod kind;
mod names;

use std::path::Path;

use self::file::{Part, StoredLayer, other_parts, part};
use crate::storage::model::file_model;
use crate::storage::place::stem;
use crate::storage::{FileError, Storage};

file_model! {
    /// One model in the GGUF format: a file, several parts, or bytes in memory.
    ///
    /// Layers are listed in their order in the file. See the [module](self) for what is read and checked.
    GgufModel, GgufLayer: Part, StoredLayer;

    /// ```
    /// use mother::gguf::GgufModel;
    ///
    /// let error = GgufModel::from_bytes("notes", b"Dear diary").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`notes` is not a GGUF file, or is truncated: the file does not begin with `GGUF`",
    /// );
    /// ```
    from_bytes: first_part
}

impl GgufModel<'static> {
    /// Opens the model in a file; its name is the file's stem.
    ///
    /// If the model consists of several files, the path must be that of the first, and the others must be
    /// in the same folder.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the path can't be read or isn't such a model.
    ///
    /// # Complexity
    ///
    /// O(h + l log l) for a header of h bytes and l layers; O(l) memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mother::gguf::GgufModel;
    /// use mother::weights::WeightSource;
    ///
    /// let model = GgufModel::open("models/base-Q8_0.gguf")?;
    /// assert_eq!(model.name(), "base-Q8_0");
    /// # Ok::<(), mother::storage::FileError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let (first, count) = part(Storage::open(path)?)?;
        let mut parts = alloc::vec![first];
        if count > 1 {
            parts.extend(other_parts(path, count)?);
        }
        Ok(Self::new(stem(path), parts))
    }
}

/// Reads the only file of a model.
fn first_part(storage: Storage<'_>) -> Result<Part<'_>, FileError> {
    Ok(part(storage)?.0)
}
