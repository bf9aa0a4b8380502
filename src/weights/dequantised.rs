//! Quantised models, decoded to the weights with which they compute.

mod band;
mod blocks;
mod error;
mod foreign;
mod listing;
mod nibbles;
mod packed;
mod plan;
mod recognise;
mod scaled;
mod state;
mod words;

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use self::band::Ahead;
pub use self::error::DequantiseError;
use self::listing::Listing;
use self::plan::{Planned, Scheme, plan};
use super::{ElementType, Layer, SkippedLayer, WeightSlice, WeightSource};
use crate::Scalar;

/// A source that decodes quantised weights and lists them under the names and in the shapes that they had
/// before quantisation.
///
/// Quantised models store codes instead of the weights with which they compute, with scales and other tables
/// in separate tensors. The format is recognised from the names, shapes and types of the tensors:
///
/// | stored as | weight |
/// |---|---|
/// | `weight` in 8 bits (float or integer) or floats of 4 bits with `weight_scale`, `weight_scale_inv`, `scale_weight` or `qscale_weight`: one scale, one a row, a column, a block or a group; perhaps `weight_zero_point` | (code − zero) · scale |
/// | `weight` in I8 with `weight.scale` or `scale`: one, or one a row; perhaps `weight.zero_point` | (code − zero) · scale |
/// | ONNX: `x_quantized` in 8 bits, `x_scale`, `x_zero_point` | (code − zero) · scale |
/// | LLM.int8: `weight` in I8, `SCB` | code · SCB / 127 |
/// | bitsandbytes NF4 and FP4: `weight` in U8, `weight.absmax`, `weight.quant_map`, `weight.quant_state.*`; nested absmax too | map\[code\] · absmax |
/// | GPTQ of 2, 3, 4 and 8 bits: `qweight`, `qzeros`, `scales`, perhaps `g_idx` | (code − zero − 1) · scale |
/// | AWQ of 4 bits, for kernels of matrices and of one vector: `qweight`, `qzeros`, `scales` | (code − zero) · scale |
/// | compressed-tensors, packed: `weight_packed`, `weight_scale`, `weight_shape`, perhaps `weight_zero_point` and `weight_g_idx` | (code − zero) · scale |
/// | MLX of 2 to 8 bits: `weight` in U32, `scales`, `biases` | code · scale + bias |
/// | NVFP4 and MXFP4: `weight_packed` in U8, `weight_scale`, perhaps `weight_global_scale`; or `weight` in U8 or F4, `weight_scale`, `weight_scale_2` | code · scale / global scale; or code · scale · second scale |
/// | gpt-oss: `x_blocks`, `x_scales` | code · scale |
/// | Quanto: `weight._data`, `weight._scale`; torchao: `_weight_qdata`, `_weight_scale`, perhaps `_weight_zero_point` | (code − zero) · scale |
///
/// The second format of GPTQ stores zeros without subtracting 1. Nothing in the tensors declares it; it is
/// recognised if the zeros of the first outputs are all in the middle of the range of codes.
///
/// MLX's groups are taken to have 64 inputs, its default, unless with groups of 32 or 128 more layers would have as
/// many inputs as some layer has outputs.
///
/// The length of a block follows from the shapes. If several lengths fit, other dimensions and layers decide.
/// Otherwise, it is the length with the most factors of two. The last block may be incomplete.
///
/// Layers that can't be decoded are left out as a whole, with one [`SkippedLayer`] for the model. This
/// includes the modules of EXL2, EXL3, AQLM, QuIP#, HQQ, VPTQ and SpQR. Scales of activations and unexplained
/// integers (positions, masks, codes without a scale) aren't weights and aren't listed. A decoded layer has
/// the element type of its codes, or [`ElementType::U8`] if several are packed into one integer.
///
/// # Memory
///
/// Only the needed parts of tables are read: at most a row of scales, or as many numbers as values are read.
/// With the feature `std`, a layer of GPTQ or AWQ keeps up to 4 MiB of words, or one column of them, while it
/// is read. Otherwise each row would need a few bytes from all over the tensor.
///
/// # Examples
///
/// ```
/// use mother::weights::{Dequantised, InMemoryModel, Layer, WeightSource};
///
/// let model = InMemoryModel::new("int8")
///     .with_layer("w.weight", [2, 2], vec![127_i8, -127, 0, 127])?
///     .with_layer("w.SCB", [2], vec![0.5_f32, 2.0])?;
/// let model = Dequantised::new(model)?;
/// let layer = model.layers().next().unwrap()?;
/// assert_eq!((layer.name(), layer.shape()), ("w.weight", &[2, 2][..]));
/// let mut values = [0.0_f32; 4];
/// layer.read(0, &mut values)?;
/// assert_eq!(values, [0.5, -0.5, 0.0, 2.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// T. Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", NeurIPS 2022.
/// [arXiv:2208.07339](https://arxiv.org/abs/2208.07339)
///
/// T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", NeurIPS 2023.
/// [arXiv:2305.14314](https://arxiv.org/abs/2305.14314)
///
/// E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
/// ICLR 2023. [arXiv:2210.17323](https://arxiv.org/abs/2210.17323)
///
/// J. Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration",
/// MLSys 2024. [arXiv:2306.00978](https://arxiv.org/abs/2306.00978)
#[derive(Clone, Debug)]
pub struct Dequantised<S> {
    source: S,
    planned: Vec<Planned>,
    skipped: Vec<SkippedLayer>,
}

impl<S: WeightSource> Dequantised<S> {
    /// Wraps a model after recognising how it stores its weights.
    ///
    /// The layers of a model that isn't quantised stay unchanged.
    ///
    /// # Errors
    ///
    /// The source's error if it can't list its layers or read a small table.
    ///
    /// # Complexity
    ///
    /// O(l) look-ups for l layers. The only values read are those that describe other tensors: a few hundred
    /// numbers per layer, and the group of each input for GPTQ.
    pub fn new(source: S) -> Result<Self, S::Error> {
        let (planned, skipped) = {
            let layers: Result<Vec<_>, _> = source.layers().collect();
            plan(&mut Listing::new(&layers?), source.skipped_layers())?
        };
        Ok(Self {
            source,
            planned,
            skipped,
        })
    }

    /// The source itself.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }
}

impl<S: WeightSource> WeightSource for Dequantised<S> {
    type Error = DequantiseError<S::Error>;
    type Layer<'a>
        = DequantisedLayer<'a, S::Layer<'a>>
    where
        Self: 'a;

    fn name(&self) -> &str {
        self.source.name()
    }

    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, Self::Error>> {
        let mut parts: HashMap<String, Vec<S::Layer<'_>>> = HashMap::new();
        let mut failure = None;
        for layer in self.source.layers() {
            match layer {
                Ok(layer) => parts.entry(layer.name().into()).or_default().push(layer),
                Err(error) => {
                    failure = Some(Err(DequantiseError::Source(error)));
                    break;
                }
            }
        }
        let planned = if failure.is_none() {
            &self.planned[..]
        } else {
            &[]
        };
        let layers = planned.iter().map(move |planned| {
            let mut part = |name: &String| {
                let found = parts.get_mut(name).and_then(Vec::pop);
                found.ok_or_else(|| DequantiseError::Missing {
                    layer: name.clone(),
                })
            };
            let parts: Result<Vec<_>, _> = planned.found.parts.iter().map(&mut part).collect();
            Ok(DequantisedLayer {
                planned,
                parts: parts?,
                ahead: Ahead::default(),
            })
        });
        failure.into_iter().chain(layers)
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        &self.skipped
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.source.interleaved_groups()
    }
}

/// A layer of a [`Dequantised`] source.
#[derive(Debug)]
pub struct DequantisedLayer<'a, L> {
    planned: &'a Planned,
    /// The tensors from which it is decoded.
    parts: Vec<L>,
    ahead: Ahead,
}

impl<L: Layer> Layer for DequantisedLayer<'_, L> {
    type Error = DequantiseError<L::Error>;

    fn name(&self) -> &str {
        &self.planned.name
    }

    fn shape(&self) -> &[usize] {
        &self.planned.found.shape
    }

    fn element_type(&self) -> ElementType {
        self.planned.found.element_type
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Self::Error> {
        let missing = || DequantiseError::Missing {
            layer: self.planned.name.clone(),
        };
        let Some((codes, tables)) = self.parts.split_first() else {
            return Err(missing());
        };
        let read = match &self.planned.found.scheme {
            Scheme::Stored => codes.read(offset, values),
            Scheme::Scaled(scaled) => scaled.read(codes, tables, offset, values),
            Scheme::Nibbles(nibbles) => nibbles.read(codes, tables, offset, values),
            Scheme::Words(words) => words.read((codes, &self.ahead), tables, offset, values),
        };
        read.map_err(DequantiseError::Source)
    }

    fn preferred_length(&self) -> usize {
        match (&self.planned.found.scheme, self.parts.first()) {
            (Scheme::Stored, Some(stored)) => stored.preferred_length(),
            _ => 1,
        }
    }

    fn rounding(&self) -> Result<Option<f64>, Self::Error> {
        match (&self.planned.found.scheme, self.parts.get(1)) {
            (Scheme::Words(words), Some(scales)) => words.rounding(scales),
            (Scheme::Stored, _) => self.parts.first().map_or(Ok(None), Layer::rounding),
            _ => Ok(None),
        }
        .map_err(DequantiseError::Source)
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        match (&self.planned.found.scheme, self.parts.first()) {
            (Scheme::Stored, Some(stored)) => stored.as_slice(),
            _ => None,
        }
    }
}
