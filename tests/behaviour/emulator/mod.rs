//! The emulator from outside, over real sockets.

mod connection;
mod control;
mod faults;
mod notp;
mod otp;
mod sessions;
mod snapshot;
mod start;
mod support;
mod totp;
