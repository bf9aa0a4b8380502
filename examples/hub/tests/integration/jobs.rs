//! Jobs: progress, cancelling and limits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, models};

/// A hub whose folder has a model that takes minutes to read and a short one, neither of them added yet.
fn started(settings: &[(&str, &str)]) -> (TempDir, Server) {
    let folder = TempDir::new().unwrap();
    let server = Server::with_models(&folder, settings);
    let root = folder.path().join("models");
    models::write(&root.join("short.safetensors"), &models::base(1));
    models::write_endless(&root.join("endless.safetensors"));
    (folder, server)
}

fn queue(server: &Server, id: &str, path: &str) -> i64 {
    server.add(id, path).expect(202)["job"].as_i64().unwrap()
}

fn is_reading(view: &Value) -> bool {
    view["state"] == "running" && view["progress"].as_f64().unwrap() > 0.0
}

/// The events of a job until the hub ends the stream.
fn events(server: &Server, job: i64) -> impl Iterator<Item = Value> + use<> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request =
        format!("GET /jobs/{job}/events HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
}

#[test]
fn a_job_ends_with_its_model_in_the_hub() {
    let (_folder, server) = started(&[]);
    let added = server.add("org/short", "short.safetensors");
    assert_eq!(added.header("location"), "/jobs/1");
    let view = added.expect(202);
    assert_eq!(
        (&view["model"], &view["path"]),
        (&"org/short".into(), &"short.safetensors".into())
    );
    let view = server.wait_for_end(1, "done");
    assert_eq!(view["progress"], 1.0);
    assert!(view["ended"].as_i64().unwrap() >= view["queued"].as_i64().unwrap());
    let model = server.get("/models/org/short?wait=60").expect(200);
    assert_eq!(
        (&model["origin"], &model["pending"]),
        (&"folder".into(), &false.into())
    );
    let all: Vec<Value> = events(&server, 1).collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["state"], "done");
    server.delete("/jobs/1").refused(409, "job_finished");
    assert_eq!(server.get("/jobs").expect(200)["jobs"][0]["job"], 1);
}

#[test]
fn events_tell_progress_and_end_with_the_job() {
    let (_folder, server) = started(&[]);
    let job = queue(&server, "endless", "endless.safetensors");
    let mut events = events(&server, job);
    let mut last = 0.0;
    for _ in 0..5 {
        let event = events.by_ref().find(is_reading).unwrap();
        let progress = event["progress"].as_f64().unwrap();
        assert!(last <= progress && progress < 1.0);
        last = progress;
    }
    assert_eq!(
        server.delete(&format!("/jobs/{job}")).expect(200)["state"],
        "cancelled"
    );
    let rest: Vec<Value> = events.collect();
    assert_eq!(rest.last().unwrap()["state"], "cancelled");
}

#[test]
fn a_cancelled_job_leaves_nothing_and_the_next_goes_on() {
    let (_folder, server) = started(&[]);
    let endless = queue(&server, "endless", "endless.safetensors");
    let waiting = queue(&server, "waiting", "short.safetensors");
    let short = queue(&server, "short", "short.safetensors");
    server.wait_for_job(endless, is_reading);
    server
        .add("endless", "endless.safetensors")
        .refused(409, "job_exists");
    let bytes = models::signature(&models::base(3)).to_bytes();
    server
        .put("/models/endless/signature", &bytes)
        .refused(409, "job_exists");
    assert_eq!(
        server.get(&format!("/jobs/{waiting}")).expect(200)["state"],
        "queued"
    );
    server.delete(&format!("/jobs/{waiting}")).expect(200);
    server.delete(&format!("/jobs/{endless}")).expect(200);
    server
        .delete(&format!("/jobs/{endless}"))
        .refused(409, "job_finished");
    server.wait_for_end(short, "done");
    server.wait_for_end(endless, "cancelled");
    server.wait_for_end(waiting, "cancelled");
    let list = server.get("/models").expect(200);
    assert_eq!(list["total"], 1);
    server.get("/models/endless").refused(404, "no_such_model");
    // The name is free again.
    let again = queue(&server, "waiting", "short.safetensors");
    server.wait_for_end(again, "done");
}

#[test]
fn a_job_may_not_run_for_ever() {
    let (_folder, server) = started(&[("HUB_JOB_SECONDS", "0")]);
    let job = queue(&server, "endless", "endless.safetensors");
    let view = server.wait_for_end(job, "failed");
    assert_eq!(view["error"]["code"], "job_too_long", "{view}");
    server.get("/models/endless").refused(404, "no_such_model");
}

#[test]
fn the_queue_is_limited() {
    let (_folder, server) = started(&[("HUB_QUEUE", "2")]);
    let endless = queue(&server, "endless", "endless.safetensors");
    server.wait_for_job(endless, is_reading);
    let first = queue(&server, "first", "short.safetensors");
    let second = queue(&server, "second", "short.safetensors");
    server
        .add("third", "short.safetensors")
        .refused(429, "queue_full");
    server.delete(&format!("/jobs/{first}")).expect(200);
    let third = queue(&server, "third", "short.safetensors");
    server.delete(&format!("/jobs/{endless}")).expect(200);
    server.wait_for_end(second, "done");
    server.wait_for_end(third, "done");
}

#[test]
fn only_one_of_many_requests_for_a_name_succeeds() {
    const WRITERS: usize = 8;
    let (_folder, server) = started(&[("HUB_WORKERS", "4")]);
    let barrier = Barrier::new(WRITERS);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let write = |_| {
            scope.spawn(|| {
                barrier.wait();
                server.add("wanted", "short.safetensors").status
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(write).collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|&&status| status == 202).count(),
        1,
        "{statuses:?}"
    );
    assert!(statuses.iter().all(|&status| matches!(status, 202 | 409)));
    server.wait_for_end(1, "done");
    assert_eq!(server.get("/models").expect(200)["total"], 1);
}
