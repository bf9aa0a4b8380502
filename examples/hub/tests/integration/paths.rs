//! Models in the folder, and paths that lead out of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mother::signature::Signature;
use tempfile::TempDir;

use crate::support::{Server, models};

/// Waits for the job in a response, which must fail with this code.
fn fails(server: &Server, answer: &crate::support::Answer, code: &str) {
    let job = answer.expect(202)["job"].as_i64().unwrap();
    let view = server.wait_for_end(job, "failed");
    assert_eq!(view["error"]["code"], code, "{view}");
}

#[test]
fn models_of_the_folder_are_read_at_the_start() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    let base = models::base(1);
    models::write(&root.join("acme/base/model.safetensors"), &base);
    for seed in 0..3 {
        let path = root.join(format!("acme/chat-{seed}/model.safetensors"));
        models::write(&path, &models::child(&base, seed));
    }
    for (model, base) in [("chat-0", "acme/base"), ("chat-1", "acme/chat-2")] {
        let card = format!("---\nbase_model: {base}\n---\n");
        fs::write(root.join(format!("acme/{model}/README.md")), card).unwrap();
    }
    fs::write(root.join("broken.safetensors"), "nothing").unwrap();
    let server = Server::with_models(&folder, &[]);
    let jobs = server.all_jobs();
    assert_eq!(jobs.len(), 5);
    let failed: Vec<_> = jobs.iter().filter(|job| job["state"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["model"], &failed[0]["error"]["code"]),
        (&"broken".into(), &"unreadable_model".into())
    );
    let chat = server.get("/models/acme/chat-0?wait=60").expect(200);
    assert_eq!(
        (&chat["origin"], &chat["path"]),
        (&"folder".into(), &"acme/chat-0".into())
    );
    assert_eq!(chat["parent"], "acme/base");
    assert_eq!(chat["stated"]["agrees"], true);
    assert_ne!(
        server.get("/models/acme/chat-1?wait=60").expect(200)["stated"]["agrees"],
        true
    );

    // Removed models don't come back at the next start, and failed ones are tried again.
    server.delete("/models/acme/chat-2").expect(204);
    assert!(server.stop().success());
    models::write(&root.join("broken.safetensors"), &models::base(9));
    let server = Server::with_models(&folder, &[]);
    server.all_jobs();
    let list = server.get("/models").expect(200);
    let ids = list["models"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|model| &model["id"]).collect();
    assert_eq!(ids, ["acme/base", "acme/chat-0", "acme/chat-1", "broken"]);
}

/// Creates a model outside a folder, one next to it and one in it, and links in the folder that lead out.
fn link_out(root: &Path, outside: &Path) {
    let secret = outside.join("secret.safetensors");
    models::write(&secret, &models::base(1));
    models::write(
        &outside.join("../models-2/secret.safetensors"),
        &models::base(1),
    );
    models::write(&root.join("inside/model.safetensors"), &models::base(2));
    fs::create_dir_all(root.join("hidden/deep")).unwrap();
    fs::create_dir_all(root.join("half")).unwrap();
    symlink(&secret, root.join("link.safetensors")).unwrap();
    symlink(outside, root.join("linked")).unwrap();
    symlink(outside, root.join("hidden/deep/linked")).unwrap();
    symlink(&secret, root.join("half/model.safetensors")).unwrap();
}

#[test]
fn paths_outside_the_folder_are_rejected() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_models(&folder, &[]);
    let root = folder.path().join("models");
    let outside = folder.path().join("outside");
    link_out(&root, &outside);
    let absolute = outside.join("secret.safetensors");
    for path in [
        "../outside/secret.safetensors",
        "inside/../../outside/secret.safetensors",
        "inside/../inside",
        "..",
        ".",
        "",
        "/",
        absolute.to_str().unwrap(),
        "/proc/self/fd/3",
        "link.safetensors",
        "linked",
        "linked/secret.safetensors",
        "../models-2/secret.safetensors",
        "inside/\0",
    ] {
        server.add("stolen", path).refused(403, "outside_path");
    }
    for path in ["hidden", "half", "hidden/deep"] {
        fails(&server, &server.add("stolen", path), "outside_path");
    }
    server
        .add("stolen", "no-such-file")
        .refused(404, "no_such_path");
    server
        .add("stolen", "inside/model.safetensors/x")
        .refused(404, "no_such_path");
    server.get("/models/stolen").refused(404, "no_such_model");

    // A link that stays inside is as good as what it leads to.
    symlink(root.join("inside"), root.join("inner-link")).unwrap();
    let job = server.add("inner", "inner-link").expect(202)["job"]
        .as_i64()
        .unwrap();
    server.wait_for_end(job, "done");
}

#[test]
fn a_link_that_changes_while_it_is_read_leads_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    let server = Server::with_models(&folder, &[]);
    let (open, secret) = (models::base(1), models::base(2));
    models::write(&root.join("open.safetensors"), &open);
    let outside = folder.path().join("outside");
    models::write(&outside.join("secret.safetensors"), &secret);
    let (inner, outer) = (
        root.join("open.safetensors"),
        outside.join("secret.safetensors"),
    );
    let (link, new) = (root.join("link.safetensors"), root.join(".new"));
    symlink(&inner, &link).unwrap();
    let stops = AtomicBool::new(false);
    let mut read = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for target in [&outer, &inner].into_iter().cycle() {
                if stops.load(Ordering::Relaxed) {
                    break;
                }
                symlink(target, &new).unwrap();
                fs::rename(&new, &link).unwrap();
            }
        });
        for round in 0..60 {
            let answer = server.add(&format!("round-{round}"), "link.safetensors");
            if answer.status != 202 {
                answer.refused(403, "outside_path");
                continue;
            }
            let job = answer.json()["job"].as_i64().unwrap();
            let ended = |view: &serde_json::Value| {
                !matches!(view["state"].as_str(), Some("queued" | "running"))
            };
            let view = server.wait_for_job(job, ended);
            if view["state"] == "done" {
                read += 1;
            }
        }
        stops.store(true, Ordering::Relaxed);
    });
    let expected = models::signature(&open);
    let list = server.get("/models?limit=1000").expect(200);
    let found = list["models"].as_array().unwrap();
    assert_eq!(found.len(), read);
    assert!(read > 0, "the link never led inside");
    for model in found {
        let path = format!("/models/{}/signature", model["id"].as_str().unwrap());
        let signature = Signature::from_bytes(&server.get(&path).body).unwrap();
        assert_eq!(signature.tensors(), expected.tensors());
    }
}

#[test]
fn paths_without_a_single_model_fail_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    let server = Server::with_models(&folder, &[("HUB_MODEL_BYTES", "100000")]);
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::write(root.join("text.txt"), "hello").unwrap();
    fs::write(root.join("broken.safetensors"), [0xff; 64]).unwrap();
    models::write(&root.join("two/a.safetensors"), &models::base(1));
    models::write(&root.join("two/b.safetensors"), &models::base(2));
    models::write(
        &root.join("adapter/adapter_model.safetensors"),
        &models::base(3),
    );
    let header = r#"{"q.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"q.lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}"#;
    let mut adapter = (header.len() as u64).to_le_bytes().to_vec();
    adapter.extend(header.bytes());
    adapter.extend([0; 16]);
    fs::write(root.join("adapter/adapter_model.safetensors"), adapter).unwrap();
    let mut long = models::base(4);
    long.extend(models::base(5));
    long.extend(models::base(6));
    models::write(&root.join("long.safetensors"), &long);
    let made = Command::new("mkfifo")
        .arg(root.join("pipe.safetensors"))
        .status()
        .unwrap();
    assert!(made.success());
    for (path, code) in [
        ("empty", "not_one_model"),
        ("two", "not_one_model"),
        ("text.txt", "not_one_model"),
        ("broken.safetensors", "unreadable_model"),
        ("adapter", "adapter"),
        ("long.safetensors", "too_large"),
        ("pipe.safetensors", "unreadable_model"),
    ] {
        let answer = server.add(path, path);
        let job = answer.expect(202)["job"].as_i64().unwrap();
        let view = server.wait_for_end(job, "failed");
        assert_eq!(view["error"]["code"], code, "{path}: {view}");
        let inside = folder.path().to_str().unwrap();
        assert!(
            !view["error"]["message"].as_str().unwrap().contains(inside),
            "{view}"
        );
    }
    assert_eq!(server.get("/models").expect(200)["total"], 0);
}

#[test]
fn bodies_that_are_not_right_are_refused() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_models(&folder, &[]);
    models::write(
        &folder.path().join("models/a.safetensors"),
        &models::base(1),
    );
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"id":"a"}"#,
        r#"{"path":"a.safetensors"}"#,
        r#"{"id":1,"path":"a.safetensors"}"#,
        r#"{"id":"a","path":null}"#,
        r#"{"id":"a","path":"a.safetensors","more":1}"#,
        r#"{"id":"a","id":"b","path":"a.safetensors"}"#,
        r#"{"id":"a","path":"a.safetensors","base_model":7}"#,
        "{\"id\":\"a\",\"path\":\"\u{fffd}",
    ] {
        server.post(body).refused(400, "bad_request");
    }
    let deep = "[".repeat(60_000);
    server.post(&deep).refused(400, "bad_request");
    server
        .post(&format!("{{\"id\":\"{}\"", "a".repeat(70_000)))
        .refused(413, "too_large");
    let body = br#"{"id":"a","path":"a.safetensors"}"#;
    server
        .send("POST", "/models", &[], body)
        .refused(415, "media_type");
    let headers = [("content-type", "text/plain")];
    server
        .send("POST", "/models", &headers, body)
        .refused(415, "media_type");
    for id in [
        "",
        "a/",
        "/a",
        "a//b",
        "..",
        "a/./b",
        "a\u{7}",
        " a",
        &"x".repeat(201),
    ] {
        server.add(id, "a.safetensors").refused(400, "bad_id");
    }
    let job = server.add("a", "a.safetensors").expect(202)["job"]
        .as_i64()
        .unwrap();
    server.wait_for_end(job, "done");
    server
        .add("a", "a.safetensors")
        .refused(409, "model_exists");
}
