//! Positioned reads from files, which are kept open only while a process-wide budget allows.

use core::ops::Deref;
use core::sync::atomic::{AtomicUsize, Ordering};

use alloc::string::ToString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::{FileError, FileErrorKind};

/// The default number of files that all models of the process together keep open.
///
/// Half the number of files that macOS lets a process open, the smallest limit among common systems.
const DEFAULT_LIMIT: usize = 128;

static OPEN_FILES: Budget = Budget::new(DEFAULT_LIMIT);

/// Sets how many files all models of this process together keep open between reads. The default is 128.
///
/// Beyond the limit, a model opens its file anew for every read, so any number of models can be used
/// at once. Files that are already open stay open until their models are dropped.
///
/// # Examples
///
/// ```
/// // Never keep a file open.
/// mother::storage::set_open_file_limit(0);
/// ```
pub fn set_open_file_limit(files: usize) {
    OPEN_FILES.limit.store(files, Ordering::Relaxed);
}

/// A limit on the number of things held at once.
#[derive(Debug)]
struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    const fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
        }
    }

    /// A lease for one more thing, if there is one left.
    fn lease(&self) -> Option<Lease<'_>> {
        // Relaxed ordering is enough: only the count matters, and it guards no other memory.
        let limit = self.limit.load(Ordering::Relaxed);
        (self.used)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < limit).then(|| used + 1)
            })
            .ok()
            // Created only on success, since dropping a lease returns its share.
            .map(|_| Lease(self))
    }
}

/// Returns its share of the budget when dropped.
#[derive(Debug)]
struct Lease<'a>(&'a Budget);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file that is read in pieces, and must not change after it was first opened.
#[derive(Debug)]
pub(super) struct ModelFile {
    path: PathBuf,
    fingerprint: Fingerprint,
    kept: OnceLock<KeptFile>,
}

#[derive(Debug)]
struct KeptFile {
    file: File,
    _lease: Lease<'static>,
}

/// The properties by which a changed file is recognised.
#[derive(Debug, PartialEq)]
struct Fingerprint {
    length: u64,
    /// `None` if the file system doesn't know it.
    modified: Option<SystemTime>,
    /// The device and inode of the file.
    #[cfg(unix)]
    identity: (u64, u64),
}

impl Fingerprint {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            identity: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
        })
    }
}

/// An open file, either kept by the model or opened for this read only.
pub(super) enum Handle<'a> {
    Kept(&'a File),
    Fresh(File),
}

impl Deref for Handle<'_> {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Self::Kept(file) => file,
            Self::Fresh(file) => file,
        }
    }
}

impl ModelFile {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::from_io(path, &error);
        // Checked before opening, since opening a pipe would wait for a writer.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(FileErrorKind::NotAFile.in_file(path.display().to_string()));
        }
        let file = File::open(path).map_err(failed)?;
        let model_file = Self {
            path: path.into(),
            fingerprint: Fingerprint::of(&file).map_err(failed)?,
            kept: OnceLock::new(),
        };
        model_file.keep(file);
        Ok(model_file)
    }

    pub(super) fn length(&self) -> u64 {
        self.fingerprint.length
    }

    /// Keeps the file open if the budget allows.
    fn keep(&self, file: File) -> Handle<'_> {
        match OPEN_FILES.lease() {
            Some(lease) => {
                let kept = KeptFile {
                    file,
                    _lease: lease,
                };
                // If another thread was faster, its file is used and this one is closed.
                Handle::Kept(&self.kept.get_or_init(|| kept).file)
            }
            None => Handle::Fresh(file),
        }
    }

    /// The open file, which is opened anew if it wasn't kept.
    pub(super) fn handle(&self) -> io::Result<Handle<'_>> {
        match self.kept.get() {
            Some(kept) => Ok(Handle::Kept(&kept.file)),
            None => Ok(self.keep(File::open(&self.path)?)),
        }
    }

    /// Whether the open file still appears to be the one that [`open`](Self::open) saw.
    pub(super) fn is_unchanged(&self, handle: &Handle<'_>) -> bool {
        Fingerprint::of(handle).is_ok_and(|fingerprint| fingerprint == self.fingerprint)
    }
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position)
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;

    let mut filled = 0;
    while filled < bytes.len() {
        match file.seek_read(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
pub(super) use seek_and_read as read_exact_at;

/// Positioned reads for systems without them: one at a time, since a file has only one cursor.
#[cfg(any(test, not(any(unix, windows))))]
fn seek_and_read(mut file: &File, bytes: &mut [u8], position: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::{Mutex, PoisonError};

    static CURSOR: Mutex<()> = Mutex::new(());
    let _cursor = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_given_back() {
        let budget = Budget::new(2);
        let (first, second) = (budget.lease(), budget.lease());
        assert!(first.is_some() && second.is_some() && budget.lease().is_none());
        drop(first);
        assert!(budget.lease().is_some());
        drop(second);
        assert_eq!(budget.used.into_inner(), 0);
    }

    #[test]
    fn reading_with_a_cursor_is_the_same_as_without() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let file = File::open(manifest).unwrap();
        let length = file.metadata().unwrap().len();
        for position in (0..length - 7).rev() {
            let (mut expected, mut found) = ([0; 7], [0; 7]);
            read_exact_at(&file, &mut expected, position).unwrap();
            seek_and_read(&file, &mut found, position).unwrap();
            assert_eq!(expected, found);
        }
        let error = seek_and_read(&file, &mut [0; 8], length - 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
