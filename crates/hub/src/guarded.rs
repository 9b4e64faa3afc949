//! [`Guarded`]: a future, and something that is dropped after it.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    pub(crate) struct Guarded<F, G> {
        #[pin]
        future: F,
        // Fields are dropped in the order in which they are declared.
        guard: G,
    }
}

impl<F, G> Guarded<F, G> {
    pub(crate) fn new(future: F, guard: G) -> Self {
        Self { future, guard }
    }
}

impl<F: Future, G> Future for Guarded<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
