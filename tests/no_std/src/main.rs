//! Recovers a tree of three models without `std`: own panic handler, C's `main` and allocator.
#![no_std]
#![no_main]

extern crate alloc;

mod platform;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::ffi::{c_char, c_int};
use core::fmt::Write;

#[cfg(feature = "svd")]
use mother::evidence::RankOverLayers;
use mother::evidence::{Distance, Measurement, SignatureComparison};
use mother::heritage::{ModelGraph, Recovery, Trees};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::{InMemoryModel, ShapeError};

use platform::Console;

/// Rows and columns of the only layer.
const SIDE: usize = 24;

#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(Console::Error, "{error}");
            1
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let models = chain()?;
    show("l2", &recover(&models, Distance::L2)?)?;
    show("signatures", &recover_from_signatures(&models)?)?;
    #[cfg(feature = "svd")]
    {
        let over_layers = RankOverLayers::Maximum;
        let rank = Distance::Rank {
            tolerance: None,
            over_layers,
        };
        show("rank", &recover(&models, rank)?)?;
    }
    Ok(())
}

/// A model, its child and its grandchild: each step is of low rank and makes the tails lighter.
fn chain() -> Result<[InMemoryModel<'static>; 3], ShapeError> {
    let mut state = 1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let base: Vec<f32> = (0..SIDE * SIDE)
        .map(|_| {
            let x = random();
            x * x * x
        })
        .collect();
    let mut step = |from: &[f32], rank: usize| -> Vec<f32> {
        let mut weights = from.to_vec();
        for _ in 0..rank {
            let factors: Vec<f32> = (0..2 * SIDE).map(|_| random()).collect();
            for (index, weight) in weights.iter_mut().enumerate() {
                *weight += 0.3 * factors[index / SIDE] * factors[SIDE + index % SIDE];
            }
        }
        weights
    };
    let child = step(&base, 2);
    let grandchild = step(&child, 2);
    let model = |name, weights| InMemoryModel::new(name).with_layer("w", [SIDE, SIDE], weights);
    Ok([
        model("grandchild", grandchild)?,
        model("base", base)?,
        model("child", child)?,
    ])
}

/// The default method, from signatures.
fn recover_from_signatures(models: &[InMemoryModel<'_>]) -> Result<ModelGraph, Box<dyn Error>> {
    let signed = SignatureOptions::new().sign_all(models).into_iter();
    let signatures: Vec<Signature> = signed.collect::<Result<_, _>>()?;
    let evidence = SignatureComparison::new().compare(&signatures)?;
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    Ok(recovery.recover(&evidence)?)
}

fn recover(models: &[InMemoryModel<'_>], distance: Distance) -> Result<ModelGraph, Box<dyn Error>> {
    let evidence = Measurement::new().with_distance(distance).measure(models)?;
    let recovery = Recovery::paper().with_trees(Trees::Count(1));
    Ok(recovery.recover(&evidence)?)
}

fn show(distance: &str, graph: &ModelGraph) -> Result<(), Box<dyn Error>> {
    writeln!(Console::Output, "{distance}:\n{graph}")?;
    let parent = |name| graph.index(name).and_then(|model| graph.parent(model));
    let expected = [
        ("base", None),
        ("child", graph.index("base")),
        ("grandchild", graph.index("child")),
    ];
    if expected.iter().all(|&(name, truth)| parent(name) == truth) {
        Ok(())
    } else {
        Err("the tree is not the true one".into())
    }
}
