//! One app per crate, all of them behind the same tokens, the same claims and the same handler.

mod contender;
mod issuer;
mod set_up;

pub use contender::{App, Contender};
pub use issuer::{Issuer, current_thread};
