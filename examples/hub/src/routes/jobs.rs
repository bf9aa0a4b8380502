//! `/jobs`: models that are being read.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::json;

use super::{App, query};
use crate::answer::Answer;
use crate::error::{Code, HubError};

/// The maximum number of jobs in a response.
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

pub(super) async fn get(State(app): State<App>, number: Number) -> Answer {
    let number = parse(number)?;
    let job = app.blocking(move |hub| hub.job(number)).await?;
    Ok(Json(job).into_response())
}

pub(super) async fn cancel(State(app): State<App>, number: Number) -> Answer {
    let number = parse(number)?;
    let job = app.blocking(move |hub| hub.cancel_job(number)).await?;
    Ok(Json(job).into_response())
}

pub(super) async fn events(State(app): State<App>, number: Number) -> Answer {
    let number = parse(number)?;
    app.blocking(move |hub| {
        let view = hub.job(number)?;
        crate::events::of_job(hub, number, view)
    })
    .await
}

/// The path segment with a job's number, if it is valid text.
type Number = Result<Path<String>, PathRejection>;

fn parse(number: Number) -> Result<i64, HubError> {
    let parsed = number.ok().and_then(|Path(number)| number.parse().ok());
    parsed.ok_or_else(|| HubError::new(Code::NoSuchJob, "no such job"))
}
