//! Simulated families of models with known trees and signals of chosen strength.

use mother::heritage::{GraphError, ModelGraph};
use mother::weights::{InMemoryModel, ShapeError};

use super::random::Random;

/// The shape of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Chain,
    Star,
    /// A chain in which every node has one leaf.
    Comb,
    /// A chain of a third of the models; the others are leaves of random nodes in it.
    Caterpillar,
    /// Every model descends from a random earlier one.
    RandomRecursive,
    /// Every model descends from an earlier one, chosen with a preference for those with many children.
    PreferentialAttachment,
}

impl Shape {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("chain", Self::Chain),
        ("star", Self::Star),
        ("comb", Self::Comb),
        ("caterpillar", Self::Caterpillar),
        ("random recursive", Self::RandomRecursive),
        ("preferential", Self::PreferentialAttachment),
    ];

    /// The parent of every model. Parents come before their children, and the first model is the root.
    fn parents(self, models: usize, random: &mut Random) -> Vec<Option<usize>> {
        let spine = models.div_ceil(3);
        let mut parents: Vec<Option<usize>> = Vec::new();
        for model in 0..models {
            let parent = model.checked_sub(1).map(|last| match self {
                Self::Chain => last,
                Self::Star => 0,
                Self::Comb => last - last % 2,
                Self::Caterpillar if model < spine => last,
                Self::Caterpillar => random.below(spine),
                Self::RandomRecursive => random.below(model),
                // Every model is listed once for itself and once for each child.
                Self::PreferentialAttachment => {
                    let chosen = random.below(2 * model - 1);
                    if chosen < model {
                        chosen
                    } else {
                        parents[chosen - model + 1].unwrap_or(0)
                    }
                }
            });
            parents.push(parent);
        }
        parents
    }
}

/// How well growth shows the direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Growth {
    /// Steps are orthogonal to their starting point.
    Orthogonal,
    /// The lengths of rows are also changed at random, by 3 %.
    Noisy,
    /// Rows keep their length, as after rotations (OFT) and training at constant norm.
    None,
    /// Rows have lengths that are independent of the step and change at random by 1 % (DoRA).
    Apart,
    /// Rows become shorter by as much as they should become longer.
    Reversed,
}

/// The effect of a step on the kurtosis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kurtosis {
    Falls,
    Stays,
    Rises,
}

/// The parameters of families.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) shape: Shape,
    pub(crate) models: usize,
    pub(crate) growth: Growth,
    pub(crate) kurtosis: Kurtosis,
    /// The size of a step relative to the weights.
    pub(crate) step: f64,
    /// The standard deviation of the logarithm of the size of a model's step.
    pub(crate) unequal: f64,
    /// The correlation of the steps of siblings.
    pub(crate) correlation: f64,
    /// The share by which every step shrinks the weights.
    pub(crate) decay: f64,
    /// The share of models that are copies of others, and therefore leaves.
    pub(crate) copies: f64,
    /// The share of models with children that are missing.
    pub(crate) missing: f64,
}

impl Family {
    pub(crate) const fn new(shape: Shape, models: usize) -> Self {
        Self {
            shape,
            models,
            growth: Growth::Orthogonal,
            kurtosis: Kurtosis::Falls,
            step: 0.1,
            unequal: 0.5,
            correlation: 0.0,
            decay: 0.0,
            copies: 0.0,
            missing: 0.0,
        }
    }

    /// The models, named in random order, and their true tree.
    pub(crate) fn make(
        &self,
        seed: u64,
    ) -> Result<(Vec<InMemoryModel<'static>>, ModelGraph), SyntheticError> {
        let mut random = Random::new(seed);
        let trained = self.models - (self.copies * self.models as f64) as usize;
        let mut parents = self.shape.parents(trained, &mut random);
        let mut weights: Vec<Vec<Vec<f64>>> = Vec::new();
        // The common part of the steps of the children of each model.
        let mut common: Vec<u64> = Vec::new();
        for &parent in &parents {
            common.push(random.next());
            weights.push(match parent {
                None => self.root(&mut random),
                Some(parent) => self.child(&weights[parent], common[parent], &mut random),
            });
        }
        for copy in trained..self.models {
            let original = random.below(trained);
            parents.push(Some(original));
            weights.push(
                weights[original]
                    .iter()
                    .map(|layer| copied(layer, copy % 3))
                    .collect(),
            );
        }
        let (parents, weights) = self.without_missing(&parents, weights, &mut random);
        let mut names: Vec<String> = (0..parents.len()).map(|n| format!("m{n:03}")).collect();
        for last in (1..names.len()).rev() {
            names.swap(last, random.below(last + 1));
        }
        let truth = ModelGraph::from_parents(
            (names.iter().zip(&parents)).map(|(name, parent)| (name, parent.map(|p| &names[p]))),
        )?;
        let model = |(name, layers): (&String, Vec<Vec<f64>>)| -> Result<_, ShapeError> {
            let mut model = InMemoryModel::new(name.clone());
            for (number, layer) in layers.into_iter().enumerate() {
                let values: Vec<f32> = layer.into_iter().map(|value| value as f32).collect();
                model = model.with_layer(format!("layer{number}"), [ROWS, WIDTH], values)?;
            }
            Ok(model)
        };
        let models: Result<Vec<_>, ShapeError> = names.iter().zip(weights).map(model).collect();
        Ok((models?, truth))
    }

    /// The present models, each with its nearest present ancestor.
    fn without_missing(
        &self,
        parents: &[Option<usize>],
        weights: Vec<Vec<Vec<f64>>>,
        random: &mut Random,
    ) -> (Vec<Option<usize>>, Vec<Vec<Vec<f64>>>) {
        if self.missing == 0.0 {
            return (parents.to_vec(), weights);
        }
        let mut is_missing =
            |model: usize| parents.contains(&Some(model)) && random.uniform() <= self.missing;
        let kept: Vec<usize> = (0..parents.len())
            .filter(|&model| !is_missing(model))
            .collect();
        let ancestor = |&model: &usize| {
            let mut ancestors = core::iter::successors(parents[model], |&model| parents[model]);
            ancestors.find_map(|ancestor| kept.binary_search(&ancestor).ok())
        };
        let left = kept.iter().map(ancestor).collect();
        let mut weights: Vec<_> = weights.into_iter().map(Some).collect();
        let weights = kept.iter().filter_map(|&model| weights[model].take());
        (left, weights.collect())
    }

    fn root(&self, random: &mut Random) -> Vec<Vec<f64>> {
        let layer = |random: &mut Random| {
            let mut layer = Vec::new();
            for _ in 0..ROWS {
                let size = (0.3 * random.normal()).exp();
                for _ in 0..WIDTH {
                    // If kurtosis falls, it has to start above that of a normal distribution.
                    layer.push(
                        size * match self.kurtosis {
                            Kurtosis::Falls => random.heavy_tailed(),
                            Kurtosis::Stays | Kurtosis::Rises => random.normal(),
                        },
                    );
                }
            }
            layer
        };
        (0..LAYERS).map(|_| layer(random)).collect()
    }

    fn child(&self, parent: &[Vec<f64>], common: u64, random: &mut Random) -> Vec<Vec<f64>> {
        let step = self.step * (self.unequal * random.normal()).exp();
        let mut shared = Random::new(common);
        let (own, with_siblings) = ((1.0 - self.correlation).sqrt(), self.correlation.sqrt());
        let layer = |layer: &Vec<f64>| {
            let mut child = Vec::new();
            for row in layer.chunks(WIDTH) {
                let size = step * (0.5 * random.normal()).exp();
                let moved: Vec<f64> = row
                    .iter()
                    .map(|_| {
                        let fresh = match self.kurtosis {
                            Kurtosis::Rises => random.heavy_tailed().powi(3) / 4.0,
                            Kurtosis::Falls | Kurtosis::Stays => random.normal(),
                        };
                        size * (own * fresh + with_siblings * shared.normal())
                    })
                    .collect();
                let decayed = row.iter().zip(&moved);
                let row_of_child: Vec<f64> = decayed
                    .map(|(weight, moved)| weight * (1.0 - self.decay) + moved)
                    .collect();
                let factor = self.length(row, &row_of_child, &moved, random);
                child.extend(row_of_child.iter().map(|weight| weight * factor));
            }
            child
        };
        parent.iter().map(layer).collect()
    }

    /// The factor by which a row is lengthened, so that growth behaves as chosen.
    fn length(&self, before: &[f64], after: &[f64], moved: &[f64], random: &mut Random) -> f64 {
        let squared = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>();
        let (before, after) = (squared(before), squared(after));
        match self.growth {
            Growth::Orthogonal => 1.0,
            Growth::Noisy => (0.03 * random.normal()).exp(),
            Growth::None => (before / after).sqrt(),
            Growth::Apart => (before / after).sqrt() * (0.01 * random.normal()).exp(),
            Growth::Reversed => ((before - squared(moved)).max(0.1 * before) / after).sqrt(),
        }
    }
}

const LAYERS: usize = 6;
const ROWS: usize = 32;
const WIDTH: usize = 40;

/// Cast to bfloat16, rounded to 8-bit integers, or half of the weights pruned. (The original of
/// two duplicates can't be determined.)
fn copied(layer: &[f64], kind: usize) -> Vec<f64> {
    let mut sizes: Vec<f64> = layer.iter().map(|weight| weight.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    let copy = |&weight: &f64| match kind {
        0 => f64::from(half::bf16::from_f32(weight as f32).to_f32()),
        1 => (weight as f32 / (largest / 127.0) as f32).round() as f64 * largest / 127.0,
        _ => {
            if weight.abs() < median {
                0.0
            } else {
                weight
            }
        }
    };
    layer.iter().map(copy).collect()
}

/// Why a family can't be made, which would be a bug in this file.
#[derive(Debug)]
pub(crate) struct SyntheticError(String);

impl core::fmt::Display for SyntheticError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<GraphError> for SyntheticError {
    fn from(error: GraphError) -> Self {
        Self(error.to_string())
    }
}

impl From<ShapeError> for SyntheticError {
    fn from(error: ShapeError) -> Self {
        Self(error.to_string())
    }
}
