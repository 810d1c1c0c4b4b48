//! The apps that are compared, and how a request gets to them.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, StatusCode};
use tower::ServiceExt;
use tower::make::Shared;
use tower_descope::session::SessionService;

/// An app that answers `GET /`.
pub enum App {
    Axum(Router),
    Outside(SessionService<Router>),
    Axum07(axum07::Router),
}

impl App {
    /// One request in process.
    pub async fn call(&self, authorization: &HeaderValue) -> StatusCode {
        let request = Request::get("/").header("authorization", authorization.clone());
        match self {
            Self::Axum(app) => {
                let request = request.body(Body::empty()).expect("a request");
                app.clone()
                    .oneshot(request)
                    .await
                    .expect("infallible")
                    .status()
            }
            Self::Outside(app) => {
                let request = request.body(Body::empty()).expect("a request");
                app.clone()
                    .oneshot(request)
                    .await
                    .expect("infallible")
                    .status()
            }
            Self::Axum07(app) => {
                let request = request
                    .body(axum07::body::Body::empty())
                    .expect("a request");
                app.clone()
                    .oneshot(request)
                    .await
                    .expect("infallible")
                    .status()
            }
        }
    }

    /// Waits for those that let requests in before they have keys.
    pub async fn ready(&self, authorization: &HeaderValue) {
        for _ in 0..100 {
            if self.call(authorization).await == StatusCode::OK {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("refuses a good token");
    }

    pub async fn serve(self, listener: tokio::net::TcpListener) {
        let served = match self {
            Self::Axum(app) => axum::serve(listener, app).await,
            Self::Outside(app) => axum::serve(listener, Shared::new(app)).await,
            Self::Axum07(app) => axum07::serve(listener, app).await,
        };
        served.expect("a server");
    }
}
