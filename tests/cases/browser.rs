//! Descope's own browser SDK in a headless Chromium, unmodified, on the demo's page.
//!
//! Everything that the site answers is recorded, so "no token reaches the page" is checked on all bodies and headers
//! that left the server, and on what script can read in the browser. Each trial leaves its last sight in
//! `target/tmp/browser-*.png`.

#[path = "../../examples/demo/app.rs"]
mod app;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::support::needs;
use crate::support::webdriver::{Browser, Programs, program};
use app::App;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use base64::Engine;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_descope::emulator::{Emulator, RefreshRotation};
use tower_descope::wire::UserTenant;

const SDK: &str = "@descope/web-js-sdk";
const SDK_VERSION: &str = "1.53.0";
const REFRESH: &str = "/v1/auth/refresh";
const ANN: &str = "ann@example.com";

pub fn trials() -> Vec<Trial> {
    needs::trials("browser", "chromium", Programs::find(), |programs| {
        needs::trials("browser", "npm", install_sdk(), |sdk| {
            let trial = |name, play| trial(name, &programs, &sdk, play);
            vec![
                trial("a visit", |visit| Box::pin(a_visit(visit))),
                trial("a visit with Secure cookies", |visit| {
                    Box::pin(secure_cookies(visit))
                }),
                trial("two tabs", |visit| Box::pin(two_tabs(visit))),
                trial("the SDK's timer", |visit| Box::pin(timer(visit))),
                trial("nOTP", |visit| Box::pin(notp(visit))),
                trial("tenant select", |visit| Box::pin(tenant_select(visit))),
                trial("left-over cookies", |visit| {
                    Box::pin(left_over_cookies(visit))
                }),
                trial("without the SDK", |visit| Box::pin(without_sdk(visit))),
            ]
        })
    })
}

type Play = fn(Arc<Visit>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn trial(name: &'static str, programs: &Programs, sdk: &Path, play: Play) -> Trial {
    let (programs, sdk) = (programs.clone(), sdk.to_owned());
    Trial::test(name, move || {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let name = name.replace(' ', "-").replace('\'', "");
            let profile = scratch().join(format!("chromium-{}-{name}", std::process::id()));
            let visit = Arc::new(Visit {
                browser: Browser::start(&programs, &profile).await,
                sdk,
            });
            let played = tokio::spawn(play(Arc::clone(&visit))).await;
            let image = base64::prelude::BASE64_STANDARD.decode(visit.browser.screenshot().await);
            std::fs::write(scratch().join(format!("browser-{name}.png")), image?)?;
            visit.browser.quit().await;
            played.map_err(|failed| match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => error.into(),
            })
        })
    })
}

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The npm package, from an earlier run or the registry.
fn install_sdk() -> Result<PathBuf, String> {
    let npm = program("npm")?;
    let prefix = scratch().join(format!("web-js-sdk-{SDK_VERSION}"));
    let package = prefix.join("node_modules").join(SDK);
    if package.join("dist/index.umd.js").is_file() {
        return Ok(package);
    }
    std::fs::create_dir_all(&prefix).map_err(|error| error.to_string())?;
    let output = Command::new(npm)
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        .args(["--fetch-retries=1", "--fetch-timeout=20000", "--prefix"])
        .arg(&prefix)
        .arg(format!("{SDK}@{SDK_VERSION}"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(package)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The demo, with an emulator of its own, on a free port.
struct Site {
    emulator: Emulator,
    base: String,
    replies: Arc<Mutex<Vec<Reply>>>,
}

/// What left the server.
struct Reply {
    path: String,
    /// The cookies of the request.
    cookies: String,
    arrived: Instant,
    answered: Instant,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Site {
    async fn start(sdk: Option<&Path>, secure_cookies: bool) -> Self {
        let emulator = Emulator::builder().start().await.unwrap();
        // The hardest setting: a refresh JWT that is used twice ends the session.
        emulator.configure(|config| config.refresh_rotation = RefreshRotation::SingleUse);
        let mut builder = emulator.descope();
        if !secure_cookies {
            builder = builder.dangerous_insecure_cookies();
        }
        let app = app::router(App {
            descope: builder.build().unwrap(),
            inbox: Some(emulator.inbox_url()),
            sdk: sdk.map(Path::to_owned),
        });
        let replies = Arc::default();
        let app = app.layer(from_fn_with_state(Arc::clone(&replies), record));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        // Ends with the trial's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            emulator,
            base,
            replies,
        }
    }

    fn refreshes(&self) -> u64 {
        self.emulator.calls(REFRESH)
    }
}

async fn record(
    State(replies): State<Arc<Mutex<Vec<Reply>>>>,
    request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let path = request.uri().path().to_owned();
    let cookies = request.headers().get(COOKIE);
    let cookies = cookies
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let (parts, body) = next.run(request).await.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    replies.lock().unwrap().push(Reply {
        path,
        cookies,
        arrived,
        answered: Instant::now(),
        status: parts.status,
        headers: parts.headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    Response::from_parts(parts, Body::from(body))
}

/// A browser with nothing in it, and the SDK.
struct Visit {
    browser: Browser,
    sdk: PathBuf,
}

impl Visit {
    /// Opens the page in the current tab, to somebody who is not signed in.
    async fn first_sight(&self, site: &Site) {
        self.browser.open(&format!("{}/sdk", site.base)).await;
        self.until_signed_out().await;
    }

    async fn until_signed_out(&self) {
        self.browser
            .until("!document.getElementById('ask').hidden")
            .await;
    }

    /// The page says so, and the app's own API does.
    async fn until_signed_in(&self) {
        self.browser
            .until("!document.getElementById('signed-in').hidden && document.getElementById('me').dataset.status === '200'")
            .await;
    }

    async fn sign_in(&self, site: &Site, email: &str) {
        self.browser.type_in("#email", email).await;
        self.browser.click("#ask button").await;
        self.browser
            .until("!document.getElementById('verify').hidden && document.getElementById('sent').textContent")
            .await;
        let code = site.emulator.last_code(email).unwrap();
        self.browser.type_in("#code", &code).await;
        self.browser.click("#verify button").await;
        self.until_signed_in().await;
    }

    /// Status and body of `GET /api/me`, fetched by the page.
    async fn me(&self) -> (u64, Value) {
        let reply = self
            .browser
            .run(
                "const reply = await fetch('/api/me'); return [reply.status, await reply.text()]",
                json!([]),
            )
            .await;
        let body = reply[1].as_str().unwrap();
        (
            reply[0].as_u64().unwrap(),
            serde_json::from_str(body).unwrap_or_default(),
        )
    }

    async fn text(&self, id: &str) -> String {
        let text = self
            .browser
            .run(
                "return document.getElementById(arguments[0]).textContent",
                json!([id]),
            )
            .await;
        text.as_str().unwrap().to_owned()
    }

    /// The session cookies that the browser holds, by name. Each is there once, and out of reach of script.
    async fn cookies(&self, secure: bool) -> BTreeMap<String, String> {
        let mut held = BTreeMap::new();
        for cookie in self.browser.cookies().await {
            assert_eq!(cookie["httpOnly"], true, "{cookie}");
            assert_eq!(cookie["secure"], secure, "{cookie}");
            assert_eq!(cookie["sameSite"], "Lax", "{cookie}");
            assert_eq!(cookie["path"], "/", "{cookie}");
            assert!(cookie["expiry"].is_u64(), "{cookie}");
            let [name, value] = ["name", "value"].map(|key| cookie[key].as_str().unwrap());
            assert!(has_jwt(&format!("{value} ")), "{cookie}");
            let twice = held.insert(name.to_owned(), value.to_owned());
            assert_eq!(twice, None, "{name} is there twice");
        }
        held
    }

    /// No token is where script could find it: not in the browser, not in anything that the site ever answered.
    async fn no_token_in_reach(&self, site: &Site) {
        let reach = self
            .browser
            .run(
                "return {
                    cookie: document.cookie,
                    stored: JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]),
                    databases: (await indexedDB.databases()).length,
                    token: [window.sdk?.getSessionToken?.(), window.sdk?.getRefreshToken?.()],
                    page: document.documentElement.outerHTML,
                }",
                json!([]),
            )
            .await;
        assert_eq!(reach["cookie"], "");
        assert_eq!(reach["databases"], 0);
        assert!(!has_jwt(&reach.to_string()), "{reach}");

        for reply in site.replies.lock().unwrap().iter() {
            assert!(!has_jwt(&reply.body), "{}: {}", reply.path, reply.body);
            for (name, value) in &reply.headers {
                let value = value.to_str().unwrap();
                let is_hidden = name == SET_COOKIE && value.contains("; HttpOnly");
                assert!(is_hidden || !has_jwt(value), "{}: {name}", reply.path);
            }
        }
        let complaints = self.browser.policy_violations().await;
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

/// Is there something like `eyJ….eyJ`?
fn has_jwt(text: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(".eyJ").any(|(dot, _)| {
        let head = text[..dot].rsplit(|c| !is_token(c)).next().unwrap_or("");
        head.find("eyJ").is_some_and(|start| start + 3 < head.len())
    })
}

fn names(cookies: &BTreeMap<String, String>) -> Vec<&str> {
    cookies.keys().map(String::as_str).collect()
}

async fn a_visit(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    from_sign_up_to_sign_out(&visit, &site, false).await;
}

/// Chromium takes `Secure` cookies from 127.0.0.1 over plain http, so the production setting can be seen at work.
async fn secure_cookies(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), true).await;
    from_sign_up_to_sign_out(&visit, &site, true).await;
}

async fn from_sign_up_to_sign_out(visit: &Visit, site: &Site, secure: bool) {
    let browser = &visit.browser;
    visit.first_sight(site).await;
    assert_eq!(visit.me().await.0, 401);
    assert!(visit.cookies(secure).await.is_empty());
    visit.no_token_in_reach(site).await;

    // A wrong code: said so, and nothing happened.
    browser.type_in("#email", ANN).await;
    browser.click("#ask button").await;
    browser
        .until("document.getElementById('sent').textContent")
        .await;
    let code = site.emulator.last_code(ANN).unwrap();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    browser.type_in("#code", wrong).await;
    browser.click("#verify button").await;
    browser
        .until("document.getElementById('error').textContent")
        .await;
    assert!(visit.cookies(secure).await.is_empty());
    assert!(site.emulator.users().is_empty());

    browser.type_in("#code", &code).await;
    browser.click("#verify button").await;
    visit.until_signed_in().await;
    assert!(visit.text("who").await.contains(ANN));
    assert!(visit.text("events").await.contains("isAuthenticated: true"));
    let user_id = site.emulator.users()[0].user_id.clone();
    assert_eq!(visit.me().await.1["id"], user_id);
    let first = visit.cookies(secure).await;
    assert_eq!(names(&first), ["DS", "DSR"]);
    visit.no_token_in_reach(site).await;

    // The cookies alone bring the session back.
    browser.reload().await;
    visit.until_signed_in().await;
    browser
        .until("document.getElementById('who').textContent")
        .await;
    assert!(visit.text("who").await.contains(ANN));
    let profile = browser
        .run("return (await sdk.me()).data.userId", json!([]))
        .await;
    assert_eq!(profile, user_id);
    let second = visit.cookies(secure).await;
    assert_eq!(names(&second), ["DS", "DSR"]);
    assert_ne!(first["DSR"], second["DSR"], "replaced, not added");
    visit.no_token_in_reach(site).await;

    // The session is over: the app's own API renews it, without the SDK.
    let refreshes = site.refreshes();
    browser.delete_cookie("DS").await;
    assert_eq!(names(&visit.cookies(secure).await), ["DSR"]);
    assert_eq!(visit.me().await.0, 200);
    assert_eq!(site.refreshes(), refreshes + 1);
    let third = visit.cookies(secure).await;
    assert_eq!(names(&third), ["DS", "DSR"]);
    assert_ne!(second["DSR"], third["DSR"]);
    visit.no_token_in_reach(site).await;

    browser.click("#logout").await;
    visit.until_signed_out().await;
    assert!(visit.cookies(secure).await.is_empty());
    assert_eq!(visit.me().await.0, 401);
    visit.no_token_in_reach(site).await;

    browser.reload().await;
    visit.until_signed_out().await;
    assert_eq!(visit.me().await.0, 401);

    // The record is no empty one: it has the tokens where they belong.
    let replies = site.replies.lock().unwrap();
    let verified = replies
        .iter()
        .find(|reply| reply.path.ends_with("/otp/verify/email") && reply.status == StatusCode::OK)
        .unwrap();
    assert!(verified.body.contains("sessionExpiration"));
    let cookies = verified.headers.get_all(SET_COOKIE);
    assert!(cookies.iter().all(|value| has_jwt(value.to_str().unwrap())));
}

async fn two_tabs(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    let browser = &visit.browser;
    let first = browser.tab().await;
    visit.first_sight(&site).await;
    visit.sign_in(&site, ANN).await;
    let second = browser.new_tab().await;
    browser.switch_to(&second).await;
    browser.open(&format!("{}/sdk", site.base)).await;
    visit.until_signed_in().await;
    for tab in [&first, &second] {
        browser.switch_to(tab).await;
        browser
            .run(
                "document.getElementById('events').replaceChildren()",
                json!([]),
            )
            .await;
    }

    let refresh = "sdk.refresh().then((reply) => reply.code)";
    // Without `no-store` Chromium holds the second of two equal requests back until the first is answered.
    let read = "fetch('/api/me', {cache: 'no-store'}).then((reply) => reply.status)";
    for (what, without_session) in [
        ([refresh, refresh], false),
        ([refresh, read], true),
        ([read, read], true),
    ] {
        if without_session {
            browser.delete_cookie("DS").await;
        }
        let before = visit.cookies(false).await;
        let refreshes = site.refreshes();
        let seen = site.replies.lock().unwrap().len();
        // Both are on the way before either is answered.
        site.emulator.configure(|config| config.latency_ms = 2000);
        for (tab, call) in [&first, &second].into_iter().zip(what) {
            browser.switch_to(tab).await;
            let script = format!("window.outcome = {call}; return null");
            browser.run(&script, json!([])).await;
        }
        for tab in [&first, &second] {
            browser.switch_to(tab).await;
            let status = browser.run("return await outcome", json!([])).await;
            assert_eq!(status, 200, "{what:?}");
        }
        site.emulator.configure(|config| config.latency_ms = 0);
        {
            let replies = site.replies.lock().unwrap();
            let mut replies: Vec<&Reply> = replies[seen..].iter().collect();
            // After these two the page reads on.
            replies.sort_by_key(|reply| reply.arrived);
            let (one, other) = (replies[0], replies[1]);
            assert!(
                one.arrived < other.answered && other.arrived < one.answered,
                "{what:?} were not at once"
            );
        }
        assert_eq!(site.refreshes(), refreshes + 1, "{what:?}");
        assert_ne!(visit.cookies(false).await["DSR"], before["DSR"], "{what:?}");

        // And both still are signed in: what the browser kept is what upstream wants to see.
        for tab in [&first, &second] {
            browser.switch_to(tab).await;
            assert_eq!(visit.me().await.0, 200);
            let status = browser
                .run(&format!("return await {refresh}"), json!([]))
                .await;
            assert_eq!(status, 200);
            assert!(
                !visit
                    .text("events")
                    .await
                    .contains("isAuthenticated: false")
            );
            visit.no_token_in_reach(&site).await;
        }
    }

    // The other tab learns of a sign-out when it next asks.
    browser.switch_to(&first).await;
    browser.click("#logout").await;
    visit.until_signed_out().await;
    browser.switch_to(&second).await;
    assert_eq!(visit.me().await.0, 401);
    browser.click("#refresh").await;
    visit.until_signed_out().await;
    assert!(visit.cookies(false).await.is_empty());
}

/// The SDK refreshes by itself before the session ends.
async fn timer(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    let browser = &visit.browser;
    // Ten minutes in a second and a half; a poll or an animation is as fast as ever.
    browser
        .run_first(
            "const inTime = window.setTimeout;
            window.setTimeout = (call, delay, ...rest) => inTime(call, delay > 20000 ? delay / 400 : delay, ...rest);",
        )
        .await;
    visit.first_sight(&site).await;
    visit.sign_in(&site, ANN).await;
    let before = visit.cookies(false).await;
    let refreshes = site.refreshes();
    browser
        .until("document.getElementById('events').textContent.split('isAuthenticated: true').length > 3")
        .await;
    assert!(site.refreshes() >= refreshes + 2);
    assert_eq!(visit.me().await.0, 200);
    let after = visit.cookies(false).await;
    assert_eq!(names(&after), ["DS", "DSR"]);
    assert_ne!(before["DSR"], after["DSR"]);
    visit.no_token_in_reach(&site).await;
}

async fn notp(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    let browser = &visit.browser;
    visit.first_sight(&site).await;
    browser.click("#notp").await;
    browser
        .until("document.getElementById('whatsapp').dataset.pendingRef")
        .await;
    let link = browser
        .run("return document.getElementById('whatsapp').href", json!([]))
        .await;
    // It polls, and goes on.
    while site.emulator.calls("/v1/auth/notp/pending-session") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(visit.me().await.0, 401);
    visit.no_token_in_reach(&site).await;

    // The phone: the emulator's page that plays WhatsApp, with the message filled in.
    let page = browser.tab().await;
    let phone = browser.new_tab().await;
    browser.switch_to(&phone).await;
    browser.open(link.as_str().unwrap()).await;
    browser.until("document.getElementById('text').value").await;
    browser.type_in("#from", "+15555550123").await;
    browser.click("#message button").await;
    browser.switch_to(&page).await;
    visit.until_signed_in().await;
    assert!(visit.text("who").await.contains("15555550123"));
    assert_eq!(names(&visit.cookies(false).await), ["DS", "DSR"]);
    visit.no_token_in_reach(&site).await;
}

async fn tenant_select(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    let browser = &visit.browser;
    site.emulator
        .put_user(ANN, |user| {
            user.email = ANN.to_owned();
            user.user_tenants = ["blue", "red"]
                .map(|id| {
                    let mut tenant = UserTenant::default();
                    tenant.tenant_id = id.to_owned();
                    tenant
                })
                .into();
        })
        .unwrap();
    visit.first_sight(&site).await;
    visit.sign_in(&site, ANN).await;
    assert_eq!(visit.me().await.1["currentTenant"], Value::Null);

    for tenant in ["blue", "red"] {
        let before = visit.cookies(false).await;
        browser.click(&format!("[data-tenant={tenant}]")).await;
        browser
            .until(&format!(
                "document.querySelector('[data-tenant={tenant}]').disabled"
            ))
            .await;
        assert_eq!(visit.me().await.1["currentTenant"], tenant);
        let after = visit.cookies(false).await;
        assert_eq!(names(&after), ["DS", "DSR"]);
        assert_ne!(before["DS"], after["DS"]);
        visit.no_token_in_reach(&site).await;
    }

    // It is in the cookies, so a reload does not lose it.
    browser.reload().await;
    visit.until_signed_in().await;
    assert_eq!(visit.me().await.1["currentTenant"], "red");
}

/// Cookies of an earlier set-up, which the browser sends first because their path is longer.
async fn left_over_cookies(visit: Arc<Visit>) {
    let site = Site::start(Some(&visit.sdk), false).await;
    let browser = &visit.browser;
    visit.first_sight(&site).await;
    visit.sign_in(&site, ANN).await;
    browser
        .run(
            "for (const path of ['/auth', '/api']) {
                document.cookie = 'DS=left-over; path=' + path;
                document.cookie = 'DSR=left-over; path=' + path;
            }",
            json!([]),
        )
        .await;
    let seen = site.replies.lock().unwrap().len();
    browser.reload().await;
    visit.until_signed_in().await;
    assert_eq!(visit.me().await.0, 200);
    for path in ["/auth/v1/auth/refresh", "/api/me"] {
        let replies = site.replies.lock().unwrap();
        let mut asked = replies[seen..].iter().filter(|reply| reply.path == path);
        let cookies = &asked.next().unwrap().cookies;
        assert!(cookies.contains("DSR=left-over"), "{path}: {cookies}");
        assert!(cookies.contains("DSR=eyJ"), "{path}: {cookies}");
    }
    browser.delete_cookie("DS").await;
    assert_eq!(visit.me().await.0, 200);
    browser.click("#refresh").await;
    browser.click("#logout").await;
    visit.until_signed_out().await;
    assert_eq!(visit.me().await.0, 401);
    assert!(visit.cookies(false).await.is_empty());
}

async fn without_sdk(visit: Arc<Visit>) {
    let site = Site::start(None, false).await;
    visit.browser.open(&format!("{}/sdk", site.base)).await;
    visit
        .browser
        .until("!document.getElementById('missing').hidden && document.getElementById('reason').textContent")
        .await;
    let text = visit.text("missing").await;
    assert!(text.contains("npm install @descope/web-js-sdk"));
    assert!(text.contains("DESCOPE_WEB_JS_SDK is not set"));
}
