//! Slots: FIFO; each slot is freed, however its waiter or holder ends.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use spinney::gevent::GroupExt as _;
use spinney::pool::SlotError;
use spinney::task::spawn_on;
use spinney::{Event, Failure, Handle, Spawn, sleep, yield_now};
use spinney_sim::SimHub;
use spinney_tests::Dropped;

use super::{Bodies, Pool, Stop, assert_whole, at_any_time, call};
use crate::{LONG, work};

const SECOND: Duration = Duration::from_secs(1);

/// Whether the greenlet was refused by a closed pool.
fn is_refused(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    exit.reason().is_some_and(<dyn Error + Send + Sync>::is::<SlotError>)
}

/// A waiter between two others is stopped at any time, also just when it was handed the slot.
fn stopped_waiter_passes_its_slot_on(sim: &SimHub, stop: Stop, wait: fn(Pool) -> Waiting) {
    let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
    let long = |pool: Pool| {
        let done = Rc::clone(&done);
        async move {
            pool.apply(work(LONG)).await.unwrap();
            done.set(done.get() + 1);
        }
    };
    call(sim, &pool, long);
    let stopped = stop.at_any_time(sim, wait(pool.clone()));
    call(sim, &pool, long);
    sim.run_until_idle();
    assert!(stopped.is_ready());
    assert_eq!(done.get(), 2);
    assert_whole(&pool, 1);
}

type Waiting = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Adds a greenlet that runs elsewhere for a few turns.
async fn add_one(sim: SimHub, pool: Pool, turns: usize) -> bool {
    let greenlet = spawn_on(&sim, work(turns));
    pool.add(greenlet.handle()).await
}

explore! {
    fn slots_go_to_waiters_in_fifo_order(sim, 4) {
        let pool = Pool::on(sim, 1);
        let [queued, served] = [(); 2].map(|()| Rc::new(RefCell::new(Vec::new())));
        for n in 0..4 {
            let (queued, served) = (Rc::clone(&queued), Rc::clone(&served));
            call(sim, &pool, |pool| async move {
                queued.borrow_mut().push(n);
                let body = async move {
                    served.borrow_mut().push(n);
                    yield_now().await;
                };
                match n {
                    0 => pool.slot().await.unwrap().spawn(body),
                    1 => pool.spawn_within(SECOND, body).await.unwrap(),
                    2 => pool.apply_async(body),
                    _ => pool.spawn(body).await,
                }.await.unwrap();
            });
        }
        sim.run_until_idle();
        // A deferred task stands in the queue once it runs.
        let order = |list: &RefCell<Vec<_>>| {
            list.borrow().iter().copied().filter(|n| *n != 2).collect::<Vec<i32>>()
        };
        assert_eq!(order(&queued), order(&served));
        assert_eq!(served.borrow().len(), 4);
        assert_whole(&pool, 1);
    }

    fn dropped_slot_wait_passes_its_slot_on(sim, 4) {
        stopped_waiter_passes_its_slot_on(sim, Stop::Drop, |pool| Box::pin(async move {
            drop(pool.slot().await);
        }));
    }

    fn dropped_spawn_passes_its_slot_on(sim, 4) {
        stopped_waiter_passes_its_slot_on(sim, Stop::Drop, |pool| Box::pin(async move {
            pool.spawn(async {}).await.detach();
        }));
    }

    fn killed_spawn_passes_its_slot_on(sim, 4) {
        stopped_waiter_passes_its_slot_on(sim, Stop::Kill, |pool| Box::pin(async move {
            pool.spawn(async {}).await.detach();
        }));
    }

    fn aborted_apply_passes_its_slot_on(sim, 4) {
        stopped_waiter_passes_its_slot_on(sim, Stop::Abort, |pool| Box::pin(async move {
            pool.apply(work(2)).await.unwrap();
        }));
    }

    fn dropped_wait_available_passes_its_slot_on(sim, 4) {
        stopped_waiter_passes_its_slot_on(sim, Stop::Drop, |pool| Box::pin(async move {
            assert!(pool.wait_available().await > 0);
        }));
    }

    fn killed_apply_async_passes_its_slot_on(sim, 4) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
        let long = |turns| {
            let done = Rc::clone(&done);
            async move {
                work(turns).await;
                done.set(done.get() + 1);
            }
        };
        let greenlets = [LONG, 0, LONG].map(|turns| pool.apply_async(long(turns)));
        Stop::Kill.later(sim, greenlets[1].handle());
        sim.run_until_idle();
        assert!(greenlets.iter().all(|greenlet| greenlet.is_ready()) && done.get() >= 2);
        assert_whole(&pool, 1);
    }

    fn limit_and_slot_at_one_instant_lose_no_slot(sim, 6) {
        let pool = Pool::on(sim, 1);
        call(sim, &pool, |pool| async move { pool.apply(sleep(SECOND)).await });
        call(sim, &pool, |pool| async move {
            yield_now().await;
            match pool.spawn_within(SECOND, async { 7 }).await {
                Ok(greenlet) => assert_eq!(greenlet.await.unwrap(), 7),
                Err(full) => assert!(!full.is_closed()),
            }
        });
        call(sim, &pool, |pool| async move {
            yield_now().await;
            pool.apply(async {}).await.unwrap();
        });
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn apply_dropped_at_any_time_ends_its_task(sim, 6) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let guard = dropped.guard();
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await });
        let inside = pool.clone();
        let applied = Stop::Drop.at_any_time(sim, async move {
            inside.apply(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }).await
        });
        assert!(sim.block_on(applied).unwrap().is_none());
        sim.run_until_idle();
        assert_eq!(dropped.count(), 1);
        assert_whole(&pool, 1);
    }

    fn apply_async_runs_on_without_its_greenlet(sim, 8) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
        let greenlets = [(); 3].map(|()| {
            let done = Rc::clone(&done);
            pool.apply_async(async move {
                yield_now().await;
                done.set(done.get() + 1);
            })
        });
        for greenlet in greenlets {
            at_any_time(sim, move || drop(greenlet));
        }
        sim.run_until_idle();
        assert_eq!(done.get(), 3);
        assert_whole(&pool, 1);
    }

    fn slot_is_taken_until_dropped_or_spawned(sim, 6) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        for n in 0..3 {
            let bodies = bodies.clone();
            call(sim, &pool, |pool| async move {
                let slot = pool.slot().await.unwrap();
                bodies.body(1).await;
                assert_eq!((pool.len(), pool.available()), (1, 0));
                if n != 1 {
                    slot.spawn(async move { bodies.body(1).await }).await.unwrap();
                }
            });
        }
        sim.run_until_idle();
        assert_eq!(bodies.most(), 1);
        assert_whole(&pool, 1);
    }

    fn slot_of_a_pool_closed_at_any_time_starts_nothing(sim, 8) {
        let (pool, ran) = (Pool::on(sim, 1), Rc::new(Cell::new(false)));
        let runs = Rc::clone(&ran);
        call(sim, &pool, |pool| async move {
            let Ok(slot) = pool.slot().await else { return };
            yield_now().await;
            let was_closed = pool.is_closed();
            let greenlet = slot.spawn(async move { runs.set(true) });
            match greenlet.await {
                Ok(()) => assert!(!was_closed),
                Err(failure) => assert!(was_closed && is_refused(&failure), "{failure}"),
            }
        });
        call(sim, &pool, |pool| async move { drop(pool.slot().await) });
        let closes = pool.clone();
        at_any_time(sim, move || _ = closes.close());
        sim.run_until_idle();
        assert_eq!(pool.stats().started, usize::from(ran.get()));
        assert_whole(&pool, 1);
    }

    fn resize_to_nothing_and_back_loses_no_slot(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 2), Bodies::default());
        for _ in 0..3 {
            let bodies = bodies.clone();
            call(sim, &pool, |pool| async move {
                pool.apply(async move { bodies.body(1).await }).await.unwrap();
            });
        }
        call(sim, &pool, |pool| async move {
            pool.resize(0);
            yield_now().await;
            let running = pool.len();
            work(2).await;
            assert!(pool.len() <= running, "an empty pool admitted a task");
            pool.resize(2);
        });
        sim.run_until_idle();
        assert!(bodies.most() <= 2);
        assert_whole(&pool, 2);
    }

    fn more_slots_admit_as_many_as_fit(sim, 6) {
        let (pool, both) = (Pool::on(sim, 0), Rc::new(spinney::sync::Barrier::new(2)));
        for _ in 0..2 {
            let both = Rc::clone(&both);
            call(sim, &pool, |pool| async move {
                pool.apply(async move { _ = both.wait().await }).await.unwrap();
            });
        }
        let resizes = pool.clone();
        at_any_time(sim, move || resizes.resize(2));
        sim.run_until_idle();
        assert_whole(&pool, 2);
    }

    fn added_greenlet_takes_one_slot_until_it_ends(sim, 6) {
        let pool = Pool::on(sim, 2);
        let greenlet = spawn_on(sim, work(3));
        let added = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let (handle, added) = (greenlet.handle().clone(), Rc::clone(&added));
            call(sim, &pool, |pool| async move {
                let was_added = pool.add(&handle).await;
                added.set(added.get() + usize::from(was_added));
                assert_eq!(pool.contains(&handle), !handle.is_ready());
                assert!(pool.len() <= 1);
            });
        }
        sim.run_until_idle();
        assert!(added.get() <= 1);
        assert_eq!(pool.stats().started, added.get());
        assert_whole(&pool, 2);
    }

    fn add_discard_and_end_race_without_loss(sim, 6) {
        let pool = Pool::on(sim, 1);
        let greenlet = spawn_on(sim, work(2));
        let handle = greenlet.handle().clone();
        call(sim, &pool, |pool| async move {
            for _ in 0..2 {
                pool.add(&handle).await;
                yield_now().await;
            }
        });
        let (discards, handle) = (pool.clone(), greenlet.handle().clone());
        at_any_time(sim, move || {
            let was_member = discards.contains(&handle);
            assert_eq!(discards.discard(&handle), was_member);
            assert!(!discards.contains(&handle));
        });
        let hub = sim.clone();
        call(sim, &pool, |pool| add_one(hub, pool, 1));
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn discarded_member_runs_on_and_is_not_counted(sim, 6) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
        for _ in 0..3 {
            let done = Rc::clone(&done);
            call(sim, &pool, |pool| async move {
                let greenlet = pool.spawn(async move {
                    yield_now().await;
                    done.set(done.get() + 1);
                }).await;
                pool.discard(greenlet.handle());
                greenlet.await.unwrap();
            });
        }
        sim.run_until_idle();
        assert_eq!(done.get(), 3);
        assert_whole(&pool, 1);
    }

    /// It belongs to another member by then.
    fn end_of_a_discarded_member_frees_no_slot(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        let discarded = pool.try_spawn(work(2)).unwrap();
        let (discards, handle) = (pool.clone(), discarded.handle().clone());
        at_any_time(sim, move || _ = discards.discard(&handle));
        for _ in 0..2 {
            let bodies = bodies.clone();
            call(sim, &pool, |pool| async move {
                pool.apply(async move { bodies.body(3).await }).await.unwrap();
            });
        }
        sim.run_until_idle();
        assert_eq!(bodies.most(), 1);
        assert_whole(&pool, 1);
    }

    fn members_of_a_scope_take_slots_of_the_pool(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        let scope = pool.scope();
        for pool in [&pool, &scope, &scope] {
            let bodies = bodies.clone();
            call(sim, pool, |pool| async move {
                pool.apply(async move { bodies.body(1).await }).await.unwrap();
            });
        }
        let waits = scope.clone();
        sim.spawn(async move {
            let members = waits.members();
            waits.join().await.unwrap();
            assert!(members.iter().all(Handle::is_ready));
        });
        sim.run_until_idle();
        assert_eq!(bodies.most(), 1);
        assert_whole(&scope, 1);
        assert_whole(&pool, 1);
    }

    /// A member of two scopes holds a slot in one when it leaves the other, before or after: its
    /// spawns into the full pool run in place.
    fn member_of_two_scopes_leaves_one_at_any_time(sim, 6) {
        let pool = Pool::on(sim, 2);
        let (one, two, full) = (pool.scope(), pool.scope(), Rc::new(Event::new()));
        let (own, starts) = (pool.clone(), Rc::clone(&full));
        let greenlet = spawn_on(sim, async move {
            starts.wait().await;
            own.apply(work(1)).await.unwrap();
            own.scope().apply(work(1)).await.unwrap();
        });
        assert!(one.try_add(&greenlet).unwrap() && two.try_add(&greenlet).unwrap());
        let (leaves, handle) = (two.clone(), greenlet.handle().clone());
        let fills = pool.clone();
        at_any_time(sim, move || {
            assert_eq!(leaves.discard(&handle), !handle.is_ready());
            fills.try_slot().unwrap().spawn(async move { full.set(); work(LONG).await }).detach();
        });
        sim.run_until_idle();
        assert!(greenlet.is_successful());
        for pool in [&one, &two, &pool] {
            assert_whole(pool, 2);
        }
    }

    fn wait_idle_ends_when_no_call_is_left(sim, 5) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
        for _ in 0..2 {
            let done = Rc::clone(&done);
            call(sim, &pool, |pool| async move {
                pool.apply(async move {
                    yield_now().await;
                    done.set(done.get() + 1);
                }).await.unwrap();
            });
        }
        let (waits, seen) = (pool.clone(), Rc::clone(&done));
        sim.spawn(async move {
            let before = seen.get() + waits.len() + waits.waiting();
            waits.wait_idle().await.unwrap();
            assert!(seen.get() >= before, "a call has not finished");
        });
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }
}
