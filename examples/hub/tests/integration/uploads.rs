//! Uploaded signatures: which are accepted or rejected, and claims of cards.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mother::signature::SignatureOptions;
use mother::sketch::SketchKey;
use mother::weights::InMemoryModel;
use tempfile::TempDir;

use crate::support::{Server, models};

#[test]
fn a_signature_is_placed_by_its_weights() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let base = models::base(1);
    let children: Vec<_> = (0..4).map(|seed| models::child(&base, seed)).collect();
    let put = |id: &str, layers: &models::Layers| {
        let bytes = models::signature(layers).to_bytes();
        server
            .put(&format!("/models/acme/{id}/signature"), &bytes)
            .expect(201)
    };
    put("base", &base);
    for (at, child) in children.iter().enumerate() {
        put(&format!("child-{at}"), child);
    }
    put("copy", &children[0]);
    let base = server.get("/models/acme/base?wait=60").expect(200);
    assert_eq!(base["placed"], true);
    assert!(base["parent"].is_null(), "{base}");
    assert_eq!(base["tree"]["size"], 6);
    assert_eq!(base["child_count"], 4);
    let copy = server.get("/models/acme/copy?wait=60").expect(200);
    let original = server.get("/models/acme/child-0?wait=60").expect(200);
    let kinds = [&copy["kind"], &original["kind"]];
    assert!(kinds.contains(&&"duplicate".into()), "{copy} {original}");

    server.delete("/models/acme/copy").expect(204);
    server
        .get("/models/acme/copy")
        .refused(404, "no_such_model");
    server
        .get("/models/acme/copy/signature")
        .refused(404, "no_such_model");
    put("copy", &children[0]);
}

#[test]
fn claims_of_cards_are_compared_with_the_weights() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let (base, other) = (models::base(1), models::base(2));
    let put = |id: &str, layers: &models::Layers, query: &str| {
        let bytes = models::signature(layers).to_bytes();
        server
            .put(&format!("/models/{id}/signature{query}"), &bytes)
            .expect(201)
    };
    put("acme/base", &base, "");
    put("acme/other", &other, "");
    for seed in 0..3 {
        put(
            &format!("acme/sibling-{seed}"),
            &models::child(&base, 10 + seed),
            "",
        );
    }
    put(
        "honest",
        &models::child(&base, 1),
        "?base_model=acme/base&base_model_relation=finetune",
    );
    put("wrong", &models::child(&base, 2), "?base_model=acme/other");
    put(
        "lost",
        &models::child(&base, 3),
        "?base_model=acme/never-uploaded",
    );
    let stated = |id: &str| server.get(&format!("/models/{id}?wait=60")).expect(200);
    let honest = stated("honest");
    assert_eq!(honest["stated"]["agrees"], true, "{honest}");
    assert_eq!(honest["stated"]["base_model_relation"], "finetune");
    assert_eq!(honest["stated"]["means"], serde_json::json!(["acme/base"]));
    let wrong = stated("wrong");
    assert_eq!(wrong["stated"]["agrees"], false, "{wrong}");
    assert!(
        wrong["warnings"]
            .as_array()
            .unwrap()
            .contains(&"card says otherwise".into())
    );
    assert!(stated("lost")["stated"]["agrees"].is_null());
    let tree = server.get("/models/wrong/tree?wait=60").expect(200);
    let nodes = tree["models"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["id"] == "wrong").unwrap();
    assert!(
        node["warnings"]
            .as_array()
            .unwrap()
            .contains(&"card says otherwise".into())
    );
}

#[test]
fn little_in_common_is_a_warning() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let base = models::base(1);
    let put = |id: &str, layers: &models::Layers| {
        let bytes = models::signature(layers).to_bytes();
        server
            .put(&format!("/models/{id}/signature"), &bytes)
            .expect(201)
    };
    put("base", &base);
    put("sibling", &models::child(&base, 1));
    // Of eight layers one comes from the base, and the others have names that nothing else has.
    let mut layers = vec![("layers.0".to_owned(), models::child(&base, 2).remove(0))];
    let new = [models::base(7), models::base(8)].concat();
    layers.extend(
        new.into_iter()
            .take(7)
            .enumerate()
            .map(|(at, layer)| (format!("new.{at}"), layer)),
    );
    let body = models::signature_of(layers, SignatureOptions::new()).to_bytes();
    server
        .put("/models/mostly-new/signature", &body)
        .expect(201);
    let found = server.get("/models/mostly-new?wait=60").expect(200);
    assert_eq!(found["matrices"], serde_json::json!([1, 8]), "{found}");
    assert_eq!(found["warnings"][0], "compared on 1 of 8 matrices");
}

#[test]
fn unsuitable_signatures_are_rejected_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[("HUB_SIGNATURE_BYTES", "200000")]);
    let base = models::base(1);
    let good = models::signature(&base).to_bytes();
    let mut half = good.clone();
    half.truncate(good.len() / 2);
    for bad in [
        &b""[..],
        b"{}",
        b"\x02\0\0\0\0\0\0\0{}",
        &half,
        &[0xff; 1000],
    ] {
        server
            .put("/models/bad/signature", bad)
            .refused(422, "bad_signature");
    }
    let other_key = SignatureOptions::new().with_key(SketchKey::new(7));
    let other_buckets = SignatureOptions::new().with_buckets(16).unwrap();
    for options in [other_key, other_buckets] {
        let bytes = models::signature_with(&base, options).to_bytes();
        server
            .put("/models/bad/signature", &bytes)
            .refused(422, "other_settings");
    }
    server
        .put("/models/bad/signature", &vec![0; 200_001])
        .refused(413, "too_large");
    let long = format!("?base_model={}", "x".repeat(501));
    server
        .put(&format!("/models/bad/signature{long}"), &good)
        .refused(400, "bad_request");
    server.get("/models/bad").refused(404, "no_such_model");

    // A chunked body without a length is limited as well.
    let chunks = format!("{:x}\r\n{}\r\n", 150_000, "x".repeat(150_000)).repeat(2);
    let head = "PUT /models/bad/signature HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let answer = server.raw(&format!(
        "{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    ));
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"),
        "{answer}"
    );

    server.put("/models/good/signature", &good).expect(201);
    server.put("/models/good/signature", &good).expect(200);
    let other = models::signature(&models::base(2)).to_bytes();
    server
        .put("/models/good/signature", &other)
        .refused(409, "model_exists");
    assert_eq!(server.get("/models/good/signature").status, 200);
}

#[test]
fn one_of_two_concurrent_writers_of_a_name_wins() {
    const WRITERS: usize = 8;
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let bodies: Vec<_> = (0..WRITERS as u64)
        .map(|seed| models::signature(&models::base(seed)).to_bytes())
        .collect();
    for round in 0..5 {
        let barrier = Barrier::new(WRITERS);
        let path = format!("/models/round-{round}/signature");
        let statuses: Vec<u16> = thread::scope(|scope| {
            let mut writers = Vec::new();
            for body in &bodies {
                let (barrier, server, path) = (&barrier, &server, &path);
                writers.push(scope.spawn(move || {
                    barrier.wait();
                    server.put(path, body).status
                }));
            }
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1);
        assert_eq!(
            statuses.iter().filter(|&&status| status == 409).count(),
            WRITERS - 1
        );
        let winner = statuses.iter().position(|&status| status == 201).unwrap();
        let kept = mother::signature::Signature::from_bytes(&server.get(&path).body).unwrap();
        let put = mother::signature::Signature::from_bytes(&bodies[winner]).unwrap();
        assert_eq!(kept.tensors(), put.tensors());
    }
    let graph = server.get("/models/round-4?wait=60").expect(200);
    assert_eq!(graph["pending"], false);
}

#[test]
fn a_full_hub_takes_no_more() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_models(&folder, &[("HUB_MODEL_COUNT", "1")]);
    let bytes = |seed| models::signature(&models::base(seed)).to_bytes();
    server.put("/models/first/signature", &bytes(1)).expect(201);
    server
        .put("/models/second/signature", &bytes(2))
        .refused(507, "hub_full");
    models::write(
        &folder.path().join("models/third.safetensors"),
        &models::base(3),
    );
    let job = server.add("third", "third.safetensors").expect(202)["job"]
        .as_i64()
        .unwrap();
    assert_eq!(
        server.wait_for_end(job, "failed")["error"]["code"],
        "hub_full"
    );
    server.delete("/models/first").expect(204);
    server
        .put("/models/second/signature", &bytes(2))
        .expect(201);
}

#[test]
fn absurd_numbers_affect_no_other_model() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    // Squares of these fit into double precision, and hardly any sums of squares.
    for (at, size) in [1e150, 1.5e150, 1e152, 1e-160].into_iter().enumerate() {
        let values = models::base(1).concat();
        let values = values.iter().map(|value| f64::from(*value) * size);
        let model = InMemoryModel::new("absurd");
        let model = model.with_layer("layers.0", [96, 96], values.collect::<Vec<f64>>());
        let signature = SignatureOptions::new().sign(&model.unwrap()).unwrap();
        let path = format!("/models/absurd-{at}/signature");
        server.put(&path, &signature.to_bytes()).expect(201);
    }
    let base = models::base(2);
    let child = models::child(&base, 1);
    for (id, layers) in [("base", &base), ("child", &child)] {
        let body = models::signature(layers).to_bytes();
        server
            .put(&format!("/models/{id}/signature"), &body)
            .expect(201);
    }
    let found = server.get("/models/child?wait=60").expect(200);
    let state = (&found["pending"], &found["current"]);
    assert_eq!(state, (&false.into(), &true.into()));
    assert_eq!(found["tree"]["size"], 2);
    assert_eq!(server.get("/healthz").expect(200)["status"], "ok");
}

#[test]
fn readers_are_answered_while_writers_work() {
    const WRITERS: usize = 3;
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let base = models::base(1);
    let bodies: Vec<Vec<u8>> = (0..6)
        .map(|seed| models::signature(&models::child(&base, seed)).to_bytes())
        .collect();
    let working = AtomicUsize::new(WRITERS);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (server, bodies, working) = (&server, &bodies, &working);
            scope.spawn(move || {
                for step in 0..40 {
                    let path = format!("/models/w{writer}-{}", step % 10);
                    // Each of ten names is added, removed and added again.
                    if step / 10 % 2 == 0 {
                        let body = &bodies[(step + writer) % bodies.len()];
                        server.put(&format!("{path}/signature"), body).expect(201);
                    } else {
                        server.delete(&path).expect(204);
                    }
                }
                working.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for reader in 0..3 {
            let (server, working) = (&server, &working);
            scope.spawn(move || {
                let mut step = reader;
                while working.load(Ordering::Relaxed) > 0 {
                    step += 1;
                    let path = format!("/models/w{}-{}", step % WRITERS, step % 10);
                    let answer = server.get(&path);
                    assert!(matches!(answer.status, 200 | 404), "{}", answer.text());
                    let tree = server.get(&format!("{path}/tree"));
                    assert!(matches!(tree.status, 200 | 404 | 503), "{}", tree.text());
                }
            });
        }
    });
    // Everything that was added has been removed again.
    assert_eq!(crate::crash::ids(&server).len(), 21);
}
