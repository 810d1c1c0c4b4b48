//! A layer that does what a careless version of ours might: it copies the cookies and hashes them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::task::{Context, Poll};

use http::Request;
use http::header::COOKIE;
use tower::{Layer, Service};

#[derive(Clone)]
pub struct Slow;

#[derive(Clone)]
pub struct SlowService<S>(S);

impl<S> Layer<S> for Slow {
    type Service = SlowService<S>;

    fn layer(&self, inner: S) -> SlowService<S> {
        SlowService(inner)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for SlowService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        for value in request.headers().get_all(COOKIE) {
            let mut hasher = DefaultHasher::new();
            value.as_bytes().to_vec().hash(&mut hasher);
            black_box(hasher.finish());
        }
        self.0.call(request)
    }
}
