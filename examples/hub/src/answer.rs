//! Responses other than JSON, and the headers that all responses have.

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::error::HubError;

pub(crate) type Answer = Result<Response, HubError>;

/// The content security policy of a picture that is opened on its own: it may do nothing.
const POLICY_OF_PICTURES: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// The content security policy of the page: it may load its own two files, and data from this hub.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const NOSNIFF: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-content-type-options"),
    HeaderValue::from_static("nosniff"),
);

const NO_REFERRER: (HeaderName, HeaderValue) = (
    HeaderName::from_static("referrer-policy"),
    HeaderValue::from_static("no-referrer"),
);

/// A body with a content type.
pub(crate) fn typed(kind: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A picture, which can't run scripts when it is opened on its own.
pub(crate) fn svg(body: String) -> Response {
    let mut response = typed("image/svg+xml; charset=utf-8", body);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY_OF_PICTURES);
    response
}

/// Adds the headers that all responses have.
pub(crate) fn guard(headers: &mut HeaderMap) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    for (name, value) in [NOSNIFF, NO_REFERRER] {
        headers.insert(name, value);
    }
}
