//! Arrays that `rivals.py` times the libraries of other languages on.

use std::env;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use mother::Scalar;

/// The folder that arrays are wanted in, if they are.
fn folder() -> Option<PathBuf> {
    env::var_os("MOTHER_ARRAYS").map(PathBuf::from)
}

/// Writes an array as little-endian numbers of its own precision, if arrays are wanted.
pub(crate) fn share<T: Scalar>(name: &str, arrays: &[&[T]]) {
    let Some(folder) = folder() else { return };
    let mut file = BufWriter::new(File::create(folder.join(name)).unwrap());
    for value in arrays.iter().copied().flatten() {
        let value = value.widen();
        let written = if size_of::<T>() == size_of::<f32>() {
            file.write_all(&(value as f32).to_le_bytes())
        } else {
            file.write_all(&value.to_le_bytes())
        };
        written.unwrap();
    }
    file.flush().unwrap();
}
