//! A folder of signatures, so that a model is read only when it is new or has changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mother::signature::{Signature, SignatureOptions};
use serde::Serialize;

use super::terminal::{Failure, note};

/// The maximum length of a file's header used to detect changes.
const HEADER: u64 = 1 << 20;

/// The numbers of models read and of signatures reused.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) read: usize,
    pub(crate) reused: usize,
}

/// Signatures, by a key that identifies the files they were made from.
pub(crate) struct Store<'a> {
    folder: &'a Path,
    options: SignatureOptions,
}

impl<'a> Store<'a> {
    /// Opens the store, creating its folder if necessary.
    pub(crate) fn open(folder: &'a Path, options: SignatureOptions) -> Result<Self, Failure> {
        let made = fs::create_dir_all(folder);
        made.map_err(|error| Failure::Run(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder, options })
    }

    /// The signature of the model in these files, if it is stored and intact. A damaged one is reported.
    pub(crate) fn get(&self, model: &[PathBuf], id: &str) -> Option<Signature> {
        let path = self.place(model)?;
        let bytes = fs::read(&path).ok()?;
        match Signature::from_bytes(&bytes) {
            Ok(signature) => Some(signature.with_name(id)),
            Err(error) => {
                let file = path.display();
                note(format!(
                    "reading {id} again, because its signature {file} is damaged: {error}"
                ));
                None
            }
        }
    }

    /// Stores a signature atomically: another run that reads the folder at the same time sees all of it or none.
    pub(crate) fn put(&self, model: &[PathBuf], signature: &Signature) {
        let Some(path) = self.place(model) else {
            return;
        };
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let kept = fs::write(&temporary, signature.to_bytes())
            .and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = kept {
            let _ = fs::remove_file(&temporary);
            let id = signature.name();
            note(format!("cannot store the signature of {id}: {error}"));
        }
    }

    /// The path of a model's signature; `None` if the model's files can't be read.
    fn place(&self, model: &[PathBuf]) -> Option<PathBuf> {
        let mut hash = Fnv::new();
        hash.add(&Signature::VERSION.to_le_bytes());
        hash.add(format!("{:?}", self.options).as_bytes());
        for file in model {
            hash.add_file(file).ok()?;
        }
        Some(self.folder.join(format!("{:032x}.safetensors", hash.0)))
    }
}

/// The 128-bit hash of Fowler, Noll and Vo (FNV-1a).
struct Fnv(u128);

impl Fnv {
    const fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 =
                (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// Adds a file's path, size, time and the beginning of its header.
    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let place = fs::canonicalize(path)?;
        let file = File::open(&place)?;
        let metadata = file.metadata()?;
        let time = metadata.modified()?.duration_since(UNIX_EPOCH);
        self.add(place.as_os_str().as_encoded_bytes());
        self.add(&metadata.len().to_le_bytes());
        self.add(&time.map_or(0, |time| time.as_nanos()).to_le_bytes());
        let mut header = Vec::new();
        let mut start = file.take(8);
        start.read_to_end(&mut header)?;
        let length = header
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (start.into_inner().take(length.min(HEADER))).read_to_end(&mut header)?;
        self.add(&header);
        Ok(())
    }
}
