//! Consecutive elements in either byte order.

use alloc::vec;
use std::io;

use super::bytes::{BUFFER, Bytes};
use crate::Scalar;
use crate::weights::ElementType;

/// How one element is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) element_type: ElementType,
    pub(crate) order: ByteOrder,
}

/// The byte of an element that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl Element {
    pub(crate) fn size(self) -> usize {
        self.element_type.size()
    }

    pub(crate) fn decode<T: Scalar>(self, bytes: &[u8], values: &mut [T]) -> io::Result<()> {
        let decoded = match self.order {
            ByteOrder::Little => self.element_type.decode(bytes, values),
            ByteOrder::Big => {
                let mut swapped = bytes.to_vec();
                let elements = swapped.chunks_exact_mut(self.size());
                elements.for_each(|element| element.reverse());
                self.element_type.decode(&swapped, values)
            }
        };
        decoded.map_err(io::Error::other)
    }

    /// Fills `values` with the elements from byte `position` on, through a small buffer.
    pub(crate) fn read<T: Scalar>(
        self,
        bytes: Bytes<'_>,
        position: u64,
        values: &mut [T],
    ) -> io::Result<()> {
        let mut buffer = bytes.buffer(BUFFER.min(values.len().saturating_mul(self.size())));
        self.read_through(&mut buffer, bytes, position, values)
    }

    /// The same, through the caller's buffer of [`BUFFER`] bytes, or of all bytes of the values.
    pub(crate) fn read_through<T: Scalar>(
        self,
        buffer: &mut [u8],
        bytes: Bytes<'_>,
        mut position: u64,
        values: &mut [T],
    ) -> io::Result<()> {
        let size = self.size();
        for values in values.chunks_mut(BUFFER / size) {
            let length = values.len() * size;
            self.decode(bytes.view(position, length, buffer)?, values)?;
            position += length as u64;
        }
        Ok(())
    }

    /// Fills `values` with the elements from byte `position` on. `fetch` gets their bytes, in order.
    pub(crate) fn read_with<T: Scalar>(
        self,
        mut position: u64,
        values: &mut [T],
        mut fetch: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let size = self.size();
        let mut buffer = vec![0; BUFFER.min(values.len().saturating_mul(size))];
        for values in values.chunks_mut(BUFFER / size) {
            let bytes = &mut buffer[..values.len() * size];
            fetch(position, bytes)?;
            self.decode(bytes, values)?;
            position += bytes.len() as u64;
        }
        Ok(())
    }
}
