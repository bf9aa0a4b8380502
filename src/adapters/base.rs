//! Finds the weights of a base that an adapter changes, and the base among several models.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::AdapterError;
use super::adapter::{Adapter, ENDINGS, Target};
use super::names::{Module, Separator};
use crate::weights::{Layer, WeightSource, element_count};

/// How many leading parts of a module's name may be missing in the base.
const MOST_LACKING: usize = 2;

/// The base of an adapter among several models.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// The base is the model at this position.
    Found(usize),
    /// The base isn't among the models.
    NotFound,
    /// The model at this position has the base's name, but the adapter doesn't fit it.
    Incompatible(usize, AdapterError),
    /// The base may be any of the models at these positions.
    Ambiguous(Vec<usize>),
}

/// The orientation of the base's weight, to which the factors of a target are adapted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orientation {
    /// The rows of the weight are outputs.
    Straight,
    /// The rows of the weight are inputs.
    Transposed,
}

/// The layer of a base that a target changes.
pub(super) struct Place {
    pub(super) layer: String,
    pub(super) orientation: Orientation,
    /// The number of rows, and the product of the other dimensions.
    pub(super) shape: [usize; 2],
    /// The layer of the bias next to it.
    pub(super) bias: Option<String>,
}

/// The layers of a base, by name and by name with underscores for dots.
struct Layers {
    shapes: BTreeMap<String, Vec<usize>>,
    underscored: BTreeMap<String, String>,
}

impl Layers {
    fn of<B: WeightSource>(base: &B) -> Result<Self, AdapterError> {
        let mut shapes = BTreeMap::new();
        for layer in base.layers() {
            let layer = layer.map_err(|error| AdapterError::Reading {
                reason: error.to_string(),
            })?;
            shapes.insert(layer.name().to_owned(), layer.shape().to_vec());
        }
        let underscored = shapes.keys().map(|name| {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            (module.replace('.', "_"), name.clone())
        });
        Ok(Self {
            underscored: underscored.collect(),
            shapes,
        })
    }

    /// The layer that is the module's weight.
    fn find(&self, module: &Module) -> Option<&str> {
        match module.separator {
            Separator::Dot => self.find_dotted(&module.name),
            Separator::Underscore => {
                let exact = self.underscored.get(&module.name);
                exact.map(|name| &**name).or_else(|| {
                    let end = ["_", &module.name].concat();
                    let mut ending = self
                        .underscored
                        .iter()
                        .filter(|(name, _)| name.ends_with(&end));
                    let (_, found) = ending.next()?;
                    ending.next().is_none().then_some(&**found)
                })
            }
        }
    }

    fn find_dotted(&self, module: &str) -> Option<&str> {
        let exact = |module: &str| {
            let mut weights = ENDINGS.iter().map(|end| [module, *end].concat());
            let found = weights.find_map(|weight| self.shapes.get_key_value(&weight));
            let (name, _) = found.or_else(|| self.shapes.get_key_value(module))?;
            Some(&**name)
        };
        let mut shorter = Some(module);
        for _ in 0..=MOST_LACKING {
            let Some(found) = shorter.map(&exact) else {
                break;
            };
            if found.is_some() {
                return found;
            }
            shorter = shorter.and_then(|module| Some(module.split_once('.')?.1));
        }
        let ends = ENDINGS.iter().chain(&[""]);
        let ends: Vec<String> = ends.map(|end| [".", module, *end].concat()).collect();
        let is_ending = |name: &&String| ends.iter().any(|end| name.ends_with(&**end));
        let mut ending = self.shapes.keys().filter(is_ending);
        let found = ending.next()?;
        ending.next().is_none().then_some(&**found)
    }

    /// The layer of a target and the orientation of its factors.
    fn place(&self, target: &Target, prefers_transposed: bool) -> Result<Place, AdapterError> {
        let weight = || target.module.name.clone();
        let found = self
            .find(&target.module)
            .and_then(|name| self.shapes.get_key_value(name));
        let Some((name, shape)) = found else {
            return Err(AdapterError::NoSuchWeight { weight: weight() });
        };
        let expected = target.dimensions();
        let rows = shape.first().copied().unwrap_or(1);
        let width = element_count(shape.get(1..).unwrap_or_default());
        let are = |[outputs, inputs]: [usize; 2]| {
            let fits = |expected: Option<usize>, found| expected.is_none_or(|count| count == found);
            fits(expected[0], outputs) && fits(expected[1], inputs)
        };
        let wrong = || AdapterError::WrongShape {
            weight: weight(),
            shape: shape.clone(),
            expected,
        };
        let width = width.ok_or_else(wrong)?;
        let orientation = match (are([rows, width]), are([width, rows])) {
            (true, true) if prefers_transposed && target.difference.is_none() => {
                Orientation::Transposed
            }
            (true, _) => Orientation::Straight,
            (false, true) if target.difference.is_none() => Orientation::Transposed,
            (false, _) => return Err(wrong()),
        };
        let bias = name
            .strip_suffix("weight")
            .map(|stem| [stem, "bias"].concat());
        Ok(Place {
            layer: name.clone(),
            orientation,
            shape: [rows, width],
            bias: bias.filter(|bias| self.shapes.contains_key(bias)),
        })
    }
}

impl<A: WeightSource> Adapter<A> {
    /// The base's layer for each target that belongs to it: all targets of an adapter for one model, or the
    /// targets of one component of a pipeline.
    pub(super) fn plan<B: WeightSource>(
        &self,
        base: &B,
    ) -> Result<Vec<(&Target, Place)>, AdapterError> {
        let layers = Layers::of(base)?;
        let mut components: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
        for target in &self.targets {
            components
                .entry(&target.module.component)
                .or_default()
                .push(target);
        }
        let mut failure = AdapterError::NotAnAdapter;
        for targets in components.into_values() {
            let place =
                |target: &&'_ Target| layers.place(target, self.config.has_rows_as_inputs());
            match targets.iter().map(place).collect::<Result<Vec<_>, _>>() {
                Ok(places) => return Ok(targets.into_iter().zip(places).collect()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Checks that the base has every weight that the adapter changes, in the right shape. If the adapter is
    /// for several components of a pipeline, one of them has to fit.
    ///
    /// # Errors
    ///
    /// An [`AdapterError`] that says what doesn't fit, or why the base's layers can't be listed.
    pub fn fits<B: WeightSource>(&self, base: &B) -> Result<(), AdapterError> {
        self.plan(base).map(drop)
    }

    /// Finds the adapter's base among several models.
    ///
    /// The base is the model named in the adapter's configuration, either by the full name or by the part
    /// after the last slash. If no name is given, it is the only model that the adapter fits.
    pub fn place<B: WeightSource>(&self, models: &[B]) -> Placement {
        let fits = |&model: &usize| self.fits(&models[model]).is_ok();
        let Some(base) = self.config.base() else {
            let fitting: Vec<usize> = (0..models.len()).filter(fits).collect();
            return match fitting[..] {
                [] => Placement::NotFound,
                [only] => Placement::Found(only),
                _ => Placement::Ambiguous(fitting),
            };
        };
        let named = models_named(base, models.iter().map(WeightSource::name));
        let fitting: Vec<usize> = named.iter().copied().filter(fits).collect();
        match (&named[..], &fitting[..]) {
            ([], _) => Placement::NotFound,
            (_, [only]) => Placement::Found(*only),
            ([first, ..], []) => {
                let error = self.fits(&models[*first]).err();
                Placement::Incompatible(*first, error.unwrap_or(AdapterError::NotAnAdapter))
            }
            _ => Placement::Ambiguous(fitting),
        }
    }
}

/// Finds the models that the name of a base may refer to. These are the models with that full name or, if
/// there are none, those with the same last part of the name. Returns their positions.
///
/// Names are repositories (`org/name`) or paths.
///
/// # Examples
///
/// ```
/// use mother::adapters::models_named;
///
/// let models = ["acme/base-7b", "zeta/base-7b", "chat"];
/// assert_eq!(models_named("acme/base-7b", models), [0]);
/// assert_eq!(models_named("/data/Base-7B/", models), [0, 1]);
/// assert_eq!(models_named("acme/other", models), [0; 0]);
/// ```
pub fn models_named<'a>(base: &str, models: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let models: Vec<&str> = models.into_iter().collect();
    let matching = |is_named: fn(&str, &str) -> bool| -> Vec<usize> {
        (0..models.len())
            .filter(|&model| is_named(models[model], base))
            .collect()
    };
    let same = matching(is_same);
    if same.is_empty() {
        matching(ends_alike)
    } else {
        same
    }
}

/// Whether a model has the name of a base, or ends with that name after a slash.
fn is_same(model: &str, base: &str) -> bool {
    let (model, base) = (without_state(model), base.trim_matches('/'));
    model
        .strip_suffix(base)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Whether the names of a model and a base have the same last part.
fn ends_alike(model: &str, base: &str) -> bool {
    let last = |name: &str| {
        let name = name.trim_end_matches(['/', '\\']);
        name.rsplit(['/', '\\'])
            .next()
            .unwrap_or(name)
            .to_lowercase()
    };
    last(without_state(model)) == last(base)
}

/// A name without the hash of a hub revision.
fn without_state(model: &str) -> &str {
    model.split_once('@').map_or(model, |(name, _)| name)
}
