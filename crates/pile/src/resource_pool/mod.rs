//! [`ResourcePool`]: things that are made when needed, and used one user at a time.
//!
//! A permit is out for each item that is in use, or being made or dropped. Who has got one makes an
//! item only if none is idle, so there are never more of them than permits.

mod builder;
mod idle;
mod item;
mod reaper;

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use spinney_hub::{Clock, contain, drop_contained};
use spinney_sync::{Acquire, Closed, GiveWay, HandOut, Permit, Semaphore, Wait};

pub use builder::ResourcePoolBuilder;
pub use item::Item;

use idle::{Idle, let_go};
use reaper::Reaper;

/// A pool of things that are made when they are first needed, and then used again: connections, by
/// way of example. `eventlet.pools.Pool`.
///
/// A cheap handle; all are of the same pool. Dropping the last one drops the idle items, and those
/// in use when they come back.
///
/// ```
/// use std::convert::Infallible;
/// use spinney_pile::ResourcePool;
///
/// spinney_hub::block_on(async {
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>(String::from("hello")) })
///         .max_size(2)
///         .build();
///     let mut item = pool.item().await?;
///     item.push_str(" world");
///     drop(item);
///     assert_eq!(*pool.item().await?, "hello world");
///     # Ok::<(), Infallible>(())
/// }).unwrap();
/// ```
pub struct ResourcePool<T, C> {
    shared: Arc<Shared<T, C>>,
}

struct Shared<T, C> {
    create: C,
    check: Check<T>,
    min_size: usize,
    reaper: Option<Reaper<T, C>>,
    tokens: Semaphore,
    idle: Mutex<Idle<T>>,
}

/// Whether an item that comes back can be used again.
type Check<T> = Box<dyn Fn(&mut T) -> bool + Send + Sync>;

impl<T, C> ResourcePool<T, C> {
    /// Settings of a pool whose items `create` makes.
    pub fn builder(create: C) -> ResourcePoolBuilder<T, C> {
        ResourcePoolBuilder::new(create)
    }

    /// Takes an item that is idle, or makes one, or waits, first come, first served, until there
    /// is one or room for one. It comes back when the guard is dropped. `item`.
    ///
    /// # Errors
    ///
    /// What `create` failed with. The room goes to the next who waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the place in the queue up, and drops an item that is being made; its room
    /// goes to the next.
    #[track_caller]
    pub fn item<F, E>(&self) -> impl Future<Output = Result<Item<T, C>, E>>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let token = Acquire::of(Tokens(Arc::clone(&self.shared)));
        async move {
            let token = open(token.await);
            let idle = self.shared.lock().take_or_count();
            let value = match idle {
                Some(value) => value,
                None => self.shared.make().await?,
            };
            token.forget();
            Ok(Item::new(self.clone(), value))
        }
    }

    /// As [`item`](Self::item), without a guard: it is to be [`put`](Self::put) back. One that is
    /// not leaves its room taken. `get`.
    ///
    /// # Errors
    ///
    /// As [`item`](Self::item).
    ///
    /// # Cancel safety
    ///
    /// As [`item`](Self::item).
    #[track_caller]
    pub fn get<F, E>(&self) -> impl Future<Output = Result<T, E>>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let item = self.item();
        async move { Ok(item.await?.into_inner()) }
    }

    /// Makes items until there are as many as [`min_size`](ResourcePoolBuilder::min_size) says.
    ///
    /// # Errors
    ///
    /// What `create` failed with; the items that were made are there.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops an item that is being made; the others are there.
    #[track_caller]
    pub fn fill<F, E>(&self) -> impl Future<Output = Result<(), E>>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let at = Location::caller();
        async move {
            // A full pool is an await that is ready.
            GiveWay::around(async {}).await;
            while self.size() < self.wanted() {
                let token = open(self.token_for(at).await);
                {
                    let mut idle = self.shared.lock();
                    if idle.size >= self.wanted() {
                        break;
                    }
                    idle.size += 1;
                }
                let value = self.shared.make().await?;
                token.forget();
                self.shared.store(Token { tokens: &self.shared.tokens }, value);
            }
            Ok(())
        }
    }

    /// Waits for the room of one item, on behalf of the line `at`.
    async fn token_for(
        &self,
        at: &'static Location<'static>,
    ) -> Result<Permit<&Semaphore>, Closed> {
        let mut token = self.shared.tokens.acquire();
        poll_fn(|cx| {
            let polled = Pin::new(&mut token).poll(cx);
            if polled.is_pending() {
                Wait::note("ResourcePool::fill", at);
            }
            polled
        })
        .await
    }

    /// Gives an item back that was [got](Self::get), to be used again: unless it fails the check,
    /// or there are more than there are to be. `put`.
    ///
    /// # Panics
    ///
    /// If more are put than were got; `value` is dropped then.
    #[track_caller]
    pub fn put(&self, value: T) {
        let loose = {
            let mut idle = self.shared.lock();
            let loose = idle.loose.checked_sub(1);
            idle.loose = loose.unwrap_or(0);
            loose
        };
        assert!(loose.is_some(), "an item is put back that was not got");
        self.shared.give_back(value);
    }

    /// Changes how many items there are to be at the most. A larger number admits at once as many
    /// waiters as fit; under a smaller one those that are idle go first, and the others as they
    /// come back. `resize`.
    pub fn resize(&self, max_size: usize) {
        contain(|| self.shared.tokens.resize(max_size));
        let mut idle = self.shared.lock();
        let surplus = idle.size.saturating_sub(self.capacity());
        let retired = idle.retire(surplus);
        drop(idle);
        let_go(retired);
    }

    /// How many more items can be in use; negative after a [`resize`](Self::resize) to fewer than
    /// are. `free`.
    pub fn free(&self) -> isize {
        self.shared.tokens.available()
    }

    /// How many wait for an item. `waiting`.
    pub fn waiting(&self) -> usize {
        self.shared.tokens.waiting()
    }

    /// How many items there are: in use, being made, or idle. `current_size`.
    pub fn size(&self) -> usize {
        self.shared.lock().size
    }

    /// How many items there are to be at the most. `max_size`.
    pub fn capacity(&self) -> usize {
        self.shared.tokens.capacity()
    }

    /// How many items [`fill`](Self::fill) is to leave.
    fn wanted(&self) -> usize {
        self.shared.min_size.min(self.capacity())
    }
}

/// What was acquired of the tokens, which are never closed.
fn open<P>(token: Result<P, Closed>) -> P {
    match token {
        Ok(token) => token,
        Err(closed) => unreachable!("the tokens of a resource pool: {closed}"),
    }
}

/// The room of an item that is being given back. Dropping it gives that back.
struct Token<'a> {
    tokens: &'a Semaphore,
}

impl<'a> Token<'a> {
    /// Wakes nobody before what it returns is dropped.
    fn put_back(self) -> HandOut<'a> {
        let tokens = self.tokens;
        std::mem::forget(self);
        tokens.put_back(1)
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        contain(|| self.tokens.release(1));
    }
}

/// An item that is counted, but may not come to be, or be no more. Dropping it counts it out.
struct Doubtful<'a, T, C> {
    shared: &'a Shared<T, C>,
}

impl<T, C> Doubtful<'_, T, C> {
    /// It is there.
    fn confirm(self) {
        std::mem::forget(self);
    }
}

impl<T, C> Drop for Doubtful<'_, T, C> {
    fn drop(&mut self) {
        self.shared.lock().size -= 1;
    }
}

impl<T, C> Shared<T, C> {
    /// Makes an item that was counted.
    async fn make<F, E>(&self) -> Result<T, E>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let item = Doubtful { shared: self };
        let value = (self.create)().await?;
        item.confirm();
        Ok(value)
    }

    /// Takes an item back that was in use. Should the check panic, it is dropped, and there is
    /// room for another only then. Where the item comes back by a panic, that is the one that goes
    /// on.
    fn give_back(self: &Arc<Self>, value: T) {
        let token = Token { tokens: &self.tokens };
        let item = Doubtful { shared: self };
        let mut value = value;
        match catch_unwind(AssertUnwindSafe(|| (self.check)(&mut value))) {
            Ok(true) => {
                item.confirm();
                self.store(token, value);
            }
            Ok(false) => {}
            Err(payload) => {
                drop_contained(value);
                if thread::panicking() {
                    drop_contained(payload);
                } else {
                    resume_unwind(payload);
                }
            }
        }
    }

    /// Lays an item by, unless it is one too many, and gives its room back.
    fn store(self: &Arc<Self>, token: Token<'_>, value: T) {
        let now = Clock::current().now();
        let mut idle = self.lock();
        if idle.size > self.tokens.capacity() {
            idle.size -= 1;
            drop(idle);
            drop(value);
            return;
        }
        idle.put(now, value);
        let reaper = self.reaper.as_ref().filter(|_| idle.reaper.strong_count() == 0);
        let reaper = reaper.map(|reaper| (reaper, Arc::default()));
        if let Some((_, alive)) = &reaper {
            idle.reaper = Arc::downgrade(alive);
        }
        let room = token.put_back();
        drop(idle);
        drop_contained(room);
        if let Some((reaper, alive)) = reaper {
            reaper.start(self, alive);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, C> Clone for ResourcePool<T, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, C> fmt::Debug for ResourcePool<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourcePool")
            .field("size", &self.size())
            .field("free", &self.free())
            .field("capacity", &self.capacity())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// The tokens of a pool, held without a borrow.
struct Tokens<T, C>(Arc<Shared<T, C>>);

impl<T, C> std::ops::Deref for Tokens<T, C> {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.tokens
    }
}
