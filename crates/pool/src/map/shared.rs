//! [`MapShared`]: what a map's feeder and workers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use spinney_greenlet::{Birth, Failure, GreenletExit, Inherited};
use spinney_hub::{Executor, drop_contained};

use super::input::{Input, Missing};
use super::item_policy::ItemPolicy;
use super::per_item::PerItem;
use super::results::Results;
use super::source::Source;
use crate::hook::Hook;
use crate::members::Members;

pub(super) struct MapShared<S: Source, F, T, X: Executor> {
    /// There until this is dropped.
    pub(super) func: Option<F>,
    /// None if there is no more to an item than to run it.
    pub(super) policy: Option<ItemPolicy<S::Item, T>>,
    /// What each item asks for, if they differ.
    pub(super) asks: Option<PerItem<S::Item>>,
    /// Called in each item, around it.
    pub(super) hook: Hook,
    /// Which greenlet called the map: the parent of the items.
    pub(super) birth: Birth,
    /// The locals that each item starts with.
    pub(super) locals: Option<Inherited>,
    pub(super) results: Arc<Results<T, X>>,
    /// The group in which the workers are members.
    pub(super) members: Arc<Members>,
    pub(super) input: Mutex<Input<S>>,
}

impl<S: Source, F, T, X: Executor> MapShared<S, F, T, X> {
    /// The function that makes a future of an item.
    pub(super) fn func(&self) -> &F {
        self.func.as_ref().expect("it is there until this is dropped")
    }

    /// Whether its items have no policy, no hook and no locals to inherit.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.policy.is_none() && self.hook.is_none() && self.locals.is_none()
    }

    /// Whether there is a next item. It is taken ahead, if it need not be waited for.
    pub(super) fn look_ahead(&self, cx: &mut Context<'_>) -> bool {
        let mut input = self.input();
        input.look_ahead(cx) || {
            let missing = input.missing();
            drop(input);
            self.end(missing);
            false
        }
    }

    /// The next item, if it need not be waited for. The one behind it is taken ahead.
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

    /// A worker has no next item: the feeder takes over the wait for the input.
    pub(super) fn hand_over(&self, missing: Missing<S>) {
        self.end(missing);
        self.results.wake_feeder();
    }

    /// Ends the results if the input has ended.
    fn end(&self, missing: Missing<S>) {
        let Missing::Over(items, failure) = missing else { return };
        drop_contained(items);
        match failure {
            Some((index, failure)) => self.results.refuse(index, failure),
            None => self.results.exhaust(),
        }
    }

    /// Ends the map after what is running. The next item, if the input may have one, is killed.
    pub(super) fn refuse(&self, exit: GreenletExit) {
        let input = self.take_input();
        let index = input.next_index();
        input.discard();
        match index {
            Some(index) => self.results.refuse(index, Failure::Killed(exit)),
            None => self.results.exhaust(),
        }
    }

    /// The input, for a worker that has it to itself until it puts that back.
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

/// It is dropped with the last task of its map, where a panic of a destructor has no reader.
impl<S: Source, F, T, X: Executor> Drop for MapShared<S, F, T, X> {
    fn drop(&mut self) {
        let func = self.func.take();
        drop_contained(func);
        let input = std::mem::take(self.input.get_mut().unwrap_or_else(PoisonError::into_inner));
        input.discard();
    }
}
