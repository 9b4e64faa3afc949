//! The promises of `catch_exit`: which code sees a kill, and what may follow.

use std::future::{Pending, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::{block_on, or, poll_once, zip};
use spinney::task::{CatchExit, GreenletExit, spawn_on};
use spinney::{Event, Handle, Spawn, catch_exit, shield, sleep, spawn, yield_now};
use spinney_greenlet::{InPlace, pair};
use spinney_tests::tools::{
    Log, OnDrop, Why, behind, blow_up, gate, let_others_run, on_its_own_waker, polled, stuck,
};
use spinney_tests::{Dropped, on_every_hub};

/// Sets `started`, waits for ever, and catches the kill.
async fn catch(started: Arc<Event>) -> GreenletExit {
    catch_exit(stuck(started, ())).await.unwrap_err()
}

/// Like [`catch`]; logs the kill with `caught`, cleans up until `open`, and ends as killed.
async fn clean_up(started: Arc<Event>, caught: Arc<Event>, open: Arc<Event>) {
    let exit = catch(started).await;
    caught.set();
    open.wait().await;
    exit.resume::<()>().await;
}

on_every_hub! {
    async fn kill_is_caught_with_its_reason(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, catch(Arc::clone(&started)));
        started.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("too late")));
        assert_eq!(greenlet.await.unwrap().to_string(), "killed: too late");
    }

    async fn catch_exit_without_a_kill_returns_the_output(hub) {
        let greenlet = spawn_on(hub, async { catch_exit(async { yield_now().await; 42 }).await });
        assert_eq!(greenlet.await.unwrap().unwrap(), 42);
    }

    async fn greenlet_that_catches_its_kill_lives_on(hub) {
        let (started, caught, open) = (gate(), gate(), gate());
        let (start, set, opened) = (Arc::clone(&started), Arc::clone(&caught), Arc::clone(&open));
        let greenlet = spawn_on(hub, async move {
            catch(start).await;
            set.set();
            behind(opened, 42).await
        });
        started.wait().await;
        greenlet.kill_now();
        caught.wait().await;
        assert!(!greenlet.is_ready() && greenlet.exit().is_none());
        open.set();
        greenlet.join().await;
        assert!(greenlet.is_successful());
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn kill_waits_for_the_cleanup(hub) {
        let (started, caught, open) = (gate(), gate(), gate());
        let work = clean_up(Arc::clone(&started), Arc::clone(&caught), Arc::clone(&open));
        let greenlet = spawn_on(hub, work);
        started.wait().await;
        let mut kill = greenlet.kill_with(GreenletExit::because("too late"));
        caught.wait().await;
        assert_eq!(poll_once(&mut kill).await, None);
        open.set();
        kill.await;
        assert_eq!(greenlet.await.unwrap_err().why(), "killed: too late");
    }

    async fn second_kill_ends_the_cleanup(hub) {
        let (started, caught) = (gate(), gate());
        let greenlet = spawn_on(hub, clean_up(Arc::clone(&started), Arc::clone(&caught), gate()));
        started.wait().await;
        greenlet.kill_now();
        caught.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("now")));
        assert_eq!(greenlet.await.unwrap_err().why(), "killed: now");
    }

    async fn second_kill_is_caught_by_the_next_outer_catcher(hub) {
        let (started, caught) = (gate(), gate());
        let inner = clean_up(Arc::clone(&started), Arc::clone(&caught), gate());
        let greenlet = spawn_on(hub, async move { catch_exit(inner).await.unwrap_err() });
        started.wait().await;
        greenlet.kill_now();
        caught.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("now")));
        assert_eq!(greenlet.await.unwrap().to_string(), "killed: now");
    }

    async fn inner_of_two_nested_catchers_catches(hub) {
        let started = gate();
        let inner = catch(Arc::clone(&started));
        let greenlet = spawn_on(hub, catch_exit(inner));
        started.wait().await;
        greenlet.kill_now();
        assert!(greenlet.await.unwrap().is_ok(), "the outer catcher saw the kill");
    }

    async fn resumed_kill_is_caught_by_the_outer_catcher(hub) {
        let (started, open) = (gate(), gate());
        open.set();
        let greenlet = spawn_on(hub, catch_exit(clean_up(Arc::clone(&started), gate(), open)));
        started.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("too late")));
        assert_eq!(greenlet.await.unwrap().unwrap_err().to_string(), "killed: too late");
    }

    async fn greenlet_killed_before_it_runs_catches_nothing(hub) {
        let (task, greenlet) = pair(catch(gate()), ());
        greenlet.kill_now();
        hub.spawn(task);
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn kill_of_itself_is_caught_at_the_first_await(hub) {
        let log = Log::default();
        let seen = log.clone();
        let greenlet = spawn_on(hub, catch_exit(async move {
            Handle::current().unwrap().kill_now();
            seen.add("still there");
            yield_now().await;
            seen.add("after the wait");
        }));
        assert!(greenlet.await.unwrap().is_err());
        assert_eq!(log.take(), ["still there"]);
    }

    async fn earlier_kill_is_caught_at_the_first_await(hub) {
        let log = Log::default();
        let seen = log.clone();
        let greenlet = spawn_on(hub, async move {
            Handle::current().unwrap().kill_now();
            let caught = async {
                seen.add("entered");
                pending::<()>().await;
            };
            catch_exit(caught).await
        });
        assert!(greenlet.await.unwrap().is_err());
        assert_eq!(log.take(), ["entered"]);
    }

    async fn future_that_never_waits_is_not_interrupted(hub) {
        let greenlet = spawn_on(hub, catch_exit(async {
            Handle::current().unwrap().kill_now();
            42
        }));
        assert_eq!(greenlet.await.unwrap().unwrap(), 42);
    }

    async fn destructors_run_before_the_kill_is_returned(hub) {
        let (dropped, started) = (Dropped::default(), gate());
        let inside = catch_exit(stuck(Arc::clone(&started), dropped.guard()));
        let count = dropped.clone();
        let greenlet = spawn_on(hub, async move {
            let mut inside = pin!(inside);
            ((&mut inside).await.is_err(), count.count())
        });
        started.wait().await;
        greenlet.kill_now();
        assert_eq!(greenlet.await.unwrap(), (true, 1));
    }

    async fn kill_sent_by_an_inner_destructor_is_not_caught_twice(hub) {
        let started = gate();
        let guard = OnDrop::new(|| Handle::current().unwrap().kill_now());
        let inside = catch_exit(stuck(Arc::clone(&started), guard));
        let greenlet = spawn_on(hub, async move {
            inside.await.unwrap_err();
            yield_now().await;
        });
        started.wait().await;
        greenlet.kill_now();
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn kill_wakes_a_catcher_in_a_branch(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, or(catch(Arc::clone(&started)), pending()));
        started.wait().await;
        greenlet.kill_now();
        assert_eq!(greenlet.await.unwrap().to_string(), "killed");
    }

    async fn kill_wakes_a_catcher_with_its_own_waker(hub) {
        let started = gate();
        let branch = on_its_own_waker(catch(Arc::clone(&started)));
        let greenlet = spawn_on(hub, or(pending(), branch));
        started.wait().await;
        greenlet.kill_now();
        assert_eq!(greenlet.await.unwrap().to_string(), "killed");
    }

    async fn resumed_kill_ends_a_greenlet_with_a_catcher_beside(hub) {
        let (open, both, dropped) = (gate(), gate(), Dropped::default());
        open.set();
        let resumes = on_its_own_waker(clean_up(gate(), gate(), open));
        let swallows = catch_exit(stuck(gate(), dropped.guard()));
        // Both wait when the last one signals: a catcher that lives on may see an earlier kill.
        let last = stuck(Arc::clone(&both), ());
        let greenlet = spawn_on(hub, zip(zip(resumes, swallows), last));
        both.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("too late")));
        assert_eq!(greenlet.await.unwrap_err().why(), "killed: too late");
        assert_eq!(dropped.count(), 1);
    }

    async fn resumed_kill_waits_for_a_shield_beside(hub) {
        let (open, started, caught, log) = (gate(), gate(), gate(), Log::default());
        let (opened, saved) = (Arc::clone(&open), log.clone());
        let (start, set) = (Arc::clone(&started), Arc::clone(&caught));
        let resumes = on_its_own_waker(async move {
            let exit = catch(start).await;
            set.set();
            exit.resume::<()>().await;
        });
        let shielded = on_its_own_waker(catch_exit(async move {
            shield(opened.wait()).await;
            saved.add("after the shield");
        }));
        let greenlet = spawn_on(hub, catch_exit(zip(resumes, shielded)));
        started.wait().await;
        greenlet.kill_now();
        caught.wait().await;
        let_others_run().await;
        assert!(!greenlet.is_ready());
        open.set();
        assert!(greenlet.await.unwrap().is_err());
        assert_eq!(log.take(), Vec::<&str>::new());
    }

    async fn dropped_catcher_catches_nothing(hub) {
        let started = gate();
        let start = Arc::clone(&started);
        let greenlet = spawn_on(hub, async move {
            drop(catch_exit(pending::<()>()));
            assert!(poll_once(catch_exit(pending::<()>())).await.is_none());
            stuck(start, ()).await;
        });
        started.wait().await;
        greenlet.kill().await;
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn finished_catcher_catches_nothing(hub) {
        let started = gate();
        let start = Arc::clone(&started);
        let greenlet = spawn_on(hub, async move {
            catch_exit(yield_now()).await.unwrap();
            stuck(start, ()).await;
        });
        started.wait().await;
        greenlet.kill().await;
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn moved_catcher_catches_the_kills_of_its_new_greenlet(hub) {
        type Caught = Pin<Box<CatchExit<Pending<()>>>>;
        let (moved, ready) = (gate(), gate());
        let place = Arc::new(Mutex::new(None::<Caught>));
        let (to, set) = (Arc::clone(&place), Arc::clone(&moved));
        let first = spawn_on(hub, async move {
            let mut caught = Box::pin(catch_exit(pending()));
            assert!(poll_once(&mut caught).await.is_none());
            *to.lock().unwrap() = Some(caught);
            stuck(set, ()).await;
        });
        moved.wait().await;
        let caught = place.lock().unwrap().take().unwrap();
        let second = spawn_on(hub, polled(Arc::clone(&ready), caught));
        ready.wait().await;
        first.kill().await;
        assert!(first.await.unwrap_err().is_killed());
        assert!(!second.is_ready(), "it caught the kill of another greenlet");
        second.kill_now();
        assert!(second.await.unwrap().is_err());
    }

    async fn dropped_moved_catcher_releases_a_kill(hub) {
        let (moved, place) = (gate(), Arc::new(Mutex::new(None)));
        let (to, set) = (Arc::clone(&place), Arc::clone(&moved));
        let greenlet = spawn_on(hub, async move {
            let mut caught = Box::pin(catch_exit(pending::<()>()));
            assert!(poll_once(&mut caught).await.is_none());
            *to.lock().unwrap() = Some(caught);
            stuck(set, ()).await;
        });
        moved.wait().await;
        greenlet.kill_now();
        let_others_run().await;
        drop(place.lock().unwrap().take());
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn panic_inside_fails_the_greenlet(hub) {
        let greenlet = spawn_on(hub, catch_exit(async { blow_up("no luck") }));
        greenlet.join().await;
        assert_eq!(greenlet.failure().unwrap().why(), "panicked: no luck");
        greenlet.detach();
    }

    async fn panic_in_the_cleanup_fails_the_greenlet(hub) {
        let started = gate();
        let caught = catch(Arc::clone(&started));
        let greenlet = spawn_on(hub, async move {
            caught.await;
            blow_up("no luck")
        });
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(greenlet.failure().unwrap().why(), "panicked: no luck");
        greenlet.detach();
    }

    async fn task_in_place_catches_the_kill_of_its_parent_first(hub) {
        let started = gate();
        let (task, inner) = pair(catch(Arc::clone(&started)), ());
        let outer = spawn_on(hub, InPlace::new(task, inner.handle()));
        started.wait().await;
        outer.kill_with(GreenletExit::because("too late")).await;
        assert_eq!(inner.await.unwrap().to_string(), "killed: too late");
        assert!(outer.await.unwrap_err().is_killed());
    }

    async fn catch_exit_outside_any_greenlet_catches_nothing(_hub) {
        assert_eq!(catch_exit(async { 42 }).await.unwrap(), 42);
        assert!(poll_once(catch_exit(pending::<()>())).await.is_none());
    }
}

#[test]
fn resume_outside_any_greenlet_panics() {
    let resumed = catch_unwind(AssertUnwindSafe(|| block_on(GreenletExit::new().resume::<()>())));
    assert!(resumed.is_err());
}

#[test]
fn finished_catcher_panics_when_polled_again() {
    let mut caught = Box::pin(catch_exit(async {}));
    block_on(&mut caught).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(caught))).is_err());
}

#[test]
fn kill_of_a_greenlet_that_blocks_is_seen_after_the_block() {
    let hub = spinney_tests::hub(1);
    let (own, log) = (hub.clone(), Log::default());
    let seen = log.clone();
    let greenlet = spawn_on(&hub, async move {
        let handle = Handle::current().unwrap();
        own.block_on(async {
            // Meanwhile a task of a spare thread.
            spawn(async move { handle.kill_now() }).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            seen.add("after the kill");
        });
        seen.add("after the block");
        pending::<()>().await;
    });
    assert!(block_on(greenlet).unwrap_err().is_killed());
    assert_eq!(log.take(), ["after the kill", "after the block"]);
}
