//! What the fuzz targets check, on their kept corpus and on random bytes: so that what they once found
//! stays found, without a fuzzer.

mod arborescence;
mod bytes;
#[cfg(feature = "gguf")]
mod gguf;
#[cfg(feature = "safetensors")]
mod index;
mod linkage;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "pytorch")]
mod pytorch;
mod recovery;
#[cfg(feature = "safetensors")]
mod safetensors;
#[cfg(feature = "safetensors")]
mod signature;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// The corpus isn't in the published package.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn replay(target: &str, cases: u32, check: fn(&[u8])) {
    for input in corpus(target) {
        check(&input);
        // What follows from it by cutting it short is an input too.
        check(&input[..input.len() / 2]);
    }
    let config = ProptestConfig {
        failure_persistence: None,
        ..crate::cases(cases)
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(any::<u8>(), 0..400), |input| {
            check(&input);
            Ok(())
        })
        .unwrap();
}

#[test]
fn arborescences() {
    replay("arborescence", 1000, arborescence::check);
}

#[cfg(feature = "gguf")]
#[test]
fn gguf_files() {
    replay("gguf", 1000, gguf::check);
}

#[cfg(feature = "safetensors")]
#[test]
fn indices() {
    replay("index", 200, index::check);
}

#[test]
fn linkages() {
    replay("linkage", 1000, linkage::check);
}

#[cfg(feature = "npz")]
#[test]
fn npz_files() {
    replay("npz", 1000, npz::check);
}

#[cfg(feature = "pytorch")]
#[test]
fn pytorch_files() {
    replay("pytorch", 1000, pytorch::check);
}

#[test]
fn recoveries() {
    replay("recovery", 1000, recovery::check);
}

#[cfg(feature = "safetensors")]
#[test]
fn safetensors_files() {
    replay("safetensors", 1000, safetensors::check);
}

#[cfg(feature = "safetensors")]
#[test]
fn signatures() {
    replay("signature", 1000, signature::check);
}
