//! Abort, `catch_exit`, `joinall`, kill, links and `shield`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use spinney::task::joinall;
use spinney::task::{iwait, killall, spawn_on};
use spinney::{
    Greenlet, Handle, Queue, Semaphore, Spawn, Within, catch_exit, shield, sleep, yield_now,
};
use spinney_sim::SimHub;
use spinney_tests::Dropped;

use crate::{LONG, work};

const SECOND: Duration = Duration::from_secs(1);

/// Spawns a task that applies `stop` to the greenlet at any time.
fn at_any_time(sim: &SimHub, greenlet: &Greenlet<u32>, stop: impl FnOnce(&Handle) + 'static) {
    let handle = greenlet.handle().clone();
    sim.spawn(async move { stop(&handle) });
}

/// Two awaits with a guard, then 7.
async fn guarded(dropped: Dropped) -> u32 {
    let _guard = dropped.guard();
    yield_now().await;
    yield_now().await;
    7
}

/// Asserts that the greenlet has finished in a state that `is_right` accepts, and that its guard
/// was dropped once if it ran.
#[track_caller]
fn assert_ended(greenlet: &Greenlet<u32>, dropped: &Dropped, is_right: impl Fn(&Handle) -> bool) {
    assert!(greenlet.is_ready() && is_right(greenlet.handle()), "{greenlet:?}");
    assert!(dropped.count() <= 1);
}

explore! {
    fn kill_at_any_await_ends_a_greenlet_once(sim, 8) {
        let dropped = Dropped::default();
        let greenlet = spawn_on(sim, guarded(dropped.clone()));
        at_any_time(sim, &greenlet, Handle::kill_now);
        let joins = greenlet.handle().clone();
        sim.spawn(async move { joins.kill().await });
        sim.block_on(greenlet.join());
        sim.run_until_idle();
        let killed = |handle: &Handle| {
            handle.failure().map_or(handle.is_successful(), |failure| failure.is_killed())
        };
        assert_ended(&greenlet, &dropped, killed);
    }

    fn greenlet_that_is_killed_before_it_runs_never_does(sim, 8) {
        let (ran, kills) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (runs, killed) = (Rc::clone(&ran), Rc::clone(&kills));
        let greenlet = spawn_on(sim, async move {
            runs.set(true);
            assert!(!killed.get(), "it ran after its kill");
            7
        });
        let has_run = Rc::clone(&ran);
        at_any_time(sim, &greenlet, move |handle| {
            kills.set(!has_run.get());
            handle.kill_now();
            assert!(handle.is_ready());
        });
        let result = sim.block_on(greenlet);
        assert_eq!(result.is_ok(), ran.get());
    }

    fn caught_kill_lets_the_greenlet_clean_up(sim, 8) {
        let dropped = Dropped::default();
        let inner = dropped.clone();
        let greenlet = spawn_on(sim, async move {
            let Ok(done) = catch_exit(guarded(inner)).await else {
                yield_now().await;
                return 1;
            };
            done
        });
        at_any_time(sim, &greenlet, Handle::kill_now);
        let result = sim.block_on(greenlet);
        sim.run_until_idle();
        match result {
            Ok(done) => assert!([1, 7].contains(&done) && dropped.count() == 1),
            Err(failure) => assert!(failure.is_killed() && dropped.count() == 0, "it ran before its kill"),
        }
    }

    fn second_kill_ends_the_clean_up(sim, 8) {
        let stage = Rc::new(Cell::new(0));
        let sets = Rc::clone(&stage);
        let greenlet = spawn_on(sim, async move {
            sets.set(1);
            drop(catch_exit(std::future::pending::<()>()).await);
            sets.set(2);
            std::future::pending::<u32>().await
        });
        for _ in 0..2 {
            at_any_time(sim, &greenlet, Handle::kill_now);
        }
        let late = greenlet.handle().clone();
        sim.spawn(async move {
            while !late.is_ready() {
                sleep(SECOND).await;
                late.kill_now();
            }
        });
        let result = sim.block_on(greenlet);
        assert!(result.unwrap_err().is_killed());
        assert!([0, 2].contains(&stage.get()), "a stage was skipped");
    }

    fn shield_defers_a_kill_to_its_end(sim, 8) {
        let (saved, has_begun) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let (count, begin) = (Rc::clone(&saved), Rc::clone(&has_begun));
        let greenlet = spawn_on(sim, async move {
            begin.set(true);
            shield(async {
                for _ in 0..3 {
                    yield_now().await;
                    count.set(count.get() + 1);
                }
            })
            .await;
            yield_now().await;
            7
        });
        at_any_time(sim, &greenlet, Handle::kill_now);
        let result = sim.block_on(greenlet);
        assert_eq!(saved.get(), if has_begun.get() { 3 } else { 0 });
        assert!(result.is_ok_and(|done| done == 7) || saved.get() < 4);
    }

    fn shield_and_catch_side_by_side_see_one_kill(sim, 8) {
        let (saved, caught) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, seen) = (Rc::clone(&saved), Rc::clone(&caught));
        let greenlet = spawn_on(sim, async move {
            let shielded = shield(async {
                yield_now().await;
                count.set(1);
            });
            let caught = async {
                let kill = catch_exit(async {
                    yield_now().await;
                    yield_now().await;
                });
                seen.set(u32::from(kill.await.is_err()));
            };
            futures_lite::future::zip(shielded, caught).await;
            7
        });
        at_any_time(sim, &greenlet, Handle::kill_now);
        let result = sim.block_on(greenlet);
        sim.run_until_idle();
        match result {
            Ok(_) => assert_eq!(saved.get(), 1),
            Err(failure) => assert!(failure.is_killed() && saved.get() + caught.get() < 2),
        }
    }

    fn abort_ends_what_shields_and_catches(sim, 8) {
        let dropped = Dropped::default();
        let inner = dropped.clone();
        let greenlet = spawn_on(sim, async move {
            let caught = catch_exit(shield(guarded(inner))).await;
            caught.unwrap_or(1)
        });
        at_any_time(sim, &greenlet, Handle::kill_now);
        at_any_time(sim, &greenlet, Handle::abort);
        sim.block_on(greenlet.join());
        sim.run_until_idle();
        let ended = |handle: &Handle| match handle.failure() {
            Some(failure) => failure.is_aborted() || failure.is_killed(),
            None => true,
        };
        assert_ended(&greenlet, &dropped, ended);
    }

    fn every_joiner_sees_the_end(sim, 8) {
        let greenlet = spawn_on(sim, guarded(Dropped::default()));
        for _ in 0..2 {
            let joins = greenlet.handle().clone();
            sim.spawn(async move {
                joins.join().await;
                assert!(joins.is_ready());
            });
        }
        at_any_time(sim, &greenlet, Handle::kill_now);
        sim.block_on(greenlet.join());
    }

    fn link_is_called_once_whenever_it_comes(sim, 8) {
        let called = Arc::new(AtomicUsize::new(0));
        let greenlet = spawn_on(sim, guarded(Dropped::default()));
        for _ in 0..2 {
            let called = Arc::clone(&called);
            at_any_time(sim, &greenlet, move |handle| {
                handle.link(move |ended| {
                    assert!(ended.is_ready());
                    called.fetch_add(1, Relaxed);
                });
            });
        }
        at_any_time(sim, &greenlet, Handle::kill_now);
        sim.run_until_idle();
        assert_eq!(called.load(Relaxed), 2);
    }

    fn greenlet_that_is_dropped_goes_on(sim, 8) {
        let done = Rc::new(Cell::new(false));
        let does = Rc::clone(&done);
        let greenlet = spawn_on(sim, async move {
            yield_now().await;
            does.set(true);
        });
        sim.spawn(async move { drop(greenlet) });
        sim.run_until_idle();
        assert!(done.get());
    }

    fn killed_waiter_of_a_semaphore_passes_its_permit_on(sim, 3) {
        let seats = Rc::new(Semaphore::new(1));
        let hold = |seats: &Rc<Semaphore>| {
            let seats = Rc::clone(seats);
            spawn_on(sim, async move {
                let _permit = seats.acquire().await;
                work(LONG).await;
                7
            })
        };
        let greenlets = [hold(&seats), hold(&seats), hold(&seats)];
        at_any_time(sim, &greenlets[1], Handle::kill_now);
        sim.block_on(joinall(&greenlets));
        assert!(greenlets[0].is_successful() && greenlets[2].is_successful());
        assert_eq!((seats.out(), seats.waiting()), (0, 0));
    }

    fn killed_getter_leaves_its_item_in_the_queue(sim, 8) {
        let queue = Rc::new(Queue::bounded(1));
        let (gets, puts) = (Rc::clone(&queue), Rc::clone(&queue));
        let getter = spawn_on(sim, async move { gets.get().await.unwrap() });
        sim.spawn(async move { puts.put(7).await.unwrap() });
        at_any_time(sim, &getter, Handle::kill_now);
        let got = sim.block_on(getter).ok();
        sim.run_until_idle();
        assert_eq!(got.or(queue.get_nowait().ok()), Some(7));
    }

    fn iwait_gives_each_greenlet_once(sim, 8) {
        let greenlets = [0, 1, 2].map(|n| spawn_on(sim, async move {
            yield_now().await;
            n
        }));
        at_any_time(sim, &greenlets[0], Handle::kill_now);
        let mut ids: Vec<_> = greenlets.iter().map(|greenlet| greenlet.id()).collect();
        let mut ended = sim.block_on(async {
            let (mut ended, mut all) = (Vec::new(), iwait(greenlets));
            while let Some(greenlet) = all.next().await {
                assert!(greenlet.is_ready());
                ended.push(greenlet.id());
            }
            ended
        });
        ids.sort_unstable();
        ended.sort_unstable();
        assert_eq!(ids, ended);
    }

    /// The limit and the end of a greenlet are due at the same instant.
    fn joinall_at_its_time_limit_loses_no_greenlet(sim, 8) {
        let greenlets = [0, 1].map(|n| spawn_on(sim, async move {
            sleep(SECOND).await;
            n
        }));
        let joined = sim.block_on(joinall(greenlets).timeout(SECOND));
        assert_eq!(joined.ready.len() + joined.rest.len(), 2);
        assert!(joined.ready.iter().all(|greenlet| greenlet.is_ready()));
        sim.run_until_idle();
        assert!(joined.rest.iter().all(|greenlet| greenlet.is_successful()));
    }

    fn killall_ends_what_runs_and_what_waits(sim, 8) {
        let log = Rc::new(RefCell::new(Vec::new()));
        let greenlets = [0, 1, 2].map(|n| {
            let log = Rc::clone(&log);
            spawn_on(sim, async move {
                (0..n).for_each(drop);
                sleep(n * SECOND).await;
                log.borrow_mut().push(n);
            })
        });
        sim.block_on(async {
            yield_now().await;
            killall(&greenlets).await;
            assert!(greenlets.iter().all(|greenlet| greenlet.is_ready()));
        });
        sim.run_until_idle();
        let ended = greenlets.iter().filter(|greenlet| greenlet.is_successful()).count();
        assert_eq!(ended, log.borrow().len());
    }

    /// A limit drops the wait for a kill, and the kill goes ahead.
    fn kill_goes_ahead_when_its_wait_is_dropped(sim, 8) {
        let greenlet = spawn_on(sim, async {
            catch_exit(std::future::pending::<()>()).await.unwrap_err();
            sleep(SECOND).await;
            7
        });
        sim.block_on(async {
            yield_now().await;
            let _late = greenlet.kill().within(SECOND).await;
            greenlet.join().await;
        });
        let result = sim.block_on(greenlet);
        assert!(result.is_err() || result.is_ok_and(|done| done == 7));
    }
}
