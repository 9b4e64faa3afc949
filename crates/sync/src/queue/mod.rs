//! [`OrderedQueue`]: items on their way from those who put them to those who get them.
//!
//! The kinds of queue are one type with different [orders](Order): [`Queue`], [`LifoQueue`] and
//! [`PriorityQueue`]. Each counts unfinished items, so each is a [`JoinableQueue`].

mod channel;
mod errors;
mod get;
mod kinds;
mod later;
mod order;
mod peek;
mod put;
mod state;
#[cfg(feature = "stream")]
mod stream;
mod turn;

use std::fmt;
use std::panic::Location;

pub use self::channel::Channel;
pub use self::errors::{GetError, PutError, ShutDown, TaskDoneError};
pub use self::get::Get;
pub use self::kinds::{JoinableQueue, LifoQueue, PriorityQueue, Queue};
pub use self::order::{Fifo, Lifo, Order, Priority};
pub use self::peek::Peek;
pub use self::put::Put;
use self::state::{State, Want};
#[cfg(feature = "stream")]
pub use self::stream::Items;
use crate::budget;
use crate::primitive::{self, Mutex, MutexGuard};

/// Items on their way from those who put them to those who get them, first come, first served on
/// both sides. [`Queue`], [`LifoQueue`] and [`PriorityQueue`] are its kinds, [`Channel`] holds
/// one.
///
/// An item that is put while somebody waits for one is given to them at once, and room that
/// becomes free is filled by the first who waits to put; so nobody barges in. With a capacity of
/// zero an item passes only from hand to hand, as eventlet's `Queue(0)` has it.
///
/// Dropping the queue drops its items; whoever waits borrows it.
///
/// ```
/// use spinney_sync::{Lifo, OrderedQueue};
///
/// let pile = OrderedQueue::<_, Lifo>::bounded(2);
/// pile.put_nowait("lower")?;
/// pile.put_nowait("upper")?;
/// assert!(pile.is_full());
/// assert_eq!(pile.get_nowait(), Ok("upper"));
/// # Ok::<(), spinney_sync::PutError<&str>>(())
/// ```
pub struct OrderedQueue<T, O: Order<T>> {
    state: Mutex<State<T, O>>,
}

impl<T, O: Order<T>> OrderedQueue<T, O> {
    /// A queue that holds at most `capacity` items. `Queue(maxsize)`.
    pub fn bounded(capacity: usize) -> Self {
        Self { state: Mutex::new(State::new(Some(capacity))) }
    }

    /// A queue that holds any number of items: putting never waits. `Queue()`.
    pub fn unbounded() -> Self {
        Self { state: Mutex::new(State::new(None)) }
    }

    /// Puts an item, as soon as there is room or somebody waits for one. `put`.
    ///
    /// # Errors
    ///
    /// [`ShutDown`], with the item, if the queue was shut down before.
    ///
    /// # Panics
    ///
    /// If comparing the item panics; the item is lost then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place, and drops the item unless that was put;
    /// [`Put::take_back`] saves it.
    #[track_caller]
    pub fn put(&self, item: T) -> Put<'_, T, O> {
        Put::new(self, item, Location::caller())
    }

    /// Puts an item without waiting. `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there is no room and nobody waits for an item,
    /// [`PutError::ShutDown`] if the queue was shut down; either holds the item.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        self.change(|state| state.put_nowait(item))
    }

    /// Takes the next item, behind those who came before. `get`.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] if the queue was shut down and is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place. An item that it had already been given goes to the
    /// next who waits, or else back to its old place in the queue, even if that has no room left.
    #[track_caller]
    pub fn get(&self) -> Get<'_, T, O> {
        Get::new(self, Location::caller())
    }

    /// Takes the next item without waiting; never one that somebody else was given. `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if there is none, [`GetError::ShutDown`] if none will come either.
    pub fn get_nowait(&self) -> Result<T, GetError> {
        self.serve(Want::Get)
    }

    /// Copies the next item as soon as there is one, and leaves it there. `peek`.
    ///
    /// It waits in one line with those who [`get`](Self::get): it sees the item that comes when
    /// its turn does, and whoever is next in line gets that item.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] if the queue was shut down and is empty.
    ///
    /// # Panics
    ///
    /// If the item's [`Clone`] panics. It runs while the queue is locked: it must not use the
    /// queue.
    ///
    /// # Cancel safety
    ///
    /// Nothing but its place is lost when it is dropped, and nobody is held up by it.
    #[track_caller]
    pub fn peek(&self) -> Peek<'_, T, O>
    where
        T: Clone,
    {
        Peek::new(self, Location::caller())
    }

    /// Copies the next item without waiting, and leaves it there. `peek_nowait`.
    ///
    /// # Errors
    ///
    /// As [`get_nowait`](Self::get_nowait).
    ///
    /// # Panics
    ///
    /// As [`peek`](Self::peek).
    pub fn peek_nowait(&self) -> Result<T, GetError>
    where
        T: Clone,
    {
        self.serve(Want::Peek(T::clone))
    }

    /// Reports an item that was put as done. `task_done`.
    ///
    /// # Errors
    ///
    /// [`TaskDoneError`] if none is unfinished; nothing changes then.
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        self.change(|state| {
            let any = state.unfinished > 0;
            state.finish(1);
            if any { Ok(()) } else { Err(TaskDoneError) }
        })
    }

    /// Waits until all items that were put have been reported [done](Self::task_done); at once if
    /// that is so. Whoever was waiting at that time goes on even if an item was put since. `join`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let joined = self.lock().joined();
            match joined {
                Some(joined) => joined.wait_for("Queue::join", at).await,
                None => budget::ready().await,
            }
        }
    }

    /// Changes how many items the queue holds; None lifts the limit. A larger number admits at
    /// once as many of those who wait to put as fit; under a smaller one nothing is put until
    /// enough items have been taken. `resize`.
    pub fn resize(&self, capacity: impl Into<Option<usize>>) {
        let capacity = capacity.into();
        self.change(|state| state.capacity = capacity);
    }

    /// Takes no more items: all who wait to put are refused, and all who come. Those that are in
    /// the queue can be taken, and then all who want one are refused. Again, it is of no effect.
    /// `shutdown()`.
    ///
    /// Whoever was given an item before has it. If they are dropped before they run, it is back in
    /// the queue.
    pub fn shutdown(&self) {
        self.change(State::shut_down);
    }

    /// As [`shutdown`](Self::shutdown), but returns the items that are in the queue. They count as
    /// done. `shutdown(immediate=True)`.
    ///
    /// Items that were given to somebody who has yet to run are among them, first of all.
    #[must_use = "the items that were left are in it"]
    pub fn shutdown_now(&self) -> Vec<T> {
        self.change(|state| {
            state.shut_down();
            state.drain()
        })
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    /// How many items are in the queue. One that was given to somebody who has yet to run is not.
    /// `qsize`.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no item is in the queue. `empty`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another item; with a capacity of zero there never is. `full`.
    pub fn is_full(&self) -> bool {
        !self.lock().has_room()
    }

    /// How many items the queue holds at most; None if there is no limit. `maxsize`.
    pub fn capacity(&self) -> Option<usize> {
        self.lock().capacity
    }

    /// How many items were put and have not been reported [done](Self::task_done).
    /// `unfinished_tasks`.
    pub fn unfinished(&self) -> usize {
        self.lock().unfinished
    }

    /// How many wait to [`get`](Self::get) an item; those who peek are not counted. `getting`.
    pub fn getting(&self) -> usize {
        self.lock().getting()
    }

    /// How many wait to [`put`](Self::put) an item. `putting`.
    pub fn putting(&self) -> usize {
        self.lock().putting()
    }

    fn serve(&self, want: Want<T>) -> Result<T, GetError> {
        let (answer, shut_down) = self.change(|state| (state.serve(want), state.shut_down));
        match answer {
            Some(answer) => Ok(answer.into_item()),
            None if shut_down => Err(GetError::ShutDown),
            None => Err(GetError::Empty),
        }
    }

    /// Changes the state and serves whom that allows to be. Wakers and panics come after the lock
    /// has been let go; what `change` returns is dropped after it, too.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, O>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let later = if state.is_settled() { None } else { state.settle() };
        drop(state);
        if let Some(later) = later {
            later.run();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<T, O>> {
        primitive::lock(&self.state)
    }
}

/// A queue without a limit, of the items in their order. `Queue(None, items)`.
///
/// ```
/// use spinney_sync::Queue;
///
/// let queue: Queue<_> = ["first", "second"].into_iter().collect();
/// assert_eq!(queue.get_nowait(), Ok("first"));
/// ```
impl<T, O: Order<T>> FromIterator<T> for OrderedQueue<T, O> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let queue = Self::unbounded();
        for item in items {
            // It has room, and nobody else has it yet to shut it down.
            let _put = queue.put_nowait(item);
        }
        queue
    }
}

impl<T, O: Order<T>> fmt::Debug for OrderedQueue<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("len", &state.len())
            .field("capacity", &state.capacity)
            .field("getting", &state.getting())
            .field("putting", &state.putting())
            .field("unfinished", &state.unfinished)
            .field("shut_down", &state.shut_down)
            .finish()
    }
}
