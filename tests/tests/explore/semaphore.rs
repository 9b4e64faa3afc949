//! `BoundedSemaphore` and `Semaphore`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use spinney::sync::{Acquire, Barrier, BoundedSemaphore, TryAcquireError};
use spinney::{Event, Semaphore, Spawn, yield_now};
use spinney_sim::SimHub;

use crate::{Cancel, LONG, work};

/// The number of held permits, and its maximum.
#[derive(Default)]
struct Held {
    now: Cell<usize>,
    most: Cell<usize>,
}

impl Held {
    fn take(&self, permits: usize) {
        self.now.set(self.now.get() + permits);
        self.most.set(self.most.get().max(self.now.get()));
    }

    async fn during(&self, permits: usize) {
        self.take(permits);
        yield_now().await;
        self.give_back(permits);
    }

    fn give_back(&self, permits: usize) {
        self.now.set(self.now.get() - permits);
    }
}

/// Spawns a task that takes `permits` permits, and holds them for a while.
fn hold(sim: &SimHub, seats: &Rc<Semaphore>, held: &Rc<Held>, permits: usize) {
    let (seats, held) = (Rc::clone(seats), Rc::clone(held));
    sim.spawn(async move {
        let permit = seats.acquire_many(permits).await.unwrap();
        assert_eq!(permit.permits(), permits);
        held.during(permits).await;
        drop(permit);
    });
}

#[track_caller]
fn assert_idle(seats: &Semaphore, capacity: usize) {
    assert_eq!((seats.out(), seats.waiting(), seats.capacity()), (0, 0, capacity));
    let free = isize::try_from(capacity).unwrap();
    assert_eq!((seats.balance(), seats.available()), (free, free));
    assert!(seats.try_acquire_many(capacity).is_ok());
}

explore! {
    fn permits_are_never_more_than_there_are(sim, 8) {
        let (seats, held) = (Rc::new(Semaphore::new(2)), Rc::new(Held::default()));
        (0..4).for_each(|_| hold(sim, &seats, &held, 1));
        sim.run_until_idle();
        assert!(held.most.get() <= 2);
        assert_idle(&seats, 2);
    }

    fn permits_go_to_waiters_in_fifo_order(sim, 8) {
        let seats = Rc::new(Semaphore::new(1));
        let (came, went) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        for n in 0..4 {
            let (seats, came, went) = (Rc::clone(&seats), Rc::clone(&came), Rc::clone(&went));
            sim.spawn(async move {
                came.borrow_mut().push(n);
                let permit = seats.acquire().await;
                went.borrow_mut().push(n);
                yield_now().await;
                drop(permit);
            });
        }
        sim.run_until_idle();
        assert_eq!(*came.borrow(), *went.borrow());
    }

    /// One permit is free, and the waiter wants two.
    fn newcomer_does_not_overtake_a_waiter(sim, 8) {
        let (seats, waits) = (Rc::new(Semaphore::new(2)), Rc::new(Cell::new(false)));
        let permit = seats.try_acquire().unwrap();
        let (waiter, waiting) = (Rc::clone(&seats), Rc::clone(&waits));
        sim.spawn(async move {
            waiting.set(true);
            let both = waiter.acquire_many(2).await;
            waiting.set(false);
            drop(both);
        });
        let (newcomer, waiting) = (Rc::clone(&seats), Rc::clone(&waits));
        sim.spawn(async move {
            let taken = newcomer.try_acquire();
            assert!(taken.is_err() || !waiting.get(), "the waiter was overtaken");
            drop(taken);
            let was_waiting = waiting.get();
            let permit = newcomer.acquire().await;
            assert!(!was_waiting || !waiting.get(), "the waiter was overtaken");
            drop(permit);
        });
        sim.block_on(async {
            yield_now().await;
            yield_now().await;
            drop(permit);
        });
        sim.run_until_idle();
        assert_idle(&seats, 2);
    }

    fn waiter_that_is_polled_for_nothing_goes_on_waiting(sim, 5) {
        let (seats, held) = (Rc::new(Semaphore::new(1)), Rc::new(Held::default()));
        hold(sim, &seats, &held, 1);
        for _ in 0..2 {
            let (seats, held) = (Rc::clone(&seats), Rc::clone(&held));
            sim.spawn(async move {
                let task = async {
                    let permit = seats.acquire().await;
                    held.during(1).await;
                    drop(permit);
                };
                let wakes = async {
                    yield_now().await;
                    yield_now().await;
                };
                futures_lite::future::zip(task, wakes).await;
            });
        }
        sim.run_until_idle();
        assert_eq!(held.most.get(), 1);
        assert_idle(&seats, 1);
    }

    /// The cancel may come just when the permit was handed over, after long work.
    fn waiter_that_is_cancelled_passes_its_permit_on(sim, 3) {
        let (seats, done) = (Rc::new(Semaphore::new(1)), Rc::new(Cell::new(0)));
        let cancel = Cancel::at_any_time(sim);
        for turns in [LONG, 0, LONG] {
            let (seats, done, cancel) = (Rc::clone(&seats), Rc::clone(&done), cancel.clone());
            sim.spawn(async move {
                let permit = match turns {
                    0 => cancel.or(seats.acquire()).await,
                    _ => Some(seats.acquire().await),
                };
                work(turns).await;
                done.set(done.get() + usize::from(permit.is_some()));
            });
        }
        sim.run_until_idle();
        assert!(done.get() >= 2, "a permit was lost");
        assert_idle(&seats, 1);
    }

    /// One permit is out until the waiter behind has got the other one.
    fn head_that_is_cancelled_lets_the_next_pass(sim, 8) {
        let (seats, passed) = (Rc::new(Semaphore::new(2)), Rc::new(Event::new()));
        let permit = seats.try_acquire().unwrap();
        let cancel = Cancel::at_any_time(sim);
        let head = Rc::clone(&seats);
        sim.spawn(async move { _ = cancel.or(head.acquire_many(2)).await });
        let (next, news) = (Rc::clone(&seats), Rc::clone(&passed));
        sim.spawn(async move {
            let permit = next.acquire().await;
            news.set();
            drop(permit);
        });
        sim.block_on(passed.wait());
        drop(permit);
        sim.run_until_idle();
        assert_idle(&seats, 2);
    }

    fn several_permits_come_together_and_keep_the_order(sim, 8) {
        let (seats, held) = (Rc::new(Semaphore::new(3)), Rc::new(Held::default()));
        for permits in [2, 3, 1, 2] {
            hold(sim, &seats, &held, permits);
        }
        sim.run_until_idle();
        assert!(held.most.get() <= 3);
        assert_idle(&seats, 3);
    }

    /// The waiters wait for each other while they hold permits.
    fn permits_that_come_together_wake_as_many_waiters(sim, 8) {
        let (seats, both) = (Rc::new(Semaphore::new(2)), Rc::new(Barrier::new(2)));
        let permits = seats.try_acquire_many(2).unwrap();
        for _ in 0..2 {
            let (seats, both) = (Rc::clone(&seats), Rc::clone(&both));
            sim.spawn(async move {
                let permit = seats.acquire().await;
                both.wait().await;
                drop(permit);
            });
        }
        sim.block_on(async {
            yield_now().await;
            drop(permits);
        });
        sim.run_until_idle();
        assert_idle(&seats, 2);
    }

    fn resize_admits_as_many_as_fit(sim, 8) {
        let (seats, held) = (Rc::new(Semaphore::new(0)), Rc::new(Held::default()));
        (0..2).for_each(|_| hold(sim, &seats, &held, 1));
        let resizes = Rc::clone(&seats);
        sim.spawn(async move {
            resizes.resize(1);
            yield_now().await;
            resizes.resize(0);
            yield_now().await;
            resizes.resize(2);
        });
        sim.run_until_idle();
        assert!(held.most.get() <= 2);
        assert_idle(&seats, 2);
    }

    fn close_refuses_waiters_and_newcomers(sim, 8) {
        let (seats, served) = (Rc::new(Semaphore::new(1)), Rc::new(Cell::new(0)));
        for _ in 0..3 {
            let (seats, served) = (Rc::clone(&seats), Rc::clone(&served));
            sim.spawn(async move {
                let was_closed = seats.is_closed();
                if let Ok(permit) = seats.acquire().await {
                    assert!(!was_closed, "a newcomer was admitted");
                    served.set(served.get() + 1);
                    yield_now().await;
                    drop(permit);
                }
            });
        }
        let closes = Rc::clone(&seats);
        sim.spawn(async move { _ = closes.close() });
        sim.run_until_idle();
        assert_eq!((seats.out(), seats.waiting()), (0, 0));
        assert_eq!(seats.try_acquire().unwrap_err(), TryAcquireError::Closed);
    }

    fn added_permits_admit_as_many_as_fit(sim, 8) {
        let (seats, both) = (Rc::new(Semaphore::new(0)), Rc::new(Barrier::new(2)));
        for _ in 0..2 {
            let (seats, both) = (Rc::clone(&seats), Rc::clone(&both));
            sim.spawn(async move {
                let permit = seats.acquire().await;
                both.wait().await;
                drop(permit);
            });
        }
        let adds = Rc::clone(&seats);
        sim.spawn(async move { adds.add(2) });
        sim.run_until_idle();
        assert_idle(&seats, 2);
    }

    fn wait_idle_ends_when_no_permit_is_out_and_none_waits(sim, 5) {
        let (seats, done) = (Rc::new(Semaphore::new(1)), Rc::new(Cell::new(0)));
        for _ in 0..2 {
            let (seats, done) = (Rc::clone(&seats), Rc::clone(&done));
            sim.spawn(async move {
                let permit = seats.acquire().await;
                yield_now().await;
                done.set(done.get() + 1);
                drop(permit);
            });
        }
        for _ in 0..2 {
            let (seats, done) = (Rc::clone(&seats), Rc::clone(&done));
            sim.spawn(async move {
                let before = done.get() + seats.out() + seats.waiting();
                seats.wait_idle().await;
                assert!(done.get() >= before, "a holder or a waiter has not finished");
            });
        }
        sim.run_until_idle();
        assert_idle(&seats, 1);
    }

    fn forgotten_permit_comes_back_by_release(sim, 8) {
        let (seats, held) = (Rc::new(Semaphore::new(1)), Rc::new(Held::default()));
        let forgets = Rc::clone(&seats);
        sim.spawn(async move {
            forgets.acquire().await.unwrap().forget();
            yield_now().await;
            forgets.release(1);
        });
        let puts = Rc::clone(&seats);
        sim.spawn(async move {
            puts.acquire().await.unwrap().forget();
            let hand_out = puts.put_back(1);
            yield_now().await;
            drop(hand_out);
        });
        hold(sim, &seats, &held, 1);
        sim.run_until_idle();
        assert_idle(&seats, 1);
    }

    fn bounded_semaphore_refuses_what_was_not_taken(sim, 8) {
        let (seats, refused) = (Rc::new(BoundedSemaphore::new(1)), Rc::new(Cell::new(0)));
        for _ in 0..2 {
            let (seats, refused) = (Rc::clone(&seats), Rc::clone(&refused));
            sim.spawn(async move {
                seats.acquire().await.unwrap().forget();
                yield_now().await;
                seats.release(1).unwrap();
                refused.set(refused.get() + usize::from(seats.release(2).is_err()));
            });
        }
        sim.run_until_idle();
        assert_eq!((refused.get(), seats.available(), seats.waiting()), (2, 1, 0));
    }

    /// The future is polled once in one task, and finishes in another.
    fn acquire_that_moves_to_another_task_is_woken_there(sim, 8) {
        let (seats, held) = (Rc::new(Semaphore::new(1)), Rc::new(Held::default()));
        hold(sim, &seats, &held, 1);
        let (waits, hub) = (Rc::clone(&seats), sim.clone());
        sim.spawn(async move {
            let mut acquire = Acquire::of(waits);
            match futures_lite::future::poll_once(&mut acquire).await {
                Some(permit) => drop(permit),
                None => hub.spawn(async move { drop(acquire.await.unwrap()) }),
            }
        });
        sim.run_until_idle();
        assert_idle(&seats, 1);
    }

    fn rounds_of_cancelled_waits_leak_no_permit(sim, 3) {
        let (seats, held) = (Rc::new(Semaphore::new(1)), Rc::new(Held::default()));
        let cancel = Cancel::default();
        for n in 0..3 {
            let (seats, held, cancel) = (Rc::clone(&seats), Rc::clone(&held), cancel.clone());
            sim.spawn(async move {
                for _ in 0..2 {
                    let acquired = match n {
                        0 => cancel.or(seats.acquire()).await,
                        _ => Some(seats.acquire().await),
                    };
                    if acquired.is_some() {
                        held.take(1);
                        work(LONG).await;
                        held.give_back(1);
                    }
                }
            });
        }
        sim.spawn(async move {
            yield_now().await;
            cancel.0.set();
        });
        sim.run_until_idle();
        assert_eq!(held.most.get(), 1);
        assert_idle(&seats, 1);
    }
}
