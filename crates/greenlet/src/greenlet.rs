//! [`Greenlet`]: the owner of one task's result.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_hub::{contain, drop_contained};
use spinney_sync::{AsyncResult, Budget, BudgetedAwait, Queue, Wait};

use crate::links::LinkKey;
use crate::spawn::Slot;
use crate::{Failure, Handle};

/// The task stores its result here; it drops its reference before it finishes.
pub(crate) type Outcome<T> = Arc<Mutex<Option<T>>>;

/// A task that runs in the background, and the right to its result.
///
/// Awaiting it returns the result, or the [`Failure`] that ended the task. It dereferences to a
/// [`Handle`], so it can be joined, linked and killed. Dropping it detaches the task: the task goes
/// on, and its result is dropped at its end; a group still owns its members. If a result panics
/// when it is dropped with its greenlet, the panic hook reports it.
///
/// Python: `gevent.Greenlet`, `eventlet.greenthread.GreenThread`.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
/// use spinney::{block_on, spawn};
///
/// block_on(async {
///     let greenlet = spawn(async { "hello" });
///     greenlet.join().await;
///     assert!(greenlet.is_successful());
///     assert_eq!(greenlet.await.unwrap(), "hello");
/// });
/// ```
#[doc(alias("GreenThread", "JoinHandle"))]
#[must_use = "dropping a greenlet detaches its task: call `detach()` to do so explicitly"]
pub struct Greenlet<T> {
    handle: Handle,
    /// `Some` until this is dropped.
    outcome: Option<Outcome<T>>,
    /// Holds the task until it is started.
    unstarted: Option<Arc<Slot>>,
    link: Option<LinkKey>,
    kill_on_drop: bool,
    budgeted: BudgetedAwait,
}

impl<T> Greenlet<T> {
    pub(crate) fn of(handle: Handle, outcome: Outcome<T>) -> Self {
        Self {
            handle,
            outcome: Some(outcome),
            unstarted: None,
            link: None,
            kill_on_drop: false,
            budgeted: BudgetedAwait::default(),
        }
    }

    pub(crate) fn with_slot(mut self, slot: Arc<Slot>) -> Self {
        self.unstarted = Some(slot);
        self
    }

    /// Names the greenlet, which may have run by then; [`named`](crate::named) names a task before
    /// it runs.
    ///
    /// Python: `gevent.Greenlet.name`.
    ///
    /// ```
    /// # use spinney_greenlet as spinney;
    /// use spinney::spawn;
    ///
    /// let fetch = spawn(async {}).named("fetch 17");
    /// assert_eq!(fetch.name().as_deref(), Some("fetch 17"));
    /// fetch.detach();
    /// ```
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        self.handle.set_name(name.into());
        self
    }

    /// Makes dropping this before the task has finished kill the task instead of detaching it.
    /// [`detach`](Self::detach) cancels this setting.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
    /// use std::future::pending;
    ///
    /// use spinney::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let greenlet = spawn(pending::<()>()).kill_on_drop();
    ///     let handle = greenlet.handle().clone();
    ///     drop(greenlet);
    ///     handle.join().await;
    ///     assert!(handle.failure().unwrap().is_killed());
    /// });
    /// ```
    #[doc(alias = "abort_on_drop")]
    pub fn kill_on_drop(mut self) -> Self {
        self.kill_on_drop = true;
        self
    }

    /// The control handle, which may outlive this.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the result, and leaves it in the greenlet.
    ///
    /// # Errors
    ///
    /// The failure that ended the task.
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the wait is dropped.
    ///
    /// Python: `gevent.Greenlet.get`.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
    /// use spinney::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let mut greenlet = spawn(async { vec![1, 2, 3] });
    ///     assert_eq!(greenlet.get().await.unwrap().len(), 3);
    ///     assert_eq!(greenlet.await.unwrap(), [1, 2, 3]);
    /// });
    /// ```
    #[track_caller]
    pub fn get(&mut self) -> impl Future<Output = Result<&T, Failure>> {
        let join = self.handle.join();
        async move {
            join.await;
            self.outcome().expect("the wait ends with the greenlet")
        }
    }

    /// Returns the result or failure if the task has finished, and leaves it in the greenlet.
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// Python: `gevent.Greenlet.value`, `exception`.
    #[doc(alias = "value")]
    pub fn outcome(&mut self) -> Option<Result<&T, Failure>> {
        match self.handle.ended()? {
            Ok(()) => Some(Ok(self.result().as_ref().expect(ONCE))),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Returns the result or failure if the task has finished.
    ///
    /// # Errors
    ///
    /// Returns the greenlet if its task has not finished.
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// Python: `gevent.Greenlet.get(block=False)`.
    pub fn try_get(mut self) -> Result<Result<T, Failure>, Self> {
        match self.handle.ended() {
            Some(ended) => Ok(ended.map(|()| self.take())),
            None => Err(self),
        }
    }

    /// Waits for the result: the same as awaiting the greenlet.
    ///
    /// # Errors
    ///
    /// The failure that ended the task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the greenlet, and so detaches the task.
    ///
    /// Python: `eventlet.greenthread.GreenThread.wait`.
    pub async fn wait(self) -> Result<T, Failure> {
        self.await
    }

    /// Calls `callback` once with the result or failure: in the task itself, before the greenlet is
    /// [ready](Handle::is_ready) and before all [links](Handle::link), so that code that sees the
    /// end also sees the effects of the callback. The result stays here for its owner.
    ///
    /// Callbacks are called in the order in which they were linked, and cannot be removed. After a
    /// kill or an abort before the first poll, the greenlet is ready already, and the hub calls the
    /// callbacks when it comes to the task. After the end, `callback` is called immediately, before
    /// this method returns. A callback that panics is contained; the panic hook reports it.
    ///
    /// For the value alone or the failure alone, match on the callback's argument.
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// Python: `gevent.Greenlet.link`, `link_value`, `link_exception`.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
    /// use spinney::{block_on, spawn};
    /// use std::sync::mpsc;
    ///
    /// block_on(async {
    ///     let (sender, sums) = mpsc::channel();
    ///     let mut sum = spawn(async { 1 + 2 });
    ///     sum.link_result(move |result| sender.send(result.cloned().ok()).unwrap());
    ///     sum.join().await;
    ///     assert_eq!(sums.try_recv(), Ok(Some(3)));
    ///     assert_eq!(sum.await.unwrap(), 3);
    /// });
    /// ```
    pub fn link_result(&mut self, callback: impl FnOnce(Result<&T, Failure>) + Send + 'static)
    where
        T: Send + 'static,
    {
        let outcome = Arc::clone(self.outcome.as_ref().expect(UNTIL_DROP));
        let link = Box::new(move |ended| show(&outcome, ended, callback));
        if let Err(link) = self.handle.link_outcome(link) {
            link(self.handle.ended().expect("it gives a link back after the end"));
        }
    }

    /// Sets `target` to a clone of the result, or to the failure, when the greenlet finishes; a
    /// `target` that is already set keeps its value. If [`Clone`] panics, `target` gets that panic
    /// as a failure. The call is made by [`link_result`](Self::link_result).
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// Python: `gevent.Greenlet.link(async_result)`.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; pub use spinney_sync::AsyncResult;
    /// # }
    /// use std::sync::Arc;
    /// use spinney::{AsyncResult, block_on, spawn};
    ///
    /// block_on(async {
    ///     let answer = Arc::new(AsyncResult::new());
    ///     spawn(async { 42 }).link_to(&answer);
    ///     assert_eq!(*answer.get().await.unwrap(), 42);
    /// });
    /// ```
    pub fn link_to(&mut self, target: &Arc<AsyncResult<T, Failure>>)
    where
        T: Clone + Send + Sync + 'static,
    {
        let target = Arc::clone(target);
        self.link_result(move |result| match cloned(result) {
            Ok(value) => drop(target.set(value)),
            Err(failure) => drop(target.set_error(failure)),
        });
    }

    /// Puts a clone of the result, or the failure, into `queue` when the greenlet finishes. While
    /// the queue is full, a task of the current hub waits to put it, in the order in which the
    /// greenlets finished, and delays nothing else. A queue that was shut down gets nothing. If
    /// [`Clone`] panics, the queue gets that panic as a failure. The call is made by
    /// [`link_result`](Self::link_result).
    ///
    /// # Panics
    ///
    /// Panics if the result was taken before.
    ///
    /// Python: `gevent.Greenlet.link(queue.put)`.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; pub use spinney_sync::Queue;
    /// # }
    /// use std::sync::Arc;
    /// use spinney::{Queue, block_on, spawn};
    ///
    /// block_on(async {
    ///     let results = Arc::new(Queue::unbounded());
    ///     for number in 1..=3 {
    ///         spawn(async move { number * number }).link_queue(&results);
    ///     }
    ///     let mut sum = 0;
    ///     for _ in 0..3 {
    ///         sum += results.get().await.unwrap().unwrap();
    ///     }
    ///     assert_eq!(sum, 14);
    /// });
    /// ```
    pub fn link_queue(&mut self, queue: &Arc<Queue<Result<T, Failure>>>)
    where
        T: Clone + Send + 'static,
    {
        let queue = Arc::clone(queue);
        self.link_result(move |result| {
            let result = cloned(result);
            let mut put = Box::pin(async move { drop(queue.put(result).await) });
            // The first poll, here, gives it its place among the tasks that put, even if the
            // greenlet has used up its budget.
            let _budget = Budget::at_least_one();
            if put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                spinney_hub::spawn(put);
            }
        });
    }

    /// Detaches the task: it goes on, and its result is dropped at its end.
    pub fn detach(mut self) {
        self.kill_on_drop = false;
    }

    fn take(&mut self) -> T {
        self.result().take().expect(ONCE)
    }

    /// The result of a greenlet that has finished.
    fn result(&mut self) -> &mut Option<T> {
        let outcome = self.outcome.as_mut().and_then(Arc::get_mut);
        outcome
            .expect("the task has dropped its reference")
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

const ONCE: &str = "a greenlet gives its result once";
const UNTIL_DROP: &str = "the outcome is there until the greenlet is dropped";

/// Calls `callback` with the stored outcome, or the failure. Nothing else reads the outcome
/// meanwhile: the task calls this before the end, and the owner after it.
fn show<T>(
    outcome: &Mutex<Option<T>>,
    ended: Result<(), Failure>,
    callback: impl FnOnce(Result<&T, Failure>),
) {
    let lock = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(failure) = ended {
        return contain(|| callback(Err(failure)));
    }
    // Not called under the lock.
    let result = lock().take().expect(ONCE);
    contain(|| callback(Ok(&result)));
    *lock() = Some(result);
}

/// A clone of the result, so that others see it; a panic of its `Clone` is their failure.
fn cloned<T: Clone>(result: Result<&T, Failure>) -> Result<T, Failure> {
    result.and_then(|value| {
        catch_unwind(AssertUnwindSafe(|| value.clone())).map_err(Failure::panicked)
    })
}

/// Completes when the task has finished.
///
/// # Panics
///
/// Panics if it is polled again after it has returned the result.
///
/// # Cancel safety
///
/// `(&mut greenlet).await` may be dropped and repeated; nothing is lost.
impl<T> Future for Greenlet<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.budgeted.poll(cx, |cx| this.handle.poll_ended(cx, &mut this.link)) {
            Poll::Ready(ended) => Poll::Ready(ended.map(|()| this.take())),
            Poll::Pending => {
                Wait::note("the end of a greenlet spawned", this.handle.spawned_at());
                Poll::Pending
            }
        }
    }
}

impl<T> Deref for Greenlet<T> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> AsRef<Handle> for Greenlet<T> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> Drop for Greenlet<T> {
    fn drop(&mut self) {
        self.handle.cancel_wait(&mut self.link);
        if self.kill_on_drop {
            self.handle.kill_now();
        }
        // Its drop may panic: the code that drops an unclaimed result is not the code that made it.
        drop_contained(self.outcome.take());
    }
}

impl<T> fmt::Debug for Greenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Greenlet").field(&self.handle).finish()
    }
}
