//! An index as a file: its signatures one after another.
//!
//! | bytes | content |
//! |---|---|
//! | 12 | `mother.index` |
//! | 4 | the version of the format, 1, little-endian |
//! | 8 | the number of models, little-endian |
//! | 8 each | the length of a signature, little-endian, before each of them |
//! | length each | the [signature](crate::signature), as a safetensors file; sorted by name |

use core::error::Error;
use std::io::{self, Read, Write};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Index, IndexError};
use crate::errors::messages;
use crate::signature::{Signature, SignatureFormatError};

const MAGIC: &[u8; 12] = b"mother.index";

const VERSION: u32 = 1;

messages! {
    /// Why an index can't be read.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum IndexFileError {
        /// Reading failed, or the file ended too early.
        Io {
            /// What kind of failure it was.
            kind: io::ErrorKind,
            /// The system's message.
            message: String,
        } => "cannot read the index: {message}",
        /// The file isn't an index.
        OtherFormat => "not an index file",
        /// The file has another version of the format.
        Version {
            /// The version of the file.
            found: u32,
        } => "unsupported index version {found}; only version {VERSION} can be read",
        /// A signature can't be read.
        Signature {
            /// The number of signatures before it.
            position: u64,
            /// What is wrong with it.
            error: SignatureFormatError,
        } => "signature {position} is damaged",
        /// A signature doesn't belong in the index: its name is taken, or it was made with other settings.
        Model(IndexError) => "a signature does not match the index",
    }
}

impl Error for IndexFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Signature { error, .. } => Some(error),
            Self::Model(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for IndexFileError {
    fn from(error: io::Error) -> Self {
        Self::Io {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

impl Index {
    /// Writes all signatures. The file contains neither the settings nor the recovered trees.
    ///
    /// The same signatures always give the same bytes, whatever the order in which they were inserted.
    ///
    /// # Errors
    ///
    /// Any error of the writer.
    ///
    /// # Complexity
    ///
    /// O(all numbers) time, and memory for one signature.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::Index;
    /// use mother::signature::SignatureOptions;
    /// use mother::weights::InMemoryModel;
    ///
    /// let model = InMemoryModel::new("base").with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, 2.0])?;
    /// let mut index = Index::new();
    /// index.insert(SignatureOptions::new().sign(&model)?)?;
    /// let mut file = Vec::new();
    /// index.save(&mut file)?;
    /// let loaded = Index::load(&file[..])?;
    /// assert_eq!(loaded.signature("base"), index.signature("base"));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn save(&self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        writer.write_all(&(self.len() as u64).to_le_bytes())?;
        for signature in self.signatures() {
            let bytes = signature.to_bytes();
            writer.write_all(&(bytes.len() as u64).to_le_bytes())?;
            writer.write_all(&bytes)?;
        }
        writer.flush()
    }

    /// Reads an index that [`save`](Self::save) wrote, with the default settings.
    ///
    /// # Errors
    ///
    /// [`IndexFileError`]. Bytes after the last signature are left unread.
    ///
    /// # Complexity
    ///
    /// O(all numbers) time. Memory depends on the actual contents of the file, whatever lengths it claims.
    ///
    /// # Examples
    ///
    /// See [`save`](Self::save).
    pub fn load(mut reader: impl Read) -> Result<Self, IndexFileError> {
        let mut magic = [0; MAGIC.len()];
        reader.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(IndexFileError::OtherFormat);
        }
        let mut version = [0; 4];
        reader.read_exact(&mut version)?;
        let found = u32::from_le_bytes(version);
        if found != VERSION {
            return Err(IndexFileError::Version { found });
        }
        let models = read_length(&mut reader)?;
        let mut index = Self::new();
        for position in 0..models {
            let length = read_length(&mut reader)?;
            let mut bytes = Vec::new();
            let read = (&mut reader).take(length).read_to_end(&mut bytes)?;
            if read as u64 != length {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let signature = Signature::from_bytes(&bytes)
                .map_err(|error| IndexFileError::Signature { position, error })?;
            index.insert(signature).map_err(IndexFileError::Model)?;
        }
        Ok(index)
    }
}

fn read_length(reader: &mut impl Read) -> io::Result<u64> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length))
}
