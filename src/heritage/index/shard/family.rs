//! Families: who belongs to which, and the tree of each, found by one shard.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use hashbrown::HashMap;

use super::message::{Content, Inbox, Outbox};
use super::{Entry, Shard};
use crate::evidence::SignatureComparison;
use crate::heritage::index::IndexError;
use crate::heritage::index::blocks::Layout;
use crate::heritage::index::families::{Join, families};
use crate::heritage::index::kin::Kin;
use crate::heritage::index::near::Compared;
use crate::heritage::{Model, ModelGraph};
use crate::progress::ProgressReporter;

impl Shard {
    /// Finds the families of the neighbourhoods whose joins come to this shard.
    pub(super) fn find_families(&self, inbox: Inbox, outbox: &mut Outbox) {
        let mut hoods: BTreeMap<usize, (Vec<usize>, Vec<Join>)> = BTreeMap::new();
        for model in self.census.distinct() {
            let hood = self.census.hood(model);
            if hood % self.shards == self.number {
                hoods.entry(hood).or_default().0.push(model);
            }
        }
        for join in inbox.joins {
            if let Some((_, joins)) = hoods.get_mut(&self.census.hood(join.first)) {
                joins.push(join);
            }
        }
        for (hood, (models, joins)) in hoods {
            let Some(members) = self.census.members.get(hood) else {
                continue;
            };
            let layouts: Vec<&Layout> = members
                .iter()
                .map(|&layout| &self.census.layouts[layout])
                .collect();
            let block = |&model: &usize| members.binary_search(&self.census.layout(model)).ok();
            let blocks: Vec<usize> = models.iter().filter_map(block).collect();
            let place = |model: usize| models.binary_search(&model).ok();
            let joins = joins.into_iter().filter_map(|join| join.moved(place));
            let found = families(&blocks, &layouts, joins.collect());
            let found = found.into_iter().map(|family| {
                let family: Vec<usize> = family.into_iter().map(|at| models[at]).collect();
                (self.census.home(family[0]), family)
            });
            outbox.spread(found, Content::Families);
        }
    }

    /// Asks for what this shard doesn't hold of its families.
    pub(super) fn gather(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        self.families = inbox.families;
        let members = self.families.iter().flatten().copied();
        let missing = members.filter(|&model| self.place(model).is_none());
        self.ask_for_signatures(missing.collect(), outbox);
    }

    /// Sends the signatures of models, with those of their copies, and the pairs that they are the first of.
    pub(super) fn deliver(&mut self, inbox: &Inbox, outbox: &mut Outbox) {
        let copies = self.census.copies();
        let wanted = || {
            inbox.wanted.iter().flat_map(|&(asker, model)| {
                let copies = copies.get(&model).into_iter().flatten();
                (copies.copied().chain([model])).map(move |model| (asker, model))
            })
        };
        outbox.spread_signatures(
            wanted()
                .filter_map(|(asker, model)| Some((asker, self.entry(model)?.signature.clone()))),
        );
        self.rounds
            .found
            .sort_by_key(|found| (found.pair.first, found.pair.second));
        let found = &self.rounds.found;
        let pairs = inbox.wanted.iter().flat_map(|&(asker, model)| {
            let start = found.partition_point(|found| found.pair.first < model);
            let own = found[start..]
                .iter()
                .take_while(move |found| found.pair.first == model);
            own.map(move |found| (asker, (model, found.pair.second)))
        });
        outbox.spread(pairs, Content::Pairs);
    }

    /// Recovers the families of this shard.
    pub(super) fn recover(&mut self, inbox: &Inbox, outbox: &mut Outbox) -> Result<(), IndexError> {
        let mut near = self.near_pairs_of_families(&inbox.pairs)?;
        let copies = self.census.copies();
        let mut go_on = |_| ControlFlow::Continue(());
        let mut reporter = ProgressReporter::new(&mut go_on);
        let mut placed: Vec<(usize, Model)> = Vec::new();
        for (family, near) in self.families.iter().zip(&mut near) {
            let with_entry = |&model: &usize| Ok((model, self.known_entry(model)?));
            let members: Result<Vec<(usize, &Entry)>, IndexError> =
                family.iter().map(with_entry).collect();
            let copies = family.iter().flat_map(|original| {
                let copies = copies.get(original).into_iter().flatten();
                copies.map(|&copy| Ok((copy, self.known_entry(copy)?, *original)))
            });
            let copies: Result<Vec<(usize, &Entry, usize)>, IndexError> = copies.collect();
            let kin = Kin {
                members: members?,
                copies: copies?,
                near: core::mem::take(near),
            };
            placed.extend(kin.place(&self.settings, &mut reporter)?);
        }
        outbox.spread(placed.into_iter().map(|model| (0, model)), Content::Placed);
        Ok(())
    }

    /// The near pairs within every family of this shard, by places in it: its own ones, and those that
    /// others found, compared again.
    fn near_pairs_of_families(
        &mut self,
        pairs: &[(usize, usize)],
    ) -> Result<Vec<Vec<Compared>>, IndexError> {
        let mut places: HashMap<usize, (usize, usize)> = HashMap::new();
        for (family, members) in self.families.iter().enumerate() {
            let members = members.iter().enumerate();
            places.extend(members.map(|(at, &model)| (model, (family, at))));
        }
        let of_one = |&(first, second): &(usize, usize)| {
            let ends = (places.get(&first), places.get(&second));
            matches!(ends, (Some(u), Some(v)) if u.0 == v.0)
        };
        let comparison = SignatureComparison::new();
        let mut found = core::mem::take(&mut self.rounds.found);
        for &(first, second) in pairs.iter().filter(|pair| of_one(pair)) {
            found.extend(self.relation(&comparison, first, second)?);
        }
        let mut near: Vec<Vec<Compared>> = Vec::new();
        near.resize_with(self.families.len(), Vec::new);
        for mut compared in found {
            let pair = &mut compared.pair;
            let (Some(u), Some(v)) = (places.get(&pair.first), places.get(&pair.second)) else {
                continue;
            };
            if u.0 == v.0 {
                (pair.first, pair.second) = (u.1, v.1);
                near[u.0].push(compared);
            }
        }
        for near in &mut near {
            near.sort_by_key(|compared| (compared.pair.first, compared.pair.second));
        }
        Ok(near)
    }

    /// Puts the graph together, in the first shard.
    pub(super) fn finish(&mut self, inbox: Inbox) -> Result<(), IndexError> {
        if self.number != 0 {
            return Ok(());
        }
        let order = self.census.order();
        let mut places = alloc::vec![0; order.len()];
        for (place, &model) in order.iter().enumerate() {
            places[model] = place;
        }
        let mut models: Vec<(usize, Model)> = (inbox.placed.into_iter())
            .filter_map(|(model, placed)| {
                let moved = placed.moved(|other| places.get(other).copied());
                Some((*places.get(model)?, moved))
            })
            .collect();
        models.sort_by_key(|&(place, _)| place);
        let models = models.into_iter().map(|(_, model)| model).collect();
        self.graph = Some(ModelGraph::new(models)?);
        Ok(())
    }
}
