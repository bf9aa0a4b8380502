//! The entries of a zip archive: the position of each in its file, checked against the file's length.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::io;

use rawzip::{
    CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipArchive,
    ZipArchiveEntryWayfinder, ZipFileHeaderRecord, ZipLocator,
};

use super::{LARGEST_HEADER, Storage};

/// A file in an archive.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) packing: Packing,
    /// The position in the archive of its first byte, compressed or not.
    pub(crate) position: u64,
    /// The number of bytes it takes in the archive.
    pub(crate) packed: u64,
    /// Its stated uncompressed length in bytes.
    pub(crate) length: u64,
}

/// How the bytes of an entry are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Stored,
    Deflated,
    /// It can't be read, because it is encrypted or compressed by another method.
    Unknown,
}

/// DEFLATE expands one byte to at most this many.
const LARGEST_RATIO: u64 = 1032;

/// The entries of an archive, in the order of its directory; the error describes what is wrong.
pub(crate) fn entries(storage: &Storage<'_>) -> Result<Vec<Entry>, String> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipLocator::new()
        .locate_in_reader(Reader(storage), &mut buffer, storage.length())
        .map_err(|(_, error)| error.to_string())?;
    let directory = archive
        .eocd_offset()
        .saturating_sub(archive.directory_offset());
    if directory > LARGEST_HEADER {
        return Err(format!(
            "the archive's directory is too long ({directory} bytes)"
        ));
    }
    let listed = listed(&archive, &mut buffer, storage.length())?;
    let entries: Vec<_> = (listed.into_iter())
        .map(|(entry, wayfinder)| located(&archive, entry, wayfinder))
        .collect::<Result<_, _>>()?;
    check(&entries)?;
    Ok(entries)
}

/// The directory's information on each entry; positions aren't known yet.
fn listed(
    archive: &ZipArchive<Reader<'_>>,
    buffer: &mut [u8],
    length: u64,
) -> Result<Vec<(Entry, ZipArchiveEntryWayfinder)>, String> {
    let mut listed = Vec::new();
    let mut records = archive.entries(buffer);
    while let Some(record) = records.next_entry().map_err(|error| error.to_string())? {
        let entry = entry(&record);
        let begins = record.local_header_offset();
        if begins
            .checked_add(entry.packed)
            .is_none_or(|end| end > length)
        {
            return Err(format!(
                "entry `{}` of {} bytes at {begins} ends beyond the end of the file, \
                 which has only {length}",
                entry.name, entry.packed
            ));
        }
        listed.push((entry, record.wayfinder()));
    }
    if listed.len() as u64 != archive.entries_hint() {
        return Err(format!(
            "the archive's directory lists {} entries instead of {}",
            listed.len(),
            archive.entries_hint()
        ));
    }
    Ok(listed)
}

fn entry(record: &ZipFileHeaderRecord<'_>) -> Entry {
    let packing = match record.compression_method() {
        _ if record.flags().is_encrypted() => Packing::Unknown,
        CompressionMethod::STORE => Packing::Stored,
        CompressionMethod::DEFLATE => Packing::Deflated,
        _ => Packing::Unknown,
    };
    Entry {
        name: String::from_utf8_lossy(record.file_path().as_bytes()).into_owned(),
        packing,
        position: 0,
        packed: record.compressed_size_hint(),
        length: record.uncompressed_size_hint(),
    }
}

fn located(
    archive: &ZipArchive<Reader<'_>>,
    mut entry: Entry,
    wayfinder: ZipArchiveEntryWayfinder,
) -> Result<Entry, String> {
    let found = archive.get_entry(wayfinder);
    let found = found.map_err(|error| format!("entry `{}`: {error}", entry.name))?;
    entry.position = found.compressed_data_range().0;
    Ok(entry)
}

/// Rejects entries that share bytes, or that claim to hold more than their bytes can.
fn check(entries: &[Entry]) -> Result<(), String> {
    for entry in entries {
        let most = match entry.packing {
            Packing::Stored => entry.packed,
            Packing::Deflated | Packing::Unknown => entry.packed.saturating_mul(LARGEST_RATIO),
        };
        let too_few = entry.packing == Packing::Stored && entry.length != entry.packed;
        if entry.length > most || too_few {
            return Err(format!(
                "entry `{}` claims to hold {} bytes in {}",
                entry.name, entry.length, entry.packed
            ));
        }
    }
    let mut ranges: Vec<_> = (entries.iter())
        .filter(|entry| entry.packed > 0)
        .map(|entry| (entry.position, entry.packed, &entry.name))
        .collect();
    ranges.sort_unstable();
    let overlap = ranges.windows(2).find_map(|pair| match pair {
        &[(begin, packed, first), (next, _, second)] if next < begin.saturating_add(packed) => {
            Some((first, second))
        }
        _ => None,
    });
    match overlap {
        Some((first, second)) => Err(format!("entries `{first}` and `{second}` overlap")),
        None => Ok(()),
    }
}

/// Lets the archive library read a file of weights.
struct Reader<'a>(&'a Storage<'a>);

impl ReaderAt for Reader<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.0.length().saturating_sub(offset);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.0.fill(offset, &mut buffer[..length]);
        read.map_err(|error| io::Error::other(error.to_owned()))?;
        Ok(length)
    }
}
