//! `/jobs`: models that are being read.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::json;

use super::{App, query};
use crate::answer::Answer;
use crate::error::{Code, HubError};

/// The most jobs of one answer.
const MOST_LISTED: usize = 1000;

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
}

pub(super) async fn list(State(app): State<App>, uri: Uri) -> Answer {
    let ListQuery { limit } = query(&uri)?;
    let most = limit.unwrap_or(100).min(MOST_LISTED);
    let jobs = app.blocking(move |hub| hub.newest_jobs(most)).await?;
    Ok(Json(json!({"jobs": jobs})).into_response())
}

pub(super) async fn get(State(app): State<App>, Path(number): Path<String>) -> Answer {
    let number = parse(&number)?;
    let job = app.blocking(move |hub| hub.job(number)).await?;
    Ok(Json(job).into_response())
}

pub(super) async fn cancel(State(app): State<App>, Path(number): Path<String>) -> Answer {
    let number = parse(&number)?;
    let job = app.blocking(move |hub| hub.cancel_job(number)).await?;
    Ok(Json(job).into_response())
}

pub(super) async fn events(State(app): State<App>, Path(number): Path<String>) -> Answer {
    let number = parse(&number)?;
    app.blocking(move |hub| {
        let view = hub.job(number)?;
        crate::events::of_job(hub, number, view)
    })
    .await
}

fn parse(number: &str) -> Result<i64, HubError> {
    let no_job = |_| HubError::new(Code::NoSuchJob, format!("there is no job {number:?}"));
    number.parse().map_err(no_job)
}
