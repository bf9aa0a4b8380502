//! The signatures of a simulated hub.
//!
//! Sketches are linear, so the sketch of a child is that of its parent plus that of a random step, and
//! the squared norm of a group changes by ‖δ‖² + 2 u·δ, where u·δ is random.

use core::error::Error;

use mother::moments::Moments;
use mother::signature::{Signature, SignatureOptions, TensorNumbers, TensorSignature};
use mother::sketch::{MatrixSketch, RowGroups};

/// The number of weights of every model.
const WEIGHTS: usize = 4;

/// The number of values of a weight is 2 to this power.
const LOG_VALUES: u32 = 24;

/// The least number of models in a family.
const SMALLEST_FAMILY: usize = 4;

/// The shares of models that are duplicates or casts, and of those that keep half of their layers.
const COPIES: f64 = 0.12;
const HALVED: f64 = 0.03;

/// The share of steps of low rank.
const LOW_RANK: f64 = 1.0 / 3.0;

/// The change from rounding to bfloat16, as a share of the norm.
const ROUNDING: f64 = 1.3e-3;

/// The probability that the kurtosis of a weight rises.
const RISES: f64 = 0.7;

/// The number of possible values of the kurtosis.
const KURTOSES: usize = 2001;

/// The parameters of the hub.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) models: usize,
    pub(crate) seed: u64,
    /// The numbers in all sketches of a signature.
    pub(crate) numbers: usize,
    pub(crate) steps: (f64, f64),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Root,
    Full,
    LowRank,
    Duplicate,
    Cast,
    Halved,
}

#[derive(Clone, Copy)]
struct Member {
    family: u32,
    /// The first model with the same values.
    original: u32,
    parent: Option<u32>,
    kind: Kind,
    /// For every weight, the position of its kurtosis.
    kurtoses: [u16; WEIGHTS],
}

/// The models of a hub, in the order of their creation.
pub(crate) struct Hub {
    plan: Plan,
    members: Vec<Member>,
    /// For each family, the models from which a parent is drawn: those that aren't copies, once each and once more
    /// for every child.
    chances: Vec<Vec<u32>>,
    /// The moments that a weight can have, by position in the order of their kurtosis.
    moments: Vec<Moments>,
}

impl Hub {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut hub = Self {
            plan,
            members: Vec::with_capacity(plan.models),
            chances: Vec::new(),
            moments: kurtoses(),
        };
        let mut random = Random::new(plan.seed, u64::MAX);
        let mut families: Vec<u32> = Vec::with_capacity(plan.models);
        for rank in 1.. {
            let size = (plan.models / 10 / rank).max(SMALLEST_FAMILY);
            let left = plan.models - families.len();
            families.extend(core::iter::repeat_n(rank as u32 - 1, size.min(left)));
            if size >= left {
                break;
            }
        }
        for at in (1..families.len()).rev() {
            families.swap(at, random.below(at + 1));
        }
        for family in families {
            hub.add(family as usize);
        }
        hub
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Adds a model to a family chosen in proportion to its size.
    pub(crate) fn add_model(&mut self) -> usize {
        let mut random = Random::new(self.plan.seed ^ 1, self.members.len() as u64);
        let family = self.members[random.below(self.members.len())].family;
        self.add(family as usize)
    }

    fn add(&mut self, family: usize) -> usize {
        let model = self.members.len();
        let mut random = Random::new(self.plan.seed, model as u64);
        self.chances
            .resize(self.chances.len().max(family + 1), Vec::new());
        let chances = &mut self.chances[family];
        let parent = (!chances.is_empty()).then(|| chances[random.below(chances.len())]);
        let kind = match (parent, random.uniform()) {
            (None, _) => Kind::Root,
            (_, share) if share < COPIES / 2.0 => Kind::Duplicate,
            (_, share) if share < COPIES => Kind::Cast,
            (Some(parent), share)
                if share < COPIES + HALVED
                    && self.members[parent as usize].kind != Kind::Halved =>
            {
                Kind::Halved
            }
            _ if random.uniform() < LOW_RANK => Kind::LowRank,
            _ => Kind::Full,
        };
        let of_parent = parent.map(|parent| self.members[parent as usize]);
        let mut kurtoses = of_parent.map_or([KURTOSES as u16 / 2; WEIGHTS], |p| p.kurtoses);
        if !matches!(kind, Kind::Root | Kind::Duplicate | Kind::Cast) {
            for kurtosis in &mut kurtoses {
                let rises = random.uniform() < RISES;
                *kurtosis = if rises { *kurtosis + 1 } else { *kurtosis - 1 };
                *kurtosis = (*kurtosis).clamp(1, KURTOSES as u16 - 2);
            }
        }
        if !matches!(kind, Kind::Duplicate | Kind::Cast) {
            chances.push(model as u32);
            chances.extend(parent);
        }
        let original = match (kind, parent) {
            (Kind::Duplicate, Some(parent)) => parent,
            _ => model as u32,
        };
        self.members.push(Member {
            family: family as u32,
            original,
            parent,
            kind,
            kurtoses,
        });
        model
    }

    /// A name that reveals neither the parent of the model nor the time of its creation.
    pub(crate) fn name(&self, model: usize) -> String {
        format!(
            "{:016x}",
            Random::new(self.plan.seed ^ 2, model as u64).next()
        )
    }

    pub(crate) fn family(&self, model: usize) -> usize {
        self.members[model].family as usize
    }

    pub(crate) fn parent(&self, model: usize) -> Option<usize> {
        self.members[model].parent.map(|parent| parent as usize)
    }

    /// Whether no earlier model has the same values.
    pub(crate) fn is_original(&self, model: usize) -> bool {
        self.members[model].original == model as u32
    }

    /// Whether a model descends from another, or from one with equal values.
    pub(crate) fn is_right(&self, model: usize, parent: usize) -> bool {
        let original = |model: usize| self.members[model].original;
        let own = original(model);
        own == original(parent)
            || (self.parent(own as usize)).is_some_and(|real| original(real) == original(parent))
    }

    /// The signature of a model, given that its parent's is known.
    pub(crate) fn signature<'a>(
        &self,
        model: usize,
        known: impl Fn(&str) -> Option<&'a Signature>,
    ) -> Result<Signature, Box<dyn Error>> {
        let member = self.members[model];
        let mut random = Random::new(self.plan.seed ^ 3, model as u64);
        let parent = member
            .parent
            .and_then(|parent| known(&self.name(parent as usize)));
        let name = self.name(model);
        let buckets = self.plan.numbers / (16 * WEIGHTS);
        let options = SignatureOptions::new().with_buckets(buckets)?;
        let Some(parent) = parent else {
            let shape = self.shape(member.family as usize);
            let weights = (0..WEIGHTS).map(|at| {
                let sketch = fresh_sketch(&shape, buckets, &mut random)?;
                self.numbers(format!("layers.{at}.weight"), &shape, sketch, &member, at)
            });
            let weights = weights.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
            return Ok(Signature::from_numbers(
                name,
                options,
                with_digests(weights, &mut random),
            )?);
        };
        if member.kind == Kind::Duplicate {
            return Ok(parent.clone().with_name(name));
        }
        let (least, greatest) = self.plan.steps;
        let step = match member.kind {
            Kind::Cast => ROUNDING,
            _ => least * (greatest / least).powf(random.uniform()),
        };
        let mut weights = Vec::new();
        for (at, tensor) in parent.tensors().iter().enumerate() {
            let moved = match member.kind {
                Kind::LowRank if at % 2 == 1 => 0.0,
                Kind::LowRank => step * 2.0_f64.sqrt(),
                _ => step,
            };
            let shape = tensor.shape();
            let numbers = if member.kind == Kind::Halved && at >= WEIGHTS / 2 {
                let shape: Vec<usize> = shape.iter().rev().copied().collect();
                let sketch = fresh_sketch(&shape, buckets, &mut random)?;
                let name = format!("new.{at}.weight");
                let numbers = self.numbers(name, &shape, sketch, &member, at)?;
                fresh_digest(numbers, &mut random)
            } else if moved == 0.0 {
                TensorNumbers::from(tensor)
            } else {
                let uneven = member.kind == Kind::LowRank;
                let sketch = moved_sketch(tensor, moved, uneven, &mut random)?;
                let numbers = self.numbers(tensor.name().into(), shape, sketch, &member, at)?;
                with_digest(numbers, tensor, member.kind == Kind::Cast, &mut random)
            };
            weights.push(numbers);
        }
        Ok(Signature::from_numbers(name, options, weights)?)
    }

    fn numbers(
        &self,
        name: String,
        shape: &[usize],
        sketch: MatrixSketch,
        member: &Member,
        weight: usize,
    ) -> Result<TensorNumbers, Box<dyn Error>> {
        let moments = self.moments[usize::from(member.kurtoses[weight])];
        Ok(TensorNumbers::new(name, shape, sketch, moments))
    }

    /// Some families have one architecture.
    fn shape(&self, family: usize) -> Vec<usize> {
        let pool = (self.chances.len() / 4 + 1).min(64);
        let mut random = Random::new(self.plan.seed ^ 4, family as u64);
        let which = random.below(pool) as u32;
        // Matrices and convolution kernels with the same number of values.
        let (rows, depth) = (8 + which % 8, which / 8);
        let columns = LOG_VALUES - rows - depth;
        let mut shape = vec![1 << rows, 1 << columns];
        if depth > 0 {
            shape.push(1 << depth);
        }
        shape
    }
}

fn with_digests(weights: Vec<TensorNumbers>, random: &mut Random) -> Vec<TensorNumbers> {
    let digest = |numbers: TensorNumbers| fresh_digest(numbers, random);
    weights.into_iter().map(digest).collect()
}

fn fresh_digest(numbers: TensorNumbers, random: &mut Random) -> TensorNumbers {
    let sampled = [(); 4].map(|()| random.next());
    numbers
        .with_digest([random.next(), random.next()])
        .with_rounded_digests([sampled[0], sampled[0], sampled[1], sampled[2]])
}

/// The digests of a changed tensor; those of a cast follow from its parent's rounded digests.
fn with_digest(
    numbers: TensorNumbers,
    parent: &TensorSignature,
    is_cast: bool,
    random: &mut Random,
) -> TensorNumbers {
    let numbers = fresh_digest(numbers, random);
    if !is_cast {
        return numbers;
    }
    let [_, _, bfloat, half] = parent.rounded_digests();
    numbers
        .with_precision([true, true, false])
        .with_rounded_digests([bfloat, bfloat, bfloat, half])
}

/// The sketch of weights unlike any others.
fn fresh_sketch(
    shape: &[usize],
    buckets: usize,
    random: &mut Random,
) -> Result<MatrixSketch, Box<dyn Error>> {
    let values: usize = shape.iter().product();
    let groups = RowGroups::new(values, values / shape[0])?;
    let norm = 1e-3 * values as f64 / groups.count() as f64;
    let norms: Vec<f64> = (0..groups.count())
        .map(|_| norm * (0.3 * random.normal()).exp())
        .collect();
    let buckets = norms.iter().flat_map(|norm| {
        let size = (norm / buckets as f64).sqrt();
        (0..buckets).map(move |_| size).collect::<Vec<f64>>()
    });
    let sums: Vec<f64> = buckets.map(|size| size * random.normal()).collect();
    Ok(MatrixSketch::from_sums(groups, norms, &sums)?)
}

/// The sketch after a step of this length, as a share of the norm.
fn moved_sketch(
    tensor: &TensorSignature,
    step: f64,
    uneven: bool,
    random: &mut Random,
) -> Result<MatrixSketch, Box<dyn Error>> {
    let sketch = tensor.sketch();
    let groups = sketch.groups();
    let of_group = sketch.buckets_of_group();
    let mut sums: Vec<f64> = sketch.sums().collect();
    let mut norms = sketch.squared_norms().to_vec();
    let spread = if uneven { 0.7 } else { 0.15 };
    let factors: Vec<f64> = norms
        .iter()
        .map(|_| (spread * random.normal()).exp())
        .collect();
    let whole: f64 = norms.iter().sum();
    let weighted: f64 = norms
        .iter()
        .zip(&factors)
        .map(|(norm, factor)| norm * factor)
        .sum();
    for (group, (norm, factor)) in norms.iter_mut().zip(factors).enumerate() {
        let squared = step * step * *norm * factor * whole / weighted;
        let size = (squared / of_group as f64).sqrt();
        for sum in &mut sums[group * of_group..(group + 1) * of_group] {
            *sum += size * random.normal();
        }
        let values = groups.values(group).len() as f64;
        let along = (*norm * squared / values).sqrt() * random.normal();
        *norm += squared + 2.0 * along;
    }
    Ok(MatrixSketch::from_sums(groups, norms, &sums)?)
}

/// The moments of weights with tails of different weight, each of 2^[`LOG_VALUES`] values.
fn kurtoses() -> Vec<Moments> {
    let of_tail = |at: usize| {
        let tail = 2.0 + at as f64 / KURTOSES as f64;
        let values: Vec<f64> = (0..64)
            .map(|value| {
                let place = (value as f64 + 0.5) / 32.0 - 1.0;
                place.signum() * place.abs().powf(tail)
            })
            .collect();
        let mut moments = Moments::of(&values).unwrap_or_default();
        while moments.count() < 1 << LOG_VALUES {
            let half = moments;
            moments.merge(&half);
        }
        moments
    };
    (0..KURTOSES).map(of_tail).collect()
}

/// SplitMix64.
struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03),
            spare: None,
        };
        random.state ^= random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }

    /// The polar method of G. Marsaglia.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(factor * y);
                return factor * x;
            }
        }
    }
}
