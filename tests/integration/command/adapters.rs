//! Adapters among models: on their bases, or listed with what they need.

use super::*;

/// The bytes of an adapter of rank 2 for the matrices of a foundation model, and the merged model.
fn adapter(base: &[Matrix], seed: u64) -> (Vec<u8>, Vec<Matrix>) {
    const NAMES: [[&str; 2]; 2] = [
        [
            "base_model.model.first.lora_A.weight",
            "base_model.model.first.lora_B.weight",
        ],
        [
            "base_model.model.second.lora_A.weight",
            "base_model.model.second.lora_B.weight",
        ],
    ];
    let (mut tensors, mut merged) = (Vec::new(), base.to_vec());
    for (at, (_, [rows, columns], values)) in merged.iter_mut().enumerate() {
        let seed = 10 * seed + at as u64;
        let down: Vec<f32> = noise(2 * seed, 2 * *columns).collect();
        let up: Vec<f32> = noise(2 * seed + 1, *rows * 2).map(|x| 0.2 * x).collect();
        for (i, value) in values.iter_mut().enumerate() {
            let (row, column) = (i / *columns, i % *columns);
            let product = (0..2).map(|k| up[2 * row + k] * down[k * *columns + column]);
            *value += product.sum::<f32>();
        }
        tensors.push((NAMES[at][0], [2, *columns], down));
        tensors.push((NAMES[at][1], [*rows, 2], up));
    }
    (file_of(&tensors), merged)
}

const CONFIG: &str = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 2,
    "base_model_name_or_path": "acme/base"}"#;

fn write_base(folder: &TempFolder) -> Vec<Matrix> {
    let base = foundation(1, 24);
    folder.write("base/model.safetensors", file_of(&base));
    folder.write("full/model.safetensors", file_of(&fine_tuned(&base, 101)));
    base
}

#[track_caller]
fn model(json: &Value, id: &str) -> Value {
    let mut models = json["models"].as_array().unwrap().iter();
    models.find(|model| model["id"] == id).unwrap().clone()
}

#[test]
fn adapters_are_attached_to_the_base_that_they_name() {
    let folder = TempFolder::new();
    let base = write_base(&folder);
    for (name, seed) in [("chat", 1), ("z-code", 2)] {
        let (file, merged) = adapter(&base, seed);
        folder.write(&format!("{name}/adapter_model.safetensors"), file);
        folder.write(&format!("{name}/adapter_config.json"), CONFIG);
        // Whichever comes first by name.
        folder.write(&format!("merged-{name}.safetensors"), file_of(&merged));
    }
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.stderr, "");
    let json = run.json();
    for name in ["chat", "z-code"] {
        let adapter = model(&json, name);
        assert_eq!(
            (&adapter["parent"], &adapter["kind"]),
            (&"base".into(), &"adapter".into())
        );
        assert_eq!(
            (&adapter["rank"], &adapter["placed"]),
            (&2.into(), &true.into())
        );
        let merged = model(&json, &format!("merged-{name}"));
        assert_eq!(
            (&merged["parent"], &merged["kind"]),
            (&name.into(), &"duplicate".into())
        );
    }
    assert_eq!(model(&json, "full")["parent"], "base");
    assert_eq!(model(&json, "base")["parent"], Value::Null);
    // The paper's method takes them for models, too.
    let run = recover_folder(folder.path(), &["--method=paper"]);
    assert_eq!(model(&run.json(), "chat")["parent"], "base");
}

#[test]
fn an_adapter_of_an_adapter_is_its_child() {
    let folder = TempFolder::new();
    let base = write_base(&folder);
    let (file, merged) = adapter(&base, 1);
    folder.write("chat/adapter_model.safetensors", file);
    folder.write("chat/adapter_config.json", CONFIG);
    let (file, merged) = adapter(&merged, 2);
    folder.write("again/adapter_model.safetensors", file);
    let config = CONFIG.replace("acme/base", "acme/chat");
    folder.write("again/adapter_config.json", config);
    folder.write("merged.safetensors", file_of(&merged));
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.stderr, "");
    let json = run.json();
    for (name, parent, kind) in [
        ("chat", "base", "adapter"),
        ("again", "chat", "adapter"),
        ("merged", "again", "duplicate"),
    ] {
        let model = model(&json, name);
        assert_eq!(
            (&model["parent"], &model["kind"]),
            (&parent.into(), &kind.into())
        );
    }
    // Two that are each other's base have none.
    let config = CONFIG.replace("acme/base", "acme/again");
    folder.write("chat/adapter_config.json", config);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(model(&run.json(), "again")["placed"], false);
    assert_eq!(run.stderr.lines().count(), 2);
}

#[test]
fn adapters_of_other_methods_are_listed_with_the_name_of_their_base() {
    let folder = TempFolder::new();
    write_base(&folder);
    let tensors = [
        ("prompt", "PROMPT_TUNING", "prompt_embeddings"),
        ("rotated", "OFT", "base_model.model.first.oft_R.weight"),
        ("norms", "LN_TUNING", "base_model.model.norm.weight"),
    ];
    for (id, method, name) in tensors {
        let tensor: Matrix = (name, [2, 24], vec![0.5; 48]);
        folder.write(
            &format!("{id}/adapter_model.safetensors"),
            file_of(&[tensor]),
        );
        let config = CONFIG.replace("LORA", method);
        folder.write(&format!("{id}/adapter_config.json"), config);
    }
    let run = recover_folder(folder.path(), &[]);
    for (id, method, _) in tensors {
        assert_eq!(model(&run.json(), id)["placed"], false);
        let start = format!("{id} is an adapter of acme/base that cannot be read: ");
        let line = run.stderr.lines().find(|line| line.starts_with(&start));
        assert!(
            line.is_some_and(|line| line.contains(method)),
            "{}",
            run.stderr
        );
    }
    assert_eq!(run.stderr.lines().count(), tensors.len());
}

#[test]
fn an_adapter_without_a_base_name_is_attached_to_the_only_model_that_fits() {
    let folder = TempFolder::new();
    let base = foundation(1, 24);
    folder.write("base.safetensors", file_of(&base));
    folder.write("chat.safetensors", adapter(&base, 1).0);
    let json = recover_folder(folder.path(), &[]).json();
    assert_eq!(model(&json, "chat")["kind"], "adapter");
    assert_eq!(model(&json, "chat")["parent"], "base");
}

#[test]
fn adapters_without_their_base_are_listed() {
    let folder = TempFolder::new();
    let base = write_base(&folder);
    folder.write("chat.safetensors", adapter(&base, 1).0);
    folder.write("code/adapter_model.safetensors", adapter(&base, 1).0);
    let config = CONFIG.replace("acme/base", "acme/other");
    folder.write("code/adapter_config.json", config);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(
        run.stderr,
        "chat is an adapter (LoRA, rank 2) without its base, which could be any of base, full\n\
         code is an adapter (LoRA, rank 2) without its base acme/other, which is not among the models\n"
    );
    let json = run.json();
    for name in ["chat", "code"] {
        let adapter = model(&json, name);
        assert_eq!(
            (&adapter["parent"], &adapter["placed"]),
            (&Value::Null, &false.into())
        );
    }
    assert_eq!(json["skipped"], serde_json::json!([]));
    // They are no children of each other, even if they are equal, and change nothing for others.
    assert_eq!(model(&json, "full")["parent"], "base");
    fs::remove_dir_all(folder.path().join("base")).unwrap();
    fs::remove_dir_all(folder.path().join("full")).unwrap();
    let json = recover_folder(folder.path(), &[]).json();
    assert_eq!(json["trees"].as_array().unwrap().len(), 2);
}

#[test]
fn an_adapter_that_changes_nothing_is_a_copy_of_its_base() {
    for name in ["a", "z"] {
        let folder = TempFolder::new();
        let base = write_base(&folder);
        let zeros = base
            .iter()
            .map(|(name, sides, _)| (*name, *sides, vec![0.0; 48]));
        let names = ["first.lora_A.weight", "first.lora_B.weight"];
        let tensors: Vec<Matrix> = (names.iter().zip([[2, 24], [24, 2]]).zip(zeros))
            .map(|((name, sides), (_, _, zeros))| (*name, sides, zeros))
            .collect();
        folder.write(
            &format!("{name}/adapter_model.safetensors"),
            file_of(&tensors),
        );
        folder.write(&format!("{name}/adapter_config.json"), CONFIG);
        let json = recover_folder(folder.path(), &[]).json();
        assert_eq!(model(&json, name)["parent"], "base", "{name}");
        assert_eq!(model(&json, "base")["parent"], Value::Null, "{name}");
    }
}

#[test]
fn known_facts_override_an_adapters_configuration() {
    let folder = TempFolder::new();
    let base = write_base(&folder);
    folder.write("chat/adapter_model.safetensors", adapter(&base, 1).0);
    folder.write("chat/adapter_config.json", CONFIG);
    let known = folder.write("known.txt", r#"{"parents": {"chat": "full"}}"#);
    let json = recover_folder(folder.path(), &["--known", known.to_str().unwrap()]).json();
    assert_eq!(model(&json, "chat")["parent"], "full");
}

#[test]
fn signatures_of_adapters_are_kept_until_adapter_base_or_configuration_change() {
    let (folder, store) = (TempFolder::new(), TempFolder::new());
    let base = write_base(&folder);
    folder.write("chat/adapter_model.safetensors", adapter(&base, 1).0);
    let config = folder.write("chat/adapter_config.json", CONFIG);
    let store = ["--store", store.path().to_str().unwrap()];
    let read = || recover_folder(folder.path(), &store).json()["signatures"]["read"].clone();
    assert_eq!((read(), read()), (3.into(), 0.into()));
    let changed = CONFIG.replace("\"lora_alpha\": 2", "\"lora_alpha\": 3");
    fs::write(config, changed).unwrap();
    assert_eq!(read(), 1);
}

#[test]
fn an_adapter_that_is_damaged_or_of_another_method_is_named() {
    let folder = TempFolder::new();
    write_base(&folder);
    let half: Matrix = (
        "base_model.model.first.lora_A.weight",
        [2, 24],
        vec![0.0; 48],
    );
    folder.write("half/adapter_model.safetensors", file_of(&[half]));
    let other: Matrix = ("lora_unet_q.oft_blocks", [1, 1], vec![0.0]);
    folder.write("oft.safetensors", file_of(&[other]));
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.json()["skipped"][0]["id"], "half");
    assert_eq!(model(&run.json(), "oft")["placed"], false);
    assert_eq!(
        run.stderr,
        "oft is an adapter that cannot be read: unsupported adapter method \"OFT\"\n\
         skipped half: unusable adapter: incomplete factors for \"first\"\n"
    );
}

/// Programs that don't know of adapters store both.
#[test]
fn a_model_that_is_stored_with_its_adapter_is_what_both_give() {
    let folder = TempFolder::new();
    let base = foundation(1, 24);
    let (_, merged) = adapter(&base, 1);
    let named = |models: &[Matrix]| {
        let names = ["first.weight", "second.weight"].into_iter().zip(models);
        file_of(
            &names
                .map(|(name, (_, shape, values))| (name, *shape, values.clone()))
                .collect::<Vec<_>>(),
        )
    };
    folder.write("base/model.safetensors", named(&base));
    folder.write("full/model.safetensors", named(&fine_tuned(&base, 101)));
    let (one, two) = (base[0].clone(), base[1].clone());
    let ([rows, columns], values) = (one.1, one.2);
    // The factors of `adapter` for the first matrix.
    let down: Vec<f32> = noise(20, 2 * columns).collect();
    let up: Vec<f32> = noise(21, rows * 2).map(|x| 0.2 * x).collect();
    let stored = [
        (
            "base_model.model.first.base_layer.weight",
            [rows, columns],
            values,
        ),
        (
            "base_model.model.first.lora_A.default.weight",
            [2, columns],
            down,
        ),
        (
            "base_model.model.first.lora_B.default.weight",
            [rows, 2],
            up,
        ),
        ("base_model.model.second.weight", two.1, two.2.clone()),
    ];
    folder.write("z-stored/model.safetensors", file_of(&stored));
    folder.write(
        "z-plain/model.safetensors",
        named(&[merged[0].clone(), two]),
    );
    let run = recover_folder(folder.path(), &[]);
    assert!(
        run.stderr
            .starts_with("left out the adapter factors among the weights of z-stored")
    );
    assert_eq!(model(&run.json(), "z-stored")["kind"], "duplicate");
    assert_eq!(model(&run.json(), "z-stored")["parent"], "base");
    folder.write("z-stored/adapter_config.json", CONFIG);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.stderr, "");
    assert_eq!(model(&run.json(), "z-stored")["parent"], "z-plain");
    assert_eq!(model(&run.json(), "z-stored")["kind"], "duplicate");
}
