//! Calls for the rest of the crate: fetching the key set, and passing on calls of the mounted routes.

use std::time::Duration;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use super::call::Call;
use super::error::ClientError;
use super::secret::has_token_characters;
use super::{Client, reply};
use crate::wire::path;

/// A successful answer, including the members that this version of the crate does not know.
#[derive(Clone, PartialEq)]
pub(crate) struct Reply {
    /// A 2xx status.
    pub(crate) status: StatusCode,
    /// An object or an array. Tokens that came as `Set-Cookie` were copied into `sessionJwt` and `refreshJwt`.
    pub(crate) body: Value,
}

/// The key set as Descope sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySet {
    /// The body, not parsed, and not longer than the client's body limit.
    pub(crate) body: Bytes,
    /// `max-age` of `Cache-Control`.
    pub(crate) max_age: Option<Duration>,
}

impl Client {
    /// Makes a call of the auth API. The body is passed on unchanged; if there is none, a POST sends `{}`.
    ///
    /// `bearer` is the JWT that follows the project id in the `Authorization` header. A path outside the auth API, or a
    /// bearer with characters that no JWT has, is refused without a call.
    pub(crate) async fn forward(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        bearer: Option<&str>,
    ) -> Result<Reply, ClientError> {
        if !is_auth_path(path) {
            return Err(ClientError::invalid("not a path of the auth api"));
        }
        if bearer.is_some_and(|bearer| !has_token_characters(bearer.as_bytes())) {
            return Err(ClientError::invalid("not a token"));
        }
        let body = match body {
            _ if method == Method::GET => Bytes::new(),
            Some(body) if !body.is_empty() => body,
            _ => Bytes::from_static(b"{}"),
        };
        let response = self
            .send(Call {
                method,
                path,
                body,
                credential: bearer,
                managed: true,
                deadline: self.inner.deadline,
            })
            .await?;

        let mut body = match path {
            path::LOGOUT | path::LOGOUT_ALL if reply::is_blank(response.body()) => {
                Value::Object(Map::new())
            }
            _ => reply::value(&response)?,
        };
        if let Value::Object(members) = &mut body {
            let cookies = &self.inner.cookies;
            cookies.move_tokens(response.headers(), members);
        }
        Ok(Reply {
            status: response.status(),
            body,
        })
    }

    /// Fetches the project's key set (`GET /v2/keys/{project id}`). The deadline is that of other calls, but at most
    /// five seconds.
    ///
    /// The body is not empty, but the caller has to check that it is a key set. `None` when the answer says that the
    /// keys have not changed (304): a cache on the way may say so although the request was not conditional.
    pub(crate) async fn fetch_keys(&self) -> Result<Option<KeySet>, ClientError> {
        let path = format!("{}/{}", path::KEYS, self.inner.project);
        let response = self
            .send(Call {
                deadline: self.inner.deadline.min(KEYS_DEADLINE),
                // The key set is public, so the auth management key is not needed.
                managed: false,
                ..self.get(&path, None)
            })
            .await;
        let response = match response {
            Err(error) if error.status() == Some(StatusCode::NOT_MODIFIED) => return Ok(None),
            response => response?,
        };
        if reply::is_blank(response.body()) {
            return Err(ClientError::malformed(response.status()));
        }
        Ok(Some(KeySet {
            max_age: max_age(response.headers()),
            body: response.into_body(),
        }))
    }
}

// The mounted routes make the path of a constant and of a segment that they have checked. This is a second check.
fn is_auth_path(path: &str) -> bool {
    path.strip_prefix("/v1/auth/").is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
    })
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, seconds) = directive.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("max-age") {
                return None;
            }
            seconds.trim().trim_matches('"').parse().ok()
        })
        .map(Duration::from_secs)
}

const KEYS_DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;
    use crate::client::testing::Script;
    use crate::client::{AccessKey, ClientErrorKind, UnavailableReason};

    #[tokio::test]
    async fn unknown_members_and_tokens_of_cookies_are_passed_on() {
        let cookies = [
            ("set-cookie", "DS=s.s.s; Path=/"),
            ("set-cookie", "DSR=r.r.r; Path=/"),
        ];
        let script =
            Script::default().answer_with(200, &cookies, r#"{"sessionJwt":"","new":[1],"x":null}"#);
        let body = Some(Bytes::from_static(br#"{"loginId":"a","y":1}"#));
        let reply = script
            .client()
            .forward(Method::POST, "/v1/auth/otp/verify/sms", body, Some("a.b.c"))
            .await
            .unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.body,
            json!({"sessionJwt": "s.s.s", "refreshJwt": "r.r.r", "new": [1], "x": null})
        );
        let [request]: [_; 1] = script.seen().try_into().unwrap();
        assert_eq!(request.body(), r#"{"loginId":"a","y":1}"#);
        assert_eq!(request.headers()["authorization"], "Bearer P2abc:a.b.c");
    }

    #[tokio::test]
    async fn what_is_no_json_is_not_passed_on() {
        for body in ["", "<html>", "{\"a\":1", r#"{"a":1,"a":2}"#, "1", "null"] {
            let script = Script::default().answer(200, body);
            let error = script
                .client()
                .forward(Method::POST, path::REFRESH, None, None)
                .await
                .err()
                .unwrap();
            assert_eq!(
                error.unavailable_reason(),
                Some(UnavailableReason::Malformed),
                "{body}"
            );
        }
        let script = Script::default().answer(200, "").answer(200, " [{}]");
        let client = script.client();
        let logout = client.forward(Method::POST, path::LOGOUT, None, None).await;
        assert_eq!(logout.unwrap().body, json!({}));
        let history = client.forward(Method::GET, path::ME_HISTORY, None, None);
        assert_eq!(history.await.unwrap().body, json!([{}]));
        let [post, get]: [_; 2] = script.seen().try_into().unwrap();
        assert_eq!((&**post.body(), &**get.body()), (&b"{}"[..], &b""[..]));
    }

    #[tokio::test]
    async fn req_48_foreign_paths_and_credentials_are_not_sent() {
        let script = Script::default();
        let client = script.client();
        for (path, bearer) in [
            ("/v1/mgmt/user", None),
            ("/v1/auth/../mgmt", None),
            (path::ME, Some("a:key")),
            (path::ME, Some("a\r\nx: y")),
            (path::ME, Some("")),
        ] {
            let error = client.forward(Method::POST, path, None, bearer).await.err();
            assert_eq!(error.unwrap().kind(), ClientErrorKind::InvalidRequest);
        }
        assert!(script.seen().is_empty());
    }

    #[tokio::test]
    async fn keys_are_raw_and_asked_for_without_a_secret() {
        let headers = [("cache-control", "public, max-age=60")];
        let script = Script::default()
            .fail(crate::client::TransportErrorKind::Interrupted)
            .answer_with(200, &headers, "{\"keys\": []}")
            .answer(200, "")
            .answer(304, "");
        let client = script
            .builder()
            .auth_management_key(AccessKey::new("key").unwrap())
            .build()
            .unwrap();
        let keys = client.fetch_keys().await.unwrap().unwrap();
        assert_eq!(keys.body, "{\"keys\": []}");
        assert_eq!(keys.max_age, Some(Duration::from_secs(60)));
        assert!(client.fetch_keys().await.is_err());
        assert_eq!(client.fetch_keys().await.unwrap(), None);
        let seen = script.seen();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[1].uri().path(), "/v2/keys/P2abc");
        assert_eq!(seen[1].headers()["authorization"], "Bearer P2abc");
    }

    #[test]
    fn req_48_only_paths_of_the_auth_api() {
        for good in [
            path::REFRESH,
            path::OTP_UPDATE_EMAIL,
            "/v1/auth/otp/verify/sms",
            "/v1/auth/notp/pending-session",
        ] {
            assert!(is_auth_path(good), "{good}");
        }
        for bad in [
            "",
            "/v1/auth/",
            "/v1/auth//me",
            "/v1/mgmt/user",
            "/v1/auth/../mgmt",
            "/v1/auth/me?x=1",
            "/v1/auth/me#x",
            "/v1/auth/me%2f",
            "/v1/auth/me/",
            "//evil.example/v1/auth/me",
            "@evil.example/v1/auth/me",
            "/v1/auth/m\u{e9}",
            "/v1/auth/me\r\nx: y",
        ] {
            assert!(!is_auth_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn max_age_of_cache_control() {
        let max_age = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
            super::max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(max_age("public, max-age=300"), Some(300));
        assert_eq!(max_age("Max-Age = 5"), Some(5));
        for none in [
            "",
            "no-store",
            "max-age",
            "max-age=-1",
            "max-age=x",
            "s-maxage=9",
        ] {
            assert_eq!(max_age(none), None, "{none}");
        }
    }
}
