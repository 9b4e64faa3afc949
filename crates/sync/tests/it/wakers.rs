//! Wakers are foreign code: a waker may panic without stranding another waiter; it may use the
//! primitive that it waits for when it is woken, replaced or dropped.

use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spinney_sync::{
    AsyncResult, Barrier, Channel, Condition, Event, Latch, Queue, RLock, Semaphore,
};
use spinney_test_support::ByHand;

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("an expected panic of a waker");
    }
}

/// `first` waits with a waker that panics, and `second` behind it; `trigger` must wake both and
/// return.
fn strands_nobody(first: impl Future, second: impl Future, trigger: impl FnOnce()) {
    let mut first = pin!(first);
    let waker = Waker::from(Arc::new(Panics));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut second = ByHand::waiting(second);
    trigger();
    assert!(second.wakes() > 0, "the second waiter was not woken");
    assert!(second.poll().is_ready());
}

#[test]
fn semaphore_wakes_the_others_when_a_waker_panics() {
    let on = |trigger: fn(&Semaphore)| {
        let semaphore = Semaphore::new(0);
        let acquire = || async { semaphore.acquire().await.map(drop) };
        strands_nobody(acquire(), acquire(), || trigger(&semaphore));
    };
    on(|semaphore| semaphore.resize(2));
    on(|semaphore| semaphore.add(2));
    on(|semaphore| semaphore.release(2));
    on(|seats| _ = seats.close());

    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let acquire = || async { drop(semaphore.acquire().await) };
    strands_nobody(acquire(), acquire(), || drop(held));

    let held = semaphore.try_acquire().unwrap();
    strands_nobody(semaphore.wait_idle(), semaphore.wait_idle(), || drop(held));

    semaphore.try_acquire_many(2).unwrap().forget();
    strands_nobody(acquire(), acquire(), || drop(semaphore.put_back(2)));
}

#[test]
fn queue_wakes_the_others_when_a_waker_panics() {
    let queue = Queue::<u32>::unbounded();
    strands_nobody(queue.get(), queue.get(), || queue.shutdown());
    let queue = Queue::<u32>::bounded(0);
    strands_nobody(queue.put(1), queue.put(2), || queue.shutdown());
    let queue = Queue::<u32>::bounded(0);
    strands_nobody(queue.put(1), queue.put(2), || drop(queue.shutdown_now()));
    let queue = Queue::<u32>::bounded(0);
    strands_nobody(queue.put(1), queue.put(2), || queue.resize(2));
    let queue = Queue::<u32>::unbounded();
    strands_nobody(queue.peek(), queue.get(), || queue.put_nowait(1).unwrap());
    let queue = Queue::from_iter([1]);
    strands_nobody(queue.join(), queue.join(), || queue.task_done().unwrap());
}

#[test]
fn queue_keeps_its_item_when_a_waker_panics() {
    let queue = Queue::bounded(1);
    queue.put_nowait(1).unwrap();
    let mut put = queue.put(2);
    let waker = Waker::from(Arc::new(Panics));
    assert!(Pin::new(&mut put).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(queue.get_nowait(), Ok(1), "the getter has no item");
    assert_eq!(queue.get_nowait(), Ok(2));
}

#[test]
fn channel_wakes_the_putter_when_the_getter_s_waker_panics() {
    let channel = Channel::new();
    let mut getter = channel.get();
    let waker = Waker::from(Arc::new(Panics));
    assert!(Pin::new(&mut getter).poll(&mut Context::from_waker(&waker)).is_pending());
    let mut putter = ByHand::waiting(channel.put(1));
    assert_eq!(putter.wakes(), 1);
    assert_eq!(ByHand::of(getter).poll(), Poll::Ready(Ok(1)));
    assert!(putter.poll().is_ready());
}

#[test]
fn other_primitives_wake_all_when_a_waker_panics() {
    let event = Event::new();
    strands_nobody(event.wait(), event.wait(), || event.set());
    let result = AsyncResult::<u32>::new();
    strands_nobody(result.get(), result.get(), || result.set(1).unwrap());
    let latch = Latch::new(1);
    strands_nobody(latch.wait(), latch.wait(), || latch.count_down());
    let barrier = Barrier::new(3);
    strands_nobody(barrier.wait(), barrier.wait(), || {
        assert!(ByHand::of(barrier.wait()).poll().is_ready());
    });
    let (semaphore, condition) = (Semaphore::new(2), Condition::new());
    let wait = || async {
        let permit = semaphore.acquire().await.unwrap();
        drop(condition.wait(permit).await);
    };
    strands_nobody(wait(), wait(), || condition.notify_all());
    let lock = RLock::new();
    let held = lock.try_acquire(1).unwrap();
    strands_nobody(lock.acquire(2), lock.acquire(2), || drop(held));
}

/// A waker that uses `T` when it is woken and when it is dropped.
struct Nosy<T> {
    at: Weak<T>,
    look: fn(&T),
    looks: Arc<AtomicUsize>,
}

impl<T> Nosy<T> {
    fn look(&self) {
        if let Some(at) = self.at.upgrade() {
            (self.look)(&at);
            self.looks.fetch_add(1, SeqCst);
        }
    }
}

impl<T: Send + Sync> Wake for Nosy<T> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl<T> Drop for Nosy<T> {
    fn drop(&mut self) {
        self.look();
    }
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

/// Wakers use `world` when they are replaced, woken, and dropped with the wait.
#[track_caller]
fn may_look<T: Send + Sync + 'static>(
    world: T,
    wait: for<'a> fn(&'a T) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
    trigger: fn(&T),
    look: fn(&T),
) {
    must_end(move || {
        let (world, looks) = (Arc::new(world), Arc::new(AtomicUsize::new(0)));
        let poll = |future: &mut Pin<Box<dyn Future<Output = ()> + '_>>| {
            let (at, looks) = (Arc::downgrade(&world), Arc::clone(&looks));
            let waker = Waker::from(Arc::new(Nosy { at, look, looks }));
            future.as_mut().poll(&mut Context::from_waker(&waker))
        };
        let (mut woken, mut dropped) = (wait(&world), wait(&world));
        assert!(poll(&mut woken).is_pending());
        assert!(poll(&mut woken).is_pending());
        assert_eq!(looks.load(SeqCst), 1, "the first waker was replaced");
        assert!(poll(&mut dropped).is_pending());
        drop(dropped);
        assert_eq!(looks.load(SeqCst), 2, "the waker of a dropped wait was dropped");
        trigger(&world);
        assert_eq!(looks.load(SeqCst), 4, "woken, and dropped then");
        drop(woken);
    });
}

#[test]
fn waker_may_use_the_primitive_it_waits_for() {
    may_look(Event::new(), |e| Box::pin(e.wait()), Event::set, |e| drop(format!("{e:?}")));
    may_look(
        AsyncResult::<u32>::new(),
        |result| Box::pin(async { _ = result.get().await }),
        |result| result.set(1).unwrap(),
        |result| _ = ByHand::of(result.get()).poll(),
    );
}

#[test]
fn waker_may_use_the_lock_or_line_it_waits_in() {
    may_look(
        Barrier::new(3),
        |barrier| Box::pin(async { _ = barrier.wait().await }),
        |barrier| {
            let _second = ByHand::waiting(barrier.wait());
            assert!(ByHand::of(barrier.wait()).poll().is_ready());
        },
        |barrier| assert!(barrier.waiting() < 3),
    );
    may_look(
        Latch::new(1),
        |latch| Box::pin(latch.wait()),
        Latch::count_down,
        |latch| drop(format!("{:?} {}", latch, latch.is_open())),
    );
    may_look(
        (Semaphore::new(2), Condition::new()),
        |(semaphore, condition)| {
            Box::pin(async {
                let permit = semaphore.acquire().await.unwrap();
                drop(condition.wait(permit).await);
            })
        },
        |(_, condition)| condition.notify_all(),
        |(_, condition)| condition.notify(0),
    );
    let lock = RLock::new();
    lock.try_acquire(1).unwrap().forget();
    may_look(
        lock,
        |lock| Box::pin(async { drop(lock.acquire(2).await) }),
        |lock| lock.release(&1).unwrap(),
        |lock| assert!(lock.waiting() < 2),
    );
}

#[test]
fn owner_may_use_the_lock_when_it_is_dropped() {
    #[derive(Clone)]
    struct Nosy(u32, Weak<RLock<Nosy>>);
    impl PartialEq for Nosy {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Nosy {}
    impl std::hash::Hash for Nosy {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            if let Some(lock) = self.1.upgrade() {
                assert!(lock.waiting() < 3);
            }
        }
    }
    must_end(|| {
        let lock = Arc::new(RLock::new());
        let owner = |id| Nosy(id, Arc::downgrade(&lock));
        let held = lock.try_acquire(owner(1)).unwrap();
        assert!(lock.try_acquire(owner(2)).is_none());
        let dropped = ByHand::waiting(lock.acquire(owner(2)));
        drop(dropped);
        let mut waiting = [2, 2].map(|id| ByHand::waiting(lock.acquire(owner(id))));
        drop(held);
        assert!(waiting.iter_mut().all(|waiter| waiter.poll().is_ready()));
        assert!(!lock.is_locked());
    });
}
