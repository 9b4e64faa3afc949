//! Stops at any time: close, drain, kill, shutdown and drop of a pool, and those of a scope.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use spinney::gevent::GroupExt as _;
use spinney::task::GreenletExit;
use spinney::{Failure, Spawn, catch_exit, shield, sleep, yield_now};
use spinney_sim::SimHub;
use spinney_tests::Dropped;

use super::{Pool, assert_whole, at_any_time, call};

const SECOND: Duration = Duration::from_secs(1);

type Results = Rc<RefCell<Vec<Result<(), Failure>>>>;

/// Spawns tasks that each spawn a body of a few turns into `pool`.
fn spawn_each(sim: &SimHub, pool: &Pool, tasks: usize) -> Results {
    let results = Results::default();
    for _ in 0..tasks {
        let results = Rc::clone(&results);
        call(sim, pool, |pool| async move {
            let greenlet = pool
                .spawn(async {
                    yield_now().await;
                    yield_now().await;
                })
                .await;
            let result = greenlet.await;
            results.borrow_mut().push(result);
        });
    }
    results
}

fn failed(results: &Results) -> usize {
    results.borrow().iter().filter(|result| result.is_err()).count()
}

explore! {
    fn close_at_any_time_refuses_calls_and_spares_members(sim, 5) {
        let pool = Pool::on(sim, 1);
        let results = spawn_each(sim, &pool, 3);
        let closes = pool.clone();
        at_any_time(sim, move || _ = closes.close());
        sim.run_until_idle();
        let report = pool.stats();
        assert_eq!(results.borrow().len(), 3);
        let succeeded = 3 - failed(&results);
        assert_eq!((report.succeeded, report.started), (succeeded, succeeded));
        assert_whole(&pool, 1);
    }

    fn close_ends_waits_that_have_no_task(sim, 5) {
        let pool = Pool::on(sim, 1);
        call(sim, &pool, |pool| async move { pool.apply(yield_now()).await });
        call(sim, &pool, |pool| async move { drop(pool.slot().await) });
        call(sim, &pool, |pool| async move { pool.wait_available().await });
        let ran = Rc::new(Cell::new(false));
        let runs = Rc::clone(&ran);
        let late = pool.apply_async(async move { runs.set(true) });
        let closes = pool.clone();
        at_any_time(sim, move || _ = closes.close());
        sim.run_until_idle();
        assert!(late.is_ready() && late.is_successful() == ran.get());
        // The first call and this one are tasks, unless they were refused.
        assert!(pool.stats().succeeded >= usize::from(ran.get()));
        assert_whole(&pool, 1);
    }

    fn kill_at_any_time_leaves_no_member_and_the_pool_open(sim, 5) {
        let pool = Pool::on(sim, 1);
        let results = spawn_each(sim, &pool, 3);
        call(sim, &pool, |pool| async move {
            let members = pool.members();
            let report = pool.kill().await;
            assert!(members.iter().all(spinney::Handle::is_ready));
            assert!(report.started >= members.len());
        });
        sim.run_until_idle();
        assert_eq!(results.borrow().len(), 3);
        assert!(!pool.is_closed());
        assert_whole(&pool, 1);
    }

    fn member_killed_before_it_starts_never_runs(sim, 8) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let (ran, killed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (runs, was_killed, guard) = (Rc::clone(&ran), Rc::clone(&killed), dropped.guard());
        let greenlet = pool.try_spawn(async move {
            let _guard = guard;
            assert!(!was_killed.get());
            runs.set(true);
        }).unwrap();
        let (kills, has_run, handle) = (pool.clone(), Rc::clone(&ran), greenlet.handle().clone());
        at_any_time(sim, move || {
            drop(kills.killone(&handle));
            killed.set(!has_run.get());
        });
        call(sim, &pool, |pool| async move { pool.apply(yield_now()).await.unwrap() });
        sim.run_until_idle();
        assert_eq!((greenlet.is_successful(), dropped.count()), (ran.get(), 1));
        assert_whole(&pool, 1);
    }

    fn killone_twice_and_discard_race_without_loss(sim, 4) {
        let pool = Pool::on(sim, 1);
        let greenlet = pool.try_spawn(async {
            let caught = catch_exit(std::future::pending::<()>()).await;
            yield_now().await;
            caught.unwrap_err().resume::<()>().await;
        }).unwrap();
        for _ in 0..2 {
            let handle = greenlet.handle().clone();
            call(sim, &pool, |pool| async move {
                let was_member = pool.contains(&handle);
                assert_eq!(pool.killone(&handle).await, was_member);
                assert!(handle.is_ready() || !was_member);
            });
        }
        let (handle, discards) = (greenlet.handle().clone(), pool.clone());
        sim.spawn(async move {
            discards.discard(&handle);
            assert!(!discards.contains(&handle) && discards.is_empty());
            // It may have been killed once before; a second kill ends the cleanup.
            handle.kill().await;
        });
        sim.run_until_idle();
        assert!(greenlet.is_ready());
        assert_whole(&pool, 1);
    }

    fn drain_at_any_time_ends_members_that_refuse(sim, 4) {
        let pool = Pool::on(sim, 2);
        let results = spawn_each(sim, &pool, 2);
        let stubborn = pool.try_spawn(shield(std::future::pending::<()>())).unwrap();
        call(sim, &pool, |pool| async move {
            let report = pool.drain(SECOND).await.unwrap();
            assert_eq!((report.running, pool.members().len()), (0, 0), "{report:?}");
            assert_eq!(report.aborted, 1);
        });
        sim.run_until_idle();
        assert!(stubborn.failure().unwrap().is_aborted());
        assert_eq!(results.borrow().len(), 2);
        assert_whole(&pool, 2);
    }

    fn drain_kills_members_after_its_grace(sim, 4) {
        let pool = Pool::on(sim, 2);
        let member = pool.try_spawn(async {
            catch_exit(sleep(10 * SECOND)).await.unwrap_err();
            yield_now().await;
        }).unwrap();
        let results = spawn_each(sim, &pool, 2);
        call(sim, &pool, |pool| async move {
            let report = pool.drain(SECOND).await.unwrap();
            assert_eq!((report.running, pool.members().len()), (0, 0), "{report:?}");
        });
        sim.run_until_idle();
        // A member that was killed before it ran has nothing to clean up.
        assert!(member.is_ready() && results.borrow().len() == 2);
        assert!(sim.elapsed() < 2 * SECOND);
        assert_whole(&pool, 2);
    }

    fn shutdown_at_any_time_keeps_its_reason(sim, 5) {
        let pool = Pool::on(sim, 1);
        let results = spawn_each(sim, &pool, 3);
        call(sim, &pool, |pool| async move {
            let report = pool.shutdown(GreenletExit::because("enough")).await;
            assert_eq!((report.running, pool.members().len()), (0, 0), "{report:?}");
        });
        sim.run_until_idle();
        let results = results.borrow();
        assert_eq!(results.len(), 3);
        for failure in results.iter().filter_map(|result| result.as_ref().err()) {
            let text = failure.to_string();
            assert!(text.contains("enough") || text.contains("closed"), "{text}");
        }
        drop(results);
        assert_whole(&pool, 1);
    }

    fn pool_dropped_at_any_time_kills_its_members(sim, 8) {
        let dropped = Dropped::default();
        let pool = Pool::on(sim, 1);
        let (guard, other) = (dropped.guard(), dropped.guard());
        let greenlets = [
            pool.apply_async(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }),
            pool.apply_async(async move {
                let _guard = other;
                yield_now().await;
            }),
        ];
        at_any_time(sim, move || drop(pool));
        sim.run_until_idle();
        assert!(greenlets.iter().all(|greenlet| greenlet.is_ready()));
        assert_eq!(dropped.count(), 2);
    }

    fn scope_closed_at_any_time_spares_its_pool(sim, 4) {
        let pool = Pool::on(sim, 1);
        let scope = pool.scope();
        let (inner, outer) = (spawn_each(sim, &scope, 2), spawn_each(sim, &pool, 1));
        let closes = scope.clone();
        at_any_time(sim, move || _ = closes.close());
        sim.run_until_idle();
        assert_eq!((inner.borrow().len(), outer.borrow().len()), (2, 1));
        assert_eq!(failed(&outer), 0);
        assert_eq!(scope.stats().succeeded, 2 - failed(&inner));
        assert_whole(&scope, 1);
        assert_whole(&pool, 1);
    }

    fn scope_of_a_pool_closed_at_any_time_gets_no_slot(sim, 4) {
        let pool = Pool::on(sim, 1);
        let scope = pool.scope();
        let results = spawn_each(sim, &scope, 3);
        let (closes, seen) = (pool.clone(), scope.clone());
        at_any_time(sim, move || {
            closes.close();
            assert!(seen.is_closed() && seen.try_slot().is_err());
        });
        sim.run_until_idle();
        assert_eq!(results.borrow().len(), 3);
        assert_whole(&scope, 1);
    }

    fn scope_of_a_pool_dropped_at_any_time_ends(sim, 4) {
        let pool = Pool::on(sim, 1);
        let scope = pool.scope();
        let results = spawn_each(sim, &scope, 2);
        pool.apply_async(yield_now()).detach();
        at_any_time(sim, move || drop(pool));
        sim.run_until_idle();
        assert_eq!(results.borrow().len(), 2);
        assert_whole(&scope, 1);
    }

    fn scope_dropped_at_any_time_kills_its_own_members(sim, 5) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let scope = pool.scope();
        let guard = dropped.guard();
        scope.apply_async(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }).detach();
        let results = spawn_each(sim, &pool, 2);
        at_any_time(sim, move || drop(scope));
        sim.run_until_idle();
        assert_eq!((results.borrow().len(), failed(&results), dropped.count()), (2, 0, 1));
        assert_whole(&pool, 1);
    }
}
