//! Shards: what several parts of an index find together is what one index finds.

use mother::heritage::{Index, IndexError, ModelGraph, Shard, ShardMessage};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::InMemoryModel;

use crate::index::{Random, Weights, hub};

/// Lets shards talk until the first one has the graph; messages arrive in another order than sent.
fn run(mut shards: Vec<Shard>) -> Result<ModelGraph, IndexError> {
    let mut messages: Vec<ShardMessage> = Vec::new();
    for _ in 0..1000 {
        let mut inboxes: Vec<Vec<ShardMessage>> = vec![Vec::new(); shards.len()];
        for message in messages.into_iter().rev() {
            inboxes[message.to()].push(message);
        }
        messages = Vec::new();
        for (shard, inbox) in shards.iter_mut().zip(inboxes) {
            messages.extend(shard.step(inbox)?);
        }
        if shards.iter().all(Shard::is_done) {
            assert!(messages.is_empty());
            assert!(shards.iter().skip(1).all(|shard| shard.graph().is_none()));
            return Ok(shards[0].graph().unwrap().clone());
        }
    }
    panic!("no end");
}

/// As many shards, to which the models are dealt by turns.
fn deal(signatures: &[Signature], count: usize, limit: usize) -> Vec<Shard> {
    let new = |number: usize| {
        let at_once = if number.is_multiple_of(2) { 3 } else { 7 };
        let shard = Shard::new(number, count).with_dense_limit(limit);
        shard.with_signatures_at_once(at_once)
    };
    let mut shards: Vec<Shard> = (0..count).map(new).collect();
    for (at, signature) in signatures.iter().enumerate() {
        // Not all have as many.
        let shard = &mut shards[at * 7 % 11 % count];
        shard.insert(signature.clone()).unwrap();
    }
    shards
}

fn assert_like_one_index(signatures: &[Signature]) {
    for limit in [1, 48] {
        let mut index = Index::new().with_dense_limit(limit);
        for signature in signatures {
            index.insert(signature.clone()).unwrap();
        }
        let expected = index.graph().unwrap();
        for count in [1, 2, 3, 8] {
            let found = run(deal(signatures, count, limit)).unwrap();
            assert_eq!(found, expected, "{count} shards, dense up to {limit}");
        }
    }
}

fn sign(name: &str, layers: &[(&str, [usize; 2], &[f32])]) -> Signature {
    let mut model = InMemoryModel::new(name);
    for &(layer, shape, values) in layers {
        model = model.with_layer(layer, shape, values.to_vec()).unwrap();
    }
    SignatureOptions::new().sign(&model).unwrap()
}

/// Families of many layouts: whole models, halves, other names, more rows; and copies of some.
fn mixed() -> Vec<Signature> {
    let mut random = Random(21);
    let mut signatures = Vec::new();
    let mut all: Vec<Weights> = Vec::new();
    for member in 0..90 {
        let weights = match member % 30 {
            0 => random.weights(),
            at => {
                let from = all[member - 1 - random.next() as usize % at].clone();
                let size = 0.01 + 0.05 * random.uniform();
                random.step(&from, size)
            }
        };
        let [a, b] = &weights;
        let name = format!("{:03}", (member * 37 + 11) % 101);
        let [fresh, _] = random.weights();
        let signature = match member % 9 {
            0 => sign(&name, &[("a", [64, 32], a), ("head", [16, 128], &fresh)]),
            1 => sign(&name, &[("layer.0", [64, 32], a), ("layer.1", [32, 64], b)]),
            2 => sign(&name, &[("b", [32, 64], b), ("c", [64, 32], &fresh)]),
            3 => sign(&name, &[("a", [32, 32], &a[..1024]), ("b", [32, 64], b)]),
            _ => sign(&name, &[("a", [64, 32], a), ("b", [32, 64], b)]),
        };
        if member % 8 == 5 {
            signatures.push(signature.clone().with_name(format!("{name}-copy")));
            // The same values under other names are copies, too.
            let renamed = [("x.b", [32, 64], &b[..]), ("y.a", [64, 32], &a[..])];
            signatures.push(sign(&format!("0{name}"), &renamed));
        }
        signatures.push(signature);
        all.push(weights);
    }
    signatures
}

#[test]
fn shards_find_what_one_index_finds() {
    assert_like_one_index(&hub(31, 4, 35).0);
}

#[test]
fn shards_find_the_same_where_layouts_differ() {
    assert_like_one_index(&mixed());
}

#[test]
fn shards_without_models_are_no_hindrance() {
    assert_like_one_index(&[]);
    assert_like_one_index(&hub(32, 1, 2).0);
}

#[test]
fn invalid_use_of_shards_is_an_error() {
    let (signatures, _) = hub(33, 1, 2);
    let name = signatures[0].name().to_string();
    let mut shards = [Shard::new(0, 2), Shard::new(1, 2)];
    for shard in &mut shards {
        shard.insert(signatures[0].clone()).unwrap();
    }
    let twice = IndexError::DuplicateModel { model: name };
    assert_eq!(shards[0].insert(signatures[0].clone()), Err(twice.clone()));
    assert_eq!(run(shards.to_vec()), Err(twice));

    let model = InMemoryModel::new("other").with_layer("a", [2, 2], vec![1.0_f32; 4]);
    let options = SignatureOptions::new().with_buckets(64).unwrap();
    let other = options.sign(&model.unwrap()).unwrap();
    let mut shards = [Shard::new(0, 2), Shard::new(1, 2)];
    shards[0].insert(signatures[0].clone()).unwrap();
    shards[1].insert(other.clone()).unwrap();
    assert!(matches!(run(shards.to_vec()), Err(IndexError::Evidence(_))));
    assert!(matches!(
        shards[0].insert(other),
        Err(IndexError::Evidence(_))
    ));
}

/// Whatever is lost on the way, a shard says that something is missing or finds less, and never panics.
#[test]
fn lost_messages_are_survived() {
    let (signatures, _) = hub(34, 2, 8);
    for lost in 0..40 {
        let mut shards = deal(&signatures, 2, 48);
        let mut messages: Vec<ShardMessage> = Vec::new();
        for step in 0..100 {
            let mut inboxes: Vec<Vec<ShardMessage>> = vec![Vec::new(); 2];
            for (at, message) in messages.into_iter().enumerate() {
                if step != lost || at % 3 != 0 {
                    inboxes[message.to()].push(message);
                }
            }
            messages = Vec::new();
            let steps = shards
                .iter_mut()
                .zip(inboxes)
                .map(|(shard, inbox)| shard.step(inbox));
            match steps.collect::<Result<Vec<_>, _>>() {
                Ok(sent) => messages.extend(sent.into_iter().flatten()),
                Err(_) => break,
            }
        }
    }
}
