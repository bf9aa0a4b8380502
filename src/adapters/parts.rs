//! The tensors of an adapter for one weight, and the change that they represent.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::adapter::{Difference, Lengths, Target};
use super::names::{Factor, Module, Part};
use super::update::{Change, Matrix, Table};
use super::{AdapterConfig, AdapterError};
use crate::weights::{Layer, element_count};

/// The most values of a factor that is computed from two.
const MOST_VALUES: usize = 1 << 24;

/// The tensors of one weight.
pub(super) struct Parts<L>(BTreeMap<Part, L>);

impl<L> Default for Parts<L> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<L: Layer<Error: ToString>> Parts<L> {
    pub(super) fn set(&mut self, part: Part, layer: L) {
        self.0.insert(part, layer);
    }

    /// The change that these tensors represent.
    pub(super) fn target(
        &self,
        module: Module,
        config: &AdapterConfig,
    ) -> Result<Target, AdapterError> {
        if let Some(difference) = self.0.get(&Part::Difference) {
            return of_difference(module, difference);
        }
        if let Some(factors) = self.0.get(&Part::Factors) {
            return of_factors(module, factors);
        }
        let has = |is_part: fn(&Part) -> bool| self.0.keys().any(is_part);
        if has(|part| matches!(part, Part::Hadamard(_) | Part::HadamardOther(_))) {
            self.hadamard(module, config)
        } else if has(|part| matches!(part, Part::Kronecker(_) | Part::KroneckerOther(_))) {
            self.kronecker(module, config)
        } else {
            self.low_rank(module, config)
        }
    }

    fn low_rank(&self, module: Module, config: &AdapterConfig) -> Result<Target, AdapterError> {
        let part = |part| self.0.get(&part);
        // An embedding table has one row per input, so inputs take the place of outputs.
        let straight = part(Part::Down).zip(part(Part::Up));
        let table = part(Part::EmbeddingDown).zip(part(Part::EmbeddingUp));
        let (down, up) = straight.or(table).ok_or_else(|| incomplete(&module))?;
        let is_table = straight.is_none();
        let (mut inputs, outputs) = (matrix(down)?, matrix(up)?);
        let rank = inputs.rows;
        if let Some(middle) = part(Part::Middle) {
            inputs = after(middle, &inputs)?.ok_or_else(|| misfit(&module, down, middle))?;
        }
        if rank == 0 || inputs.rows != rank || outputs.columns != rank {
            return Err(misfit(&module, down, up));
        }
        let is_adaptive = self
            .scale_by_diagonal(&mut inputs)?
            .ok_or_else(|| incomplete(&module))?;
        let divisor = self
            .vector(Part::Divisor)?
            .and_then(|divisor| divisor.first().copied());
        let magnitudes = self.vector(Part::Magnitude)?;
        if is_table && magnitudes.is_some() {
            let method = "DoRA on embeddings".to_owned();
            return Err(AdapterError::Method { method });
        }
        if (magnitudes.as_ref()).is_some_and(|found| found.len() != outputs.rows) {
            return Err(misfit(&module, down, up));
        }
        let product = if is_table {
            Table::Product(inputs.transposed(), outputs.transposed())
        } else {
            Table::Product(outputs, inputs)
        };
        // AdaLoRA drops ranks in training but keeps the scale.
        let divisor = match divisor {
            Some(divisor) => f64::from(divisor),
            None if is_adaptive => config.initial_rank().unwrap_or(rank) as f64,
            None => rank as f64,
        };
        let method = match (&magnitudes, is_adaptive) {
            (Some(_), _) => "DoRA",
            (None, true) => "AdaLoRA",
            (None, false) => "LoRA",
        };
        Ok(Target {
            scale: config.scale(&module.name, divisor, self.alpha()?),
            module,
            change: Some(Change::Added(product)),
            lengths: magnitudes.map_or(Lengths::Kept, Lengths::Magnitudes),
            difference: None,
            rank,
            method,
        })
    }

    /// Scales the rows of the factor of inputs by AdaLoRA's diagonal; whether there is one, `None` if it doesn't
    /// fit.
    fn scale_by_diagonal(&self, inputs: &mut Matrix) -> Result<Option<bool>, AdapterError> {
        let Some(diagonal) = self.vector(Part::Diagonal)? else {
            return Ok(Some(false));
        };
        if diagonal.len() != inputs.rows {
            return Ok(None);
        }
        let rows = inputs.values.chunks_mut(inputs.columns.max(1));
        for (row, factor) in rows.zip(diagonal) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Ok(Some(true))
    }

    /// One of two tables held as products, and its rank.
    fn product(
        &self,
        module: &Module,
        part: fn(Factor) -> Part,
    ) -> Result<(Table, usize), AdapterError> {
        let part = |factor| self.0.get(&part(factor));
        let (outputs, inputs) = part(Factor::OfOutputs)
            .zip(part(Factor::OfInputs))
            .ok_or_else(|| incomplete(module))?;
        let (mut left, mut right) = (matrix(outputs)?, matrix(inputs)?);
        let rank = right.rows;
        if let Some(middle) = part(Factor::Middle) {
            // Here, the factor of outputs also has a row per rank.
            left = left.transposed();
            right = after(middle, &right)?.ok_or_else(|| misfit(module, inputs, middle))?;
        }
        if rank == 0 || right.rows != rank || left.columns != rank {
            return Err(misfit(module, inputs, outputs));
        }
        Ok((Table::Product(left, right), rank))
    }

    fn hadamard(&self, module: Module, config: &AdapterConfig) -> Result<Target, AdapterError> {
        let [first, second] = Part::HADAMARD.map(|part| self.product(&module, part));
        let (first, second) = (first?, second?);
        let (rank, dimensions) = (first.1, |table: &Table| [table.rows(), table.columns()]);
        if dimensions(&first.0) != dimensions(&second.0) || second.1 != rank {
            return Err(incomplete(&module));
        }
        Ok(Target {
            scale: config.scale(&module.name, rank as f64, self.alpha()?),
            module,
            change: Some(Change::Hadamard(first.0, second.0)),
            lengths: Lengths::Kept,
            difference: None,
            rank,
            method: "LoHa",
        })
    }

    fn kronecker(&self, module: Module, config: &AdapterConfig) -> Result<Target, AdapterError> {
        let [first, second] = Part::KRONECKER.map(|part| {
            if let Some(whole) = self.0.get(&part(Factor::Whole)) {
                return Ok((Table::Whole(matrix(whole)?), None));
            }
            let (table, rank) = self.product(&module, part)?;
            Ok((table, Some(rank)))
        });
        let ((first, of_first), (second, of_second)) = (first?, second?);
        // Without small factors, LyCORIS uses the product unscaled, and PEFT records the rank.
        let rank = of_second.or(of_first).or(config.rank());
        let scale = match rank {
            Some(rank) => config.scale(&module.name, rank as f64, self.alpha()?),
            None => 1.0,
        };
        let least = |table: &Table| table.rows().min(table.columns());
        Ok(Target {
            scale,
            module,
            rank: rank.unwrap_or_else(|| least(&first) * least(&second)),
            change: Some(Change::Kronecker(first, second)),
            lengths: Lengths::Kept,
            difference: None,
            method: "LoKr",
        })
    }

    /// The alpha given by a separate tensor.
    fn alpha(&self) -> Result<Option<f64>, AdapterError> {
        let alpha = self.vector(Part::Alpha)?;
        Ok(alpha
            .and_then(|alpha| alpha.first().copied())
            .map(f64::from))
    }

    /// All values of an optional tensor.
    fn vector(&self, part: Part) -> Result<Option<Vec<f32>>, AdapterError> {
        let layer = self.0.get(&part).map(matrix).transpose()?;
        Ok(layer.map(|matrix| matrix.values))
    }
}

/// IA3's factors: a column scales outputs, a row scales inputs.
fn of_factors<L: Layer<Error: ToString>>(
    module: Module,
    layer: &L,
) -> Result<Target, AdapterError> {
    let values = matrix(layer)?.values;
    let lengths = match *layer.shape() {
        [_, 1] => Lengths::OfOutputs(values),
        [1, _] => Lengths::OfInputs(values),
        _ => {
            let method = "convolutional IA3".to_owned();
            return Err(AdapterError::Method { method });
        }
    };
    Ok(Target {
        module,
        change: None,
        scale: 0.0,
        lengths,
        difference: None,
        rank: 0,
        method: "IA3",
    })
}

/// The whole change of a weight, which LyCORIS stores unscaled.
fn of_difference(module: Module, layer: &impl Layer) -> Result<Target, AdapterError> {
    let shape = matrix_shape(layer)?;
    Ok(Target {
        module,
        change: None,
        scale: 0.0,
        lengths: Lengths::Kept,
        difference: Some(Difference {
            tensor: layer.name().to_owned(),
            shape,
        }),
        rank: 0,
        method: "full",
    })
}

/// The kernel of a convolution that applies the factor of inputs, without a kernel of its own, and then `middle`;
/// `None` if they don't fit each other.
fn after<L: Layer<Error: ToString>>(
    middle: &L,
    inputs: &Matrix,
) -> Result<Option<Matrix>, AdapterError> {
    let kernels = matrix(middle)?;
    let (rank, width) = (inputs.rows, inputs.columns);
    if middle.shape().get(1) != Some(&rank) || rank == 0 {
        return Ok(None);
    }
    let size = kernels.columns / rank;
    let columns = width.checked_mul(size);
    let count = columns.and_then(|columns| columns.checked_mul(kernels.rows));
    let (Some(columns), Some(count)) = (columns, count.filter(|&count| count <= MOST_VALUES))
    else {
        return Ok(None);
    };
    let mut values = vec![0.0_f32; count];
    for (row, value) in values.iter_mut().enumerate() {
        let (row, column) = (row / columns, row % columns);
        let (input, place) = (column / size, column % size);
        let products = (0..rank).map(|step| {
            let kernel = kernels.values[row * kernels.columns + step * size + place];
            kernel * inputs.values[step * width + input]
        });
        *value = products.sum();
    }
    Ok(Some(Matrix {
        rows: kernels.rows,
        columns,
        values,
    }))
}

fn incomplete(module: &Module) -> AdapterError {
    AdapterError::Incomplete {
        weight: module.name.clone(),
    }
}

fn misfit(module: &Module, down: &impl Layer, up: &impl Layer) -> AdapterError {
    AdapterError::Shapes {
        weight: module.name.clone(),
        down: down.shape().to_vec(),
        up: up.shape().to_vec(),
    }
}

/// All values of a layer as a matrix, with all dimensions but the first merged into columns.
fn matrix<L: Layer<Error: ToString>>(layer: &L) -> Result<Matrix, AdapterError> {
    let [rows, columns] = matrix_shape(layer)?;
    let mut values = vec![0.0_f32; rows * columns];
    layer
        .read(0, &mut values)
        .map_err(|error| AdapterError::Reading {
            reason: error.to_string(),
        })?;
    Ok(Matrix {
        rows,
        columns,
        values,
    })
}

/// The number of rows of a layer, and the product of its other dimensions.
fn matrix_shape(layer: &impl Layer) -> Result<[usize; 2], AdapterError> {
    let shape = layer.shape();
    let count = element_count(shape).ok_or_else(|| AdapterError::Reading {
        reason: alloc::format!("{:?} is too large", layer.name()),
    })?;
    let rows = shape.first().copied().unwrap_or(1);
    Ok([rows, count.checked_div(rows).unwrap_or(0)])
}
