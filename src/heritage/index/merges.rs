//! Merges in families that are too large for comparing all pairs.

use alloc::vec::Vec;

use hashbrown::HashMap;
use num_traits::Float;

use super::IndexError;
use super::families::LargeFamily;
use super::near::Comparer;
use crate::evidence::{Merge, NEARLY_ALL, takes_values_of_several};
use crate::heritage::merges::merges_of;
use crate::heritage::recovery::sparse::NearPair;
use crate::parallel;
use crate::signature::Signature;

/// How many of a model's nearest models are examined, to see whether it lies between two of them.
const LOOKED_AT: usize = 5;

/// A model lies between two others if the cosine between the steps to them is below this. The steps from a parent to its
/// children are nearly orthogonal, and two siblings are on the same side of a third; from an average, the steps to its two
/// parents are opposite.
const BETWEEN: f64 = -0.2;

/// How many of the nearest models a possible merge is compared with.
const COMPARED: usize = 24;

/// The whole models near to one, nearest first, each with its squared distance.
type Nearest = Vec<(f64, usize)>;

impl LargeFamily<'_> {
    /// The merges among models that lie between two near ones, or have values of both, by position in the family.
    ///
    /// O(1) time for each model, if few of them lie between two others.
    pub(super) fn merges(
        &self,
        comparer: &Comparer<'_>,
        pairs: &[NearPair],
        originals: &[(usize, usize)],
    ) -> Result<Vec<Merge>, IndexError> {
        let nearest = self.nearest(pairs, originals);
        let merge = |(model, nearest): (usize, &Nearest)| {
            let near = nearest.iter().take(COMPARED).map(|&(_, other)| other);
            let is_choice = || {
                let others = near.map(|other| &self.entries[other].signature);
                takes_values_of_several(&self.entries[model].signature, others)
            };
            if self.is_between(nearest, comparer, pairs)? || is_choice() {
                self.merge(model, nearest, comparer)
            } else {
                Ok(None)
            }
        };
        let merges = parallel::map(nearest.iter().enumerate(), merge);
        merges.into_iter().filter_map(Result::transpose).collect()
    }

    /// For every model but copies, the near ones that aren't copies.
    fn nearest(&self, pairs: &[NearPair], originals: &[(usize, usize)]) -> Vec<Nearest> {
        let originals: HashMap<usize, usize> = originals.iter().copied().collect();
        let mut nearest = alloc::vec![Nearest::new(); self.entries.len()];
        for pair in pairs {
            let ends = [pair.first, pair.second];
            let is_copy = ends.iter().any(|model| originals.contains_key(model));
            let is_whole = pair.compared[0].min(pair.compared[1]) >= NEARLY_ALL;
            if is_whole && !is_copy && pair.squared_distance > 0.0 {
                nearest[pair.first].push((pair.squared_distance, pair.second));
                nearest[pair.second].push((pair.squared_distance, pair.first));
            }
        }
        for near in &mut nearest {
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        nearest
    }

    /// Whether a model lies between two of the nearest ones.
    fn is_between(
        &self,
        nearest: &Nearest,
        comparer: &Comparer<'_>,
        pairs: &[NearPair],
    ) -> Result<bool, IndexError> {
        let looked_at = &nearest[..nearest.len().min(LOOKED_AT)];
        for (at, &(to_first, first)) in looked_at.iter().enumerate() {
            for &(to_second, second) in &looked_at[at + 1..] {
                let between = match self.pair(pairs, first, second) {
                    Some(pair) => pair.squared_distance,
                    None => comparer.relation(first, second)?.squared_distance(),
                };
                let product = (to_first + to_second - between) / 2.0;
                if product < BETWEEN * Float::sqrt(to_first * to_second) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// How a model was merged from near ones, if it was.
    fn merge(
        &self,
        model: usize,
        nearest: &Nearest,
        comparer: &Comparer<'_>,
    ) -> Result<Option<Merge>, IndexError> {
        let near = nearest.iter().take(COMPARED).map(|&(_, other)| other);
        let mut members: Vec<usize> = near.chain([model]).collect();
        // As in the group, whose models are sorted by name.
        members.sort_unstable();
        let signatures: Vec<Signature> = (members.iter())
            .map(|&member| self.entries[member].signature.clone())
            .collect();
        let evidence = comparer.comparison.compare(&signatures)?;
        let name = self.names[model];
        let found = evidence.groups.iter().find_map(|group| {
            let position = group.position(name)?;
            let merges = merges_of(group).into_iter();
            let merge = { merges }.find(|merge| merge.model() == position)?;
            let parents = merge.parents().iter().map(|&(parent, weight)| {
                let name = &*group.models()[parent];
                let at = members
                    .iter()
                    .position(|&member| self.names[member] == name)?;
                Some((members[at], weight))
            });
            let parents = parents.collect::<Option<Vec<_>>>()?;
            Some(Merge::new(model, parents, merge.residual()))
        });
        Ok(found)
    }
}
