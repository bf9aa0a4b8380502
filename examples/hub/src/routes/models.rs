//! `/models`: the list, and adding models from the folder.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::json;

use super::{App, query};
use crate::answer::Answer;
use crate::database::NewJob;
use crate::error::{Code, HubError};
use crate::id;
use crate::lineage::lineage;
use crate::stated::Stated;

/// The maximum number of models in a response.
const MOST_LISTED: usize = 1000;

/// The maximum time that a request waits for the graph.
pub(super) const LONGEST_WAIT: u64 = 60;

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    query: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

/// The list of models.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Answer {
    let asked: ListQuery = query(&uri)?;
    let most = asked.limit.unwrap_or(100).min(MOST_LISTED);
    let listed = app.hub.catalogue.list(&asked.query, &asked.after, most);
    let snapshot = app.hub.snapshot();
    let models = listed.models.iter().map(|known| {
        let graph = &snapshot.graph;
        let place = graph.index(&known.row.id);
        let found = place.map(|place| &graph.models()[place]);
        json!({
            "id": known.row.id,
            "origin": known.row.origin.name(),
            "pending": place.is_none() || snapshot.change < known.change,
            "parent": place.and_then(|at| graph.parent(at)).and_then(|parent| graph.name(parent)),
            "probability": found.and_then(|model| model.confidence()),
        })
    });
    let is_full = most > 0 && listed.models.len() == most;
    let last = listed.models.last().filter(|_| is_full);
    let body = json!({
        "models": models.collect::<Vec<_>>(),
        "matches": listed.matches,
        "total": listed.total,
        "next": last.map(|known| &known.row.id),
    });
    Ok(Json(body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewModel {
    id: String,
    path: String,
    #[serde(default)]
    base_model: Bases,
    base_model_relation: Option<String>,
}

/// One base or several, as in model cards.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bases {
    One(String),
    Several(Vec<String>),
}

impl Default for Bases {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

/// Queues a model from the folder.
pub(super) async fn add(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        let message = "the body must be JSON, with Content-Type: application/json";
        return Err(HubError::new(Code::MediaType, message));
    }
    let new: NewModel = serde_json::from_slice(&body.map_err(bad_body)?)
        .map_err(|error| HubError::new(Code::BadRequest, format!("invalid body: {error}")))?;
    id::check(&new.id)?;
    let base_model = match new.base_model {
        Bases::One(base) => vec![base],
        Bases::Several(bases) => bases,
    };
    let stated = Stated {
        base_model,
        base_model_relation: new.base_model_relation,
        adapter: None,
    };
    let job = NewJob {
        model: new.id,
        path: new.path,
        stated: stated.checked()?,
    };
    let view = app.blocking(move |hub| {
        let folder = hub.folder.as_ref().ok_or_else(|| {
            let message = "the hub was started without a folder of models (HUB_MODELS)";
            HubError::new(Code::NoFolder, message)
        })?;
        folder.resolve(&job.path)?;
        hub.queue(&job, hub.config.queue)
    });
    let view = view.await?;
    let location = format!("/jobs/{}", view.job);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(view)).into_response())
}

pub(super) fn bad_body(rejected: BytesRejection) -> HubError {
    if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return HubError::new(Code::TooLarge, "the body is too long");
    }
    HubError::new(Code::BadRequest, "cannot read the body")
}

/// The time to wait for the graph.
#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

/// The lineage of one model.
pub(super) async fn get(app: &App, id: &str, uri: &Uri) -> Answer {
    let Wait { wait } = query(uri)?;
    app.hub.model(id)?;
    let wait = Duration::from_secs(wait.min(LONGEST_WAIT));
    let snapshot = app.hub.snapshot_with(app.hub.newest_change(), wait).await;
    // It may have been removed meanwhile.
    let known = app.hub.model(id)?;
    Ok(Json(lineage(&app.hub, &known, &snapshot)).into_response())
}
