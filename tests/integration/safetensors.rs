//! The safetensors adapter, with the format's reference implementation as the oracle.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[cfg(unix)]
mod changes;
mod files;
mod format;
mod hostile;
mod sharded;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::{Path, PathBuf};
use std::{fs, process};

use mother::safetensors::SafetensorsModel;
use mother::storage::FileError;
use mother::weights::{Layer, WeightSource, element_count};

/// A folder of this test's own, removed when the test ends.
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("safetensors-{}-{count}", process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file, and the folders it needs.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A file with this header, as it is, and this data.
pub(crate) fn file_with(header: impl AsRef<[u8]>, data: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    bytes
}

/// A file of F32 vectors, written by the reference implementation.
pub(crate) fn file_of(layers: &[(&str, &[f32])]) -> Vec<u8> {
    use ::safetensors::{Dtype, serialize, tensor::TensorView};

    let bytes: Vec<Vec<u8>> = (layers.iter())
        .map(|(_, values)| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let views = layers.iter().zip(&bytes).map(|((name, values), bytes)| {
        let view = TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap();
        (*name, view)
    });
    serialize(views, None).unwrap()
}

pub(crate) type Values = Vec<(String, Vec<f64>)>;

/// Every layer's values, each read at once.
pub(crate) fn read_all<S: WeightSource>(model: &S) -> Result<Values, S::Error> {
    (model.layers())
        .map(|layer| {
            let layer = layer?;
            let mut values = vec![0.0; element_count(layer.shape()).unwrap()];
            layer.read(0, &mut values)?;
            Ok((layer.name().to_owned(), values))
        })
        .collect()
}

fn skipped_names<'a>(model: &'a SafetensorsModel<'_>) -> Vec<&'a str> {
    let skipped = model.skipped_layers().iter();
    skipped.map(|skipped| skipped.layer.as_str()).collect()
}

/// The error, which must tell its story on one line that names the file.
fn error_of(opened: Result<SafetensorsModel<'_>, FileError>, file: &str) -> FileError {
    let error = opened.map(|model| read_all(&model)).unwrap_err();
    let line = error.to_string();
    assert!(line.contains(file), "{line}");
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(line.chars().count() < 600, "{line}");
    error
}
