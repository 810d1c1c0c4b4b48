//! A local Descope: `cargo run --example emulator`, then point any Descope SDK at it.
//!
//! `LISTEN` (default 127.0.0.1:3001), `DESCOPE_PROJECT_ID` (a development id by default) and
//! `EMULATOR_SNAPSHOT` (a file that keeps users and sessions over restarts) change what it does.

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use tower_descope::emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();

    let listen: SocketAddr = match env::var("LISTEN") {
        Ok(listen) => listen.parse()?,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 3001)),
    };
    let mut builder = Emulator::builder().listen(listen);
    if let Ok(project_id) = env::var("DESCOPE_PROJECT_ID") {
        builder = builder.project_id(project_id);
    }
    if let Ok(path) = env::var("EMULATOR_SNAPSHOT") {
        builder = builder.snapshot_file(path);
    }
    let emulator = builder.start().await?;

    println!("base URL:   {}", emulator.base_url());
    println!("project id: {}", emulator.project_id());
    println!("inbox:      {}", emulator.inbox_url());

    tokio::signal::ctrl_c().await?;
    emulator.shutdown().await?;
    Ok(())
}
