//! The search for the nearest models by their summaries.

mod panels;

use alloc::vec::Vec;
use core::ops::Range;

use num_traits::Float;

use self::panels::{LANES, Panels, distances};
use super::summary::{NUMBERS, Summary};
use crate::parallel;
use crate::registers::in_wide_registers;

/// How many models are searched for together, so that the summaries they are compared with stay in the cache.
const TILE: usize = 64;

/// A model joins a cluster if it is nearer to its first model than this share of the distance between unrelated
/// models.
const NEAR: f32 = 0.15;

/// There is at most one cluster for this many models.
const LEAST_SHARE: usize = 16;

/// How many models are put into clusters at once.
const JOINED_AT_ONCE: usize = 4096;

/// How many of the nearest clusters are searched before all others.
const FIRST: usize = 4;

/// Rounding changes the sum of two distances by less than this factor.
const ROUNDING: f32 = 1.001;

/// A near model: the squared distance between the summaries per value, and the model's position.
pub(super) type Near = (f32, usize);

/// The units in which one search measures all distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Numbers are compared in units of 2 to this power; no summary has a larger unit.
    pub(super) exponent: i32,
    /// The number of values that the models have in common.
    pub(super) values: f64,
}

/// Summaries to search. Those of one family are stored next to each other, so that most others are never read.
pub(super) struct Targets {
    scale: Scale,
    panels: Panels,
    clusters: Vec<Cluster>,
    /// The first summary of every cluster.
    leaders: Panels,
    /// The panels with summaries that are in no cluster.
    rest: Range<usize>,
}

/// Summaries near the first of them.
#[derive(Clone)]
struct Cluster {
    panels: Range<usize>,
    /// The largest distance from the first.
    radius: f32,
}

impl Targets {
    /// Targets for this many searches.
    ///
    /// O(targets · clusters) time if there are enough searches to repay the search for clusters.
    pub(super) fn new(targets: &[(usize, &Summary)], searches: usize, scale: Scale) -> Self {
        let most = targets.len() / LEAST_SHARE;
        if searches < most || most == 0 {
            let panels = Panels::new(targets.iter().copied(), scale);
            return Self {
                scale,
                rest: 0..panels.count(),
                panels,
                clusters: Vec::new(),
                leaders: Panels::default(),
            };
        }
        let numbers: Vec<[f32; NUMBERS]> = (targets.iter())
            .map(|(_, summary)| summary.scaled(scale.exponent))
            .collect();
        let (leaders, cluster_of, squared_radii) = clusters(&numbers, most);
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&target| cluster_of[target]);
        let mut clusters: Vec<Cluster> = Vec::with_capacity(squared_radii.len());
        let mut start = 0;
        for run in order.chunk_by(|&a, &b| cluster_of[a] == cluster_of[b]) {
            let Some(&radius) = squared_radii.get(cluster_of[run[0]]) else {
                break;
            };
            let end = start + run.len();
            clusters.push(Cluster {
                panels: start / LANES..end.div_ceil(LANES),
                radius: Float::sqrt(radius),
            });
            start = end;
        }
        let panels = Panels::new(order.iter().map(|&target| targets[target]), scale);
        Self {
            scale,
            rest: if start < targets.len() {
                start / LANES..panels.count()
            } else {
                0..0
            },
            panels,
            clusters,
            leaders,
        }
    }

    /// Finds the nearest targets of every query except itself. Ties go to the first, so merging the nearest of
    /// several lists gives the nearest of all.
    ///
    /// The result is exact. A cluster is passed over if, by the triangle inequality, no model in it can be near
    /// enough.
    ///
    /// O(queries · targets) time if all are of one family, but most comparisons look at only a quarter of the numbers.
    pub(super) fn nearest(&self, queries: &[(usize, &Summary)], most: usize) -> Vec<Vec<Near>> {
        let search = |&(model, summary): &(usize, &Summary)| {
            Search::new(model, summary.scaled(self.scale.exponent))
        };
        let mut searches: Vec<(usize, Search)> = queries.iter().map(search).enumerate().collect();
        if !self.clusters.is_empty() {
            let tiles = searches.chunks_mut(TILE);
            parallel::map(tiles, |tile| {
                in_wide_registers(
                    #[inline(always)]
                    || find_clusters(tile, &self.leaders),
                );
            });
            // Models of one family are searched for together.
            searches.sort_by_key(|(_, search)| search.first());
        }
        let tiles = searches.chunks_mut(TILE);
        parallel::map(tiles, |tile| {
            in_wide_registers(
                #[inline(always)]
                || self.scan(tile, most),
            );
        });
        searches.sort_unstable_by_key(|&(query, _)| query);
        let unit = Float::powi(4.0_f64, self.scale.exponent) / self.scale.values.max(1.0);
        let per_value = |(squared, model): Near| ((f64::from(squared) * unit) as f32, model);
        (searches.into_iter())
            .map(|(_, search)| search.near.into_iter().map(per_value).collect())
            .collect()
    }

    /// Searches for the models near to some queries.
    #[inline(always)]
    fn scan(&self, tile: &mut [(usize, Search)], most: usize) {
        for same in tile.chunk_by_mut(|(_, a), (_, b)| a.first() == b.first()) {
            let first = same[0]
                .1
                .first()
                .map(|cluster| self.clusters[cluster].panels.clone());
            for panel in first.unwrap_or_default() {
                for (_, search) in &mut *same {
                    search.scan(&self.panels, panel, most);
                }
            }
        }
        for (_, search) in &mut *tile {
            for at in 1..search.leaders.len() {
                let (distance, cluster) = search.leaders[at];
                let Cluster { panels, radius } = &self.clusters[cluster];
                if distance <= search.limit(*radius, most) {
                    panels
                        .clone()
                        .for_each(|panel| search.scan(&self.panels, panel, most));
                }
            }
        }
        for (panel, clusters) in self.clusters.chunks(LANES).enumerate() {
            let radius = clusters
                .iter()
                .fold(0.0, |most: f32, cluster| most.max(cluster.radius));
            for (_, search) in &mut *tile {
                let limit = search.limit(radius, most);
                let leaders = self.leaders.panel(panel);
                let Some(distances) = distances(&search.numbers, leaders, limit) else {
                    continue;
                };
                for (lane, cluster) in clusters.iter().enumerate() {
                    let is_known = |&(_, known): &Near| known == panel * LANES + lane;
                    if distances[lane] <= search.limit(cluster.radius, most)
                        && !search.leaders.iter().any(is_known)
                    {
                        let panels = cluster.panels.clone();
                        panels.for_each(|panel| search.scan(&self.panels, panel, most));
                    }
                }
            }
        }
        for panel in self.rest.clone() {
            for (_, search) in &mut *tile {
                search.scan(&self.panels, panel, most);
            }
        }
    }
}

/// Sorts summaries into clusters: each joins the first cluster whose first summary is near enough, or else starts one
/// as long as there are fewer than `most`.
///
/// Returns the first summaries, for every summary its cluster or `usize::MAX`, and the clusters' squared radii.
fn clusters(numbers: &[[f32; NUMBERS]], most: usize) -> (Panels, Vec<usize>, Vec<f32>) {
    let (mut leaders, mut radii) = (Panels::default(), Vec::new());
    let mut cluster_of = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(JOINED_AT_ONCE) {
        // Clusters that were there before are searched in parallel, new ones in order.
        let before = radii.len() / LANES;
        let join = |tile| join(tile, &leaders, 0);
        let found: Vec<Vec<Option<Near>>> = parallel::map(numbers.chunks(TILE), join);
        for (numbers, found) in numbers.iter().zip(found.into_iter().flatten()) {
            let tile = core::slice::from_ref(numbers);
            let found = found.or_else(|| {
                self::join(tile, &leaders, before)
                    .into_iter()
                    .flatten()
                    .next()
            });
            cluster_of.push(if let Some((squared, cluster)) = found {
                radii[cluster] = squared.max(radii[cluster]);
                cluster
            } else if radii.len() < most {
                leaders.push(radii.len(), numbers);
                radii.push(0.0);
                radii.len() - 1
            } else {
                usize::MAX
            });
        }
    }
    (leaders, cluster_of, radii)
}

/// The search for the models near to one.
struct Search {
    model: usize,
    numbers: [f32; NUMBERS],
    near: Vec<Near>,
    /// The nearest clusters.
    leaders: Vec<Near>,
}

impl Search {
    const fn new(model: usize, numbers: [f32; NUMBERS]) -> Self {
        Self {
            model,
            numbers,
            near: Vec::new(),
            leaders: Vec::new(),
        }
    }

    /// The nearest cluster.
    fn first(&self) -> Option<usize> {
        self.leaders.first().map(|&(_, cluster)| cluster)
    }

    /// The squared distance that a model must not exceed.
    #[inline(always)]
    fn worst(&self, most: usize) -> f32 {
        if self.near.len() < most {
            f32::INFINITY
        } else {
            self.near
                .last()
                .map_or(f32::INFINITY, |&(distance, _)| distance)
        }
    }

    #[inline(always)]
    fn scan(&mut self, panels: &Panels, panel: usize, most: usize) {
        let worst = self.worst(most);
        let Some(distances) = distances(&self.numbers, panels.panel(panel), worst) else {
            return;
        };
        for (lane, distance) in distances.into_iter().enumerate() {
            let Some(&target) = panels.models.get(panel * LANES + lane) else {
                break;
            };
            if target != self.model && distance <= worst {
                keep(&mut self.near, (distance, target), most);
            }
        }
    }

    /// The squared distance from its first model beyond which a cluster has no near model.
    #[inline(always)]
    fn limit(&self, radius: f32, most: usize) -> f32 {
        let distance = ROUNDING * (radius + Float::sqrt(self.worst(most)));
        distance * distance
    }
}

/// Finds the first cluster that each of some summaries may join, from a panel on.
fn join(tile: &[[f32; NUMBERS]], leaders: &Panels, from: usize) -> Vec<Option<Near>> {
    in_wide_registers(
        #[inline(always)]
        || {
            let mut found = Vec::with_capacity(tile.len());
            for numbers in tile {
                let squares = numbers.iter().map(|number| number * number);
                let limit = 2.0 * NEAR * squares.sum::<f32>();
                let mut panels = from..leaders.count();
                found.push(panels.find_map(|panel| {
                    let distances = distances(numbers, leaders.panel(panel), limit)?;
                    let lane = distances.iter().position(|&distance| distance <= limit)?;
                    Some((distances[lane], panel * LANES + lane))
                }));
            }
            found
        },
    )
}

/// Finds the nearest clusters for some queries.
#[inline(always)]
fn find_clusters(tile: &mut [(usize, Search)], leaders: &Panels) {
    for panel in 0..leaders.count() {
        for (_, search) in &mut *tile {
            let mut of_clusters = Search::new(usize::MAX, search.numbers);
            of_clusters.near = core::mem::take(&mut search.leaders);
            of_clusters.scan(leaders, panel, FIRST);
            search.leaders = of_clusters.near;
        }
    }
}

/// Inserts into a sorted list, unless it has the item already, and keeps at most `most` items.
#[inline(always)]
pub(super) fn keep(near: &mut Vec<Near>, new: Near, most: usize) {
    let before = |old: &Near| old.0.total_cmp(&new.0).then(old.1.cmp(&new.1)).is_lt();
    let at = near.partition_point(before);
    if at < most && near.get(at) != Some(&new) {
        near.insert(at, new);
        near.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const SCALE: Scale = Scale {
        exponent: 2,
        values: 1.0,
    };

    /// Random summaries in families of very different sizes, with steps of very different lengths.
    fn families(models: usize) -> Vec<Summary> {
        let mut all: Vec<Summary> = Vec::new();
        for model in 0..models as u64 {
            let family = (1.0 / (0.02 + 0.98 * ((model * 37) % 101) as f64 / 101.0)) as u64;
            let parent = (model / 3..model).find(|other| other % 7 == family % 7);
            let step = Summary::random(models as u64 + model, 0.3 / (1 + model % 50) as f32);
            all.push(match parent {
                Some(parent) if model % 11 > 0 => all[parent as usize].plus(&step),
                _ => Summary::random(model, 1.0),
            });
        }
        all
    }

    fn positions(summaries: &[Summary]) -> Vec<(usize, &Summary)> {
        summaries.iter().enumerate().collect()
    }

    fn nearest(
        queries: &[(usize, &Summary)],
        targets: &[(usize, &Summary)],
        most: usize,
    ) -> Vec<Vec<Near>> {
        Targets::new(targets, queries.len(), SCALE).nearest(queries, most)
    }

    #[test]
    fn the_search_finds_what_brute_force_finds() {
        for models in [1, 15, 150, 600] {
            let summaries = families(models);
            let all = positions(&summaries);
            let found = nearest(&all, &all, 7);
            let few = nearest(&all[..1], &all, 7);
            assert_eq!(few, found[..1]);
            let numbers: Vec<_> = summaries.iter().map(|summary| summary.scaled(2)).collect();
            for (model, own) in numbers.iter().enumerate() {
                let distance = |other: usize| {
                    let pairs = own.iter().zip(&numbers[other]);
                    16.0 * pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
                };
                let others = (0..models).filter(|&other| other != model);
                let mut expected: Vec<Near> = others.map(|at| (distance(at), at)).collect();
                expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                expected.truncate(7);
                assert_eq!(found[model], expected);
            }
        }
    }

    #[test]
    fn families_are_clusters() {
        let summaries = families(1000);
        let targets = Targets::new(&positions(&summaries), 1000, SCALE);
        assert!((10..=1000 / LEAST_SHARE).contains(&targets.clusters.len()));
        assert!(
            targets
                .clusters
                .iter()
                .any(|cluster| cluster.panels.len() > 2)
        );
    }

    #[test]
    fn the_nearest_of_parts_are_those_of_all() {
        let summaries = families(300);
        let all = positions(&summaries);
        let mut merged: Vec<Vec<Near>> = vec![Vec::new(); all.len()];
        for part in all.chunks(137) {
            for (list, found) in merged.iter_mut().zip(nearest(&all, part, 7)) {
                found.into_iter().for_each(|new| keep(list, new, 7));
            }
        }
        assert_eq!(merged, nearest(&all, &all, 7));
    }

    #[test]
    fn equally_near_ones_are_found_in_order() {
        let same = Summary::random(1, 1.0);
        let all: Vec<(usize, &Summary)> = (0..40).map(|at| (at, &same)).collect();
        let found = nearest(&all, &all, 3);
        let models = |near: &[Near]| near.iter().map(|&(_, at)| at).collect::<Vec<_>>();
        assert_eq!(models(&found[0]), [1, 2, 3]);
        assert_eq!(models(&found[39]), [0, 1, 2]);
    }
}
