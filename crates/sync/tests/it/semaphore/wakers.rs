//! Wakers run and are dropped outside the semaphore's lock, and only the newest one is woken.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spinney_sync::{Acquire, Semaphore};

/// A waker that uses the semaphore when it is woken and when it is dropped.
struct Nosy {
    semaphore: Weak<Semaphore>,
    woken: AtomicBool,
}

impl Nosy {
    fn new(semaphore: &Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self { semaphore: Arc::downgrade(semaphore), woken: AtomicBool::new(false) })
    }

    fn look(&self) {
        if let Some(semaphore) = self.semaphore.upgrade() {
            drop(semaphore.try_acquire());
            drop(Acquire::of(&*semaphore));
        }
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.look();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

type Owned = Acquire<Arc<Semaphore>>;

fn poll(acquire: &mut Owned, waker: &Arc<Nosy>) -> bool {
    let waker = Waker::from(Arc::clone(waker));
    matches!(Pin::new(acquire).poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(_)))
}

/// Runs `test` on a thread of its own, so that a deadlock fails instead of hanging. Only a failure
/// reaches the limit.
#[track_caller]
fn must_end(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(10)).expect("the test deadlocked or failed");
}

#[test]
fn repoll_replaces_the_waker() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.try_acquire().unwrap();
    let [old, new] = [Nosy::new(&semaphore), Nosy::new(&semaphore)];
    let mut waiter = Acquire::of(Arc::clone(&semaphore));
    assert!(!poll(&mut waiter, &old));
    assert!(!poll(&mut waiter, &new));
    assert_eq!(Arc::strong_count(&old), 1, "the old waker was not dropped");
    drop(held);
    assert_eq!((old.woken.load(SeqCst), new.woken.load(SeqCst)), (false, true));
    assert!(poll(&mut waiter, &new));
}

#[test]
fn waker_may_use_the_semaphore_when_it_is_woken() {
    must_end(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.try_acquire().unwrap();
        let waker = Nosy::new(&semaphore);
        let mut waiting: Vec<_> = (0..3).map(|_| Acquire::of(Arc::clone(&semaphore))).collect();
        assert!(waiting.iter_mut().all(|waiter| !poll(waiter, &waker)));
        semaphore.resize(2);
        drop(held);
        semaphore.close();
        assert!(waker.woken.load(SeqCst));
    });
}

#[test]
fn waker_may_use_the_semaphore_when_its_waiter_is_dropped() {
    must_end(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waker = Nosy::new(&semaphore);
        let mut waiter = Acquire::of(Arc::clone(&semaphore));
        assert!(!poll(&mut waiter, &waker));
        drop(waker);
        drop(waiter);
        assert_eq!(semaphore.waiting(), 0);
    });
}

#[test]
fn waker_may_use_the_semaphore_when_a_repoll_replaces_it() {
    must_end(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let old = Nosy::new(&semaphore);
        let mut waiter = Acquire::of(Arc::clone(&semaphore));
        assert!(!poll(&mut waiter, &old));
        drop(old);
        assert!(!poll(&mut waiter, &Nosy::new(&semaphore)));
        assert_eq!(semaphore.waiting(), 1);
    });
}

#[test]
fn try_acquire_in_a_waker_takes_no_permit_of_a_waiter() {
    struct Lucky {
        semaphore: Arc<Semaphore>,
        luck: AtomicBool,
    }
    impl Wake for Lucky {
        fn wake(self: Arc<Self>) {
            // The permits of later waiters have not been handed out yet.
            self.luck.fetch_or(self.semaphore.try_acquire().is_ok(), SeqCst);
        }
    }
    let semaphore = Arc::new(Semaphore::new(0));
    let lucky = Arc::new(Lucky { semaphore: Arc::clone(&semaphore), luck: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&lucky));
    let mut waiting: Vec<_> = (0..3).map(|_| semaphore.acquire()).collect();
    for waiter in &mut waiting {
        assert!(Pin::new(waiter).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    semaphore.resize(3);
    assert!(!lucky.luck.load(SeqCst));
    assert_eq!((semaphore.out(), semaphore.waiting()), (3, 0));
}
