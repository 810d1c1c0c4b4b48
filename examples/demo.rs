//! Sign-in by e-mail code, with no account and no network.
//!
//! ```sh
//! cargo run --example demo
//! ```
//!
//! Without further ado it starts the emulator in this process. With `DESCOPE_PROJECT_ID` it talks to Descope instead;
//! `DESCOPE_BASE_URL` overrides the host. `LISTEN` (default 127.0.0.1:3000) and `EMULATOR_LISTEN` (default
//! 127.0.0.1:3001) move the ports. `RUST_LOG=tower_descope=debug` shows what the library does.
//!
//! `/sdk` is the same with Descope's own browser SDK. It is no part of this repository: `npm install
//! @descope/web-js-sdk` and point `DESCOPE_WEB_JS_SDK` to the package, `node_modules/@descope/web-js-sdk`.

#[path = "demo/app.rs"]
mod app;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use app::App;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower_descope::Descope;
use tower_descope::emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();

    let listener = TcpListener::bind(env_or("LISTEN", "127.0.0.1:3000")?).await?;
    let address = listener.local_addr()?;

    // The emulator lives as long as its handle.
    let (emulator, mut builder) = match std::env::var("DESCOPE_PROJECT_ID") {
        Ok(project_id) => {
            let mut builder = Descope::builder(project_id);
            if let Ok(base_url) = std::env::var("DESCOPE_BASE_URL") {
                builder = builder.base_url(&base_url);
            }
            (None, builder)
        }
        Err(_) => {
            let emulator = Emulator::builder()
                .listen(env_or("EMULATOR_LISTEN", "127.0.0.1:3001")?)
                .start()
                .await?;
            let builder = emulator.descope();
            (Some(emulator), builder)
        }
    };
    if address.ip().is_loopback() {
        // Plain http that never leaves this machine. Anywhere else cookies stay `Secure`, behind a TLS proxy.
        builder = builder.dangerous_insecure_cookies();
    }
    let descope = builder.build()?;
    let app = App {
        descope: descope.clone(),
        inbox: emulator.as_ref().map(Emulator::inbox_url),
        sdk: std::env::var_os("DESCOPE_WEB_JS_SDK").map(PathBuf::from),
    };

    println!("demo:  http://{address}");
    match &app.inbox {
        Some(inbox) => {
            println!("inbox: {inbox}");
            println!();
            println!(
                "Open the demo, sign in with any e-mail address, and read the code in the inbox."
            );
        }
        None => println!(
            "project {} at {}",
            descope.project_id(),
            descope.client().base_url().as_str()
        ),
    }

    tokio::select! {
        () = serve(listener, app::router(app)) => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

/// As `axum::serve`, which however lets a client take for ever over the head of a request. Behind a proxy that limits
/// that, `axum::serve` is enough.
async fn serve(listener: TcpListener, app: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: trying again at once would not help.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(stream), service);
        // An error is that client's.
        tokio::spawn(async move { drop(connection.await) });
    }
}

fn env_or(name: &str, default: &str) -> Result<SocketAddr, String> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.parse()
        .map_err(|_| format!("{name}={text:?} is not an address with a port, such as {default}"))
}
