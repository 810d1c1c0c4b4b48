//! Where a request carries its tokens: every case of the vectors, at the HTTP level. Security requirements 0.2,
//! 33 and 34.

use std::sync::{Arc, LazyLock};

use crate::support::needs;
use crate::support::world::{self, Reply, SignedIn, World};
use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use tower::ServiceExt;

pub fn trials() -> Vec<Trial> {
    let found = needs::vectors("cookie-cases.json");
    needs::trials("cookie cases", "vectors", found, |vectors| {
        // Set when the first case begins: its sessions do not wait for the trials of other files.
        let stage = Arc::new(LazyLock::new(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let set = runtime.block_on(Stage::set());
            (runtime, set)
        }));
        let cases = vectors["cases"].as_array().cloned().unwrap_or_default();
        assert!(cases.len() >= 40, "the vectors lost their shape");
        cases
            .into_iter()
            .map(|case| {
                let name = case["name"].as_str().unwrap_or_default().to_owned();
                let stage = stage.clone();
                Trial::test(name, move || {
                    let (runtime, set) = &**stage;
                    runtime.block_on(set.play(&case))
                })
            })
            .collect()
    })
}

/// Three sessions, an app with the usual cookie names and one with the `__Host-` prefix.
struct Stage {
    plain: World,
    prefixed: Router,
    good: SignedIn,
    other: SignedIn,
    expired: SignedIn,
}

impl Stage {
    async fn set() -> Self {
        let plain = World::new().await;
        let good = plain.sign_in("good@example.com").await;
        let other = plain.sign_in("other@example.com").await;
        let expired = plain.sign_in_long_ago("expired@example.com").await;
        let prefixed = world::app(&world::handle(
            &plain.emulator,
            plain.clock.clone(),
            |builder| {
                builder
                    .session_cookies(["__Host-DS"])
                    .refresh_cookies(["__Host-DSR"])
            },
        ));
        Self {
            plain,
            prefixed,
            good,
            other,
            expired,
        }
    }

    fn fill(&self, text: &[u8]) -> Vec<u8> {
        let mut filled = text.to_vec();
        for (placeholder, value) in [
            ("{GOOD}", self.good.session_jwt()),
            ("{OTHER}", self.other.session_jwt()),
            ("{REFRESH}", self.good.refresh_jwt()),
            ("{EXPIRED}", self.expired.session_jwt()),
        ] {
            while let Some(at) = find(&filled, placeholder.as_bytes()) {
                filled.splice(at..at + placeholder.len(), value.bytes());
            }
        }
        filled
    }

    async fn play(&self, case: &Value) -> Result<(), Failed> {
        let lines: Vec<Vec<u8>> = case["cookie_headers"]
            .as_array()
            .ok_or("no cookie_headers")?
            .iter()
            .map(|line| match line["bytes_hex"].as_str() {
                Some(hex) => self.fill(&unhex(hex)),
                None => self.fill(line.as_str().unwrap_or_default().as_bytes()),
            })
            .filter(|line| !line.is_empty())
            .collect();
        let prefixed = lines.iter().any(|line| find(line, b"ost-DS").is_some());
        let app = if prefixed {
            &self.prefixed
        } else {
            &self.plain.app
        };
        let calls = self.plain.refreshes();

        let mut request = Request::get(match case["query"].as_str() {
            Some(query) => {
                format!(
                    "/me?{}",
                    String::from_utf8(self.fill(query.as_bytes())).unwrap()
                )
            }
            None => "/me".to_owned(),
        });
        for line in &lines {
            request = request.header("cookie", HeaderValue::from_bytes(line)?);
        }
        let authorization = match &case["authorization"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(all) => all
                .iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        for value in &authorization {
            let value = self.fill(value.as_bytes());
            request = request.header("authorization", HeaderValue::from_bytes(&value)?);
        }
        let response = app.clone().oneshot(request.body(Body::empty())?).await?;
        let reply = Reply::read(response).await;
        let who = (reply.status() == 200).then(|| reply.json()["id"].as_str().map(str::to_owned));
        let who = who.flatten();

        let name = case["name"].as_str().unwrap_or_default();
        let expected = match (name, case["expect"].as_str().unwrap_or_default()) {
            (_, "user") => Some(self.good.user_id()),
            (_, "anonymous") => None,
            // What is left to us, as the session module documents it: the first value that verifies counts, a bearer
            // is the only credential, several blanks after the scheme are allowed, quotes are no part of a token.
            ("duplicate-good-other" | "duplicate-bad-good", _) => Some(self.good.user_id()),
            ("bearer-and-cookie-differ" | "bearer-double-space", _) => Some(self.good.user_id()),
            ("bearer-bad-cookie-good" | "two-authorization" | "quoted", _) => None,
            (_, other) => return Err(format!("what does {other:?} mean?").into()),
        };
        if who.as_deref() != expected {
            return Err(format!("{} {}: {who:?}", reply.status(), reply.body).into());
        }
        if expected.is_none() && reply.status() != 401 {
            return Err(format!("status {}", reply.status()).into());
        }
        if self.plain.refreshes() != calls {
            return Err("a call upstream".into());
        }
        Ok(())
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}
