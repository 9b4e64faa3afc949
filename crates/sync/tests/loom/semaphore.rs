//! Permits that are acquired, released, cancelled, resized and closed at the same time.

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use spinney_sync::{Acquire, Semaphore};

use crate::{join, model, once, spawn};

/// The total weight of the holders.
#[derive(Default)]
struct Inside(AtomicUsize);

impl Inside {
    /// Acquires and releases `weight`; asserts that holders never exceed `capacity`.
    fn pass(&self, weight: usize, capacity: usize) {
        assert!(self.0.fetch_add(weight, Relaxed) + weight <= capacity);
        self.0.fetch_sub(weight, Relaxed);
    }
}

fn assert_at_rest(semaphore: &Semaphore) {
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

/// Three tasks acquire `weights` of `capacity` permits; all are served, and never exceed the
/// capacity.
fn contend(capacity: usize, weights: [usize; 3]) {
    let (semaphore, inside) = (Arc::new(Semaphore::new(capacity)), Arc::new(Inside::default()));
    let come = |weight| {
        let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
        async move {
            let _permit = semaphore.acquire_many(weight).await.unwrap();
            inside.pass(weight, capacity);
        }
    };
    let [one, two, three] = weights.map(come);
    let others = [spawn(one), spawn(two)];
    block_on(three);
    join(others);
    assert_at_rest(&semaphore);
}

#[test]
fn one_permit_serves_all_one_at_a_time() {
    model(|| contend(1, [1, 1, 1]));
}

#[test]
fn heavy_and_light_waiters_are_all_served() {
    model(|| contend(2, [2, 1, 1]));
}

#[test]
fn waiter_dropped_during_the_hand_over_passes_it_on() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = Acquire::of(Arc::clone(&semaphore));
        let held = block_on(held).unwrap();
        let fickle = {
            let mut acquire = Acquire::of(Arc::clone(&semaphore));
            spawn(async move { drop(once(&mut acquire).await) })
        };
        let steady = {
            let acquire = Acquire::of(Arc::clone(&semaphore));
            spawn(async { drop(acquire.await.unwrap()) })
        };
        drop(held);
        fickle.join().unwrap();
        steady.join().unwrap();
        assert_at_rest(&semaphore);
    });
}

#[test]
fn heavy_waiter_dropped_admits_those_behind() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let mut heavy = Acquire::many(Arc::clone(&semaphore), 2);
        assert!(block_on(once(&mut heavy)).is_none());
        let light = spawn(Acquire::of(Arc::clone(&semaphore)));
        drop(heavy);
        drop(light.join().unwrap().unwrap());
        assert_at_rest(&semaphore);
    });
}

#[test]
fn added_permits_reach_all_waiters() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let others = [(); 2].map(|()| spawn(Acquire::of(Arc::clone(&semaphore))));
        semaphore.add(2);
        for permit in join(others) {
            permit.unwrap().forget();
        }
        assert_eq!((semaphore.out(), semaphore.available(), semaphore.waiting()), (2, 0, 0));
    });
}

#[test]
fn smaller_capacity_holds_for_later_acquires() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let come_and_go = || {
            let acquire = Acquire::of(Arc::clone(&semaphore));
            spawn(async { drop(acquire.await.unwrap()) })
        };
        let others = [come_and_go(), come_and_go()];
        semaphore.resize(0);
        let late = semaphore.try_acquire().is_ok();
        semaphore.resize(1);
        join(others);
        assert!(!late);
        assert_at_rest(&semaphore);
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn newcomer_overtakes_no_waiter() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = block_on(Acquire::of(Arc::clone(&semaphore))).unwrap();
        let mut first = Acquire::of(Arc::clone(&semaphore));
        assert!(block_on(once(&mut first)).is_none());
        let gives_back = spawn(async { drop(held) });
        let overtakes = semaphore.try_acquire().is_ok();
        gives_back.join().unwrap();
        assert!(!overtakes);
        drop(block_on(first).unwrap());
        assert_at_rest(&semaphore);
    });
}

#[test]
fn acquires_without_waiting_are_counted() {
    model(|| {
        let (semaphore, inside) = (Arc::new(Semaphore::new(2)), Arc::new(Inside::default()));
        let come_and_go = || {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            spawn(async move {
                let permit = semaphore.try_acquire();
                if permit.is_ok() {
                    inside.pass(1, 2);
                }
                permit.is_ok()
            })
        };
        let others = [come_and_go(), come_and_go()];
        assert!(semaphore.out() <= 2);
        semaphore.add(1);
        assert_eq!(join(others), [true, true]);
        assert_eq!((semaphore.out(), semaphore.available(), semaphore.balance()), (0, 3, 3));
    });
}

#[test]
fn close_refuses_all_without_a_permit() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let come = || {
            let acquire = Acquire::of(Arc::clone(&semaphore));
            spawn(async { drop(acquire.await) })
        };
        let others = [come(), come()];
        semaphore.close();
        join(others);
        assert!(semaphore.try_acquire().is_err());
        assert_at_rest(&semaphore);
    });
}

#[test]
fn idle_wait_ends_when_the_last_permit_returns() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let mut waiting = Acquire::of(Arc::clone(&semaphore));
        let held = block_on(Acquire::of(Arc::clone(&semaphore))).unwrap();
        assert!(block_on(once(&mut waiting)).is_none());
        let asks = {
            let semaphore = Arc::clone(&semaphore);
            spawn(async move { semaphore.wait_idle().await })
        };
        let gives_up = spawn(async move { drop(waiting) });
        drop(held);
        gives_up.join().unwrap();
        asks.join().unwrap();
        assert_at_rest(&semaphore);
    });
}

#[test]
fn idle_wait_ends_without_waiters() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = [(); 2].map(|()| block_on(Acquire::of(Arc::clone(&semaphore))).unwrap());
        let asks = {
            let semaphore = Arc::clone(&semaphore);
            spawn(async move { semaphore.wait_idle().await })
        };
        drop(held);
        asks.join().unwrap();
        assert_at_rest(&semaphore);
    });
}
