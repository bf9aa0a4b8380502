//! The search for near models: every shard sends queries for its models to all others.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use super::message::{Answer, Content, Inbox, Outbox, Query};
use super::{Entry, Shard};
use crate::heritage::index::blocks::Common;
use crate::heritage::index::near::{NEAREST, ordered, pairs_of_holders};
use crate::heritage::index::nearest::{Near, Scale, Targets, keep};
use crate::heritage::index::summary::Summary;

/// How many of a shard's models are searched for in one step.
const SEARCHES_AT_ONCE: usize = 8192;

/// The shard that asked, the model, and its summary.
type Asked = (usize, usize, Summary);

/// The state of a shard's search.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// The number of steps until every shard has sent all its queries.
    pub(super) steps: usize,
    /// The places of the shard's own distinct models, by layout.
    targets: BTreeMap<usize, Vec<usize>>,
    /// The shards that hold models of each layout.
    homes: Vec<BTreeSet<usize>>,
    /// What was found near to this shard's models, in their own layouts and in all others.
    near: [Vec<Vec<Near>>; 2],
}

impl Shard {
    /// Finds pairs with equal tensors, and sends the first queries.
    pub(super) fn begin_search(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        self.census.add_copies(inbox.copies);
        let pairs = pairs_of_holders(inbox.holders);
        self.spread_pairs(pairs, outbox);
        let mut counts = vec![0_usize; self.shards];
        let mut homes = vec![BTreeSet::new(); self.census.layouts.len()];
        for model in self.census.distinct() {
            let home = self.census.home(model);
            if let Some(count) = counts.get_mut(home) {
                *count += 1;
            }
            if let Some(homes) = homes.get_mut(self.census.layout(model)) {
                homes.insert(home);
            }
        }
        let most = counts.into_iter().max().unwrap_or(0);
        let mut targets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, &(model, _)) in self.entries.iter().enumerate() {
            if self.census.is_distinct(model) {
                let layout = self.census.layout(model);
                targets.entry(layout).or_default().push(place);
            }
        }
        self.search = Search {
            steps: most.div_ceil(SEARCHES_AT_ONCE),
            targets,
            homes,
            near: [0, 1].map(|_| vec![Vec::new(); self.entries.len()]),
        };
        self.ask_for_near(0, outbox);
    }

    /// Answers queries, processes answers, and sends more queries.
    pub(super) fn search(&mut self, step: usize, inbox: Inbox, outbox: &mut Outbox) {
        self.wanted.extend(inbox.pairs);
        outbox.spread(
            self.answers(&inbox.queries, &inbox.askers),
            Content::Answers,
        );
        for Answer {
            model,
            is_own,
            near,
        } in inbox.answers
        {
            if let Some(place) = self.place(model) {
                let list = &mut self.search.near[usize::from(!is_own)][place];
                near.into_iter().for_each(|new| keep(list, new, NEAREST));
            }
        }
        self.ask_for_near(step, outbox);
    }

    /// Sends the pairs that were found to the shards that compare them.
    pub(super) fn end_search(&mut self, outbox: &mut Outbox) {
        let mut pairs = core::mem::take(&mut self.wanted);
        for lists in core::mem::take(&mut self.search).near {
            for (&(model, _), list) in self.entries.iter().zip(lists) {
                pairs.extend(list.into_iter().map(|(_, other)| ordered(model, other)));
            }
        }
        self.spread_pairs(pairs, outbox);
    }

    pub(super) fn spread_pairs(&self, pairs: Vec<(usize, usize)>, outbox: &mut Outbox) {
        let pairs = pairs
            .into_iter()
            .map(|pair| (self.census.home(pair.0), pair));
        outbox.spread(pairs, Content::Pairs);
    }

    fn ask_for_near(&self, step: usize, outbox: &mut Outbox) {
        let mut by_layout: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        // In the order of layouts, so that those who answer prepare few of them for one step.
        let targets = self.search.targets.iter();
        let distinct =
            targets.flat_map(|(&layout, places)| places.iter().map(move |&at| (layout, at)));
        for (layout, place) in distinct
            .skip(step * SEARCHES_AT_ONCE)
            .take(SEARCHES_AT_ONCE)
        {
            by_layout.entry(layout).or_default().push(place);
        }
        for (layout, places) in by_layout {
            for &other in self.census.neighbours(layout) {
                let Some(common) = self.common(layout, other) else {
                    continue;
                };
                let queries = places.iter().flat_map(|&place| {
                    let (model, entry) = &self.entries[place];
                    let summary = common.summary(entry);
                    let query = Query {
                        model: *model,
                        layouts: (layout, other),
                        exponent: summary.exponent(),
                        numbers: summary.numbers().to_vec(),
                    };
                    let homes = self.search.homes[other].iter();
                    homes.map(move |&home| (home, query.clone()))
                });
                outbox.spread(queries, Content::Queries);
            }
        }
    }

    /// How to compare models of two layouts; `None` if they have nothing in common.
    fn common(&self, first: usize, second: usize) -> Option<Compared<'_>> {
        let (lesser, greater) = (first.min(second), first.max(second));
        let layouts = &self.census.layouts;
        let (own, other) = (layouts.get(lesser)?, layouts.get(greater)?);
        let exponent = self.census.exponents[lesser].max(self.census.exponents[greater]);
        if lesser == greater {
            let values = own.values();
            return Some(Compared {
                common: None,
                scale: Scale { exponent, values },
            });
        }
        let common = own.common(other)?;
        let values = own.values_in(&common, other);
        Some(Compared {
            common: Some(common),
            scale: Scale { exponent, values },
        })
    }

    /// The nearest of this shard's models for each query, with the shard that asked.
    fn answers(&self, queries: &[Query], askers: &[usize]) -> Vec<(usize, Answer)> {
        let mut by_layouts: BTreeMap<(usize, usize), Vec<Asked>> = BTreeMap::new();
        for (query, &asker) in queries.iter().zip(askers) {
            if let Some(summary) = Summary::from_numbers(query.exponent, &query.numbers) {
                let queries = by_layouts.entry(query.layouts).or_default();
                queries.push((asker, query.model, summary));
            }
        }
        let mut answers = Vec::new();
        for ((layout, other), queries) in by_layouts {
            let (Some(common), Some(places)) =
                (self.common(layout, other), self.search.targets.get(&other))
            else {
                continue;
            };
            let targets: Vec<(usize, Cow<'_, Summary>)> = (places.iter())
                .map(|&place| {
                    let (model, entry) = &self.entries[place];
                    (*model, common.summary(entry))
                })
                .collect();
            let targets: Vec<(usize, &Summary)> = targets
                .iter()
                .map(|(model, summary)| (*model, &**summary))
                .collect();
            let asked: Vec<(usize, &Summary)> = queries
                .iter()
                .map(|(_, model, summary)| (*model, summary))
                .collect();
            let found = Targets::new(&targets, asked.len(), common.scale).nearest(&asked, NEAREST);
            let is_own = layout == other;
            let answer = |(&(asker, model, _), near)| {
                (
                    asker,
                    Answer {
                        model,
                        is_own,
                        near,
                    },
                )
            };
            answers.extend(queries.iter().zip(found).map(answer));
        }
        answers
    }
}

/// How to compare models of two layouts: by what they have in common or, within one layout, by all weights.
struct Compared<'a> {
    common: Option<Common<'a>>,
    scale: Scale,
}

impl Compared<'_> {
    fn summary<'e>(&self, entry: &'e Entry) -> Cow<'e, Summary> {
        entry.summary_of(self.common.as_ref())
    }
}
