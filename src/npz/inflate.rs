//! Inflates bytes as a stream that can be continued, so reading on from the last position costs nothing
//! extra.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use std::io;
use std::sync::{Mutex, PoisonError};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::storage::Bytes;

/// The number of streams that a model keeps, each of about 100 kB.
const MOST_STREAMS: usize = 8;

/// The number of deflated bytes read at once.
const BUFFER: u64 = 32 * 1024;

/// The position and length of deflated bytes in their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deflated {
    pub(super) position: u64,
    pub(super) length: u64,
}

/// The streams that may be continued, with the most recently used last.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<Stream>>);

impl Streams {
    /// Uses the stream of these bytes that is closest before `position`, or a new one.
    pub(super) fn with<R>(
        &self,
        deflated: Deflated,
        position: u64,
        read: impl FnOnce(&mut Stream) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut stream = self.take(deflated, position);
        let result = read(&mut stream)?;
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() == MOST_STREAMS {
            streams.remove(0);
        }
        streams.push(stream);
        Ok(result)
    }

    fn take(&self, deflated: Deflated, position: u64) -> Stream {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = (streams.iter().enumerate())
            .filter(|(_, stream)| stream.source == deflated && stream.position <= position)
            .max_by_key(|(_, stream)| stream.position)
            .map(|(at, _)| at);
        nearest.map_or_else(|| Stream::new(deflated), |at| streams.remove(at))
    }
}

impl core::fmt::Debug for Streams {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// Deflated bytes, inflated up to some position.
pub(super) struct Stream {
    source: Deflated,
    state: Box<InflateState>,
    input: Vec<u8>,
    /// The number of bytes already taken from the input.
    taken: usize,
    /// The number of deflated bytes read so far.
    consumed: u64,
    /// The number of bytes inflated so far.
    position: u64,
}

impl Stream {
    pub(super) fn new(source: Deflated) -> Self {
        Self {
            source,
            state: InflateState::new_boxed(DataFormat::Raw),
            input: Vec::new(),
            taken: 0,
            consumed: 0,
            position: 0,
        }
    }

    /// Fills `output` with the inflated bytes from `position` on; starts again if `position` has been passed.
    pub(super) fn fetch(
        &mut self,
        bytes: Bytes<'_>,
        position: u64,
        output: &mut [u8],
    ) -> io::Result<()> {
        if position < self.position {
            *self = Self::new(self.source);
        }
        let mut skipped = vec![0; BUFFER.min(position - self.position) as usize];
        while self.position < position {
            let length = (position - self.position).min(BUFFER) as usize;
            self.fill(bytes, &mut skipped[..length])?;
        }
        self.fill(bytes, output)
    }

    fn fill(&mut self, bytes: Bytes<'_>, mut output: &mut [u8]) -> io::Result<()> {
        while !output.is_empty() {
            if self.taken == self.input.len() {
                self.refill(bytes)?;
            }
            let result = inflate(
                &mut self.state,
                &self.input[self.taken..],
                output,
                MZFlush::None,
            );
            self.taken += result.bytes_consumed;
            self.position += result.bytes_written as u64;
            output = &mut output[result.bytes_written..];
            let moved = result.bytes_consumed + result.bytes_written > 0;
            let is_used_up = self.taken == self.input.len();
            match result.status {
                Ok(MZStatus::Ok) if moved => {}
                Ok(MZStatus::StreamEnd) if output.is_empty() => {}
                // No more output is possible without more input.
                Err(MZError::Buf) if is_used_up && self.consumed < self.source.length => {}
                Ok(_) | Err(MZError::Buf) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) => {
                    let message = "invalid compressed data";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
        Ok(())
    }

    fn refill(&mut self, bytes: Bytes<'_>) -> io::Result<()> {
        let length = (self.source.length - self.consumed).min(BUFFER);
        self.input.resize(length as usize, 0);
        bytes.fill(self.source.position + self.consumed, &mut self.input)?;
        self.consumed += length;
        self.taken = 0;
        Ok(())
    }
}
