//! The promises of semaphores with weights, re-entrant locks, conditions, barriers and latches,
//! between greenlets.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::sync::{Barrier, BoundedSemaphore, Closed, Condition, Latch, OverRelease, RLock};
use spinney::task::joinall;
use spinney::task::{Owner, spawn_on};
use spinney::{Semaphore, Within, catch_exit, yield_now};
use spinney_tests::tools::{Count, Gauge, Log, gate, polled};
use spinney_tests::{SEEDS, SimHub, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);

on_every_hub! {
    async fn weights_of_holders_never_exceed_the_permits(hub) {
        let (seats, weight) = (Arc::new(Semaphore::new(3)), Arc::new(AtomicUsize::new(0)));
        let greenlets: Vec<_> = (0..30)
            .map(|n| {
                let (seats, weight) = (Arc::clone(&seats), Arc::clone(&weight));
                spawn_on(hub, async move {
                    let permit = seats.acquire_many(n % 4).await.unwrap();
                    assert!(weight.fetch_add(permit.permits(), SeqCst) + permit.permits() <= 3);
                    yield_now().await;
                    weight.fetch_sub(permit.permits(), SeqCst);
                })
            })
            .collect();
        for greenlet in greenlets {
            greenlet.await.unwrap();
        }
        assert_eq!((seats.available(), seats.waiting()), (3, 0));
    }

    async fn close_refuses_all_waiters(hub) {
        let (seats, waits) = (Arc::new(Semaphore::new(1)), [gate(), gate()]);
        let held = seats.try_acquire().unwrap();
        let greenlets = waits.each_ref().map(|waits| {
            let (seats, waits) = (Arc::clone(&seats), Arc::clone(waits));
            spawn_on(hub, async move { polled(waits, seats.acquire()).await.err() })
        });
        for waits in waits {
            waits.wait().await;
        }
        seats.close();
        for greenlet in greenlets {
            assert_eq!(greenlet.await.unwrap(), Some(Closed));
        }
        drop(held);
        assert_eq!(seats.acquire().await.err(), Some(Closed));
    }

    async fn bounded_semaphore_refuses_an_over_release(hub) {
        let (seats, inside) = (Arc::new(BoundedSemaphore::new(2)), Gauge::default());
        let greenlets: Vec<_> = (0..10)
            .map(|n| {
                let (seats, inside) = (Arc::clone(&seats), inside.clone());
                spawn_on(hub, async move {
                    let permit = seats.acquire().await.unwrap();
                    let guard = inside.enter();
                    yield_now().await;
                    drop(guard);
                    if n % 2 == 0 {
                        permit.forget();
                        seats.release(1).unwrap();
                    }
                })
            })
            .collect();
        for greenlet in greenlets {
            greenlet.await.unwrap();
        }
        assert!(inside.peak() <= 2);
        assert_eq!(seats.release(1), Err(OverRelease));
        assert_eq!((seats.available(), seats.capacity()), (2, 2));
    }

    async fn greenlet_takes_its_own_lock_again_while_others_wait(hub) {
        let (lock, inside) = (Arc::new(RLock::new()), Gauge::default());
        let greenlets: Vec<_> = (0..10)
            .map(|_| {
                let (lock, inside) = (Arc::clone(&lock), inside.clone());
                spawn_on(hub, async move {
                    let outer = lock.acquire(Owner::current()).await;
                    let guard = inside.enter();
                    yield_now().await;
                    let inner = lock.acquire(Owner::current()).await;
                    assert_eq!((lock.depth(), lock.owner()), (2, Some(Owner::current())));
                    yield_now().await;
                    drop(inner);
                    yield_now().await;
                    drop(guard);
                    drop(outer);
                })
            })
            .collect();
        for greenlet in greenlets {
            greenlet.await.unwrap();
        }
        assert_eq!((inside.peak(), lock.depth(), lock.waiting()), (1, 0, 0));
    }

    async fn lock_is_not_shared_with_spawned_greenlets(hub) {
        let lock = Arc::new(RLock::new());
        let tries = |lock: Arc<RLock<Owner>>| async move {
            lock.try_acquire(Owner::current()).is_some()
        };
        let held = lock.acquire(Owner::current()).await;
        assert!(!spawn_on(hub, tries(Arc::clone(&lock))).await.unwrap());
        drop(held);
        assert!(spawn_on(hub, tries(Arc::clone(&lock))).await.unwrap());
    }

    async fn lock_is_released_when_its_owner_is_killed(hub) {
        let (lock, holds) = (Arc::new(RLock::new()), gate());
        let owner = {
            let (lock, holds) = (Arc::clone(&lock), Arc::clone(&holds));
            spawn_on(hub, async move {
                let _outer = lock.acquire(Owner::current()).await;
                let caught = catch_exit(async {
                    let _inner = lock.acquire(Owner::current()).await;
                    holds.set();
                    std::future::pending::<()>().await;
                });
                let caught = caught.await.is_err();
                (caught, lock.depth())
            })
        };
        holds.wait().await;
        owner.kill_now();
        drop(lock.acquire(Owner::current()).await);
        assert_eq!(owner.await.unwrap(), (true, 1));
    }

    async fn condition_hands_over_all_items(hub) {
        const GOODS: usize = 30;
        let shop = Arc::new((Semaphore::new(1), Condition::new(), AtomicUsize::new(0)));
        let taken = Count::to(GOODS);
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let (shop, taken) = (Arc::clone(&shop), taken.clone());
                spawn_on(hub, async move {
                    let (lock, filled, stock) = &*shop;
                    loop {
                        let permit = lock.acquire().await.unwrap();
                        let empty = || stock.load(SeqCst) == 0;
                        let _permit = filled.wait_while(permit, empty).await.unwrap();
                        stock.fetch_sub(1, SeqCst);
                        taken.add();
                    }
                })
            })
            .collect::<Vec<spinney::Greenlet<()>>>();
        let (lock, filled, stock) = &*shop;
        for _ in 0..GOODS {
            let _permit = lock.acquire().await.unwrap();
            stock.fetch_add(1, SeqCst);
            filled.notify(1);
        }
        taken.reached().await;
        spinney::task::killall(takers).await;
        assert_eq!((lock.available(), filled.waiting(), stock.load(SeqCst)), (1, 0, 0));
    }

    async fn notify_all_reaches_each_waiter(hub) {
        let (lock, changed) = (Arc::new(Semaphore::new(1)), Arc::new(Condition::new()));
        let greenlets: Vec<_> = (0..5)
            .map(|_| {
                let (lock, changed) = (Arc::clone(&lock), Arc::clone(&changed));
                spawn_on(hub, async move {
                    let permit = lock.acquire().await.unwrap();
                    drop(changed.wait(permit).await.unwrap());
                })
            })
            .collect();
        while changed.waiting() < 5 {
            yield_now().await;
        }
        changed.notify_all();
        for greenlet in greenlets {
            greenlet.await.unwrap();
        }
        assert_eq!(lock.available(), 1);
    }

    async fn barrier_opens_for_all_at_once_and_one_leads(hub) {
        const ROUNDS: usize = 5;
        let (barrier, log) = (Arc::new(Barrier::new(3)), Log::default());
        let greenlets: Vec<_> = (0..3)
            .map(|_| {
                let (barrier, log) = (Arc::clone(&barrier), log.clone());
                spawn_on(hub, async move {
                    let mut led = 0;
                    for round in 0..ROUNDS {
                        log.add(round);
                        led += usize::from(barrier.wait().await);
                    }
                    led
                })
            })
            .collect();
        let mut led = 0;
        for greenlet in greenlets {
            led += greenlet.await.unwrap();
        }
        let log = log.take();
        assert!(log.is_sorted(), "a task was a round ahead: {log:?}");
        assert_eq!((led, log.len(), barrier.waiting()), (ROUNDS, 3 * ROUNDS, 0));
    }

    async fn latch_opens_with_the_last_count_and_stays_open(hub) {
        let (latch, done) = (Arc::new(Latch::new(5)), Count::to(5));
        for _ in 0..5 {
            let (latch, done) = (Arc::clone(&latch), done.clone());
            let work = async move {
                yield_now().await;
                done.add();
                latch.count_down();
            };
            spawn_on(hub, work).detach();
        }
        latch.wait().await;
        assert_eq!((done.get(), latch.count()), (5, 0));
        latch.count_down();
        assert!(poll_once(latch.wait()).await.is_some());
    }
}

#[test]
fn heavy_and_light_waiters_are_served_in_fifo_order() {
    SimHub::check(0..SEEDS, |sim| {
        let (seats, got) = (Rc::new(Semaphore::new(3)), Rc::new(RefCell::new(Vec::new())));
        let held = seats.try_acquire().unwrap();
        let mut greenlets = Vec::new();
        for (n, weight) in [3, 1, 3, 1].into_iter().enumerate() {
            let (here, got) = (Rc::clone(&seats), Rc::clone(&got));
            greenlets.push(spawn_on(sim, async move {
                let _permit = here.acquire_many(weight).await.unwrap();
                got.borrow_mut().push(n);
                yield_now().await;
            }));
            sim.block_on(async {
                while seats.waiting() <= n {
                    yield_now().await;
                }
            });
        }
        assert_eq!(seats.available(), 2, "a light waiter overtook");
        drop(held);
        sim.block_on(joinall(&greenlets));
        assert_eq!(*got.borrow(), [0, 1, 2, 3]);
        assert_eq!(seats.available(), 3);
    });
}

#[test]
fn timed_out_wait_leaves_nothing_behind() {
    SimHub::check(0..SEEDS, |sim| {
        sim.block_on(async {
            let seats = Semaphore::new(1);
            let seat = seats.acquire().await.unwrap();
            assert!(seats.acquire_many(2).within(SECOND).await.is_err());
            assert_eq!((sim.elapsed(), seats.waiting()), (SECOND, 0));

            let changed = Condition::new();
            assert!(changed.wait(seat).within(SECOND).await.is_err());
            assert_eq!((seats.available(), changed.waiting()), (1, 0));

            let lock = RLock::new();
            let held = lock.try_acquire("me").unwrap();
            assert!(lock.acquire("you").within(SECOND).await.is_err());
            assert_eq!((lock.depth(), lock.waiting()), (1, 0));
            drop(held);

            let barrier = Barrier::new(2);
            assert!(barrier.wait().within(SECOND).await.is_err());
            assert_eq!(barrier.waiting(), 0, "a killed waiter counts");
            assert!(Latch::new(1).wait().within(SECOND).await.is_err());
            assert_eq!(sim.elapsed(), 5 * SECOND);
        });
    });
}
