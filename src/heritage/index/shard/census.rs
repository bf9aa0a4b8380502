//! What every shard knows about all models: their names, their layouts, and which shard holds them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::heritage::index::IndexError;
use crate::heritage::index::blocks::{Layout, neighbourhoods};
use crate::heritage::index::summary::Summary;
use crate::signature::Signature;
use crate::sketch::mix;

/// The base-2 logarithm of how many groups of models there are per shard.
const LOG_GROUPS_OF_SHARD: u32 = 4;

/// The information that every shard has.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    /// The layouts, sorted.
    pub(super) layouts: Vec<Layout>,
    /// The largest exponent of each layout's numbers.
    pub(super) exponents: Vec<i32>,
    /// The neighbourhood of each layout.
    neighbourhoods: Vec<usize>,
    /// The layouts of every neighbourhood, ascending.
    pub(super) members: Vec<Vec<usize>>,
    /// All models, sorted by name.
    models: Vec<Known>,
    /// Models with the same values as another, each with the first such model.
    originals: BTreeMap<usize, usize>,
}

#[derive(Clone, Debug)]
struct Known {
    name: String,
    layout: usize,
    home: usize,
}

impl Census {
    pub(super) fn of_layouts(found: Vec<(Layout, i32)>) -> Self {
        let mut layouts: BTreeMap<Layout, i32> = BTreeMap::new();
        for (layout, exponent) in found {
            let greatest = layouts.entry(layout).or_insert(exponent);
            *greatest = exponent.max(*greatest);
        }
        let (layouts, exponents): (Vec<Layout>, Vec<i32>) = layouts.into_iter().unzip();
        let members = neighbourhoods(&layouts.iter().collect::<Vec<_>>());
        let mut neighbourhoods = vec![0; layouts.len()];
        for (neighbourhood, members) in members.iter().enumerate() {
            members
                .iter()
                .for_each(|&layout| neighbourhoods[layout] = neighbourhood);
        }
        Self {
            layouts,
            exponents,
            neighbourhoods,
            members,
            ..Self::default()
        }
    }

    /// Adds the names of all models, each with its layout and the shard that holds it.
    pub(super) fn add_models(
        &mut self,
        names: Vec<(String, usize, usize)>,
    ) -> Result<(), IndexError> {
        let known = |(name, layout, home)| Known { name, layout, home };
        self.models = names.into_iter().map(known).collect();
        self.models.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let twice = self
            .models
            .windows(2)
            .find(|pair| pair[0].name == pair[1].name);
        match twice {
            Some(pair) => Err(IndexError::DuplicateModel {
                model: pair[0].name.clone(),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn add_copies(&mut self, copies: Vec<(usize, usize)>) {
        self.originals.extend(copies);
    }

    /// The number of models.
    pub(super) fn len(&self) -> usize {
        self.models.len()
    }

    pub(super) fn name(&self, model: usize) -> &str {
        self.models.get(model).map_or("", |known| &known.name)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let found = self
            .models
            .binary_search_by(|known| (*known.name).cmp(name));
        found.ok()
    }

    /// The shard that holds a model; `usize::MAX` if there is no such model.
    pub(super) fn home(&self, model: usize) -> usize {
        self.models
            .get(model)
            .map_or(usize::MAX, |known| known.home)
    }

    pub(super) fn layout(&self, model: usize) -> usize {
        self.models
            .get(model)
            .map_or(usize::MAX, |known| known.layout)
    }

    pub(super) fn neighbourhood(&self, model: usize) -> usize {
        let neighbourhood = self.neighbourhoods.get(self.layout(model));
        neighbourhood.copied().unwrap_or(usize::MAX)
    }

    /// The layouts in the same neighbourhood as one layout.
    pub(super) fn neighbours(&self, layout: usize) -> &[usize] {
        let neighbourhood = self
            .neighbourhoods
            .get(layout)
            .and_then(|&neighbourhood| self.members.get(neighbourhood));
        neighbourhood.map_or(&[], Vec::as_slice)
    }

    /// Whether a model is the first of those with the same values.
    pub(super) fn is_distinct(&self, model: usize) -> bool {
        !self.originals.contains_key(&model)
    }

    /// The models with distinct values.
    pub(super) fn distinct(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&model| self.is_distinct(model))
    }

    /// For every model that has copies, their positions, ascending.
    pub(super) fn copies(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut copies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (&copy, &original) in &self.originals {
            copies.entry(original).or_default().push(copy);
        }
        copies
    }

    /// For every neighbourhood, whether models of any two of its layouts can be compared.
    pub(super) fn is_comparable_throughout(&self) -> Vec<bool> {
        let comparable = |members: &Vec<usize>| {
            members.iter().enumerate().all(|(at, &second)| {
                let mut before = members[..at].iter();
                before.all(|&first| self.layouts[first].is_comparable(&self.layouts[second]))
            })
        };
        self.members.iter().map(comparable).collect()
    }

    /// All models in the order of the graph: neighbourhoods in the order of their first models, one after
    /// another.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut first = vec![usize::MAX; self.members.len()];
        for model in (0..self.len()).rev() {
            if let Some(first) = first.get_mut(self.neighbourhood(model)) {
                *first = model;
            }
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&model| (first.get(self.neighbourhood(model)).copied(), model));
        order
    }
}

/// The shard, one of `shards`, that holds a model. It is the same for models with equal values, and usually
/// for relatives.
///
/// The signs of a summary's first numbers say on which sides of random planes a model lies (M. Charikar,
/// "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002). Training hardly changes a model's
/// direction, so a child is on the same side as its parent for all but one in a hundred planes.
pub(super) fn home(signature: &Signature, shards: usize) -> usize {
    let planes = shards.next_power_of_two().trailing_zeros() + LOG_GROUPS_OF_SHARD;
    let group = Summary::of_values(signature).signs(planes);
    (mix(group) % shards.max(1) as u64) as usize
}
