//! Re-entrant locks, barriers and latches.

use std::pin::pin;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use spinney_sync::{Barrier, Latch, RLock};

use crate::{join, model, once, spawn};

#[test]
fn reentrant_lock_has_one_owner() {
    model(|| {
        let (lock, inside) = (Arc::new(RLock::new()), Arc::new(AtomicUsize::new(0)));
        let enter_twice = |owner: usize| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            async move {
                let _outer = lock.acquire(owner).await;
                assert_eq!(inside.swap(owner, Relaxed), 0);
                let _inner = lock.acquire(owner).await;
                assert_eq!(inside.swap(0, Relaxed), owner);
            }
        };
        let others = [1, 2].map(|owner| spawn(enter_twice(owner)));
        block_on(enter_twice(3));
        join(others);
        assert_eq!((lock.depth(), lock.owner(), lock.waiting()), (0, None, 0));
    });
}

#[test]
fn waiter_dropped_during_the_hand_over_passes_the_lock_on() {
    model(|| {
        let lock = Arc::new(RLock::new());
        let held = lock.try_acquire(0).unwrap();
        let fickle = {
            let lock = Arc::clone(&lock);
            spawn(async move { drop(once(&mut pin!(lock.acquire(1))).await) })
        };
        let steady = {
            let lock = Arc::clone(&lock);
            spawn(async move { drop(lock.acquire(2).await) })
        };
        drop(held);
        fickle.join().unwrap();
        steady.join().unwrap();
        assert!(!lock.is_locked());
    });
}

#[test]
fn one_of_the_tasks_at_a_barrier_leads() {
    model(|| {
        let barrier = Arc::new(Barrier::new(3));
        let come = || {
            let barrier = Arc::clone(&barrier);
            async move { usize::from(barrier.wait().await) }
        };
        let others = [spawn(come()), spawn(come())];
        let mine = block_on(come());
        let theirs: usize = join(others).iter().sum();
        assert_eq!(mine + theirs, 1);
        assert_eq!(barrier.waiting(), 0);
    });
}

#[test]
fn last_count_reaches_all_waiters() {
    model(|| {
        let latch = Arc::new(Latch::new(2));
        let waits = {
            let latch = Arc::clone(&latch);
            spawn(async move { latch.wait().await })
        };
        let counts = {
            let latch = Arc::clone(&latch);
            thread::spawn(move || latch.count_down())
        };
        latch.count_down();
        counts.join().unwrap();
        waits.join().unwrap();
        assert!(latch.is_open());
    });
}
