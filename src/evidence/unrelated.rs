//! Settles the pairs of clearly unrelated models, sixteen at a time.
//!
//! Nearly all pairs of a collection of many families are unrelated, and the relation of such a pair consists of a
//! few sums. Here these are computed for many pairs in vector registers. A pair that isn't clearly unrelated is
//! left to [`Relation::of_checked`], which would give the same relation, bit for bit, for the others.

mod tile;

use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::HashMap;

use self::tile::{LANES, Tile};
use super::matching::content::sums_of_glances;
use super::relation::{Relation, RelationOptions};
use super::sums::Sums;
use crate::parallel;
use crate::signature::{Signature, TensorSignature};
use crate::sketch::RowGroups;

/// The models of a collection, grouped by the names and shapes of their tensors.
pub(super) struct Layouts<'a>(Vec<Layout<'a>>);

/// Models that can't differ in the tensors that are compared, nor in the sizes of these tensors' sketches.
struct Layout<'a> {
    /// In the order of the collection.
    models: Vec<Model<'a>>,
    /// The compared weights and the short vectors, if they have sketches, in the order of the models' tensors.
    tensors: Vec<Place>,
    /// The sums over compared weights that are the same for all pairs.
    sums: Sums,
    /// The share of a model's weights that is compared.
    compared: f64,
}

/// A tensor that all models of a layout have.
struct Place {
    at: usize,
    /// The number of values; `None` for a short vector.
    weights: Option<u64>,
}

/// A model, with the sums that are compared first.
struct Model<'a> {
    /// Its place in the collection.
    position: usize,
    signature: &'a Signature,
    /// The squared norm over the compared weights.
    squared_norm: f64,
    /// One sum of sketches for each shape of weights; see [`sums_of_glances`].
    glances: Vec<Glance>,
}

struct Glance {
    sum: Vec<f32>,
    squared_norm: f64,
}

/// What must be the same in two tensors.
type Key<'a> = (&'a str, &'a [usize], u64, RowGroups, usize);

fn key(tensor: &TensorSignature) -> Key<'_> {
    let (sketch, count) = (tensor.sketch(), tensor.moments().count());
    let (groups, buckets) = (sketch.groups(), sketch.buckets().len());
    (tensor.name(), tensor.shape(), count, groups, buckets)
}

impl<'a> Layouts<'a> {
    /// Groups models whose signatures were made with the same settings.
    pub(super) fn new(options: &RelationOptions, signatures: &[&'a Signature]) -> Self {
        let mut by_key: HashMap<Vec<Key<'a>>, Vec<(usize, &'a Signature)>> = HashMap::new();
        for (position, &signature) in signatures.iter().enumerate() {
            let key = signature.tensors().iter().map(key).collect();
            by_key.entry(key).or_default().push((position, signature));
        }
        let several = by_key.into_values().filter(|models| models.len() > 1);
        Self(several.map(|models| Layout::new(options, models)).collect())
    }

    /// The relations of clearly unrelated pairs whose first model is among `rows`, each with its pair.
    pub(super) fn unrelated(&self, rows: &Range<usize>) -> Vec<((usize, usize), Relation)> {
        let mut tiles = Vec::new();
        for layout in &self.0 {
            let start = layout
                .models
                .partition_point(|model| model.position < rows.start);
            let end = layout
                .models
                .partition_point(|model| model.position < rows.end);
            let (firsts, others) = (&layout.models[start..end], &layout.models[start..]);
            if !firsts.is_empty() {
                tiles.extend(others.chunks(LANES).map(|others| (layout, firsts, others)));
            }
        }
        let found = parallel::map(tiles, |(layout, firsts, others)| {
            layout.unrelated(firsts, others)
        });
        found.into_iter().flatten().collect()
    }
}

impl<'a> Layout<'a> {
    fn new(options: &RelationOptions, models: Vec<(usize, &'a Signature)>) -> Self {
        let mut layout = Self {
            models: Vec::new(),
            tensors: Vec::new(),
            sums: Sums::default(),
            compared: 0.0,
        };
        let tensors = models
            .first()
            .map_or(&[][..], |(_, signature)| signature.tensors());
        for (at, tensor) in tensors.iter().enumerate() {
            let compares = options.compares(tensor);
            if tensor.sketch().buckets().is_empty()
                || !(compares || options.selects_vectors((tensor, tensor)))
            {
                continue;
            }
            let values = tensor.sketch().groups().length() as u64;
            layout.tensors.push(Place {
                at,
                weights: compares.then_some(values),
            });
            if compares {
                layout.sums.add_size(values);
            }
        }
        if let Some((_, signature)) = models.first() {
            layout.compared =
                (layout.sums).share_of(signature, |tensor| options.layers.selects_tensor(tensor));
        }
        let models = models.into_iter().map(|(position, signature)| Model {
            position,
            signature,
            squared_norm: (layout.tensors.iter())
                .filter(|place| place.weights.is_some())
                .flat_map(|place| signature.tensors()[place.at].sketch().squared_norms())
                .sum(),
            glances: (sums_of_glances(signature.tensors()).into_iter())
                .map(Glance::new)
                .collect(),
        });
        layout.models = models.collect();
        layout
    }

    /// The relations of the clearly unrelated pairs of one of `firsts` with a later one of `others`.
    fn unrelated(
        &self,
        firsts: &[Model<'_>],
        others: &[Model<'_>],
    ) -> Vec<((usize, usize), Relation)> {
        let mut tile = Tile::new(firsts, others);
        tile.compare_glances();
        for place in &self.tensors {
            tile.compare(place);
        }
        let settled = tile.settled();
        let relation = |(first, other, measured): (&Model<'_>, &Model<'_>, Sums)| {
            let sums = Sums {
                squared_norms: [first.squared_norm, other.squared_norm],
                squared_distance: measured.squared_distance,
                squared_distance_of_vectors: measured.squared_distance_of_vectors,
                distance: measured.distance,
                ..self.sums
            };
            let compared = [self.compared; 2];
            let matched = first.signature.tensors().len();
            let pair = (first.position, other.position);
            (pair, Relation::unrelated(&sums, compared, matched))
        };
        settled.map(relation).collect()
    }
}

impl Glance {
    fn new(sum: Vec<f32>) -> Self {
        let squares = sum
            .iter()
            .map(|&number| f64::from(number) * f64::from(number));
        Self {
            squared_norm: squares.sum(),
            sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::signature::SignatureOptions;
    use crate::sketch::mix;
    use crate::weights::InMemoryModel;

    fn values(seed: u64, count: usize, size: f32) -> Vec<f32> {
        let number = |at: u64| (mix(mix(seed) + at) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..count as u64).map(|at| size * number(at)).collect()
    }

    fn plus(first: &[f32], second: &[f32]) -> Vec<f32> {
        first.iter().zip(second).map(|(u, v)| u + v).collect()
    }

    type Weights = Vec<(&'static str, [usize; 2], Vec<f32>)>;

    fn random(seed: u64, size: f32) -> Weights {
        let shapes = [
            ("a", [48, 32]),
            ("b", [48, 32]),
            ("c", [32, 48]),
            ("d", [300, 8]),
            ("f", [63, 24]),
            ("e", [1, 40]),
        ];
        let weight = |(at, (name, shape)): (usize, (&'static str, [usize; 2]))| {
            let count = shape.iter().product();
            (name, shape, values(100 * seed + at as u64, count, size))
        };
        shapes.into_iter().enumerate().map(weight).collect()
    }

    fn child(parent: &Weights, seed: u64, step: f32) -> Weights {
        let steps = random(seed, step);
        (parent.iter().zip(steps))
            .map(|((name, shape, own), (_, _, step))| (*name, *shape, plus(own, &step)))
            .collect()
    }

    /// Families of models, and relatives of all kinds: copies, an average, reordered and renamed tensors, a frozen
    /// matrix, a new head, new rows, a longer matrix, half of the tensors, other units, and zeros.
    fn collection() -> Vec<Weights> {
        let mut models: Vec<Weights> = Vec::new();
        for family in 0..8 {
            let base = random(family, if family % 2 == 0 { 1.0 } else { 0.3 });
            models.push(child(&base, 50 + family, 0.02));
            models.push(child(&base, 60 + family, 0.3));
            models.push(base);
        }
        let (first, second) = (models[0].clone(), models[3].clone());
        models.push(first.clone());
        let mut average = first.clone();
        for (own, other) in average.iter_mut().zip(&second) {
            own.2 = plus(&own.2, &other.2)
                .iter()
                .map(|value| 0.5 * value)
                .collect();
        }
        models.push(average);
        let mut reordered = first.clone();
        let b = reordered[1].2.clone();
        reordered[1].2 = core::mem::replace(&mut reordered[0].2, b);
        models.push(reordered);
        let mut renamed = first.clone();
        renamed
            .iter_mut()
            .zip(["m.a", "m.b", "m.c", "m.d", "m.f", "m.e"])
            .for_each(|(own, name)| own.0 = name);
        models.push(renamed);
        for tensor in 0..4 {
            // One matrix of another family, as a head that was kept.
            let mut frozen = second.clone();
            frozen[tensor] = first[tensor].clone();
            models.push(frozen);
        }
        let mut new_rows = first.clone();
        let new = values(7, 8 * 44, 1.0);
        new_rows[3].2.splice(8 * 256.., new);
        models.push(new_rows);
        let mut longer = first.clone();
        longer[3].1[0] += 3;
        longer[3].2.extend(values(8, 24, 1.0));
        models.push(longer);
        models.push(first[..3].to_vec());
        let scaled = |size: f32| -> Weights {
            let scale = |value: &f32| size * value;
            (second
                .iter()
                .map(|(name, shape, own)| (*name, *shape, own.iter().map(scale).collect())))
            .collect()
        };
        models.extend([1e-3, 1e9, 1e-20].map(scaled));
        let mut zeros = second;
        zeros[0].2.fill(0.0);
        zeros[5].2.fill(0.0);
        models.push(zeros);
        models
    }

    fn signed(models: Vec<Weights>, options: SignatureOptions) -> Vec<Signature> {
        let sign = |(at, weights): (usize, Weights)| {
            let mut model = InMemoryModel::new(alloc::format!("{at:03}"));
            for (name, shape, values) in weights {
                model = model.with_layer(name, shape, values).unwrap();
            }
            options.sign(&model).unwrap()
        };
        models.into_iter().enumerate().map(sign).collect()
    }

    #[test]
    fn relations_are_those_of_each_pair_alone() {
        let without = RelationOptions {
            without: vec!["b".into()],
            ..RelationOptions::default()
        };
        for options in [RelationOptions::default(), without] {
            for buckets in [8, 32] {
                let signing = SignatureOptions::new().with_buckets(buckets).unwrap();
                let signatures = signed(collection(), signing);
                let signatures: Vec<&Signature> = signatures.iter().collect();
                let layouts = Layouts::new(&options, &signatures);
                let mut settled = 0;
                for start in [0, 16, 32] {
                    let rows = start..(start + 16).min(signatures.len());
                    for ((first, second), relation) in layouts.unrelated(&rows) {
                        let alone =
                            Relation::of_checked(&options, signatures[first], signatures[second]);
                        assert_eq!(relation, alone, "{first} {second}");
                        assert!(rows.contains(&first) && first < second);
                        settled += 1;
                    }
                }
                // Most pairs of 24 models in eight families are unrelated.
                assert!(buckets == 8 || settled > 200, "{settled}");
            }
        }
    }
}
