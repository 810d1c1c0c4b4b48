//! The emulator from outside, over real sockets.

mod connection;
mod control;
mod development_key;
mod faults;
mod notp;
mod otp;
mod sessions;
mod slow_clients;
mod snapshot;
mod start;
mod support;
mod totp;
