//! Where third models branch off the paths between near ones.

use alloc::vec::Vec;

use super::{Family, NearPair};
use crate::heritage::recovery::{NEARLY_ALL, costs};
use crate::parallel;

/// For every pair, the smallest share of its squared distance at which a third model branches off, among the
/// models near to both.
pub(super) fn leaf_gaps(family: &Family<'_>) -> Vec<f64> {
    let near = neighbours(family.names.len(), &family.pairs);
    let comparable = |pair: &NearPair| pair.compared[0].min(pair.compared[1]) >= NEARLY_ALL;
    let gap = |pair: &NearPair| {
        let mut least = f64::INFINITY;
        let (few, many) = (&near[pair.first], &near[pair.second]);
        let (few, many) = if few.len() <= many.len() {
            (few, many)
        } else {
            (many, few)
        };
        // The order of the two doesn't matter.
        for_each_common(few, many, |one, other| {
            let (one, other) = (&family.pairs[one], &family.pairs[other]);
            if comparable(one) && comparable(other) {
                let branch = costs::branch(
                    pair.squared_distance,
                    one.squared_distance,
                    other.squared_distance,
                );
                least = least.min(branch);
            }
        });
        costs::leaf_gap(pair.squared_distance, least)
    };
    parallel::map(&family.pairs, gap)
}

/// Calls `take` with the second numbers of every two items that share their first number. Both lists are
/// sorted, and the second is at least as long as the first.
fn for_each_common(
    first: &[(usize, usize)],
    second: &[(usize, usize)],
    mut take: impl FnMut(usize, usize),
) {
    /// If the second list is longer by this factor, it is searched instead of scanned.
    const MUCH_LONGER: usize = 16;
    if second.len() > MUCH_LONGER * first.len() {
        for &(key, one) in first {
            if let Ok(at) = second.binary_search_by_key(&key, |&(other, _)| other) {
                take(one, second[at].1);
            }
        }
    } else {
        let mut others = second.iter().peekable();
        for &(key, one) in first {
            while others.next_if(|&&(other, _)| other < key).is_some() {}
            if let Some(&(_, other)) = others.next_if(|&&(other, _)| other == key) {
                take(one, other);
            }
        }
    }
}

/// For every model, the models near to it, ascending, each with the position of the pair.
fn neighbours(models: usize, pairs: &[NearPair]) -> Vec<Vec<(usize, usize)>> {
    let mut near = alloc::vec![Vec::new(); models];
    for (at, pair) in pairs.iter().enumerate() {
        near[pair.first].push((pair.second, at));
        near[pair.second].push((pair.first, at));
    }
    near.iter_mut().for_each(|near| near.sort_unstable());
    near
}
