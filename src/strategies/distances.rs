//! Condensed matrices, dendrograms and digraphs.

use core::ops::RangeInclusive;

use alloc::vec::Vec;

use num_traits::Float;
use proptest::prelude::*;

use crate::arborescence::DenseDigraph;
use crate::clustering::{Dendrogram, Step};
use crate::condensed::CondensedMatrix;

/// How often the values of a strategy are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ties {
    /// Equal values are practically impossible.
    Unlikely,
    /// Values are integers from 0 to 3, so most of them occur repeatedly.
    Frequent,
}

fn value(ties: Ties) -> BoxedStrategy<f64> {
    match ties {
        Ties::Unlikely => (0.0..1.0_f64).boxed(),
        Ties::Frequent => (0..4_u8).prop_map(f64::from).boxed(),
    }
}

/// Condensed matrices of this many points, with finite, non-negative values.
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

/// Euclidean distances between this many points in space, as Ward's, centroid and median linkage assume.
///
/// With frequent ties, points lie on a grid, so several may coincide.
///
/// # Examples
///
/// ```
/// use mother::strategies::{Ties, point_distances};
/// use proptest::prelude::*;
///
/// proptest!(|(distances in point_distances(3..=3, Ties::Unlikely))| {
///     let [ab, ac, bc] = distances.values() else { panic!() };
///     prop_assert!(ab + bc >= ac - 1e-12);
/// });
/// ```
pub fn point_distances(
    points: RangeInclusive<usize>,
    ties: Ties,
) -> impl Strategy<Value = CondensedMatrix> {
    let coordinates = move || [value(ties), value(ties), value(ties)];
    let points = points.prop_flat_map(move |size| prop::collection::vec(coordinates(), size));
    points.prop_filter_map("distances are numbers", |points| {
        CondensedMatrix::from_fn(points.len(), |i, j| {
            let sides = points[i].iter().zip(&points[j]);
            Float::sqrt(sides.map(|(a, b)| (a - b) * (a - b)).sum::<f64>())
        })
        .ok()
    })
}

/// Dendrograms of this many points, with heights that never decrease.
///
/// # Examples
///
/// ```
/// use mother::clustering::Linkage;
/// use mother::invariants::{dendrogram, monotone_heights};
/// use mother::strategies::{Ties, dendrograms};
/// use proptest::prelude::*;
///
/// proptest!(|(found in dendrograms(1..=9, Ties::Frequent))| {
///     prop_assert_eq!(dendrogram(found.size(), found.steps()), Ok(()));
///     prop_assert_eq!(monotone_heights(Linkage::Single, found.steps()), Ok(()));
/// });
/// ```
pub fn dendrograms(points: RangeInclusive<usize>, ties: Ties) -> impl Strategy<Value = Dendrogram> {
    let at_least_one = (*points.start()).max(1)..=(*points.end()).max(1);
    let draws = move |size: usize| {
        let choices = prop::collection::vec(any::<(u16, u16)>(), size - 1);
        let heights = prop::collection::vec(value(ties), size - 1);
        (Just(size), choices, heights)
    };
    at_least_one.prop_flat_map(draws).prop_filter_map(
        "steps are a dendrogram",
        |(size, choices, mut heights)| {
            heights.sort_by(f64::total_cmp);
            // The current labels, each with the size of its cluster.
            let mut there: Vec<(usize, usize)> = (0..size).map(|point| (point, 1)).collect();
            let mut steps = Vec::new();
            for ((first, second), height) in choices.into_iter().zip(heights) {
                let (a, a_size) = there.swap_remove(usize::from(first) % there.len());
                let (b, b_size) = there.swap_remove(usize::from(second) % there.len());
                there.push((size + steps.len(), a_size + b_size));
                steps.push(Step {
                    left: a.min(b),
                    right: a.max(b),
                    height,
                    size: a_size + b_size,
                });
            }
            Dendrogram::new(size, steps).ok()
        },
    )
}

/// Distances with their dendrogram: the distance of two points is the height at which the dendrogram joins
/// them.
///
/// Single, complete, average and weighted linkage must find exactly its heights, whatever the ties.
///
/// # Examples
///
/// ```
/// use mother::clustering::{Linkage, linkage};
/// use mother::strategies::{Ties, ultrametric_distances};
/// use proptest::prelude::*;
///
/// proptest!(|((distances, truth) in ultrametric_distances(1..=9, Ties::Unlikely))| {
///     let found = linkage(&distances, Linkage::Complete).unwrap();
///     let heights = |of: &[mother::clustering::Step]| -> Vec<f64> {
///         of.iter().map(|step| step.height).collect()
///     };
///     prop_assert_eq!(heights(found.steps()), heights(truth.steps()));
/// });
/// ```
pub fn ultrametric_distances(
    points: RangeInclusive<usize>,
    ties: Ties,
) -> impl Strategy<Value = (CondensedMatrix, Dendrogram)> {
    dendrograms(points, ties).prop_filter_map("heights are numbers", |dendrogram| {
        let size = dendrogram.size();
        let mut members: Vec<Vec<usize>> = (0..size).map(|point| Vec::from([point])).collect();
        let mut heights = alloc::vec![0.0; size * size];
        for step in dendrogram.steps() {
            let (left, right) = (&members[step.left], &members[step.right]);
            for (&a, &b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
                heights[a.min(b) * size + a.max(b)] = step.height;
            }
            let union = left.iter().chain(right).copied().collect();
            members.push(union);
        }
        let distances = CondensedMatrix::from_fn(size, |i, j| heights[i * size + j]);
        distances.ok().map(|distances| (distances, dendrogram))
    })
}

/// Dense digraphs of this many nodes, with a tenth of the edges forbidden.
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
