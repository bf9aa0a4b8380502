//! Links between related models, their spanning forests, and the choice of what to compare next.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::near::ordered;
use crate::disjoint_sets::DisjointSets;

/// How many of a model's nearest models are followed, and how many neighbours in the tree of each of those.
const NEIGHBOURS: usize = 4;

/// How many of the nearest models' own nearest are examined.
const NEAREST_OF_NEAREST: usize = 2;

/// Two related models, the smaller position first, and the distance between them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Link {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) distance: f64,
}

impl Link {
    /// Compares by distance; ties are broken by name.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        (self.distance.total_cmp(&other.distance))
            .then((self.first, self.second).cmp(&(other.first, other.second)))
    }

    pub(super) const fn ends(&self) -> (usize, usize) {
        (self.first, self.second)
    }
}

/// Keeps the links that connect what earlier links don't. If the links are sorted, the result is the minimum
/// spanning forest.
///
/// The forest of links is the same whether it is built at once or from the forests of parts, so forests can
/// be merged. Links with a position of `models` or above are dropped.
pub(super) fn spanning_forest<T>(
    models: usize,
    mut sorted: Vec<T>,
    ends: impl Fn(&T) -> (usize, usize),
) -> Vec<T> {
    let mut sets = DisjointSets::new(models);
    sorted.retain(|link| {
        let (first, second) = ends(link);
        if first.max(second) >= models {
            return false;
        }
        let are_apart = sets.find(first) != sets.find(second);
        sets.join(first, second);
        are_apart
    });
    sorted
}

/// Keeps those of sorted links that make another a neighbour of one of some models; see [`neighbours`].
pub(super) fn keep_nearest(
    count: usize,
    sorted: &mut Vec<Link>,
    place: impl Fn(usize) -> Option<usize>,
) {
    let mut counts = vec![0; count];
    sorted.retain(|link| {
        let mut is_kept = false;
        for end in [link.first, link.second] {
            if let Some(known) = place(end).and_then(|at| counts.get_mut(at))
                && *known < NEIGHBOURS
            {
                *known += 1;
                is_kept = true;
            }
        }
        is_kept
    });
}

/// The first neighbours, by sorted links, of the models that `place` maps to a number below `count`.
pub(super) fn neighbours(
    count: usize,
    sorted: &[Link],
    place: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<usize>> {
    let mut lists: Vec<Vec<usize>> = vec![Vec::new(); count];
    for link in sorted {
        for (of, other) in [(link.first, link.second), (link.second, link.first)] {
            if let Some(list) = place(of).and_then(|at| lists.get_mut(at))
                && list.len() < NEIGHBOURS
            {
                list.push(other);
            }
        }
    }
    lists
}

/// The pairs to compare because `model` is near to a model with these neighbours.
pub(super) fn further(model: usize, tree: &[usize], near: &[usize]) -> Vec<(usize, usize)> {
    let others = tree.iter().chain(near.iter().take(NEAREST_OF_NEAREST));
    let others = others.filter(|&&other| other != model);
    others.map(|&other| ordered(model, other)).collect()
}

/// For every model, pairs with the nearest of its nearest models and with their neighbours in the minimum
/// spanning forest.
pub(super) fn proposals(models: usize, mut links: Vec<Link>) -> Vec<(usize, usize)> {
    links.sort_by(Link::order);
    let near = neighbours(models, &links, Some);
    let forest = spanning_forest(models, links, Link::ends);
    let tree = neighbours(models, &forest, Some);
    let of_model = |(model, others): (usize, &Vec<usize>)| {
        let further = |&other: &usize| further(model, &tree[other], &near[other]);
        others.iter().flat_map(further).collect::<Vec<_>>()
    };
    near.iter().enumerate().flat_map(of_model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::mix;

    /// Links with few different distances, so that many are equal.
    fn links(models: usize, count: u64) -> Vec<Link> {
        let link = |at: u64| {
            let [first, second] = [1, 2].map(|end| (mix(3 * at + end) % models as u64) as usize);
            let (first, second) = ordered(first, second);
            let distance = (mix(3 * at) % 5) as f64;
            Link {
                first,
                second,
                distance,
            }
        };
        let mut links: Vec<Link> = (0..count).map(link).collect();
        links.retain(|link| link.first != link.second);
        links.sort_by(Link::order);
        links
    }

    #[test]
    fn the_forest_of_forests_is_that_of_all() {
        let models = 40;
        for count in [0, 10, 60, 400] {
            let all = links(models, count);
            let expected = spanning_forest(models, all.clone(), Link::ends);
            let mut merged = Vec::new();
            for part in 0..3 {
                let own = all.iter().enumerate().filter(|(at, _)| at % 3 == part);
                let own = own.map(|(_, link)| *link).collect();
                merged.extend(spanning_forest(models, own, Link::ends));
            }
            merged.sort_by(Link::order);
            assert_eq!(spanning_forest(models, merged, Link::ends), expected);
            assert!(expected.len() < models);
        }
    }

    #[test]
    fn models_that_do_not_exist_have_no_links() {
        let all = links(40, 60);
        let known = |link: &Link| link.second < 20;
        let some: Vec<Link> = all.iter().copied().filter(known).collect();
        let expected = spanning_forest(20, some, Link::ends);
        assert_eq!(spanning_forest(20, all, Link::ends), expected);
    }

    #[test]
    fn neighbours_are_the_first_ones() {
        let all = links(12, 300);
        let lists = neighbours(12, &all, Some);
        for (model, list) in lists.iter().enumerate() {
            let of_model = all.iter().filter_map(|link| match link.ends() {
                (own, other) | (other, own) if own == model => Some(other),
                _ => None,
            });
            let expected: Vec<usize> = of_model.take(NEIGHBOURS).collect();
            assert_eq!(list, &expected);
        }
    }

    #[test]
    fn links_that_are_kept_say_who_is_near_with_any_that_come_later() {
        let all = links(40, 600);
        let place = |model: usize| model.checked_sub(10);
        let expected = neighbours(20, &all, place);
        let mut kept: Vec<Link> = Vec::new();
        for part in 0..3 {
            kept.extend(all.iter().skip(part).step_by(3));
            kept.sort_by(Link::order);
            keep_nearest(20, &mut kept, place);
        }
        assert_eq!(neighbours(20, &kept, place), expected);
        assert!(kept.len() <= 20 * NEIGHBOURS && kept.len() < all.len());
    }
}
