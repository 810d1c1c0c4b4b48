//! A Descope in memory: answers calls from a script and counts them.
#![allow(dead_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::watch;
use tower_descope::client::{Transport, TransportError, TransportErrorKind, TransportFuture};

/// Clones share script and counts.
#[derive(Clone, Default)]
pub struct Fake {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    calls: Vec<String>,
    scripts: HashMap<String, Script>,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Answer>,
    then: Option<Answer>,
}

/// What a call gets.
#[derive(Clone)]
pub struct Answer {
    /// `None`: no answer, ever.
    result: Option<Result<Message, TransportErrorKind>>,
    delay: Duration,
    gate: Option<watch::Receiver<bool>>,
}

#[derive(Clone)]
struct Message {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

/// Holds answers back until it is opened.
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }
}

impl Answer {
    /// 200 with this body.
    pub fn json(body: impl ToString) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl ToString) -> Self {
        Self::of(Some(Ok(Message {
            status,
            headers: Vec::new(),
            body: body.to_string().into(),
        })))
    }

    pub fn fail(kind: TransportErrorKind) -> Self {
        Self::of(Some(Err(kind)))
    }

    /// None, ever.
    pub fn hang() -> Self {
        Self::of(None)
    }

    fn of(result: Option<Result<Message, TransportErrorKind>>) -> Self {
        Self {
            result,
            delay: Duration::ZERO,
            gate: None,
        }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Some(Ok(message)) = &mut self.result {
            message.headers.push((name, value.to_string()));
        }
        self
    }

    /// Comes this much later, by the runtime's clock.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Comes when the gate opens.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.0.subscribe());
        self
    }

    async fn give(self) -> Result<Response<Bytes>, TransportError> {
        if let Some(mut gate) = self.gate {
            let _ = gate.wait_for(|open| *open).await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let Some(result) = self.result else {
            return std::future::pending().await;
        };
        let message = result.map_err(TransportError::new)?;
        let mut response = Response::builder().status(message.status);
        for (name, value) in message.headers {
            response = response.header(name, value);
        }
        Ok(response.body(message.body).unwrap())
    }
}

impl Fake {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, calls of this path get this answer.
    pub fn always(&self, path: impl Into<String>, answer: Answer) -> &Self {
        let mut inner = self.inner.lock().unwrap();
        let script = inner.scripts.entry(path.into()).or_default();
        script.next.clear();
        script.then = Some(answer);
        self
    }

    /// Of this path, one more call gets this answer before those of [`Self::always`] go on.
    pub fn once(&self, path: impl Into<String>, answer: Answer) -> &Self {
        let mut inner = self.inner.lock().unwrap();
        let script = inner.scripts.entry(path.into()).or_default();
        script.next.push_back(answer);
        self
    }

    /// Calls so far, of every path.
    pub fn calls(&self) -> usize {
        self.inner.lock().unwrap().calls.len()
    }

    /// Calls of one path so far.
    pub fn calls_of(&self, path: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.calls.iter().filter(|call| *call == path).count()
    }
}

impl Transport for Fake {
    fn send(&self, request: Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
        let path = request.uri().path().to_owned();
        let answer = {
            let mut inner = self.inner.lock().unwrap();
            inner.calls.push(path.clone());
            inner
                .scripts
                .get_mut(&path)
                .and_then(|script| script.next.pop_front().or_else(|| script.then.clone()))
        };
        Box::pin(async move {
            match answer {
                Some(answer) => answer.give().await,
                None => Answer::status(404, "no such path").give().await,
            }
        })
    }
}
