//! [`Item`]: the item that a worker runs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Inherited, ItemGreenlets};
use spinney_hub::{Executor, cancel, contain, drop_contained};

use super::item_policy::Tries;
use super::results::Indexed;
use super::shared::MapShared;
use super::source::Source;
use super::worker::WorkerInfo;
use crate::hook::Hooking;

pin_project! {
    /// The current item of a worker, from its start until its result.
    pub(super) struct Item<A, Fut> {
        // The index of the current item.
        index: Option<usize>,
        // The current item, until it is started.
        input: Option<A>,
        // Its tries, if the map has a policy.
        tries: Option<Box<Tries<A>>>,
        // Around its polls, if the group has a hook.
        hooking: Option<Box<Hooking>>,
        #[pin]
        future: Option<Fut>,
    }
}

impl<A, Fut> Item<A, Fut> {
    pub(super) fn new(index: usize, item: A) -> Self {
        Self { index: Some(index), input: Some(item), tries: None, hooking: None, future: None }
    }

    /// The index of the current item, if there is one.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    /// Begins the next item.
    pub(super) fn begin(self: Pin<&mut Self>, index: usize, item: A) {
        let this = self.project();
        *this.index = Some(index);
        *this.input = Some(item);
    }
}

impl<A, Fut: Future> Item<A, Fut> {
    /// Runs the current item.
    ///
    /// A plain item has a path of its own, on which its value moves as little as possible: items
    /// that yield once cost 15 % more on the other one.
    pub(super) fn poll<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        info: &WorkerInfo,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        if !shared.is_plain() {
            return self.poll_with_policy(shared, info, cx);
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

    /// Runs the current item with its policy, inherited locals and the group's hook.
    #[cold]
    #[inline(never)]
    fn poll_with_policy<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        info: &WorkerInfo,
        cx: &mut Context<'_>,
    ) -> Poll<Indexed<Fut::Output>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        loop {
            let poll = || self.as_mut().poll_hooked(shared, info, cx);
            let mut result = match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(polled) => ready!(polled),
                Err(payload) => Err(self.as_mut().panicked(payload)),
            };
            let this = self.as_mut().project();
            let delay = match (&shared.policy, this.tries.as_mut()) {
                (Some(policy), Some(tries)) => {
                    tries.try_again(policy, &info.item_slot(shared), &mut result)
                }
                _ => None,
            };
            let Some(delay) = delay else {
                let tries = this.tries.take();
                drop_contained(tries);
                *this.hooking = None;
                return Poll::Ready((self.leave(), result));
            };
            shared.results.note_retry(this.index.expect(AT_ITEM), &result, delay);
            drop_contained(result);
        }
    }

    /// Drops the future of a poll that panicked, and returns the failure.
    #[cold]
    fn panicked(self: Pin<&mut Self>, payload: Box<dyn Any + Send>) -> Failure {
        let mut this = self.project();
        // If its destructor panics as well, the first panic is reported.
        contain(|| cancel(|| this.future.set(None)));
        // Still there if the hook panicked before the item started.
        drop_contained(this.input.take());
        Failure::panicked(payload)
    }

    /// Leaves the finished item. Returns its index.
    fn leave(self: Pin<&mut Self>) -> usize {
        self.project().index.take().expect(AT_ITEM)
    }

    /// Polls the item within the hook. The hook and the locals may panic.
    fn poll_hooked<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        info: &WorkerInfo,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let this = self.as_mut().project();
        if this.input.is_some() {
            // The item starts here.
            shared.locals.iter().for_each(Inherited::apply);
            *this.hooking = Hooking::of(&shared.hook);
        }
        let Some(mut hooking) = this.hooking.take() else {
            return self.poll_try(shared, info, cx);
        };
        let poll = || hooking.poll(cx, |cx| self.as_mut().poll_try(shared, info, cx));
        let polled = catch_unwind(AssertUnwindSafe(poll));
        // Also if the hook panicked: the item may be tried again.
        *self.project().hooking = Some(hooking);
        polled.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Polls the current try, or the wait for the next one.
    fn poll_try<S, F, X>(
        mut self: Pin<&mut Self>,
        shared: &MapShared<S, F, Fut::Output, X>,
        info: &WorkerInfo,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>>
    where
        S: Source<Item = A>,
        F: Fn(A) -> Fut,
        X: Executor,
    {
        let this = self.as_mut().project();
        let mut item = this.input.take();
        if let Some(policy) = &shared.policy {
            let index = this.index.expect(AT_ITEM);
            if let Some(item) = &item {
                *this.tries = Some(Box::new(Tries::new(policy, index, item)));
            } else if let Some(tries) = this.tries {
                match ready!(tries.poll_next(policy, &info.item_slot(shared), cx)) {
                    Ok(next) => item = next,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
                if item.is_some() {
                    shared.results.note_next_try(index);
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

    /// Polls the future of the item, which starts here if there is an `item`.
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

    /// Drops the current item, whose task ends or is dropped. Its result is the failure of its
    /// greenlet: a kill, an abort, or a panic of a destructor.
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

const AT_ITEM: &str = "the worker has a current item";
