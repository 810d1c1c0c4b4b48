//! Pages of tenants: members see those of their tenant, owners its settings, and whoever is in several can switch.
//!
//! `cargo run --example multi_tenant`, then open <http://127.0.0.1:3000>. It talks to an emulator in the same process, so
//! it needs no account. Two users are there: ann@example.com owns `acme` and is a member of `globex`, bob@example.com is a
//! member of `globex`. The code that is "sent" is in the inbox, whose address is printed. Ann sees `/t/acme/settings` but
//! not `/t/globex/settings`, Bob sees nothing of `acme`, and `/invoices` shows those of the tenant last switched to.

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use tower_descope::emulator::{Emulator, EmulatorError};
use tower_descope::require::{RedirectToLogin, TenantFrom};
use tower_descope::wire::{
    DeliveryMethod, OtpSignInRequest, OtpVerifyRequest, TenantSelectRequest, UserTenant,
};
use tower_descope::{AuthError, AuthErrorKind, Descope, RequireLayer, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::builder().start().await?;
    seed(&emulator)?;
    // Over plain http on this machine. An app that is served over https leaves this out.
    let descope = emulator.descope().dangerous_insecure_cookies().build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("app:   http://{}", listener.local_addr()?);
    println!("inbox: {}", emulator.inbox_url());
    axum::serve(listener, app(&descope)).await?;
    Ok(())
}

/// Two tenants and their users. With Descope itself this is done in the console or by the management API.
pub fn seed(emulator: &Emulator) -> Result<(), EmulatorError> {
    emulator.put_user("ann@example.com", |user| {
        user.email = "ann@example.com".to_owned();
        user.user_tenants = vec![member("acme", &["owner"]), member("globex", &[])];
    })?;
    emulator.put_user("bob@example.com", |user| {
        user.email = "bob@example.com".to_owned();
        user.user_tenants = vec![member("globex", &[])];
    })?;
    Ok(())
}

fn member(tenant: &str, roles: &[&str]) -> UserTenant {
    let mut membership = UserTenant::default();
    membership.tenant_id = tenant.to_owned();
    membership.role_names = roles.iter().map(|role| (*role).to_owned()).collect();
    membership
}

/// The whole app.
pub fn app(descope: &Descope) -> Router {
    // The tenant is named by the path, so the layer and the handler cannot disagree about which one is asked for.
    let member = || RequireLayer::new().tenant_from(TenantFrom::path_after("/t/"));
    Router::new()
        .route("/t/{tenant}", get(tenant_page).route_layer(member()))
        .route(
            "/t/{tenant}/settings",
            get(settings).route_layer(member().role("owner")),
        )
        // Here the session says which tenant is meant.
        .route(
            "/invoices",
            get(invoices).route_layer(RequireLayer::new().in_current_tenant()),
        )
        .route("/switch", post(switch))
        .route("/", get(home))
        .route("/code", post(send_code))
        .route("/sign-in", post(sign_in))
        .layer(
            descope
                .session_layer()
                .with_rejection(RedirectToLogin::new("/")),
        )
        .with_state(descope.clone())
}

async fn tenant_page(Path(tenant): Path<String>, user: User) -> Html<String> {
    let roles = user.tenant_roles(&tenant).collect::<Vec<_>>().join(", ");
    page(&format!(
        "<p>This is for members of {}.<p>Your roles: {}",
        escape(&tenant),
        escape(&roles)
    ))
}

async fn settings(Path(tenant): Path<String>) -> Html<String> {
    page(&format!("<p>Settings of {}", escape(&tenant)))
}

async fn invoices(user: User) -> Html<String> {
    let tenant = user.current_tenant().unwrap_or_default();
    page(&format!("<p>Invoices of {}", escape(tenant)))
}

#[derive(Deserialize)]
struct Switch {
    tenant: String,
}

/// Moves the session into another tenant: Descope issues tokens that name it, which take the place of the present ones.
async fn switch(
    State(descope): State<Descope>,
    user: User,
    parts: Parts,
    Form(Switch { tenant }): Form<Switch>,
) -> Result<Response, AuthError> {
    if !user.is_in_tenant(&tenant) {
        return Err(AuthErrorKind::Forbidden.into());
    }
    let refresh_token = user.refresh_token().await?;
    let request = TenantSelectRequest::new(tenant);
    let session = descope.client().session();
    match session.select_tenant(&request, &refresh_token).await {
        Ok(tokens) => {
            let established = descope.establish(&parts, &tokens).await?;
            Ok((established, Redirect::to("/")).into_response())
        }
        Err(error) => Ok(failed(&error.to_string())),
    }
}

async fn home(user: Option<User>) -> Html<String> {
    let Some(user) = user else {
        return page(
            "<form method=post action=/code><label>E-mail <input name=email type=email required></label> \
             <button>Send a code</button></form>",
        );
    };
    let mut list = String::new();
    for tenant in user.tenants().map(escape) {
        list += &format!(
            "<li><a href=\"/t/{tenant}\">{tenant}</a>, <a href=\"/t/{tenant}/settings\">settings</a> \
             <form method=post action=/switch><button name=tenant value=\"{tenant}\">Switch</button></form>"
        );
    }
    let current = escape(user.current_tenant().unwrap_or("none"));
    page(&format!(
        "<p>Current tenant: {current} (<a href=/invoices>invoices</a>)<ul>{list}</ul>"
    ))
}

// Signing in is explained in `html_forms.rs`.

#[derive(Deserialize)]
struct Email {
    email: String,
}

async fn send_code(State(descope): State<Descope>, Form(Email { email }): Form<Email>) -> Response {
    let request = OtpSignInRequest::new(&email);
    let otp = descope.client().otp();
    match otp.sign_in(DeliveryMethod::Email, &request, None).await {
        Ok(_) => page(&format!(
            "<form method=post action=/sign-in><input type=hidden name=email value=\"{}\"><label>Code \
             <input name=code required></label> <button>Sign in</button></form>",
            escape(&email),
        ))
        .into_response(),
        Err(error) => failed(&error.to_string()),
    }
}

#[derive(Deserialize)]
struct Code {
    email: String,
    code: String,
}

async fn sign_in(
    State(descope): State<Descope>,
    parts: Parts,
    Form(form): Form<Code>,
) -> Result<Response, AuthError> {
    let request = OtpVerifyRequest::new(form.email, form.code.trim());
    let otp = descope.client().otp();
    match otp.verify(DeliveryMethod::Email, &request).await {
        Ok(tokens) => {
            let established = descope.establish(&parts, &tokens).await?;
            Ok((established, Redirect::to("/")).into_response())
        }
        Err(error) => Ok(failed(&error.to_string())),
    }
}

fn failed(why: &str) -> Response {
    let page = page(&format!("<p role=alert>{}", escape(why)));
    (StatusCode::BAD_REQUEST, page).into_response()
}

fn page(content: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><title>Tenants</title><h1><a href=/>Tenants</a></h1>{content}</html>"
    ))
}

/// What somebody typed is text, not markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
