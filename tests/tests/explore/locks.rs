//! `Barrier`, `Condition`, `Latch` and `RLock`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use spinney::sync::{Barrier, Condition, Latch, RLock};
use spinney::{Semaphore, Spawn, yield_now};

use crate::{Cancel, LONG, work};

explore! {
    fn owner_enters_again_and_others_wait(sim, 8) {
        let (lock, inside) = (Rc::new(RLock::new()), Rc::new(Cell::new(None)));
        for owner in 0..3_u32 {
            let (lock, inside) = (Rc::clone(&lock), Rc::clone(&inside));
            sim.spawn(async move {
                let outer = lock.acquire(owner).await;
                assert_eq!(inside.replace(Some(owner)), None);
                let inner = lock.acquire(owner).await;
                yield_now().await;
                drop(inner);
                assert_eq!(inside.replace(None), Some(owner));
                drop(outer);
            });
        }
        sim.run_until_idle();
        assert_eq!((lock.depth(), lock.waiting(), lock.owner()), (0, 0, None));
    }

    /// The cancel may come just when the lock was handed over, after long work.
    fn cancelled_owner_hands_the_lock_on(sim, 3) {
        let lock = Rc::new(RLock::new());
        let cancel = Cancel::at_any_time(sim);
        for (owner, turns) in [LONG, 1, LONG].into_iter().enumerate() {
            let (lock, cancel) = (Rc::clone(&lock), cancel.clone());
            sim.spawn(async move {
                let held = match owner {
                    1 => cancel.or(lock.acquire(owner)).await,
                    _ => Some(lock.acquire(owner).await),
                };
                work(turns).await;
                drop(held);
            });
        }
        sim.run_until_idle();
        assert_eq!((lock.depth(), lock.waiting()), (0, 0));
    }

    fn condition_misses_no_notification(sim, 8) {
        let (lock, changed) = (Rc::new(Semaphore::new(1)), Rc::new(Condition::new()));
        let (full, got) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..2 {
            let (lock, changed) = (Rc::clone(&lock), Rc::clone(&changed));
            let (full, got) = (Rc::clone(&full), Rc::clone(&got));
            sim.spawn(async move {
                let permit = lock.acquire().await.unwrap();
                let permit = changed.wait_while(permit, || full.get() == 0).await.unwrap();
                full.set(full.get() - 1);
                got.set(got.get() + 1);
                drop(permit);
            });
        }
        let fills = Rc::clone(&full);
        sim.spawn(async move {
            for _ in 0..2 {
                let permit = lock.acquire().await.unwrap();
                fills.set(fills.get() + 1);
                changed.notify(1);
                yield_now().await;
                drop(permit);
            }
        });
        sim.run_until_idle();
        assert_eq!((full.get(), got.get()), (0, 2));
    }

    /// The cancel may come just when the notification was given, after long work.
    fn notification_of_a_cancelled_waiter_goes_on(sim, 3) {
        let (lock, changed) = (Rc::new(Semaphore::new(1)), Rc::new(Condition::new()));
        let (woken, cancel) = (Rc::new(Cell::new(0)), Cancel::default());
        for n in 0..2 {
            let (lock, changed, cancel) = (Rc::clone(&lock), Rc::clone(&changed), cancel.clone());
            let woken = Rc::clone(&woken);
            sim.spawn(async move {
                let permit = lock.acquire().await.unwrap();
                let back = match n {
                    0 => cancel.or(changed.wait(permit)).await,
                    _ => Some(changed.wait(permit).await),
                };
                woken.set(woken.get() + usize::from(back.is_some()));
            });
        }
        sim.run_until_idle();
        assert_eq!(changed.waiting(), 2);
        sim.spawn(async move { cancel.0.set() });
        sim.block_on(async {
            work(LONG).await;
            changed.notify(1);
        });
        sim.run_until_idle();
        assert!(woken.get() > 0, "the notification was lost");
        changed.notify_all();
        sim.run_until_idle();
        assert_eq!((lock.available(), changed.waiting()), (1, 0));
    }

    fn barrier_lets_each_generation_pass_with_one_leader(sim, 8) {
        let (barrier, leaders) = (Rc::new(Barrier::new(2)), Rc::new(Cell::new(0)));
        for _ in 0..4 {
            let (barrier, leaders) = (Rc::clone(&barrier), Rc::clone(&leaders));
            sim.spawn(async move {
                let leads = barrier.wait().await;
                leaders.set(leaders.get() + u32::from(leads));
            });
        }
        sim.run_until_idle();
        assert_eq!((leaders.get(), barrier.waiting()), (2, 0));
    }

    fn cancelled_waiter_does_not_count_at_a_barrier(sim, 8) {
        let (barrier, passed) = (Rc::new(Barrier::new(2)), Rc::new(Cell::new(0)));
        let cancel = Cancel::at_any_time(sim);
        for n in 0..3 {
            let (barrier, passed) = (Rc::clone(&barrier), Rc::clone(&passed));
            let cancel = cancel.clone();
            sim.spawn(async move {
                let leads = match n {
                    0 => cancel.or(barrier.wait()).await,
                    _ => Some(barrier.wait().await),
                };
                passed.set(passed.get() + usize::from(leads.is_some()));
            });
        }
        // The third waits for a fourth, unless the first was cancelled before it counted.
        sim.run_until_idle();
        assert!(passed.get() + barrier.waiting() >= 2);
        if barrier.waiting() == 1 {
            sim.block_on(barrier.wait());
        }
        sim.run_until_idle();
        assert_eq!(barrier.waiting(), 0);
    }

    fn latch_opens_once_it_has_been_counted_down(sim, 8) {
        let (latch, done) = (Rc::new(Latch::new(2)), Rc::new(RefCell::new(0)));
        for _ in 0..2 {
            let (latch, done) = (Rc::clone(&latch), Rc::clone(&done));
            sim.spawn(async move {
                latch.wait().await;
                assert_eq!(*done.borrow(), 2);
            });
        }
        for _ in 0..2 {
            let (latch, done) = (Rc::clone(&latch), Rc::clone(&done));
            sim.spawn(async move {
                *done.borrow_mut() += 1;
                latch.count_down();
            });
        }
        sim.run_until_idle();
        assert!(latch.is_open());
    }
}
