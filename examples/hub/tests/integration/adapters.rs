//! Adapters in the folder, with bases in the folder.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Server, models};

/// Writes an adapter of rank 2 for the first layer of models that tests make.
fn write_adapter(folder: &Path, base: &str) {
    let side = models::SIDE;
    let values = |seed: u64, size: f32| -> Vec<f32> {
        let made = models::base(seed).remove(0).into_iter().take(2 * side);
        made.map(|value| size * value).collect()
    };
    let tensors = [
        (
            "base_model.model.layers.0.lora_A.weight",
            [2, side],
            values(40, 1.0),
        ),
        (
            "base_model.model.layers.0.lora_B.weight",
            [side, 2],
            values(41, 0.3),
        ),
    ];
    models::write_tensors(&folder.join("adapter_model.safetensors"), &tensors);
    let config = serde_json::json!({
        "peft_type": "LORA", "base_model_name_or_path": base, "r": 2, "lora_alpha": 2,
    });
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
}

#[test]
fn an_adapter_is_attached_to_its_base() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models/acme");
    let base = models::base(1);
    models::write(&root.join("base/model.safetensors"), &base);
    for seed in 0..3 {
        let path = root.join(format!("chat-{seed}/model.safetensors"));
        models::write(&path, &models::child(&base, seed));
    }
    write_adapter(&root.join("adapter"), "acme/base");
    write_adapter(&root.join("lost"), "acme/never-here");
    let server = Server::with_models(&folder, &[]);
    let jobs = server.get("/jobs").expect(200);
    let jobs = jobs["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 6);
    for job in jobs {
        let is_lost = job["model"] == "acme/lost";
        let state = if is_lost { "failed" } else { "done" };
        let view = server.wait_for_end(job["job"].as_i64().unwrap(), state);
        if is_lost {
            assert_eq!(view["error"]["code"], "adapter");
            let message = view["error"]["message"].as_str().unwrap();
            assert!(message.contains("acme/never-here"), "{message}");
        }
    }
    let adapter = server.get("/models/acme/adapter?wait=60").expect(200);
    assert_eq!(adapter["parent"], "acme/base", "{adapter}");
    assert_eq!(
        (&adapter["kind"], &adapter["rank"]),
        (&"adapter".into(), &2.into())
    );
    let card = server.get("/models/acme/adapter/card").text();
    assert!(
        card.contains("base_model: \"acme/base\"\nbase_model_relation: adapter\n"),
        "{card}"
    );

    // A stated base overrides the configuration.
    let body = r#"{"id": "found", "path": "acme/lost", "base_model": "acme/base"}"#;
    let job = server.post(body).expect(202)["job"].as_i64().unwrap();
    server.wait_for_end(job, "done");
    let found = server.get("/models/found?wait=60").expect(200);
    assert_eq!(found["stated"]["agrees"], true, "{found}");
}
