//! Protecting routes: [`RequireLayer`], and what a rejection looks like.
//!
//! ```
//! use tower_descope::{RequireLayer, require::RedirectToLogin};
//!
//! // Every user who is signed in:
//! let signed_in = RequireLayer::new();
//! // An owner of one tenant:
//! let owner = RequireLayer::new().tenant("T2acme").role("owner");
//! // Browsers without a session are sent to the login page:
//! let page = RequireLayer::new().with_rejection(RedirectToLogin::new("/login"));
//! # let _ = (signed_in, owner, page);
//! ```

mod layer;
mod requirement;
mod service;
mod tenant;

pub use self::layer::RequireLayer;
pub use self::requirement::Requirement;
pub use self::service::{RequireService, ResponseFuture};
pub use self::tenant::TenantFrom;
pub use crate::headers::RequestHead;
pub use crate::reject::{
    GrpcStatus, NoBody, ProblemJson, RedirectToLogin, Reject, Rejected, ResponseBody,
    path_on_this_host,
};
