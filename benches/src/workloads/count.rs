//! [`Count`]: counts tasks that have run.

use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use futures_lite::future::yield_now;

/// Counts tasks. They share it by reference, so that no rival's figures include the cost of an
/// `Arc`. As a future, it is a task that only counts itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(&'static AtomicU32);

impl Count {
    /// Never freed: a run needs few of them.
    pub(super) fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    pub(super) fn add(self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn get(self) -> u64 {
        self.0.load(Relaxed).into()
    }

    /// Yields until this many have run.
    pub(super) async fn reaches(self, items: u32) {
        while self.0.load(Relaxed) < items {
            yield_now().await;
        }
    }
}

impl Future for Count {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.add();
        Poll::Ready(())
    }
}
