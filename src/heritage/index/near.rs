//! Near pairs among models that may be related, found without comparing all of them.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;
use num_traits::Float;
#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::blocks::Layout;
use super::summary::{self, Near, Summary, keep};
use super::{Entry, IndexError};
use crate::evidence::{MatchRule, Relation, SignatureComparison};
use crate::heritage::recovery::sparse::NearPair;
use crate::progress::{Phase, ProgressReporter};

/// How many models are looked for near every one by summaries, in its own block and in all others.
const NEAREST: usize = 10;

/// Of how many of the nearest the tree neighbours are looked at, and how many of these.
const NEIGHBOURS: usize = 4;

/// After so many rounds the neighbours of neighbours hold hardly anything new.
const ROUNDS: usize = 4;

/// How many pairs are compared between two calls of the observer.
const PAIRS_AT_ONCE: usize = 16_384;

/// How many models search between two calls of the observer.
const SEARCHES_AT_ONCE: usize = 4096;

/// Two models that were compared.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) pair: NearPair,
    pub(super) is_related: bool,
    pub(super) unrelatedness: f64,
    /// The mean size of the weights that were compared; distances are in units of it.
    pub(super) size: f64,
    /// The names that weights which were replaced have in either model.
    pub(super) replaced: Vec<String>,
    pub(super) rule: MatchRule,
}

/// Compares models of a neighbourhood, by their position.
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

    /// Those of some pairs that can be compared.
    pub(super) fn compare(
        &self,
        pairs: &[(usize, usize)],
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<Compared>, IndexError> {
        let compare = |&(first, second): &(usize, usize)| {
            let relation = self.relation(first, second)?;
            Ok(relation
                .is_comparable()
                .then(|| compared(first, second, &relation)))
        };
        let mut found = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(PAIRS_AT_ONCE) {
            #[cfg(feature = "rayon")]
            let compared: Result<Vec<Option<Compared>>, IndexError> =
                pairs.par_iter().map(compare).collect();
            #[cfg(not(feature = "rayon"))]
            let compared: Result<Vec<Option<Compared>>, IndexError> =
                pairs.iter().map(compare).collect();
            found.extend(compared?.into_iter().flatten());
            reporter.tick(Phase::Comparing, 0)?;
        }
        Ok(found)
    }
}

fn compared(first: usize, second: usize, relation: &Relation) -> Compared {
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
        },
        is_related: relation.is_related(),
        unrelatedness: relation.unrelatedness(),
        size,
        replaced: relation.replaced_names().cloned().collect(),
        rule: relation.rule(),
    }
}

/// The models of one neighbourhood that hold different values, block by block.
pub(super) struct Neighbourhood<'a> {
    pub(super) comparer: Comparer<'a>,
    /// Of every block its layout and its models, ascending.
    pub(super) blocks: Vec<(&'a Layout, Vec<usize>)>,
}

impl Neighbourhood<'_> {
    /// The near pairs, sorted, each compared.
    ///
    /// A model's candidates are the nearest by summaries, those near to these, and the neighbours of
    /// these in the minimum spanning tree: a base whose children barely moved is hardly nearer to
    /// each of them than they are to each other, but the child that moved least tells it well.
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
            wanted = proposals(models, &found);
        }
        found.sort_by_key(|compared| (compared.pair.first, compared.pair.second));
        Ok(found)
    }

    /// For every model the nearest by summaries.
    fn nearest(&self, reporter: &mut ProgressReporter<'_>) -> Result<Vec<Vec<usize>>, IndexError> {
        let mut own: Vec<Vec<Near>> = vec![Vec::new(); self.comparer.entries.len()];
        let mut others: Vec<Vec<Near>> = own.clone();
        for (at, (layout, block)) in self.blocks.iter().enumerate() {
            let summaries: Vec<(usize, &Summary)> = (block.iter())
                .map(|&model| (model, &self.comparer.entries[model].summary))
                .collect();
            search(&summaries, &summaries, layout.values(), &mut own, reporter)?;
            for (other_layout, other) in &self.blocks[at + 1..] {
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
                let (of_block, of_other) = (summarise(block), summarise(other));
                let (of_block, of_other) = (borrowed(&of_block), borrowed(&of_other));
                let values = layout.values_in(&common, other_layout);
                search(&of_block, &of_other, values, &mut others, reporter)?;
                search(&of_other, &of_block, values, &mut others, reporter)?;
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

    /// Pairs of models that hold an equal tensor which few others hold.
    fn with_equal_tensors(&self) -> Vec<(usize, usize)> {
        let mut holders: Vec<([u64; 2], usize)> = Vec::new();
        for (model, entry) in self.comparer.entries.iter().enumerate() {
            let weights = entry.signature.tensors().iter().filter(|t| t.is_weight());
            holders.extend(weights.map(|tensor| (tensor.digest().words(), model)));
        }
        holders.sort_unstable();
        let same = holders.chunk_by(|first, second| first.0 == second.0);
        let few = same.filter(|models| (2..=NEAREST).contains(&models.len()));
        few.flat_map(|models| models.windows(2).map(|pair| ordered(pair[0].1, pair[1].1)))
            .filter(|(first, second)| first != second)
            .collect()
    }
}

fn borrowed(summaries: &[(usize, Summary)]) -> Vec<(usize, &Summary)> {
    summaries
        .iter()
        .map(|(model, summary)| (*model, summary))
        .collect()
}

fn ordered(first: usize, second: usize) -> (usize, usize) {
    (first.min(second), first.max(second))
}

/// Adds the nearest targets of every query to the lists of what is near.
fn search(
    queries: &[(usize, &Summary)],
    targets: &[(usize, &Summary)],
    values: f64,
    near: &mut [Vec<Near>],
    reporter: &mut ProgressReporter<'_>,
) -> Result<(), IndexError> {
    for queries in queries.chunks(SEARCHES_AT_ONCE) {
        let found = summary::nearest(queries, targets, NEAREST, values);
        for (&(model, _), found) in queries.iter().zip(found) {
            for new in found {
                keep(&mut near[model], new, NEAREST);
            }
        }
        reporter.tick(Phase::Comparing, 0)?;
    }
    Ok(())
}

/// For every model the nearest models' nearest, and their neighbours in the minimum spanning forest.
fn proposals(models: usize, found: &[Compared]) -> Vec<(usize, usize)> {
    let mut related: Vec<&NearPair> = (found.iter())
        .filter(|compared| compared.is_related)
        .map(|compared| &compared.pair)
        .collect();
    related.sort_by(|a, b| {
        (a.distance.total_cmp(&b.distance)).then((a.first, a.second).cmp(&(b.first, b.second)))
    });
    let mut sets: Vec<usize> = (0..models).collect();
    let mut near: Vec<Vec<usize>> = vec![Vec::new(); models];
    let mut tree: Vec<Vec<usize>> = vec![Vec::new(); models];
    // Pairs come in order of their distance, so lists are sorted.
    for pair in related {
        for (of, other) in [(pair.first, pair.second), (pair.second, pair.first)] {
            if near[of].len() < NEIGHBOURS {
                near[of].push(other);
            }
        }
        let (u, v) = (find(&mut sets, pair.first), find(&mut sets, pair.second));
        if u != v {
            sets[u.max(v)] = u.min(v);
            for (of, other) in [(pair.first, pair.second), (pair.second, pair.first)] {
                if tree[of].len() < NEIGHBOURS {
                    tree[of].push(other);
                }
            }
        }
    }
    let mut proposals = Vec::new();
    for model in 0..models {
        for &other in &near[model] {
            let further = tree[other].iter().chain(near[other].iter().take(2));
            proposals.extend(
                (further.filter(|&&further| further != model))
                    .map(|&further| ordered(model, further)),
            );
        }
    }
    proposals
}

/// What stands for a model's set.
pub(super) fn find(sets: &mut [usize], mut model: usize) -> usize {
    while sets[model] != model {
        sets[model] = sets[sets[model]];
        model = sets[model];
    }
    model
}
