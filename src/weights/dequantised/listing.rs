//! Looks up the tensors of a model by name.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use crate::weights::{ElementType, Layer, element_count};

/// The layers of a source, and which of them are accounted for.
pub(super) struct Listing<'a, L> {
    layers: &'a [L],
    by_name: HashMap<&'a str, usize>,
    claimed: HashSet<usize>,
}

impl<'a, L: Layer> Listing<'a, L> {
    pub(super) fn new(layers: &'a [L]) -> Self {
        let by_name = layers.iter().enumerate();
        Self {
            layers,
            by_name: by_name.map(|(at, layer)| (layer.name(), at)).collect(),
            claimed: HashSet::new(),
        }
    }

    pub(super) const fn layers(&self) -> &'a [L] {
        self.layers
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a L> {
        self.by_name.get(name).map(|&at| &self.layers[at])
    }

    /// The tensor of this name, which must exist.
    pub(super) fn required(&self, name: &str) -> Result<&'a L, Stop<L::Error>> {
        let missing = || Stop::Undecodable(format!("`{name}` is missing"));
        self.get(name).ok_or_else(missing)
    }

    /// Claims a tensor as part of another one; returns whether it exists.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        match self.by_name.get(name) {
            Some(&at) => {
                self.claimed.insert(at);
                true
            }
            None => false,
        }
    }

    pub(super) fn is_claimed(&self, at: usize) -> bool {
        self.claimed.contains(&at)
    }

    /// Whether a tensor of this name exists and isn't part of another one.
    pub(super) fn is_free(&self, name: &str) -> bool {
        let found = self.by_name.get(name);
        found.is_some_and(|at| !self.claimed.contains(at))
    }
}

/// Why a layer isn't decoded.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// Its tensors don't fit together, or their format is unknown.
    Undecodable(String),
    Source(E),
}

impl<E> Stop<E> {
    pub(super) fn because(reason: &str) -> Self {
        Self::Undecodable(reason.into())
    }
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Source(error)
    }
}

/// The error for a table that doesn't fit its layer.
pub(super) fn misfit<L: Layer>(table: &L) -> Stop<L::Error> {
    let (name, shape, stored) = (table.name(), table.shape(), table.element_type());
    Stop::Undecodable(format!(
        "`{name}` has an unexpected shape {shape:?} or type {stored}"
    ))
}

/// All values of a tensor, which may have at most this many.
pub(super) fn read_all<L: Layer>(layer: &L, most: usize) -> Result<Vec<f64>, Stop<L::Error>> {
    let count = element_count(layer.shape()).filter(|&count| count <= most);
    let mut values = vec![0.0; count.ok_or_else(|| misfit(layer))?];
    layer.read(0, &mut values)?;
    Ok(values)
}

/// Whether values of this type are floats, as scales are.
pub(super) const fn is_float(element_type: ElementType) -> bool {
    element_type.significand_bits().is_some()
}
