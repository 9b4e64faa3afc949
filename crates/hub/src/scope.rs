//! [`Scoped`]: a future that is polled inside a hub's context, on an executor without contexts.

use std::pin::Pin;
use std::task::{self, Poll};

use pin_project_lite::pin_project;
use spinney_sync::Budget;

use crate::Context;

/// A hub whose context is entered at each poll.
pub(crate) trait Enter {
    fn context(&self) -> Context;
}

pin_project! {
    /// A future with a current hub at each of its polls. Dropping it drops the inner future.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Scoped<F, X> {
        #[pin]
        future: F,
        hub: X,
    }
}

impl<F, X> Scoped<F, X> {
    pub(crate) fn new(future: F, hub: X) -> Self {
        Self { future, hub }
    }
}

impl<F: Future, X: Enter> Future for Scoped<F, X> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.hub.context().enter_within();
        // A foreign executor opens no budget; a greenlet, or a poller around this one, has opened
        // its own.
        let _budget = Budget::open_if_none();
        this.future.poll(cx)
    }
}
