//! The promises of kills and ends: a panicking waker does not keep another from being woken, and no
//! waker is dropped under a lock.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use spinney::task::iwait;
use spinney::{Handle, catch_exit, shield};
use spinney_greenlet::pair;
use spinney_tests::tools::blow_up;

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        blow_up("the waker");
    }
}

/// Counts its wake-ups.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Uses a greenlet's lock when it is dropped.
struct Asks(Handle);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Asks {
    fn drop(&mut self) {
        assert!(
            self.0.name().is_none() && self.0.exit().is_none_or(|exit| exit.reason().is_none())
        );
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn panicking_waker_of_a_scope_strands_no_other() {
    let counts = Arc::new(Counts::default());
    let (panics, woken) = (Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&counts)));
    let inner = woken.clone();
    let (task, greenlet) = pair(
        async move {
            let mut scopes = [(); 3].map(|()| Box::pin(catch_exit(pending::<()>())));
            for (scope, waker) in scopes.iter_mut().zip([&panics, &inner, &panics]) {
                assert!(!poll(scope.as_mut(), waker));
            }
            poll_fn(|_| Poll::<()>::Pending).await;
        },
        (),
    );
    let mut task = pin!(task);
    assert!(!poll(task.as_mut(), &woken));
    greenlet.kill_now();
    assert_eq!(counts.0.load(SeqCst), 2, "not exactly the wakers of scope and task were woken");
}

#[test]
fn panicking_waker_of_a_task_is_contained() {
    let (task, greenlet) = pair(shield(pending::<()>()), ());
    let mut task = pin!(task);
    assert!(!poll(task.as_mut(), &Waker::from(Arc::new(Panics))));
    greenlet.kill_now();
    greenlet.abort();
    assert!(poll(task.as_mut(), Waker::noop()));
    assert!(greenlet.is_ready());
}

#[test]
fn panicking_waker_of_a_set_strands_no_other() {
    let counts = Arc::new(Counts::default());
    let (task, greenlet) = pair(async {}, ());
    let mut set = iwait([greenlet]);
    assert!(!poll(pin!(set.next()), &Waker::from(Arc::new(Panics))));
    assert!(!poll(pin!(set.next()), &Waker::from(Arc::clone(&counts))));
    assert!(poll(pin!(task), Waker::noop()));
    assert_eq!(counts.0.load(SeqCst), 1);
}

#[test]
fn waker_that_uses_its_greenlet_is_dropped_unlocked() {
    let (task, greenlet) = pair(
        async {
            let mut scope = Box::pin(catch_exit(shield(pending::<()>())));
            poll_fn(|cx| Poll::Ready(scope.as_mut().poll(cx).is_ready())).await;
            pending::<()>().await;
        },
        (),
    );
    let asks = || Waker::from(Arc::new(Asks(greenlet.handle().clone())));
    let mut task = Box::pin(task);
    for _ in 0..3 {
        assert!(!poll(task.as_mut(), &asks()));
    }
    let mut join = greenlet.join();
    for _ in 0..3 {
        assert!(!poll(Pin::new(&mut join), &asks()));
    }
    drop(join);
    greenlet.kill_now();
    assert!(!poll(task.as_mut(), &asks()));
    greenlet.abort();
    assert!(poll(task.as_mut(), &asks()));
}
