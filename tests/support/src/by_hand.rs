//! [`ByHand`]: a future that a test polls itself.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

/// A future, and how many times it was woken since it was created. Each [`poll`](Self::poll) has a
/// waker of its own, and wake-ups by earlier wakers do not count.
pub struct ByHand<F> {
    future: Pin<Box<F>>,
    waker: Waker,
    wakes: Arc<Wakes>,
}

impl<F: Future> ByHand<F> {
    /// Wraps `future`, which is not polled yet.
    pub fn of(future: F) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { future: Box::pin(future), waker: wakes.waker(), wakes }
    }

    /// Wraps `future` and polls it once.
    ///
    /// # Panics
    ///
    /// Panics if that poll is ready.
    pub fn waiting(future: F) -> Self {
        let mut this = Self::of(future);
        assert!(this.poll().is_pending());
        this
    }

    /// Polls the future once, with a new waker.
    pub fn poll(&mut self) -> Poll<F::Output> {
        self.wakes.polls.fetch_add(1, SeqCst);
        self.waker = self.wakes.waker();
        self.poll_again()
    }

    /// Polls the future once, with the waker of the previous poll.
    pub fn poll_again(&mut self) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    /// Returns how many wake-ups counted so far.
    pub fn wakes(&self) -> usize {
        self.wakes.count.load(SeqCst)
    }
}

impl<F> fmt::Debug for ByHand<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand").field("wakes", &self.wakes.count).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    polls: AtomicUsize,
}

impl Wakes {
    /// A waker for the next poll.
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(OfPoll { poll: self.polls.load(SeqCst), wakes: Arc::clone(self) }))
    }
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
