//! [`Own`]: a hub that can stop.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Sender;
use async_executor::Executor;
use pin_project_lite::pin_project;

use super::threads::ThreadSettings;
use super::{WeakHub, WeakKind};

/// What a hub's [shutdown](crate::Hub::shutdown) found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How many tasks ended in the time they were given.
    pub ended: usize,
    /// How many were left, and were dropped.
    pub dropped: usize,
}

/// Its threads hold the executor, not this: so it goes with the last handle.
pub(crate) struct Own {
    /// None once it was shut down.
    executor: RwLock<Option<Arc<Executor<'static>>>>,
    alive: Arc<Alive>,
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
        let executor = Arc::new(Executor::new());
        let own = Arc::new(Self {
            executor: RwLock::new(Some(Arc::clone(&executor))),
            alive: Arc::default(),
            stop,
            threads: Mutex::default(),
        });
        for index in 0..threads {
            let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
            let hub = WeakHub { kind: WeakKind::Own(Arc::downgrade(&own)) };
            let thread = settings.start(index, move || {
                let _entered = hub.context().enter();
                // Nothing is ever sent: the answer is that the channel was closed.
                let _closed = async_io::block_on(executor.run(stopped.recv()));
            })?;
            own.lock_threads().push(thread);
        }
        Ok(own)
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(executor) = self.executor() {
            let counted = Counted { future, _count: Count::one_more(&self.alive) };
            executor.spawn(counted).detach();
        }
    }

    /// What runs its tasks; None once it was shut down.
    pub(crate) fn executor(&self) -> Option<Arc<Executor<'static>>> {
        self.executor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let before = self.alive();
        let dropped = self.alive.wait(grace);
        self.stop();
        let executor = self.executor.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(executor);
        ShutdownReport { ended: before.saturating_sub(dropped), dropped }
    }

    /// How many tasks have not ended.
    pub(crate) fn alive(&self) -> usize {
        *self.alive.lock()
    }

    pub(crate) fn threads(&self) -> usize {
        self.lock_threads().len()
    }

    /// Stops the threads and waits for them, unless this is one of them.
    fn stop(&self) {
        self.stop.close();
        let threads = std::mem::take(&mut *self.lock_threads());
        let here = thread::current().id();
        if threads.iter().all(|thread| thread.thread().id() != here) {
            for thread in threads {
                // A worker's panic has been reported by the panic hook; the others still stop.
                drop(thread.join());
            }
        }
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

/// The number of tasks that have not ended.
#[derive(Default)]
struct Alive {
    count: Mutex<usize>,
    none: Condvar,
}

impl Alive {
    /// Waits until there are none, for as long as `grace`; returns how many are left.
    fn wait(&self, grace: Duration) -> usize {
        let waited = self.none.wait_timeout_while(self.lock(), grace, |count| *count > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One task that has not ended. Dropping it says that it has.
struct Count {
    alive: Arc<Alive>,
}

impl Count {
    fn one_more(alive: &Arc<Alive>) -> Self {
        *alive.lock() += 1;
        Self { alive: Arc::clone(alive) }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let mut count = self.alive.lock();
        *count -= 1;
        if *count == 0 {
            self.alive.none.notify_all();
        }
    }
}

pin_project! {
    struct Counted<F> {
        #[pin]
        future: F,
        // Declared last: the future is dropped first.
        _count: Count,
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().future.poll(cx)
    }
}
