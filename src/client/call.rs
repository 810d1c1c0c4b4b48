//! How one call is made: the request, the deadline, the repetition and the answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use serde::Serialize;

use super::error::{ClientError, UnavailableReason};
use super::transport::{TransportError, TransportErrorKind};
use super::{Client, reply, retry_after};
use crate::wire::Credential;
use crate::wire::endpoint::{Call as Row, Request as _};

/// The request of one call.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The path, which is appended to the base URL and begins with a slash. It never holds unchecked data of a caller.
    pub(super) path: &'a str,
    pub(super) body: Bytes,
    /// The JWT or access key that follows the project id in the `Authorization` header.
    pub(super) credential: Option<&'a str>,
    /// Whether the auth management key is sent too, if there is one.
    pub(super) managed: bool,
    pub(super) deadline: Duration,
}

impl Client {
    /// Makes the call that the row `C` describes. It checks that the required members are not blank, sends the
    /// credential only if the row asks for it, and reads the answer.
    pub(super) async fn call<C: Row>(
        &self,
        request: &C::Request,
        credential: Option<&str>,
    ) -> Result<C::Answer, ClientError> {
        self.call_with::<C>(None, request, credential).await
    }

    /// As [`call`](Self::call), for a path that has a parameter.
    pub(super) async fn call_with<C: Row>(
        &self,
        parameter: Option<&'static str>,
        request: &C::Request,
        credential: Option<&str>,
    ) -> Result<C::Answer, ClientError> {
        let response = self.respond::<C>(parameter, request, credential).await?;
        reply::answer(&self.inner.cookies, &response)
    }

    /// As [`call_with`](Self::call_with), but the caller reads the answer.
    pub(super) async fn respond<C: Row>(
        &self,
        parameter: Option<&'static str>,
        request: &C::Request,
        credential: Option<&str>,
    ) -> Result<Response<Bytes>, ClientError> {
        if let Some(missing) = request.missing() {
            return Err(ClientError::invalid(missing.empty));
        }
        let credential = match (C::ENDPOINT.credential, request.login_options(), credential) {
            (Credential::Nothing, ..) => None,
            (Credential::StepUp, Some(options), _) if !options.needs_refresh_token() => None,
            (Credential::StepUp, _, None) => {
                return Err(ClientError::invalid(
                    "step-up and mfa need the refresh token of the session",
                ));
            }
            (_, _, credential) => credential,
        };
        let path = C::ENDPOINT
            .path_with(parameter)
            .ok_or_else(|| ClientError::invalid("e-mail does not reach a phone"))?;
        let call = match C::ENDPOINT.method {
            "GET" => self.get(&path, credential),
            _ => self.post(&path, request, credential)?,
        };
        self.send(call).await
    }

    fn post<'a, B: Serialize>(
        &self,
        path: &'a str,
        body: &B,
        credential: Option<&'a str>,
    ) -> Result<Call<'a>, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|_| ClientError::invalid("the body cannot be written as json"))?;
        Ok(Call {
            method: Method::POST,
            body: body.into(),
            ..self.get(path, credential)
        })
    }

    pub(super) fn get<'a>(&self, path: &'a str, credential: Option<&'a str>) -> Call<'a> {
        Call {
            method: Method::GET,
            path,
            body: Bytes::new(),
            credential,
            managed: true,
            deadline: self.inner.deadline,
        }
    }

    /// Sends the call within its deadline. `Ok` is a 2xx answer, whatever its body.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Response<Bytes>, ClientError> {
        let path = call.path;
        let deadline = call.deadline;
        let request = self.request(call)?;

        let started = self.inner.clock.monotonic();
        let outcome = tokio::time::timeout(deadline, self.send_and_repeat(request)).await;
        let elapsed = self.inner.clock.monotonic().saturating_sub(started);

        let outcome = match outcome {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(ClientError::from(error)),
            Err(_) => Err(ClientError::unavailable(UnavailableReason::Timeout)),
        };
        // Add no further fields: arguments, errors and peer addresses may reveal secrets or personal data.
        tracing::debug!(
            path,
            status = outcome
                .as_ref()
                .ok()
                .map(|response| response.status().as_u16()),
            ?elapsed,
            "descope call"
        );
        let response = outcome?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(&response))
        }
    }

    async fn send_and_repeat(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let again = request.clone();
        let error = match self.send_once(request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        match error.kind() {
            TransportErrorKind::NotConnected => tokio::time::sleep(RECONNECT_PAUSE).await,
            // Only a GET is repeated. The server may have carried out a POST, and repeating it can do harm: a
            // repeated refresh would present a refresh JWT that rotation has replaced, and a repeated verify would
            // present a code that is spent.
            TransportErrorKind::Interrupted if again.method() == Method::GET => {}
            _ => return Err(error),
        }
        self.send_once(again).await
    }

    async fn send_once(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let response = self
            .inner
            .transport
            .send(request, self.inner.max_body)
            .await?;
        // A transport that the app supplied may not have applied the limit.
        if response.body().len() > self.inner.max_body {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        Ok(response)
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Bytes>, ClientError> {
        let project = self.inner.project.as_str();
        let mut bearer = format!("Bearer {project}");
        let key = self.inner.management_key.as_ref().filter(|_| call.managed);
        for part in call.credential.into_iter().chain(key.map(|k| k.expose())) {
            bearer.push(':');
            bearer.push_str(part);
        }
        let mut bearer = HeaderValue::try_from(bearer)
            .map_err(|_| ClientError::invalid("the credential does not fit into a header"))?;
        bearer.set_sensitive(true);

        let uri = format!("{}{}", self.inner.base_url.as_str(), call.path);
        let mut request = Request::builder()
            .method(call.method)
            .uri(uri)
            .body(call.body)
            .map_err(|_| ClientError::invalid("the path does not fit into a url"))?;

        let headers: &mut HeaderMap = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(
            "x-descope-project-id",
            HeaderValue::from_str(project)
                .map_err(|_| ClientError::invalid("the project id does not fit into a header"))?,
        );
        headers.insert("x-descope-sdk-name", HeaderValue::from_static(NAME));
        headers.insert("x-descope-sdk-version", HeaderValue::from_static(VERSION));
        Ok(request)
    }

    fn refusal(&self, response: &Response<Bytes>) -> ClientError {
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after::parse(value.as_bytes(), self.inner.clock.unix()));
        ClientError::refused(
            response.status(),
            reply::error_body(response.body()),
            retry_after,
        )
    }
}

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const USER_AGENT_VALUE: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
// Gives a proxy or an emulator time to restart. The official SDKs wait as long before their first repetition.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::Script;
    use crate::client::{AccessKey, ClientErrorKind, RefreshToken};

    fn token() -> RefreshToken {
        RefreshToken::new("r.r.r").unwrap()
    }

    #[tokio::test]
    async fn headers_of_a_call() {
        let script = Script::default().answer(200, "{}").answer(200, "{}");
        script.client().session().logout(&token()).await.unwrap();
        let client = script
            .builder()
            .auth_management_key(AccessKey::new("key").unwrap())
            .base_url("https://a.example/x/".parse().unwrap())
            .build()
            .unwrap();
        client.session().logout(&token()).await.unwrap();

        let [plain, managed]: [_; 2] = script.seen().try_into().unwrap();
        assert_eq!(plain.method(), Method::POST);
        assert_eq!(plain.uri(), "https://api.descope.com/v1/auth/logout");
        assert_eq!(managed.uri(), "https://a.example/x/v1/auth/logout");
        assert_eq!(plain.body(), "{}");
        for (name, value) in [
            ("authorization", "Bearer P2abc:r.r.r"),
            ("content-type", "application/json"),
            ("x-descope-project-id", "P2abc"),
            ("x-descope-sdk-name", "tower-descope"),
            ("x-descope-sdk-version", VERSION),
        ] {
            assert_eq!(plain.headers()[name], value);
        }
        assert!(plain.headers()[AUTHORIZATION].is_sensitive());
        assert_eq!(managed.headers()[AUTHORIZATION], "Bearer P2abc:r.r.r:key");
    }

    #[tokio::test(start_paused = true)]
    async fn a_post_is_repeated_only_when_nothing_was_sent() {
        use TransportErrorKind::{Interrupted, NotConnected, Timeout, TooLarge};
        for (faults, attempts) in [
            (vec![NotConnected], 2),
            (vec![NotConnected, NotConnected], 2),
            (vec![NotConnected, Interrupted], 2),
            (vec![Interrupted], 1),
            (vec![Timeout], 1),
            (vec![TooLarge], 1),
        ] {
            let mut script = Script::default();
            for fault in &faults {
                script = script.fail(*fault);
            }
            let script = script.answer(200, r#"{"sessionJwt":"s.s.s"}"#);
            let result = script.client().session().refresh(&token()).await;
            assert_eq!(result.is_ok(), faults.len() < attempts, "{faults:?}");
            assert_eq!(script.seen().len(), attempts, "{faults:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_get_is_repeated_once() {
        use TransportErrorKind::{Interrupted, NotConnected, Timeout, TooLarge};
        for (faults, attempts) in [
            (vec![NotConnected], 2),
            (vec![Interrupted], 2),
            (vec![Interrupted, Interrupted], 2),
            (vec![NotConnected, Interrupted], 2),
            (vec![Timeout], 1),
            (vec![TooLarge], 1),
        ] {
            let mut script = Script::default();
            for fault in &faults {
                script = script.fail(*fault);
            }
            let script = script.answer(200, r#"{"userId":"U1"}"#);
            let result = script.client().session().me(&token()).await;
            assert_eq!(result.is_ok(), faults.len() < attempts, "{faults:?}");
            assert_eq!(script.seen().len(), attempts, "{faults:?}");
        }
    }

    #[tokio::test]
    async fn no_answer_is_a_reason_to_repeat() {
        for status in [401, 429, 500, 503] {
            let script = Script::default().answer(status, "").answer(200, "{}");
            assert!(script.client().session().me(&token()).await.is_err());
            assert_eq!(script.seen().len(), 1, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_repetition_is_inside_the_deadline() {
        let script = Script::default()
            .fail(TransportErrorKind::NotConnected)
            .answer(200, "{}");
        let client = script
            .builder()
            .deadline(Duration::from_millis(50))
            .build()
            .unwrap();
        let error = client.session().logout(&token()).await.unwrap_err();
        assert_eq!(error.unavailable_reason(), Some(UnavailableReason::Timeout));
        assert_eq!(script.seen().len(), 1);
    }

    #[tokio::test]
    async fn a_transport_that_ignores_the_limit() {
        let script = Script::default().answer(200, &format!("{{}}{}", " ".repeat(100)));
        let client = script.builder().max_body(64).build().unwrap();
        let error = client.session().logout(&token()).await.unwrap_err();
        assert_eq!(
            error.unavailable_reason(),
            Some(UnavailableReason::TooLarge)
        );
    }

    #[tokio::test]
    async fn retry_after_is_read_against_the_clock() {
        let clock = crate::clock::ManualClock::at_unix_seconds(784_111_777);
        let date = [("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")];
        let script = Script::default().answer_with(429, &date, "");
        let client = script
            .builder()
            .clock(std::sync::Arc::new(clock))
            .build()
            .unwrap();
        let error = client.session().refresh(&token()).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    }
}
