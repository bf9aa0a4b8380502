//! Errors of requests: a stable code and a message.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::error;

/// Why a request or a job failed.
///
/// Clients distinguish errors by their code; the message is for people and may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $status:ident;)*) => {
        /// The code, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    BadId, "bad_id", BAD_REQUEST;
    BadRequest, "bad_request", BAD_REQUEST;
    MediaType, "media_type", UNSUPPORTED_MEDIA_TYPE;
    NoSuchRoute, "no_such_route", NOT_FOUND;
    Method, "method_not_allowed", METHOD_NOT_ALLOWED;
    NoSuchModel, "no_such_model", NOT_FOUND;
    NoSuchJob, "no_such_job", NOT_FOUND;
    ModelExists, "model_exists", CONFLICT;
    JobExists, "job_exists", CONFLICT;
    JobFinished, "job_finished", CONFLICT;
    NoFolder, "no_folder", CONFLICT;
    OutsidePath, "outside_path", FORBIDDEN;
    NoSuchPath, "no_such_path", NOT_FOUND;
    NotOneModel, "not_one_model", UNPROCESSABLE_ENTITY;
    Unreadable, "unreadable_model", UNPROCESSABLE_ENTITY;
    Adapter, "adapter", UNPROCESSABLE_ENTITY;
    BadSignature, "bad_signature", UNPROCESSABLE_ENTITY;
    OtherSettings, "other_settings", UNPROCESSABLE_ENTITY;
    TooLarge, "too_large", PAYLOAD_TOO_LARGE;
    QueueFull, "queue_full", TOO_MANY_REQUESTS;
    HubFull, "hub_full", INSUFFICIENT_STORAGE;
    TimedOut, "timed_out", REQUEST_TIMEOUT;
    JobTooLong, "job_too_long", UNPROCESSABLE_ENTITY;
    NotReady, "not_ready", SERVICE_UNAVAILABLE;
    Internal, "internal", INTERNAL_SERVER_ERROR;
}

impl HubError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A fault of the hub itself. Details are logged but not sent to the client.
    pub(crate) fn internal(problem: impl std::fmt::Display) -> Self {
        error!(%problem, "internal error");
        Self::new(Code::Internal, "internal error; see the hub's log")
    }

    pub(crate) fn no_such_model(id: &str) -> Self {
        Self::new(Code::NoSuchModel, format!("no model named {id:?}"))
    }
}

impl From<rusqlite::Error> for HubError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for HubError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code.name(), "message": self.message}});
        let mut response = (self.code.status(), Json(body)).into_response();
        if matches!(self.code, Code::QueueFull | Code::NotReady) {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
