//! [`Run`]: the item that a worker is at.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, GreenletExit, Handle};
use spinney_hub::contain;

use super::job::Job;
use super::results::Indexed;
use super::source::Source;
use super::terms::Tries;

pin_project! {
    /// One item after the other, each from when it was taken until its result is there.
    pub(super) struct Run<A, Fut> {
        // The item whose result is owed.
        index: Option<usize>,
        // That item, until it is started.
        item: Option<A>,
        // Its tries, where there are terms.
        tries: Option<Box<Tries<A>>>,
        #[pin]
        future: Option<Fut>,
    }
}

impl<A, Fut> Run<A, Fut> {
    pub(super) fn new(index: usize, item: A) -> Self {
        Self { index: Some(index), item: Some(item), tries: None, future: None }
    }

    /// The item that it is at, if it is at one.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    /// Begins with the next item.
    pub(super) fn begin(self: Pin<&mut Self>, index: usize, item: A) {
        let this = self.project();
        *this.index = Some(index);
        *this.item = Some(item);
    }
}

impl<A, Fut: Future> Run<A, Fut> {
    /// Drops the item that it was made for, which has not started. The result is a kill.
    pub(super) fn refuse(&mut self, why: GreenletExit) -> (usize, Failure) {
        let item = self.item.take();
        contain(|| drop(item));
        (self.index.take().expect(AT_ITEM), Failure::Killed(why))
    }

    /// Runs the item that it is at, on the terms of the map.
    pub(super) fn poll<S, F, X>(
        mut self: Pin<&mut Self>,
        job: &Job<S, F, Fut::Output, X>,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
    {
        loop {
            let result = match catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_try(job, cx))) {
                Ok(polled) => ready!(polled),
                Err(payload) => Err(Failure::panicked(payload)),
            };
            let mut this = self.as_mut().project();
            if result.is_err() {
                // Should its destructor panic after another panic, the first is the one to report.
                contain(|| this.future.set(None));
            }
            let index = this.index.expect(AT_ITEM);
            let again = match (&job.terms, this.tries.as_mut()) {
                (Some(terms), Some(tries)) => tries.is_again(terms, index, &result),
                _ => false,
            };
            if !again {
                if let Some(tries) = this.tries.take() {
                    contain(|| drop(tries));
                }
                *this.index = None;
                return Poll::Ready((index, result));
            }
            job.results.retries.fetch_add(1, Relaxed);
            contain(|| drop(result));
        }
    }

    /// Makes one try, which may panic.
    fn poll_try<S, F, X>(
        self: Pin<&mut Self>,
        job: &Job<S, F, Fut::Output, X>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
    {
        let mut this = self.project();
        let mut item = this.item.take();
        if let Some(terms) = &job.terms {
            if let Some(item) = &item {
                *this.tries = Some(Box::new(Tries::new(terms, item)));
            } else if let Some(tries) = this.tries {
                item = ready!(tries.poll_next(terms, cx));
            }
        }
        if let Some(item) = item {
            this.future.set(Some(job.func()(item)));
        }
        let future = this.future.as_mut().as_pin_mut().expect(AT_ITEM);
        match (future.poll(cx), this.tries) {
            (Poll::Ready(result), _) => {
                this.future.set(None);
                Poll::Ready(Ok(result))
            }
            (Poll::Pending, Some(tries)) => tries.poll_limit(cx).map(Err),
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    /// Drops the item that it is at, which is its result: a kill, or else the panic of a destructor.
    pub(super) fn give_up(self: Pin<&mut Self>) -> Option<Indexed<Fut::Output>> {
        let mut this = self.project();
        let index = this.index.take()?;
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            this.future.set(None);
            *this.item = None;
            *this.tries = None;
        }));
        let failure = match dropped {
            Ok(()) => {
                let exit = Handle::current().and_then(|me| me.exit());
                Failure::Killed(exit.unwrap_or_default())
            }
            Err(payload) => Failure::panicked(payload),
        };
        Some((index, Err(failure)))
    }
}

const AT_ITEM: &str = "a worker is at an item";
