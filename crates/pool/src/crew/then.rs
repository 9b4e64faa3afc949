//! [`Then`]: a future, and a callback for what comes of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_hub::contain;

pin_project! {
    /// The future of [`apply_cb`](crate::Crew::apply_cb) and its like: calls `callback` with what
    /// `future` returns. Dropping it drops both.
    #[derive(Debug)]
    pub struct Then<F, C> {
        #[pin]
        future: F,
        callback: Option<C>,
    }
}

impl<F, C> Then<F, C> {
    pub(crate) fn new(future: F, callback: C) -> Self {
        Self { future, callback: Some(callback) }
    }
}

impl<F: Future, C: FnOnce(&F::Output)> Future for Then<F, C> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let value = ready!(this.future.poll(cx));
        if let Some(callback) = this.callback.take() {
            contain(|| callback(&value));
        }
        Poll::Ready(value)
    }
}
