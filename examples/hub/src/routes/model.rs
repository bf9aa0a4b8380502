//! `/models/{id}` and below. Ids may contain slashes, so the path is split here.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use mother::heritage::{DescentKind, ModelGraph};
use mother::signature::Signature;
use serde::Deserialize;
use serde_json::json;

use super::models::{LONGEST_WAIT, bad_body, get};
use super::{App, not_ready, query};
use crate::answer::{Answer, svg, typed};
use crate::database::{ModelRow, Origin};
use crate::error::{Code, HubError};
use crate::hub::Hub;
use crate::id;
use crate::lineage::{adapter_rank, relevant, tree};
use crate::recovery::Snapshot;
use crate::stated::Stated;

/// The parts of a model that can be requested.
const PARTS: [&str; 6] = ["bom", "card", "graph", "graph.svg", "signature", "tree"];

pub(super) async fn model(State(app): State<App>, request: Request) -> Answer {
    let uri = request.uri().clone();
    let path = uri.path().strip_prefix("/models/").unwrap_or_default();
    let (id, part) = id::split(path, &PARTS)?;
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    match (request.method(), part) {
        (_, None) if is_get => get(&app, &id, &uri).await,
        (&Method::DELETE, None) => remove(&app, id).await,
        (_, Some("signature")) if is_get => signature(&app, id).await,
        (&Method::PUT, Some("signature")) => put(&app, id, request).await,
        (_, Some(part)) if is_get => document(&app, &id, part, &uri).await,
        (method, _) => {
            let message = format!("{:?} does not support {method}", uri.path());
            Err(HubError::new(Code::Method, message))
        }
    }
}

async fn remove(app: &App, id: String) -> Answer {
    app.blocking(move |hub| hub.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn signature(app: &App, id: String) -> Answer {
    let bytes = app.blocking(move |hub| {
        let bytes = hub.database().signature(&id)?;
        bytes.ok_or_else(|| HubError::no_such_model(&id))
    });
    Ok(typed("application/octet-stream", bytes.await?))
}

/// The stated base of an uploaded model.
#[derive(Deserialize)]
struct StatedQuery {
    base_model: Option<String>,
    base_model_relation: Option<String>,
}

/// Accepts a signature, whatever name it contains.
async fn put(app: &App, id: String, request: Request) -> Answer {
    let stated: StatedQuery = query(request.uri())?;
    let stated = Stated {
        base_model: stated.base_model.into_iter().collect(),
        base_model_relation: stated.base_model_relation,
        adapter: None,
    };
    let stated = stated.checked()?;
    let _turn = app.uploads.acquire().await.map_err(HubError::internal)?;
    let body: Result<Bytes, BytesRejection> = Bytes::from_request(request, &()).await;
    let body = body.map_err(bad_body)?;
    let location = format!("/models/{}", encoded(&id));
    let answer = json!({"id": id, "lineage": location});
    let is_new = app.blocking(move |hub| {
        let signature = Signature::from_bytes(&body)
            .map_err(|error| HubError::new(Code::BadSignature, error.to_string()))?;
        check_settings(&signature, hub.config.signatures)?;
        let row = ModelRow::new(&id, Origin::Upload, None, stated);
        hub.put(row, signature.with_name(id))
    });
    let status = if is_new.await? {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        [(axum::http::header::LOCATION, location)],
        Json(answer),
    )
        .into_response())
}

fn check_settings(
    signature: &Signature,
    wanted: mother::signature::SignatureOptions,
) -> Result<(), HubError> {
    let message = if signature.key() != wanted.key() {
        "the signature was made with a different key".to_owned()
    } else if signature.buckets() != wanted.buckets() {
        let (found, wanted) = (signature.buckets(), wanted.buckets());
        format!("the signature has {found} buckets per group; this hub uses {wanted}")
    } else {
        return Ok(());
    };
    Err(HubError::new(Code::OtherSettings, message))
}

/// An id as one segment of a URL.
fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

/// A document derived from the graph.
async fn document(app: &App, id: &str, part: &'static str, uri: &Uri) -> Answer {
    let Wait { wait } = query(uri)?;
    let known = app.hub.model(id)?;
    let wait = Duration::from_secs(wait.min(LONGEST_WAIT));
    let snapshot = app.hub.snapshot_with(app.hub.newest_change(), wait).await;
    let id = app.hub.model(id)?.row.id.clone();
    let is_known = snapshot.generation > 0 && snapshot.change >= known.change;
    let place = snapshot.graph.index(&id).filter(|_| is_known);
    let place = match (place, snapshot.problems.get(&id)) {
        (Some(place), _) => place,
        (None, Some(problem)) if is_known => {
            let message = format!("cannot compare the model: {problem}");
            return Err(HubError::new(Code::Unreadable, message));
        }
        (None, _) => return Err(not_ready()),
    };
    app.document(move |hub| {
        let graph = &snapshot.graph;
        Ok(match part {
            "card" => typed("text/markdown; charset=utf-8", card(hub, graph, place)),
            "bom" => bom(&graph.subgraph(&relevant(graph, place))),
            "graph.svg" => svg(whole_tree(&snapshot, place).svg().to_string()),
            "tree" => Json(tree(hub, &snapshot, &id)).into_response(),
            _ => Json(&whole_tree(&snapshot, place)).into_response(),
        })
    })
    .await
}

/// The front matter of a model's card.
///
/// Hubs have one word for trained models, whatever the rank of the update, which signatures don't reveal.
fn card(hub: &Hub, graph: &ModelGraph, model: usize) -> String {
    let near = graph.subgraph(&relevant(graph, model));
    let trained = near.clone().with_kinds(|_, child| {
        let kind = near.models()[child].descent()?.kind();
        let rank = adapter_rank(hub, &near, child);
        let adapter = rank.map(|rank| DescentKind::Adapter { rank });
        adapter.or(kind).or(Some(DescentKind::Full))
    });
    let place = graph.name(model).and_then(|name| trained.index(name));
    let card = place.and_then(|place| trained.card(place));
    card.map(|card| format!("{card:.2}\n")).unwrap_or_default()
}

/// The tree of a model as a separate graph.
fn whole_tree(snapshot: &Arc<Snapshot>, model: usize) -> ModelGraph {
    let graph = &snapshot.graph;
    let root = graph.ancestors(model).last().unwrap_or(model);
    graph.subgraph(graph.subtree(root))
}

pub(super) fn bom(graph: &ModelGraph) -> axum::response::Response {
    typed(
        "application/vnd.cyclonedx+json; version=1.7",
        graph.cyclonedx().to_string(),
    )
}
