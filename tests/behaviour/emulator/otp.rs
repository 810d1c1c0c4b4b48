//! One-time codes.

use reqwest::StatusCode;
use serde_json::json;

use super::support::{Api, claims};

const ANN: &str = "ann@example.com";

fn wrong(code: &str) -> String {
    code.chars()
        .map(|digit| if digit == '9' { '0' } else { '9' })
        .collect()
}

/// Parallel guesses are counted before they are compared: no more than the limit is ever looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_guesses_do_not_beat_the_limit() {
    let api = Api::start().await;
    api.post("/v1/auth/otp/signup/email", "", json!({"loginId": ANN}))
        .await
        .ok();
    let code = api.last_code(ANN).unwrap();
    let bad = wrong(&code);
    let replies = futures_all((0..100).map(|_| api.verify("email", ANN, &bad))).await;
    let compared = replies
        .iter()
        .filter(|reply| reply.refusal().1 == "E061102")
        .count();
    assert_eq!(compared, 5);
    let right = api.verify("email", ANN, &code).await;
    assert_eq!(right.refusal(), (400, "E061103"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_makes_one_session() {
    let api = Api::start().await;
    api.configure(|config| config.otp_max_attempts = 1_000);
    api.post("/v1/auth/otp/signup/email", "", json!({"loginId": ANN}))
        .await
        .ok();
    let code = api.last_code(ANN).unwrap();
    let replies = futures_all((0..100).map(|_| api.verify("email", ANN, &code))).await;
    let won = replies
        .iter()
        .filter(|reply| reply.status.is_success())
        .count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_code_is_bound_to_its_delivery_method() {
    let api = Api::start().await;
    for method in ["sms", "voice", "whatsapp", "im"] {
        let phone = format!("+1555555{}", method.len());
        let path = format!("/v1/auth/otp/signup/{method}");
        let masked = api.post(&path, "", json!({"loginId": phone})).await.ok();
        assert!(masked["maskedPhone"].is_string());
        let code = api.last_code(&phone).unwrap();
        let elsewhere = if method == "sms" { "voice" } else { "sms" };
        assert_eq!(
            api.verify(elsewhere, &phone, &code).await.refusal(),
            (400, "E061102")
        );
        let body = api.verify(method, &phone, &code).await.ok();
        assert_eq!(
            claims(body["sessionJwt"].as_str().unwrap())["amr"],
            json!([method])
        );
        api.reset();
    }
}

#[tokio::test]
async fn the_code_of_an_update_serves_the_update_only() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    let body = json!({"loginId": ANN, "email": "new@example.com"});
    api.post("/v1/auth/otp/update/email", &tokens.refresh, body)
        .await
        .ok();
    let code = api.last_code("new@example.com").unwrap();
    // Not for the login id that the address may become.
    assert!(
        !api.verify("email", "new@example.com", &code)
            .await
            .status
            .is_success()
    );
    // A sign-in in between has its own code and leaves this one alone.
    api.post("/v1/auth/otp/signin/email", "", json!({"loginId": ANN}))
        .await
        .ok();
    let body = api.verify("email", ANN, &code).await.ok();
    assert_eq!(body["user"]["email"], "new@example.com");
}

#[tokio::test]
async fn codes_expire_by_the_emulators_clock() {
    let api = Api::start().await;
    api.post("/v1/auth/otp/signup/email", "", json!({"loginId": ANN}))
        .await
        .ok();
    let code = api.last_code(ANN).unwrap();
    api.advance_clock(180);
    assert_eq!(
        api.verify("email", ANN, &code).await.refusal(),
        (400, "E061104")
    );
}

#[tokio::test]
async fn sending_can_be_limited() {
    let api = Api::start().await;
    api.configure(|config| config.otp_cooldown_seconds = 60);
    let send = || api.post("/v1/auth/otp/signup/email", "", json!({"loginId": ANN}));
    send().await.ok();
    let refused = send().await;
    assert_eq!(refused.refusal(), (429, "E130429"));
    let wait: u32 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((58..=60).contains(&wait));
    assert_eq!(api.messages(ANN).len(), 1);
    api.advance_clock(60);
    send().await.ok();
}

/// Security requirement 47: under uniform errors nothing tells a known login id from an unknown one.
#[tokio::test]
async fn uniform_errors_hide_who_exists() {
    let api = Api::start().await;
    api.sign_in(ANN).await;
    api.configure(|config| config.uniform_errors = true);
    for path in ["/v1/auth/otp/signin/email", "/v1/auth/otp/signup/email"] {
        let mut known = api.post(path, "", json!({"loginId": ANN})).await;
        let unknown = api
            .post(path, "", json!({"loginId": "any@example.com"}))
            .await;
        assert_eq!(known.json, unknown.json);
        known.headers.remove("date");
        for name in known.headers.keys() {
            assert!(unknown.headers.contains_key(name));
        }
    }
    for login_id in [ANN, "nobody@example.com"] {
        let refused = api.verify("email", login_id, "000000x").await;
        assert_eq!(refused.refusal(), (400, "E061102"));
    }
}

#[tokio::test]
async fn a_disabled_user_stays_out() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    api.put_user(ANN, |user| user.status = "disabled".to_owned())
        .unwrap();
    for reply in [
        api.refresh(&tokens.refresh).await,
        api.get("/v1/auth/me", &tokens.refresh).await,
        api.post("/v1/auth/otp/signin/email", "", json!({"loginId": ANN}))
            .await,
    ] {
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        reply.refusal();
    }
}

async fn futures_all<F>(futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future,
{
    // Polled in turn on this task; the requests overlap on the server's side.
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs
}
