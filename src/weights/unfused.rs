//! A common form for models: fused layers are split, every matrix has one row per output, and kernels of convolutions
//! have outputs and inputs first.

mod names;
mod plan;

use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use self::names::bias_of;
use self::plan::plan;
use super::view::LayerView;
use super::{Layer, SkippedLayer, WeightSource};

/// A view of a model that splits its fused layers, so that models can be compared whether they are stored
/// fused, split, packed or transposed.
///
/// How a layer is listed depends only on the names and shapes in its model:
///
/// - The rows of fused projections (such as `qkv_proj`, `query_key_value`, `c_attn`, `Wqkv` and `in_proj_weight`)
///   are listed as `q_proj`, `k_proj` and `v_proj`. `q_proj` gets as many rows as the output projection
///   next to it has columns; the remaining rows are halved. Without an output projection, the rows are split
///   into thirds. Where the source says that rows are
///   [interleaved by groups of heads](WeightSource::interleaved_groups), they are brought into this order;
///   otherwise such rows are split at the same places.
/// - `gate_up_proj` is listed as `gate_proj` and `up_proj`.
/// - Packed experts, such as `experts.down_proj` with three dimensions, are listed one by one, for example as
///   `experts.0.down_proj.weight`.
/// - Matrices stored with one row per input, as in GPT-2, are listed transposed. The bias of a matrix
///   shows how many outputs there are; square matrices follow the others.
///
/// - Kernels of convolutions are listed with outputs and inputs first, as PyTorch stores them. Those of Keras and
///   Flax (height, width, inputs, outputs) and of TensorFlow Lite and MLX (outputs, height, width, inputs) are
///   recognised where height and width are equal, by the majority in the model.
///
/// A layer stays unchanged if a part would have the name of another layer.
///
/// # Examples
///
/// ```
/// use mother::weights::{InMemoryModel, Layer, Unfused, WeightSource};
///
/// let fused = InMemoryModel::new("m").with_layer("mlp.gate_up_proj.weight", [4, 3], vec![0.5_f32; 12])?;
/// let unfused = Unfused::new(&fused);
/// let names: Vec<String> = unfused.layers().map(|layer| layer.unwrap().name().into()).collect();
/// assert_eq!(names, ["mlp.gate_proj.weight", "mlp.up_proj.weight"]);
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
///
/// # Complexity
///
/// Listing takes O(l) time for l layers. Rows are read as they are stored. For a transposed matrix, each
/// chunk needs one request for every stored row, so it is read in longer chunks (see
/// [`Layer::preferred_length`]).
#[derive(Clone, Copy, Debug)]
pub struct Unfused<S>(S);

impl<S: WeightSource> Unfused<S> {
    /// Creates a view of this model.
    pub const fn new(source: S) -> Self {
        Self(source)
    }

    /// The model itself.
    pub const fn source(&self) -> &S {
        &self.0
    }
}

impl<S: WeightSource> WeightSource for Unfused<S> {
    type Error = S::Error;
    type Layer<'a>
        = LayerView<S::Layer<'a>>
    where
        Self: 'a;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, S::Error>> {
        let layers: Vec<Result<S::Layer<'_>, S::Error>> = self.0.layers().collect();
        let known = layers.iter().filter_map(|layer| layer.as_ref().ok());
        let shapes: Vec<(String, Vec<usize>)> = known
            .map(|layer| (layer.name().into(), layer.shape().into()))
            .collect();
        let mut plan = plan(&shapes, self.0.interleaved_groups()).into_iter();
        let views = layers.into_iter().flat_map(move |layer| -> Vec<_> {
            match layer {
                Err(error) => alloc::vec![Err(error)],
                Ok(layer) => match plan.next() {
                    Some(parts) if !parts.is_empty() => {
                        LayerView::parts(layer, parts).map(Ok).collect()
                    }
                    _ => alloc::vec![Ok(LayerView::whole(layer))],
                },
            }
        });
        views.collect::<Vec<_>>().into_iter()
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        self.0.skipped_layers()
    }
}
