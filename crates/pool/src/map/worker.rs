//! [`Worker`]: runs the items of a map, one after the other, in one slot.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Handle, ItemGreenlets, pair_items};
use spinney_hub::Executor;

use super::MapWorker;
use super::batch::Batch;
use super::item::Item;
use super::results::{Results, Room};
use super::shared::MapShared;
use super::source::Source;
use crate::Membership;

pin_project! {
    /// A member of a group that runs a map's items, one after the other, each as a greenlet of its
    /// own. It ends when the input does, when too many results are unread, or when another waiter
    /// wants its slot. Dropping it fails the item that it is at.
    pub struct Worker<S: Source, F, Fut: Future, X: Executor> {
        shared: Arc<MapShared<S, F, Fut::Output, X>>,
        greenlets: ItemGreenlets,
        post: Post,
        #[pin]
        item: Item<S::Item, Fut>,
    }

    impl<S: Source, F, Fut: Future, X: Executor> PinnedDrop for Worker<S, F, Fut, X> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(failed) = this.item.cut_off(this.greenlets) {
                this.shared.results.deliver(failed);
            }
        }
    }
}

/// Where a worker is known: in its group, and to the reader of its map.
struct Post {
    /// Of its membership.
    serial: u64,
    /// Its key among the workers of the map.
    key: usize,
    /// Whether it has the slot for one item only.
    for_one: bool,
    /// False once it was discarded from its group, and has no slot.
    is_member: Cell<bool>,
}

impl Post {
    /// The worker goes on from one item to the next.
    fn go_on<S: Source, F, T, X: Executor>(
        &self,
        shared: &MapShared<S, F, T, X>,
        before: &Handle,
        next: Handle,
    ) {
        shared.results.introduce(self.key, next.unasked());
        self.is_member.set(shared.members.go_on(self.serial, before, next));
    }

    /// Whether the worker may run a further item in its slot.
    fn may_stay<S: Source, F, T, X: Executor>(&self, shared: &MapShared<S, F, T, X>) -> bool {
        let has_slot = !self.for_one && self.is_member.get();
        has_slot && !shared.members.is_wanted_back(shared.results.is_feeder_queued())
    }
}

/// The task of a worker that begins with an item, and the handle of that item's greenlet. A worker
/// `for_one` runs no other.
pub(super) fn pair_worker<S, F, Fut, X>(
    shared: &Arc<MapShared<S, F, Fut::Output, X>>,
    (index, item): (usize, S::Item),
    membership: Membership,
    key: usize,
    for_one: bool,
) -> (MapWorker<S, F, Fut, X>, Handle)
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor,
{
    let (place, serial) = (Some(membership.place()), membership.serial());
    let make = |greenlets| Worker {
        shared: Arc::clone(shared),
        greenlets,
        post: Post { serial, key, for_one, is_member: Cell::new(true) },
        item: Item::new(index, item),
    };
    let enlisted = Enlisted { results: Arc::clone(&shared.results), key };
    let guard = WorkerGuard { _membership: membership, _enlisted: enlisted };
    pair_items(place, shared.birth, make, |_| guard)
}

impl<S, F, Fut, X> Future for Worker<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let (shared, post, greenlets, mut item) =
            (&**this.shared, &*this.post, this.greenlets, this.item);
        let goes_on = |before: &Handle, next: Handle| post.go_on(shared, before, next);
        let is_open = item.index().is_some()
            || (post.may_stay(shared) && matches!(shared.results.open(), Room::Opened(_)));
        if !is_open {
            return Poll::Ready(());
        }
        let mut batch = Batch::new(shared);
        loop {
            if item.index().is_none() {
                let Some((index, next)) = batch.next(cx) else { return Poll::Ready(()) };
                greenlets.start(|| shared.members.announcement(Some(index)), goes_on);
                item.as_mut().begin(index, next);
            }
            let mut done = ready!(item.as_mut().poll(shared, cx));
            greenlets.finish(&mut done.1, goes_on);
            match batch.leave(done, post.may_stay(shared)) {
                Room::Opened(_) => {}
                // The reader may be about to make room: it gets one turn for that.
                Room::Full => break,
                Room::Over => return Poll::Ready(()),
            }
        }
        drop(batch);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Source, F, Fut: Future, X: Executor> fmt::Debug for Worker<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("item", &self.item.index()).finish_non_exhaustive()
    }
}

/// A worker's place in its group and among its map's workers. Dropping it leaves both, the group
/// first: when a map has finished, none of its workers holds a slot any more.
#[derive(Debug)]
pub struct WorkerGuard<T, X: Executor> {
    _membership: Membership,
    _enlisted: Enlisted<T, X>,
}

#[derive(Debug)]
struct Enlisted<T, X: Executor> {
    results: Arc<Results<T, X>>,
    key: usize,
}

impl<T, X: Executor> Drop for Enlisted<T, X> {
    fn drop(&mut self) {
        self.results.dismiss(self.key);
    }
}
