//! [`Item`]: the item that a worker runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Inherited, ItemGreenlets};
use spinney_hub::{Executor, contain};

use super::results::Indexed;
use super::shared::MapShared;
use super::source::Source;
use super::terms::Tries;
use crate::hook::Hooking;

pin_project! {
    /// One item after the other, each from when it is taken until its result is there.
    pub(super) struct Item<A, Fut> {
        // The item whose result is owed.
        index: Option<usize>,
        // That item, until it is started.
        input: Option<A>,
        // Its tries, where there are terms.
        tries: Option<Box<Tries<A>>>,
        // Around its polls, where the group has a hook.
        hooking: Option<Box<Hooking>>,
        #[pin]
        future: Option<Fut>,
    }
}

impl<A, Fut> Item<A, Fut> {
    pub(super) fn new(index: usize, item: A) -> Self {
        Self { index: Some(index), input: Some(item), tries: None, hooking: None, future: None }
    }

    /// The item that it is at, if it is at one.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    /// Begins with the next item.
    pub(super) fn begin(self: Pin<&mut Self>, index: usize, item: A) {
        let this = self.project();
        *this.index = Some(index);
        *this.input = Some(item);
    }
}

impl<A, Fut: Future> Item<A, Fut> {
    /// Runs the item that it is at, on the terms of the map.
    pub(super) fn poll<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        loop {
            let poll = || {
                if shared.is_plain() {
                    self.as_mut().poll_try(shared, cx)
                } else {
                    self.as_mut().poll_hooked(shared, cx)
                }
            };
            let result = match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(polled) => ready!(polled),
                Err(payload) => Err(Failure::panicked(payload)),
            };
            let mut this = self.as_mut().project();
            if result.is_err() {
                // Should its destructor panic after another panic, the first is the one to report.
                contain(|| this.future.set(None));
            }
            let index = this.index.expect(AT_ITEM);
            let again = match (&shared.terms, this.tries.as_mut()) {
                (Some(terms), Some(tries)) => tries.is_again(terms, index, &result),
                _ => false,
            };
            if !again {
                if let Some(tries) = this.tries.take() {
                    contain(|| drop(tries));
                }
                *this.hooking = None;
                *this.index = None;
                return Poll::Ready((index, result));
            }
            shared.results.retries.fetch_add(1, Relaxed);
            contain(|| drop(result));
        }
    }

    /// Makes one try with the locals and within the hook, each of which may panic.
    #[cold]
    #[inline(never)]
    fn poll_hooked<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let this = self.as_mut().project();
        if this.input.is_some() {
            // It starts here.
            shared.locals.iter().for_each(Inherited::apply);
            *this.hooking = Hooking::of(&shared.hook);
        }
        let Some(mut hooking) = this.hooking.take() else { return self.poll_try(shared, cx) };
        let polled = hooking.poll(cx, |cx| self.as_mut().poll_try(shared, cx));
        *self.project().hooking = Some(hooking);
        polled
    }

    /// Makes one try, which may panic.
    #[expect(clippy::inline_always, reason = "a call costs a map of trivial items 5 %")]
    #[inline(always)]
    fn poll_try<S, F, X>(
        self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let mut this = self.project();
        let mut item = this.input.take();
        if let Some(terms) = &shared.terms {
            if let Some(item) = &item {
                *this.tries = Some(Box::new(Tries::new(terms, item)));
            } else if let Some(tries) = this.tries {
                item = ready!(tries.poll_next(terms, cx));
            }
        }
        if let Some(item) = item {
            this.future.set(Some(shared.func()(item)));
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

    /// Drops the item that it is at, whose task ends or is dropped. Its result is the failure of its
    /// greenlet: a kill, an abort, or the panic of a destructor.
    pub(super) fn cut_off(
        self: Pin<&mut Self>,
        greenlets: &ItemGreenlets,
    ) -> Option<Indexed<Fut::Output>> {
        let mut this = self.project();
        let index = this.index.take()?;
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            this.future.set(None);
            *this.input = None;
            *this.tries = None;
            *this.hooking = None;
        }));
        Some((index, Err(greenlets.cut_off(dropped))))
    }
}

const AT_ITEM: &str = "a worker is at an item";
