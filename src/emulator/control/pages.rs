//! The pages: static files compiled in, nothing from elsewhere, no build step.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let inbox = || async { file(HTML, include_str!("../pages/inbox.html")) };
    let whatsapp = || async { file(HTML, include_str!("../pages/whatsapp.html")) };
    let inbox_script = || async { file(SCRIPT, include_str!("../pages/inbox.js")) };
    let whatsapp_script = || async { file(SCRIPT, include_str!("../pages/whatsapp.js")) };
    let style = || async { file(STYLE, include_str!("../pages/style.css")) };
    Router::new()
        .route("/emulator", get(inbox))
        .route("/emulator/", get(inbox))
        .route("/emulator/whatsapp/{code}", get(whatsapp))
        .route("/emulator/inbox.js", get(inbox_script))
        .route("/emulator/whatsapp.js", get(whatsapp_script))
        .route("/emulator/style.css", get(style))
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // The address of a message holds its code.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, content).into_response()
}
