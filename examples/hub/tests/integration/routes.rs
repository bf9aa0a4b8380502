//! Every route, on the embedded zoo.

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, models};

fn zoo() -> (TempDir, Server) {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    (folder, server)
}

/// A model of the zoo that has a parent.
fn some_child(server: &Server) -> Value {
    let list = server.get("/models").expect(200);
    let ids = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap());
    let lineages = ids.map(|id| server.get(&format!("/models/{id}?wait=60")).expect(200));
    lineages
        .into_iter()
        .find(|model| !model["parent"].is_null())
        .unwrap()
}

#[test]
fn the_zoo_is_there_with_its_lineage() {
    let (_folder, server) = zoo();
    let child = some_child(&server);
    assert_eq!(
        (&child["pending"], &child["current"]),
        (&false.into(), &true.into())
    );
    assert_eq!(child["origin"], "zoo");
    assert_eq!(child["kind"], "trained");
    let parent = child["parent"].as_str().unwrap();
    assert_eq!(child["ancestors"][0], parent);
    assert!((0.0..=1.0).contains(&child["probability"].as_f64().unwrap()));
    assert!((0.0..=1.0).contains(&child["runner_up"]["probability"].as_f64().unwrap()));
    assert!(child["kinship_log10_p"].as_f64().unwrap() < -10.0);
    assert!(child["compared"].as_f64().unwrap() > 0.5);
    let [compared, of] = [0, 1].map(|at| child["matrices"][at].as_u64().unwrap());
    assert!(0 < compared && compared <= of);
    assert!(child["stated"].is_null());
    let above = server.get(&format!("/models/{parent}")).expect(200);
    let children = above["children"].as_array().unwrap();
    assert!(children.iter().any(|other| other["id"] == child["id"]));
    assert_eq!(above["tree"], child["tree"]);

    let list = server.get("/models?limit=2").expect(200);
    assert_eq!((&list["total"], &list["matches"]), (&21.into(), &21.into()));
    let next = list["next"].as_str().unwrap();
    let second = server
        .get(&format!("/models?limit=2&after={next}"))
        .expect(200);
    assert!(second["models"][0]["id"].as_str().unwrap() > next);
    let found = server
        .get(&format!("/models?query={}", parent.to_uppercase()))
        .expect(200);
    assert_eq!(found["models"][0]["id"], parent);
}

#[test]
fn documents_of_a_model_and_of_all() {
    let (_folder, server) = zoo();
    let child = some_child(&server);
    let (id, parent) = (
        child["id"].as_str().unwrap(),
        child["parent"].as_str().unwrap(),
    );
    let of = |part: &str| server.get(&format!("/models/{id}/{part}?wait=60"));

    let card = of("card");
    assert!(card.kind.starts_with("text/markdown"));
    let base = format!("\nbase_model: \"{parent}\"\nbase_model_relation: finetune\n");
    assert!(card.text().contains(&base), "{}", card.text());
    assert!(card.text().starts_with("---\n") && card.text().ends_with("\n---\n"));

    let bom = of("bom");
    assert!(bom.kind.starts_with("application/vnd.cyclonedx+json"));
    let bom = bom.expect(200);
    assert_eq!(bom["specVersion"], "1.7");
    let count = child["ancestors"].as_array().unwrap().len() + 1;
    assert!(bom["components"].as_array().unwrap().len() >= count);
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");

    let graph: mother::heritage::ModelGraph = serde_json::from_slice(&of("graph").body).unwrap();
    assert_eq!(graph.len() as u64, child["tree"]["size"].as_u64().unwrap());
    let place = graph.index(id).unwrap();
    assert_eq!(
        graph.parent(place).and_then(|parent| graph.name(parent)),
        Some(parent)
    );
    let tree = of("tree").expect(200);
    assert_eq!(tree["models"].as_array().unwrap().len(), graph.len());

    let svg = of("graph.svg");
    assert!(svg.kind.starts_with("image/svg+xml"));
    assert_eq!(
        svg.header("content-security-policy"),
        "default-src 'none'; sandbox"
    );
    assert!(svg.text().contains(id));

    let all: mother::heritage::ModelGraph =
        serde_json::from_slice(&server.get("/graph").body).unwrap();
    assert_eq!(all.len(), 21);
    assert!(server.get("/graph.svg").text().starts_with("<svg"));
    assert_eq!(
        server.get("/bom").expect(200)["components"]
            .as_array()
            .unwrap()
            .len(),
        21
    );

    let bytes = of("signature").body;
    let signature = mother::signature::Signature::from_bytes(&bytes).unwrap();
    assert_eq!(signature.name(), id);
}

#[test]
fn health_metrics_and_the_page() {
    let (_folder, server) = zoo();
    some_child(&server);
    let health = server.get("/healthz").expect(200);
    assert_eq!(
        (&health["status"], &health["models"]),
        (&"ok".into(), &21.into())
    );
    let metrics = server.get("/metrics");
    assert!(metrics.kind.starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    for line in [
        "hub_models 21",
        "hub_jobs{state=\"queued\"} 0",
        "# TYPE hub_answer_seconds histogram",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for sample in samples {
        let (_, value) = sample.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{sample}");
    }
    for (path, kind) in [
        ("/", "text/html"),
        ("/hub.js", "text/javascript"),
        ("/hub.css", "text/css"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        assert!(answer.kind.starts_with(kind), "{}", answer.kind);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.text().contains("http://") && !answer.text().contains("https://"));
    }
    assert_eq!(
        server.get("/jobs").expect(200)["jobs"],
        serde_json::json!([])
    );
}

#[test]
fn missing_things_are_errors_with_a_code() {
    let (_folder, server) = zoo();
    server.get("/nothing").refused(404, "no_such_route");
    server.get("/models/").refused(404, "no_such_route");
    server.get("/models/nobody").refused(404, "no_such_model");
    for part in ["card", "bom", "graph", "graph.svg", "tree", "signature"] {
        server
            .get(&format!("/models/org/nobody/{part}"))
            .refused(404, "no_such_model");
    }
    server
        .delete("/models/nobody")
        .refused(404, "no_such_model");
    server.get("/jobs/1").refused(404, "no_such_job");
    server.get("/jobs/one").refused(404, "no_such_job");
    server.get("/jobs/%ff").refused(404, "no_such_job");
    server
        .get("/jobs/9223372036854775808")
        .refused(404, "no_such_job");
    server.get("/jobs/1/events").refused(404, "no_such_job");
    server.delete("/jobs/1").refused(404, "no_such_job");
    server.delete("/models").refused(405, "method_not_allowed");
    server
        .put("/models/a", b"x")
        .refused(405, "method_not_allowed");
    server
        .delete("/models/a/card")
        .refused(405, "method_not_allowed");
    server
        .send("PATCH", "/models/a", &[], b"x")
        .refused(405, "method_not_allowed");
    server.get("/models?limit=many").refused(400, "bad_request");
    server.get("/models/a?wait=-1").refused(400, "bad_request");
    server
        .add("new", "new.safetensors")
        .refused(409, "no_folder");
    for id in [
        "a/../b",
        "%00",
        "a//b",
        "%2e%2e/b",
        "a%0Ab",
        "a%E2%80%AEb",
        &"x".repeat(201),
    ] {
        server.get(&format!("/models/{id}")).refused(400, "bad_id");
        server
            .put(&format!("/models/{id}/signature"), b"x")
            .refused(400, "bad_id");
    }
}

#[test]
fn ids_may_hold_slashes_and_look_like_routes() {
    let (_folder, server) = zoo();
    let base = models::base(1);
    for (seed, id) in ["org/name", "org/card", "card", "a b+c&d", "<b>"]
        .into_iter()
        .enumerate()
    {
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let bytes = models::signature(&models::child(&base, seed as u64)).to_bytes();
        let put = server.put(&format!("/models/{encoded}/signature"), &bytes);
        assert_eq!(put.header("location").matches('/').count(), 2);
        assert_eq!(put.expect(201)["id"], id);
        for path in [
            format!("/models/{encoded}?wait=60"),
            put_location(&server, id),
        ] {
            assert_eq!(server.get(&path).expect(200)["id"], id);
        }
        assert_eq!(
            server
                .get(&format!("/models/{encoded}/tree?wait=60"))
                .status,
            200
        );
    }
    // As they are, where they don't end as a route does.
    assert_eq!(server.get("/models/org/name").expect(200)["id"], "org/name");
    assert_eq!(server.get("/models/org/name/card").status, 200);
    server.get("/models/org/card").refused(404, "no_such_model");
    assert_eq!(server.get("/models/card").expect(200)["id"], "card");
    assert_eq!(server.get("/models/card/card").status, 200);
}

/// The address that the list leads to.
fn put_location(server: &Server, id: &str) -> String {
    let list = server.get("/models?limit=1000").expect(200);
    let ids = list["models"].as_array().unwrap();
    let found = ids.iter().find(|model| model["id"] == id).unwrap();
    let id = found["id"].as_str().unwrap().bytes();
    format!(
        "/models/{}",
        id.map(|byte| format!("%{byte:02x}")).collect::<String>()
    )
}

#[test]
fn no_id_becomes_markup() {
    let (_folder, server) = zoo();
    let base = models::base(2);
    let id = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27";
    let bytes = models::signature(&base).to_bytes();
    server
        .put(&format!("/models/{id}/signature"), &bytes)
        .expect(201);
    let other = models::signature(&models::child(&base, 1)).to_bytes();
    server.put("/models/other/signature", &other).expect(201);
    let svg = server.get("/models/other/graph.svg?wait=60");
    assert!(svg.text().contains("&lt;img"));
    assert!(!svg.text().contains("<img"));
    for path in [
        format!("/models/{id}"),
        "/models".into(),
        "/graph".into(),
        "/bom".into(),
    ] {
        let answer = server.get(&path);
        assert!(answer.kind.contains("json"), "{}", answer.kind);
        answer.json();
    }
}
