//! Models in NumPy's array archives (`.npz`), read array by array.
//!
//! An [`NpzModel`] is one model: a file that `numpy.savez` or `numpy.savez_compressed` wrote, or the
//! bytes of one in memory. Each array of 16, 32 or 64-bit floats is a layer, in C or Fortran order and
//! in either byte order; other arrays are [skipped layers](crate::weights::WeightSource::skipped_layers).
//!
//! # What is checked
//!
//! The archive's directory, each array's header, and its shape against its length are all checked before use,
//! and an error names the file, the layer and the value at fault. An array never has more bytes than its
//! shape needs, even if its compressed bytes would give more. Checksums aren't compared, because values are
//! read in pieces. As with [other formats](crate::storage), a file must not change while it is in use, and
//! only a few are kept open.
//!
//! # Compressed arrays
//!
//! Compressed arrays can only be read from the beginning. Up to eight reads can be continued where they stopped;
//! reading from an earlier value starts again. Arrays in Fortran order start again for every chunk (see
//! [`Layer::preferred_length`](crate::weights::Layer::preferred_length)), so those with more than 90 million
//! values, and very narrow ones, are skipped.
//!
//! # Memory
//!
//! A model keeps names and shapes, and up to 800 kB of recently inflated bytes. Reading values takes 64 KiB per
//! call, or up to 5 MB in Fortran order.
//!
//! # Examples
//!
//! ```no_run
//! use mother::npz::NpzModel;
//! use mother::weights::{Layer, WeightSource};
//!
//! let model = NpzModel::open("models/base.npz")?;
//! for layer in model.layers() {
//!     let layer = layer?;
//!     let mut first = [0.0_f32];
//!     layer.read(0, &mut first)?;
//!     println!("{} {:?} begins with {}", layer.name(), layer.shape(), first[0]);
//! }
//! # Ok::<(), mother::storage::FileError>(())
//! ```
//!
//! # References
//!
//! The [format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html) of numpy.

mod file;
mod header;
mod inflate;

use std::path::Path;

use self::file::{Arrays, StoredLayer, arrays};
use crate::storage::model::file_model;
use crate::storage::place::stem;
use crate::storage::{FileError, Storage};

file_model! {
    /// One model in an archive of arrays: a file, or bytes in memory.
    ///
    /// Layers are listed in the order of the archive's directory. See the [module](self) for what is read and
    /// checked.
    NpzModel, NpzLayer: Arrays, StoredLayer;

    /// ```
    /// use mother::npz::NpzModel;
    ///
    /// let error = NpzModel::from_bytes("notes", b"Dear diary").unwrap_err();
    /// assert!(error.to_string().starts_with("`notes` is not a NumPy file, or is truncated: "));
    /// ```
    from_bytes: arrays
}

impl NpzModel<'static> {
    /// Opens the model in a file; its name is the file's stem.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the path can't be read or isn't such a file.
    ///
    /// # Complexity
    ///
    /// O(l log l) for l layers; O(l) memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mother::npz::NpzModel;
    /// use mother::weights::WeightSource;
    ///
    /// let model = NpzModel::open("models/base.npz")?;
    /// assert_eq!(model.name(), "base");
    /// # Ok::<(), mother::storage::FileError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        Ok(Self::new(
            stem(path),
            [arrays(Storage::open(path)?)?].into(),
        ))
    }
}
