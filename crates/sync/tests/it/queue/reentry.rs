//! Wakers run, and items and wakers are dropped, outside the queue's lock.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use spinney_sync::Queue;

/// An item, or a waker, that uses its queue when it is woken, copied or dropped.
struct Nosy {
    queue: Weak<Queue<Arc<Nosy>>>,
    looks: Arc<AtomicUsize>,
}

impl Nosy {
    fn look(&self) {
        if let Some(queue) = self.queue.upgrade() {
            assert!(queue.len() <= 2);
            self.looks.fetch_add(1, SeqCst);
        }
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

/// Runs `test` on a thread of its own, so that a deadlock fails instead of hanging. Only a failure
/// reaches the limit.
#[track_caller]
fn must_end(test: impl FnOnce(&Arc<Queue<Arc<Nosy>>>, &dyn Fn() -> Arc<Nosy>) + Send + 'static) {
    let (done, ended) = channel();
    thread::spawn(move || {
        let queue = Arc::new(Queue::bounded(1));
        let looks = Arc::default();
        let nosy = || Arc::new(Nosy { queue: Arc::downgrade(&queue), looks: Arc::clone(&looks) });
        test(&queue, &nosy);
        assert!(looks.load(SeqCst) > 0, "the queue was never used");
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(10)).expect("the test deadlocked or failed");
}

#[track_caller]
fn waits(future: impl Future + Unpin, waker: Arc<Nosy>) {
    let mut future = future;
    let waker = Waker::from(waker);
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn waker_may_use_the_queue_when_it_is_woken() {
    must_end(|queue, nosy| {
        let mut gets = [queue.get(), queue.get()];
        for get in &mut gets {
            waits(get, nosy());
        }
        queue.put_nowait(nosy()).unwrap();
        queue.shutdown();
        drop(gets);
    });
    must_end(|queue, nosy| {
        queue.put_nowait(nosy()).unwrap();
        let mut puts = [queue.put(nosy()), queue.put(nosy())];
        for put in &mut puts {
            waits(put, nosy());
        }
        drop(queue.get_nowait());
        drop(queue.shutdown_now());
    });
}

#[test]
fn waker_may_use_the_queue_when_it_is_dropped() {
    must_end(|queue, nosy| {
        let mut get = queue.get();
        waits(&mut get, nosy());
        waits(&mut get, nosy());
        drop(get);
        let mut peek = queue.peek();
        waits(&mut peek, nosy());
        drop(peek);
    });
    must_end(|queue, nosy| {
        queue.put_nowait(nosy()).unwrap();
        let mut put = queue.put(nosy());
        waits(&mut put, nosy());
        waits(&mut put, nosy());
        drop(put);
    });
}

#[test]
fn item_may_use_the_queue_when_it_is_dropped() {
    must_end(|queue, nosy| {
        drop(queue.put(nosy()));
        queue.put_nowait(nosy()).unwrap();
        drop(queue.put_nowait(nosy()));
        let mut waiting = queue.put(nosy());
        waits(&mut waiting, nosy());
        drop(waiting);
        let mut refused = queue.put(nosy());
        waits(&mut refused, nosy());
        drop(queue.shutdown_now());
        drop(refused);
    });
}

#[test]
fn copy_may_use_the_queue_when_it_is_dropped_with_its_peek() {
    /// Its copies use the queue when they are dropped.
    struct Item(Option<Weak<Queue<Item>>>, Weak<Queue<Item>>);
    impl Clone for Item {
        fn clone(&self) -> Self {
            Self(Some(Weak::clone(&self.1)), Weak::new())
        }
    }
    impl Drop for Item {
        fn drop(&mut self) {
            if let Some(queue) = self.0.as_ref().and_then(Weak::upgrade) {
                assert_eq!(queue.len(), 1);
            }
        }
    }
    let (done, ended) = channel();
    thread::spawn(move || {
        let queue = Arc::new(Queue::bounded(1));
        let mut peek = queue.peek();
        assert!(Pin::new(&mut peek).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        queue.put_nowait(Item(None, Arc::downgrade(&queue))).ok().unwrap();
        drop(peek);
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(10)).expect("the test deadlocked or failed");
}

#[test]
fn repoll_replaces_the_waker() {
    let queue = Arc::new(Queue::bounded(1));
    let looks = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let [old, new] =
        looks.clone().map(|looks| Arc::new(Nosy { queue: Arc::downgrade(&queue), looks }));
    let mut get = queue.get();
    waits(&mut get, Arc::clone(&old));
    waits(&mut get, Arc::clone(&new));
    assert_eq!(Arc::strong_count(&old), 1, "the old waker was not dropped");
    queue.put_nowait(Arc::clone(&old)).unwrap();
    assert_eq!(looks.map(|looks| looks.load(SeqCst)), [0, 1]);
    drop(get);
}
