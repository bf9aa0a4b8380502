//! Families of models derived from roots by random steps, with their true parents.

use core::ops::RangeInclusive;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::models::stored;
use super::noise::Noise;
use crate::sketch::RowGroups;
use crate::weights::{ElementType, InMemoryModel};

/// The shape of a tree of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Each model is the parent of the next.
    Chain,
    /// The first model is the parent of all others.
    Star,
    /// Each model's parent is any earlier model.
    Random,
    /// Each model has this many children, level by level.
    Branching(usize),
}

/// What one training step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Every weight, as full fine-tuning does.
    Full,
    /// A product of two matrices of this rank is added to every layer, as merged LoRA does.
    LowRank(usize),
}

/// Models with their true parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The models, named `00`, `01`, …; parents come before their children.
    pub models: Vec<InMemoryModel<'static>>,
    /// The position of each model's parent.
    pub parents: Vec<Option<usize>>,
    /// The number of each model's tree.
    pub trees: Vec<usize>,
}

/// Options for generating families.
///
/// The default is one tree of random shape, models with one layer of 120 × 96 in single precision, and full
/// steps, most of which change the weights by a fifth to two fifths of their norm.
///
/// # Examples
///
/// ```
/// use mother::strategies::{FamilyOptions, Shape, Step, families};
/// use mother::weights::ElementType;
/// use proptest::test_runner::TestRunner;
///
/// let options = FamilyOptions::new(6..=8)
///     .with_trees(2..=2)
///     .with_shape(Shape::Branching(2))
///     .with_step(Step::LowRank(3))
///     .with_layers(2)
///     .with_element_type(ElementType::F64);
/// TestRunner::deterministic()
///     .run(&families(options), |family| {
///         assert_eq!(family.parents.iter().filter(|parent| parent.is_none()).count(), 2);
///         Ok(())
///     })
///     .unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyOptions {
    models: RangeInclusive<usize>,
    trees: RangeInclusive<usize>,
    shape: Shape,
    step: Step,
    step_size: f64,
    layers: usize,
    rows: usize,
    columns: usize,
    noise: f64,
    stored: ElementType,
    pruned: f64,
    levels: Option<u32>,
}

impl FamilyOptions {
    /// This many models, and defaults otherwise.
    #[must_use]
    pub fn new(models: RangeInclusive<usize>) -> Self {
        Self {
            models,
            trees: 1..=1,
            shape: Shape::Random,
            step: Step::Full,
            step_size: 1.0,
            layers: 1,
            rows: 120,
            columns: 96,
            noise: 0.0,
            stored: ElementType::F32,
            pruned: 0.0,
            levels: None,
        }
    }

    /// Sets the number of trees. Each has at least one model if there are enough models.
    #[must_use]
    pub fn with_trees(mut self, trees: RangeInclusive<usize>) -> Self {
        self.trees = trees;
        self
    }

    /// Sets the shape of the trees.
    #[must_use]
    pub fn with_shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// Sets the kind of change that a training step makes.
    #[must_use]
    pub fn with_step(mut self, step: Step) -> Self {
        self.step = step;
        self
    }

    /// Sets a factor for the size of training steps.
    #[must_use]
    pub fn with_step_size(mut self, factor: f64) -> Self {
        self.step_size = factor;
        self
    }

    /// Sets the number of layers.
    #[must_use]
    pub fn with_layers(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Sets the shape of every layer.
    #[must_use]
    pub fn with_layer_shape(mut self, rows: usize, columns: usize) -> Self {
        (self.rows, self.columns) = (rows, columns);
        self
    }

    /// Sets the standard deviation of the noise added to each model after all training. The roots' weights
    /// have a standard deviation of 1.
    #[must_use]
    pub fn with_noise(mut self, deviation: f64) -> Self {
        self.noise = deviation;
        self
    }

    /// Sets the floating-point type to which weights are rounded and in which they are stored. Any other type
    /// counts as single precision.
    #[must_use]
    pub fn with_element_type(mut self, stored: ElementType) -> Self {
        self.stored = stored;
        self
    }

    /// Prunes every model: sets this share of each layer to zero, the weights nearest to zero.
    #[must_use]
    pub fn with_pruned(mut self, share: f64) -> Self {
        self.pruned = share;
        self
    }

    /// Rounds each layer of every model to at most this many evenly spaced values, which include zero and its
    /// largest magnitude. As they are symmetric around zero, an even number gives one less; the fewest are three.
    #[must_use]
    pub fn with_quantised(mut self, levels: u32) -> Self {
        self.levels = Some(levels);
        self
    }
}

/// Families whose steps are random, nearly orthogonal, and longer for some groups of rows than for others.
///
/// A family is determined by its numbers of models and trees and a seed. The numbers shrink, and the models
/// that remain keep their weights.
///
/// # Examples
///
/// ```
/// use mother::strategies::{FamilyOptions, Shape, families};
/// use proptest::test_runner::TestRunner;
///
/// let options = FamilyOptions::new(1..=4).with_shape(Shape::Chain);
/// TestRunner::deterministic()
///     .run(&families(options), |family| {
///         assert_eq!(family.parents.first(), Some(&None));
///         assert_eq!(family.models.len(), family.parents.len());
///         Ok(())
///     })
///     .unwrap();
/// ```
pub fn families(options: FamilyOptions) -> impl Strategy<Value = Family> {
    let (models, trees) = (options.models.clone(), options.trees.clone());
    (models, trees, any::<u64>().no_shrink()).prop_map(move |(models, trees, seed)| {
        let maker = Maker {
            options: &options,
            seed,
        };
        maker.family(models, trees.max(1))
    })
}

struct Maker<'a> {
    options: &'a FamilyOptions,
    seed: u64,
}

/// The values of all layers, concatenated.
type Weights = Vec<f64>;

impl Maker<'_> {
    /// Distributes models over the trees in turn.
    fn family(&self, models: usize, trees: usize) -> Family {
        let parents: Vec<Option<usize>> = (0..models)
            .map(|model| {
                let parent = self.parent(model, model / trees)?;
                Some(parent * trees + model % trees)
            })
            .collect();
        let mut weights: Vec<Weights> = Vec::new();
        for (model, parent) in parents.iter().enumerate() {
            let mut noise = Noise::new(self.seed, model as u64);
            let length = self.options.layers * self.layer_length();
            let next = match parent {
                None => (0..length).map(|_| noise.next()).collect(),
                Some(parent) => self.stepped(&weights[*parent], model, &mut noise),
            };
            weights.push(next);
        }
        let models = weights.into_iter().enumerate();
        Family {
            models: models
                .map(|(model, weights)| self.finished(model, weights))
                .collect(),
            trees: (0..parents.len()).map(|model| model % trees).collect(),
            parents,
        }
    }

    /// The parent of a model, both numbered within their tree.
    fn parent(&self, model: usize, in_tree: usize) -> Option<usize> {
        let last = in_tree.checked_sub(1)?;
        Some(match self.options.shape {
            Shape::Star => 0,
            Shape::Chain => last,
            Shape::Random => Noise::new(!self.seed, model as u64).below(in_tree),
            Shape::Branching(children) => last / children.max(1),
        })
    }

    fn layer_length(&self) -> usize {
        self.options.rows * self.options.columns
    }

    /// The weights after a step whose size varies between groups of rows from one to six parts, shifted by
    /// `model`.
    fn stepped(&self, from: &[f64], model: usize, noise: &mut Noise) -> Weights {
        // Growth is estimated from groups of rows, the same as in signatures.
        let groups = RowGroups::new(self.layer_length(), self.options.columns.max(1));
        let group = groups
            .map_or(1, |groups| groups.height() * groups.width())
            .max(1);
        let in_layer = |index: usize| index % self.layer_length().max(1);
        let part = |index: usize| ((in_layer(index) / group + model) % 6 + 1) as f64 / 15.0;
        let change: Weights = match self.options.step {
            Step::Full => from.iter().map(|_| noise.next()).collect(),
            Step::LowRank(rank) => {
                let layers = (0..self.options.layers).flat_map(|_| self.product(rank, noise));
                layers.collect()
            }
        };
        let weights = from.iter().zip(change).enumerate();
        weights
            .map(|(index, (weight, change))| weight + self.options.step_size * part(index) * change)
            .collect()
    }

    /// A layer of this rank: the product of two matrices.
    fn product(&self, rank: usize, noise: &mut Noise) -> Weights {
        let FamilyOptions { rows, columns, .. } = *self.options;
        let mut product = vec![0.0; self.layer_length()];
        for _ in 0..rank {
            let left: Vec<f64> = (0..rows).map(|_| noise.next()).collect();
            let right: Vec<f64> = (0..columns).map(|_| noise.next()).collect();
            for (index, value) in product.iter_mut().enumerate() {
                *value += left[index / columns] * right[index % columns];
            }
        }
        product
    }

    /// The published model: noisy, pruned, quantised and stored.
    fn finished(&self, model: usize, mut weights: Weights) -> InMemoryModel<'static> {
        let options = self.options;
        let mut noise = Noise::new(self.seed.rotate_left(32), model as u64);
        if options.noise > 0.0 {
            for weight in &mut weights {
                *weight += options.noise * noise.next();
            }
        }
        let mut finished = InMemoryModel::new(format!("{model:02}"));
        for (number, layer) in weights.chunks_mut(self.layer_length().max(1)).enumerate() {
            prune(layer, options.pruned);
            if let Some(levels) = options.levels {
                quantise(layer, levels);
            }
            let name = format!("layer.{number}.weight");
            let shape = [options.rows, options.columns];
            let values = stored(layer.iter().copied(), options.stored);
            // The shape has exactly this many values, so this succeeds.
            if let Ok(longer) = finished.clone().with_layer(name, shape, values) {
                finished = longer;
            }
        }
        finished
    }
}

/// Sets the weights nearest to zero to zero.
fn prune(layer: &mut [f64], share: f64) {
    let count = (share.clamp(0.0, 1.0) * layer.len() as f64) as usize;
    let mut order: Vec<usize> = (0..layer.len()).collect();
    order.sort_by(|&a, &b| layer[a].abs().total_cmp(&layer[b].abs()));
    for &index in &order[..count] {
        layer[index] = 0.0;
    }
}

/// Rounds to at most this many evenly spaced values, symmetric around zero.
fn quantise(layer: &mut [f64], levels: u32) {
    let largest = layer
        .iter()
        .fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let step = largest / f64::from((levels.saturating_sub(1) / 2).max(1));
    for value in layer {
        if step > 0.0 {
            *value = num_traits::Float::round(*value / step) * step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantised_layers_have_at_most_the_requested_number_of_values() {
        for (levels, distinct) in [(0, 3), (3, 3), (4, 3), (15, 15), (16, 15), (256, 255)] {
            let mut layer: Vec<f64> = (-1000..=1000).map(|i| f64::from(i) / 7.0).collect();
            quantise(&mut layer, levels);
            // Both zeros count as one value.
            layer.iter_mut().for_each(|value| *value += 0.0);
            layer.dedup();
            assert_eq!(layer.len(), distinct, "{levels}");
        }
    }
}
