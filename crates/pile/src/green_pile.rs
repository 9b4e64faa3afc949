//! [`GreenPile`]: spawns many tasks, and yields their results as they finish.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use spinney_greenlet::{Failure, Greenlet, Handle, Iwait};
use spinney_hub::{Hub, contain};
use spinney_pool::Runs;
use spinney_sync::{BudgetedAwait, Wait};

use crate::GreenPool;
use crate::readers::{Readers, STREAM, Ticket};

/// A pile of tasks whose results are read in the order in which the tasks finish, as documented by
/// eventlet.
///
/// A stream, which ends while no task is outstanding, and goes on after another spawn. Several
/// piles may share a pool. Dropping it kills its tasks whose results were not taken; other tasks of
/// its pool are unaffected.
///
/// For one function over many items [`imap_unordered`](spinney_pool::TaskSet::imap_unordered) is
/// shorter, and needs no task per item.
///
/// Python: `eventlet.GreenPile`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pile::{GreenPile, GreenPool}; }
/// use spinney::{GreenPile, GreenPool, block_on};
///
/// block_on(async {
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
#[doc(alias = "FuturesUnordered")]
pub struct GreenPile<T, X = Hub> {
    pool: GreenPool<X>,
    state: Mutex<State<T>>,
    readers: Arc<Readers>,
    /// The wait of the pile itself, read as a stream.
    reading: Reading,
    /// The line that created the pile.
    at: &'static Location<'static>,
}

/// The state of one wait for a result.
#[derive(Default)]
struct Reading {
    ticket: Ticket,
    budgeted: BudgetedAwait,
}

struct State<T> {
    tasks: Tasks<T>,
    /// How many spawns wait for a slot.
    spawning: usize,
}

impl<T> GreenPile<T> {
    /// Creates a pile with its own pool of `size` slots, which runs each spawn on the [current
    /// hub](Hub::current) of the caller; [`default`](Self::default) has 1000.
    ///
    /// Python: `eventlet.GreenPile(size)`.
    #[must_use]
    #[track_caller]
    pub fn new(size: usize) -> Self {
        Self::on(&GreenPool::new(size))
    }
}

impl<T, X> GreenPile<T, X> {
    /// Creates a pile whose tasks run in `pool`.
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

    /// Returns an empty pile on the same pool that yields the results in spawn order: the behaviour
    /// of eventlet's code, as opposed to its documentation.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::{block_on, yield_now}; pub use spinney_pile::GreenPile; }
    /// use spinney::{GreenPile, block_on, yield_now};
    ///
    /// block_on(async {
    ///     let pile = GreenPile::new(2).in_spawn_order();
    ///     pile.spawn(async { yield_now().await; "first" }).await;
    ///     pile.spawn(async { "second" }).await;
    ///     assert_eq!(pile.next().await.unwrap().unwrap(), "first");
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a task was spawned already.
    #[must_use]
    #[track_caller]
    pub fn in_spawn_order(self) -> Self {
        assert!(self.is_empty(), "the order of a pile is chosen while it is empty");
        Self::of(self.pool.clone(), Tasks::AsSpawned(VecDeque::new()))
    }

    /// Waits for a slot and spawns `future` in it, like [`GreenPool::spawn`]. [`next`](Self::next)
    /// returns its result; the returned handle controls it.
    ///
    /// # Cancel safety
    ///
    /// The same as [`GreenPool::spawn`].
    ///
    /// Python: `eventlet.GreenPile.spawn`.
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

    /// Waits for the next task to finish, and takes its result; `None` if no result is left to take
    /// and no spawn is waiting. After a failed task the pile goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the result stays for the next call.
    ///
    /// Python: `eventlet.GreenPile.next`.
    #[track_caller]
    pub fn next(&self) -> Next<'_, T, X> {
        Next { pile: self, reading: Reading::default(), at: Location::caller() }
    }

    /// The number of tasks, spawned or waiting for a slot, whose results were not taken.
    ///
    /// Python: `len(pile)`.
    pub fn len(&self) -> usize {
        self.change(|state| state.outstanding())
    }

    /// Whether there is no result to take, now or later.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pool of its tasks.
    ///
    /// Python: `eventlet.GreenPile.pool`.
    pub fn pool(&self) -> &GreenPool<X> {
        &self.pool
    }

    /// Takes the next result through `reading`, which records its wait as one for `what` at `at`.
    fn poll_next_for(
        &self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Poll<Option<Result<T, Failure>>> {
        let Reading { ticket, budgeted } = reading;
        let polled = budgeted.poll_whole(cx, |cx| self.poll_take(cx, ticket));
        if polled.is_pending() {
            Wait::note(what, at);
        }
        polled
    }

    fn poll_take(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Option<Result<T, Failure>>> {
        // Registers before it checks: an end between the two is not missed.
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
            // The other readers have nothing to wait for.
            self.readers.wake_some(usize::MAX);
        }
        Poll::Ready(result)
    }

    /// Changes the state under its lock, then wakes readers.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let _hold = self.readers.hold();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state)
    }
}

impl<T> State<T> {
    /// The number of results to take, now or later.
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
            // One reader reads the new task; all see that there is none.
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

/// The tasks of a pile, in the order of their results.
enum Tasks<T> {
    AsTheyEnd(Iwait<Greenlet<T>>),
    AsSpawned(VecDeque<Greenlet<T>>),
}

impl<T> Tasks<T> {
    fn push(&mut self, task: Greenlet<T>) {
        match self {
            Self::AsTheyEnd(tasks) => tasks.push(task),
            Self::AsSpawned(tasks) => tasks.push_back(task),
        }
    }

    /// The next result; `None` if there is no task.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        match self {
            Self::AsTheyEnd(tasks) => {
                let ended = ready!(Pin::new(tasks).poll_next(cx)).map(Greenlet::try_get);
                Poll::Ready(ended.map(|result| match result {
                    Ok(result) => result,
                    Err(alive) => unreachable!("{alive:?} has not finished"),
                }))
            }
            Self::AsSpawned(tasks) => {
                let Some(first) = tasks.front_mut() else { return Poll::Ready(None) };
                let result = ready!(Pin::new(first).poll(cx));
                tasks.pop_front();
                Poll::Ready(Some(result))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::AsTheyEnd(tasks) => tasks.len(),
            Self::AsSpawned(tasks) => tasks.len(),
        }
    }

    fn kill_now(&self) {
        let kill = |task: &Greenlet<T>| contain(|| task.kill_now());
        match self {
            Self::AsTheyEnd(tasks) => tasks.iter().for_each(kill),
            Self::AsSpawned(tasks) => tasks.iter().for_each(kill),
        }
    }
}
