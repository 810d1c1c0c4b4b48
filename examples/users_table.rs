//! A users table of the app's own, in SQLite: a row is made at the first sign-in, and handlers get it as
//! `CurrentUser<Account>`.
//!
//! `cargo run --example users_table`, then open <http://127.0.0.1:3000>, sign in with any e-mail address, and choose a
//! nickname: it is there again after the next sign-in. The app talks to an emulator in the same process, so it needs no
//! account; the code that is "sent" is in its inbox, whose address is printed.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::request::Parts;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use tower_descope::wire::{DeliveryMethod, OtpSignInRequest, OtpVerifyRequest};
use tower_descope::{CurrentUser, Descope, Emulator, LoadUser, SignOut, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::builder().start().await?;
    // Over plain http on this machine. An app that is served over https leaves this out.
    let descope = emulator.descope().dangerous_insecure_cookies().build()?;
    // The emulator forgets its users when it ends, so the table need not outlive it: yours is in a file.
    let app = app(&descope, Connection::open_in_memory()?)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("app:   http://{}", listener.local_addr()?);
    println!("inbox: {}", emulator.inbox_url());
    axum::serve(listener, app).await?;
    Ok(())
}

/// The whole app.
pub fn app(descope: &Descope, connection: Connection) -> rusqlite::Result<Router> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS accounts (
             id TEXT PRIMARY KEY, -- Descope's id of the user, which never changes
             email TEXT NOT NULL,
             nickname TEXT NOT NULL DEFAULT ''
         )",
    )?;
    let state = AppState {
        descope: descope.clone(),
        database: Database(Arc::new(Mutex::new(connection))),
    };
    Ok(Router::new()
        .route("/", get(home))
        .route("/code", post(send_code))
        .route("/sign-in", post(sign_in))
        .route("/nickname", post(nickname))
        .route("/sign-out", post(sign_out))
        .layer(descope.session_layer())
        .with_state(state))
}

#[derive(Clone)]
struct AppState {
    descope: Descope,
    database: Database,
}

#[derive(Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// SQLite keeps the thread that calls it waiting for the disk, so it is called on a thread that is made for waiting:
    /// on one of the runtime's own, all requests that this thread serves would wait along.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            query(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.expect("the query does not panic")
    }

    /// Makes the row at the first sign-in. Later on it takes over the e-mail address, which may have changed at Descope,
    /// and leaves alone what is the app's own.
    async fn signed_in(&self, id: String, email: String) -> rusqlite::Result<()> {
        self.run(move |connection| {
            connection.execute(
                "INSERT INTO accounts (id, email) VALUES (?1, ?2) \
                 ON CONFLICT (id) DO UPDATE SET email = excluded.email",
                (id, email),
            )
        })
        .await?;
        Ok(())
    }
}

/// A row of the table.
#[derive(Clone)]
struct Account {
    email: String,
    nickname: String,
}

impl LoadUser<AppState> for Account {
    type Error = rusqlite::Error;

    async fn load(user: &User, state: &AppState) -> rusqlite::Result<Option<Self>> {
        let id = user.id().to_owned();
        let load = move |connection: &Connection| {
            let sql = "SELECT email, nickname FROM accounts WHERE id = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let account = statement.query_row([id], |row| {
                Ok(Self {
                    email: row.get(0)?,
                    nickname: row.get(1)?,
                })
            });
            account.optional()
        };
        state.database.run(load).await
    }
}

async fn home(account: Option<CurrentUser<Account>>) -> Html<String> {
    match account {
        Some(account) => page(&format!(
            "<p>Hello, {}.</p><form method=post action=/nickname><label>Nickname <input name=nickname value=\"{}\"></label> \
             <button>Keep</button></form><form method=post action=/sign-out><button>Sign out</button></form>",
            escape(&account.email),
            escape(&account.nickname),
        )),
        None => page(
            "<form method=post action=/code><label>E-mail <input name=email type=email required></label> \
             <button>Send a code</button></form>",
        ),
    }
}

#[derive(Deserialize)]
struct Nickname {
    nickname: String,
}

/// Only users with a row get here; everybody else is answered by `CurrentUser`.
async fn nickname(
    State(state): State<AppState>,
    account: CurrentUser<Account>,
    Form(Nickname { nickname }): Form<Nickname>,
) -> Response {
    let id = account.user().id().to_owned();
    let update = move |connection: &Connection| {
        connection.execute(
            "UPDATE accounts SET nickname = ?1 WHERE id = ?2",
            (nickname, id),
        )
    };
    match state.database.run(update).await {
        Ok(_) => Redirect::to("/").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

// Signing in is explained in `html_forms.rs`. What is new here is the row.

#[derive(Deserialize)]
struct Code {
    email: String,
    code: String,
}

async fn sign_in(State(state): State<AppState>, parts: Parts, Form(form): Form<Code>) -> Response {
    let request = OtpVerifyRequest::new(&form.email, form.code.trim());
    let otp = state.descope.client().otp();
    let tokens = match otp.verify(DeliveryMethod::Email, &request).await {
        Ok(tokens) => tokens,
        Err(error) if error.is_code_refused() => {
            let note = "<p role=alert>This is not the code.</p>";
            return code_form(&form.email, note).into_response();
        }
        Err(error) => return error.into_response(),
    };
    // The row comes first, so that nobody is signed in without one.
    let Some(user) = tokens.user.clone() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if let Err(error) = state.database.signed_in(user.user_id, user.email).await {
        eprintln!("no row could be made: {error}");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match state.descope.establish(&parts, &tokens).await {
        Ok(established) => (established, Redirect::to("/")).into_response(),
        Err(error) => error.into_response(),
    }
}

#[derive(Deserialize)]
struct Email {
    email: String,
}

async fn send_code(State(state): State<AppState>, Form(Email { email }): Form<Email>) -> Response {
    let request = OtpSignInRequest::new(&email);
    let otp = state.descope.client().otp();
    let sent = otp.sign_up_or_in(DeliveryMethod::Email, &request, None);
    match sent.await {
        Ok(_) => code_form(&email, "").into_response(),
        Err(_) => page("<p role=alert>No code could be sent.</p>").into_response(),
    }
}

async fn sign_out(State(state): State<AppState>, parts: Parts) -> impl IntoResponse {
    let ended = state.descope.end(&parts, SignOut::ThisSession).await;
    (ended, Redirect::to("/"))
}

fn code_form(email: &str, note: &str) -> Html<String> {
    page(&format!(
        "{note}<form method=post action=/sign-in><input type=hidden name=email value=\"{}\"><label>Code \
         <input name=code required></label> <button>Sign in</button></form>",
        escape(email),
    ))
}

fn page(content: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><title>Accounts</title><h1>Accounts</h1>{content}</html>"
    ))
}

/// What a user typed is text, not markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
