//! A local Descope for development and tests.
//!
//! Real codes, real TOTP keys and QR images, real RS256 signatures and key rotation, and an inbox page where an
//! SMS gateway would be. No account and no network are needed, and Descope's own SDKs work against it.
//!
//! ```
//! use tower_descope::emulator::Emulator;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::builder().start().await?;
//! let api = reqwest::Client::new();
//! let bearer = format!("Bearer {}", emulator.project_id());
//! let reply = api
//!     .post(format!("{}/v1/auth/otp/signup/email", emulator.base_url()))
//!     .header("authorization", bearer)
//!     .body(r#"{"loginId": "ann@example.com"}"#)
//!     .send()
//!     .await?;
//! assert!(reply.status().is_success());
//! let code = emulator.last_code("ann@example.com").expect("a message");
//! assert_eq!(code.len(), 6);
//! # Ok(())
//! # }
//! ```
//!
//! # What it serves
//!
//! * `/v1/auth/…` and `/v2/keys/…`: OTP on five channels, TOTP, nOTP (provider `whatsapp`; another one is 400
//!   E011004), sessions, access keys, the key set. Cross-origin calls are allowed with credentials, as by
//!   Descope.
//! * `/emulator`: a page with messages and users, and `/emulator/v1/…`, the control API, for tests in any
//!   language. Rust tests use the methods of [`Emulator`].
//!
//! # Where it is strict
//!
//! The emulator is meant to refuse whatever Descope refuses, so that a bug shows in tests and not in production. A
//! session JWT is not accepted as a refresh JWT, nor the other way round. A code is accepted once, for the login id,
//! the channel and the purpose for which it was sent, and a newer code for the same purpose replaces it. A code of an
//! authenticator app is accepted once, and may be one step of 30 s early or late. A refresh JWT that was rotated or
//! logged out is refused (E064001). Step-up and MFA need the caller's own refresh JWT.
//!
//! Where Descope's behaviour is not documented, the emulator does the following. Rotation does not prolong a session.
//! A step-up stays in the session that it raises. A refreshed session JWT is no longer stepped up. When two users are
//! merged, the kept user's own values win, and login ids, roles and tenants are united. Each token carries a random
//! `jti`, because otherwise two sign-ins within one second would yield the same token.
//!
//! # Who may reach it
//!
//! The control API gives codes to whoever asks. The emulator therefore listens on loopback only. It answers requests
//! for `/emulator` only if their `Host` is a loopback name, and without CORS headers.
//! [`dangerous_listen_beyond_loopback`](EmulatorBuilder::dangerous_listen_beyond_loopback) permits other addresses; the
//! rules for `/emulator` stay.
//!
//! # The signing key that everybody knows
//!
//! An RSA key for the development project is part of this crate, so that an emulator starts within milliseconds.
//! Its private half is published: anybody can sign tokens with it. An emulator uses it only when it serves
//! [`DEVELOPMENT_PROJECT_ID`] on loopback and neither
//! [`fresh_keys`](EmulatorBuilder::fresh_keys) was called nor the snapshot file has other keys; keys that are made
//! by a rotation are always new. A [`Descope`](crate::Descope) handle accepts this key only when its base URL is on
//! loopback. Any other handle ignores it, in a fetched key set and in
//! [`public_key`](crate::DescopeBuilder::public_key), and logs an error.
//!
//! # How long it serves
//!
//! The emulator serves until its handle is dropped or [`shutdown`](Emulator::shutdown) returns. It runs on a thread and
//! a runtime of its own, so a static emulator outlives the runtime of the test that started it:
//!
//! ```
//! use std::sync::LazyLock;
//! use tower_descope::emulator::Emulator;
//!
//! static EMULATOR: LazyLock<Emulator> =
//!     LazyLock::new(|| Emulator::builder().start_blocking().expect("an emulator"));
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let page = reqwest::get(EMULATOR.inbox_url()).await.expect("a page");
//! assert!(page.status().is_success());
//! # }
//! ```
//!
//! A paused clock of tokio (`#[tokio::test(start_paused = true)]`) jumps ahead whenever its runtime waits for
//! another thread, so every call would time out. An emulator that is [started](EmulatorBuilder::start) below a paused
//! clock therefore runs as tasks of that runtime and ends with it. A test that pauses the clock later calls
//! [`on_this_runtime`](EmulatorBuilder::on_this_runtime) first.

mod api;
mod builder;
mod config;
mod control;
mod development_key;
mod edge;
mod error;
mod fault;
mod handle;
mod instance;
mod keys;
mod mask;
mod qr;
mod random;
mod running;
mod server;
mod snapshot;
mod state;
mod token;

pub use self::builder::{DEVELOPMENT_PROJECT_ID, EmulatorBuilder};
pub use self::config::{Config, RefreshRotation, TokenDelivery};
pub use self::error::{EmulatorError, EmulatorErrorKind};
pub use self::fault::Fault;
pub use self::handle::Emulator;
pub use self::state::{Message, NewAccessKey};
pub use crate::signed_in::SignedIn;
