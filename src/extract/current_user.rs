use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::rejection::AuthRejection;
use crate::error::{AuthError, AuthErrorKind};
use crate::user::User;

/// How an app finds its own row for a user, for use with [`CurrentUser`].
///
/// `S` is the state of the router. Where the router has a larger state, of which `Database` is a part, implement it for all
/// such states: `impl<S: Send + Sync> LoadUser<S> for Account where Database: FromRef<S>`.
pub trait LoadUser<S>: Clone + Send + Sync + 'static {
    /// Why a row could not be loaded. It is the source of [`AuthErrorKind::LoadFailed`], and shown to no client.
    type Error: StdError + Send + Sync + 'static;

    /// Loads the row of this user, or creates it. `None` if there is none and none is to be created.
    ///
    /// There is no time limit: a request waits for as long as this takes. It is not called where nobody is signed in.
    ///
    /// [`User::id`] is the key to look for. An e-mail address is none: it changes, and not every user has one.
    fn load(
        user: &User,
        state: &S,
    ) -> impl Future<Output = Result<Option<Self>, Self::Error>> + Send;
}

/// Extracts the app's own row of the user who is signed in.
///
/// | as an argument of a handler | nobody is signed in | a user without a row |
/// |---|---|---|
/// | `CurrentUser<T>` | 401, as for [`User`] | 403 `no_account` |
/// | `Option<CurrentUser<T>>` | `None` | `None` |
///
/// A [`load`](LoadUser::load) that fails is 500 `load_failed` in both cases, and an event in the log. However many
/// extractors and middlewares of a request ask, there is one load.
///
/// ```
/// # #[cfg(feature = "routes")] {
/// use std::collections::HashMap;
/// use std::convert::Infallible;
/// use std::sync::{Arc, Mutex};
///
/// use axum::{Router, routing::get};
/// use tower_descope::{CurrentUser, LoadUser, User};
///
/// #[derive(Clone)]
/// struct Account {
///     number: usize,
/// }
///
/// /// Stands for a database.
/// type Accounts = Arc<Mutex<HashMap<String, Account>>>;
///
/// impl LoadUser<Accounts> for Account {
///     type Error = Infallible;
///
///     async fn load(user: &User, accounts: &Accounts) -> Result<Option<Self>, Infallible> {
///         let mut accounts = accounts.lock().unwrap();
///         let number = accounts.len() + 1;
///         let account = accounts.entry(user.id().to_owned()).or_insert(Account { number });
///         Ok(Some(account.clone()))
///     }
/// }
///
/// async fn me(account: CurrentUser<Account>) -> String {
///     format!("account {} of {}", account.number, account.user().id())
/// }
///
/// let app: Router = Router::new().route("/me", get(me)).with_state(Accounts::default());
/// # let _ = app; }
/// ```
///
/// # Across requests
///
/// Each request loads the row anew, so that a change is seen at once. An app for which that is too often keeps a cache in
/// its state, with the id as key and a short life, and drops the entry where it changes the row:
///
/// ```
/// use std::time::Duration;
///
/// use moka::sync::Cache;
/// use tower_descope::{LoadUser, User};
///
/// # #[derive(Clone)] struct Account;
/// # #[derive(Clone)] struct Database;
/// # impl Database { async fn account(&self, _: &str) -> Result<Option<Account>, std::io::Error> { Ok(None) } }
/// #[derive(Clone)]
/// struct AppState {
///     database: Database,
///     /// Built with `Cache::builder().time_to_live(Duration::from_secs(10))`.
///     accounts: Cache<String, Account>,
/// }
///
/// impl LoadUser<AppState> for Account {
///     type Error = std::io::Error;
///
///     async fn load(user: &User, state: &AppState) -> Result<Option<Self>, Self::Error> {
///         if let Some(known) = state.accounts.get(user.id()) {
///             return Ok(Some(known));
///         }
///         let account = state.database.account(user.id()).await?;
///         if let Some(account) = &account {
///             state.accounts.insert(user.id().to_owned(), account.clone());
///         }
///         Ok(account)
///     }
/// }
/// # let _ = Duration::ZERO;
/// ```
#[derive(Clone)]
pub struct CurrentUser<T> {
    row: T,
    user: User,
}

impl<T> CurrentUser<T> {
    /// What the session JWT says of the user.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The row.
    pub fn into_row(self) -> T {
        self.row
    }
}

impl<T> Deref for CurrentUser<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.row
    }
}

/// What was loaded for this request, and for whom: a layer of another handle may say later that it is somebody else's.
#[derive(Clone)]
struct Loaded<T> {
    row: Option<T>,
    user_id: Box<str>,
}

async fn load<T, S>(user: &User, parts: &mut Parts, state: &S) -> Result<Option<T>, AuthError>
where
    T: LoadUser<S>,
    S: Sync,
{
    if let Some(loaded) = parts.extensions.get::<Loaded<T>>()
        && *loaded.user_id == *user.id()
    {
        return Ok(loaded.row.clone());
    }
    let row = T::load(user, state).await.map_err(|error| {
        tracing::error!(event = "user.load_failed", %error, "the row of a user could not be loaded");
        AuthError::new(AuthErrorKind::LoadFailed).with_source(error)
    })?;
    parts.extensions.insert(Loaded {
        row: row.clone(),
        user_id: user.id().into(),
    });
    Ok(row)
}

async fn required<T, S>(parts: &mut Parts, state: &S) -> Result<(T, User), AuthError>
where
    T: LoadUser<S>,
    S: Sync,
{
    let user = User::from_extensions(&parts.extensions)?;
    let row = load(&user, parts, state).await?;
    let row = row.ok_or(AuthError::new(AuthErrorKind::NoAccount))?;
    Ok((row, user))
}

impl<T, S> FromRequestParts<S> for CurrentUser<T>
where
    T: LoadUser<S>,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match required(parts, state).await {
            Ok((row, user)) => Ok(Self { row, user }),
            Err(error) => Err(AuthRejection::of(error, parts)),
        }
    }
}

impl<T, S> OptionalFromRequestParts<S> for CurrentUser<T>
where
    T: LoadUser<S>,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let user = match User::optional_from_extensions(&parts.extensions) {
            Ok(Some(user)) => user,
            Ok(None) => return Ok(None),
            Err(error) => return Err(AuthRejection::of(error, parts)),
        };
        match load(&user, parts, state).await {
            Ok(row) => Ok(row.map(|row| Self { row, user })),
            Err(error) => Err(AuthRejection::of(error, parts)),
        }
    }
}

/// Without the row, which may hold anything.
impl<T> fmt::Debug for CurrentUser<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.user).finish()
    }
}
