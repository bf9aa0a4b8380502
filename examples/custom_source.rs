//! Your own format, tested with this crate's harness: a `WeightSource` over an invented packed format, checked
//! against the contract of every source on arbitrary models.
//!
//! In a crate of your own, `check` would be the body of a test. Run it with
//! `cargo run --release --example custom_source --features proptest`.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use core::error::Error;
use core::fmt;

use mother::Scalar;
use mother::invariants::{same_weights, weight_source};
use mother::strategies::in_memory_models;
use mother::weights::{
    DecodeError, ElementType, InMemoryModel, Layer, WeightSource, element_count,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// A model in one block of bytes: the format under test. It stores only F64.
struct Packed {
    name: String,
    directory: Vec<Entry>,
    bytes: Vec<u8>,
}

struct Entry {
    layer: String,
    shape: Vec<usize>,
    start: usize,
}

struct PackedLayer<'a> {
    model: &'a Packed,
    entry: &'a Entry,
}

#[derive(Debug, PartialEq)]
enum PackedError {
    EndsTooSoon,
    Decode(DecodeError),
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsTooSoon => f.write_str("the model ends before the layer does"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl Error for PackedError {}

impl Packed {
    /// Writes any model.
    fn write<S: WeightSource>(model: &S) -> Result<Self, S::Error> {
        let (mut directory, mut bytes) = (Vec::new(), Vec::new());
        for layer in model.layers() {
            let layer = layer?;
            let mut values = vec![0.0_f64; element_count(layer.shape()).unwrap_or(0)];
            layer.read(0, &mut values)?;
            directory.push(Entry {
                layer: layer.name().into(),
                shape: layer.shape().into(),
                start: bytes.len(),
            });
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Ok(Self {
            name: model.name().into(),
            directory,
            bytes,
        })
    }
}

impl WeightSource for Packed {
    type Error = PackedError;
    type Layer<'a> = PackedLayer<'a>;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<PackedLayer<'_>, PackedError>> {
        let layer = |entry| Ok(PackedLayer { model: self, entry });
        self.directory.iter().map(layer)
    }
}

impl Layer for PackedLayer<'_> {
    type Error = PackedError;

    fn name(&self) -> &str {
        &self.entry.layer
    }

    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn element_type(&self) -> ElementType {
        ElementType::F64
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), PackedError> {
        let begin = self.entry.start + 8 * offset;
        let bytes = self.model.bytes.get(begin..begin + 8 * values.len());
        let bytes = bytes.ok_or(PackedError::EndsTooSoon)?;
        ElementType::F64
            .decode(bytes, values)
            .map_err(PackedError::Decode)
    }
}

/// Checks that the source returns what was written and fulfils its contract.
fn check(model: &InMemoryModel<'_>) -> Result<(), TestCaseError> {
    let failed = |error: &dyn Error| TestCaseError::fail(error.to_string());
    let packed = Packed::write(model).map_err(|error| failed(&error))?;
    weight_source(&packed).map_err(|violation| failed(&violation))?;
    let again = Packed::write(&packed).map_err(|error| failed(&error))?;
    same_weights(&packed, &again).map_err(|violation| failed(&violation))
}

/// A runner with the same cases every time.
fn runner() -> TestRunner {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn main() -> Result<(), Box<dyn Error>> {
    runner().run(&in_memory_models(), |model| check(&model))?;
    let cases = runner().config().cases;
    println!("{cases} arbitrary models: written, read back, and all checks passed");

    // An example of a mistake: the last layer begins one value too late. The smallest failing model is shown.
    let broken = runner().run(&in_memory_models(), |model| {
        let failed = |error: &dyn Error| TestCaseError::fail(error.to_string());
        let mut packed = Packed::write(&model).map_err(|error| failed(&error))?;
        if let Some(last) = packed.directory.last_mut() {
            last.start += 8;
        }
        weight_source(&packed).map_err(|violation| failed(&violation))
    });
    match broken {
        Err(TestError::Fail(reason, model)) => {
            let layers = model.layers().count();
            println!("the mistake was found: {reason} ({layers} layer)");
        }
        Err(aborted) => return Err(aborted.to_string().into()),
        Ok(()) => return Err("the mistake was not found".into()),
    }
    Ok(())
}
