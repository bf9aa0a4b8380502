//! Rounds of comparisons. Each pair is compared by the shard that holds its first model. The nearest models
//! and the spanning forest of everything found so far determine what to compare next.

use alloc::vec::Vec;

use super::message::{Content, Inbox, Outbox, sorted};
use super::{Entry, Shard, Stage};
use crate::evidence::SignatureComparison;
use crate::heritage::index::IndexError;
use crate::heritage::index::families::Join;
use crate::heritage::index::links::{Link, further, keep_nearest, neighbours, spanning_forest};
use crate::heritage::index::near::compared;

/// A shard's information on pairs whose first model it holds, limited to what later rounds need, because there are
/// dozens of pairs for each model.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    /// The pairs that were compared, sorted.
    pub(super) known: Vec<(usize, usize)>,
    /// The models of other shards that this round or the families need, sorted.
    missing: Vec<usize>,
    /// The links found in this round.
    new: Vec<Link>,
    /// The spanning forest of the pairs found.
    forest: Vec<Link>,
    /// The links of all own models to their nearest.
    nearest: Vec<Link>,
    /// The joins that can still affect which models form families.
    joins: Vec<Join>,
    /// For each of this shard's models, the nearest models and the neighbours in the spanning forest of all
    /// shards.
    near: Vec<Vec<usize>>,
    tree: Vec<Vec<usize>>,
}

impl Shard {
    /// Determines which pairs are new, and requests the first signatures they need.
    pub(super) fn request(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        self.wanted = sorted(inbox.pairs);
        let known = &mut self.rounds.known;
        self.wanted
            .retain(|pair| known.binary_search(pair).is_err());
        known.extend_from_slice(&self.wanted);
        known.sort_unstable();
        let seconds = self.wanted.iter().map(|&(_, second)| second);
        let missing = seconds.filter(|&model| self.place(model).is_none());
        self.ask_for_missing(missing.collect(), outbox);
    }

    /// Announces the number of parts in which this shard requests models of other shards, and requests the first.
    pub(super) fn ask_for_missing(&mut self, models: Vec<usize>, outbox: &mut Outbox) {
        self.rounds.missing = sorted(models);
        let parts = self.rounds.missing.len().div_ceil(self.at_once);
        outbox.send_to_all(&Content::Parts(parts));
        self.ask_for_part(0, outbox);
    }

    pub(super) fn ask_for_part(&self, part: usize, outbox: &mut Outbox) {
        let mut parts = self.rounds.missing.chunks(self.at_once);
        let missing = parts.nth(part).unwrap_or_default().iter();
        outbox.spread(
            missing.map(|&model| (self.census.home(model), model)),
            Content::Wanted,
        );
    }

    /// Sends the signatures that other shards requested.
    pub(super) fn reply(&self, inbox: &Inbox, outbox: &mut Outbox) {
        let signatures = inbox
            .wanted
            .iter()
            .filter_map(|&(asker, model)| Some((asker, self.entry(model)?.signature.clone())));
        outbox.spread_signatures(signatures);
    }

    /// Once the models have settled, incoming signatures belong to other shards.
    pub(super) fn take_in(&mut self, inbox: &mut Inbox) {
        if matches!(self.stage, Stage::Announce | Stage::Settle(_)) {
            return;
        }
        for signature in core::mem::take(&mut inbox.signatures) {
            if let Some(model) = self.census.position(signature.name()) {
                self.foreign.insert(model, Entry::new(signature));
            }
        }
    }

    /// Compares the pairs whose signatures are here; in the last part of a round, all remaining ones.
    pub(super) fn compare(&mut self, is_last: bool) -> Result<(), IndexError> {
        let wanted = core::mem::take(&mut self.wanted);
        let is_here = |&(_, second): &(usize, usize)| is_last || self.entry(second).is_some();
        let (here, later): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_here);
        let comparison = SignatureComparison::new();
        for (first, second) in here {
            let (u, v) = (self.known_entry(first)?, self.known_entry(second)?);
            let relation = comparison.relation(&u.signature, &v.signature)?;
            if relation.is_comparable() {
                let found = compared(first, second, &relation);
                self.rounds.new.extend(found.link());
                self.rounds.joins.extend(Join::of(&found));
            }
        }
        self.wanted = later;
        self.foreign.clear();
        Ok(())
    }

    /// Sends the spanning forest of this shard's links, and the links that involve models of other shards.
    pub(super) fn send_links(&mut self, outbox: &mut Outbox) {
        let mut new = core::mem::take(&mut self.rounds.new);
        let mut links = core::mem::take(&mut self.rounds.forest);
        links.extend_from_slice(&new);
        links.sort_by(Link::order);
        self.rounds.forest = spanning_forest(self.census.len(), links, Link::ends);
        let forest = self.rounds.forest.iter();
        let forest = forest.map(|link| (self.owner_of_neighbourhood(link.first), *link));
        outbox.spread(forest, Content::Forest);
        let foreign = new.iter().filter_map(|link| {
            let home = self.census.home(link.second);
            (home != self.number).then_some((home, *link))
        });
        outbox.spread(foreign, Content::Links);
        self.rounds.nearest.append(&mut new);
        self.keep_joins();
    }

    /// Merges the spanning forests of all shards, and sends every model's neighbours to the shard that holds
    /// it.
    pub(super) fn merge(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        self.rounds.nearest.extend(inbox.links);
        let mut links = inbox.forest;
        links.sort_by(Link::order);
        let tree = spanning_forest(self.census.len(), links, Link::ends);
        let tree = tree.into_iter().flat_map(|link| {
            let homes = [link.first, link.second].map(|end| self.census.home(end));
            let second = (homes[0] != homes[1]).then_some((homes[1], link));
            [(homes[0], link)].into_iter().chain(second)
        });
        outbox.spread(tree, Content::Tree);
    }

    /// For every model near to one of this shard's models, asks the shard that holds it for its neighbours.
    pub(super) fn ask(&mut self, inbox: Inbox, outbox: &mut Outbox) {
        let mut tree = inbox.tree;
        tree.sort_by(Link::order);
        let mut links = core::mem::take(&mut self.rounds.nearest);
        links.sort_by(Link::order);
        let place = |model| self.place(model);
        keep_nearest(self.entries.len(), &mut links, place);
        let tree = neighbours(self.entries.len(), &tree, place);
        let near = neighbours(self.entries.len(), &links, place);
        let census = &self.census;
        let asked = self
            .entries
            .iter()
            .zip(&near)
            .flat_map(|((model, _), near)| {
                near.iter()
                    .map(move |&other| (census.home(other), (other, *model)))
            });
        outbox.spread(asked, Content::Asked);
        links.shrink_to_fit();
        (self.rounds.tree, self.rounds.near, self.rounds.nearest) = (tree, near, links);
    }

    /// Proposes comparisons for models that are near to this shard's models.
    pub(super) fn propose(&self, inbox: &Inbox, outbox: &mut Outbox) {
        let proposals = inbox.asked.iter().filter_map(|&(own, model)| {
            let place = self.place(own)?;
            Some(further(
                model,
                &self.rounds.tree[place],
                &self.rounds.near[place],
            ))
        });
        let pairs = sorted(proposals.flatten().collect());
        self.spread_pairs(pairs, outbox);
    }

    /// Keeps the joins that can affect which models form families. If all layouts of a neighbourhood can be
    /// compared, these are only the joins of its spanning forest, because their order alone decides.
    fn keep_joins(&mut self) {
        let throughout = self.census.is_comparable_throughout();
        let joins = core::mem::take(&mut self.rounds.joins).into_iter();
        let (mut plain, others): (Vec<Join>, Vec<Join>) = joins.partition(|join| {
            let neighbourhood = self.census.neighbourhood(join.first);
            throughout.get(neighbourhood).copied().unwrap_or(false)
        });
        plain.sort_by(Join::order);
        self.rounds.joins =
            spanning_forest(self.census.len(), plain, |join| (join.first, join.second));
        self.rounds.joins.extend(others);
        self.rounds.joins.shrink_to_fit();
    }

    /// Sends these joins.
    pub(super) fn send_joins(&mut self, outbox: &mut Outbox) {
        self.keep_joins();
        let known = core::mem::take(&mut self.rounds.known);
        let joins = core::mem::take(&mut self.rounds).joins.into_iter();
        self.rounds.known = known;
        outbox.spread(
            joins.map(|join| (self.owner_of_neighbourhood(join.first), join)),
            Content::Joins,
        );
    }

    /// The shard that collects the links of a model's neighbourhood.
    fn owner_of_neighbourhood(&self, model: usize) -> usize {
        self.census.neighbourhood(model) % self.shards
    }
}
