//! Failures that a test orders.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::wire::nullable;

/// A failure of the next calls whose path begins with a given text.
///
/// Faults wait in a queue. Each call takes the first fault that matches its path. By default a call with a fault is not
/// executed.
///
/// ```
/// use tower_descope::emulator::Fault;
///
/// let busy = Fault::status("/v1/auth/refresh", 503).times(2).retry_after(7);
/// // The refresh happens, but its answer is lost.
/// let lost = Fault::reset("/v1/auth/refresh").executed();
/// # let _ = (busy, lost);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub(crate) path: String,
    times: u32,
    pub(crate) kind: FaultKind,
    pub(crate) executed: bool,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Status,
    Hang,
    Reset,
    Truncate,
    Garbage,
    Empty,
    Slow(Duration),
}

impl Fault {
    fn new(path: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            path: path.into(),
            times: 1,
            kind,
            executed: matches!(kind, FaultKind::Slow(_)),
            status: 200,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Calls whose path begins with `path` are answered with this status, and with a JSON error body unless
    /// [`body`](Self::body) sets another. A status outside 100 to 599 is answered as 500.
    pub fn status(path: impl Into<String>, status: u16) -> Self {
        Self {
            status,
            ..Self::new(path, FaultKind::Status)
        }
    }

    /// Calls are accepted and never answered.
    pub fn hang(path: impl Into<String>) -> Self {
        Self::new(path, FaultKind::Hang)
    }

    /// The connection is reset (TCP RST), without an answer.
    pub fn reset(path: impl Into<String>) -> Self {
        Self::new(path, FaultKind::Reset)
    }

    /// The answer announces its full length and ends half-way.
    pub fn truncate(path: impl Into<String>) -> Self {
        Self::new(path, FaultKind::Truncate)
    }

    /// The answer is an HTML page, as a captive portal or a firewall would send it; 200 unless
    /// [`with_status`](Self::with_status) says otherwise.
    pub fn garbage(path: impl Into<String>) -> Self {
        Self::new(path, FaultKind::Garbage)
    }

    /// The answer has this status and no body at all, which Descope never does.
    pub fn empty(path: impl Into<String>, status: u16) -> Self {
        Self::new(path, FaultKind::Empty).with_status(status)
    }

    /// The call is executed at once and answered only after this time.
    pub fn slow(path: impl Into<String>, delay: Duration) -> Self {
        Self::new(path, FaultKind::Slow(delay))
    }

    /// How many calls have this fault. Default 1. With 0 the fault never happens.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The status of a garbage or truncated answer. Default 200; outside 100 to 599 it is answered as 500.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The `Retry-After` header: seconds, a date, or nonsense. Not sent by default. A value that no header can
    /// hold is left out.
    #[must_use]
    pub fn retry_after(self, value: impl ToString) -> Self {
        self.header("retry-after", value.to_string())
    }

    /// Adds a header to the answer. A header that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The JSON body of a status fault or of a truncated answer.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Executes the call before the fault changes or drops its answer. A refresh, for example, then rotates the refresh
    /// JWT although the client does not receive the new one. Default: not executed, except with [`slow`](Self::slow).
    #[must_use]
    pub fn executed(mut self) -> Self {
        self.executed = true;
        self
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| status.as_u16() < 600)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The headers that HTTP allows.
    pub(crate) fn valid_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
    }

    /// The form of `POST /emulator/v1/faults`.
    pub(crate) fn from_json(body: Value) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Order {
            path: String,
            kind: Option<String>,
            status: Option<u16>,
            times: Option<u32>,
            seconds: Option<f64>,
            retry_after: Option<Value>,
            #[serde(default, deserialize_with = "nullable")]
            headers: Map<String, Value>,
            body: Option<Value>,
            #[serde(default, deserialize_with = "nullable")]
            executed: bool,
        }

        let order: Order = serde_json::from_value(body)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let mut fault = match order.kind.as_deref() {
            None | Some("status") => {
                let status = order.status.ok_or_else(|| ApiError::missing("status"))?;
                Self::status(order.path, status)
            }
            Some("hang") => Self::hang(order.path),
            Some("reset") => Self::reset(order.path),
            Some("truncate") => Self::truncate(order.path),
            Some("garbage") => Self::garbage(order.path),
            Some("empty") => Self::empty(order.path, 200),
            Some("slow") => {
                let seconds = order.seconds.ok_or_else(|| ApiError::missing("seconds"))?;
                let delay = Duration::try_from_secs_f64(seconds)
                    .map_err(|error| ApiError::bad_request(error.to_string()))?;
                Self::slow(order.path, delay)
            }
            Some(_) => {
                return Err(ApiError::invalid(
                    "kind: expected status, hang, reset, truncate, garbage, empty or slow",
                ));
            }
        };
        if let Some(status) = order.status {
            fault = fault.with_status(status);
        }
        if let Some(value) = order.retry_after {
            fault = fault.retry_after(text_of(value));
        }
        for (name, value) in order.headers {
            fault = fault.header(name, text_of(value));
        }
        fault.body = order.body;
        fault.executed |= order.executed;
        Ok(fault.times(order.times.unwrap_or(1)))
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The faults that no call has used up yet.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(VecDeque<Fault>);

impl FaultQueue {
    pub(crate) fn push(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.0.push_back(fault);
        }
    }

    /// The fault that this call runs into, if there is one.
    pub(crate) fn take(&mut self, path: &str) -> Option<Fault> {
        let index = self
            .0
            .iter()
            .position(|fault| path.starts_with(&fault.path))?;
        let fault = self.0.get_mut(index)?;
        fault.times -= 1;
        if fault.times == 0 {
            self.0.remove(index)
        } else {
            Some(fault.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_are_used_up_in_order_by_path() {
        let mut queue = FaultQueue::default();
        queue.push(Fault::status("/v1/auth/otp", 500).times(2));
        queue.push(Fault::status("/v1/auth", 503));
        queue.push(Fault::status("/v1/auth", 504).times(0));
        let mut take = |path| queue.take(path).map(|fault| fault.status);
        assert_eq!(take("/v2/keys"), None);
        assert_eq!(take("/v1/auth/refresh"), Some(503));
        assert_eq!(take("/v1/auth/refresh"), None);
        assert_eq!(take("/v1/auth/otp/signup/email"), Some(500));
        assert_eq!(take("/v1/auth/otp/signup/email"), Some(500));
        assert_eq!(take("/v1/auth/otp/signup/email"), None);
    }

    #[test]
    fn the_json_form_says_the_same() {
        let parsed = |value| Fault::from_json(value).unwrap();
        assert_eq!(
            parsed(json!({"path": "/v1", "status": 429, "retryAfter": 7, "times": 3})),
            Fault::status("/v1", 429).retry_after(7).times(3)
        );
        assert_eq!(
            parsed(json!({"path": "/v1", "kind": "slow", "seconds": 1.5})),
            Fault::slow("/v1", Duration::from_millis(1500))
        );
        assert_eq!(
            parsed(json!({"path": "/v1", "kind": "reset", "executed": true, "body": null})),
            Fault::reset("/v1").executed()
        );
        for wrong in [
            json!({}),
            json!({"path": "/v1"}),
            json!({"path": "/v1", "kind": "explode"}),
            json!({"path": "/v1", "kind": "slow", "seconds": -1}),
        ] {
            assert!(Fault::from_json(wrong).is_err());
        }
    }

    #[test]
    fn impossible_statuses_and_headers_do_no_harm() {
        let fault = Fault::status("/", 7)
            .retry_after("a\r\nb")
            .header("a b", "c");
        assert_eq!(fault.status_code(), 500);
        assert_eq!(fault.valid_headers().count(), 0);
    }
}
