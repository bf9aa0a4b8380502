//! The cache of a hub: repositories, the states of them that were fetched, and the files elsewhere.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// Writes a state of a repository, whose files are links to blobs.
fn fetch(folder: &TempFolder, repository: &str, hash: &str, files: &[&str]) {
    for (number, file) in files.iter().enumerate() {
        let blob = format!("hub/{repository}/blobs/{hash}{number}");
        let blob = folder.write(&blob, weights(1.0));
        let link = folder
            .path()
            .join(format!("hub/{repository}/snapshots/{hash}/{file}"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(blob, link).unwrap();
    }
    folder.write(&format!("hub/{repository}/refs/main"), hash);
}

const HASHES: [&str; 2] = ["0123456789abcdef", "fedcba9876543210"];

#[test]
fn models_are_called_as_their_repositories() {
    let folder = TempFolder::new();
    fetch(
        &folder,
        "models--acme--base",
        HASHES[0],
        &["model.safetensors"],
    );
    fetch(
        &folder,
        "models--acme--tuned-7b",
        HASHES[1],
        &["tuned.safetensors"],
    );
    fetch(&folder, "models--gpt2", HASHES[0], &["model.safetensors"]);
    fetch(
        &folder,
        "models--acme--pipe",
        HASHES[0],
        &["unet/diffusion_pytorch_model.safetensors"],
    );
    folder.write("hub/version.txt", "1");
    let found = find(&folder, &["hub"]);
    assert_eq!(
        names(&found),
        ["acme/base", "acme/pipe/unet", "acme/tuned-7b", "gpt2"]
    );
    assert_eq!(lines(&found), [""; 0]);
    let snapshot = ["hub/models--acme--base/snapshots", HASHES[0]].join("/");
    let file = [&*snapshot, "model.safetensors"].join("/");
    let snapshots = "hub/models--acme--base/snapshots";
    for path in ["hub/models--acme--base", snapshots, &snapshot, &file, ""] {
        let found = find(&folder, &[path]);
        assert_eq!(names(&found)[0], "acme/base", "{path}");
    }
    let tuned = ["hub/models--acme--tuned-7b/snapshots", HASHES[1]].join("/");
    assert_eq!(
        names(&find(&folder, &[&snapshot, &tuned])),
        ["acme/base", "acme/tuned-7b"]
    );
}

#[test]
fn several_states_are_several_models() {
    let folder = TempFolder::new();
    for hash in HASHES {
        fetch(&folder, "models--acme--base", hash, &["model.safetensors"]);
    }
    let found = find(&folder, &["hub"]);
    assert_eq!(names(&found), ["acme/base@0123456", "acme/base@fedcba9"]);
}

#[test]
fn a_repository_without_weights_is_named() {
    let folder = TempFolder::new();
    fetch(
        &folder,
        "models--acme--base",
        HASHES[0],
        &["model.safetensors"],
    );
    fetch(&folder, "models--acme--stub", HASHES[0], &["config.json"]);
    let found = find(&folder, &["hub"]);
    assert_eq!(names(&found), ["acme/base"]);
    assert_eq!(lines(&found), ["acme/stub: no weights found"]);
}
