//! Arbitrary models in memory, and operations on them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::weights::{
    ElementType, InMemoryLayer, InMemoryModel, Layer, WeightSource, WeightValues, element_count,
};

/// Models of up to four layers, with any stored type, number of dimensions (including empty ones) and finite
/// values, among them zeros of both signs, subnormals and the largest numbers.
///
/// They are meant for testing sources and formats; for recovery, see [`families`](super::families).
///
/// # Examples
///
/// ```
/// use mother::strategies::in_memory_models;
/// use mother::weights::WeightSource;
/// use proptest::prelude::*;
///
/// proptest!(|(model in in_memory_models())| {
///     prop_assert!(model.layers().count() <= 4);
/// });
/// ```
pub fn in_memory_models() -> impl Strategy<Value = InMemoryModel<'static>> {
    let shapes = prop::collection::vec(0..6_usize, 0..=3);
    let layer = shapes.prop_flat_map(|shape| {
        let length = element_count(&shape).unwrap_or(0);
        (layer_name(), Just(shape), layer_values(length))
    });
    let layers = prop::collection::vec(layer, 0..=4);
    ("[a-z]{1,8}", layers).prop_filter_map("shapes hold the values", |(name, layers)| {
        let layers = layers.into_iter().enumerate();
        layers
            .map(|(index, (layer, shape, values))| (format!("{layer}.{index}"), shape, values))
            .try_fold(InMemoryModel::new(name), |model, (layer, shape, values)| {
                model.with_layer(layer, shape, values)
            })
            .ok()
    })
}

fn layer_name() -> impl Strategy<Value = String> {
    // Letters of one to four bytes in UTF-8, a quote and a backslash.
    "[a-z_\"\\\\é中𝛼 ]{0,6}"
}

fn layer_values(length: usize) -> impl Strategy<Value = WeightValues<'static>> {
    use prop::num::{f32, f64};
    fn of<T, S: Strategy<Value = T>>(
        element: S,
        length: usize,
    ) -> impl Strategy<Value = WeightValues<'static>>
    where
        T: core::fmt::Debug + Clone,
        WeightValues<'static>: From<Vec<T>>,
    {
        prop::collection::vec(element, length).prop_map(WeightValues::from)
    }
    let double = f64::NORMAL | f64::SUBNORMAL | f64::ZERO | f64::POSITIVE | f64::NEGATIVE;
    let single = f32::NORMAL | f32::SUBNORMAL | f32::ZERO | f32::POSITIVE | f32::NEGATIVE;
    #[cfg(feature = "half")]
    return prop_oneof![
        of(double, length),
        of(single, length),
        of(any::<i8>(), length),
        of(any::<u8>(), length),
        of(
            finite(half::f16::from_bits, |value| value.is_finite()),
            length
        ),
        of(
            finite(half::bf16::from_bits, |value| value.is_finite()),
            length
        ),
    ];
    #[cfg(not(feature = "half"))]
    return prop_oneof![
        of(double, length),
        of(single, length),
        of(any::<i8>(), length),
        of(any::<u8>(), length),
    ];
}

#[cfg(feature = "half")]
fn finite<T: core::fmt::Debug + Default>(
    from_bits: fn(u16) -> T,
    is_finite: fn(&T) -> bool,
) -> impl Strategy<Value = T> {
    any::<u16>().prop_map(move |bits| {
        let value = from_bits(bits);
        if is_finite(&value) {
            value
        } else {
            T::default()
        }
    })
}

/// Permutations of the numbers below `size`, which shrink towards ascending order.
///
/// Use them with [`relabelled_parents`](crate::invariants::relabelled_parents) and
/// [`relabelled_distances`](crate::invariants::relabelled_distances).
///
/// # Examples
///
/// ```
/// use mother::strategies::permutations;
/// use proptest::prelude::*;
///
/// proptest!(|(mut order in permutations(5))| {
///     order.sort();
///     prop_assert_eq!(order, [0, 1, 2, 3, 4]);
/// });
/// ```
pub fn permutations(size: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..size).collect::<Vec<_>>()).prop_shuffle()
}

/// Multiplies all weights by 2 to the power `exponent`, in their stored types; integers become single
/// precision.
///
/// The result is exact unless weights become too large or too small for their type.
///
/// # Examples
///
/// ```
/// use mother::strategies::scaled_model;
/// use mother::weights::{InMemoryModel, Layer, WeightSource};
///
/// let model = InMemoryModel::new("a").with_layer("w", [2], vec![1.0_f32, -3.0])?;
/// let mut values = [0.0_f64; 2];
/// scaled_model(&model, 2).layers().next().unwrap()?.read(0, &mut values)?;
/// assert_eq!(values, [4.0, -12.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use]
pub fn scaled_model(model: &InMemoryModel<'_>, exponent: i32) -> InMemoryModel<'static> {
    let factor = num_traits::Float::powi(2.0_f64, exponent);
    mapped(model, &|value| value * factor)
}

/// Adds a constant to all weights, rounding the sums to their stored types; integers become single precision.
#[must_use]
pub fn translated_model(model: &InMemoryModel<'_>, by: f64) -> InMemoryModel<'static> {
    mapped(model, &|value| value + by)
}

/// The model with every weight replaced.
pub(super) fn mapped(
    model: &InMemoryModel<'_>,
    change: &dyn Fn(f64) -> f64,
) -> InMemoryModel<'static> {
    let mut changed = InMemoryModel::new(model.name());
    for layer in model.layers() {
        let Ok(layer) = layer;
        let shape = layer.shape().to_vec();
        // The number of values is unchanged, so they fit the shape.
        if let Ok(longer) = changed
            .clone()
            .with_layer(layer.name(), shape, values(layer, change))
        {
            changed = longer;
        }
    }
    changed
}

fn values(layer: &InMemoryLayer<'_>, change: &dyn Fn(f64) -> f64) -> WeightValues<'static> {
    let mut values = vec![0.0_f64; element_count(layer.shape()).unwrap_or(0)];
    let Ok(()) = layer.read(0, &mut values);
    stored(values.into_iter().map(change), layer.element_type())
}

/// Values of a type of floats; of any other, in single precision.
pub(super) fn stored(
    values: impl Iterator<Item = f64>,
    stored: ElementType,
) -> WeightValues<'static> {
    match stored {
        ElementType::F64 => values.collect::<Vec<f64>>().into(),
        #[cfg(feature = "half")]
        ElementType::F16 => values.map(half::f16::from_f64).collect::<Vec<_>>().into(),
        #[cfg(feature = "half")]
        ElementType::Bf16 => values.map(half::bf16::from_f64).collect::<Vec<_>>().into(),
        _ => values
            .map(|value| value as f32)
            .collect::<Vec<f32>>()
            .into(),
    }
}
