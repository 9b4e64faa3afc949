//! [`Feeder`]: gets slots for a map, in turn with everybody else.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use spinney_greenlet::Task;
use spinney_hub::Spawn;
use spinney_sync::{Acquire, Semaphore};

use super::job::Job;
use super::results::Room;
use super::worker::{Seat, Worker};
use crate::crew::Core;
use crate::roster::Roster;

/// How many workers are started before others get a turn.
const BATCH: usize = 64;

/// The task of a map that waits for slots and puts workers into them. It belongs to no crew and
/// keeps none alive. Dropping it ends the map after what is running.
pub struct Feeder<I, F, Fut: Future, X> {
    job: Arc<Job<I, F, Fut::Output, X>>,
    core: Weak<Core<X>>,
    slots: Slots,
    /// Its place in the queue for a slot, while it has one.
    queued: Option<Acquire<Slots>>,
}

impl<I, F, Fut: Future, X> Feeder<I, F, Fut, X> {
    pub(crate) fn new(job: Arc<Job<I, F, Fut::Output, X>>, core: &Arc<Core<X>>) -> Self {
        let slots = Slots(Arc::clone(&core.roster));
        Self { job, core: Arc::downgrade(core), slots, queued: None }
    }
}

impl<I, F, Fut, X> Future for Feeder<I, F, Fut, X>
where
    I: Iterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
    X: Spawn<Task<Worker<I, F, Fut, X>, Seat<Fut::Output, X>>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let results = &this.job.results;
        for _ in 0..BATCH {
            match results.poll_room(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => {
                    // A slot that came too late is for somebody else.
                    this.queued = None;
                    results.feeder_queued.store(false, Relaxed);
                    return Poll::Pending;
                }
            }
            let queued = this.queued.get_or_insert_with(|| Acquire::of(this.slots.clone()));
            let slot = Pin::new(queued).poll(cx);
            results.feeder_queued.store(slot.is_pending(), Relaxed);
            let slot = ready!(slot);
            this.queued = None;
            let (Ok(slot), Some(core)) = (slot, this.core.upgrade()) else {
                return Poll::Ready(());
            };
            if results.open() != Room::Opened {
                continue;
            }
            let Some((index, item)) = this.job.pull() else { return Poll::Ready(()) };
            slot.forget();
            let worker = Worker::new(Arc::clone(&this.job), &core.roster, index, item);
            core.start_worker(worker);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nothing of it is pinned in place.
impl<I, F, Fut: Future, X> Unpin for Feeder<I, F, Fut, X> {}

impl<I, F, Fut: Future, X> Drop for Feeder<I, F, Fut, X> {
    fn drop(&mut self) {
        self.queued = None;
        self.job.results.end_feeding();
    }
}

impl<I, F, Fut: Future, X> fmt::Debug for Feeder<I, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder").field("results", &self.job.results).finish_non_exhaustive()
    }
}

/// The slots of a roster, held without a borrow.
#[derive(Clone)]
struct Slots(Arc<Roster>);

impl Deref for Slots {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.slots
    }
}
