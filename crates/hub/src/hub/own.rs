//! [`Own`]: a hub that can stop.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Sender;
use async_executor::{Executor, Task};
use pin_project_lite::pin_project;
use slab::Slab;

use super::WeakHub;
use super::drive::drive;
use super::threads::ThreadSettings;
use crate::Within;
use crate::guarded::Guarded;

/// What a hub's [shutdown](crate::Hub::shutdown) found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How many tasks ended in the time they were given.
    pub ended: usize,
    /// How many were left, and were dropped.
    pub dropped: usize,
}

/// What the handles of a hub share. Dropping it stops the hub.
pub(crate) struct Own {
    pub(crate) core: Arc<Core>,
    /// The threads stop when this is closed.
    stop: Sender<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Own {
    pub(crate) fn start(threads: usize, settings: &ThreadSettings) -> io::Result<Arc<Self>> {
        if threads == 0 {
            let text = "a hub needs at least one thread";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (stop, stopped) = async_channel::bounded(1);
        let own = Arc::new(Self { core: Arc::default(), stop, threads: Mutex::default() });
        for index in 0..threads {
            let (core, stopped) = (Arc::clone(&own.core), stopped.clone());
            let hub = WeakHub::of(&own);
            let thread = settings.start(index, move || {
                let _entered = hub.context().enter();
                async_io::block_on(drive(&core.executor, async {
                    // Nothing is ever sent: the answer is that the channel was closed.
                    let _closed = stopped.recv().await;
                    core.no_tasks().await;
                }));
            })?;
            own.lock_threads().push(thread);
        }
        Ok(own)
    }

    pub(crate) fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let before = self.core.alive();
        let ended = self.core.no_tasks().within(grace);
        // Whether all of them have ended is what the count says.
        let _in_time = async_io::block_on(drive(&self.core.executor, ended));
        let dropped = self.core.alive();
        if self.stop() {
            async_io::block_on(drive(&self.core.executor, self.core.no_tasks()));
        }
        ShutdownReport { ended: before.saturating_sub(dropped), dropped }
    }

    pub(crate) fn threads(&self) -> usize {
        self.lock_threads().len()
    }

    /// Has the tasks dropped and stops the threads. Waits for that, and returns true, unless it is
    /// one of those tasks that asks.
    fn stop(&self) -> bool {
        self.core.close();
        self.stop.close();
        let mut threads = self.lock_threads();
        let here = thread::current().id();
        let is_here = |thread: &JoinHandle<()>| thread.thread().id() == here;
        let outside = !is_inside(&self.core) && !threads.iter().any(is_here);
        // Who does not wait leaves them to who does.
        let ended = if outside { std::mem::take(&mut *threads) } else { Vec::new() };
        drop(threads);
        for thread in ended {
            // A worker's panic has been reported by the panic hook; the others still stop.
            drop(thread.join());
        }
        outside
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What runs the tasks: the part of a hub that its threads and tasks hold, too.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) executor: Executor<'static>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// Those that have not ended; empty once the hub was closed.
    list: Slab<Task<()>>,
    /// Futures that have not been dropped.
    alive: usize,
    closed: bool,
    /// Those who wait until none is alive.
    waiting: Vec<Waker>,
}

impl Core {
    /// Runs `future`, or drops it if the hub was closed.
    pub(crate) fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        let core = Arc::as_ptr(self).addr();
        let mut tasks = self.lock();
        if !tasks.closed {
            let entry = Entry { core: Arc::clone(self), key: tasks.list.vacant_key() };
            let task =
                self.executor.spawn(Member { future: Some(Guarded::new(future, entry)), core });
            tasks.list.insert(task);
            tasks.alive += 1;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many tasks have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.lock().alive
    }

    /// Cancels all tasks: each is dropped where it would run next, or when the poll it is in is
    /// over.
    fn close(&self) {
        let mut tasks = self.lock();
        tasks.closed = true;
        let list = std::mem::take(&mut tasks.list);
        drop(tasks);
        drop(list);
    }

    async fn no_tasks(&self) {
        poll_fn(|cx| {
            let mut tasks = self.lock();
            if tasks.alive == 0 {
                return Poll::Ready(());
            }
            if !tasks.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                tasks.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's place on the list. Dropping it, after the task's future, crosses it off.
struct Entry {
    core: Arc<Core>,
    key: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut tasks = self.core.lock();
        tasks.alive -= 1;
        let task = tasks.list.try_remove(self.key);
        let waiting =
            if tasks.alive == 0 { std::mem::take(&mut tasks.waiting) } else { Vec::new() };
        drop(tasks);
        if let Some(task) = task {
            task.detach();
        }
        waiting.into_iter().for_each(Waker::wake);
    }
}

thread_local! {
    /// The hubs, by address, whose tasks are being polled or dropped on this thread, the innermost
    /// last.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread is inside of one of its tasks. One that is about to end, and whose locals
/// are gone, is in none.
fn is_inside(core: &Arc<Core>) -> bool {
    let core = Arc::as_ptr(core).addr();
    INSIDE.try_with(|cores| cores.borrow().contains(&core)).unwrap_or(false)
}

pin_project! {
    /// A task whose thread knows of which hub it is, also while it drops the future.
    struct Member<F> {
        #[pin]
        future: Option<F>,
        core: usize,
    }

    impl<F> PinnedDrop for Member<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _inside = Inside::of(*this.core);
                this.future.set(None);
            }
        }
    }
}

impl<F: Future<Output = ()>> Future for Member<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let _inside = Inside::of(*this.core);
        let polled = this.future.as_mut().as_pin_mut().map_or(Poll::Ready(()), |f| f.poll(cx));
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

struct Inside;

impl Inside {
    fn of(core: usize) -> Self {
        // Where the thread's locals are gone, nobody asks.
        let _gone = INSIDE.try_with(|cores| cores.borrow_mut().push(core));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _gone = INSIDE.try_with(|cores| cores.borrow_mut().pop());
    }
}
