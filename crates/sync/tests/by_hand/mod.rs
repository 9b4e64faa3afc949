//! [`ByHand`]: a future that a test polls itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

/// A future, and how often it was woken since it was made. Each poll has a waker of its own, and
/// wakes by those of earlier polls do not count.
pub(crate) struct ByHand<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

impl<F: Future> ByHand<F> {
    pub(crate) fn of(future: F) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    /// As `of`, and polled once, which it has to be pending after.
    pub(crate) fn waiting(future: F) -> Self {
        let mut this = Self::of(future);
        assert!(this.poll().is_pending());
        this
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let poll = self.wakes.polls.fetch_add(1, SeqCst) + 1;
        let waker = Waker::from(Arc::new(OfPoll { poll, wakes: Arc::clone(&self.wakes) }));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.count.load(SeqCst)
    }
}

#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    polls: AtomicUsize,
}

struct OfPoll {
    poll: usize,
    wakes: Arc<Wakes>,
}

impl Wake for OfPoll {
    fn wake(self: Arc<Self>) {
        if self.poll == self.wakes.polls.load(SeqCst) {
            self.wakes.count.fetch_add(1, SeqCst);
        }
    }
}
