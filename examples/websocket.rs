//! A WebSocket that closes within a second of the sign-out of its user, whichever replica the sign-out reaches.
//!
//! `cargo run --example websocket`, then open <http://127.0.0.1:3000> in two tabs and sign out in one of them. It talks to an
//! emulator in the same process, so it needs no account; the code that is "sent" is in its inbox, whose address is
//! printed.
//!
//! Two replicas need one Descope and one Redis:
//!
//! ```sh
//! redis-server &
//! cargo run --example emulator &      # prints its base URL and project id
//! export REDIS_URL=redis://127.0.0.1/ DESCOPE_BASE_URL=http://127.0.0.1:3001 DESCOPE_PROJECT_ID=…
//! LISTEN=127.0.0.1:3000 cargo run --example websocket &
//! LISTEN=127.0.0.1:3010 cargo run --example websocket &
//! ```
//!
//! Browsers send cookies to every port of a host, so a sign-out at one port closes the WebSocket at the other.

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::get;
use tower_descope::store::RedisStore;
use tower_descope::{Descope, DescopeBuilder, Emulator, User};

/// A client that does not read must not keep its connection open by that.
const LONGEST_SEND: Duration = Duration::from_millis(500);

#[tokio::main]
pub async fn main() -> Result<(), Box<dyn Error>> {
    // The emulator lives as long as its handle.
    let mut emulator = None;
    let mut builder = if env::var_os("DESCOPE_PROJECT_ID").is_some() {
        DescopeBuilder::from_env()?
    } else {
        let emulator = emulator.insert(Emulator::builder().start().await?);
        emulator.descope()
    };
    if let Ok(url) = env::var("REDIS_URL") {
        // Apps that share the server differ by this name.
        builder = builder.shared_store(RedisStore::open(&url, "websocket-example")?);
    }
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    if address.ip().is_loopback() {
        // Plain http that never leaves this machine. Anywhere else cookies stay `Secure`, behind a TLS proxy.
        builder = builder.dangerous_insecure_cookies();
    }
    let descope = builder.build()?;
    println!("app:   http://{address}");
    if let Some(emulator) = &emulator {
        println!("inbox: {}", emulator.inbox_url());
    }
    axum::serve(listener, app(&descope)).await?;
    Ok(())
}

/// The whole app.
pub fn app(descope: &Descope) -> Router {
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/live", get(live))
        .nest("/auth", descope.routes())
        .layer(descope.session_layer())
}

async fn live(user: User, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| talk(socket, &user).await)
}

async fn talk(mut socket: WebSocket, user: &User) {
    let mut watch = user.watch();
    let mut answer = Some(format!("hello {}", user.id()));
    let end = loop {
        if let Some(text) = answer.take() {
            match tokio::time::timeout(LONGEST_SEND, socket.send(text.into())).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
        tokio::select! {
            end = watch.over() => break end,
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => answer = Some(format!("you said {text}")),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    };
    let frame = CloseFrame {
        code: end.close_code(),
        reason: end.to_string().into(),
    };
    let close = socket.send(Message::Close(Some(frame)));
    // The connection closes whether the client has read this or not.
    let _ = tokio::time::timeout(LONGEST_SEND, close).await;
}

const PAGE: &str = r#"<!doctype html>
<html lang=en>
<title>WebSocket</title>
<h1>WebSocket</h1>
<form id=ask hidden><label>E-mail <input name=email type=email required></label> <button>Send a code</button></form>
<form id=code hidden><label>Code <input name=code inputmode=numeric required></label> <button>Sign in</button></form>
<div id=in hidden>
  <form id=say><label>Message <input name=text required></label> <button>Send</button></form>
  <p><button id=out>Sign out</button></p>
</div>
<pre id=log></pre>
<script>
const $ = (id) => document.getElementById(id);
const show = (...ids) => { for (const id of ["ask", "code", "in"]) $(id).hidden = !ids.includes(id); };
const log = (text) => { $("log").textContent += text + "\n"; };
let email, socket;

async function call(path, body) {
  const response = await fetch("/auth/v1/auth/" + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error((await response.json()).errorDescription);
}

function open() {
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/live");
  socket.onopen = () => show("in");
  socket.onmessage = (event) => log(event.data);
  // Without a session the handshake is answered with 401, which a page sees as a close with code 1006.
  socket.onclose = (event) => { log("closed: " + event.code + " " + event.reason); show("ask"); };
}

const submit = (id, act) => $(id).addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  try { await act(form); } catch (error) { log(error.message); }
});
submit("ask", async (form) => {
  email = form.get("email");
  await call("otp/signup-in/email", { loginId: email });
  show("code");
});
submit("code", async (form) => {
  await call("otp/verify/email", { loginId: email, code: form.get("code").trim() });
  open();
});
submit("say", async (form) => socket.send(form.get("text")));
$("out").addEventListener("click", () => call("logout", {}).catch((error) => log(error.message)));
open();
</script>
</html>
"#;
