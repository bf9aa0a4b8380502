//! Families: their members, and the tree of each, which one shard recovers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::message::{Content, Inbox, Outbox, sorted};
use super::{Entry, Shard};
use crate::evidence::SignatureComparison;
use crate::heritage::index::IndexError;
use crate::heritage::index::blocks::Layout;
use crate::heritage::index::families::{Join, families};
use crate::heritage::index::kin::Kin;
use crate::heritage::index::near::Comparer;
use crate::heritage::{Model, ModelGraph};
use crate::progress::ProgressReporter;

impl Shard {
    /// Finds the families of the neighbourhoods whose joins this shard collects.
    pub(super) fn find_families(&self, inbox: Inbox, outbox: &mut Outbox) {
        let mut neighbourhoods: BTreeMap<usize, (Vec<usize>, Vec<Join>)> = BTreeMap::new();
        for model in self.census.distinct() {
            let neighbourhood = self.census.neighbourhood(model);
            if neighbourhood % self.shards == self.number {
                neighbourhoods
                    .entry(neighbourhood)
                    .or_default()
                    .0
                    .push(model);
            }
        }
        for join in inbox.joins {
            if let Some((_, joins)) = neighbourhoods.get_mut(&self.census.neighbourhood(join.first))
            {
                joins.push(join);
            }
        }
        for (neighbourhood, (models, joins)) in neighbourhoods {
            let Some(members) = self.census.members.get(neighbourhood) else {
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

    /// Asks for the first models of its families that this shard doesn't hold.
    pub(super) fn gather(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        self.families = inbox.families;
        let members = self.families.iter().flatten().copied();
        let missing = members.filter(|&model| self.place(model).is_none());
        self.ask_for_missing(missing.collect(), outbox);
    }

    /// Hands over the signatures of models, with those of their copies, and the pairs that they are the first of.
    /// Nobody else needs them any more, since a model has one family.
    pub(super) fn deliver(&mut self, inbox: &Inbox, outbox: &mut Outbox) {
        let copies = self.census.copies();
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for &(asker, model) in &inbox.wanted {
            let copies = copies.get(&model).into_iter().flatten();
            wanted.extend(copies.chain([&model]).map(|&model| (model, asker)));
        }
        let given = |entry: &mut (usize, Entry)| wanted.contains_key(&entry.0);
        let given = self.entries.extract_if(.., given);
        let given =
            given.filter_map(|(model, entry)| Some((*wanted.get(&model)?, entry.signature)));
        outbox.spread_signatures(given);
        let known = &self.rounds.known;
        let pairs = inbox.wanted.iter().flat_map(|&(asker, model)| {
            let start = known.partition_point(|&(first, _)| first < model);
            let own = known[start..]
                .iter()
                .take_while(move |pair| pair.0 == model);
            own.map(move |&pair| (asker, pair))
        });
        outbox.spread(pairs, Content::Pairs);
    }

    /// Takes in what others handed over, and asks for the next models.
    pub(super) fn collect(&mut self, part: usize, inbox: Inbox, outbox: &mut Outbox) {
        // Apart from the known ones, which have to stay sorted.
        self.wanted.extend(inbox.pairs);
        self.ask_for_part(part + 1, outbox);
    }

    /// Recovers the families of this shard.
    pub(super) fn recover(
        &mut self,
        outbox: &mut Outbox,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<(), IndexError> {
        let pairs = self.pairs_of_families();
        let copies = self.census.copies();
        let mut placed: Vec<(usize, Model)> = Vec::new();
        for (number, family) in self.families.iter().enumerate() {
            let with_entry = |&model: &usize| Ok((model, self.known_entry(model)?));
            let members: Result<Vec<(usize, &Entry)>, IndexError> =
                family.iter().map(with_entry).collect();
            let copies = family.iter().flat_map(|original| {
                let copies = copies.get(original).into_iter().flatten();
                copies.map(|&copy| Ok((copy, self.known_entry(copy)?, *original)))
            });
            let copies: Result<Vec<(usize, &Entry, usize)>, IndexError> = copies.collect();
            let mut kin = Kin {
                members: members?,
                copies: copies?,
                near: Vec::new(),
            };
            if !kin.is_small(&self.settings) {
                let start = pairs.partition_point(|pair| pair.0 < number);
                let own = pairs[start..].iter().take_while(|pair| pair.0 == number);
                let own: Vec<(usize, usize)> = own.map(|&(_, pair)| pair).collect();
                let entries: Vec<&Entry> = kin.members.iter().map(|&(_, entry)| entry).collect();
                let comparer = Comparer {
                    comparison: SignatureComparison::new(),
                    entries: &entries,
                };
                kin.near = comparer.compare(&own, reporter)?;
            }
            placed.extend(kin.place(&self.settings, reporter)?);
        }
        outbox.spread(placed.into_iter().map(|model| (0, model)), Content::Placed);
        Ok(())
    }

    /// The pairs that were compared within each family of this shard, by its number and the places in it, sorted.
    fn pairs_of_families(&mut self) -> Vec<(usize, (usize, usize))> {
        let mut places: HashMap<usize, (usize, usize)> = HashMap::new();
        for (family, members) in self.families.iter().enumerate() {
            let members = members.iter().enumerate();
            places.extend(members.map(|(at, &model)| (model, (family, at))));
        }
        let known = core::mem::take(&mut self.rounds.known).into_iter();
        let pairs = known.chain(core::mem::take(&mut self.wanted));
        let within = pairs.filter_map(|(first, second)| {
            let (u, v) = (places.get(&first)?, places.get(&second)?);
            (u.0 == v.0).then_some((u.0, (u.1, v.1)))
        });
        sorted(within.collect())
    }

    /// Assembles the graph. Only the first shard does this.
    pub(super) fn finish(&mut self, inbox: Inbox) -> Result<(), IndexError> {
        if self.number != 0 {
            return Ok(());
        }
        // There is room for the graph where the signatures were.
        (self.entries, self.foreign) = Default::default();
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
