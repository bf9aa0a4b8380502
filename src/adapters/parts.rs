//! The tensors of an adapter for one weight, and the change that they represent.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::adapter::{Lengths, Target};
use super::names::{Module, Part};
use super::update::{Change, Matrix, Table};
use super::{AdapterConfig, AdapterError};
use crate::weights::{Layer, element_count};

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
        if let Some(factors) = self.0.get(&Part::Factors) {
            return of_factors(module, factors);
        }
        let has = |parts: &[Part]| parts.iter().any(|part| self.0.contains_key(part));
        if has(&Part::HADAMARD) {
            self.hadamard(module, config)
        } else if has(&Part::KRONECKER) {
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
        let (inputs, outputs) = (matrix(down)?, matrix(up)?);
        let rank = inputs.rows;
        if rank == 0 || outputs.columns != rank {
            return Err(misfit(&module, down, up));
        }
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
        Ok(Target {
            scale: config.scale(&module.name, rank, self.alpha()?),
            module,
            change: Some(Change::Added(product)),
            lengths: magnitudes.map_or(Lengths::Kept, Lengths::Magnitudes),
            rank,
        })
    }

    fn hadamard(&self, module: Module, config: &AdapterConfig) -> Result<Target, AdapterError> {
        let [first, second] = [[0, 1], [2, 3]].map(|pair| {
            let [outputs, inputs] = pair.map(|part| self.0.get(&Part::HADAMARD[part]));
            outputs.zip(inputs).ok_or_else(|| incomplete(&module))
        });
        let (first, second) = (product(&module, first?)?, product(&module, second?)?);
        let (rank, dimensions) = (first.1, |table: &Table| [table.rows(), table.columns()]);
        if dimensions(&first.0) != dimensions(&second.0) || second.1 != rank {
            return Err(incomplete(&module));
        }
        Ok(Target {
            scale: config.scale(&module.name, rank, self.alpha()?),
            module,
            change: Some(Change::Hadamard(first.0, second.0)),
            lengths: Lengths::Kept,
            rank,
        })
    }

    fn kronecker(&self, module: Module, config: &AdapterConfig) -> Result<Target, AdapterError> {
        let table = |[whole, outputs, inputs]: [Part; 3]| {
            if let Some(whole) = self.0.get(&whole) {
                return Ok((Table::Whole(matrix(whole)?), None));
            }
            let both = self.0.get(&outputs).zip(self.0.get(&inputs));
            let (table, rank) = product(&module, both.ok_or_else(|| incomplete(&module))?)?;
            Ok((table, Some(rank)))
        };
        let [one, one_outputs, one_inputs, two, two_outputs, two_inputs] = Part::KRONECKER;
        let (first, of_first) = table([one, one_outputs, one_inputs])?;
        let (second, of_second) = table([two, two_outputs, two_inputs])?;
        // Without small factors, LyCORIS uses the product unscaled, and PEFT records the rank.
        let rank = of_second.or(of_first).or(config.rank());
        let scale = match rank {
            Some(rank) => config.scale(&module.name, rank, self.alpha()?),
            None => 1.0,
        };
        let least = |table: &Table| table.rows().min(table.columns());
        Ok(Target {
            scale,
            module,
            rank: rank.unwrap_or_else(|| least(&first) * least(&second)),
            change: Some(Change::Kronecker(first, second)),
            lengths: Lengths::Kept,
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
        rank: 0,
    })
}

/// The product of two factors, the outputs' first, and its rank.
fn product<L: Layer<Error: ToString>>(
    module: &Module,
    (outputs, inputs): (&L, &L),
) -> Result<(Table, usize), AdapterError> {
    let (left, right) = (matrix(outputs)?, matrix(inputs)?);
    let rank = right.rows;
    if rank == 0 || left.columns != rank {
        return Err(misfit(module, inputs, outputs));
    }
    Ok((Table::Product(left, right), rank))
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
    let reading = |reason: String| AdapterError::Reading { reason };
    let shape = layer.shape();
    let Some(count) = element_count(shape) else {
        return Err(reading(alloc::format!("{:?} is too large", layer.name())));
    };
    let mut values = vec![0.0_f32; count];
    layer
        .read(0, &mut values)
        .map_err(|error| reading(error.to_string()))?;
    let rows = shape.first().copied().unwrap_or(1);
    Ok(Matrix {
        rows,
        columns: count.checked_div(rows).unwrap_or(0),
        values,
    })
}
