//! Which models have the same architecture, and which layers they share.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::disjoint_sets::DisjointSets;
use crate::signature::{Architecture, LayerShape, is_weight_matrix};

impl LayerShape {
    fn is_weight_matrix(&self) -> bool {
        is_weight_matrix(&self.shape)
    }
}

/// Models that may be compared, as ascending indices into the list of architectures.
pub(super) type Group = Vec<usize>;

/// Splits models into groups with the same architecture.
///
/// Two models belong to one group if they share, by name and shape, at least half of the weight matrices of
/// the one that has more. This relation is extended transitively. Groups are in the order of their first
/// model.
///
/// Models with exactly the same weight matrices are compared once, and models without a common one never. The
/// time is O(n l) for n models of l layers, and at most O(a² l) more for a different architectures with
/// layers in common.
pub(super) fn groups(architectures: &[&Architecture]) -> Vec<Group> {
    let matrices: Vec<Vec<&LayerShape>> = architectures
        .iter()
        .map(|layers| layers.iter().filter(|l| l.is_weight_matrix()).collect())
        .collect();
    let mut numbers = HashMap::new();
    let mut distinct: Vec<&[&LayerShape]> = Vec::new();
    let kinds: Vec<usize> = matrices
        .iter()
        .map(|matrices| {
            *numbers.entry(matrices.as_slice()).or_insert_with(|| {
                distinct.push(matrices);
                distinct.len() - 1
            })
        })
        .collect();
    let component = components(&distinct);

    let mut groups: Vec<Group> = Vec::new();
    let mut group_of_component = vec![None; distinct.len()];
    for (model, &kind) in kinds.iter().enumerate() {
        let group = *group_of_component[component[kind]].get_or_insert_with(|| {
            groups.push(Group::new());
            groups.len() - 1
        });
        groups[group].push(model);
    }
    groups
}

/// Whether both models have at least half of the weight matrices of the larger one.
fn related(first: &[&LayerShape], second: &[&LayerShape]) -> bool {
    let larger = first.len().max(second.len());
    2 * common(first, second).count() >= larger
}

/// The elements that two sorted lists have in common.
fn common<'a, T: Ord>(first: &'a [T], second: &'a [T]) -> impl Iterator<Item = &'a T> {
    let mut second = second.iter().peekable();
    first.iter().filter(move |layer| {
        while second.next_if(|other| other < layer).is_some() {}
        second.next_if(|other| other == layer).is_some()
    })
}

/// For each architecture, the number of its connected component under [`related`].
fn components(distinct: &[&[&LayerShape]]) -> Vec<usize> {
    let mut sets = DisjointSets::new(distinct.len());
    let mut compared_with = vec![usize::MAX; distinct.len()];
    // Architectures without a common layer are never compared.
    let mut with_layer: HashMap<&LayerShape, Vec<usize>> = HashMap::new();
    for (node, layers) in distinct.iter().enumerate() {
        for layer in *layers {
            let earlier = with_layer.entry(layer).or_default();
            for &other in earlier.iter() {
                let is_new = compared_with[other] != node && sets.find(other) != sets.find(node);
                compared_with[other] = node;
                if is_new && related(layers, distinct[other]) {
                    sets.join(node, other);
                }
            }
            earlier.push(node);
        }
    }
    (0..distinct.len()).map(|node| sets.find(node)).collect()
}

/// The layers that every member of a group has, by name and shape, sorted by name.
pub(super) fn shared_layers(architectures: &[&Architecture], group: &[usize]) -> Vec<LayerShape> {
    let Some((&first, others)) = group.split_first() else {
        return Vec::new();
    };
    others.iter().fold(
        Architecture::clone(architectures[first]),
        |shared, &other| common(&shared, architectures[other]).cloned().collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn architecture(layers: &[(&str, &[usize])]) -> Architecture {
        let mut layers: Architecture = layers
            .iter()
            .map(|&(name, shape)| LayerShape {
                name: name.into(),
                shape: shape.into(),
            })
            .collect();
        layers.sort();
        layers
    }

    #[test]
    fn a_weight_matrix_has_two_dimensions_longer_than_one() {
        for (shape, is) in [
            (&[2, 3][..], true),
            (&[1, 3], false),
            (&[7], false),
            (&[], false),
            (&[4, 1, 2], true),
            (&[0, 5], false),
        ] {
            assert_eq!(architecture(&[("w", shape)])[0].is_weight_matrix(), is);
        }
    }

    #[test]
    fn half_of_the_larger_model_is_enough_and_relation_is_transitive() {
        let models = [
            architecture(&[("a", &[2, 2]), ("b", &[2, 2])]),
            architecture(&[("a", &[3, 3]), ("x", &[2, 2])]),
            architecture(&[("b", &[2, 2]), ("c", &[2, 2])]),
            architecture(&[("c", &[2, 2]), ("d", &[2, 2])]),
            architecture(&[("bias", &[2]), ("y", &[5, 5])]),
        ];
        assert_eq!(
            groups(&models.iter().collect::<Vec<_>>()),
            [vec![0, 2, 3], vec![1], vec![4]]
        );
    }

    #[test]
    fn a_head_of_another_shape_and_shared_vectors_do_not_matter() {
        let models = [
            architecture(&[("body", &[4, 4]), ("head", &[4, 3]), ("norm", &[4])]),
            architecture(&[("body", &[4, 4]), ("head", &[4, 7]), ("norm", &[4])]),
        ];
        assert_eq!(groups(&models.iter().collect::<Vec<_>>()), [vec![0, 1]]);
        let names: Vec<_> = shared_layers(&models.iter().collect::<Vec<_>>(), &[0, 1])
            .into_iter()
            .map(|layer| layer.name)
            .collect();
        assert_eq!(names, ["body", "norm"]);
    }

    #[test]
    fn equal_names_of_other_shapes_share_nothing() {
        let models = [
            architecture(&[("w", &[4, 4])]),
            architecture(&[("w", &[5, 5])]),
        ];
        assert_eq!(
            groups(&models.iter().collect::<Vec<_>>()),
            [vec![0], vec![1]]
        );
    }
}
