//! Kill -9, restarts and stops: nothing that was accepted is lost, and nothing is incomplete.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, models};

/// The ids of all models, once the graph has all of them.
pub(crate) fn ids(server: &Server) -> BTreeSet<String> {
    loop {
        let health = server.get("/healthz").expect(200);
        if health["current"] == true {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let list = server.get("/models?limit=1000").expect(200);
    let models = list["models"].as_array().unwrap();
    assert!(models.iter().all(|model| model["pending"] == false));
    let graph = server.get("/graph").expect(200);
    let of = |value: &Value| -> BTreeSet<String> {
        let ids = value["models"].as_array().unwrap().iter();
        ids.map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };
    // The list and the graph agree.
    assert_eq!(of(&list), of(&graph));
    of(&graph)
}

#[test]
fn a_job_that_was_killed_is_taken_up_again() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    fs::create_dir_all(&root).unwrap();
    let server = Server::with_models(&folder, &[]);
    let base = models::base(1);
    let put = server.put(
        "/models/base/signature",
        &models::signature(&base).to_bytes(),
    );
    put.expect(201);
    models::write_endless(&root.join("endless.safetensors"));
    let add = |id: &str, path: &str| server.add(id, path).expect(202)["job"].as_i64().unwrap();
    let endless = add("endless", "endless.safetensors");
    let mut short = Vec::new();
    for seed in 0..3 {
        let name = format!("child-{seed}.safetensors");
        models::write(&root.join(&name), &models::child(&base, seed));
        short.push(add(&format!("child-{seed}"), &name));
    }
    let is_reading = |view: &Value| view["progress"].as_f64().unwrap() > 0.0;
    server.wait_for_job(endless, is_reading);
    server.kill();

    let server = Server::with_models(&folder, &[]);
    let view = server.wait_for_job(endless, is_reading);
    assert_eq!(view["state"], "running");
    for &job in &short {
        assert_eq!(
            server.get(&format!("/jobs/{job}")).expect(200)["state"],
            "queued"
        );
    }
    server.delete(&format!("/jobs/{endless}")).expect(200);
    for &job in &short {
        server.wait_for_end(job, "done");
    }
    // The staged files of the killed process are gone.
    let staged = fs::read_dir(folder.path().join("hub.sqlite-staged"));
    assert_eq!(staged.unwrap().count(), 0);
    server.kill();

    let server = Server::with_models(&folder, &[]);
    let expected = ["base", "child-0", "child-1", "child-2"].map(String::from);
    assert_eq!(ids(&server), BTreeSet::from(expected));
    server.wait_for_end(endless, "cancelled");
    assert_eq!(server.get("/models/child-0").expect(200)["parent"], "base");
}

/// What the hub reported as done.
#[derive(Default)]
struct Accepted {
    models: BTreeSet<String>,
    jobs: Vec<String>,
    removed: Vec<String>,
}

impl Accepted {
    fn add(&mut self, other: Self) {
        self.models.extend(other.models);
        self.jobs.extend(other.jobs);
        self.removed.extend(other.removed);
    }
}

/// Adds models, queues jobs and removes models until the hub stops responding. An interrupted request may or may not
/// have been accepted.
fn write_until_it_ends(
    server: &Server,
    round: usize,
    bodies: &[Body],
    count: &AtomicUsize,
) -> Accepted {
    let mut accepted = Accepted::default();
    for step in 0_usize.. {
        let id = format!("put-{round}-{step}");
        let path = format!("/models/{id}/signature");
        if tried(server, "PUT", &path, &bodies[step % bodies.len()]) != Some(201) {
            break;
        }
        accepted.models.insert(id.clone());
        count.fetch_add(1, Ordering::Relaxed);
        let job = format!("job-{round}-{step}");
        let wanted = format!(r#"{{"id":"{job}","path":"model.safetensors"}}"#);
        if tried(server, "POST", "/models", &Body::Text(wanted)) != Some(202) {
            break;
        }
        accepted.jobs.push(job);
        if step % 3 == 2 {
            accepted.models.remove(&id);
            if tried(server, "DELETE", &format!("/models/{id}"), &Body::None) != Some(204) {
                break;
            }
            accepted.removed.push(id);
        }
    }
    accepted
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_accepted() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    fs::create_dir_all(&root).unwrap();
    let base = models::base(1);
    let body = |seed| Body::Bytes(models::signature(&models::child(&base, seed)).to_bytes());
    let bodies: Vec<Body> = (0..4).map(body).collect();
    models::write(&root.join("model.safetensors"), &base);
    let mut all = Accepted::default();
    for round in 0..12 {
        let server = Server::with_models(&folder, &[]);
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            let writer = scope.spawn(|| write_until_it_ends(&server, round, &bodies, &count));
            // At some moment after the first few requests.
            while count.load(Ordering::Relaxed) < 1 + round % 5 && !writer.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis((7 * round % 20) as u64));
            kill_by_number(&server);
            all.add(writer.join().unwrap());
        });
    }
    assert!(!all.models.is_empty());

    let server = Server::with_models(&folder, &[]);
    // Jobs that were accepted end as such, each with its model in the hub.
    for job in server.get("/jobs?limit=1000").expect(200)["jobs"]
        .as_array()
        .unwrap()
    {
        server.wait_for_end(job["job"].as_i64().unwrap(), "done");
    }
    let found = ids(&server);
    for id in all.models.iter().chain(&all.jobs) {
        assert!(found.contains(id), "{id} is lost");
        let bytes = server.get(&format!("/models/{id}/signature")).body;
        assert!(
            mother::signature::Signature::from_bytes(&bytes).is_ok(),
            "{id} is half there"
        );
    }
    for id in &all.removed {
        assert!(!found.contains(id), "{id} came back");
    }
}

fn tried(server: &Server, method: &str, path: &str, body: &Body) -> Option<u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.address))
        .header("content-type", "application/json");
    let answer = match body {
        Body::None => agent.run(request.body(()).unwrap()),
        Body::Text(text) => agent.run(request.body(text.as_str()).unwrap()),
        Body::Bytes(bytes) => agent.run(request.body(&bytes[..]).unwrap()),
    };
    Some(answer.ok()?.status().as_u16())
}
enum Body {
    None,
    Text(String),
    Bytes(Vec<u8>),
}

fn kill_by_number(server: &Server) {
    let number = server.number().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-KILL", &number])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn it_stops_when_asked_to_and_goes_on_later() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("models");
    fs::create_dir_all(&root).unwrap();
    models::write_endless(&root.join("endless.safetensors"));
    let server = Server::with_models(&folder, &[]);
    // The scan queues it.
    let is_reading = |view: &Value| view["progress"].as_f64().unwrap() > 0.0;
    while server.get("/jobs").expect(200)["jobs"]
        .as_array()
        .unwrap()
        .is_empty()
    {
        thread::sleep(Duration::from_millis(10));
    }
    server.wait_for_job(1, is_reading);
    // A stream of events that nobody closes doesn't hold it up.
    let address = server.address.clone();
    let listener = thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /jobs/1/events HTTP/1.1\r\nhost: hub\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    server.wait_for_job(1, |view| view["progress"].as_f64().unwrap() > 0.0);
    assert!(server.stop().success());
    listener.join().unwrap();
    let server = Server::with_models(&folder, &[]);
    assert_eq!(server.wait_for_job(1, is_reading)["state"], "running");
}

#[test]
fn one_database_has_one_hub_with_one_key() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let second = Server::try_start(folder.path(), &[]);
    let ended = second.err().unwrap();
    assert!(!ended.status.success());
    assert!(
        ended.log.contains("another process has the database open"),
        "{}",
        ended.log
    );
    assert!(server.stop().success());
    let other_key = Server::try_start(folder.path(), &[("HUB_KEY", "7")])
        .err()
        .unwrap();
    assert!(
        other_key.log.contains("were made with another key"),
        "{}",
        other_key.log
    );
    let no_number = Server::try_start(folder.path(), &[("HUB_QUEUE", "many")])
        .err()
        .unwrap();
    assert_eq!(no_number.status.code(), Some(2));
    assert!(no_number.log.contains("HUB_QUEUE"), "{}", no_number.log);
    fs::write(
        folder.path().join("other"),
        "this is no database, but long enough to be one",
    )
    .unwrap();
    let path = folder.path().join("other");
    let settings = [("HUB_DATABASE", path.to_str().unwrap())];
    assert!(Server::try_start(folder.path(), &settings).is_err());
    let server = Server::start(&folder, &[]);
    assert_eq!(server.get("/models").expect(200)["total"], 21);
}
