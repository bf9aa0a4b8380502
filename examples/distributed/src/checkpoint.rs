//! Signatures on disk, so that no model is read twice.
//!
//! Each worker appends its signatures to a file, which begins with a description of their source. Every record is
//! preceded by its length in eight bytes, little-endian. A process that is killed leaves at most one incomplete
//! signature at the end, which is dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use mother::signature::Signature;

use crate::Failure;

/// The location of the signatures of all workers.
#[derive(Clone)]
pub(crate) struct Checkpoints {
    pub(crate) folder: PathBuf,
    /// A description of their source.
    pub(crate) description: String,
    /// The number of workers.
    pub(crate) readers: usize,
}

impl Checkpoints {
    /// Opens or creates the file of one worker, and passes on the signatures in it one at a time, each with its
    /// position.
    pub(crate) fn open(
        &self,
        reader: usize,
        each: impl FnMut(u64, Signature) -> Result<(), Failure>,
    ) -> Result<Checkpoint, Failure> {
        let path = (self.folder).join(format!("reader-{reader}-of-{}", self.readers));
        Checkpoint::open(path, &self.description, each)
    }
}

/// The signatures of the models that one worker read.
pub(crate) struct Checkpoint {
    path: PathBuf,
    file: File,
    /// The same file, for reading.
    reader: File,
    length: u64,
}

impl Checkpoint {
    fn open(
        path: PathBuf,
        description: &str,
        mut each: impl FnMut(u64, Signature) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let failed = |error| failure(&path, error);
        let file = (OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false))
        .open(&path)
        .map_err(failed)?;
        let mut reader = BufReader::new(file);
        let mut count = 0;
        let mut whole = 0;
        if let Some(record) = read_record(&mut reader).map_err(failed)? {
            if record != description.as_bytes() {
                let found = String::from_utf8_lossy(&record);
                return Err(failure(
                    &path,
                    format!("the file has signatures of other models ({found}); remove it"),
                ));
            }
            whole += 8 + record.len() as u64;
            while let Some(record) = read_record(&mut reader).map_err(failed)? {
                let signature = Signature::from_bytes(&record).map_err(|error| {
                    failure(&path, format!("signature {count} is damaged: {error}"))
                })?;
                each(whole, signature)?;
                count += 1;
                whole += 8 + record.len() as u64;
            }
        }
        let mut file = reader.into_inner();
        file.set_len(whole).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let reader = File::open(&path).map_err(failed)?;
        let mut checkpoint = Self {
            path,
            file,
            reader,
            length: whole,
        };
        if whole == 0 {
            checkpoint.write_record(description.as_bytes())?;
        }
        Ok(checkpoint)
    }

    /// Appends a signature and returns its position. Once this returns, it survives the process.
    pub(crate) fn push(&mut self, signature: &Signature) -> Result<u64, Failure> {
        let place = self.length;
        self.write_record(&signature.to_bytes())?;
        Ok(place)
    }

    /// The signature at a position.
    pub(crate) fn read(&mut self, place: u64) -> Result<Signature, Failure> {
        let failed = |error| failure(&self.path, error);
        (self.reader.seek(SeekFrom::Start(place))).map_err(failed)?;
        let record = read_record(&mut self.reader).map_err(failed)?;
        Signature::from_bytes(&record.unwrap_or_default())
            .map_err(|error| failure(&self.path, error))
    }

    fn write_record(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let length = (bytes.len() as u64).to_le_bytes();
        let record = [&length, bytes].concat();
        let written = self.file.write_all(&record);
        written.map_err(|error| failure(&self.path, error))?;
        self.length += record.len() as u64;
        Ok(())
    }
}

/// The next record; `None` at the end, or if the rest is incomplete.
fn read_record(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = Vec::new();
    reader.take(8).read_to_end(&mut length)?;
    let Ok(length) = <[u8; 8]>::try_from(length) else {
        return Ok(None);
    };
    let length = u64::from_le_bytes(length);
    let mut record = Vec::new();
    reader.take(length).read_to_end(&mut record)?;
    Ok((record.len() as u64 == length).then_some(record))
}

fn failure(path: &Path, error: impl core::fmt::Display) -> Failure {
    Failure(format!("{}: {error}", path.display()))
}
