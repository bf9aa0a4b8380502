//! The routes, and what all responses have in common.

mod graph;
mod jobs;
mod model;
mod models;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::answer::guard;
use crate::error::{Code, HubError};
use crate::hub::Hub;
use crate::page;

/// The time limit of a request, including its body.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// The maximum size of a JSON body in bytes.
const JSON_BYTES: usize = 64 << 10;

/// The number of uploads in memory at the same time, and of long documents written at the same time.
const UPLOADS: usize = 8;
const DOCUMENTS: usize = 2;

/// The state shared by handlers.
#[derive(Clone)]
pub(crate) struct App {
    hub: Arc<Hub>,
    uploads: Arc<Semaphore>,
    documents: Arc<Semaphore>,
}

pub(crate) fn router(hub: Arc<Hub>) -> Router {
    let upload = DefaultBodyLimit::max(hub.config.signature_bytes);
    let app = App {
        hub,
        uploads: Arc::new(Semaphore::new(UPLOADS)),
        documents: Arc::new(Semaphore::new(DOCUMENTS)),
    };
    Router::new()
        .route("/", get(page::index))
        .route("/hub.js", get(page::script))
        .route("/hub.css", get(page::style))
        .route("/models", get(models::list).post(models::add))
        .route("/models/{*rest}", any(model::model).layer(upload))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{number}", get(jobs::get).delete(jobs::cancel))
        .route("/jobs/{number}/events", get(jobs::events))
        .route("/graph", get(graph::json))
        .route("/graph.svg", get(graph::svg))
        .route("/bom", get(graph::bom))
        .route("/healthz", get(graph::health))
        .route("/metrics", get(graph::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(JSON_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), watch))
        .with_state(app)
}

async fn no_such_route(uri: Uri) -> HubError {
    HubError::new(Code::NoSuchRoute, format!("no route {:?}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> HubError {
    HubError::new(
        Code::Method,
        format!("{:?} does not support {method}", uri.path()),
    )
}

/// Counts and limits every request, and adds the headers that all responses have.
async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| {
        let message = "the request took longer than two minutes";
        HubError::new(Code::TimedOut, message).into_response()
    });
    guard(response.headers_mut());
    let status = response.status().as_u16();
    app.hub
        .metrics
        .answered(name(&method), status, start.elapsed());
    debug!(%method, path, status, seconds = start.elapsed().as_secs_f64(), "answered");
    response
}

/// A method's name; all unknown ones count as one, so that clients can't create many counters.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

impl App {
    /// Runs slow work outside the threads that handle requests.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Hub>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let hub = Arc::clone(&self.hub);
        let done = tokio::task::spawn_blocking(move || work(&hub)).await;
        done.map_err(HubError::internal)?
    }

    /// The same for long documents, of which only a few are written at the same time.
    async fn document<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Hub>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let _turn = self.documents.acquire().await.map_err(HubError::internal)?;
        self.blocking(work).await
    }
}

/// The query of a URL.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, HubError> {
    let query = Query::try_from_uri(uri);
    let Query(query) = query.map_err(|error| HubError::new(Code::BadRequest, error.body_text()))?;
    Ok(query)
}

/// No graph contains the requested model yet.
fn not_ready() -> HubError {
    let message = "the graph is not ready yet; try again, or use ?wait=30";
    HubError::new(Code::NotReady, message)
}
