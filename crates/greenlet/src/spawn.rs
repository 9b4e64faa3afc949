//! Starting greenlets that belong to no group: at once with [`spawn`] and [`spawn_on`], or later
//! with [`Greenlet::new`], [`spawn_later`] and [`spawn_later_local`].

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use spinney_hub::{BoxTask, Sleep, Spawn, sleep};

use crate::{Greenlet, Handle, Join, Task, pair};

/// Starts `future` as a greenlet on the current hub; outside of any hub, on
/// [`Hub::global`](spinney_hub::Hub::global). `gevent.spawn`, `eventlet.spawn`.
///
/// # Panics
///
/// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
///
/// ```
/// let greenlet = spinney_greenlet::spawn(async { 42 });
/// assert_eq!(spinney_hub::block_on(greenlet).unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (task, greenlet) = pair(future, ());
    spinney_hub::spawn(task);
    greenlet
}

/// Starts `future` as a greenlet on `hub`: one whose future is not `Send`, say, on a
/// [`LocalHub`](spinney_hub::LocalHub).
///
/// ```
/// use std::rc::Rc;
///
/// let hub = spinney_hub::LocalHub::new();
/// let greenlet = spinney_greenlet::spawn_on(&hub, async { Rc::new(42) });
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

/// Starts `future` as a greenlet on the current hub when `delay` has passed. Killed before that,
/// it never runs. `gevent.spawn_later`, `eventlet.spawn_after`.
///
/// # Panics
///
/// As [`spawn`](crate::spawn).
///
/// ```
/// use std::time::Duration;
///
/// spinney_hub::block_on(async {
///     let late = spinney_greenlet::spawn_later(Duration::from_millis(1), async { "late" });
///     assert_eq!(late.await.unwrap(), "late");
/// });
/// ```
#[track_caller]
pub fn spawn_later<F>(delay: Duration, future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let greenlet = Greenlet::new(future);
    greenlet.start_later(delay);
    greenlet
}

/// As [`spawn_later`], but only if the current greenlet lives when `delay` has passed; otherwise the
/// new one is killed. Outside of any greenlet there is nobody to outlive. `spawn_after_local`.
///
/// # Panics
///
/// As [`spawn`](crate::spawn).
///
/// ```
/// use std::time::Duration;
/// use spinney_greenlet::{spawn, spawn_later_local};
///
/// spinney_hub::block_on(async {
///     let brief = spawn(async { spawn_later_local(Duration::from_millis(1), async { "late" }) });
///     let orphan = brief.await.unwrap();
///     assert!(orphan.await.unwrap_err().is_killed());
/// });
/// ```
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
    /// A greenlet that has yet to be [started](Handle::start), and may be named, linked to, waited
    /// for and killed before. Dropping it unstarted kills it. `gevent.Greenlet`.
    ///
    /// ```
    /// use spinney_greenlet::Greenlet;
    ///
    /// spinney_hub::block_on(async {
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

/// Starting what was made by [`Greenlet::new`]. Each of these is of no effect, and says false, on
/// a greenlet that was started or killed before.
impl Handle {
    /// Starts it on the current hub; outside of any hub, on
    /// [`Hub::global`](spinney_hub::Hub::global). `start`.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    pub fn start(&self) -> bool {
        self.claim().map(spinney_hub::spawn).is_some()
    }

    /// Starts it on `hub`.
    pub fn start_on(&self, hub: &impl Spawn<BoxTask>) -> bool {
        self.claim().map(|task| hub.spawn(task)).is_some()
    }

    /// Starts it on the current hub when `delay` has passed. `start_later`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_later(&self, delay: Duration) -> bool {
        self.start_later_beside(delay, None)
    }

    /// As [`start_later`](Self::start_later), but only if `companion` lives then.
    fn start_later_beside(&self, delay: Duration, companion: Option<Handle>) -> bool {
        let Some(slot) = self.start_slot().and_then(|slot| slot.0.upgrade()) else { return false };
        let (killed, delay) = (self.join(), sleep(delay));
        spinney_hub::spawn(Later { slot, killed, delay, companion, task: None });
        true
    }

    fn claim(&self) -> Option<BoxTask> {
        self.start_slot()?.take()
    }
}

/// Where a task is before it is started. Dropping it kills the greenlet if it was not started.
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

/// A slot that its greenlet's owner holds, and that is empty once that is gone.
#[derive(Clone, Default)]
pub(crate) struct WeakSlot(Weak<Slot>);

impl WeakSlot {
    pub(crate) fn take(&self) -> Option<BoxTask> {
        self.0.upgrade()?.take()
    }
}

/// A task, after a delay. The greenlet that is killed meanwhile takes its task out of the slot.
struct Later {
    slot: Arc<Slot>,
    killed: Join,
    delay: Sleep,
    /// Who has to live then, if anybody has.
    companion: Option<Handle>,
    task: Option<BoxTask>,
}

impl Future for Later {
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
        // A task that is not there any more was killed just now.
        this.task.as_mut().map_or(Poll::Ready(()), |task| task.as_mut().poll(cx))
    }
}

/// A hub that stops drops its tasks, this one's included.
impl Drop for Later {
    fn drop(&mut self) {
        drop(self.slot.take());
    }
}
