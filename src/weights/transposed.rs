//! A model with some of its matrices transposed.

use alloc::string::String;
use alloc::vec::Vec;

use super::view::{Block, LayerView, Part};
use super::{Layer, SkippedLayer, WeightSource};

/// A view of a model with some of its matrices transposed, because libraries differ in whether rows are
/// outputs or inputs.
///
/// # Examples
///
/// ```
/// use mother::weights::{InMemoryModel, Layer, Transposed, WeightSource};
///
/// let stored = InMemoryModel::new("m").with_layer("w", [2, 3], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let model = Transposed::new(&stored, ["w".into()]);
/// let layer = model.layers().next().unwrap()?;
/// let mut values = [0.0_f32; 6];
/// layer.read(0, &mut values)?;
/// assert_eq!(layer.shape(), [3, 2]);
/// assert_eq!(values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Complexity
///
/// Each chunk needs one request for every stored row, or for 64 rows if it has all of their values (see
/// [`Layer::preferred_length`]).
#[derive(Clone, Debug)]
pub struct Transposed<S> {
    source: S,
    /// The names of the layers, sorted.
    layers: Vec<String>,
}

impl<S: WeightSource> Transposed<S> {
    /// Creates a view in which the matrices with these names are transposed. Other layers, and tensors that
    /// don't have two dimensions, stay unchanged.
    pub fn new(source: S, layers: impl IntoIterator<Item = String>) -> Self {
        let mut layers: Vec<String> = layers.into_iter().collect();
        layers.sort();
        Self { source, layers }
    }

    fn part(&self, layer: &impl Layer) -> Option<Part> {
        let &[rows, columns] = layer.shape() else {
            return None;
        };
        let name = layer.name();
        let found = self
            .layers
            .binary_search_by(|other| other.as_str().cmp(name));
        found.is_ok().then(|| Part {
            name: name.into(),
            shape: [columns, rows].into(),
            block: Block::whole(&[rows, columns]),
            is_transposed: true,
            places: 1,
            is_cut: false,
        })
    }
}

impl<S: WeightSource> WeightSource for Transposed<S> {
    type Error = S::Error;
    type Layer<'a>
        = LayerView<S::Layer<'a>>
    where
        Self: 'a;

    fn name(&self) -> &str {
        self.source.name()
    }

    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, S::Error>> {
        self.source.layers().map(|layer| {
            let layer = layer?;
            Ok(match self.part(&layer) {
                Some(part) => LayerView::part(layer, part),
                None => LayerView::whole(layer),
            })
        })
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        self.source.skipped_layers()
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.source.interleaved_groups()
    }
}
