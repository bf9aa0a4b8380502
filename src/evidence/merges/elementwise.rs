//! Merges that take each value from one of several models, such as TIES and DARE.

use alloc::vec::Vec;

use super::{Merge, MergeSearch, StepFit};
use crate::parallel;
use crate::signature::{Signature, TensorSignature};

/// The least share of the sampled values that come from each parent, and their least number.
const LEAST: (f64, usize) = (0.02, 8);

/// The same for a parent whose step from the base was multiplied by some number, which could be any.
const LEAST_SCALED: (f64, usize) = (0.05, 12);

/// The least number of values that chance would make equal to both of two parents. If it is 8, at most a quarter of them
/// are found with a probability of 1.4 % (Poisson).
const LEAST_EXPECTED: f64 = 8.0;

/// The largest number of values that are those of both parents, as a share of the expected one.
const MOST_IN_BOTH: f64 = 0.25;

/// The least share of tensors that have values of both parents, among those that differ from both. Where rows or tensors
/// were trained at different times, few do.
const LEAST_MIXED: f64 = 0.5;

/// The largest number of parents.
const MOST_PARENTS: usize = 8;

/// How many of the models that most values may come from are considered.
const CONSIDERED: usize = 16;

/// If a merge can be explained nearly as well without other merges, it was made from the same models as they were.
const AS_WELL: f64 = 0.9;

/// The relative error of a value that was computed from others in single precision: four roundings.
const SINGLE: f64 = 2.5e-7;

/// Half of the least relative step of bfloat16 and of half precision.
const BFLOAT: f64 = 1.0 / 512.0;
const HALF: f64 = 1.0 / 4096.0;

/// The largest relative error of a ratio that counts.
const SHARP: f64 = 0.02;

impl MergeSearch<'_> {
    /// The models of which each value is that of one of several others, for many values at least; sorted by model.
    ///
    /// TIES and DARE add to a base what two or more other models learnt since, but leave out some of these changes.
    /// Others choose between the values of their parents. So some values of a merge equal one parent's exactly, some equal
    /// another's, and almost none equal both. Training changes almost all values. Where it changes only some, as in low
    /// precision, a model between two others has values that equal both about as often as chance predicts.
    ///
    /// O(n²) time for n models, if few of them are merges.
    pub(super) fn elementwise_merges(&self) -> Vec<Merge> {
        let found = parallel::map(&self.models, |&model| {
            self.choices(model, &|_| true)
                .map(|choices| (model, choices))
        });
        let found: Vec<(usize, Choices)> = found.into_iter().flatten().collect();
        let is_found = |model: usize| found.iter().any(|&(other, _)| other == model);
        let merges = found.iter().map(|(model, choices)| {
            let without_merges = self.choices(*model, &|other| !is_found(other));
            let simpler = without_merges.filter(|other| other.share >= AS_WELL * choices.share);
            self.merge(*model, simpler.as_ref().unwrap_or(choices))
        });
        let merges: Vec<Merge> = merges.collect();
        // The values that one of two merges chose may be those that the other didn't.
        let is_mutual = |merge: &&Merge| merges.iter().any(|other| merge.is_mutual(other));
        merges
            .iter()
            .filter(|merge| !is_mutual(merge))
            .cloned()
            .collect()
    }

    /// The parents from which a model's values were chosen.
    fn choices(&self, model: usize, is_allowed: &dyn Fn(usize) -> bool) -> Option<Choices> {
        let tensors = self.members.signature(model).tensors().iter();
        let own: Vec<&TensorSignature> = tensors
            .filter(|tensor| self.members.options.compares(tensor) && !tensor.values().is_empty())
            .collect();
        let sample = Sample::new(&own);
        let is_candidate = |&other: &usize| {
            other != model && is_allowed(other) && self.members.relation(model, other).is_related()
        };
        let values_of = |other: usize| Sample::values(&own, &self.counterparts(model, &own, other));
        let others = self.models.iter().copied().filter(is_candidate);
        let same = others.filter_map(|other| {
            let counterparts = self.counterparts(model, &own, other);
            sample.source(other, &own, &counterparts)
        });
        let mut sources = sample.exclusive(same.collect());
        if let Some(base) = self.base(model, &sources) {
            let from = values_of(base);
            let is_new = |other: &usize| !sources.iter().any(|source| source.model == *other);
            let product = |other: usize| self.geometry.product_of_steps(base, model, other);
            let others = self.others_by(model, |other| -product(other)).into_iter();
            let others = others.filter(is_candidate).filter(is_new).take(CONSIDERED);
            let scaled = others.filter_map(|model| {
                let is_same = sample.is_scaled(&from, &values_of(model))?;
                Some(Source { model, is_same })
            });
            let scaled: Vec<Source> = scaled.collect();
            if !scaled.is_empty() {
                sources = sample.exclusive(sources.into_iter().chain(scaled).collect());
            }
        }
        (sources.len() > 1).then(|| Choices::new(&sources, sample.len()))
    }

    /// The shortest source, if it can be the base of the others. Seen from a merge, its base has multiplied steps, too.
    fn base(&self, model: usize, sources: &[Source]) -> Option<usize> {
        let norms = self.geometry.squared_norms();
        let sources = sources.iter().map(|source| source.model);
        let shortest = sources.min_by(|&u, &v| norms[u].total_cmp(&norms[v]));
        shortest.filter(|&base| self.geometry.is_step(base, model))
    }

    /// The merge, with the weights that fit best if one of its parents is the base of the others, and else the shares of
    /// its values.
    fn merge(&self, model: usize, choices: &Choices) -> Merge {
        let parents = || choices.shares.iter().map(|&(parent, _)| parent);
        let others = |base: usize| parents().filter(move |&parent| parent != base);
        let is_base = |&base: &usize| {
            self.geometry.is_step(base, model)
                && others(base).all(|other| self.geometry.is_step(base, other))
        };
        let fit = parents()
            .find(is_base)
            .and_then(|base| StepFit::new(self.geometry, base, model, others(base).collect()));
        match fit {
            Some(fit) => fit.into_merge(),
            None => Merge::new(
                model,
                choices.shares.clone(),
                (1.0 - choices.share).max(0.0),
            ),
        }
    }
}

/// Whether some values of a model are exactly those of one other model, and some exactly those of another.
pub(crate) fn takes_values_of_several<'a>(
    model: &Signature,
    others: impl Iterator<Item = &'a Signature>,
) -> bool {
    let tensors = model.tensors().iter();
    let own: Vec<&TensorSignature> = tensors
        .filter(|tensor| !tensor.values().is_empty())
        .collect();
    let sample = Sample::new(&own);
    let same = others.enumerate().filter_map(|(model, other)| {
        let counterpart = |tensor: &&TensorSignature| {
            let found = other.tensor(tensor.name());
            found.filter(|found| found.shape() == tensor.shape())
        };
        let counterparts: Vec<_> = own.iter().map(counterpart).collect();
        sample.source(model, &own, &counterparts)
    });
    sample.exclusive(same.collect()).len() > 1
}

/// The parents from which the values of a model were chosen.
struct Choices {
    /// The parents, with their shares of the values that come from one of them.
    shares: Vec<(usize, f64)>,
    /// The share of these among all values.
    share: f64,
}

impl Choices {
    fn new(sources: &[Source], values: usize) -> Self {
        let number = |source: &Source| source.number() as f64;
        let all: f64 = sources.iter().map(number).sum();
        let shares = sources
            .iter()
            .map(|source| (source.model, number(source) / all));
        Self {
            shares: shares.collect(),
            share: all / values as f64,
        }
    }
}

/// A model with some values that may have been taken from it.
struct Source {
    model: usize,
    /// Whether each value is, tensor by tensor.
    is_same: Vec<Vec<bool>>,
}

impl Source {
    fn number(&self) -> usize {
        self.is_same.iter().flatten().filter(|&&is| is).count()
    }
}

/// The sampled values of a model, tensor by tensor.
struct Sample {
    /// NaN for values that aren't considered.
    values: Vec<Vec<f64>>,
    /// How far each may be from a value that it is said to be equal to.
    errors: Vec<Vec<f64>>,
}

impl Sample {
    fn new(tensors: &[&TensorSignature]) -> Self {
        let errors = |tensor: &&TensorSignature| -> Vec<f64> {
            let sizes = tensor.values().iter().map(|value| f64::from(value.abs()));
            let profile = tensor.profile();
            if profile.fits_bf16() || profile.fits_f16() {
                let step = if profile.fits_bf16() { BFLOAT } else { HALF };
                return sizes.map(|size| step * size).collect();
            }
            // The values of the parents may be larger than their difference.
            let mean = sizes.clone().sum::<f64>() / tensor.values().len() as f64;
            sizes.map(|size| SINGLE * (size + mean)).collect()
        };
        // Pruning makes zeros of values that have nothing to do with each other.
        let telling = |&value: &f32| if value == 0.0 { f64::NAN } else { value.into() };
        let values = |tensor: &&TensorSignature| tensor.values().iter().map(telling).collect();
        Self {
            values: tensors.iter().map(values).collect(),
            errors: tensors.iter().map(errors).collect(),
        }
    }

    /// The values of another model at the same positions; NaN where it has none.
    fn values(own: &[&TensorSignature], others: &[Option<&TensorSignature>]) -> Vec<Vec<f64>> {
        let values = |(own, other): (&&TensorSignature, &Option<&TensorSignature>)| {
            let count = own.values().len();
            match other.map(TensorSignature::values) {
                Some(values) if values.len() == count => values.iter().map(|&v| v.into()).collect(),
                _ => alloc::vec![f64::NAN; count],
            }
        };
        own.iter().zip(others).map(values).collect()
    }

    fn len(&self) -> usize {
        let values = self.values.iter().flatten();
        values.filter(|value| !value.is_nan()).count()
    }

    /// The least number of values for a share of all.
    fn least(&self, (share, number): (f64, usize)) -> usize {
        number.max((share * self.len() as f64) as usize)
    }

    /// A model as a source, if enough values are equal to its own. The arguments are those of [`values`](Self::values).
    fn source(
        &self,
        model: usize,
        own: &[&TensorSignature],
        others: &[Option<&TensorSignature>],
    ) -> Option<Source> {
        // Nearly all models have no values in common, so this comes first.
        let tensors = self.values.iter().zip(&self.errors).zip(others);
        let number = tensors.map(|((own, errors), other)| {
            let others = other.map_or(&[][..], TensorSignature::values);
            let values = own.iter().zip(errors).zip(others);
            let same =
                values.filter(|((own, error), other)| is_near(**own, f64::from(**other), **error));
            same.count()
        });
        if number.sum::<usize>() < self.least(LEAST) {
            return None;
        }
        let is_same = self.is_same(&Self::values(own, others));
        let source = Source { model, is_same };
        (source.number() >= self.least(LEAST)).then_some(source)
    }

    /// Whether each value is equal to that of another model. Tensors in which all are don't count.
    fn is_same(&self, others: &[Vec<f64>]) -> Vec<Vec<bool>> {
        let tensors = self.values.iter().zip(&self.errors).zip(others);
        let is_same = tensors.map(|((own, errors), others)| {
            let values = own.iter().zip(errors).zip(others);
            let is_same = values.map(|((own, error), other)| is_near(*own, *other, *error));
            none_if_all(is_same.collect(), own)
        });
        is_same.collect()
    }

    /// Whether each value is the base's plus another model's step, times one number for all; `None` if too few are.
    fn is_scaled(&self, base: &[Vec<f64>], other: &[Vec<f64>]) -> Option<Vec<Vec<bool>>> {
        let ratio = |tensor: usize, at: usize| -> Option<[f64; 2]> {
            let from = base[tensor][at];
            let (step, error) = (other[tensor][at] - from, self.errors[tensor][at]);
            let own = self.values[tensor][at] - from;
            let ratio = [own / step, error / step.abs()];
            (own.abs() > error && ratio[1] <= SHARP).then_some(ratio)
        };
        let places = || {
            (0..self.values.len()).flat_map(|t| (0..self.values[t].len()).map(move |at| (t, at)))
        };
        let ratios: Vec<[f64; 2]> = places()
            .filter_map(|(tensor, at)| ratio(tensor, at))
            .collect();
        let (common, number) = most_common(&ratios)?;
        let is_common = |[ratio, error]: [f64; 2]| (ratio - common).abs() <= error;
        // Of a merge that is the mean of two models at some positions, one of these is the mirror image of the other.
        let is_scaled = common > 0.0 && (common - 1.0).abs() > SHARP;
        (is_scaled && number >= self.least(LEAST_SCALED)).then(|| {
            let tensors = self.values.iter().enumerate();
            let is_same = tensors.map(|(tensor, own)| {
                let is = |at| ratio(tensor, at).is_some_and(is_common);
                none_if_all((0..own.len()).map(is).collect(), own)
            });
            is_same.collect()
        })
    }

    /// The sources that exclude each other, largest first. Each adds enough values to those of the others.
    fn exclusive(&self, mut sources: Vec<Source>) -> Vec<Source> {
        // The sort is stable: ties go to the first.
        sources.sort_by_key(|source| core::cmp::Reverse(source.number()));
        sources.truncate(CONSIDERED);
        let mut chosen: Vec<Source> = Vec::new();
        while chosen.len() < MOST_PARENTS {
            let added = |source: &Source| {
                let is_new = |&(tensor, at): &(usize, usize)| {
                    source.is_same[tensor][at]
                        && !chosen.iter().any(|chosen| chosen.is_same[tensor][at])
                };
                let tensors = 0..self.values.len();
                let places = tensors.flat_map(|t| (0..self.values[t].len()).map(move |at| (t, at)));
                places.filter(is_new).count()
            };
            let numbers = sources.iter().map(added).enumerate();
            let Some((at, number)) = numbers.min_by_key(|&(_, number)| core::cmp::Reverse(number))
            else {
                break;
            };
            if number < self.least(LEAST) {
                break;
            }
            let source = sources.remove(at);
            let fits = |(place, other): (usize, &Source)| {
                exclude_each_other(other, &source, place == 0 && chosen.len() == 1)
            };
            if chosen.iter().enumerate().all(fits) {
                chosen.push(source);
            }
        }
        chosen
    }
}

fn is_near(first: f64, second: f64, error: f64) -> bool {
    (first - second).abs() <= error
}

/// None of the values, if all of them are.
fn none_if_all(mut is_same: Vec<bool>, own: &[f64]) -> Vec<bool> {
    let all = is_same.iter().zip(own).all(|(&is, own)| is || own.is_nan());
    if all {
        is_same.fill(false);
    }
    is_same
}

/// Given which values of a model equal those of two others, whether fewer equal both than chance predicts. For the first
/// two sources, there must also be enough values for this to mean something.
fn exclude_each_other(first: &Source, second: &Source, are_first: bool) -> bool {
    let [mut all, mut in_both, mut tensors, mut mixed] = [0_usize; 4];
    let mut numbers = [0_usize; 2];
    for (u, v) in first.is_same.iter().zip(&second.is_same) {
        let count = |of: &[bool]| of.iter().filter(|&&is| is).count();
        let own = [count(u), count(v)];
        // Tensors that are equal in all models, or in one and replaced in the other.
        if own == [0, 0] {
            continue;
        }
        all += u.len();
        tensors += 1;
        mixed += usize::from(own[0] > 0 && own[1] > 0);
        numbers = [numbers[0] + own[0], numbers[1] + own[1]];
        in_both += u.iter().zip(v).filter(|&(&u, &v)| u && v).count();
    }
    let expected = numbers[0] as f64 * numbers[1] as f64 / all.max(1) as f64;
    let is_mixed = mixed as f64 >= LEAST_MIXED * tensors as f64 && expected >= LEAST_EXPECTED;
    in_both as f64 <= MOST_IN_BOTH * expected && (is_mixed || !are_first)
}

/// The value that lies within the errors of most of some numbers, and how many these are; ties go to the least.
fn most_common(numbers: &[[f64; 2]]) -> Option<(f64, usize)> {
    let sorted = |of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut ends: Vec<f64> = numbers.iter().map(of).collect();
        ends.sort_unstable_by(f64::total_cmp);
        ends
    };
    let starts = sorted(&|[number, error]| number - error);
    let ends = sorted(&|[number, error]| number + error);
    let overlapping = starts.iter().map(|&start| {
        let begun = starts.partition_point(|&other| other <= start);
        (start, begun - ends.partition_point(|&end| end < start))
    });
    overlapping.min_by_key(|&(_, number)| core::cmp::Reverse(number))
}
