//! [`MapShared`]: the state that a map's feeder and workers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use spinney_greenlet::{Failure, GreenletExit, Inherited, SpawnContext};
use spinney_hub::{Executor, drop_contained};

use super::input::{Input, Missing};
use super::item_policy::ItemPolicy;
use super::per_item::PerItem;
use super::results::Results;
use super::source::Source;
use crate::hook::Hook;
use crate::members::Members;

/// The state that a map's feeder and workers share. Dropping it drops the function and the rest of
/// the input.
pub(super) struct MapShared<S: Source, F, T, X: Executor> {
    /// `Some` until this is dropped.
    pub(super) func: Option<F>,
    /// `None` without a time limit and retries.
    pub(super) policy: Option<ItemPolicy<S::Item, T>>,
    /// The request of each item, if the requests differ.
    pub(super) asks: Option<PerItem<S::Item>>,
    /// Wraps each item.
    pub(super) hook: Hook,
    /// The greenlet that called the map: the parent of the items.
    pub(super) context: SpawnContext,
    /// The locals that each item starts with.
    pub(super) locals: Option<Inherited>,
    pub(super) results: Arc<Results<T, X>>,
    /// The group of the workers.
    pub(super) members: Arc<Members>,
    pub(super) input: Mutex<Input<S>>,
}

impl<S: Source, F, T, X: Executor> MapShared<S, F, T, X> {
    /// The function that returns the future of an item.
    pub(super) fn func(&self) -> &F {
        self.func.as_ref().expect("the function exists until this is dropped")
    }

    /// Whether the items have no policy, no hook and no inherited locals.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.policy.is_none() && self.hook.is_none() && self.locals.is_none()
    }

    /// Whether there is a next item. It is taken ahead, unless the input is pending.
    pub(super) fn look_ahead(&self, cx: &mut Context<'_>) -> bool {
        let mut input = self.input();
        input.look_ahead(cx) || {
            let missing = input.missing();
            drop(input);
            self.end(missing);
            false
        }
    }

    /// The next item, unless the input is pending. The item after it is taken ahead.
    pub(super) fn next(&self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        let mut input = self.input();
        let item = input.next(cx);
        if !input.has_ahead() {
            let missing = input.missing();
            drop(input);
            self.hand_over(missing);
        }
        item
    }

    /// Lets the feeder wait for the input, because a worker has no next item.
    pub(super) fn hand_over(&self, missing: Missing<S>) {
        self.end(missing);
        self.results.wake_feeder();
    }

    /// Ends the results if the input is exhausted.
    fn end(&self, missing: Missing<S>) {
        let Missing::Over(items, failure) = missing else { return };
        drop_contained(items);
        match failure {
            Some((index, failure)) => self.results.refuse(index, failure),
            None => self.results.exhaust(),
        }
    }

    /// Ends the map after its running items. The next item, if there is one, is killed.
    pub(super) fn refuse(&self, exit: GreenletExit) {
        let input = self.take_input();
        let index = input.next_index();
        input.discard();
        match index {
            Some(index) => self.results.refuse(index, Failure::Killed(exit)),
            None => self.results.exhaust(),
        }
    }

    /// Takes the input, for a worker that puts it back at the end of its poll.
    pub(super) fn take_input(&self) -> Input<S> {
        std::mem::take(&mut *self.input())
    }

    pub(super) fn put_back(&self, input: Input<S>) {
        *self.input() = input;
    }

    fn input(&self) -> MutexGuard<'_, Input<S>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped with the last task of the map, where a panic of a destructor has no reader.
impl<S: Source, F, T, X: Executor> Drop for MapShared<S, F, T, X> {
    fn drop(&mut self) {
        let func = self.func.take();
        drop_contained(func);
        let input = std::mem::take(self.input.get_mut().unwrap_or_else(PoisonError::into_inner));
        input.discard();
    }
}
