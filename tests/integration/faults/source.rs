//! A model in memory that fails in a chosen way.

use core::error::Error;
use core::fmt;
use std::sync::{Mutex, PoisonError};

use mother::Scalar;
use mother::weights::{ElementType, InMemoryLayer, InMemoryModel, Layer, WeightSource};

/// What goes wrong; reads of the model are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// This read fails, later ones don't.
    FailsAt(usize),
    /// This read and all later ones fail.
    FailsFrom(usize),
    /// This read leaves the last value as it was, and says that it went well.
    ShortAt(usize),
    /// From this read on all values are others.
    ChangesAt(usize),
    /// This layer can't be listed.
    ListingFailsAt(usize),
    /// Every read lets all other threads go first.
    Slow,
}

pub(super) struct Faulty {
    model: InMemoryModel<'static>,
    fault: Fault,
    /// The layer of every read.
    log: Mutex<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

impl Faulty {
    pub(super) fn new(model: InMemoryModel<'static>, fault: Fault) -> Self {
        Self {
            model,
            fault,
            log: Mutex::default(),
        }
    }

    /// The layers in the order in which they were read.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Counts reads from 0 again.
    pub(super) fn forget(&self) {
        self.log.lock().unwrap().clear();
    }
}

impl WeightSource for Faulty {
    type Error = Failure;
    type Layer<'a> = FaultyLayer<'a>;

    fn name(&self) -> &str {
        self.model.name()
    }

    fn layers(&self) -> impl Iterator<Item = Result<FaultyLayer<'_>, Failure>> {
        self.model.layers().enumerate().map(|(index, layer)| {
            if self.fault == Fault::ListingFailsAt(index) {
                return Err(Failure(format!("layer {index} cannot be listed")));
            }
            let Ok(layer) = layer;
            Ok(FaultyLayer {
                source: self,
                layer,
            })
        })
    }
}

pub(super) struct FaultyLayer<'a> {
    source: &'a Faulty,
    layer: &'a InMemoryLayer<'a>,
}

impl Layer for FaultyLayer<'_> {
    type Error = Failure;

    fn name(&self) -> &str {
        self.layer.name()
    }

    fn shape(&self) -> &[usize] {
        self.layer.shape()
    }

    fn element_type(&self) -> ElementType {
        self.layer.element_type()
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Failure> {
        let now = {
            let log = &self.source.log;
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(self.name().into());
            log.len() - 1
        };
        let filled = match self.source.fault {
            Fault::FailsAt(read) if now == read => {
                return Err(Failure(format!("read {now} failed")));
            }
            Fault::FailsFrom(read) if now >= read => {
                return Err(Failure(format!("read {read} failed")));
            }
            Fault::ShortAt(read) if now == read => values.len() - 1,
            _ => values.len(),
        };
        if self.source.fault == Fault::Slow {
            (0..100).for_each(|_| std::thread::yield_now());
        }
        let Ok(()) = self.layer.read(offset, &mut values[..filled]);
        if matches!(self.source.fault, Fault::ChangesAt(read) if now >= read) {
            for value in values {
                *value = *value + T::one();
            }
        }
        Ok(())
    }
}
