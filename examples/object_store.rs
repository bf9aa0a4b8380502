//! Weights that never were a file: models in an object store, read by ranges of bytes.
//!
//! The store is made up, slow and unreliable: each request waits for a while, and every third one
//! fails. What a real one would need is the same: a client, a list of what an object holds, and the
//! two traits below. Run it with `cargo run --release --example object_store`.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use core::error::Error;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::thread;

use mother::Scalar;
use mother::weights::{ElementType, Layer, WeightSource, element_count};

/// Objects by key, behind a bad connection.
struct ObjectStore {
    objects: HashMap<String, Vec<u8>>,
    requests: AtomicU32,
}

impl ObjectStore {
    /// One ranged request, as `GET` with a `Range` header would be.
    fn get_range(&self, key: &str, range: Range<usize>) -> Result<&[u8], StoreError> {
        thread::sleep(Duration::from_micros(100));
        if self.requests.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Err(StoreError::TimedOut);
        }
        let object = self.objects.get(key).ok_or(StoreError::NoSuchObject)?;
        object.get(range).ok_or(StoreError::NoSuchRange)
    }
}

#[derive(Debug)]
enum StoreError {
    TimedOut,
    NoSuchObject,
    NoSuchRange,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the store did not answer in time",
            Self::NoSuchObject => "the store has no such object",
            Self::NoSuchRange => "the object ends before the range does",
        })
    }
}

impl Error for StoreError {}

/// A model: one object a layer, F32 values.
struct StoredModel<'a> {
    store: &'a ObjectStore,
    name: String,
    layers: Vec<(String, Vec<usize>)>,
}

impl WeightSource for StoredModel<'_> {
    type Error = StoreError;
    type Layer<'a>
        = StoredLayer<'a>
    where
        Self: 'a;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<StoredLayer<'_>, StoreError>> {
        (self.layers.iter()).map(|(name, shape)| {
            Ok(StoredLayer {
                model: self,
                name,
                shape,
            })
        })
    }
}

struct StoredLayer<'a> {
    model: &'a StoredModel<'a>,
    name: &'a str,
    shape: &'a [usize],
}

impl Layer for StoredLayer<'_> {
    type Error = StoreError;

    fn name(&self) -> &str {
        self.name
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn element_type(&self) -> ElementType {
        ElementType::F32
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), StoreError> {
        const ATTEMPTS: u32 = 4;
        let key = format!("{}/{}", self.model.name, self.name);
        let size = self.element_type().size();
        let range = size * offset..size * (offset + values.len());
        let mut answer = self.model.store.get_range(&key, range.clone());
        for attempt in 1..ATTEMPTS {
            // Only what may go better next time is asked for again, each time after a longer pause.
            if !matches!(answer, Err(StoreError::TimedOut)) {
                break;
            }
            thread::sleep(Duration::from_micros(100 << attempt));
            answer = self.model.store.get_range(&key, range.clone());
        }
        (self.element_type().decode(answer?, values)).map_err(|_| StoreError::NoSuchRange)
    }
}

/// A layer's mean, in chunks: the memory it takes does not depend on the layer's size.
fn mean<L: Layer>(layer: &L) -> Result<f64, L::Error> {
    let count = element_count(layer.shape()).unwrap_or(0);
    let mut chunk = [0.0_f32; 1000];
    let (mut sum, mut offset) = (0.0, 0);
    while offset < count {
        let length = chunk.len().min(count - offset);
        let values = &mut chunk[..length];
        layer.read(offset, values)?;
        sum += values.iter().map(|&value| f64::from(value)).sum::<f64>();
        offset += length;
    }
    Ok(sum / count as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let layers = [
        ("encoder", vec![60, 70], 0.5_f32),
        ("decoder", vec![10, 25], -2.0),
    ];
    let mut store = ObjectStore {
        objects: HashMap::new(),
        requests: AtomicU32::new(0),
    };
    for (name, shape, value) in &layers {
        let bytes = value.to_le_bytes().repeat(shape.iter().product());
        store.objects.insert(format!("base/{name}"), bytes);
    }
    let names = layers.map(|(name, shape, _)| (name.to_owned(), shape));
    let mut model = StoredModel {
        store: &store,
        name: "base".to_owned(),
        layers: names.into(),
    };

    println!("model `{}`", model.name());
    let mut means = Vec::new();
    for layer in model.layers() {
        let layer = layer?;
        let mean = mean(&layer)?;
        println!("  {:8} {:?} mean {mean}", layer.name(), layer.shape());
        means.push(mean);
    }
    assert_eq!(means, [0.5, -2.0]);

    // An error that no retry can mend reaches whoever reads.
    model.layers.push(("lost".to_owned(), vec![1]));
    let lost = model
        .layers()
        .last()
        .ok_or("no layer")?
        .and_then(|layer| mean(&layer));
    assert!(matches!(lost, Err(StoreError::NoSuchObject)));
    println!(
        "  {} requests, one in three of which timed out",
        store.requests.into_inner()
    );
    Ok(())
}
