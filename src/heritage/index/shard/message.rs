//! The messages that shards exchange.

use alloc::string::String;
use alloc::vec::Vec;

use crate::heritage::Model;
use crate::heritage::index::blocks::Layout;
use crate::heritage::index::families::Join;
use crate::heritage::index::links::Link;
use crate::heritage::index::nearest::Near;
use crate::signature::Signature;

/// The largest number of items in a message.
const MOST_ITEMS: usize = 4096;

/// The largest number of signatures in a message; each may have hundreds of kilobytes.
const MOST_SIGNATURES: usize = 16;

/// A message from one [`Shard`](super::Shard) to another, or to itself.
///
/// With the feature `serde` you can send it in any format. Both shards must be of the same version.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShardMessage {
    from: usize,
    to: usize,
    content: Content,
}

impl ShardMessage {
    /// The number of the receiving shard.
    #[must_use]
    pub const fn to(&self) -> usize {
        self.to
    }
}

/// Models are identified by their positions in the sorted list of all names.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Content {
    /// The step is over. Sent even if there is nothing else to send.
    Step,
    /// The number of parts that the shard has to send.
    Parts(usize),
    /// The layouts of models, each with the largest exponent of their numbers.
    Layouts(Vec<(Layout, i32)>),
    /// Any one of the shard's signatures, to compare settings.
    Example(Signature),
    Signatures(Vec<Signature>),
    /// Names with the numbers of their layouts.
    Names(Vec<(String, usize)>),
    /// Models with the same values as another, each with the first such model.
    Copies(Vec<(usize, usize)>),
    Holders(Vec<Holder>),
    Queries(Vec<Query>),
    Answers(Vec<Answer>),
    /// Pairs to compare.
    Pairs(Vec<(usize, usize)>),
    /// Models whose signatures are requested.
    Wanted(Vec<usize>),
    /// The spanning forest of a shard's links.
    Forest(Vec<Link>),
    /// Links to models of the receiving shard.
    Links(Vec<Link>),
    /// The spanning forest of all links.
    Tree(Vec<Link>),
    /// Pairs of one of the receiver's models and a model near to it.
    Asked(Vec<(usize, usize)>),
    Joins(Vec<Join>),
    Families(Vec<Vec<usize>>),
    Placed(Vec<(usize, Model)>),
}

/// A model that holds a tensor, by neighbourhood and digest.
pub(super) type Holder = ((usize, [u64; 2]), usize);

/// Asks which models of one layout are near to a model of another, or of the same layout.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Query {
    pub(super) model: usize,
    /// The numbers of the model's own layout and of the layout to search.
    pub(super) layouts: (usize, usize),
    pub(super) exponent: i32,
    pub(super) numbers: Vec<f32>,
}

/// The nearest models that one shard holds.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Answer {
    pub(super) model: usize,
    /// Whether the found models have the model's own layout.
    pub(super) is_own: bool,
    pub(super) near: Vec<Near>,
}

/// The messages of one step, sorted by content.
#[derive(Default)]
pub(super) struct Inbox {
    /// The largest number of parts that a shard has to send, if shards reported any.
    pub(super) parts: Option<usize>,
    pub(super) layouts: Vec<(Layout, i32)>,
    pub(super) examples: Vec<Signature>,
    pub(super) signatures: Vec<Signature>,
    /// Names, each with the number of its layout and of the shard that holds it.
    pub(super) names: Vec<(String, usize, usize)>,
    pub(super) copies: Vec<(usize, usize)>,
    pub(super) holders: Vec<Holder>,
    pub(super) queries: Vec<Query>,
    /// The shards that asked, one for each query.
    pub(super) askers: Vec<usize>,
    pub(super) answers: Vec<Answer>,
    pub(super) pairs: Vec<(usize, usize)>,
    /// Pairs of a shard and a model whose signature it requests.
    pub(super) wanted: Vec<(usize, usize)>,
    pub(super) forest: Vec<Link>,
    pub(super) links: Vec<Link>,
    pub(super) tree: Vec<Link>,
    pub(super) asked: Vec<(usize, usize)>,
    pub(super) joins: Vec<Join>,
    pub(super) families: Vec<Vec<usize>>,
    pub(super) placed: Vec<(usize, Model)>,
}

impl Inbox {
    pub(super) fn new(messages: impl IntoIterator<Item = ShardMessage>) -> Self {
        let mut inbox = Self::default();
        for ShardMessage { from, content, .. } in messages {
            match content {
                Content::Step => {}
                Content::Parts(parts) => inbox.parts = inbox.parts.max(Some(parts)),
                Content::Layouts(layouts) => inbox.layouts.extend(layouts),
                Content::Example(signature) => inbox.examples.push(signature),
                Content::Signatures(signatures) => inbox.signatures.extend(signatures),
                Content::Names(names) => {
                    let names = names.into_iter().map(|(name, layout)| (name, layout, from));
                    inbox.names.extend(names);
                }
                Content::Copies(copies) => inbox.copies.extend(copies),
                Content::Holders(holders) => inbox.holders.extend(holders),
                Content::Queries(queries) => {
                    inbox
                        .askers
                        .resize(inbox.askers.len() + queries.len(), from);
                    inbox.queries.extend(queries);
                }
                Content::Answers(answers) => inbox.answers.extend(answers),
                Content::Pairs(pairs) => inbox.pairs.extend(pairs),
                Content::Wanted(models) => {
                    inbox
                        .wanted
                        .extend(models.into_iter().map(|model| (from, model)));
                }
                Content::Forest(links) => inbox.forest.extend(links),
                Content::Links(links) => inbox.links.extend(links),
                Content::Tree(links) => inbox.tree.extend(links),
                Content::Asked(asked) => inbox.asked.extend(asked),
                Content::Joins(joins) => inbox.joins.extend(joins),
                Content::Families(families) => inbox.families.extend(families),
                Content::Placed(placed) => inbox.placed.extend(placed),
            }
        }
        inbox
    }
}

/// The messages that one shard sends in one step.
pub(super) struct Outbox {
    from: usize,
    shards: usize,
    messages: Vec<ShardMessage>,
}

impl Outbox {
    pub(super) const fn new(from: usize, shards: usize) -> Self {
        Self {
            from,
            shards,
            messages: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, to: usize, content: Content) {
        let from = self.from;
        self.messages.push(ShardMessage { from, to, content });
    }

    pub(super) fn send_to_all(&mut self, content: &Content) {
        (0..self.shards).for_each(|to| self.send(to, content.clone()));
    }

    /// Sends each item to a shard.
    pub(super) fn spread<T>(
        &mut self,
        items: impl IntoIterator<Item = (usize, T)>,
        content: impl Fn(Vec<T>) -> Content,
    ) {
        self.spread_by(MOST_ITEMS, items, content);
    }

    /// Sends each signature to a shard.
    pub(super) fn spread_signatures(
        &mut self,
        signatures: impl IntoIterator<Item = (usize, Signature)>,
    ) {
        self.spread_by(MOST_SIGNATURES, signatures, Content::Signatures);
    }

    fn spread_by<T>(
        &mut self,
        most: usize,
        items: impl IntoIterator<Item = (usize, T)>,
        content: impl Fn(Vec<T>) -> Content,
    ) {
        let mut batches: Vec<Vec<T>> = Vec::new();
        batches.resize_with(self.shards, Vec::new);
        for (to, item) in items {
            let Some(batch) = batches.get_mut(to) else {
                continue;
            };
            batch.push(item);
            if batch.len() == most {
                let full = core::mem::take(batch);
                self.send(to, content(full));
            }
        }
        for (to, batch) in batches.into_iter().enumerate() {
            if !batch.is_empty() {
                self.send(to, content(batch));
            }
        }
    }

    /// All messages, including a notice to every shard that the step is over.
    pub(super) fn close(mut self) -> Vec<ShardMessage> {
        self.send_to_all(&Content::Step);
        self.messages
    }
}

/// The items, sorted and without duplicates.
pub(super) fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn long_lists_are_sent_in_parts() {
        let mut outbox = Outbox::new(1, 3);
        let items = (0..2 * MOST_ITEMS + 5).map(|at| (at % 2, at));
        outbox.spread(items, Content::Wanted);
        let messages = outbox.close();
        let lengths = messages.iter().map(|message| match &message.content {
            Content::Wanted(items) => (message.to(), items.len()),
            _ => (message.to(), 0),
        });
        let expected = vec![
            (0, MOST_ITEMS),
            (1, MOST_ITEMS),
            (0, 3),
            (1, 2),
            (0, 0),
            (1, 0),
            (2, 0),
        ];
        assert_eq!(lengths.collect::<Vec<_>>(), expected);
        assert_eq!(Inbox::new(messages).wanted.len(), 2 * MOST_ITEMS + 5);
    }
}
