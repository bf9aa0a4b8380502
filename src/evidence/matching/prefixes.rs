//! Names that are equal after a prefix, another one in each model.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::names::unwrapped;
use super::{Positions, are_near, common_values, is_same_but_for_rows};
use crate::signature::TensorSignature;

/// A name's ending that more tensors have, such as `weight`, tells nothing.
const MOST_WITH_ENDING: usize = 8;

/// How many pairs of prefixes are tried on the sketches.
const CANDIDATES: usize = 4;

/// How many pairs of prefixes are taken off, one after the other: a model can have parts, each of which
/// was wrapped in its own way.
const ROUNDS: usize = 4;

/// How many weights tell whether those that prefixes bring together are near.
const SAMPLED: usize = 32;

/// The tensors of two models, their names without wrappers, and which of them are still alone.
struct Side<'a> {
    tensors: &'a [TensorSignature],
    names: Vec<Cow<'a, str>>,
    is_alone: Vec<bool>,
}

/// What belongs together after taking off one prefix from each model.
struct Change<'a> {
    prefixes: [&'a str; 2],
    pairs: Positions,
    /// The number of values of the weights among them.
    values: u64,
    /// The number of values of those that are near.
    near: u64,
}

/// The tensors of equal names, which are given, and all that correspond after taking off wrappers and
/// prefixes.
///
/// A pair of prefixes counts if most of the weights that it brings together are near: unrelated models that
/// happen to be built alike say nothing of each other.
pub(super) fn matching(
    first: &[TensorSignature],
    second: &[TensorSignature],
    equal: Positions,
) -> Positions {
    let mut sides = [first, second].map(|tensors| Side {
        tensors,
        names: unwrapped(tensors),
        is_alone: vec![true; tensors.len()],
    });
    let mut pairs = equal;
    take(&mut sides, &pairs);
    let [u, v] = &sides;
    let unwrapped = apply(u, v, ["", ""]).pairs;
    take(&mut sides, &unwrapped);
    pairs.extend(unwrapped);
    for _ in 0..ROUNDS {
        let [u, v] = &sides;
        let Some(change) = best(u, v) else {
            break;
        };
        take(&mut sides, &change);
        pairs.extend(change);
    }
    pairs
}

fn take(sides: &mut [Side<'_>; 2], pairs: &Positions) {
    for &(i, j) in pairs {
        sides[0].is_alone[i] = false;
        sides[1].is_alone[j] = false;
    }
}

/// What the best pair of prefixes brings together, if any counts.
fn best(first: &Side<'_>, second: &Side<'_>) -> Option<Positions> {
    let mut candidates = candidates(first, second);
    candidates.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    candidates.truncate(CANDIDATES);
    let changes = candidates.into_iter().map(|(prefixes, _)| {
        let mut change = apply(first, second, prefixes);
        change.near = near(first, second, &change);
        change
    });
    let counts = |change: &Change<'_>| change.near > 0 && 2 * change.near >= change.values;
    let key = |change: &Change<'_>| (change.near, change.values);
    let best = changes.filter(counts).reduce(|best, other| {
        let is_better = key(&other)
            .cmp(&key(&best))
            .then_with(|| best.prefixes.cmp(&other.prefixes));
        if is_better.is_gt() { other } else { best }
    })?;
    Some(best.pairs)
}

/// The number of values of the weights that are near, as some of them say.
fn near(first: &Side<'_>, second: &Side<'_>, change: &Change<'_>) -> u64 {
    let weights = change
        .pairs
        .iter()
        .filter(|(i, _)| first.tensors[*i].is_weight());
    let step = weights.clone().count().div_ceil(SAMPLED).max(1);
    let (mut near, mut all) = (0_u64, 0_u64);
    for &(i, j) in weights.step_by(step) {
        let (u, v) = (&first.tensors[i], &second.tensors[j]);
        let values = common_values(u, v);
        all += values;
        near += if are_near(u, v) { values } else { 0 };
    }
    let share = near as f64 / all.max(1) as f64;
    (share * change.values as f64) as u64
}

/// The tensors that have one name after these prefixes.
fn apply<'a>(first: &Side<'_>, second: &Side<'_>, prefixes: [&'a str; 2]) -> Change<'a> {
    let named: HashMap<&str, usize> = (second.alone())
        .map(|(position, name)| (name, position))
        .collect();
    let mut pairs = Positions::new();
    let mut values = 0;
    for (i, name) in first.alone() {
        let Some(rest) = name.strip_prefix(prefixes[0]) else {
            continue;
        };
        let Some(&j) = named.get(&*format!("{}{rest}", prefixes[1])) else {
            continue;
        };
        let (u, v) = (&first.tensors[i], &second.tensors[j]);
        if is_same_but_for_rows(u, v) {
            values += if u.is_weight() {
                common_values(u, v)
            } else {
                0
            };
            pairs.push((i, j));
        }
    }
    Change {
        prefixes,
        pairs,
        values,
        near: 0,
    }
}

/// The pairs of prefixes after which weights have the same name, with the number of their values.
///
/// Of two names the shortest prefixes count after which they are equal.
fn candidates<'a>(first: &'a Side<'_>, second: &'a Side<'_>) -> Vec<([&'a str; 2], u64)> {
    let mut with_ending: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
    for (position, name) in second.alone() {
        for start in starts(name) {
            let found = with_ending.entry(&name[start..]).or_default();
            // One more than count, which says that there are too many.
            if found.len() <= MOST_WITH_ENDING {
                found.push((position, &name[..start]));
            }
        }
    }
    let mut values: BTreeMap<[&str; 2], u64> = BTreeMap::new();
    let mut seen: Vec<usize> = Vec::new();
    for (i, name) in (first.alone()).filter(|&(i, _)| first.tensors[i].is_weight()) {
        seen.clear();
        // From the whole name on, so that a tensor's longest common ending comes first.
        for start in starts(name) {
            let found = with_ending.get(&name[start..]);
            let Some(found) = found.filter(|found| found.len() <= MOST_WITH_ENDING) else {
                continue;
            };
            for &(j, prefix) in found {
                let (u, v) = (&first.tensors[i], &second.tensors[j]);
                if !seen.contains(&j) && is_same_but_for_rows(u, v) {
                    seen.push(j);
                    *values.entry([&name[..start], prefix]).or_default() += common_values(u, v);
                }
            }
        }
    }
    values.into_iter().collect()
}

/// Where the parts of a name start.
fn starts(name: &str) -> impl Iterator<Item = usize> {
    let ends = name.match_indices(['.', '/']);
    core::iter::once(0).chain(ends.map(|(at, separator)| at + separator.len()))
}

impl Side<'_> {
    /// The tensors that are still alone, and their names.
    fn alone(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.names.iter().enumerate();
        let alone = names.filter(|&(position, _)| self.is_alone[position]);
        alone.map(|(position, name)| (position, &**name))
    }
}
