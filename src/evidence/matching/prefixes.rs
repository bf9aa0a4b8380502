//! Names that are equal once a prefix is removed, which may differ between the models.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::names::unwrapped;
use super::{Positions, are_near, common_values, is_same_but_for_rows};
use crate::signature::TensorSignature;

/// An ending shared by more tensors, such as `weight`, is not informative.
const MOST_WITH_ENDING: usize = 8;

/// How many pairs of prefixes are tested on the sketches.
const CANDIDATES: usize = 4;

/// How many pairs of prefixes are removed in turn: parts of a model may have been wrapped in different ways.
const ROUNDS: usize = 4;

/// How many weights are sampled to decide whether those that prefixes match are near.
const SAMPLED: usize = 32;

/// Decides by shape whether two tensors may correspond.
type Fits = fn(&TensorSignature, &TensorSignature) -> bool;

/// The given tensors of equal names, together with all that correspond after removing wrappers and prefixes.
///
/// A pair of prefixes counts if most of the weights it matches are near. Otherwise unrelated models with the
/// same structure would match.
pub(super) fn matching(
    first: &[TensorSignature],
    second: &[TensorSignature],
    equal: Positions,
) -> Positions {
    let mut models = Models::new(first, second, is_same_but_for_rows);
    models.take(equal);
    models.take_unwrapped();
    for _ in 0..ROUNDS {
        let Some(change) = models.best_near() else {
            break;
        };
        models.take(change);
    }
    models.pairs
}

/// The tensors whose names are equal without wrappers. If these are fewer than half of the smaller model's,
/// also those matched by the pair of prefixes that covers the most weights of fitting shapes. Values are
/// ignored.
pub(in crate::evidence) fn named_alike(
    first: &[TensorSignature],
    second: &[TensorSignature],
    fits: Fits,
) -> Positions {
    let mut models = Models::new(first, second, fits);
    models.take_unwrapped();
    if 2 * models.pairs.len() < first.len().min(second.len())
        && let Some(&(prefixes, _)) = models.candidates().first()
    {
        models.take(models.apply(prefixes).pairs);
    }
    models.pairs
}

/// The tensors of a model, their names without wrappers, and which are still unmatched.
struct Side<'a> {
    tensors: &'a [TensorSignature],
    names: Vec<Cow<'a, str>>,
    is_alone: Vec<bool>,
}

/// Two models and the correspondences found so far.
struct Models<'a> {
    first: Side<'a>,
    second: Side<'a>,
    fits: Fits,
    pairs: Positions,
}

/// The tensors that match after removing one prefix from each model.
struct Change<'a> {
    prefixes: [&'a str; 2],
    pairs: Positions,
    /// The number of values in the weights among them.
    values: u64,
}

impl<'a> Models<'a> {
    fn new(first: &'a [TensorSignature], second: &'a [TensorSignature], fits: Fits) -> Self {
        let side = |tensors: &'a [TensorSignature]| Side {
            tensors,
            names: unwrapped(tensors),
            is_alone: vec![true; tensors.len()],
        };
        Self {
            first: side(first),
            second: side(second),
            fits,
            pairs: Positions::new(),
        }
    }

    fn tensors(&self, (i, j): (usize, usize)) -> (&'a TensorSignature, &'a TensorSignature) {
        (&self.first.tensors[i], &self.second.tensors[j])
    }

    fn take(&mut self, pairs: Positions) {
        for &(i, j) in &pairs {
            self.first.is_alone[i] = false;
            self.second.is_alone[j] = false;
        }
        self.pairs.extend(pairs);
    }

    /// Matches tensors whose names are equal without wrappers.
    fn take_unwrapped(&mut self) {
        self.take(self.apply(["", ""]).pairs);
    }

    /// The matches under the best pair of prefixes, if any counts.
    fn best_near(&self) -> Option<Positions> {
        let candidates = self.candidates().into_iter().take(CANDIDATES);
        let changes = candidates.map(|(prefixes, _)| {
            let change = self.apply(prefixes);
            (self.near(&change), change)
        });
        let counts = |(near, change): &(u64, Change<'_>)| *near > 0 && 2 * near >= change.values;
        let best = changes.filter(counts).min_by(|first, second| {
            let values = |(near, change): &(u64, Change<'_>)| (*near, change.values);
            (values(second).cmp(&values(first)))
                .then_with(|| first.1.prefixes.cmp(&second.1.prefixes))
        });
        best.map(|(_, change)| change.pairs)
    }

    /// The number of values in weights that are near, estimated from a sample of these.
    fn near(&self, change: &Change<'_>) -> u64 {
        let pairs = change.pairs.iter().map(|&pair| self.tensors(pair));
        let weights: Vec<_> = pairs.filter(|(u, _)| u.is_weight()).collect();
        let step = weights.len().div_ceil(SAMPLED).max(1);
        let (mut near, mut all) = (0_u64, 0_u64);
        for &(u, v) in weights.iter().step_by(step) {
            let values = common_values(u, v);
            all += values;
            near += if are_near(u, v) { values } else { 0 };
        }
        let share = near as f64 / all.max(1) as f64;
        (share * change.values as f64) as u64
    }

    /// The tensors whose names are equal after these prefixes.
    fn apply<'p>(&self, prefixes: [&'p str; 2]) -> Change<'p> {
        let named: HashMap<&str, usize> = (self.second.alone())
            .map(|(position, name)| (name, position))
            .collect();
        let mut change = Change {
            prefixes,
            pairs: Positions::new(),
            values: 0,
        };
        for (i, name) in self.first.alone() {
            let rest = name.strip_prefix(prefixes[0]);
            let found = rest.and_then(|rest| named.get(&*format!("{}{rest}", prefixes[1])));
            let Some(&j) = found else {
                continue;
            };
            let (u, v) = self.tensors((i, j));
            if (self.fits)(u, v) {
                change.values += if u.is_weight() {
                    common_values(u, v)
                } else {
                    0
                };
                change.pairs.push((i, j));
            }
        }
        change
    }

    /// The pairs of prefixes after which weights have the same name, with the number of their values, largest
    /// first.
    ///
    /// For two names, the shortest prefixes after which they are equal count.
    fn candidates(&self) -> Vec<([&str; 2], u64)> {
        let with_ending = self.second.by_ending();
        let mut values: BTreeMap<[&str; 2], u64> = BTreeMap::new();
        let mut seen: Vec<usize> = Vec::new();
        let weights = (self.first.alone()).filter(|&(i, _)| self.first.tensors[i].is_weight());
        for (i, name) in weights {
            seen.clear();
            // Starts from the whole name, so that a tensor's longest common ending comes first.
            for start in starts(name) {
                let found = with_ending.get(&name[start..]);
                let Some(found) = found.filter(|found| found.len() <= MOST_WITH_ENDING) else {
                    continue;
                };
                for &(j, prefix) in found {
                    let (u, v) = self.tensors((i, j));
                    if !seen.contains(&j) && (self.fits)(u, v) {
                        seen.push(j);
                        let prefixes = [&name[..start], prefix];
                        *values.entry(prefixes).or_default() += common_values(u, v);
                    }
                }
            }
        }
        let mut candidates: Vec<([&str; 2], u64)> = values.into_iter().collect();
        // The sort is stable: among equal numbers of values the first prefixes stay first.
        candidates.sort_by_key(|&(_, values)| core::cmp::Reverse(values));
        candidates
    }
}

impl Side<'_> {
    /// The tensors that are still unmatched, and their names.
    fn alone(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.names.iter().enumerate();
        let alone = names.filter(|&(position, _)| self.is_alone[position]);
        alone.map(|(position, name)| (position, &**name))
    }

    /// The unmatched tensors by the ending of their names, each with the part before it.
    fn by_ending(&self) -> HashMap<&str, Vec<(usize, &str)>> {
        let mut with_ending: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
        for (position, name) in self.alone() {
            for start in starts(name) {
                let found = with_ending.entry(&name[start..]).or_default();
                // One more than the limit, which shows that there are too many.
                if found.len() <= MOST_WITH_ENDING {
                    found.push((position, &name[..start]));
                }
            }
        }
        with_ending
    }
}

/// Where the parts of a name start.
fn starts(name: &str) -> impl Iterator<Item = usize> {
    let ends = name.match_indices(['.', '/']);
    core::iter::once(0).chain(ends.map(|(at, separator)| at + separator.len()))
}
