//! Connections that outlive the request that opened them: WebSockets, server-sent events, downloads.
//!
//! The session layer decides about a request once. A connection that stays open after that has to be told when the
//! session of its user is over. [`User`] has three ways:
//!
//! | what the connection does | call |
//! |---|---|
//! | it closes when the session JWT expires, or with a sign-out before that | [`User::ended`] |
//! | it goes on as long as the user stays signed in, and closes with a sign-out | [`User::watch`] |
//! | it is a stream, such as server-sent events | [`User::until_ended`], [`Watch::until_over`] |
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
//! use axum::response::Response;
//! use tower_descope::User;
//!
//! async fn live(user: User, upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(async move |mut socket: WebSocket| {
//!         let mut watch = user.watch();
//!         let end = loop {
//!             tokio::select! {
//!                 end = watch.over() => break end,
//!                 message = socket.recv() => match message {
//!                     Some(Ok(message)) => drop(message), // answer it
//!                     _ => return,
//!                 },
//!             }
//!         };
//!         let frame = CloseFrame { code: end.close_code(), reason: end.to_string().into() };
//!         let _ = socket.send(Message::Close(Some(frame))).await;
//!     })
//! }
//! # let _ = axum::Router::<()>::new().route("/live", axum::routing::get(live)); }
//! ```
//!
//! Only what is awaited beside the end of the session is interrupted by it: a handler that awaits something else inside
//! an arm of `select!`, such as a slow `send`, closes when that is done. A client that does not read can hold up a
//! `send`, so give it a time limit.
//!
//! # What is noticed, and when
//!
//! * **A sign-out or a revocation in this process** at once: the mounted `logout` and `logoutall`,
//!   [`Descope::end`](crate::Descope::end), [`Descope::revoke`](crate::Descope::revoke).
//! * **At another replica** within a second, as for requests, where the replicas share a store. While the store cannot
//!   be reached, when it is back. Without a shared store not before the session JWT expires.
//! * **At Descope alone**, where an account was disabled in the console for example, with the next renewal. Requests do not
//!   notice it earlier either.
//! * **The expiry of the session JWT** at the moment from which the layer refuses it, the
//!   [leeway](crate::DescopeBuilder::leeway) included. If the wall clock jumps, within ten seconds.
//! * **Not noticed** is a key that Descope withdraws ([`Descope::refresh_keys`](crate::Descope::refresh_keys)): the
//!   connection lasts until the session JWT expires.
//!
//! # What can be renewed on an open connection
//!
//! * **A session that came in cookies**, with the refresh JWT among them: [`User::renewed`], and [`Watch`] by itself. One
//!   call to Descope serves all connections and requests that present this refresh JWT, as in the session layer.
//! * **The browser's cookies cannot be set** on a connection that is open. The new tokens are kept for the next response
//!   to this browser, as [`Descope::authenticate`](crate::Descope::authenticate) says.
//! * **A bearer cannot be renewed.** Only the client can get another one: close, and let it connect again.
//! * **With refresh JWTs that can be used once only** (a setting of the project) [`User::ended`] is the better choice: let
//!   the connection close with the session JWT, and the client connect again. The response to its handshake sets the
//!   new cookies, so that browser and server have the same. A [`Watch`] works, too, if the page makes a request now and
//!   then. Until it does, every renewal adds an outcome that is kept for the browser, and there is room for 100,000. If
//!   a request has renewed the session meanwhile, the connection's own refresh JWT is spent: a [`Watch`] goes on with
//!   the renewals that it sees in its process. One that another replica has made it does not see; Descope then refuses
//!   the old refresh JWT, and the connection closes with [`SessionEnd::SignedOut`], although the user is still signed
//!   in.
//! * **During an outage** of Descope a connection stays open as long as its session JWT is good, and for as long as the
//!   renewal takes to fail, twice the [deadline](crate::DescopeBuilder::deadline) at most. Then it closes, with
//!   [`SessionEnd::Unavailable`]: a request with this session would be answered with 503, and an open connection is
//!   not to outlive what a new one could not begin with. An app that would rather keep it open calls
//!   [`User::renewed`] again after `retry_after`, and decides itself for how long.
//! * **A [`Watch`] keeps an idle user signed in.** Where the project ends sessions after a time of inactivity, its
//!   renewals count as activity. Use [`User::ended`] there, or close connections that are idle.
//!
//! # What it costs
//!
//! Nothing for requests, and for users whose end nobody waits for. A connection that waits for [`User::ended`] has a
//! timer and less than a kilobyte of its own, and looks at the clock every ten seconds. A [`Watch`] also keeps the cookies
//! of the request. A token or user that is revoked wakes those whom it concerns, and about 4 in 1,000 of the others, each
//! of which looks up its tokens in memory and waits on.

#[cfg(feature = "axum")]
mod until_ended;
mod watch;

#[cfg(feature = "axum")]
use futures_core::Stream;

#[cfg(feature = "axum")]
pub use self::until_ended::UntilEnded;
pub use self::watch::Watch;
use crate::error::AuthError;
use crate::session::SessionEnd;
use crate::user::User;

impl User {
    /// Resolves to why the session of this user is over: its session JWT has expired, or it was signed out or revoked,
    /// in this process or at another replica that shares the store. [`connection`](crate::connection) says what is
    /// noticed when.
    ///
    /// Nothing that happens after this call is missed, even if the future is polled later; if the session is over
    /// already, the future resolves at its first poll. It borrows nothing, so that it can live in a task of its own, and
    /// it may be dropped at any time. It has to be polled in a tokio runtime with timers.
    ///
    /// The call checks the signature of the refresh cookie, if there is one, which takes about as long as for a session
    /// JWT. So call it once for a connection and not for every message.
    ///
    /// ```
    /// use tower_descope::User;
    ///
    /// fn disconnect_when_over(user: &User, disconnect: impl FnOnce() + Send + 'static) {
    ///     let ended = user.ended();
    ///     tokio::spawn(async move {
    ///         println!("{}", ended.await);
    ///         disconnect();
    ///     });
    /// }
    /// ```
    pub fn ended(&self) -> impl Future<Output = SessionEnd> + Send + 'static + use<> {
        self.session().ended()
    }

    /// The same user with a renewed session, after the session JWT has expired. This user as long as the session JWT is
    /// good.
    ///
    /// However many connections and requests ask for one refresh JWT, Descope sees one call. The new cookies are kept for
    /// the next response to this browser. [`connection`](crate::connection) says what cannot be renewed; [`Watch`] does
    /// this by itself.
    ///
    /// ```
    /// use tower_descope::{AuthError, SessionEnd, User};
    ///
    /// /// Goes on after the session JWT has expired, and not after a sign-out.
    /// async fn over(mut user: User) -> Result<(), AuthError> {
    ///     while user.ended().await == SessionEnd::Expired {
    ///         user = user.renewed().await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// * [`ExpiredToken`](crate::AuthErrorKind::ExpiredToken): the session JWT has expired, and there is no refresh JWT
    ///   to renew it with. So it is always for a bearer, and for [`Established::user`](crate::Established::user),
    ///   whose cookies the browser has not sent yet.
    /// * [`InvalidToken`](crate::AuthErrorKind::InvalidToken): it was signed out or revoked.
    /// * [`SessionEnded`](crate::AuthErrorKind::SessionEnded): Descope has refused the refresh JWT, or the session was
    ///   signed out during the renewal.
    /// * [`Unavailable`](crate::AuthErrorKind::Unavailable): that cannot be decided now. The session may go on later.
    /// * [`CookieTooLarge`](crate::AuthErrorKind::CookieTooLarge): no browser could be given the new session.
    pub async fn renewed(&self) -> Result<User, AuthError> {
        User::from_session(self.session().renewed().await?)
    }

    /// Watches over the session for a connection that goes on as long as the user stays signed in. See [`Watch`].
    pub fn watch(&self) -> Watch {
        Watch::new(self.clone())
    }

    /// Ends a stream when the session ends, as [`ended`](Self::ended) says: with the session JWT, or before.
    ///
    /// This is what server-sent events need. The browser's `EventSource` connects again by itself, and the session layer
    /// renews the session for that request. A stream that cannot be taken up again is better ended by
    /// [`Watch::until_over`].
    ///
    /// ```
    /// use axum::response::sse::{Event, Sse};
    /// use futures_core::Stream;
    /// use tower_descope::User;
    ///
    /// # type Error = std::convert::Infallible;
    /// # fn news() -> impl Stream<Item = Result<Event, Error>> { axum_stream::Empty }
    /// # mod axum_stream {
    /// #     pub struct Empty;
    /// #     impl futures_core::Stream for Empty {
    /// #         type Item = Result<axum::response::sse::Event, std::convert::Infallible>;
    /// #         fn poll_next(
    /// #             self: std::pin::Pin<&mut Self>,
    /// #             _: &mut std::task::Context<'_>,
    /// #         ) -> std::task::Poll<Option<Self::Item>> { std::task::Poll::Ready(None) }
    /// #     }
    /// # }
    /// async fn events(user: User) -> Sse<impl Stream<Item = Result<Event, Error>>> {
    ///     Sse::new(user.until_ended(news()))
    /// }
    /// # let _ = axum::Router::<()>::new().route("/events", axum::routing::get(events));
    /// ```
    #[cfg(feature = "axum")]
    pub fn until_ended<S: Stream>(&self, stream: S) -> UntilEnded<S> {
        UntilEnded::new(stream, Box::pin(self.ended()))
    }
}
