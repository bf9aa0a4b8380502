//! Neighbourhoods: models that may be related and are recovered together.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::blocks::Layout;
use super::families::{self, Join};
use super::kin::Kin;
use super::near::{Compared, Comparer, DistinctModels};
use super::{Entry, Index, IndexError, Recovered, Settings};
use crate::evidence::SignatureComparison;
use crate::heritage::Model;
use crate::parallel;
use crate::progress::{Phase, ProgressReporter, unobserved};
use crate::sketch::mix;

/// Larger families use all threads themselves.
const LARGE: usize = 1024;

/// How many models of small families are placed between two calls of the observer.
const PLACED_AT_ONCE: usize = 4096;

/// Recovers small neighbourhoods, several of them in parallel.
pub(super) fn recover_small(
    settings: &Settings,
    neighbourhoods: &[Neighbourhood<'_>],
    reporter: &mut ProgressReporter<'_>,
) -> Result<Vec<(String, Recovered)>, IndexError> {
    let found = parallel::map(neighbourhoods, |neighbourhood| {
        unobserved(|reporter| neighbourhood.recover(settings, reporter))
    });
    let models: usize = neighbourhoods
        .iter()
        .map(|neighbourhood| neighbourhood.names.len())
        .sum();
    reporter.tick(Phase::Recovering, models as u64)?;
    found.into_iter().collect()
}

/// Places the models of all families.
fn place<'a>(
    settings: &Settings,
    families: impl Iterator<Item = Kin<'a>>,
    reporter: &mut ProgressReporter<'_>,
) -> Result<Vec<(usize, Model)>, IndexError> {
    let mut placed = Vec::new();
    let mut small: Vec<Kin<'_>> = Vec::new();
    let mut models = 0;
    for kin in families {
        if kin.members.len() > LARGE {
            placed.extend(kin.place(settings, reporter)?);
            continue;
        }
        models += kin.members.len();
        small.push(kin);
        if models > PLACED_AT_ONCE {
            placed.extend(place_small(settings, core::mem::take(&mut small))?);
            reporter.tick(Phase::Recovering, 0)?;
            models = 0;
        }
    }
    placed.extend(place_small(settings, small)?);
    Ok(placed)
}

/// Places the models of small families, several of them in parallel.
fn place_small(
    settings: &Settings,
    families: Vec<Kin<'_>>,
) -> Result<Vec<(usize, Model)>, IndexError> {
    let placed = parallel::map(families, |kin| {
        unobserved(|reporter| kin.place(settings, reporter))
    });
    let placed: Result<Vec<_>, IndexError> = placed.into_iter().collect();
    Ok(placed?.into_iter().flatten().collect())
}

/// Models that may be related, because their blocks share weights.
pub(super) struct Neighbourhood<'a> {
    pub(super) layouts: Vec<&'a Layout>,
    pub(super) names: Vec<&'a str>,
    entries: Vec<&'a Entry>,
    block_of: Vec<usize>,
}

impl<'a> Neighbourhood<'a> {
    pub(super) fn new(index: &'a Index, blocks: Vec<(&'a Layout, &'a BTreeSet<String>)>) -> Self {
        let mut models: Vec<(&str, usize)> = Vec::new();
        for (at, (_, names)) in blocks.iter().enumerate() {
            models.extend(names.iter().map(|name| (&**name, at)));
        }
        models.sort_unstable();
        let known = models.into_iter().filter_map(|(name, block)| {
            let (name, entry) = index.models.get_key_value(name)?;
            Some((&**name, entry, block))
        });
        let mut neighbourhood = Self {
            layouts: blocks.iter().map(|&(layout, _)| layout).collect(),
            names: Vec::new(),
            entries: Vec::new(),
            block_of: Vec::new(),
        };
        for (name, entry, block) in known {
            neighbourhood.names.push(name);
            neighbourhood.entries.push(entry);
            neighbourhood.block_of.push(block);
        }
        neighbourhood
    }

    pub(super) fn recover(
        &self,
        settings: &Settings,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<(String, Recovered), IndexError> {
        let same = equal_models(&self.entries);
        let distinct: Vec<usize> = (0..same.len())
            .filter(|&model| same[model] == model)
            .collect();
        let entries: Vec<&Entry> = distinct.iter().map(|&model| self.entries[model]).collect();
        let block_of: Vec<usize> = distinct.iter().map(|&model| self.block_of[model]).collect();
        let blocks = self.layouts.iter().enumerate().map(|(block, &layout)| {
            let models = (0..block_of.len()).filter(|&model| block_of[model] == block);
            (layout, models.collect())
        });
        let models = DistinctModels {
            comparer: Comparer {
                comparison: SignatureComparison::new(),
                entries: &entries,
            },
            blocks: blocks.collect(),
        };
        let near = models.near_pairs(reporter)?;
        let joins = near.iter().filter_map(Join::of).collect();
        let families = families::families(&block_of, &self.layouts, joins);
        let pairs_of = pairs_of_families(&families, entries.len(), near);
        let mut copies: Vec<Vec<usize>> = vec![Vec::new(); same.len()];
        for (model, &original) in same.iter().enumerate().filter(|(model, o)| model != *o) {
            copies[original].push(model);
        }
        let kin = families.iter().zip(pairs_of).map(|(family, near)| {
            let members: Vec<usize> = family.iter().map(|&at| distinct[at]).collect();
            let copies = members.iter().flat_map(|&original| {
                let copies = copies[original].iter();
                copies.map(move |&copy| (copy, self.entries[copy], original))
            });
            Kin {
                copies: copies.collect(),
                members: (members.iter().map(|&model| (model, self.entries[model]))).collect(),
                near,
            }
        });
        let mut placed = place(settings, kin, reporter)?;
        placed.sort_unstable_by_key(|&(model, _)| model);
        let recovered = Recovered {
            layouts: self.layouts.iter().map(|&layout| layout.clone()).collect(),
            placed: placed.into_iter().map(|(_, model)| model).collect(),
        };
        Ok((self.names[0].into(), recovered))
    }
}

/// For every model, the one of those with the same values, whatever their names, that is stored in the fewest bytes. Of
/// several, it is the first.
pub(super) fn equal_models(entries: &[&Entry]) -> Vec<usize> {
    // Keys are sums over tensors, so names and order don't matter.
    let key = |entry: &&Entry| {
        let tensors = entry.signature.tensors().iter();
        let words = tensors.map(|tensor| {
            let [first, second] = tensor.digest().words();
            let shape = tensor.shape().iter();
            shape.fold(mix(first ^ mix(second)), |hash, &length| {
                mix(hash.wrapping_add(length as u64))
            })
        });
        words.fold(0, u64::wrapping_add)
    };
    let keys: Vec<u64> = entries.iter().map(key).collect();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&model| (keys[model], entries[model].signature.stored_bytes(), model));
    let mut same: Vec<usize> = (0..entries.len()).collect();
    // Tensors that were left out may differ.
    let is_whole = |model: usize| entries[model].signature.skipped_layers().is_empty();
    let are_equal = |first: usize, second: usize| {
        let (first, second) = (&entries[first].signature, &entries[second].signature);
        let relation = SignatureComparison::new().relation(first, second);
        relation.is_ok_and(|relation| relation.is_equal())
    };
    for run in order.chunk_by(|&a, &b| keys[a] == keys[b]) {
        let mut whole = run.iter().copied().filter(|&model| is_whole(model));
        if let Some(first) = whole.next() {
            // Equal values may still be in different places.
            let equal = whole.filter(|&model| are_equal(first, model));
            equal.for_each(|model| same[model] = first);
        }
    }
    same
}

/// The near pairs within each family, by position in the family.
fn pairs_of_families(
    families: &[Vec<usize>],
    models: usize,
    near: Vec<Compared>,
) -> Vec<Vec<Compared>> {
    let mut place = vec![(0, 0); models];
    for (family, members) in families.iter().enumerate() {
        for (at, &model) in members.iter().enumerate() {
            place[model] = (family, at);
        }
    }
    let mut pairs: Vec<Vec<Compared>> = vec![Vec::new(); families.len()];
    for mut compared in near {
        let (first, second) = (place[compared.pair.first], place[compared.pair.second]);
        if first.0 == second.0 {
            compared.pair.first = first.1;
            compared.pair.second = second.1;
            pairs[first.0].push(compared);
        }
    }
    pairs
}
