//! [`Item`]: the item that a worker runs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Inherited, ItemGreenlets};
use spinney_hub::{Executor, cancel, contain, drop_contained};

use super::results::Indexed;
use super::shared::MapShared;
use super::source::Source;
use super::terms::Tries;
use super::worker::Post;
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
    /// Runs the item that it is at.
    ///
    /// A plain item has a path of its own, on which its value is moved as seldom as can be: items
    /// that yield once cost 15 % more on the other one.
    pub(super) fn poll<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        post: &Post,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        if !shared.is_plain() {
            return self.poll_on_terms(shared, post, cx);
        }
        let poll = || {
            let item = self.as_mut().project().input.take();
            self.as_mut().poll_future(shared, item, cx)
        };
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready((self.leave(), Ok(value))),
            Err(payload) => {
                let failure = self.as_mut().panicked(payload);
                Poll::Ready((self.leave(), Err(failure)))
            }
        }
    }

    /// Runs the item with all that the map asks for: terms, locals to inherit, the group's hook.
    #[cold]
    #[inline(never)]
    fn poll_on_terms<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        post: &Post,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        loop {
            let poll = || self.as_mut().poll_hooked(shared, post, cx);
            let mut result = match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(polled) => ready!(polled),
                Err(payload) => Err(self.as_mut().panicked(payload)),
            };
            let this = self.as_mut().project();
            let again = match (&shared.terms, this.tries.as_mut()) {
                (Some(terms), Some(tries)) => {
                    tries.is_again(terms, &post.seat(shared), &mut result)
                }
                _ => false,
            };
            if !again {
                let tries = this.tries.take();
                drop_contained(tries);
                *this.hooking = None;
                return Poll::Ready((self.leave(), result));
            }
            shared.results.count_retry();
            drop_contained(result);
        }
    }

    /// The failure of a poll that panicked. Drops the future.
    #[cold]
    fn panicked(self: Pin<&mut Self>, payload: Box<dyn Any + Send>) -> Failure {
        let mut this = self.project();
        // Should its destructor panic after another panic, the first is the one to report.
        contain(|| cancel(|| this.future.set(None)));
        Failure::panicked(payload)
    }

    /// Leaves the item, whose result is there. Returns its index.
    fn leave(self: Pin<&mut Self>) -> usize {
        self.project().index.take().expect(AT_ITEM)
    }

    /// Polls the item within the hook. A hook may panic, and so may the locals.
    fn poll_hooked<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        post: &Post,
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
        let Some(mut hooking) = this.hooking.take() else { return self.poll_try(shared, post, cx) };
        let polled = hooking.poll(cx, |cx| self.as_mut().poll_try(shared, post, cx));
        *self.project().hooking = Some(hooking);
        polled
    }

    /// Polls the current try, or waits for the next one.
    fn poll_try<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        post: &Post,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let this = self.as_mut().project();
        let mut item = this.input.take();
        if let Some(terms) = &shared.terms {
            if let Some(item) = &item {
                let index = this.index.expect(AT_ITEM);
                *this.tries = Some(Box::new(Tries::new(terms, index, item)));
            } else if let Some(tries) = this.tries {
                match ready!(tries.poll_next(terms, &post.seat(shared), cx)) {
                    Ok(next) => item = next,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        }
        if let Poll::Ready(value) = self.as_mut().poll_future(shared, item, cx) {
            return Poll::Ready(Ok(value));
        }
        let mut this = self.project();
        let Some(tries) = this.tries else { return Poll::Pending };
        let failure = ready!(tries.poll_limit(cx));
        cancel(|| this.future.set(None));
        Poll::Ready(Err(failure))
    }

    /// Polls the task of the item, which starts here if there is an `item`.
    #[expect(clippy::inline_always, reason = "a call costs a map of trivial items 5 %")]
    #[inline(always)]
    fn poll_future<S, F, X>(
        self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        item: Option<A>,
        cx: &mut Context<'_>,
    ) -> Poll<Fut::Output>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let mut this = self.project();
        if let Some(item) = item {
            this.future.set(Some(shared.func()(item)));
        }
        let value = ready!(this.future.as_mut().as_pin_mut().expect(AT_ITEM).poll(cx));
        this.future.set(None);
        Poll::Ready(value)
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
