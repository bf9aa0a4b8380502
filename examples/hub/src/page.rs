//! The page: three files embedded in the program.

use axum::response::{Html, IntoResponse as _, Response};

use crate::answer::typed;

pub(crate) async fn index() -> Response {
    Html(include_str!("page/index.html")).into_response()
}

pub(crate) async fn script() -> Response {
    typed(
        "text/javascript; charset=utf-8",
        include_str!("page/hub.js"),
    )
}

pub(crate) async fn style() -> Response {
    typed("text/css; charset=utf-8", include_str!("page/hub.css"))
}
