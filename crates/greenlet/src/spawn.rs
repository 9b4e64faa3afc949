//! Starting greenlets that belong to no group: immediately with [`spawn`] and [`spawn_on`], or
//! later with [`Greenlet::new`], [`spawn_later`] and [`spawn_later_local`].

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use spinney_hub::{BoxTask, Sleep, Spawn, sleep};

use crate::{Greenlet, Handle, Join, Task, pair};

/// Starts `future` as a greenlet on the current hub; outside any hub, on
/// [`Hub::global`](spinney_hub::Hub::global).
///
/// # Panics
///
/// Panics if the [global hub](spinney_hub::Hub::global) has to be started and cannot be.
///
/// Python: `gevent.spawn`, `eventlet.spawn`.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
/// use spinney::{block_on, spawn};
///
/// let greenlet = spawn(async { 42 });
/// assert_eq!(block_on(greenlet).unwrap(), 42);
/// ```
#[doc(alias = "gevent.spawn")]
#[track_caller]
pub fn spawn<F>(future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (task, greenlet) = pair(future, ());
    spinney_hub::spawn(task);
    greenlet
}

/// Starts `future` as a greenlet on `hub`. On a [`LocalHub`](spinney_hub::LocalHub) the future need
/// not be `Send`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::LocalHub;
/// #     pub mod task { pub use spinney_greenlet::spawn_on; }
/// # }
/// use spinney::LocalHub;
/// use spinney::task::spawn_on;
/// use std::rc::Rc;
///
/// let hub = LocalHub::new();
/// let greenlet = spawn_on(&hub, async { Rc::new(42) });
/// assert_eq!(*hub.block_on(greenlet).unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn_on<X, F>(hub: &X, future: F) -> Greenlet<F::Output>
where
    F: Future,
    X: Spawn<Task<F>>,
{
    let (task, greenlet) = pair(future, ());
    hub.spawn(task);
    greenlet
}

/// Starts `future` as a greenlet on the current hub once `delay` has passed. A greenlet that is
/// killed before that never runs.
///
/// # Panics
///
/// The same as [`spawn`](crate::spawn).
///
/// Python: `gevent.spawn_later`, `eventlet.spawn_after`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::spawn_later; }
/// # }
/// use spinney::block_on;
/// use spinney::task::spawn_later;
/// use std::time::Duration;
///
/// block_on(async {
///     let late = spawn_later(Duration::from_millis(1), async { "late" });
///     assert_eq!(late.await.unwrap(), "late");
/// });
/// ```
#[doc(alias = "spawn_after")]
#[track_caller]
pub fn spawn_later<F>(delay: Duration, future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let greenlet = Greenlet::new(future);
    greenlet.start_later(delay);
    greenlet
}

/// Like [`spawn_later`], but only if the current greenlet still lives when `delay` has passed;
/// otherwise the new one is killed. Outside any greenlet it is the same as `spawn_later`.
///
/// # Panics
///
/// The same as [`spawn`](crate::spawn).
///
/// Python: `eventlet.spawn_after_local`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::spawn_later_local; }
/// # }
/// use std::time::Duration;
/// use spinney::{block_on, spawn};
/// use spinney::task::spawn_later_local;
///
/// block_on(async {
///     let brief = spawn(async { spawn_later_local(Duration::from_millis(1), async { "late" }) });
///     let orphan = brief.await.unwrap();
///     assert!(orphan.await.unwrap_err().is_killed());
/// });
/// ```
#[doc(alias = "spawn_after_local")]
#[track_caller]
pub fn spawn_later_local<F>(delay: Duration, future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let greenlet = Greenlet::new(future);
    greenlet.start_later_beside(delay, Handle::current());
    greenlet
}

impl<T: Send + 'static> Greenlet<T> {
    /// Creates a greenlet that is [started](Handle::start) later, and may be named, linked, waited
    /// for and killed before. Dropping it unstarted kills it.
    ///
    /// Python: `gevent.Greenlet`.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::Greenlet; pub use spinney_hub::block_on; }
    /// use spinney::{Greenlet, block_on};
    ///
    /// block_on(async {
    ///     let greenlet = Greenlet::new(async { 42 });
    ///     greenlet.start();
    ///     assert_eq!(greenlet.await.unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let (task, greenlet) = pair(future, ());
        let task: BoxTask = Box::pin(task);
        let slot = Slot { task: Mutex::new(Some(task)), greenlet: greenlet.handle().clone() };
        let slot = Arc::new(slot);
        greenlet.handle().set_unstarted(WeakSlot(Arc::downgrade(&slot)));
        greenlet.with_slot(slot)
    }
}

/// Starts a greenlet that [`Greenlet::new`] created. Each of these methods is a no-op and returns
/// `false` if the greenlet was started or killed before.
impl Handle {
    /// Starts the greenlet on the current hub; outside any hub, on
    /// [`Hub::global`](spinney_hub::Hub::global).
    ///
    /// # Panics
    ///
    /// Panics if the [global hub](spinney_hub::Hub::global) has to be started and cannot be.
    ///
    /// Python: `gevent.Greenlet.start`.
    pub fn start(&self) -> bool {
        self.claim().map(spinney_hub::spawn).is_some()
    }

    /// Starts the greenlet on `hub`.
    pub fn start_on(&self, hub: &impl Spawn<BoxTask>) -> bool {
        self.claim().map(|task| hub.spawn(task)).is_some()
    }

    /// Starts the greenlet on the current hub once `delay` has passed.
    ///
    /// # Panics
    ///
    /// The same as [`start`](Self::start).
    ///
    /// Python: `gevent.Greenlet.start_later`.
    pub fn start_later(&self, delay: Duration) -> bool {
        self.start_later_beside(delay, None)
    }

    /// Like [`start_later`](Self::start_later), but only if `companion` still lives then.
    fn start_later_beside(&self, delay: Duration, companion: Option<Handle>) -> bool {
        let Some(slot) = self.start_slot().and_then(|slot| slot.0.upgrade()) else { return false };
        let (killed, delay) = (self.join(), sleep(delay));
        spinney_hub::spawn(DelayedTask { slot, killed, delay, companion, task: None });
        true
    }

    fn claim(&self) -> Option<BoxTask> {
        self.start_slot()?.take()
    }
}

/// Holds a task until it is started. Dropping it kills the greenlet if it was not started.
pub(crate) struct Slot {
    task: Mutex<Option<BoxTask>>,
    greenlet: Handle,
}

impl Slot {
    pub(crate) fn take(&self) -> Option<BoxTask> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(task) = self.take() {
            self.greenlet.kill_now();
            drop(task);
        }
    }
}

/// A slot that the greenlet's owner holds; empty once the owner is dropped.
#[derive(Clone, Default)]
pub(crate) struct WeakSlot(Weak<Slot>);

impl WeakSlot {
    pub(crate) fn take(&self) -> Option<BoxTask> {
        self.0.upgrade()?.take()
    }
}

/// A task that runs after a delay. A kill during the delay takes the task out of the slot.
struct DelayedTask {
    slot: Arc<Slot>,
    killed: Join,
    delay: Sleep,
    /// The greenlet that must still live when the delay has passed, if any.
    companion: Option<Handle>,
    task: Option<BoxTask>,
}

impl Future for DelayedTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.task.is_none() {
            if Pin::new(&mut this.killed).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if Pin::new(&mut this.delay).poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.task = this.slot.take();
            if this.companion.as_ref().is_some_and(Handle::is_ready) {
                this.slot.greenlet.kill_now();
                this.task = None;
            }
        }
        // The task is gone if the greenlet was killed just now.
        this.task.as_mut().map_or(Poll::Ready(()), |task| task.as_mut().poll(cx))
    }
}

/// A hub that shuts down drops its tasks, including this one.
impl Drop for DelayedTask {
    fn drop(&mut self) {
        drop(self.slot.take());
    }
}
