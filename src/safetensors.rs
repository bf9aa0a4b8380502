//! Models in safetensors files, read layer by layer.
//!
//! A [`SafetensorsModel`] is one model: a `.safetensors` file, a folder with one such file or with
//! several shards and their index, or the bytes of a file in memory.
//! [`find_models`](crate::files::find_models) finds models in folders of any layout.
//!
//! # What is checked
//!
//! Everything in a header is checked before it is used, and an error names the file, the layer and the value at
//! fault. The checks cover the header's length, UTF-8 and JSON, duplicate names, shapes, the number of bytes of
//! each layer, positions beyond the end, overlapping layers, and bytes after the last layer. Unlike the
//! reference implementation, this module accepts unknown keys and bytes between layers, which are harmless. A
//! file with such gaps may also end with unused bytes, but no more than its longest gap, unless they could be
//! the result of a wrong header length.
//!
//! A layer whose type can't be decoded is not an error:
//! [`skipped_layers`](crate::weights::WeightSource::skipped_layers) lists it with the reason. This concerns
//! complex numbers, 6-bit floats (`F6_E2M3`, `F6_E3M2`) and the variants of 8-bit floats without a negative zero
//! (`F8_E4M3FNUZ`, `F8_E5M2FNUZ`).
//!
//! A file must not change while its model is in use. Its length, its modification time and, on
//! Unix, its device and inode are compared after every read, so that reading a changed file is an
//! error ([`FileErrorKind::Changed`](crate::storage::FileErrorKind::Changed)), not a wrong number. This can't
//! notice changes made in place within one tick of the file system's clock after the model was opened, but a
//! [measurement](crate::evidence::Measurement) notices them when it reads the same values again.
//!
//! # Memory
//!
//! A model keeps only the contents of its header: 32 bytes per layer, 8 bytes per dimension, and the names,
//! about as much as the header takes in the file. While the model is opened, the whole header is in memory,
//! at most 100 MB as the format allows. The most wasteful headers (with millions of layers, or one layer with
//! millions of dimensions) take about five times their length to read and four times to keep. Reading values
//! takes at most 64 KiB per call, whatever the layer's size.
//!
//! Files stay open only while the number open for all models together is small; see
//! [`set_open_file_limit`].
//!
//! # Examples
//!
//! ```
//! use mother::safetensors::SafetensorsModel;
//! use mother::weights::{Layer, WeightSource};
//!
//! let header = r#"{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
//!                  "step":{"dtype":"C64","shape":[],"data_offsets":[8,16]}}"#;
//! let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
//! bytes.extend(header.bytes());
//! bytes.extend([1.5_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()));
//! bytes.extend([0; 8]);
//!
//! let model = SafetensorsModel::from_bytes("tiny", &bytes)?;
//! for layer in model.layers() {
//!     let layer = layer?;
//!     assert_eq!((layer.name(), layer.shape()), ("w", &[2, 1][..]));
//!     let mut last = [0.0_f64];
//!     layer.read(1, &mut last)?;
//!     assert_eq!(last, [-2.0]);
//! }
//! assert_eq!(model.skipped_layers()[0].layer, "step");
//! # Ok::<(), mother::storage::FileError>(())
//! ```
//!
//! # References
//!
//! The [format](https://github.com/huggingface/safetensors#format) of Hugging Face's safetensors.

mod entry;
mod header;
mod shard;

use alloc::string::String;
use std::path::{Path, PathBuf};

use self::header::Tensor;
use self::shard::Shard;
use crate::storage::FileError;
use crate::storage::index::{self, Stored};
use crate::storage::model::file_model;

#[doc(no_inline)]
pub use crate::storage::set_open_file_limit;

pub(crate) use crate::storage::index::shard_names;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_SUFFIX: &str = ".safetensors.index.json";

file_model! {
    /// One model in the safetensors format: a file, shards with an index, or bytes in memory.
    ///
    /// Layers are listed in their order in the file, and shards in the order of their names. See the
    /// [module](self) for what is checked and how much memory is used.
    SafetensorsModel, SafetensorsLayer: Shard, Tensor;

    /// ```
    /// use mother::safetensors::SafetensorsModel;
    ///
    /// let bytes = b"\x26\0\0\0\0\0\0\0{\"__metadata__\":{\"trained_on\":\"rain\"}}";
    /// let model = SafetensorsModel::from_bytes("empty", bytes)?;
    /// assert_eq!(model.metadata().next(), Some(("trained_on", "rain")));
    ///
    /// let error = SafetensorsModel::from_bytes("cut", &bytes[..20]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`cut` is not a safetensors file, or is truncated: \
    ///      the header would be 38 bytes long in a file of 20",
    /// );
    /// # Ok::<(), mother::storage::FileError>(())
    /// ```
    from_bytes: Shard::new
}

impl SafetensorsModel<'static> {
    /// Opens the model at a path.
    ///
    /// A file is named by its stem. A folder is named after itself and must hold `model.safetensors`, or
    /// otherwise `model.safetensors.index.json` and the shards that it lists. The model of an index (a
    /// file `*.safetensors.index.json`) is named after the folder that contains it.
    ///
    /// A layer that is in a shard, but isn't listed there by the index, is not part of the
    /// model; it is among the skipped layers.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the path can't be read or isn't such a model.
    ///
    /// # Complexity
    ///
    /// O(h + l log l) for headers of h bytes and l layers; O(h) memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mother::safetensors::SafetensorsModel;
    /// use mother::weights::WeightSource;
    ///
    /// let model = SafetensorsModel::open("models/base.safetensors")?;
    /// assert_eq!(model.name(), "base");
    /// # Ok::<(), mother::storage::FileError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let (name, parts) =
            index::open_model(path.as_ref(), SINGLE_FILE, INDEX_SUFFIX, Shard::new)?;
        Ok(Self::new(name, parts))
    }

    /// Opens the model that these files store. Its name is set later.
    pub(crate) fn open_files(stored: Stored, files: &[PathBuf]) -> Result<Self, FileError> {
        let parts = index::open_files(stored, files, Shard::new)?;
        Ok(Self::new(String::new(), parts))
    }
}

impl SafetensorsModel<'_> {
    /// The file's own notes under `__metadata__`, as keys and values in the file's order.
    ///
    /// For a sharded model, these are the notes of all shards, one after the other.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().flat_map(|shard| shard.header.metadata())
    }
}
