//! Sign-in and sign-out with plain HTML forms: no script, no Descope SDK in the page, no template engine.
//!
//! `cargo run --example html_forms`, then open <http://127.0.0.1:3000>. It talks to an emulator in the same process, so it
//! needs no account; the code that is "sent" is in its inbox, whose address is printed.

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use tower_descope::wire::{DeliveryMethod, OtpSignInRequest, OtpVerifyRequest};
use tower_descope::{Descope, Emulator, SignOut, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::builder().start().await?;
    // Over plain http on this machine. An app that is served over https leaves this out.
    let descope = emulator.descope().dangerous_insecure_cookies().build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("app:   http://{}", listener.local_addr()?);
    println!("inbox: {}", emulator.inbox_url());
    axum::serve(listener, app(&descope)).await?;
    Ok(())
}

/// The whole app.
pub fn app(descope: &Descope) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/code", post(send_code))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(descope.session_layer())
        .with_state(descope.clone())
}

async fn home(user: Option<User>) -> Html<String> {
    match user {
        Some(user) => page(&format!(
            "<p>Hello, {}.</p><form method=post action=/sign-out><button>Sign out</button></form>",
            escape(user.id()),
        )),
        None => page(
            "<form method=post action=/code><label>E-mail <input name=email type=email required></label> \
             <button>Send a code</button></form>",
        ),
    }
}

#[derive(Deserialize)]
struct Email {
    email: String,
}

async fn send_code(State(descope): State<Descope>, Form(Email { email }): Form<Email>) -> Response {
    let request = OtpSignInRequest::new(&email);
    let otp = descope.client().otp();
    match otp
        .sign_up_or_in(DeliveryMethod::Email, &request, None)
        .await
    {
        Ok(_) => code_form(&email, "").into_response(),
        Err(_) => failed("The code could not be sent."),
    }
}

#[derive(Deserialize)]
struct Code {
    email: String,
    code: String,
}

async fn sign_in(State(descope): State<Descope>, parts: Parts, Form(form): Form<Code>) -> Response {
    let request = OtpVerifyRequest::new(&form.email, form.code.trim());
    let otp = descope.client().otp();
    let tokens = match otp.verify(DeliveryMethod::Email, &request).await {
        Ok(tokens) => tokens,
        Err(error) if error.is_code_refused() => {
            let note = "<p role=alert>This is not the code.</p>";
            return code_form(&form.email, note).into_response();
        }
        Err(_) => return failed("Sign-in is not available right now."),
    };
    match descope.establish(&parts, &tokens).await {
        Ok(established) => (established, Redirect::to("/")).into_response(),
        Err(error) => failed(&error.to_string()),
    }
}

async fn sign_out(State(descope): State<Descope>, parts: Parts) -> impl IntoResponse {
    let ended = descope.end(&parts, SignOut::ThisSession).await;
    (ended, Redirect::to("/"))
}

fn code_form(email: &str, note: &str) -> Html<String> {
    page(&format!(
        "{note}<form method=post action=/sign-in><input type=hidden name=email value=\"{}\"><label>Code \
         <input name=code inputmode=numeric autocomplete=one-time-code required></label> <button>Sign in</button></form>",
        escape(email),
    ))
}

fn failed(why: &str) -> Response {
    let page = page(&format!("<p role=alert>{}</p>", escape(why)));
    (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
}

fn page(content: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><title>Forms</title><h1>Forms</h1>{content}</html>"
    ))
}

/// What a user typed is text, not markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
