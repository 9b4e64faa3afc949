//! [`GreenPile`]: spawn many, take the results as they come.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use spinney_greenlet::{Failure, Handle, Iwait};
use spinney_hub::Hub;
use spinney_pool::Runs;
use spinney_sync::{GiveWay, Wait};

use crate::GreenPool;
use crate::readers::{Readers, STREAM, Ticket};
use crate::tasks::Tasks;

/// A pile of tasks whose results are taken in the order in which they end. `eventlet.GreenPile`,
/// as its documentation has it.
///
/// A stream, which is over while nothing is outstanding, and goes on when more was spawned. Several
/// piles may share a pool. Dropping it kills what it started and nobody has taken, and leaves the
/// rest of its pool alone.
///
/// For one function over many items [`imap_unordered`](spinney_pool::TaskSet::imap_unordered) is
/// shorter, and costs no task an item.
///
/// ```
/// use spinney_pile::{GreenPile, GreenPool};
///
/// spinney_hub::block_on(async {
///     let pool = GreenPool::new(10);
///     let pile = GreenPile::on(&pool);
///     for source in ["database", "cache"] {
///         pile.spawn(async move { format!("Data from {source}") }).await;
///     }
///     assert_eq!(pile.len(), 2);
///     while let Some(data) = pile.next().await {
///         assert!(data.unwrap().starts_with("Data from"));
///     }
/// });
/// ```
pub struct GreenPile<T, X = Hub> {
    pool: GreenPool<X>,
    state: Mutex<State<T>>,
    readers: Arc<Readers>,
    /// The wait of a reader of the stream.
    reading: Reading,
    /// The line that made the pile.
    at: &'static Location<'static>,
}

/// The state of one wait for a result.
#[derive(Default)]
struct Reading {
    ticket: Ticket,
    give_way: GiveWay,
}

struct State<T> {
    tasks: Tasks<T>,
    /// How many wait for a slot, to be tasks then.
    spawning: usize,
}

impl<T> GreenPile<T> {
    /// A pile with a pool of its own, of `size` slots, on the current [`Hub`];
    /// [`default`](Self::default) has 1000.
    #[must_use]
    #[track_caller]
    pub fn new(size: usize) -> Self {
        Self::on(&GreenPool::new(size))
    }
}

impl<T, X> GreenPile<T, X> {
    /// A pile whose tasks run in `pool`.
    #[track_caller]
    pub fn on(pool: &GreenPool<X>) -> Self {
        Self::of(pool.clone(), Tasks::AsTheyEnd(Iwait::new()))
    }

    #[track_caller]
    fn of(pool: GreenPool<X>, tasks: Tasks<T>) -> Self {
        let state = Mutex::new(State { tasks, spawning: 0 });
        let (readers, reading) = (Arc::default(), Reading::default());
        Self { pool, state, readers, reading, at: Location::caller() }
    }

    /// An empty pile on the same pool that gives the results in the order in which the tasks were
    /// spawned: what eventlet's code does, and its documentation does not.
    ///
    /// ```
    /// # spinney_hub::block_on(async {
    /// let pile = spinney_pile::GreenPile::new(2).in_spawn_order();
    /// pile.spawn(async { spinney_hub::yield_now().await; "first" }).await;
    /// pile.spawn(async { "second" }).await;
    /// assert_eq!(pile.next().await.unwrap().unwrap(), "first");
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If something was spawned already.
    #[must_use]
    #[track_caller]
    pub fn in_spawn_order(self) -> Self {
        assert!(self.is_empty(), "the order of a pile is chosen while it is empty");
        Self::of(self.pool.clone(), Tasks::AsSpawned(VecDeque::new()))
    }

    /// Waits for a slot and starts `future` in it, as [`GreenPool::spawn`] does. Its result is
    /// for [`next`](Self::next) to take; the handle controls it. `spawn`.
    ///
    /// # Cancel safety
    ///
    /// As [`GreenPool::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = Handle>
    where
        F: Future<Output = T>,
        X: Runs<F>,
    {
        let spawned = self.pool.spawn(future);
        async move {
            let spawning = Spawning::of(self);
            let greenlet = spawned.await;
            let handle = greenlet.handle().clone();
            self.change(|state| state.tasks.push(greenlet));
            drop(spawning);
            handle
        }
    }

    /// Waits for the next task to end, and takes its result; `None` if nothing that was spawned is
    /// left to take, and nobody is about to spawn. A failed task comes out as its failure, and the
    /// pile goes on. `next`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped: the result stays for the next call.
    #[track_caller]
    pub fn next(&self) -> Next<'_, T, X> {
        Next { pile: self, reading: Reading::default(), at: Location::caller() }
    }

    /// How many tasks were spawned, or wait for a slot, whose results were not taken. `len`.
    pub fn len(&self) -> usize {
        self.change(|state| state.outstanding())
    }

    /// Whether there is no result to take, now or later.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pool that its tasks run in.
    pub fn pool(&self) -> &GreenPool<X> {
        &self.pool
    }

    /// Takes the next result, by way of `reading`, which notes its wait as one for `what` at `at`.
    fn poll_next_for(
        &self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Poll<Option<Result<T, Failure>>> {
        let Reading { ticket, give_way } = reading;
        let polled = give_way.poll_whole(cx, |cx| self.poll_take(cx, ticket));
        if polled.is_pending() {
            Wait::note(what, at);
        }
        polled
    }

    fn poll_take(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Option<Result<T, Failure>>> {
        // Registering first and looking second: an end between the two is not missed.
        self.readers.wait(ticket, cx.waker());
        let waker = Waker::from(Arc::clone(&self.readers));
        let taken = self.change(|state| {
            let polled = state.tasks.poll_next(&mut Context::from_waker(&waker));
            let is_over = state.outstanding() == 0;
            match polled {
                Poll::Ready(None) if !is_over => Poll::Pending,
                polled => polled.map(|result| (result, is_over)),
            }
        });
        let Poll::Ready((result, is_over)) = taken else { return Poll::Pending };
        self.readers.served(ticket);
        if is_over {
            // The others wait for nothing.
            self.readers.wake_some(usize::MAX);
        }
        Poll::Ready(result)
    }

    /// Has the state to itself; readers are woken afterwards.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let _hold = self.readers.hold();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state)
    }
}

impl<T> State<T> {
    /// How many results there are to take, now or later.
    fn outstanding(&self) -> usize {
        self.tasks.len() + self.spawning
    }
}

/// A spawn that waits for its slot.
struct Spawning<'a, T, X> {
    pile: &'a GreenPile<T, X>,
}

impl<'a, T, X> Spawning<'a, T, X> {
    fn of(pile: &'a GreenPile<T, X>) -> Self {
        pile.change(|state| state.spawning += 1);
        Self { pile }
    }
}

impl<T, X> Drop for Spawning<'_, T, X> {
    fn drop(&mut self) {
        self.pile.change(|state| {
            state.spawning -= 1;
            // One looks at the new task; all see that there is none.
            let is_over = state.outstanding() == 0;
            self.pile.readers.wake_some(if is_over { usize::MAX } else { 1 });
        });
    }
}

impl<T> Default for GreenPile<T> {
    #[track_caller]
    fn default() -> Self {
        Self::on(&GreenPool::default())
    }
}

impl<T, X> Stream for GreenPile<T, X> {
    type Item = Result<T, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut reading = std::mem::take(&mut self.reading);
        reading.ticket = Some(STREAM);
        let polled = self.poll_next_for(cx, &mut reading, "the next of a pile made", self.at);
        self.reading = reading;
        polled
    }
}

impl<T, X> Drop for GreenPile<T, X> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.tasks.kill_now();
    }
}

impl<T, X> fmt::Debug for GreenPile<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPile").field("len", &self.len()).field("pool", &self.pool).finish()
    }
}

/// The future of [`GreenPile::next`]. Dropping it leaves the result in the pile.
#[must_use = "nothing is taken unless it is awaited"]
pub struct Next<'a, T, X> {
    pile: &'a GreenPile<T, X>,
    reading: Reading,
    /// The line of the caller.
    at: &'static Location<'static>,
}

impl<T, X> Future for Next<'_, T, X> {
    type Output = Option<Result<T, Failure>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.pile.poll_next_for(cx, &mut this.reading, "GreenPile::next", this.at)
    }
}

impl<T, X> Drop for Next<'_, T, X> {
    fn drop(&mut self) {
        self.pile.readers.leave(&mut self.reading.ticket);
    }
}

impl<T, X> fmt::Debug for Next<'_, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Next").field(self.pile).finish()
    }
}
