//! Elements at strides: the values of views and of transposed arrays.

use alloc::vec;
use alloc::vec::Vec;
use std::io;

use super::Element;
use super::bytes::BUFFER;
use crate::Scalar;
use crate::weights::element_count;

/// How far apart neighbours lie that are read together rather than one by one, in bytes.
const WORTHWHILE_GAP: u64 = 4096;

/// How many values are gathered at once: their positions take 512 KiB.
const GATHERED: usize = 1 << 16;

/// Where the values of a tensor lie, counted in elements from its first.
#[derive(Clone, Debug)]
pub(crate) struct Strides(Vec<(usize, u64)>);

impl Strides {
    /// `None` where values lie one after another in row-major order, and nothing need be gathered.
    pub(crate) fn new(shape: &[usize], strides: &[u64]) -> Option<Self> {
        let pairs = shape.iter().copied().zip(strides.iter().copied());
        let mut expected = 1_u64;
        let mut plain = true;
        for (length, stride) in pairs.clone().rev() {
            plain &= length == 1 || stride == expected;
            expected = expected.saturating_mul(length as u64);
        }
        (!plain && element_count(shape) != Some(0)).then(|| Self(pairs.collect()))
    }

    /// Fortran's order: the first index runs fastest.
    pub(crate) fn column_major(shape: &[usize]) -> Option<Self> {
        let strides: Vec<u64> = (shape.iter())
            .scan(1_u64, |stride, &length| {
                let this = *stride;
                *stride = stride.saturating_mul(length as u64);
                Some(this)
            })
            .collect();
        Self::new(shape, &strides)
    }

    /// How many elements a tensor of this shape spans; `None` where that can't be counted.
    pub(crate) fn span(shape: &[usize], strides: &[u64]) -> Option<u64> {
        if shape.contains(&0) {
            return Some(0);
        }
        let last = (shape.iter().zip(strides)).try_fold(0_u64, |last, (&length, &stride)| {
            last.checked_add((length as u64 - 1).checked_mul(stride)?)
        });
        last?.checked_add(1)
    }

    /// The position of a value, given its index in row-major order.
    fn position(&self, mut index: usize) -> u64 {
        let mut position = 0;
        for &(length, stride) in self.0.iter().rev() {
            position += (index % length) as u64 * stride;
            index /= length;
        }
        position
    }

    /// Fills `values` with those from flat index `offset` on, whose bytes `fetch` gets in rising order.
    pub(crate) fn gather<T: Scalar>(
        &self,
        element: Element,
        mut offset: usize,
        values: &mut [T],
        mut fetch: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        for values in values.chunks_mut(GATHERED) {
            let mut wanted: Vec<(u64, u32)> = (0..values.len())
                .map(|index| (self.position(offset + index), index as u32))
                .collect();
            wanted.sort_unstable();
            for run in runs(&wanted, element.size() as u64) {
                let first = run.first().map_or(0, |wanted| wanted.0);
                let last = run.last().map_or(0, |wanted| wanted.0);
                let bytes = &mut buffer[..(last + 1 - first) as usize * element.size()];
                fetch(first * element.size() as u64, bytes)?;
                for &(position, index) in run {
                    let start = (position - first) as usize * element.size();
                    let value = values.get_mut(index as usize..=index as usize);
                    element.decode(
                        &bytes[start..start + element.size()],
                        value.unwrap_or_default(),
                    )?;
                }
            }
            offset += values.len();
        }
        Ok(())
    }
}

/// Cuts sorted positions into runs that are near enough to be read together, and fit into the buffer.
fn runs(wanted: &[(u64, u32)], size: u64) -> impl Iterator<Item = &[(u64, u32)]> {
    let mut rest = wanted;
    core::iter::from_fn(move || {
        let first = rest.first()?.0;
        let mut last = first;
        let end = rest.iter().position(|&(position, _)| {
            let near = (position - last) * size <= WORTHWHILE_GAP;
            let fits = (position - first + 1) * size <= BUFFER as u64;
            last = position;
            !near || !fits
        });
        let (run, left) = rest.split_at(end.unwrap_or(rest.len()));
        rest = left;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ByteOrder;
    use crate::weights::ElementType;

    const SINGLES: Element = Element {
        element_type: ElementType::F32,
        order: ByteOrder::Big,
    };

    #[allow(clippy::unwrap_used, reason = "a helper of tests")]
    /// Reads a tensor whose storage counts up, in pieces of `chunk` values.
    fn gathered(shape: &[usize], strides: &[u64], chunk: usize) -> Vec<f32> {
        let strides = Strides::new(shape, strides).unwrap();
        let mut values = vec![0.0; element_count(shape).unwrap()];
        for (at, values) in values.chunks_mut(chunk).enumerate() {
            let fetch = |position: u64, bytes: &mut [u8]| {
                for (at, element) in bytes.chunks_exact_mut(4).enumerate() {
                    let value = (position / 4) as f32 + at as f32;
                    element.copy_from_slice(&value.to_be_bytes());
                }
                Ok(())
            };
            strides.gather(SINGLES, at * chunk, values, fetch).unwrap();
        }
        values
    }

    #[test]
    fn values_are_gathered_whatever_the_strides_and_the_chunks() {
        for chunk in [1, 5, 7, 1000] {
            assert_eq!(
                gathered(&[2, 3], &[1, 2], chunk),
                [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
            );
            assert_eq!(gathered(&[2, 2], &[0, 1], chunk), [0.0, 1.0, 0.0, 1.0]);
            // Far apart, so that each value is a run of its own.
            let far = gathered(&[3, 2], &[3, 100_000], chunk);
            assert_eq!(far, [0.0, 100_000.0, 3.0, 100_003.0, 6.0, 100_006.0]);
        }
        let transposed = gathered(&[300, 700], &[1, 300], 100_000);
        for (index, &value) in transposed.iter().enumerate() {
            assert_eq!(value as usize, index % 700 * 300 + index / 700);
        }
    }

    #[test]
    fn what_lies_in_order_is_not_gathered() {
        assert!(Strides::new(&[2, 3], &[3, 1]).is_none());
        assert!(Strides::new(&[1, 3], &[77, 1]).is_none());
        assert!(Strides::new(&[0, 3], &[77, 9]).is_none());
        assert!(Strides::new(&[], &[]).is_none());
    }
}
