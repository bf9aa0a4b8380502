//! Checks that weight sources are consistent, however they are read.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::Violation;
use crate::Scalar;
use crate::weights::{Layer, WeightSource, element_count};

/// Checks that a source keeps the promises of [`WeightSource`] and [`Layer`].
///
/// Layers have different names, and are the same each time they are listed. Values are the same whether read
/// at once, one by one from the middle, in pieces of several lengths from several offsets, or again.
/// Single-precision values are the double-precision ones, rounded. A borrowed slice has exactly these
/// values, in the layer's stated stored type.
///
/// # Errors
///
/// The first broken promise; [`Violation::Source`] if the source itself fails.
///
/// # Complexity
///
/// Each layer is read about ten times and held in memory.
///
/// # Examples
///
/// ```
/// use mother::invariants::weight_source;
/// use mother::weights::InMemoryModel;
///
/// let model = InMemoryModel::new("m").with_layer("w", [2, 1], vec![0.5_f32, -1.0])?;
/// assert_eq!(weight_source(&model), Ok(()));
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
pub fn weight_source<S: WeightSource>(source: &S) -> Result<(), Violation> {
    let layers = list(source)?;
    let again = list(source)?;
    let mut names = HashSet::new();
    for (index, layer) in layers.iter().enumerate() {
        let same = again.get(index).is_some_and(|again| {
            (again.name(), again.shape(), again.element_type())
                == (layer.name(), layer.shape(), layer.element_type())
        });
        if !names.insert(layer.name()) || !same {
            return Err(Violation::Layers {
                layer: layer.name().into(),
            });
        }
        check_layer(layer)?;
    }
    match again.get(layers.len()) {
        Some(layer) => Err(Violation::Layers {
            layer: layer.name().into(),
        }),
        None => Ok(()),
    }
}

/// Checks that a source holds the same weights as another: the same layers, with the same names, shapes,
/// stored types and values. The order of the layers doesn't matter.
///
/// Use it for a format that is written and read back; `expected` is what was written.
///
/// # Errors
///
/// The first layer or value that differs; [`Violation::Source`] if a source fails.
///
/// # Complexity
///
/// O(l² + w) time for l layers with w weights in all; one layer of each source is held in memory.
pub fn same_weights<S: WeightSource, T: WeightSource>(
    expected: &S,
    found: &T,
) -> Result<(), Violation> {
    let (expected, found) = (list(expected)?, list(found)?);
    for layer in &found {
        if !expected.iter().any(|other| other.name() == layer.name()) {
            return Err(Violation::Layers {
                layer: layer.name().into(),
            });
        }
    }
    for layer in &expected {
        let mut same_name = found.iter().filter(|other| other.name() == layer.name());
        let (Some(other), None) = (same_name.next(), same_name.next()) else {
            return Err(Violation::Layers {
                layer: layer.name().into(),
            });
        };
        if other.shape() != layer.shape() {
            return Err(contradiction(layer, "the shape changes"));
        }
        if other.element_type() != layer.element_type() {
            return Err(contradiction(layer, "the stored type changes"));
        }
        let length = length(layer)?;
        let values = read::<f64, _>(layer, 0, length)?;
        compare(layer, 0, &values, &read::<f64, _>(other, 0, length)?)?;
    }
    Ok(())
}

fn list<S: WeightSource>(source: &S) -> Result<Vec<S::Layer<'_>>, Violation> {
    let layers = source.layers().collect::<Result<_, _>>();
    layers.map_err(|error: S::Error| Violation::Source {
        layer: String::new(),
        reason: error.to_string(),
    })
}

fn contradiction(layer: &impl Layer, property: &'static str) -> Violation {
    Violation::Layer {
        layer: layer.name().into(),
        property,
    }
}

fn length(layer: &impl Layer) -> Result<usize, Violation> {
    let overflow = || contradiction(layer, "too many elements");
    element_count(layer.shape()).ok_or_else(overflow)
}

fn check_layer<L: Layer<Error: ToString>>(layer: &L) -> Result<(), Violation> {
    let length = length(layer)?;
    let whole = read::<f64, _>(layer, 0, length)?;
    compare(layer, 0, &whole, &read::<f64, _>(layer, 0, length)?)?;
    let single: Vec<f32> = whole.iter().map(|&value| f32::narrow(value)).collect();
    compare(layer, 0, &single, &read::<f32, _>(layer, 0, length)?)?;
    // Reading nothing must work even at the end.
    read::<f64, _>(layer, length, 0)?;
    for piece in [1, 7, 1000, length / 2 + 1] {
        // Many more pieces than this would add nothing.
        let step = piece.max(length / 50);
        for start in (0..length).step_by(step) {
            let end = length.min(start + piece);
            compare(
                layer,
                start,
                &whole[start..end],
                &read(layer, start, end - start)?,
            )?;
        }
    }
    let Some(slice) = layer.as_slice() else {
        return Ok(());
    };
    if slice.len() != length {
        return Err(contradiction(layer, "the slice does not match the shape"));
    }
    if slice.element_type() != layer.element_type() {
        return Err(contradiction(layer, "the slice has another type"));
    }
    let mut values = vec![0.0_f64; length];
    slice.copy_to(0, &mut values);
    compare(layer, 0, &whole, &values)
}

fn read<T: Scalar, L: Layer<Error: ToString>>(
    layer: &L,
    offset: usize,
    length: usize,
) -> Result<Vec<T>, Violation> {
    // Fill with a value that is almost certainly not in the layer, to detect values that aren't written.
    let mut values = vec![T::narrow(-1.234_567_8e-30); length];
    layer
        .read(offset, &mut values)
        .map_err(|error| Violation::Source {
            layer: layer.name().into(),
            reason: error.to_string(),
        })?;
    Ok(values)
}

/// Compares bits, treating all NaN as equal.
fn compare<T: Scalar>(
    layer: &impl Layer,
    offset: usize,
    expected: &[T],
    found: &[T],
) -> Result<(), Violation> {
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        let (expected, found) = (expected.widen(), found.widen());
        let same = expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan());
        if !same {
            return Err(Violation::Value {
                layer: layer.name().into(),
                index: offset + index,
                expected,
                found,
            });
        }
    }
    Ok(())
}
