//! A token in, a verdict out, by each of the ways an application has.
#![allow(dead_code)]

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_descope::require::ResponseBody;
use tower_descope::{AuthError, Descope, RequireLayer, User};

#[derive(Debug)]
pub enum Verdict {
    Accepted(User),
    Refused(AuthError),
    /// By the layers: the id of the user that the handler saw.
    AcceptedBy(String),
    /// By the layers: the status.
    RefusedBy(u16),
}

/// Hands a token to the verification API.
pub async fn by_api(descope: &Descope, token: &str) -> Verdict {
    match descope.validate_session(token).await {
        Ok(user) => Verdict::Accepted(user),
        Err(error) => Verdict::Refused(error),
    }
}

/// Sends a request with these headers to a protected service.
pub async fn by_layer(descope: &Descope, headers: &[(&str, &str)]) -> Verdict {
    let response = response(descope, headers).await;
    let status = response.status().as_u16();
    let id = response.into_body().collect().await.unwrap().to_bytes();
    if status == 200 {
        Verdict::AcceptedBy(String::from_utf8(id.to_vec()).unwrap())
    } else {
        Verdict::RefusedBy(status)
    }
}

/// What a protected service answers a request with these headers. Checks what every refusal has in common.
pub async fn response(
    descope: &Descope,
    headers: &[(&str, &str)],
) -> Response<ResponseBody<Full<Bytes>>> {
    let service = ServiceBuilder::new()
        .layer(descope.session_layer())
        .layer(RequireLayer::new())
        .service(service_fn(async |request: Request<()>| {
            let user = User::from_extensions(request.extensions()).unwrap();
            let id = Bytes::copy_from_slice(user.id().as_bytes());
            Ok::<_, Infallible>(Response::new(Full::new(id)))
        }));
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();

    let has = |name| response.headers().contains_key(name);
    match response.status().as_u16() {
        200 => {}
        // Security requirement 41.
        401 => {
            let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.starts_with("Bearer realm="), "{challenge}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
        // Security requirement 42.
        503 => assert!(has(RETRY_AFTER) && !has(WWW_AUTHENTICATE)),
        other => panic!("status {other}"),
    }
    if response.status() != 200 {
        assert!(has(CACHE_CONTROL) && !has(SET_COOKIE));
    }
    response
}
