//! The graph of all models, and the health of the hub.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use mother::heritage::ModelGraph;
use serde_json::json;

use super::model::bom as bom_of;
use super::{App, not_ready};
use crate::answer::{self, Answer, typed};
use crate::metrics as numbers;

pub(super) async fn json(State(app): State<App>) -> Answer {
    whole(&app, |graph| Json(graph).into_response()).await
}

pub(super) async fn svg(State(app): State<App>) -> Answer {
    whole(&app, |graph| answer::svg(graph.svg().to_string())).await
}

pub(super) async fn bom(State(app): State<App>) -> Answer {
    whole(&app, bom_of).await
}

async fn whole(app: &App, write: fn(&ModelGraph) -> axum::response::Response) -> Answer {
    app.document(move |hub| {
        let snapshot = hub.snapshot();
        if snapshot.generation == 0 {
            return Err(not_ready());
        }
        Ok(write(&snapshot.graph))
    })
    .await
}

/// Whether the hub works: the database responds, and the graph is being maintained.
pub(super) async fn health(State(app): State<App>) -> Answer {
    let database = app.blocking(|hub| Ok(hub.database().check()?)).await;
    let snapshot = app.hub.snapshot();
    let recovers = app.hub.recovers.load(Ordering::Acquire);
    let is_well = database.is_ok() && recovers;
    let status = if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "status": if is_well { "ok" } else { "failing" },
        "models": app.hub.catalogue.len(),
        "generation": snapshot.generation,
        "current": snapshot.generation > 0 && snapshot.change >= app.hub.newest_change(),
    });
    Ok((status, Json(body)).into_response())
}

pub(super) async fn metrics(State(app): State<App>) -> Answer {
    let text = app.blocking(|hub| numbers::text(hub)).await?;
    Ok(typed("text/plain; version=0.0.4; charset=utf-8", text))
}
