//! A base model changed by an adapter.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use core::iter;

use super::adapter::{Adapter, Lengths, Target};
use super::base::{Orientation, Place};
use super::names::TensorName;
use super::update::{Factors, SquaredLengths, Update};
use super::{AdaptedError, AdapterError};
use crate::Scalar;
use crate::weights::{ElementType, Layer, SkippedLayer, WeightSlice, WeightSource, element_count};

/// How many values are read at once to compute norms.
const CHUNK: usize = 64 * 1024;

/// A base model whose weights are changed by an adapter as they are read.
///
/// Changed weights have single precision, or double precision if the base's have: results aren't rounded to
/// the base's type. Layers that the adapter doesn't change are passed through. [`AdaptedModel::plain`] is a
/// model without an adapter, so that adapted and plain models fit in one list.
#[derive(Debug)]
pub struct AdaptedModel<B, A> {
    name: String,
    base: B,
    changes: Option<Changes<A>>,
}

#[derive(Debug)]
struct Changes<A> {
    source: A,
    /// The updates by the name of the base's layer.
    updates: BTreeMap<String, Update>,
    /// The adapter's tensors that replace layers of the base, by those layers' names, or that are new.
    whole: BTreeMap<String, String>,
    /// The layers of the base to which the adapter's tensors are added.
    added: BTreeSet<String>,
    /// Whether the base also lists the adapter's factors, which are not layers of the model.
    is_within: bool,
}

impl<A: WeightSource> Adapter<A> {
    /// Applies this adapter to a base. The resulting model has the adapter's name.
    ///
    /// For DoRA, the changed weights of the base are read once to compute their norms.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] if the base lacks a weight, has it in another shape, or can't be read.
    pub fn applied_to<B: WeightSource>(self, base: B) -> Result<AdaptedModel<B, A>, AdapterError> {
        let (mut updates, mut differences) = (BTreeMap::new(), BTreeMap::new());
        for (target, place) in self.plan(&base)? {
            if let Some(difference) = &target.difference {
                differences.insert(place.layer, difference.tensor.clone());
                continue;
            }
            let update = update(target, &place);
            let magnitudes = match &target.lengths {
                Lengths::Magnitudes(magnitudes) => Some(magnitudes.clone()),
                _ => None,
            };
            if let (Lengths::OfOutputs(factors), Some(bias)) = (&target.lengths, place.bias) {
                updates.insert(bias, (of_bias(factors), None));
            }
            updates.insert(place.layer, (update, magnitudes));
        }
        measure(&base, &mut updates)?;
        let updates = updates
            .into_iter()
            .map(|(layer, (update, _))| (layer, update));
        Ok(AdaptedModel {
            name: self.source.name().to_owned(),
            base,
            changes: Some(Changes {
                updates: updates.collect(),
                added: differences.keys().cloned().collect(),
                whole: self.whole.into_iter().chain(differences).collect(),
                is_within: self.is_within,
                source: self.source,
            }),
        })
    }
}

impl<A: WeightSource> Adapter<A> {
    /// The model with which an adapter is stored, without the adapter's factors and changes.
    pub fn removed_from<B: WeightSource>(self, base: B) -> AdaptedModel<B, A> {
        AdaptedModel {
            name: self.source.name().to_owned(),
            base,
            changes: Some(Changes {
                updates: BTreeMap::new(),
                whole: BTreeMap::new(),
                added: BTreeSet::new(),
                is_within: self.is_within,
                source: self.source,
            }),
        }
    }
}

/// The change of a weight at this place.
fn update(target: &Target, place: &Place) -> Update {
    let [rows, columns] = place.shape;
    let is_straight = place.orientation == Orientation::Straight;
    let wide = |factors: &[f32]| factors.iter().copied().map(f64::from).collect();
    let none = |count| vec![1.0; count];
    // If there are magnitudes, this variant shows along which side they apply.
    let factors = match (&target.lengths, is_straight) {
        (Lengths::Kept, _) => Factors::None,
        (Lengths::Magnitudes(_), true) => Factors::OfRows(none(rows)),
        (Lengths::Magnitudes(_), false) => Factors::OfColumns(none(columns)),
        (Lengths::OfOutputs(factors), true) | (Lengths::OfInputs(factors), false) => {
            Factors::OfRows(wide(factors))
        }
        (Lengths::OfOutputs(factors), false) | (Lengths::OfInputs(factors), true) => {
            Factors::OfColumns(wide(factors))
        }
    };
    let change = target.change.as_ref();
    Update {
        rows,
        columns,
        change: change.map(|change| match place.orientation {
            Orientation::Straight => change.clone(),
            Orientation::Transposed => change.transposed(),
        }),
        scale: target.scale,
        factors,
    }
}

/// The update of a bias whose outputs are scaled.
fn of_bias(factors: &[f32]) -> Update {
    Update {
        rows: factors.len(),
        columns: 1,
        change: None,
        scale: 0.0,
        factors: Factors::OfRows(factors.iter().copied().map(f64::from).collect()),
    }
}

/// Computes the factors for the outputs of weights with magnitudes.
fn measure<B: WeightSource>(
    base: &B,
    updates: &mut BTreeMap<String, (Update, Option<alloc::vec::Vec<f32>>)>,
) -> Result<(), AdapterError> {
    if updates.values().all(|(_, magnitudes)| magnitudes.is_none()) {
        return Ok(());
    }
    let reading = |reason: String| AdapterError::Reading { reason };
    for layer in base.layers() {
        let layer = layer.map_err(|error| reading(error.to_string()))?;
        let Some((update, Some(magnitudes))) = updates.get_mut(layer.name()) else {
            continue;
        };
        let of_columns = matches!(update.factors, Factors::OfColumns(_));
        let mut lengths = SquaredLengths::new(update.rows, update.columns, of_columns);
        let (count, mut offset) = (element_count(layer.shape()).unwrap_or(0), 0);
        let mut values = vec![0.0_f64; CHUNK.min(count)];
        while offset < count {
            let values = &mut values[..CHUNK.min(count - offset)];
            layer
                .read(offset, values)
                .map_err(|error| reading(error.to_string()))?;
            update.apply(offset, values);
            lengths.add(offset, values);
            offset += values.len();
        }
        update.factors = lengths.factors(magnitudes);
    }
    Ok(())
}

impl<B: WeightSource, A> AdaptedModel<B, A> {
    /// Wraps a base without an adapter.
    #[must_use]
    pub fn plain(base: B) -> Self {
        Self {
            name: base.name().to_owned(),
            base,
            changes: None,
        }
    }

    /// Returns the same model under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl<B: WeightSource, A: WeightSource> WeightSource for AdaptedModel<B, A> {
    type Error = AdaptedError<B::Error, A::Error>;
    type Layer<'a>
        = AdaptedLayer<'a, B, A>
    where
        Self: 'a;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, Self::Error>> {
        let base = self
            .base
            .layers()
            .map(|layer| layer.map_err(AdaptedError::Base));
        let Some(changes) = &self.changes else {
            let layers = base.map(|layer| layer.map(AdaptedLayer::base));
            return Box::new(layers) as Box<dyn Iterator<Item = _>>;
        };
        let mut whole = match changes.whole_layers() {
            Ok(whole) => whole,
            Err(error) => return Box::new(iter::once(Err(AdaptedError::Adapter(error)))),
        };
        // Tensors that replace a layer of the base are listed in its place, the others at the end.
        let mut changed = alloc::vec::Vec::new();
        let is_part = |layer: &Result<B::Layer<'_>, _>| {
            let name = layer.as_ref().map_or("", Layer::name);
            changes.is_within && matches!(TensorName::parse(name), TensorName::Part(..))
        };
        for layer in base.filter(|layer| !is_part(layer)) {
            changed.push(layer.map(|layer| match whole.remove(layer.name()) {
                Some((name, difference)) if changes.added.contains(name) => {
                    AdaptedLayer(Kind::Sum(layer, difference))
                }
                Some((name, layer)) => AdaptedLayer(Kind::Whole(name, layer)),
                None => match changes.updates.get(layer.name()) {
                    Some(update) => AdaptedLayer(Kind::Updated(layer, update)),
                    None => AdaptedLayer(Kind::Base(layer)),
                },
            }));
        }
        let new = whole
            .into_values()
            .map(|(name, layer)| Ok(AdaptedLayer(Kind::Whole(name, layer))));
        Box::new(changed.into_iter().chain(new))
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        self.base.skipped_layers()
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.base.interleaved_groups()
    }
}

/// A tensor of the adapter, with the name of the base's layer.
type WholeLayer<'a, A> = (&'a str, <A as WeightSource>::Layer<'a>);

impl<A: WeightSource> Changes<A> {
    /// The adapter's tensors that replace layers of the base or are new, by their names in the base.
    fn whole_layers(&self) -> Result<BTreeMap<&str, WholeLayer<'_, A>>, A::Error> {
        let names = self.whole.iter().map(|(name, own)| (&**own, &**name));
        let names: BTreeMap<&str, &str> = names.collect();
        let mut layers = BTreeMap::new();
        if names.is_empty() {
            return Ok(layers);
        }
        for layer in self.source.layers() {
            let layer = layer?;
            if let Some(&name) = names.get(layer.name()) {
                layers.insert(name, (name, layer));
            }
        }
        Ok(layers)
    }
}

/// A layer of an [`AdaptedModel`].
pub struct AdaptedLayer<'a, B: WeightSource + 'a, A: WeightSource + 'a>(Kind<'a, B, A>);

enum Kind<'a, B: WeightSource + 'a, A: WeightSource + 'a> {
    Base(B::Layer<'a>),
    Updated(B::Layer<'a>, &'a Update),
    Whole(&'a str, A::Layer<'a>),
    Sum(B::Layer<'a>, A::Layer<'a>),
}

impl<'a, B: WeightSource, A: WeightSource> AdaptedLayer<'a, B, A> {
    const fn base(layer: B::Layer<'a>) -> Self {
        Self(Kind::Base(layer))
    }
}

impl<B: WeightSource, A: WeightSource> core::fmt::Debug for AdaptedLayer<'_, B, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AdaptedLayer")
            .field("name", &self.name())
            .field("shape", &self.shape())
            .field("element_type", &self.element_type())
            .finish()
    }
}

impl<B: WeightSource, A: WeightSource> Layer for AdaptedLayer<'_, B, A> {
    type Error = AdaptedError<B::Error, A::Error>;

    fn name(&self) -> &str {
        match &self.0 {
            Kind::Base(layer) | Kind::Updated(layer, _) | Kind::Sum(layer, _) => layer.name(),
            Kind::Whole(name, _) => name,
        }
    }

    fn shape(&self) -> &[usize] {
        match &self.0 {
            Kind::Base(layer) | Kind::Updated(layer, _) | Kind::Sum(layer, _) => layer.shape(),
            Kind::Whole(_, layer) => layer.shape(),
        }
    }

    fn element_type(&self) -> ElementType {
        match &self.0 {
            Kind::Base(layer) => layer.element_type(),
            Kind::Updated(layer, _) | Kind::Sum(layer, _) => match layer.element_type() {
                ElementType::F64 => ElementType::F64,
                _ => ElementType::F32,
            },
            Kind::Whole(_, layer) => layer.element_type(),
        }
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Self::Error> {
        match &self.0 {
            Kind::Base(layer) => layer.read(offset, values).map_err(AdaptedError::Base),
            Kind::Updated(layer, update) => {
                layer.read(offset, values).map_err(AdaptedError::Base)?;
                update.apply(offset, values);
                round(layer.element_type(), values);
                Ok(())
            }
            Kind::Sum(layer, difference) => {
                let mut added = vec![0.0_f64; values.len()];
                layer.read(offset, values).map_err(AdaptedError::Base)?;
                let read = difference.read(offset, &mut added);
                read.map_err(AdaptedError::Adapter)?;
                for (value, added) in values.iter_mut().zip(added) {
                    *value = T::narrow(value.widen() + added);
                }
                round(layer.element_type(), values);
                Ok(())
            }
            Kind::Whole(_, layer) => layer.read(offset, values).map_err(AdaptedError::Adapter),
        }
    }

    fn preferred_length(&self) -> usize {
        match &self.0 {
            Kind::Base(layer) | Kind::Updated(layer, _) | Kind::Sum(layer, _) => {
                layer.preferred_length()
            }
            Kind::Whole(_, layer) => layer.preferred_length(),
        }
    }

    fn rounding(&self) -> Result<Option<f64>, Self::Error> {
        match &self.0 {
            Kind::Base(layer) => layer.rounding().map_err(AdaptedError::Base),
            Kind::Updated(..) | Kind::Sum(..) => Ok(None),
            Kind::Whole(_, layer) => layer.rounding().map_err(AdaptedError::Adapter),
        }
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        match &self.0 {
            Kind::Base(layer) => layer.as_slice(),
            Kind::Updated(..) | Kind::Sum(..) => None,
            Kind::Whole(_, layer) => layer.as_slice(),
        }
    }
}

/// Rounds changed values to single precision, unless the base's have double.
fn round<T: Scalar>(base: ElementType, values: &mut [T]) {
    if base != ElementType::F64 {
        for value in values {
            *value = T::from_single(f32::narrow(value.widen()));
        }
    }
}
