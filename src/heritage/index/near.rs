//! Finds near pairs among models that may be related, without comparing all pairs.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;
use num_traits::Float;

use super::blocks::Layout;
use super::links::{Link, proposals};
use super::nearest::{Near, Scale, Targets, keep};
use super::summary::{self, Summary};
use super::{Entry, IndexError};
use crate::evidence::{MatchRule, Relation, SignatureComparison};
use crate::heritage::recovery::sparse::NearPair;
use crate::parallel;
use crate::progress::{Phase, ProgressReporter};

/// How many near models the search by summaries finds for each model, in its own block and in all others.
pub(super) const NEAREST: usize = 10;

/// The number of rounds. Later comparisons with neighbours of neighbours find hardly anything new.
pub(super) const ROUNDS: usize = 4;

/// How many pairs are compared between two calls of the observer.
const PAIRS_AT_ONCE: usize = 16_384;

/// How many models are searched for between two calls of the observer.
const SEARCHES_AT_ONCE: usize = 4096;

/// Two models that were compared.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    /// Its shared sets are counted once the family is known.
    pub(super) pair: NearPair,
    pub(super) is_related: bool,
    pub(super) unrelatedness: f64,
    /// The mean size of the compared weights; distances are in units of it.
    pub(super) size: f64,
    /// The names, in either model, of weights that were replaced.
    pub(super) replaced: Vec<String>,
    pub(super) rule: MatchRule,
}

/// Compares models of a neighbourhood by position.
pub(super) struct Comparer<'a> {
    pub(super) comparison: SignatureComparison,
    pub(super) entries: &'a [&'a Entry],
}

impl Comparer<'_> {
    pub(super) fn relation(&self, first: usize, second: usize) -> Result<Relation, IndexError> {
        let (u, v) = (
            &self.entries[first].signature,
            &self.entries[second].signature,
        );
        Ok(self.comparison.relation(u, v)?)
    }

    /// Compares pairs and returns those that can be compared.
    pub(super) fn compare(
        &self,
        pairs: &[(usize, usize)],
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<Compared>, IndexError> {
        let compare = |&(first, second): &(usize, usize)| {
            let relation = self.relation(first, second)?;
            let compared = || compared(first, second, &relation);
            Ok::<_, IndexError>(relation.is_comparable().then(compared))
        };
        let mut found = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(PAIRS_AT_ONCE) {
            for compared in parallel::map(pairs, compare) {
                found.extend(compared?);
            }
            reporter.tick(Phase::Comparing, 0)?;
        }
        Ok(found)
    }
}

impl Compared {
    /// The two models and their distance, if they are related.
    pub(super) fn link(&self) -> Option<Link> {
        self.is_related.then_some(Link {
            first: self.pair.first,
            second: self.pair.second,
            distance: self.pair.distance,
        })
    }
}

pub(super) fn compared(first: usize, second: usize, relation: &Relation) -> Compared {
    let size = relation.size();
    let growth = relation.growth();
    let distance = Float::sqrt(relation.share_without_decay()) * relation.distance();
    Compared {
        pair: NearPair {
            first,
            second,
            distance: if size > 0.0 {
                distance / size
            } else {
                distance
            },
            squared_distance: relation.squared_distance(),
            growth: growth.map(|g| [g.coefficient, g.layer_error, g.model_error]),
            vote: relation.score_change(),
            compared: relation.compared(),
            shared_sets: 0,
        },
        is_related: relation.is_related(),
        unrelatedness: relation.unrelatedness(),
        size,
        replaced: relation.replaced_names().cloned().collect(),
        rule: relation.rule(),
    }
}

/// The models of one neighbourhood with distinct values, block by block.
pub(super) struct DistinctModels<'a> {
    pub(super) comparer: Comparer<'a>,
    /// The layout and the models of every block, ascending.
    pub(super) blocks: Vec<(&'a Layout, Vec<usize>)>,
}

impl DistinctModels<'_> {
    /// Finds and compares the near pairs. The result is sorted.
    ///
    /// The candidates for a model are the nearest ones by summaries, the models near to those, and their
    /// neighbours in the minimum spanning tree. If a base's children barely moved, the base is hardly closer
    /// to each child than the children are to each other, but it stands out among the neighbours of the child
    /// that moved least.
    pub(super) fn near_pairs(
        &self,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<Compared>, IndexError> {
        let models = self.comparer.entries.len();
        let mut known: HashSet<(usize, usize)> = HashSet::new();
        let mut wanted: Vec<(usize, usize)> = Vec::new();
        for (model, near) in self.nearest(reporter)?.into_iter().enumerate() {
            wanted.extend(near.into_iter().map(|other| ordered(model, other)));
        }
        wanted.extend(self.with_equal_tensors());
        let mut found: Vec<Compared> = Vec::new();
        for _ in 0..=ROUNDS {
            wanted.sort_unstable();
            wanted.dedup();
            wanted.retain(|&pair| known.insert(pair));
            if wanted.is_empty() {
                break;
            }
            found.extend(self.comparer.compare(&wanted, reporter)?);
            let links = found.iter().filter_map(Compared::link).collect();
            wanted = proposals(models, links);
        }
        found.sort_by_key(|compared| (compared.pair.first, compared.pair.second));
        Ok(found)
    }

    /// The nearest models by summaries, for every model.
    fn nearest(&self, reporter: &mut ProgressReporter<'_>) -> Result<Vec<Vec<usize>>, IndexError> {
        let mut own: Vec<Vec<Near>> = vec![Vec::new(); self.comparer.entries.len()];
        let mut others: Vec<Vec<Near>> = own.clone();
        let exponent = |block: &[usize]| {
            let signatures = block.iter().map(|&model| self.comparer.entries[model]);
            let exponents = signatures.map(|entry| summary::exponent(&entry.signature));
            exponents.max().unwrap_or(0)
        };
        let exponents: Vec<i32> = self.blocks.iter().map(|(_, b)| exponent(b)).collect();
        for (at, (layout, block)) in self.blocks.iter().enumerate() {
            let summaries: Vec<(usize, &Summary)> = (block.iter())
                .map(|&model| (model, &self.comparer.entries[model].summary))
                .collect();
            let scale = Scale {
                exponent: exponents[at],
                values: layout.values(),
            };
            let targets = Targets::new(&summaries, summaries.len(), scale);
            search(&summaries, &targets, &mut own, reporter)?;
            for (of_other, (other_layout, other)) in self.blocks.iter().enumerate().skip(at + 1) {
                let Some(common) = layout.common(other_layout) else {
                    continue;
                };
                let summarise = |block: &[usize]| -> Vec<(usize, Summary)> {
                    let summary = |&model: &usize| {
                        (
                            model,
                            common.summary(&self.comparer.entries[model].signature),
                        )
                    };
                    block.iter().map(summary).collect()
                };
                let scale = Scale {
                    exponent: exponents[at].max(exponents[of_other]),
                    values: layout.values_in(&common, other_layout),
                };
                let (of_block, of_other) = (summarise(block), summarise(other));
                let (of_block, of_other) = (borrowed(&of_block), borrowed(&of_other));
                for (queries, targets) in [(&of_block, &of_other), (&of_other, &of_block)] {
                    let targets = Targets::new(targets, queries.len(), scale);
                    search(queries, &targets, &mut others, reporter)?;
                }
            }
        }
        let near = own.into_iter().zip(others);
        Ok(near
            .map(|(own, others)| {
                own.into_iter()
                    .chain(others)
                    .map(|(_, model)| model)
                    .collect()
            })
            .collect())
    }

    /// Pairs of models that hold an equal tensor shared by only a few models.
    fn with_equal_tensors(&self) -> Vec<(usize, usize)> {
        let mut holders: Vec<([u64; 2], usize)> = Vec::new();
        for (model, entry) in self.comparer.entries.iter().enumerate() {
            let weights = entry.signature.tensors().iter().filter(|t| t.is_weight());
            holders.extend(weights.map(|tensor| (tensor.digest().words(), model)));
        }
        pairs_of_holders(holders)
    }
}

/// Pairs of consecutive models in each small group of models that hold the same thing.
pub(super) fn pairs_of_holders<T: Ord + Copy>(mut holders: Vec<(T, usize)>) -> Vec<(usize, usize)> {
    holders.sort_unstable();
    let same = holders.chunk_by(|first, second| first.0 == second.0);
    let few = same.filter(|models| (2..=NEAREST).contains(&models.len()));
    few.flat_map(|models| models.windows(2).map(|pair| ordered(pair[0].1, pair[1].1)))
        .filter(|(first, second)| first != second)
        .collect()
}

fn borrowed(summaries: &[(usize, Summary)]) -> Vec<(usize, &Summary)> {
    summaries
        .iter()
        .map(|(model, summary)| (*model, summary))
        .collect()
}

pub(super) fn ordered(first: usize, second: usize) -> (usize, usize) {
    (first.min(second), first.max(second))
}

/// Adds the nearest targets of every query to the lists of near models.
fn search(
    queries: &[(usize, &Summary)],
    targets: &Targets,
    near: &mut [Vec<Near>],
    reporter: &mut ProgressReporter<'_>,
) -> Result<(), IndexError> {
    for queries in queries.chunks(SEARCHES_AT_ONCE) {
        let found = targets.nearest(queries, NEAREST);
        for (&(model, _), found) in queries.iter().zip(found) {
            for new in found {
                keep(&mut near[model], new, NEAREST);
            }
        }
        reporter.tick(Phase::Comparing, 0)?;
    }
    Ok(())
}
