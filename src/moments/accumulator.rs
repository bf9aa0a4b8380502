//! One pass over a sequence in pieces of any length, with the same bits as a pass over the whole.

use alloc::vec::Vec;

use super::block::{self, summarise};
use super::{Moments, MomentsError};
use crate::Scalar;

/// The moments of a sequence that arrives in pieces.
///
/// However the sequence is cut into slices, [`moments`](Self::moments) is the same to the bit. To
/// split the work between threads, cut the sequence at multiples of [`BLOCK`](Self::BLOCK), give
/// each part an accumulator from [`starting_at`](Self::starting_at), and join neighbours with
/// [`append`](Self::append). The result again has the same bits. An accumulator that starts after position 0
/// holds only the moments of its own part.
///
/// Memory use is at most 40 KiB, however long the sequence.
///
/// # Examples
///
/// ```
/// use mother::moments::{Moments, MomentsAccumulator};
///
/// let values: Vec<f32> = (0..20_000).map(|i| (i % 7) as f32).collect();
/// let cut = 3 * MomentsAccumulator::BLOCK;
///
/// let (left, right) = std::thread::scope(|scope| {
///     let right = scope.spawn(|| {
///         let mut part = MomentsAccumulator::starting_at(cut as u64)?;
///         part.extend_from_slice(&values[cut..])?;
///         Ok(part)
///     });
///     let mut left = MomentsAccumulator::new();
///     left.extend_from_slice(&values[..cut]).unwrap();
///     (left, right.join().unwrap())
/// });
/// let mut joined = left;
/// joined.append(&right?)?;
/// assert_eq!(joined.moments(), Moments::of(&values)?);
/// # Ok::<(), mother::moments::MomentsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MomentsAccumulator {
    /// The number of the block with which the sequence starts.
    first_block: u64,
    /// The number of the block that is not yet full.
    next_block: u64,
    /// The full blocks between those two, combined into the largest aligned powers of two.
    nodes: Vec<Node>,
    /// The values of the block that is not yet full.
    pending: Vec<f64>,
}

/// 2 to the power `level` blocks; the number of the first is divisible by that power.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    level: u32,
    moments: Moments,
}

impl MomentsAccumulator {
    /// The number of values in a block. A sequence may be split between accumulators at multiples
    /// of it.
    pub const BLOCK: usize = block::BLOCK;

    /// Creates an accumulator for a whole sequence.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first_block: 0,
            next_block: 0,
            nodes: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Creates an accumulator for the part of a sequence that starts at `position`, counted from 0.
    ///
    /// # Errors
    ///
    /// [`MomentsError::Misaligned`] if the position is not a multiple of [`BLOCK`](Self::BLOCK).
    pub fn starting_at(position: u64) -> Result<Self, MomentsError> {
        if !position.is_multiple_of(Self::BLOCK as u64) {
            return Err(MomentsError::Misaligned { position });
        }
        let block = position / Self::BLOCK as u64;
        Ok(Self {
            first_block: block,
            next_block: block,
            ..Self::new()
        })
    }

    /// The position of the first value.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.first_block * Self::BLOCK as u64
    }

    /// The position after the last value.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.next_block * Self::BLOCK as u64 + self.pending.len() as u64
    }

    /// The number of values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.end() - self.start()
    }

    /// Adds the next values of the sequence.
    ///
    /// # Errors
    ///
    /// [`MomentsError::NotFinite`] names the first value that is NaN or infinite. The values before it have
    /// been added, and the rest have not, so the state after an error doesn't depend on how the sequence was
    /// cut either. [`MomentsError::TooLong`] if positions don't fit into a `u64`; then nothing is added.
    ///
    /// # Complexity
    ///
    /// O(n) time. Slices of a multiple of [`BLOCK`](Self::BLOCK) values are fastest, since values
    /// that don't fill a block are copied.
    pub fn extend_from_slice<T: Scalar>(&mut self, values: &[T]) -> Result<(), MomentsError> {
        self.check_length(values.len())?;
        let mut rest = values;
        if !self.pending.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(Self::BLOCK - self.pending.len()));
            self.push_pending(head)?;
            rest = tail;
        }
        let (blocks, tail) = rest.as_chunks::<{ block::BLOCK }>();
        for block in blocks {
            match summarise(block) {
                Ok(moments) => self.push_block(moments),
                // Keeps the values before the one that is not finite.
                Err(_) => self.push_pending(block)?,
            }
        }
        self.push_pending(tail)
    }

    /// Rejects more values than positions can count.
    fn check_length(&self, additional: usize) -> Result<(), MomentsError> {
        let (end, additional) = (self.end(), additional as u64);
        match end.checked_add(additional) {
            Some(_) => Ok(()),
            None => Err(MomentsError::TooLong { end, additional }),
        }
    }

    /// Adds values up to, at most, the end of the block that is not yet full.
    fn push_pending<T: Scalar>(&mut self, values: &[T]) -> Result<(), MomentsError> {
        if values.is_empty() {
            return Ok(());
        }
        self.pending.reserve_exact(Self::BLOCK - self.pending.len());
        let old = self.pending.len();
        self.pending
            .extend(values.iter().map(|value| value.widen()));
        let wrong = self.pending[old..]
            .iter()
            .position(|value| !value.is_finite());
        if let Some(index) = wrong {
            let value = self.pending[old + index];
            self.pending.truncate(old + index);
            let position = self.end();
            return Err(MomentsError::NotFinite { position, value });
        }
        if self.pending.len() == Self::BLOCK {
            let moments = self.pending_moments();
            self.pending.clear();
            self.push_block(moments);
        }
        Ok(())
    }

    fn pending_moments(&self) -> Moments {
        // Only finite values are ever pending.
        summarise(&self.pending).unwrap_or_default()
    }

    fn push_block(&mut self, moments: Moments) {
        self.push_node(Node { level: 0, moments });
    }

    /// Adds a node and combines it with its siblings, like the carry in a binary counter.
    fn push_node(&mut self, mut node: Node) {
        self.next_block += 1 << node.level;
        // The node completes an aligned pair if the number of blocks so far is a multiple of the pair's size.
        while self.next_block.trailing_zeros() > node.level {
            match self.nodes.pop_if(|left| left.level == node.level) {
                Some(Node { level, mut moments }) => {
                    moments.merge(&node.moments);
                    node = Node {
                        level: level + 1,
                        moments,
                    };
                }
                // The sibling is before the start of this accumulator.
                None => break,
            }
        }
        self.nodes.push(node);
    }

    /// Adds the values of the next part of the sequence.
    ///
    /// The result is the same to the bit as if its values had been added here one by one.
    ///
    /// # Errors
    ///
    /// [`MomentsError::NotAdjacent`] if `next` doesn't start where `self` ends; then nothing is
    /// added.
    ///
    /// # Complexity
    ///
    /// O(log n) time for n values, plus copying less than one block.
    pub fn append(&mut self, next: &Self) -> Result<(), MomentsError> {
        let (end, start) = (self.end(), next.start());
        if end != start {
            return Err(MomentsError::NotAdjacent { end, start });
        }
        for node in &next.nodes {
            self.push_node(node.clone());
        }
        self.pending.clone_from(&next.pending);
        Ok(())
    }

    /// The moments of all values so far.
    ///
    /// # Complexity
    ///
    /// O(log n) time for n values, plus one pass over less than one block.
    #[must_use]
    pub fn moments(&self) -> Moments {
        let mut total = self.pending_moments();
        // From the end, where the nodes are small, so that neighbours of similar size are merged.
        for node in self.nodes.iter().rev() {
            let mut left = node.moments;
            left.merge(&total);
            total = left;
        }
        total
    }
}
