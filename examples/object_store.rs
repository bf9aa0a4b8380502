//! Weights outside files: models in an object store, read by ranges of bytes, and their tree.
//!
//! The store is simulated and unreliable: every third request fails. A real one needs the same: a client, and
//! the two traits below. Run it with `cargo run --release --example object_store`.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;
use std::io::{Error, ErrorKind};

use mother::Scalar;
use mother::evidence::SignatureComparison;
use mother::heritage::Recovery;
use mother::signature::SignatureOptions;
use mother::weights::{ElementType, Layer, WeightSource};

/// Objects by key, behind a bad connection.
struct ObjectStore(HashMap<&'static str, Vec<u8>>, AtomicUsize);

impl ObjectStore {
    /// One ranged request, as `GET` with a `Range` header would be.
    fn get_range(&self, key: &str, range: Range<usize>) -> Result<&[u8], Error> {
        if self.1.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Err(ErrorKind::TimedOut.into());
        }
        let object = self.0.get(key).ok_or(ErrorKind::NotFound)?;
        (object.get(range)).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

/// A model: one object that holds one matrix of 32 × 32 single-precision values.
struct StoredModel<'a>(&'a ObjectStore, &'static str);

#[rustfmt::skip]
impl<'s> WeightSource for StoredModel<'s> {
    type Error = Error;
    type Layer<'a> = &'a StoredModel<'s> where Self: 'a;

    fn name(&self) -> &str { self.1 }
    fn layers(&self) -> impl Iterator<Item = Result<&Self, Error>> { core::iter::once(Ok(self)) }
}

#[rustfmt::skip]
impl Layer for &StoredModel<'_> {
    type Error = Error;

    fn name(&self) -> &str { "w" }
    fn shape(&self) -> &[usize] { &[32, 32] }
    fn element_type(&self) -> ElementType { ElementType::F32 }
    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Error> {
        let get = || self.0.get_range(self.1, 4 * offset..4 * (offset + values.len()));
        // Only timeouts are worth retrying.
        let is_late = |error: &Error| error.kind() == ErrorKind::TimedOut;
        let bytes = get().or_else(|error| if is_late(&error) { get() } else { Err(error) })?;
        ElementType::F32.decode(bytes, values).map_err(Error::other)
    }
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let base = |i: usize| (i * i % 61) as f32 - 30.0;
    let step = |i: usize, s: usize| (1 + i / 32 % 5) as f32 * ((i * s % 101) as f32 / 50.0 - 1.0);
    // Each model trained from the base moves every weight by its own step.
    let object = |(key, seed): (_, Option<usize>)| {
        let values = (0..1024).map(|i| base(i) + seed.map_or(0.0, |seed| step(i, seed)));
        (key, values.flat_map(f32::to_le_bytes).collect())
    };
    let objects = [("chat", Some(37)), ("code", Some(53)), ("base", None)].map(object);
    let store = ObjectStore(objects.into(), AtomicUsize::new(0));
    let models = ["chat", "code", "base"].map(|key| StoredModel(&store, key));
    let signatures = SignatureOptions::new().sign_all(&models).into_iter();
    let evidence =
        SignatureComparison::new().compare(&signatures.collect::<Result<Vec<_>, _>>()?)?;
    let graph = Recovery::new().recover(&evidence)?;
    for model in ["chat", "code"] {
        println!("{model} was trained from {:?}", graph.parent_of(model));
        assert_eq!(graph.parent_of(model), Some("base"));
    }
    Ok(())
}
