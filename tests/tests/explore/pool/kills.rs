//! Members that are killed or aborted at every await of a child in place, beside, or in its own
//! slot.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use spinney::gevent::GroupExt as _;
use spinney::task::GreenletExit;
use spinney::{Failure, Spawn, catch_exit, shield, yield_now};
use spinney_sim::SimHub;
use spinney_tests::Dropped;

use super::{Pool, Stop, assert_whole, call, nest};
use crate::work;

const SECOND: Duration = Duration::from_secs(1);

/// More than run in place on one stack.
const DEEP: usize = 130;

type Log = Rc<RefCell<Vec<String>>>;

/// A member whose child cleans up when it is killed; both log what they saw. The child signals when
/// it waits.
async fn parent_and_child(pool: Pool, log: Log, waits: Rc<Cell<bool>>) {
    let inner = Rc::clone(&log);
    let spawned = catch_exit(pool.spawn(async move {
        waits.set(true);
        let seen = catch_exit(work(3)).await;
        waits.set(false);
        if let Err(exit) = seen {
            yield_now().await;
            inner.borrow_mut().push(format!("child {exit}"));
            exit.resume::<()>().await;
        }
        inner.borrow_mut().push("child done".to_owned());
    }));
    let seen = match spawned.await {
        Ok(child) => {
            let was_ready = child.is_ready();
            match catch_exit(child).await {
                Ok(result) => format!("member got {}", result.is_ok()),
                Err(exit) => format!("member {exit}, child {was_ready}"),
            }
        }
        Err(exit) => format!("member {exit}"),
    };
    log.borrow_mut().push(seen);
}

/// A member that waits for children in place, and for an endless one beside them, is stopped.
fn deep_member_is_stopped(sim: &SimHub, stop: Stop) {
    let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
    let guard = dropped.guard();
    let leaf = Box::pin(async move {
        let _guard = guard;
        shield(yield_now()).await;
        std::future::pending::<()>().await;
    });
    let cancel = crate::Cancel::default();
    let (inside, dropped_wait) = (pool.clone(), cancel.clone());
    let member = pool
        .try_spawn(async move { dropped_wait.or(nest(inside, DEEP, leaf)).await.is_some() })
        .unwrap();
    let handle = member.handle().clone();
    sim.spawn(async move {
        match stop {
            Stop::Abort => handle.abort(),
            Stop::Drop => cancel.0.set(),
            Stop::Kill => handle.kill_now(),
        }
    });
    call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
    sim.run_until_idle();
    assert!(member.is_ready());
    assert_eq!(dropped.count(), 1);
    assert_whole(&pool, 1);
}

explore! {
    fn kill_reaches_the_child_in_place_first(sim, 8) {
        let (pool, log, waits) = (Pool::on(sim, 1), Log::default(), Rc::new(Cell::new(false)));
        let both = parent_and_child(pool.clone(), Rc::clone(&log), Rc::clone(&waits));
        let member = pool.try_spawn(both).unwrap();
        let (handle, child_waited) = (member.handle().clone(), Rc::new(Cell::new(false)));
        let notes = Rc::clone(&child_waited);
        sim.spawn(async move {
            notes.set(waits.get());
            handle.kill_with(GreenletExit::because("enough")).await;
            assert!(handle.is_ready());
        });
        sim.run_until_idle();
        let log = log.borrow().join(", ");
        if child_waited.get() {
            assert_eq!(log, "child killed: enough, member killed: enough");
        } else {
            assert!(["", "child done, member got true"].contains(&&*log), "{log:?}");
        }
        assert_whole(&pool, 1);
    }

    /// The child may have moved to a slot: then only the member sees the kill.
    fn kill_while_a_slot_comes_is_seen_once(sim, 5) {
        let (pool, log) = (Pool::on(sim, 2), Log::default());
        let other = pool.try_spawn(work(2)).unwrap();
        let both = parent_and_child(pool.clone(), Rc::clone(&log), Rc::default());
        let member = pool.try_spawn(both).unwrap();
        Stop::Kill.later(sim, member.handle());
        sim.run_until_idle();
        let log = log.borrow();
        let count = |text: &str| log.iter().filter(|line| line.starts_with(text)).count();
        let child = (count("child done"), count("child killed"));
        let parent = (count("member got"), count("member killed"));
        assert!(other.is_successful());
        if !log.is_empty() {
            assert!(child.0 + child.1 == 1 && parent.0 + parent.1 == 1, "{log:?}");
            assert!(child.1 <= parent.1, "the member did not see its kill: {log:?}");
        }
        assert_whole(&pool, 2);
    }

    fn kill_of_a_child_in_place_ends_it_alone(sim, 6) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let (inside, guard) = (pool.clone(), dropped.guard());
        let member = pool.try_spawn(async move {
            let child = inside.spawn(async move {
                let _guard = guard;
                work(3).await;
            });
            child.await.await
        }).unwrap();
        let own = member.handle().clone();
        call(sim, &pool, |pool| async move {
            let child = pool.members().into_iter().find(|greenlet| *greenlet != own);
            if let Some(child) = child {
                assert!(pool.killone(&child).await);
                assert!(child.is_ready());
            }
        });
        let result = sim.block_on(member).expect("the member was killed");
        assert!(result.is_ok() || result.unwrap_err().is_killed());
        assert_eq!(dropped.count(), 1);
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn abort_of_a_member_drops_its_child_at_once(sim, 6) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let (inside, guard) = (pool.clone(), dropped.guard());
        let member = pool.try_spawn(async move {
            let child = inside.spawn(async move {
                let _guard = guard;
                shield(work(3)).await;
            });
            child.await.await.unwrap();
        }).unwrap();
        Stop::Abort.later(sim, member.handle());
        let (seen, waits) = (dropped.clone(), member.handle().clone());
        sim.spawn(async move {
            waits.join().await;
            assert_eq!(seen.count(), 1);
        });
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        sim.run_until_idle();
        assert!(member.is_ready());
        assert_whole(&pool, 1);
    }

    fn abort_of_a_child_in_place_ends_it_alone(sim, 6) {
        let pool = Pool::on(sim, 1);
        let inside = pool.clone();
        let member = pool.try_spawn(async move {
            inside.spawn(shield(work(3))).await.await
        }).unwrap();
        let (own, aborts) = (member.handle().clone(), pool.clone());
        sim.spawn(async move {
            let child = aborts.members().into_iter().find(|greenlet| *greenlet != own);
            child.iter().for_each(spinney::Handle::abort);
        });
        let result = sim.block_on(member).expect("the member was killed");
        assert!(result.is_ok() || matches!(result, Err(Failure::Aborted(_))));
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn kill_of_nested_members_ends_the_innermost_first(sim, 4) {
        let (pool, log) = (Pool::on(sim, 1), Log::default());
        let inner = Rc::clone(&log);
        let leaf = Box::pin(async move {
            let caught = catch_exit(work(3)).await;
            yield_now().await;
            inner.borrow_mut().push(format!("{}", caught.is_err()));
        });
        let inside = pool.clone();
        let member = pool.try_spawn(nest(inside, 2, leaf)).unwrap();
        let (handle, seen) = (member.handle().clone(), Rc::clone(&log));
        sim.spawn(async move {
            handle.kill().await;
            seen.borrow_mut().push("member".to_owned());
        });
        sim.run_until_idle();
        let log = log.borrow().join(" ");
        assert!(["member", "true member", "false member"].contains(&&*log), "{log}");
        assert_whole(&pool, 1);
    }

    fn kill_all_at_any_time_ends_members_that_nest(sim, 3) {
        let pool = Pool::on(sim, 1);
        for _ in 0..2 {
            call(sim, &pool, |pool| async move {
                let inside = pool.clone();
                drop(pool.spawn(nest(inside, 2, Box::pin(work(2)))).await.await);
            });
        }
        call(sim, &pool, |pool| async move {
            let members = pool.members();
            pool.kill().await;
            assert!(members.iter().all(spinney::Handle::is_ready));
        });
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn close_at_any_time_spares_the_child_in_place(sim, 5) {
        let (pool, ended) = (Pool::on(sim, 1), Rc::new(Cell::new(false)));
        let (inside, ends) = (pool.clone(), Rc::clone(&ended));
        let member = pool.try_spawn(async move {
            let child = inside.spawn(async move {
                work(2).await;
                ends.set(true);
            });
            child.await.await.is_ok()
        }).unwrap();
        call(sim, &pool, |pool| async move { drop(pool.apply(work(1)).await) });
        let closes = pool.clone();
        sim.spawn(async move {
            yield_now().await;
            let running = closes.members().len();
            assert_eq!(closes.close().running, running);
        });
        assert_eq!(sim.block_on(member).unwrap(), ended.get());
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn drain_at_any_time_waits_for_the_child_in_place(sim, 4) {
        let pool = Pool::on(sim, 1);
        let inside = pool.clone();
        let member = pool.try_spawn(async move { inside.apply(work(2)).await }).unwrap();
        call(sim, &pool, |pool| async move {
            let report = pool.drain(SECOND).await.unwrap();
            assert_eq!((report.running, report.killed, pool.members().len()), (0, 0, 0));
        });
        call(sim, &pool, |pool| async move { drop(pool.apply(work(1)).await) });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&pool, 1);
    }

    fn shutdown_at_any_time_ends_the_child_in_place(sim, 4) {
        let (pool, dropped) = (Pool::on(sim, 1), Dropped::default());
        let (inside, guard) = (pool.clone(), dropped.guard());
        let member = pool.try_spawn(async move {
            inside.apply(async move {
                let _guard = guard;
                shield(std::future::pending::<()>()).await;
            }).await
        }).unwrap();
        call(sim, &pool, |pool| async move {
            let report = pool.shutdown(GreenletExit::because("enough")).await;
            assert_eq!((report.running, pool.members().len()), (0, 0));
        });
        call(sim, &pool, |pool| async move { drop(pool.apply(work(1)).await) });
        sim.run_until_idle();
        assert!(member.is_ready());
        assert_eq!(dropped.count(), 1);
        assert_whole(&pool, 1);
    }

    fn deep_member_killed_at_any_time_ends(sim, 3) {
        deep_member_is_stopped(sim, Stop::Kill);
    }

    fn deep_member_aborted_at_any_time_ends(sim, 3) {
        deep_member_is_stopped(sim, Stop::Abort);
    }

    fn deep_wait_dropped_at_any_time_ends_its_child(sim, 3) {
        deep_member_is_stopped(sim, Stop::Drop);
    }

    /// The child beyond the depth shares the slot, which is free when both have finished with it.
    fn deep_child_shares_one_slot_until_it_ends(sim, 3) {
        let (pool, bodies) = (Pool::on(sim, 1), super::Bodies::default());
        let (inside, leaf, other) = (pool.clone(), bodies.clone(), bodies.clone());
        let member = pool.try_spawn(async move {
            let leaf = Box::pin(async move { leaf.body(4).await });
            assert_eq!(nest(inside, DEEP, leaf).await, DEEP);
        }).unwrap();
        // The child outlives the member's membership, and so does its slot.
        let (discards, handle) = (pool.clone(), member.handle().clone());
        sim.spawn(async move {
            discards.discard(&handle);
        });
        call(sim, &pool, |pool| async move {
            pool.apply(async move { other.body(1).await }).await.unwrap();
        });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_eq!(bodies.most(), 1);
        assert_whole(&pool, 1);
    }
}
