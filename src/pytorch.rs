//! Models in PyTorch's own files (`.bin`, `.pt`, `.pth`, `.ckpt` and others), read layer by layer.
//!
//! A [`PytorchModel`] is one model: a file written by `torch.save` (the zip archives of PyTorch 1.6 and
//! later, or the older stream of pickles), a folder that holds `pytorch_model.bin` or shards and their
//! index, or the bytes of a file in memory.
//!
//! # What is read and what isn't
//!
//! Such a file holds a *pickle*: a program that builds Python objects and may call anything. This module
//! never executes it. It only records the calls, and only those by which PyTorch rebuilds tensors have a
//! meaning. Anything else, whether `os.system` or a harmless class, is treated as a value without weights.
//!
//! Training programs save a model's tensors in nested dictionaries. If there are tensors under one of the usual
//! names (`state_dict`, `model`, `module`, `model_state_dict`, `ema`, …), the weights are taken from there,
//! otherwise from everywhere except an optimiser's or a scheduler's state. Names of nested dictionaries are
//! joined by dots. A module that was saved whole gives the names that its `state_dict()` would. Everything left
//! out, and tensors whose types can't be decoded, are
//! [skipped layers](crate::weights::WeightSource::skipped_layers).
//!
//! Tensors may share a storage, or be strided views of one, such as a transposed matrix. Each is a layer of its
//! own, with its values in the order of its shape. Reading a transposed matrix takes about four times as long as
//! reading others, and longer in chunks of fewer than four million values.
//!
//! # What is checked
//!
//! The archive's directory, the pickle, and each tensor's shape, strides and offset against its
//! storage are all checked before use, and an error names the file, the layer and the value at fault. A
//! file without any floating-point tensor is also an error
//! ([`NoWeights`](crate::storage::FileErrorKind::NoWeights)), since it isn't a model. As with
//! [other formats](crate::storage), a file must not change while it is in use, and only a few are kept open.
//!
//! # Memory
//!
//! A model keeps names, shapes and strides. While it is opened, the pickle's values are in memory. There may be
//! four million of them: a few hundred megabytes for a malicious file, far less than one for a typical model.
//! Reading values takes 64 KiB per call, or up to 5 MB if they are gathered by strides.
//!
//! # References
//!
//! The [serialisation semantics](https://docs.pytorch.org/docs/stable/notes/serialization.html) of
//! PyTorch; the opcodes of Python's
//! [`pickletools`](https://docs.python.org/3/library/pickletools.html).

mod file;
mod pickle;
mod state;
mod tensor;
mod values;

use std::path::Path;

use self::file::{Shard, StoredLayer, shard};
use crate::storage::FileError;
use crate::storage::index;
use crate::storage::model::file_model;

const SINGLE_FILE: &str = "pytorch_model.bin";
const INDEX_SUFFIX: &str = ".bin.index.json";

file_model! {
    /// One model in PyTorch's format: a file, shards with an index, or bytes in memory.
    ///
    /// Layers are listed in their order in the file, and shards in the order of their names. See the
    /// [module](self) for what is read and checked.
    PytorchModel, PytorchLayer: Shard, StoredLayer;

    /// ```
    /// use mother::pytorch::PytorchModel;
    ///
    /// let error = PytorchModel::from_bytes("notes", b"Dear diary").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`notes` is not a PyTorch file, or is truncated: the file begins with `Dear diary`",
    /// );
    /// ```
    from_bytes: shard
}

impl PytorchModel<'static> {
    /// Opens the model at a path.
    ///
    /// A file is named by its stem. A folder is named after itself and must hold `pytorch_model.bin`, or
    /// otherwise `pytorch_model.bin.index.json` and the shards that it lists. The model of an index (a file
    /// `*.bin.index.json`) is named after the folder that contains it.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the path can't be read or isn't such a model.
    ///
    /// # Complexity
    ///
    /// O(p + l log l) for a pickle of p bytes and l layers; O(p) memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mother::pytorch::PytorchModel;
    /// use mother::weights::WeightSource;
    ///
    /// let model = PytorchModel::open("models/base.pt")?;
    /// assert_eq!(model.name(), "base");
    /// # Ok::<(), mother::storage::FileError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let (name, parts) = index::open_model(path.as_ref(), SINGLE_FILE, INDEX_SUFFIX, shard)?;
        Ok(Self::new(name, parts))
    }

    /// Opens the model that these files store. Its name is set later.
    #[cfg(feature = "safetensors")]
    pub(crate) fn open_files(
        stored: index::Stored,
        files: &[std::path::PathBuf],
    ) -> Result<Self, FileError> {
        let parts = index::open_files(stored, files, shard)?;
        Ok(Self::new(alloc::string::String::new(), parts))
    }
}
