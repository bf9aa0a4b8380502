//! Strategies for property tests: condensed matrices, digraphs, and families of models whose truth
//! is known.
//!
//! For crates that implement a [`WeightSource`](crate::weights::WeightSource), or that build on
//! the kernels, and test it with `proptest`. All shrink towards fewer points, nodes and models.
//!
//! # Examples
//!
//! ```
//! use mother::evidence::Measurement;
//! use mother::heritage::Recovery;
//! use mother::strategies::{Shape, Step, families};
//! use proptest::test_runner::TestRunner;
//!
//! TestRunner::deterministic()
//!     .run(&families(2..=5, Shape::Random, Step::Full), |family| {
//!         let evidence = Measurement::new().measure(&family.models).unwrap();
//!         let graph = Recovery::new().recover(&evidence).unwrap();
//!         assert_eq!(graph.len(), family.parents.len());
//!         Ok(())
//!     })
//!     .unwrap();
//! ```

use core::ops::RangeInclusive;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::arborescence::DenseDigraph;
use crate::condensed::CondensedMatrix;
use crate::weights::InMemoryModel;

/// Whether values of a strategy may be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ties {
    /// Equal values have no chance worth speaking of.
    Unlikely,
    /// Values are whole numbers from 0 to 3, so most are equal to others.
    Frequent,
}

fn value(ties: Ties) -> BoxedStrategy<f64> {
    match ties {
        Ties::Unlikely => (0.0..1.0_f64).boxed(),
        Ties::Frequent => (0..4_u8).prop_map(f64::from).boxed(),
    }
}

/// Condensed matrices of so many points, with values that are finite and not negative.
///
/// # Examples
///
/// ```
/// use mother::strategies::{Ties, condensed_matrices};
/// use proptest::prelude::*;
///
/// proptest!(|(matrix in condensed_matrices(0..=9, Ties::Frequent))| {
///     prop_assert!(matrix.size() <= 9);
/// });
/// ```
pub fn condensed_matrices(
    points: RangeInclusive<usize>,
    ties: Ties,
) -> impl Strategy<Value = CondensedMatrix> {
    let values = move |size: usize| {
        let pairs = size * size.saturating_sub(1) / 2;
        (Just(size), prop::collection::vec(value(ties), pairs))
    };
    points
        .prop_flat_map(values)
        .prop_filter_map("as many values as pairs", |(size, values)| {
            CondensedMatrix::new(size, values).ok()
        })
}

/// Dense digraphs of so many nodes, a tenth of whose edges are forbidden.
///
/// # Examples
///
/// ```
/// use mother::strategies::{Ties, digraphs};
/// use proptest::prelude::*;
///
/// proptest!(|(digraph in digraphs(1..=6, Ties::Unlikely))| {
///     prop_assert!(digraph.edges().all(|edge| edge.weight.is_finite()));
/// });
/// ```
pub fn digraphs(nodes: RangeInclusive<usize>, ties: Ties) -> impl Strategy<Value = DenseDigraph> {
    let weight = move || prop_oneof![9 => value(ties), 1 => Just(f64::INFINITY)];
    let weights = move |size: usize| {
        (
            Just(size),
            prop::collection::vec(weight(), size.saturating_mul(size)),
        )
    };
    nodes
        .prop_flat_map(weights)
        .prop_filter_map("as many weights as pairs", |(size, weights)| {
            DenseDigraph::new(size, weights).ok()
        })
}

/// How the models of a family hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Each model is the parent of the next.
    Chain,
    /// The first model is the parent of all others.
    Star,
    /// Each model's parent is any of those before it.
    Random,
}

/// What a training changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Every weight, as full fine-tuning does.
    Full,
    /// A product of two matrices with so many columns is added, as merged LoRA does.
    LowRank(usize),
}

/// Models with their true parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The models, named `00`, `01`, …; the first is the root.
    pub models: Vec<InMemoryModel<'static>>,
    /// The position of each model's parent.
    pub parents: Vec<Option<usize>>,
}

/// Rows and columns of the only layer of a family's models.
const ROWS: usize = 120;
const COLUMNS: usize = 96;

/// Families of so many models of one layer of 120 × 96, whose steps are random, nearly orthogonal,
/// and longer for some rows than for others.
///
/// A family follows from its size and a seed, so what shrinks is the size.
///
/// # Examples
///
/// ```
/// use mother::strategies::{Shape, Step, families};
/// use proptest::test_runner::TestRunner;
///
/// TestRunner::deterministic()
///     .run(&families(1..=4, Shape::Chain, Step::LowRank(3)), |family| {
///         assert_eq!(family.parents.first(), Some(&None));
///         assert_eq!(family.models.len(), family.parents.len());
///         Ok(())
///     })
///     .unwrap();
/// ```
pub fn families(
    models: RangeInclusive<usize>,
    shape: Shape,
    step: Step,
) -> impl Strategy<Value = Family> {
    (models, any::<u64>().no_shrink())
        .prop_map(move |(models, seed)| family(models, shape, step, &mut Noise::new(seed)))
}

fn family(models: usize, shape: Shape, step: Step, noise: &mut Noise) -> Family {
    let mut weights: Vec<Vec<f32>> = Vec::new();
    let mut parents = Vec::new();
    for model in 0..models {
        let parent = match (model, shape) {
            (0, _) => None,
            (_, Shape::Star) => Some(0),
            (_, Shape::Chain) => Some(model - 1),
            (_, Shape::Random) => Some(noise.below(model)),
        };
        let next = match parent {
            None => (0..ROWS * COLUMNS).map(|_| noise.next()).collect(),
            Some(parent) => stepped(&weights[parent], model, step, noise),
        };
        weights.push(next);
        parents.push(parent);
    }
    let models = weights
        .into_iter()
        .enumerate()
        .filter_map(|(index, weights)| {
            let model = InMemoryModel::new(format!("{index:02}"));
            model.with_layer("weight", [ROWS, COLUMNS], weights).ok()
        });
    Family {
        models: models.collect(),
        parents,
    }
}

/// The weights after a step of which rows take from one to six parts, as `model` turns them.
fn stepped(from: &[f32], model: usize, step: Step, noise: &mut Noise) -> Vec<f32> {
    let part = |index: usize| ((index / COLUMNS + model) % 6 + 1) as f32 / 15.0;
    let change: Vec<f32> = match step {
        Step::Full => (0..ROWS * COLUMNS).map(|_| noise.next()).collect(),
        Step::LowRank(rank) => {
            let mut change = vec![0.0; ROWS * COLUMNS];
            for _ in 0..rank {
                let left: Vec<f32> = (0..ROWS).map(|_| noise.next()).collect();
                let right: Vec<f32> = (0..COLUMNS).map(|_| noise.next()).collect();
                for (index, change) in change.iter_mut().enumerate() {
                    *change += left[index / COLUMNS] * right[index % COLUMNS];
                }
            }
            change
        }
    };
    let weights = from.iter().zip(change).enumerate();
    weights
        .map(|(index, (weight, change))| weight + part(index) * change)
        .collect()
}

/// Numbers that are normal to the eye: sums of four uniform ones, of variance 1.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The splitmix64 generator of Steele, Lea and Flood (2014).
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn next(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        // The variance of each part is 65536² / 12.
        (sum as f32 / 65536.0 - 2.0) * 1.732_050_8
    }

    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }
}
