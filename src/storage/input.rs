//! Reads a file from front to back through a small buffer.

use alloc::string::String;
use alloc::vec::Vec;

use super::{FileError, FileErrorKind, LARGEST_HEADER, Storage};

const BUFFER: usize = 1 << 16;

/// The maximum length of a line in a text opcode.
const LONGEST_LINE: usize = 1 << 16;

pub(crate) type Reading<R> = Result<R, FileError>;

/// The bytes of a file from a given position on.
pub(crate) struct Input<'a> {
    storage: &'a Storage<'a>,
    buffer: Vec<u8>,
    /// The number of bytes already taken from the buffer.
    taken: usize,
    /// The position in the file at which the buffer ends.
    position: u64,
    end: u64,
}

impl<'a> Input<'a> {
    /// The bytes from `position` to `end`, but at most as many as the largest header has.
    pub(crate) fn new(storage: &'a Storage<'a>, position: u64, end: u64) -> Self {
        Self {
            storage,
            buffer: Vec::new(),
            taken: 0,
            position,
            end: end.min(position.saturating_add(LARGEST_HEADER)),
        }
    }

    /// The position of the next byte in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position - (self.buffer.len() - self.taken) as u64
    }

    fn left(&self) -> u64 {
        self.end.saturating_sub(self.position())
    }

    /// An error at the current position.
    pub(crate) fn fault<R>(&self, reason: impl Into<String>) -> Reading<R> {
        let kind = FileErrorKind::Damaged {
            position: Some(self.position()),
            reason: reason.into(),
        };
        Err(kind.in_file(self.storage.label()))
    }

    pub(crate) fn byte(&mut self) -> Reading<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Reading<[u8; N]> {
        let mut array = [0; N];
        self.fill(&mut array)?;
        Ok(array)
    }

    /// Reads `length` bytes, after checking that the file has them.
    pub(crate) fn bytes(&mut self, length: u64) -> Reading<Vec<u8>> {
        self.has(length)?;
        let mut bytes = alloc::vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn skip(&mut self, length: u64) -> Reading<()> {
        self.has(length)?;
        let buffered = (self.buffer.len() - self.taken) as u64;
        if length <= buffered {
            self.taken += length as usize;
        } else {
            self.position += length - buffered;
            self.buffer.clear();
            self.taken = 0;
        }
        Ok(())
    }

    /// The bytes up to the next line feed, which is consumed as well.
    pub(crate) fn line(&mut self) -> Reading<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                _ if line.len() == LONGEST_LINE => return self.fault("line too long"),
                byte => line.push(byte),
            }
        }
    }

    fn has(&self, length: u64) -> Reading<()> {
        if length > self.left() {
            return self.fault(alloc::format!(
                "{length} bytes expected, {} left",
                self.left()
            ));
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Reading<()> {
        self.has(bytes.len() as u64)?;
        let mut filled = 0;
        while let Some(left) = bytes.get_mut(filled..).filter(|left| !left.is_empty()) {
            if self.taken == self.buffer.len() {
                self.refill()?;
            }
            let available = self.buffer.get(self.taken..).unwrap_or_default();
            let length = available.len().min(left.len());
            left[..length].copy_from_slice(&available[..length]);
            self.taken += length;
            filled += length;
        }
        Ok(())
    }

    /// Refills the buffer. At least one byte must be left.
    fn refill(&mut self) -> Reading<()> {
        let length = (self.end - self.position).min(BUFFER as u64) as usize;
        self.buffer.resize(length, 0);
        self.storage.fill(self.position, &mut self.buffer)?;
        self.position += length as u64;
        self.taken = 0;
        Ok(())
    }
}
