//! Sessions that an app's own handlers start and end. They do what the mounted routes do.

use std::time::Duration;

use crate::support::mounted::browser::Answer;
use crate::support::mounted::{Browser, CODE, Upstream, builder, claims, descope, error_body};
use crate::support::signer::Signer;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, SET_COOKIE, VARY};
use http::request::Parts;
use serde_json::json;
use tower_descope::wire::{DeliveryMethod, JwtResponse, OtpVerifyRequest, TenantSelectRequest};
use tower_descope::{AuthError, AuthErrorKind, Descope, SignOut, User};

const ADOPT: &str = "/adopt";
const SIGN_IN: &str = "/sign-in";
const SELECT: &str = "/select";
const SIGN_OUT: &str = "/sign-out";
const SIGN_OUT_EVERYWHERE: &str = "/sign-out-everywhere";
const LOGOUT: &str = "/v1/auth/logout";
const LOGOUT_ALL: &str = "/v1/auth/logoutall";

/// An app whose handlers sign in and out by themselves, beside the mounted routes.
fn app(descope: &Descope, with_layer: bool) -> Router {
    let own = Router::new()
        .route(SIGN_IN, post(sign_in))
        .route(ADOPT, post(adopt))
        .route(SELECT, post(select))
        .route(SIGN_OUT, post(sign_out))
        .route(SIGN_OUT_EVERYWHERE, post(sign_out_everywhere))
        .with_state(descope.clone());
    let app = Router::new()
        .nest("/auth", own)
        .nest("/mounted", descope.routes());
    if with_layer {
        app.layer(descope.session_layer())
    } else {
        app
    }
    // Outside of the layer above, so that it works for both.
    .merge(
        Router::new()
            .route("/page", get(async |user: User| user.id().to_owned()))
            .layer(descope.session_layer()),
    )
}

/// Signs in by a code, with the typed client.
async fn sign_in(State(descope): State<Descope>, parts: Parts, body: String) -> Response {
    let request = OtpVerifyRequest::new(body, CODE);
    let otp = descope.client().otp();
    let tokens = otp.verify(DeliveryMethod::Email, &request).await.unwrap();
    establish(&descope, &parts, &tokens).await
}

/// Takes tokens from the page.
async fn adopt(
    State(descope): State<Descope>,
    parts: Parts,
    Json(tokens): Json<JwtResponse>,
) -> Response {
    establish(&descope, &parts, &tokens).await
}

async fn establish(descope: &Descope, parts: &Parts, tokens: &JwtResponse) -> Response {
    match descope.establish(parts, tokens).await {
        Ok(established) => {
            let user = established.user().map_or("", |user| user.id()).to_owned();
            (established, Json(json!({ "user": user }))).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &AuthError) -> Response {
    let headers = [(CACHE_CONTROL, "no-store")];
    let body = Json(json!({ "code": error.code() }));
    (error.status(), headers, body).into_response()
}

/// Moves the session into a tenant, with the refresh JWT of the browser.
async fn select(
    State(descope): State<Descope>,
    user: User,
    parts: Parts,
    tenant: String,
) -> Response {
    let token = match user.refresh_token().await {
        Ok(token) => token,
        Err(error) => return refused(&error),
    };
    assert!(!format!("{token:?}").contains(token.expose()));
    let request = TenantSelectRequest::new(tenant);
    let session = descope.client().session();
    let tokens = session.select_tenant(&request, &token).await.unwrap();
    establish(&descope, &parts, &tokens).await
}

async fn sign_out(State(descope): State<Descope>, parts: Parts) -> Response {
    let ended = descope.end(&parts, SignOut::ThisSession).await;
    let confirmed = ended.is_confirmed();
    (ended, Json(json!({ "confirmed": confirmed }))).into_response()
}

async fn sign_out_everywhere(State(descope): State<Descope>, parts: Parts) -> impl IntoResponse {
    (
        descope.end(&parts, SignOut::Everywhere).await,
        Json(json!({})),
    )
}

async fn send(browser: &mut Browser, path: &str, body: impl Into<Body>) -> Answer {
    let request = Browser::request("POST", path);
    browser.send(request.body(body.into()).unwrap()).await
}

async fn adopt_tokens(browser: &mut Browser, session: &str, refresh: &str) -> Answer {
    let body = json!({ "sessionJwt": session, "refreshJwt": refresh });
    send(browser, ADOPT, body.to_string()).await
}

async fn page(browser: &mut Browser) -> Answer {
    let request = Browser::request("GET", "").uri("/page");
    browser.send(request.body(Body::empty()).unwrap()).await
}

/// Name and attributes of the cookies that an answer sets.
fn cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all(SET_COOKIE).iter();
    lines
        .map(|line| {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap();
            format!("{};{attributes}", pair.split('=').next().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_session_that_a_handler_starts_is_that_of_the_mounted_routes() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let app = app(&descope, with_layer);
        let mut own = Browser::new(app.clone());
        let by_handler = send(&mut own, SIGN_IN, "ann").await;
        assert_eq!(by_handler.is_ok().body["user"], "Uann");

        let mut mounted = Browser::new(app);
        let request = Browser::request("POST", "").uri("/mounted/v1/auth/otp/verify/email");
        let body = json!({"loginId": "ann", "code": CODE}).to_string();
        let by_route = mounted.send(request.body(body.into()).unwrap()).await;
        assert_eq!(cookies(&by_handler), cookies(&by_route));
        assert_eq!(cookies(&by_handler).len(), 2);
        for name in [CACHE_CONTROL, VARY] {
            assert_eq!(by_handler.headers[&name], by_route.headers[&name]);
        }
        assert_eq!(page(&mut own).await.is_ok().text, "Uann");
        assert_eq!(claims(&own.dsr())["sub"], "Uann");
    }
}

// Security requirement 33: cookies of two users never stand side by side.
#[tokio::test]
async fn it_replaces_the_session_of_somebody_else_and_what_a_renewal_brought() {
    for with_layer in [false, true] {
        for expired in [false, true] {
            let upstream = Upstream::rotating();
            let descope = descope(&upstream);
            let before = upstream.tokens("Ubob");
            let mut browser = Browser::with_tokens(app(&descope, with_layer), before.clone());
            if expired {
                upstream.clock.advance(Duration::from_secs(700));
            }
            let answer = send(&mut browser, SIGN_IN, "ann").await;
            // The layer may have renewed the session before. Its cookies do not leave beside those of the handler.
            assert_eq!(cookies(answer.is_ok()).len(), 2, "{with_layer} {expired}");
            assert_eq!(claims(&browser.ds())["sub"], "Uann");
            assert_eq!(claims(&browser.dsr())["sub"], "Uann");
            let mut old = Browser::with_tokens(browser.app(), before);
            assert_eq!(page(&mut old).await.status, 401);
        }
    }
}

// What comes from a page is worth no more than its cookies. Nothing is half written, and the session before goes on.
#[tokio::test]
async fn tokens_from_anywhere_are_verified_like_those_of_a_request() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let app = app(&descope, true);
    let (session, refresh) = upstream.tokens("Uann");
    let (other_session, other_refresh) = upstream.tokens("Ubob");
    let mut forged = claims(&session);
    forged["sub"] = "Umallory".into();
    let forged = Signer::new("key-1").sign(&forged);
    upstream.set().claims = json!({"iss": "P2other"}).as_object().unwrap().clone();
    let (foreign_session, foreign_refresh) = upstream.tokens("Uann");
    upstream.set().claims = json!({"big": "x".repeat(4000)})
        .as_object()
        .unwrap()
        .clone();
    let (large_session, _) = upstream.tokens("Uann");
    upstream.set().claims.clear();
    upstream.set().rotated = true;
    let (unknown_session, unknown_refresh) = upstream.tokens("Uann");
    upstream.set().rotated = false;
    upstream.set().refresh_life = -60;
    let (_, over_refresh) = upstream.tokens("Uann");
    upstream.set().session_life = -60;
    let (over_session, _) = upstream.tokens("Uann");
    let (revoked_session, revoked_refresh) = {
        let mut state = upstream.set();
        (state.session_life, state.refresh_life) = (600, 3600);
        drop(state);
        upstream.tokens("Ucid")
    };
    descope
        .revoke(tower_descope::Revocation::user("Ucid"))
        .await
        .unwrap();

    let mut browser = Browser::new(app);
    send(&mut browser, SIGN_IN, "dan").await.is_ok();
    let before = browser.cookies.clone();
    for (session, refresh, status, code) in [
        ("", "", 401, "missing_credentials"),
        ("junk", "", 401, "invalid_token"),
        (&forged, "", 401, "invalid_token"),
        (&*session, &*other_refresh, 401, "invalid_token"),
        (&other_session, &refresh, 401, "invalid_token"),
        (&refresh, &session, 401, "invalid_token"),
        (&foreign_session, &foreign_refresh, 401, "invalid_token"),
        (&session, &foreign_refresh, 401, "invalid_token"),
        (&unknown_session, &unknown_refresh, 401, "invalid_token"),
        (&session, &unknown_refresh, 401, "invalid_token"),
        (&over_session, "", 401, "session_expired"),
        (&session, &over_refresh, 401, "session_expired"),
        (&revoked_session, &revoked_refresh, 401, "invalid_token"),
        (&large_session, &refresh, 500, "cookie_too_large"),
    ] {
        let answer = adopt_tokens(&mut browser, session, refresh).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["code"], code);
        assert!(!answer.sets_cookies());
        assert_eq!(browser.cookies, before);
        assert_eq!(page(&mut browser).await.is_ok().text, "Udan");
    }
    let answer = adopt_tokens(&mut browser, &session, &refresh).await;
    assert_eq!(answer.is_ok().body["user"], "Uann");
    assert_eq!((browser.ds(), browser.dsr()), (session, refresh));
}

#[tokio::test]
async fn a_page_trades_the_tokens_of_a_flow_for_cookies_where_the_app_allows_it() {
    const SESSION: &str = "/session";
    let upstream = Upstream::rotating();
    let (session, refresh) = upstream.tokens("Uann");
    let (other, _) = upstream.tokens("Ubob");
    let tokens = json!({ "sessionJwt": session, "refreshJwt": refresh });
    let mounted = |descope: &Descope| Router::new().nest("/auth", descope.routes());
    let mut browser = Browser::new(mounted(&descope(&upstream)));
    let answer = browser.post(SESSION, tokens.clone()).await;
    assert_eq!(answer.status, 404, "{}", answer.text);

    let descope = builder(&upstream).adopt_sessions().build().unwrap();
    for app in [
        mounted(&descope),
        mounted(&descope).layer(descope.session_layer()),
    ] {
        let mut browser = Browser::new(app);
        for (body, status) in [
            (json!({}), 400),
            (json!({ "sessionJwt": null, "refreshJwt": null }), 400),
            (json!({ "sessionJwt": "junk", "refreshJwt": null }), 401),
            (json!({ "sessionJwt": "junk" }), 401),
            (json!({ "sessionJwt": other, "refreshJwt": refresh }), 401),
        ] {
            let answer = browser.post(SESSION, body).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            assert!(!answer.sets_cookies());
        }
        let mut foreign = Browser::request("POST", SESSION);
        foreign
            .headers_mut()
            .unwrap()
            .insert("origin", "https://evil.example".parse().unwrap());
        foreign.headers_mut().unwrap().remove("sec-fetch-site");
        let answer = browser
            .send(foreign.body(tokens.to_string().into()).unwrap())
            .await;
        answer.is_error(403, "cross_origin");

        let answer = browser.post(SESSION, tokens.clone()).await;
        assert_eq!(answer.is_ok().body["claims"]["sub"], "Uann");
        assert!(answer.body["sessionExpiration"].is_i64());
        assert_eq!(
            (browser.ds(), browser.dsr()),
            (session.clone(), refresh.clone())
        );
        browser.get("/v1/auth/me").await.is_ok();
    }
}

#[tokio::test]
async fn an_expired_session_beside_a_good_refresh_jwt_is_renewed_with_the_next_request() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let (session, refresh) = upstream.tokens("Uann");
    upstream.clock.advance(Duration::from_secs(700));
    let mut browser = Browser::new(app(&descope, true));
    for session in ["", &*session] {
        let answer = adopt_tokens(&mut browser, session, &refresh).await;
        assert_eq!(answer.is_ok().body["user"], "");
        assert_eq!(
            (browser.ds(), browser.dsr()),
            (String::new(), refresh.clone())
        );
    }
    assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
}

// A session JWT alone, as an access key or a flow without a refresh JWT brings it.
#[tokio::test]
async fn a_session_jwt_alone_leaves_no_refresh_cookie_of_somebody_else() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let mut browser = Browser::with_tokens(app(&descope, true), upstream.tokens("Ubob"));
    let (session, _) = upstream.tokens("Uann");
    adopt_tokens(&mut browser, &session, "").await.is_ok();
    assert_eq!((browser.ds(), browser.dsr()), (session, String::new()));
}

#[tokio::test]
async fn a_sign_out_by_hand_is_that_of_the_mounted_routes() {
    for (path, upstream_path) in [(SIGN_OUT, LOGOUT), (SIGN_OUT_EVERYWHERE, LOGOUT_ALL)] {
        for with_layer in [false, true] {
            for expired in [false, true] {
                let upstream = Upstream::rotating();
                let descope = descope(&upstream);
                let tokens = upstream.tokens("Uann");
                let mut browser = Browser::with_tokens(app(&descope, with_layer), tokens.clone());
                if expired {
                    // A layer renews it before the handler runs, and the old refresh JWT is spent.
                    upstream.clock.advance(Duration::from_secs(700));
                }
                let answer = send(&mut browser, path, "").await;
                answer.is_ok();
                assert!(browser.cookies.is_empty(), "{path} {with_layer} {expired}");
                assert_eq!(upstream.count(upstream_path), 1);
                assert_eq!((upstream.live(), upstream.set().reused), (0, 0));
                assert!(
                    answer.headers[CACHE_CONTROL]
                        .to_str()
                        .unwrap()
                        .contains("no-store")
                );
                let mut old = Browser::with_tokens(browser.app(), tokens);
                assert_eq!(page(&mut old).await.status, 401);
            }
        }
    }
}

#[tokio::test]
async fn sign_out_everywhere_ends_the_users_other_sessions() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let app = app(&descope, true);
    let mut one = Browser::with_tokens(app.clone(), upstream.tokens("Uann"));
    let mut two = Browser::with_tokens(app.clone(), upstream.tokens("Uann"));
    let mut other = Browser::with_tokens(app, upstream.tokens("Ubob"));
    send(&mut one, SIGN_OUT_EVERYWHERE, "").await;
    assert_eq!(page(&mut two).await.status, 401);
    assert_eq!(page(&mut other).await.is_ok().text, "Ubob");
}

// Security requirement 36.
#[tokio::test]
async fn when_descope_is_down_the_browser_is_signed_out_and_the_handler_knows() {
    use crate::support::mounted::Fault;
    use tower_descope::client::TransportErrorKind::NotConnected;

    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let tokens = upstream.tokens("Uann");
    let mut browser = Browser::with_tokens(app(&descope, true), tokens.clone());
    page(&mut browser).await.is_ok();
    for _ in 0..5 {
        upstream.fault(LOGOUT, Fault::Transport(NotConnected));
    }
    let answer = send(&mut browser, SIGN_OUT, "").await;
    assert_eq!(answer.is_ok().body["confirmed"], false);
    assert!(browser.cookies.is_empty());
    let mut old = Browser::with_tokens(browser.app(), tokens);
    assert_eq!(page(&mut old).await.status, 401);
    // Nobody is signed in: nothing to confirm.
    let answer = send(&mut browser, SIGN_OUT, "").await;
    assert_eq!(answer.is_ok().body["confirmed"], true);
}

// Security requirements 39 and 40: somebody's code in a form of their own would sign the user in to their account.
#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let mut browser = Browser::new(app(&descope, with_layer));
        let (session, refresh) = upstream.tokens("Umallory");
        let tokens = json!({ "sessionJwt": session, "refreshJwt": refresh }).to_string();
        let request = http::Request::post(format!("/auth{ADOPT}"))
            .header("host", "app.example")
            .header("origin", "https://evil.example")
            .header("content-type", "application/json");
        let answer = browser.send(request.body(tokens.into()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (403, &json!("cross_origin"))
        );
        assert!(!answer.sets_cookies());
    }
}

// Security requirements 39 and 40.
#[tokio::test]
async fn a_page_of_another_site_signs_nobody_out() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let mut browser = Browser::with_tokens(app(&descope, with_layer), upstream.tokens("Uann"));
        for path in [SIGN_OUT, SIGN_OUT_EVERYWHERE] {
            let request = http::Request::post(format!("/auth{path}"))
                .header("host", "app.example")
                .header("origin", "https://evil.example")
                .header("sec-fetch-site", "cross-site");
            let answer = browser.send(request.body(Body::empty()).unwrap()).await;
            assert!(!answer.sets_cookies());
        }
        assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
        assert_eq!(upstream.total(), 0);
    }
}

#[tokio::test]
async fn the_headers_can_be_written_without_axum() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream).host_cookies().build().unwrap();
    let (session, refresh) = upstream.tokens("Uann");
    let mut tokens = JwtResponse::default();
    (tokens.session_jwt, tokens.refresh_jwt) = (session.clone(), refresh);
    let (parts, ()) = http::Request::new(()).into_parts();
    let established = descope.establish(&parts, &tokens).await.unwrap();
    let mut headers = HeaderMap::new();
    established.write_to(&mut headers);
    let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert!(
        lines
            .iter()
            .any(|line| line.to_str().unwrap().starts_with("__Host-DS="))
    );
    assert!(
        headers[CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("no-store")
    );
    let shown = format!("{established:?}");
    assert!(
        shown.contains("Uann") && !shown.contains(&session),
        "{shown}"
    );

    let empty = descope.establish(&parts, &JwtResponse::default()).await;
    let kind = empty.unwrap_err().kind().clone();
    assert_eq!(kind, AuthErrorKind::MissingCredentials);
}

// Otherwise the handler would spend the refresh JWT that the layer has just had replaced, which looks like theft.
#[tokio::test]
async fn a_handler_calls_descope_with_the_refresh_jwt_that_is_live() {
    for rotating in [false, true] {
        for expired in [false, true] {
            let upstream = Upstream::new();
            upstream.set().rotation = rotating;
            let descope = descope(&upstream);
            let mut browser = Browser::with_tokens(app(&descope, true), upstream.tokens("Uann"));
            if expired {
                upstream.clock.advance(Duration::from_secs(700));
            }
            let answer = send(&mut browser, SELECT, "t1").await;
            assert_eq!(answer.is_ok().body["user"], "Uann");
            assert_eq!(upstream.count("/v1/auth/refresh"), usize::from(expired));
            assert_eq!(upstream.count("/v1/auth/tenant/select"), 1);
            assert_eq!(upstream.set().reused, 0, "{rotating} {expired}");
            assert_eq!(claims(&browser.ds())["dct"], "t1");
            assert!(upstream.is_live(&browser.dsr()));
            // The session goes on with what was written.
            upstream.clock.advance(Duration::from_secs(700));
            assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
            assert_eq!(upstream.set().reused, 0, "{rotating} {expired}");
        }
    }
}

#[tokio::test]
async fn a_handler_learns_why_there_is_no_refresh_jwt_to_call_with() {
    let upstream = Upstream::rotating();
    let (session, refresh) = upstream.tokens("Uann");
    let mut browser = Browser::new(app(&descope(&upstream), true));
    let mut request = Browser::request("POST", SELECT).body("t1".into()).unwrap();
    let bearer = format!("Bearer {session}").parse().unwrap();
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let answer = browser.send(request).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert_eq!(answer.body["code"], "no_refresh_token");
    assert_eq!(upstream.total(), 0);

    let app = app(&descope(&upstream), true);
    upstream.answer("/v1/auth/refresh", 401, error_body("E061005"));
    // Another tab, which has lost the session JWT, has found out about the refresh JWT.
    let mut other = Browser::with_tokens(app.clone(), (String::new(), refresh.clone()));
    assert_eq!(page(&mut other).await.status, 401);
    let mut browser = Browser::with_tokens(app, (session, refresh));
    let answer = send(&mut browser, SELECT, "t1").await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert_eq!(answer.body["code"], "session_ended");
    assert_eq!(upstream.count("/v1/auth/tenant/select"), 0);
}
