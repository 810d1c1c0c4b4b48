//! A transport that answers from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};

use super::{
    Client, ClientBuilder, Transport, TransportError, TransportErrorKind, TransportFuture,
};

#[derive(Clone, Default)]
pub(super) struct Script {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Result<Response<Bytes>, TransportError>>,
    seen: Vec<Request<Bytes>>,
}

impl Script {
    pub(super) fn answer(self, status: u16, body: &str) -> Self {
        self.answer_with(status, &[], body)
    }

    pub(super) fn answer_with(self, status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Bytes::from(body.to_owned())).unwrap();
        self.state.lock().unwrap().answers.push_back(Ok(response));
        self
    }

    pub(super) fn fail(self, kind: TransportErrorKind) -> Self {
        let error = TransportError::new(kind);
        self.state.lock().unwrap().answers.push_back(Err(error));
        self
    }

    pub(super) fn seen(&self) -> Vec<Request<Bytes>> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(super) fn builder(&self) -> ClientBuilder {
        Client::builder("P2abc".parse().unwrap()).transport(self.clone())
    }

    pub(super) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

// A request for which the script has no answer left fails with `Interrupted`.
impl Transport for Script {
    fn send(&self, request: Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
        let mut state = self.state.lock().unwrap();
        state.seen.push(request);
        let answer = state
            .answers
            .pop_front()
            .unwrap_or(Err(TransportError::new(TransportErrorKind::Interrupted)));
        Box::pin(async { answer })
    }
}
