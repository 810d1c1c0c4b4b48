//! A stream that ends with the session.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::session::SessionEnd;

pin_project! {
    /// A stream that ends when the session of its user ends. Made by [`User::until_ended`](crate::User::until_ended)
    /// and [`Watch::until_over`](super::Watch::until_over).
    ///
    /// It ends as soon as it is polled after the end of the session, and is woken for that; items that were ready by then
    /// are not delivered.
    #[must_use = "streams do nothing unless polled"]
    pub struct UntilEnded<S> {
        #[pin]
        stream: S,
        ended: Pin<Box<dyn Future<Output = SessionEnd> + Send>>,
        end: Option<SessionEnd>,
    }
}

impl<S> UntilEnded<S> {
    pub(super) fn new(stream: S, ended: Pin<Box<dyn Future<Output = SessionEnd> + Send>>) -> Self {
        Self {
            stream,
            ended,
            end: None,
        }
    }

    /// Why the session has ended; `None` while the stream goes on, or if it has ended by itself.
    pub fn end(&self) -> Option<SessionEnd> {
        self.end
    }
}

impl<S: Stream> Stream for UntilEnded<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if this.end.is_none()
            && let Poll::Ready(end) = this.ended.as_mut().poll(context)
        {
            *this.end = Some(end);
        }
        if this.end.is_some() {
            return Poll::Ready(None);
        }
        this.stream.poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The session may end before the next item.
        (0, self.stream.size_hint().1)
    }
}

impl<S: fmt::Debug> fmt::Debug for UntilEnded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilEnded")
            .field("stream", &self.stream)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
