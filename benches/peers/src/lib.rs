//! One app per crate, all of them behind the same tokens, the same claims and the same handler.

mod app;
mod contender;
mod issuer;
mod set_up;

pub use app::App;
pub use contender::Contender;
pub use issuer::{Issuer, current_thread};
