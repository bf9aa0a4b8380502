//! An index divided into parts that exchange messages, for hubs spread over several machines.

mod census;
mod family;
mod message;
mod rounds;
mod search;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub use self::message::ShardMessage;

use self::census::{Census, home};
use self::message::{Content, Holder, Inbox, Outbox};
use self::rounds::Rounds;
use self::search::Search;
use super::blocks::Layout;
use super::near::ROUNDS;
use super::neighbourhood::equal_models;
use super::{Entry, IndexError, Settings, check_settings, summary};
use crate::heritage::{ModelGraph, Recovery};
use crate::progress::unobserved;
use crate::signature::Signature;
use crate::sketch::mix;

/// How many signatures a shard sends or requests in one step.
const SIGNATURES_AT_ONCE: usize = 2048;

/// One of several parts of an index. Together they find exactly the graph that one [`Index`](super::Index)
/// would find.
///
/// A shard is independent of threads, processes and networks. In each [`step`](Self::step) it takes the
/// messages that were sent to it in the previous step, and returns the messages to send. You choose how to
/// deliver them, but a step must not begin before all messages of the previous one have arrived. When all
/// steps are done, the first shard has the graph.
///
/// Any shard may be given any model. Each signature moves once, to the shard that holds its likely relatives.
/// Models are searched for and compared there, by the same functions as in an index. Besides signatures, shards
/// exchange short summaries, the names of all models, pairs to compare, and the spanning forests of what each of
/// them found. If a relative is on another shard, its signature is requested and then dropped again. Each family
/// is recovered by one shard, to which the others send their members.
///
/// # Examples
///
/// ```
/// use mother::heritage::{Index, Shard, ShardMessage};
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let mut index = Index::new();
/// let mut shards = [Shard::new(0, 2), Shard::new(1, 2)];
/// for (at, (name, last)) in [("base", 1.0), ("chat", 1.5), ("chat-2", 1.75)].into_iter().enumerate() {
///     let values = vec![9.0_f32, 1.0, 1.0, last];
///     let model = InMemoryModel::new(name).with_layer("w", [2, 2], values)?;
///     let signature = SignatureOptions::new().sign(&model)?;
///     index.insert(signature.clone())?;
///     shards[at % 2].insert(signature)?;
/// }
/// let mut messages: Vec<ShardMessage> = Vec::new();
/// while !shards[0].is_done() {
///     let mut sent = Vec::new();
///     for (number, shard) in shards.iter_mut().enumerate() {
///         let own = messages.iter().filter(|message| message.to() == number);
///         sent.extend(shard.step(own.cloned())?);
///     }
///     messages = sent;
/// }
/// assert_eq!(shards[0].graph(), Some(&index.graph()?));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shard {
    number: usize,
    shards: usize,
    settings: Settings,
    at_once: usize,
    stage: Stage,
    /// The signatures inserted into this shard, until they are sent.
    inserted: BTreeMap<String, Signature>,
    /// The number of parts to send, for the shard with the most.
    parts: usize,
    census: Census,
    /// The models that this shard holds, by position.
    entries: Vec<(usize, Entry)>,
    /// Models of other shards that are currently needed.
    foreign: BTreeMap<usize, Entry>,
    search: Search,
    /// The pairs to compare next, those found by equal tensors, or those handed over with models.
    wanted: Vec<(usize, usize)>,
    rounds: Rounds,
    /// The families that this shard recovers.
    families: Vec<Vec<usize>>,
    graph: Option<ModelGraph>,
}

/// What a shard does in its next step. All shards are at the same stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Announce,
    /// Carries the number of the part that arrives.
    Settle(usize),
    Meet,
    BeginSearch,
    /// Carries the number of the search step.
    Search(usize),
    /// These carry the number of the round of comparisons and, for some, of the part of that round.
    Request(usize),
    Reply(usize, usize),
    Compare(usize, usize),
    Merge(usize),
    Ask(usize),
    Propose(usize),
    Families,
    Gather,
    /// These carry the number of the part in which the members of families are sent.
    Deliver(usize),
    Collect(usize),
    Finish,
    Done,
}

impl Shard {
    /// Shard `number` of `shards`, counted from 0.
    #[must_use]
    pub fn new(number: usize, shards: usize) -> Self {
        Self {
            number,
            shards: shards.max(1),
            settings: Settings::default(),
            at_once: SIGNATURES_AT_ONCE,
            stage: Stage::Announce,
            inserted: BTreeMap::new(),
            parts: 0,
            census: Census::default(),
            entries: Vec::new(),
            foreign: BTreeMap::new(),
            search: Search::default(),
            wanted: Vec::new(),
            rounds: Rounds::default(),
            families: Vec::new(),
            graph: None,
        }
    }

    /// Like [`Index::with_recovery`](super::Index::with_recovery). All shards need the same setting.
    #[must_use]
    pub fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.settings.recovery = recovery.without_hidden_parents();
        self
    }

    /// Like [`Index::with_dense_limit`](super::Index::with_dense_limit). All shards need the same setting.
    #[must_use]
    pub const fn with_dense_limit(mut self, models: usize) -> Self {
        self.settings.dense_limit = models;
        self
    }

    /// Sets how many signatures a shard sends or requests in one step, 2,048 by default. A smaller number
    /// needs less memory for messages but more steps.
    #[must_use]
    pub fn with_signatures_at_once(mut self, signatures: usize) -> Self {
        self.at_once = signatures.max(1);
        self
    }

    /// Inserts a model. Call this before the first step.
    ///
    /// # Errors
    ///
    /// [`IndexError::DuplicateModel`] if the shard already has a model of this name, and
    /// [`IndexError::Evidence`] if the signature was made with other settings than the existing ones.
    pub fn insert(&mut self, signature: Signature) -> Result<(), IndexError> {
        let name = signature.name();
        if self.inserted.contains_key(name) {
            return Err(IndexError::DuplicateModel { model: name.into() });
        }
        if let Some(other) = self.inserted.values().next() {
            check_settings(other, &signature)?;
        }
        self.inserted.insert(name.into(), signature);
        Ok(())
    }

    /// Takes all messages that were sent to this shard in the previous step, in any order, and returns the
    /// messages to send. A finished shard returns none.
    ///
    /// # Errors
    ///
    /// [`IndexError::DuplicateModel`] if two shards have models of the same name, [`IndexError::NoSuchModel`]
    /// if messages were lost, and the errors of [`Index::graph`](super::Index::graph). A shard can't continue
    /// after an error.
    ///
    /// # Complexity
    ///
    /// For n models on s shards, all steps together take the time of [`Index::graph`](super::Index::graph)
    /// divided by s, but at least that of the largest family. A shard needs memory for n names and for about
    /// n/s signatures, or for the signatures of the largest family if it has more.
    pub fn step(
        &mut self,
        messages: impl IntoIterator<Item = ShardMessage>,
    ) -> Result<Vec<ShardMessage>, IndexError> {
        let mut inbox = Inbox::new(messages);
        let mut outbox = Outbox::new(self.number, self.shards);
        self.parts = inbox.parts.unwrap_or(self.parts);
        self.take_in(&mut inbox);
        self.stage = match self.stage {
            Stage::Announce => self.announce(&mut outbox),
            Stage::Settle(part) => self.settle(part, inbox, &mut outbox)?,
            Stage::Meet => self.meet(inbox, &mut outbox)?,
            Stage::BeginSearch => {
                self.begin_search(inbox, &mut outbox);
                Stage::Search(1)
            }
            Stage::Search(step) => {
                self.search(step, inbox, &mut outbox);
                // The last answers arrive two steps after the last queries.
                if step <= self.search.steps {
                    Stage::Search(step + 1)
                } else {
                    self.end_search(&mut outbox);
                    Stage::Request(0)
                }
            }
            _ => self.round(inbox, &mut outbox)?,
        };
        if self.is_done() {
            return Ok(Vec::new());
        }
        Ok(outbox.close())
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The graph of all models. Only the first shard has it, once it is done.
    #[must_use]
    pub const fn graph(&self) -> Option<&ModelGraph> {
        self.graph.as_ref()
    }

    /// Announces its layouts, and begins to send every model to the shard that will hold it.
    fn announce(&mut self, outbox: &mut Outbox) -> Stage {
        let mut layouts: BTreeMap<Layout, i32> = BTreeMap::new();
        for signature in self.inserted.values() {
            let exponent = summary::exponent(signature);
            let greatest = layouts.entry(Layout::of(signature)).or_insert(exponent);
            *greatest = exponent.max(*greatest);
        }
        outbox.send_to_all(&Content::Layouts(layouts.into_iter().collect()));
        if let Some(example) = self.inserted.values().next() {
            outbox.send_to_all(&Content::Example(example.clone()));
        }
        let parts = self.inserted.len().div_ceil(self.at_once);
        outbox.send_to_all(&Content::Parts(parts));
        self.send_home(outbox);
        Stage::Settle(0)
    }

    fn send_home(&mut self, outbox: &mut Outbox) {
        let next = core::iter::from_fn(|| self.inserted.pop_first());
        let models = next.take(self.at_once).map(|(_, model)| model);
        outbox.spread_signatures(models.map(|model| (home(&model, self.shards), model)));
    }

    /// Receives the models that this shard will hold, and tells all others once it has them all.
    fn settle(
        &mut self,
        part: usize,
        inbox: Inbox,
        outbox: &mut Outbox,
    ) -> Result<Stage, IndexError> {
        if part == 0 {
            self.census = Census::of_layouts(inbox.layouts);
            let mut examples = inbox.examples.iter();
            if let Some(first) = examples.next() {
                examples.try_for_each(|other| check_settings(first, other))?;
            }
        }
        // Positions are known only when all names are.
        let entries = inbox.signatures.into_iter().map(Entry::new);
        self.entries
            .extend(entries.map(|entry| (usize::MAX, entry)));
        if part + 1 < self.parts {
            self.send_home(outbox);
            return Ok(Stage::Settle(part + 1));
        }
        (self.entries)
            .sort_unstable_by(|(_, a), (_, b)| a.signature.name().cmp(b.signature.name()));
        let layouts = &self.census.layouts;
        let names = self.entries.iter().map(|(_, entry)| {
            let layout = layouts.binary_search(&Layout::of(&entry.signature));
            (entry.signature.name().into(), layout.unwrap_or(usize::MAX))
        });
        outbox.send_to_all(&Content::Names(names.collect()));
        Ok(Stage::Meet)
    }

    /// Learns the names of all models, and reports which of its own hold the same values or the same tensors.
    fn meet(&mut self, inbox: Inbox, outbox: &mut Outbox) -> Result<Stage, IndexError> {
        self.census.add_models(inbox.names)?;
        for (position, entry) in &mut self.entries {
            let found = self.census.position(entry.signature.name());
            *position = found.unwrap_or(usize::MAX);
        }
        let entries: Vec<&Entry> = self.entries.iter().map(|(_, entry)| entry).collect();
        let same = equal_models(&entries);
        let mut copies = Vec::new();
        let mut holders: Vec<(usize, Holder)> = Vec::new();
        for (place, &(model, ref entry)) in self.entries.iter().enumerate() {
            if same[place] != place {
                copies.push((model, self.entries[same[place]].0));
                continue;
            }
            let neighbourhood = self.census.neighbourhood(model);
            let weights = entry.signature.tensors().iter().filter(|t| t.is_weight());
            holders.extend(weights.map(|tensor| {
                let words = tensor.digest().words();
                let shard = mix(words[0]) % self.shards as u64;
                (shard as usize, ((neighbourhood, words), model))
            }));
        }
        outbox.send_to_all(&Content::Copies(copies));
        outbox.spread(holders, Content::Holders);
        Ok(Stage::BeginSearch)
    }

    /// Performs one step of a round of comparisons, or of the work after the last round.
    fn round(&mut self, inbox: Inbox, outbox: &mut Outbox) -> Result<Stage, IndexError> {
        Ok(match self.stage {
            Stage::Request(round) => {
                self.request(inbox, outbox);
                Stage::Reply(round, 0)
            }
            Stage::Reply(round, part) => {
                self.reply(&inbox, outbox);
                Stage::Compare(round, part)
            }
            Stage::Compare(round, part) => {
                let is_last = part + 1 >= self.parts;
                self.compare(is_last)?;
                if !is_last {
                    self.ask_for_part(part + 1, outbox);
                    Stage::Reply(round, part + 1)
                } else if round < ROUNDS {
                    self.send_links(outbox);
                    Stage::Merge(round)
                } else {
                    self.send_joins(outbox);
                    Stage::Families
                }
            }
            Stage::Merge(round) => {
                self.merge(inbox, outbox);
                Stage::Ask(round)
            }
            Stage::Ask(round) => {
                self.ask(inbox, outbox);
                Stage::Propose(round)
            }
            Stage::Propose(round) => {
                self.propose(&inbox, outbox);
                Stage::Request(round + 1)
            }
            _ => self.family_step(inbox, outbox)?,
        })
    }

    /// One step of the work from joins to the graph of all families.
    fn family_step(&mut self, inbox: Inbox, outbox: &mut Outbox) -> Result<Stage, IndexError> {
        Ok(match self.stage {
            Stage::Families => {
                self.find_families(inbox, outbox);
                Stage::Gather
            }
            Stage::Gather => {
                self.gather(inbox, outbox);
                Stage::Deliver(0)
            }
            Stage::Deliver(part) => {
                self.deliver(&inbox, outbox);
                Stage::Collect(part)
            }
            Stage::Collect(part) => {
                self.collect(part, inbox, outbox);
                if part + 1 < self.parts {
                    Stage::Deliver(part + 1)
                } else {
                    unobserved(|reporter| self.recover(outbox, reporter))?;
                    Stage::Finish
                }
            }
            Stage::Finish => {
                self.finish(inbox)?;
                Stage::Done
            }
            _ => Stage::Done,
        })
    }

    /// The place of one of this shard's models among the entries.
    fn place(&self, model: usize) -> Option<usize> {
        (self
            .entries
            .binary_search_by_key(&model, |&(position, _)| position))
        .ok()
    }

    fn entry(&self, model: usize) -> Option<&Entry> {
        match self.place(model) {
            Some(place) => Some(&self.entries[place].1),
            None => self.foreign.get(&model),
        }
    }

    fn known_entry(&self, model: usize) -> Result<&Entry, IndexError> {
        let missing = || IndexError::NoSuchModel {
            model: self.census.name(model).into(),
        };
        self.entry(model).ok_or_else(missing)
    }
}
