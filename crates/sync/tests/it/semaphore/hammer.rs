//! Four threads that acquire, release, cancel and resize.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use futures_lite::future::{block_on, poll_once};
use spinney_sync::Semaphore;

const THREADS: u64 = 4;
const ROUNDS: usize = 10_000;

#[test]
fn holders_never_exceed_the_capacity() {
    const CAPACITY: usize = 2;
    let semaphore = Semaphore::new(CAPACITY);
    let inside = AtomicUsize::new(0);
    let pass = || {
        assert!(inside.fetch_add(1, SeqCst) < CAPACITY);
        thread::yield_now();
        inside.fetch_sub(1, SeqCst);
    };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (semaphore, pass) = (&semaphore, &pass);
            scope.spawn(move || block_on(come_and_go(semaphore, seed, pass)));
        }
    });
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn weights_of_holders_never_exceed_the_capacity() {
    const CAPACITY: usize = 4;
    let semaphore = Semaphore::new(CAPACITY);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (semaphore, inside) = (&semaphore, &inside);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..ROUNDS {
                    let weight = rng.usize(0..=CAPACITY);
                    let mut acquire = semaphore.acquire_many(weight);
                    let at_once = block_on(poll_once(&mut acquire));
                    if at_once.is_none() && rng.bool() {
                        thread::yield_now();
                        continue;
                    }
                    let permit = at_once.unwrap_or_else(|| block_on(acquire)).unwrap();
                    assert!(inside.fetch_add(weight, SeqCst) + weight <= CAPACITY);
                    thread::yield_now();
                    inside.fetch_sub(weight, SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
    assert_eq!(semaphore.available(), 4);
}

#[test]
fn no_waiter_is_lost_during_resizes() {
    let semaphore = Semaphore::new(1);
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let semaphore = &semaphore;
            scope.spawn(move || block_on(come_and_go(semaphore, seed, || ())));
        }
        for size in (0..4).cycle().take(ROUNDS) {
            semaphore.resize(size);
            thread::yield_now();
        }
        semaphore.resize(1);
    });
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

/// Acquires and releases repeatedly, and from time to time cancels a wait.
async fn come_and_go(semaphore: &Semaphore, seed: u64, pass: impl Fn()) {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..ROUNDS {
        let mut acquire = pin!(semaphore.acquire());
        match rng.u8(..4) {
            0 => {
                if let Some(permit) = poll_once(acquire.as_mut()).await {
                    let _permit = permit.unwrap();
                    pass();
                } else if rng.bool() {
                    thread::yield_now();
                }
            }
            1 => {
                if let Ok(_permit) = semaphore.try_acquire() {
                    pass();
                }
            }
            _ => {
                let _permit = acquire.await.unwrap();
                pass();
            }
        }
    }
}
