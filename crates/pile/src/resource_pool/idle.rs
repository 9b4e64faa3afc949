//! [`Idle`]: the items that nobody uses, and how many there are of all.

use std::collections::VecDeque;
use std::sync::Weak;
use std::time::Instant;

use spinney_hub::drop_contained;

/// Which idle item is used first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The one that has rested longest.
    Queue,
    /// The one that came back last.
    Stack,
}

pub(super) struct Idle<T> {
    order: Order,
    /// With the time since when they rest; those that have rested longest are in front.
    items: VecDeque<(Instant, T)>,
    /// How many items there are: in use, being made, or here.
    pub(super) size: usize,
    /// How many are in use without a guard.
    pub(super) loose: usize,
    /// Held by the task that looks after those that rest too long.
    pub(super) reaper: Weak<()>,
}

impl<T> Idle<T> {
    pub(super) fn new(order: Order) -> Self {
        Self { order, items: VecDeque::new(), size: 0, loose: 0, reaper: Weak::new() }
    }

    pub(super) fn put(&mut self, now: Instant, value: T) {
        self.items.push_back((now, value));
    }

    /// Takes the next to be used. If there is none, one that is to be made is counted.
    pub(super) fn take_or_count(&mut self) -> Option<T> {
        let taken = self.take();
        self.size += usize::from(taken.is_none());
        taken
    }

    fn take(&mut self) -> Option<T> {
        let taken = match self.order {
            Order::Queue => self.items.pop_front(),
            Order::Stack => self.items.pop_back(),
        };
        taken.map(|(_, value)| value)
    }

    /// Takes out up to `count` of those that have rested longest.
    pub(super) fn retire(&mut self, count: usize) -> Vec<(Instant, T)> {
        let count = count.min(self.items.len());
        self.size -= count;
        self.items.drain(..count).collect()
    }

    /// Since when the one rests that does so longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.items.front().map(|(since, _)| *since)
    }

    /// How many have rested since `since` or longer.
    pub(super) fn resting_since(&self, since: Instant) -> usize {
        self.items.iter().take_while(|(other, _)| *other <= since).count()
    }
}

impl<T> Drop for Idle<T> {
    fn drop(&mut self) {
        let_go(self.items.drain(..));
    }
}

/// Drops `items`, each by itself: one that panics keeps no other, and there is nobody to tell.
pub(super) fn let_go<T>(items: impl IntoIterator<Item = T>) {
    items.into_iter().for_each(|item| drop_contained(item));
}
