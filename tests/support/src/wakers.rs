//! Wakers that tests create by hand, and a task that gives its own waker away.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The source of a waker that does nothing. Its reference count counts the waker's clones.
#[derive(Debug, Default)]
pub struct NoWake;

impl Wake for NoWake {
    fn wake(self: Arc<Self>) {}
}

/// Holds `guard` and waits for ever; sends its waker away once.
///
/// # Panics
///
/// Panics if the receiver is gone.
pub async fn send_waker<G>(to: Sender<Waker>, guard: G) {
    let _guard = guard;
    let mut to = Some(to);
    poll_fn(|cx| {
        if let Some(to) = to.take() {
            to.send(cx.waker().clone()).expect("a test receives the waker");
        }
        Poll::<()>::Pending
    })
    .await;
}

/// Runs `future` like a combinator that polls many futures in one task: with a waker of its own,
/// and only after that was woken.
pub async fn on_its_own_waker<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let own = Arc::new(OwnWaker { woken: AtomicBool::new(true), outer: Mutex::default() });
    poll_fn(move |cx| {
        *own.lock() = Some(cx.waker().clone());
        if !own.woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&own))))
    })
    .await
}

struct OwnWaker {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl OwnWaker {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.outer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for OwnWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        let outer = self.lock().take();
        outer.into_iter().for_each(Waker::wake);
    }
}
