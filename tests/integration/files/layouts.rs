//! Folders as people and libraries lay them out.

use std::fs;

use mother::files::{FindError, ModelCard};
use proptest::prelude::*;

use super::*;

#[test]
fn files_of_one_folder_are_models_by_their_names() {
    let folder = TempFolder::new();
    folder.write("b.safetensors", weights(1.0));
    folder.write("a.b.safetensors", weights(2.0));
    folder.write("c/c.d.safetensors", weights(3.0));
    folder.write("c/e.safetensors", weights(4.0));
    folder.write(".hidden.safetensors", "");
    folder.write(".git/model.safetensors", "");
    folder.write("notes.txt", "text");
    folder.write("safetensors", "no ending");
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["a.b", "b", "c/c.d", "c/e"]);
    assert_eq!(lines(&found), [""; 0]);
    let second = found.models[1].open().unwrap();
    assert_eq!(read_all(&second).unwrap()[0].1, [1.0]);
}

#[test]
fn a_folder_that_is_one_model_gives_it_its_name() {
    let folder = TempFolder::new();
    folder.write("plain/model.safetensors", weights(1.0));
    folder.write("other/a1-final.safetensors", weights(1.0));
    folder.write("gptq/gptq_model-4bit-128g.safetensors", weights(1.0));
    folder.write("with_more/model.safetensors", weights(1.0));
    folder.write("with_more/ema.safetensors", weights(2.0));
    folder.write("deep/er/and/deeper/model.safetensors", weights(1.0));
    let found = find(&folder, &[""]);
    let expected = [
        "deep/er/and/deeper",
        "gptq",
        "other",
        "plain",
        "with_more",
        "with_more/ema",
    ];
    assert_eq!(names(&found), expected);
    assert_eq!(lines(&found), [""; 0]);
    // Given by itself, too; a file of a name of its own keeps that.
    for (path, name) in [
        ("plain", "plain"),
        ("plain/.", "plain"),
        ("plain/model.safetensors", "plain"),
        ("other", "a1-final"),
        ("other/a1-final.safetensors", "a1-final"),
        ("deep/er", "and/deeper"),
    ] {
        assert_eq!(names(&find(&folder, &[path])), [name], "{path}");
    }
}

#[test]
fn shards_are_one_model_with_an_index_and_without() {
    let folder = TempFolder::new();
    let index = "model.safetensors.index.json";
    write_shards(
        &folder,
        "indexed/model",
        Some(&["indexed", index].join("/")),
    );
    write_shards(&folder, "bare/model", None);
    write_shards(&folder, "flat/x", None);
    write_shards(&folder, "flat/y", Some("flat/y.safetensors.index.json"));
    // An index may call its shards as it likes.
    folder.write("free/1", weights(1.0));
    folder.write("free/2.safetensors", file_of(&[("b", &[1.0])]));
    let map = r#"{"weight_map":{"w":"1","b":"2.safetensors"}}"#;
    folder.write("free/model.safetensors.index.json", map);
    let found = find(&folder, &[""]);
    assert_eq!(
        names(&found),
        ["bare", "flat/x", "flat/y", "free", "indexed"]
    );
    assert_eq!(lines(&found), [""; 0]);
    for model in &found.models {
        assert_eq!(read_all(&model.open().unwrap()).unwrap().len(), 2);
        let files = model.files().len();
        assert_eq!(
            files,
            if model.path().ends_with(index) || files == 3 {
                3
            } else {
                2
            }
        );
    }
    // One shard that was given stands for all of them.
    for path in [
        "bare/model-00002-of-00002.safetensors",
        "indexed/model.safetensors.index.json",
    ] {
        let found = find(&folder, &[path]);
        assert_eq!(names(&found), [path.split_once('/').unwrap().0]);
        assert_eq!(read_all(&found.models[0].open().unwrap()).unwrap().len(), 2);
    }
    let both = [
        "bare/model-00001-of-00002.safetensors",
        "bare/model-00002-of-00002.safetensors",
    ];
    assert_eq!(names(&find(&folder, &both)), ["bare"]);
}

#[test]
fn a_pipeline_has_a_model_a_component() {
    let folder = TempFolder::new();
    for name in ["base", "tuned"] {
        let stem = format!("{name}/transformer/diffusion_pytorch_model");
        let index = format!("{stem}.safetensors.index.json");
        write_shards(&folder, &stem, Some(&index));
        let text_encoder = format!("{name}/text_encoder/model.safetensors");
        folder.write(&text_encoder, weights(1.0));
        folder.write(&format!("{name}/scheduler/scheduler_config.json"), "{}");
        folder.write(&format!("{name}/model_index.json"), "{}");
    }
    folder.write("sentences/modules.json", "[]");
    folder.write("sentences/0_Transformer/model.safetensors", weights(1.0));
    folder.write("sentences/1_Pooling/config.json", "{}");
    let found = find(&folder, &[""]);
    let expected = [
        "base/text_encoder",
        "base/transformer",
        "sentences/0_Transformer",
        "tuned/text_encoder",
        "tuned/transformer",
    ];
    assert_eq!(names(&found), expected);
    assert_eq!(lines(&found), [""; 0]);
    // Below what all that was given shares.
    let found = find(&folder, &["tuned/transformer", "base/transformer"]);
    assert_eq!(names(&found), ["base/transformer", "tuned/transformer"]);
    let found = find(&folder, &["base/transformer", "base/text_encoder"]);
    assert_eq!(names(&found), ["text_encoder", "transformer"]);
}

#[test]
fn checkpoints_below_a_training_run_are_models() {
    let folder = TempFolder::new();
    for run in ["run", "run/checkpoint-100", "run/checkpoint-200"] {
        folder.write(&format!("{run}/model.safetensors"), weights(1.0));
        for state in [
            "optimizer.pt",
            "training_args.bin",
            "scheduler.pt",
            "rng_state.pth",
        ] {
            folder.write(&format!("{run}/{state}"), "x");
        }
    }
    let found = find(&folder, &[""]);
    assert_eq!(
        names(&found),
        ["run", "run/checkpoint-100", "run/checkpoint-200"]
    );
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(
        names(&find(&folder, &["run"])),
        ["checkpoint-100", "checkpoint-200", "run"]
    );
}

#[cfg(feature = "pytorch")]
#[test]
fn pytorch_files_have_many_endings() {
    let folder = TempFolder::new();
    for file in [
        "epoch.ckpt",
        "model_best.pth.tar",
        "older.PT.TAR",
        "scripted.jit",
        "traced.torchscript",
    ] {
        folder.write(file, "x");
    }
    folder.write("data.tar", "x");
    let found = find(&folder, &[""]);
    let names: Vec<&str> = found.models.iter().map(|model| model.name()).collect();
    assert_eq!(
        names,
        ["epoch", "model_best", "older", "scripted", "traced"]
    );
    assert_eq!(lines(&found), [""; 0]);
}

#[test]
fn names_are_unique_and_the_same_in_any_order() {
    let folder = TempFolder::new();
    folder.write("a.safetensors", weights(1.0));
    folder.write("a/model.safetensors", weights(2.0));
    folder.write("x/model.safetensors", weights(3.0));
    folder.write("y/model.safetensors", weights(4.0));
    assert_eq!(names(&find(&folder, &[""])), ["a", "a/model", "x", "y"]);
    let files = [
        "y/model.safetensors",
        "x/model.safetensors",
        "y/../x/model.safetensors",
    ];
    assert_eq!(names(&find(&folder, &files)), ["x", "y"]);
    // What is given twice, by itself and in its folder, is one model.
    let twice = find(&folder, &["", "x", "x/model.safetensors", "y/../x"]);
    assert_eq!(twice, find(&folder, &[""]));
    assert_eq!(lines(&twice), [""; 0]);
}

#[test]
fn several_folders_share_names_only_where_they_have_to() {
    let folder = TempFolder::new();
    for model in ["acme/7b", "acme/a", "zeta/7b", "run", "run/checkpoint-1"] {
        folder.write(&format!("{model}/model.safetensors"), weights(1.0));
    }
    folder.write("acme/README.md", "# hello");
    let found = find(&folder, &["zeta", "acme"]);
    assert_eq!(names(&found), ["a", "acme/7b", "zeta/7b"]);
    // What is a model itself is called as below what all share.
    let found = find(&folder, &["acme", "run"]);
    assert_eq!(names(&found), ["7b", "a", "run", "run/checkpoint-1"]);
}

#[test]
fn any_file_that_is_given_is_taken_for_a_model() {
    let folder = TempFolder::new();
    folder.write("model.safetensors", weights(1.0));
    folder.write("model.fp16.safetensors", weights(1.0));
    folder.write("blob", weights(2.0));
    let path = folder.write("notes.txt", "text");
    assert_eq!(names(&find(&folder, &["blob"])), ["blob"]);
    let both = find(&folder, &["model.safetensors", "model.fp16.safetensors"]);
    assert_eq!(names(&both).len(), 2);
    let found = find(&folder, &["notes.txt"]);
    assert_eq!(found.models[0].path(), path);
    assert!(
        found.models[0]
            .open()
            .unwrap_err()
            .to_string()
            .contains("notes.txt")
    );
    let missing = find_models([folder.path().join("missing")]).unwrap_err();
    assert!(matches!(&missing, FindError { path, .. } if path.ends_with("missing")));
    assert!(missing.to_string().ends_with("missing` does not exist"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_end() {
    use std::os::unix::fs::symlink;

    let folder = TempFolder::new();
    folder.write("elsewhere/base/model.safetensors", weights(1.0));
    folder.write("m/run/checkpoint-9/model.safetensors", weights(1.0));
    let link = |from: &str, to: &str| symlink(to, folder.path().join("m").join(from)).unwrap();
    link("base", "../elsewhere/base");
    link("run/latest", "checkpoint-9");
    link("up", "..");
    link("self", ".");
    link("file.safetensors", "base/model.safetensors");
    link("nowhere.safetensors", "nowhere");
    link("nowhere", "nothing");
    let found = find(&folder, &["m"]);
    let all: Vec<&str> = found.models.iter().map(|model| model.name()).collect();
    let expected = ["base", "file", "nowhere", "run/checkpoint-9"];
    assert_eq!(all, expected);
    assert!(found.models[2].open().is_err());
    assert_eq!(
        lines(&found),
        [
            "run/latest: a link to `run/checkpoint-9`, which is searched under that name",
            "self: a link to `m`, which is searched under that name",
            "up/elsewhere/base: a link to `base`, which is searched under that name",
            "up/m: a link to `m`, which is searched under that name",
        ]
    );
}

#[test]
fn depth_is_bounded() {
    let folder = TempFolder::new();
    let deep = ["a"; 40].join("/");
    folder.write(&format!("{deep}/model.safetensors"), weights(1.0));
    let found = find(&folder, &[""]);
    assert!(found.models.is_empty());
    assert!(
        lines(&found)[0].ends_with("a: nested too deeply to be searched"),
        "{found:?}"
    );
    assert!(
        found
            .skipped
            .iter()
            .all(|skipped| !skipped.reason().is_loss())
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_unicode_is_no_obstacle() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = TempFolder::new();
    for name in [&b"b\xFFd.safetensors"[..], b"b\xFEd.safetensors"] {
        fs::write(folder.path().join(OsStr::from_bytes(name)), weights(1.0)).unwrap();
    }
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["b\u{FFFD}d", "\u{FFFD}b\u{FFFD}d"]);
}

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn any_names_and_any_card_do_no_harm(
        names in prop::collection::btree_set(
            r"(model|x|consolidated\.00|optimizer|\.)(-0*[0-9]{1,7}-of-[0-9]{1,7}|)(\.fp16|)(\.safetensors|\.bin|)(\.index\.json|)",
            0..8,
        ),
        card in r"(---\n)?(base_model:? ?[\[\]'\-a,\n#]{0,8}\n){0,3}(---)?",
    ) {
        let folder = TempFolder::new();
        for name in names.iter().filter(|name| *name != ".") {
            folder.write(name, weights(1.0));
        }
        let found = find(&folder, &[""]);
        let is_unique = found.models.windows(2).all(|pair| pair[0].name() < pair[1].name());
        prop_assert!(is_unique, "{:?}", found.models);
        prop_assert!(ModelCard::parse(&card).bases().iter().all(|base| !base.is_empty()));
    }
}

#[test]
fn the_folders_of_megatrons_ranks_are_one_model() {
    let folder = TempFolder::new();
    let bias = "layers.0.mlp.linear_fc1.bias";
    for (rank, value) in [("00", 1.0), ("01", 2.0), ("02", 3.0)] {
        let slice = file_of(&[(bias, &[value, -value]), ("norm.weight", &[9.0])]);
        folder.write(
            &format!("a/iter_7/mp_rank_{rank}/model_rng.safetensors"),
            slice,
        );
        folder.write(
            &format!("a/iter_7/mp_rank_{rank}/distrib_optim.safetensors"),
            "",
        );
        if rank != "01" {
            folder.write(&format!("c/mp_rank_{rank}/model.safetensors"), weights(1.0));
        }
        let of_stage = format!("d/mp_rank_00_0{rank}/model_optim_rng.safetensors");
        folder.write(&of_stage, weights(1.0));
    }
    folder.write("b/mp_rank_00/model_optim_rng.safetensors", weights(1.0));
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["a/iter_7", "b"]);
    assert_eq!(
        lines(&found),
        [
            "c: `mp_rank_00/model.safetensors` and `mp_rank_02/model.safetensors` each contain a slice \
             of every tensor, which cannot be read separately",
            "d: `mp_rank_00_000/model_optim_rng.safetensors` and 2 more each contain a slice of every \
             tensor, which cannot be read separately",
        ]
    );
    let joined = vec![1.0, -1.0, 2.0, -2.0, 3.0, -3.0];
    let expected = [
        (bias.to_owned(), joined),
        ("norm.weight".to_owned(), vec![9.0]),
    ];
    assert_eq!(
        read_all(&found.models[0].open().unwrap()).unwrap(),
        expected
    );
}
