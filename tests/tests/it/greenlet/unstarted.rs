//! The promises of greenlets that are created first and started later, if at all.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney::task::{GreenletExit, State, spawn_later, spawn_on};
use spinney::{Event, Greenlet, Handle, Spawn, sleep};
use spinney_greenlet::pair;
use spinney_tests::tools::{
    Log, OnDrop, Why, behind, blow_up, gate, let_others_run, panics_on_drop, stuck,
};
use spinney_tests::{Dropped, LocalHub, SimHub, hub, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A greenlet that logs when it runs, and its log.
fn made() -> (Greenlet<()>, Arc<Event>) {
    let ran = gate();
    let set = Arc::clone(&ran);
    (Greenlet::new(async move { set.set() }), ran)
}

on_every_hub! {
    async fn unstarted_greenlet_does_not_run(_hub) {
        let (greenlet, ran) = made();
        let_others_run().await;
        assert!(!ran.is_set() && !greenlet.is_ready());
        assert!(greenlet.start());
        greenlet.await.unwrap();
        assert!(ran.is_set());
    }

    async fn start_on_uses_the_given_hub(hub) {
        let greenlet = Greenlet::new(async { 42 });
        assert!(greenlet.start_on(hub));
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn second_start_is_a_no_op(hub) {
        let (greenlet, _) = made();
        assert!(greenlet.start_on(hub));
        assert!(!greenlet.start_on(hub) && !greenlet.start() && !greenlet.start_later(HOUR));
        greenlet.join().await;
        assert!(!greenlet.start());
        greenlet.await.unwrap();
    }

    async fn spawned_greenlet_cannot_be_started(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        assert!(!greenlet.start() && !greenlet.start_on(hub) && !greenlet.start_later(SECOND));
        open.set();
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn killed_unstarted_greenlet_cannot_be_started(hub) {
        let (greenlet, ran) = made();
        greenlet.kill().await;
        assert!(!greenlet.start_later(SECOND) && !greenlet.start() && !greenlet.start_on(hub));
        let_others_run().await;
        assert!(!ran.is_set());
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn kill_of_an_unstarted_greenlet_ends_it_immediately(_hub) {
        let (dropped, log) = (Dropped::default(), Log::default());
        let greenlet = Greenlet::new(stuck(gate(), dropped.guard()));
        let (seen, count) = (log.clone(), dropped.clone());
        greenlet.link(move |ended| seen.add((ended.state(), count.count())));
        let mut join = greenlet.join();
        assert!(poll_once(&mut join).await.is_none());
        greenlet.kill_now_with(GreenletExit::because("too early"));
        assert_eq!(greenlet.state(), State::Killed);
        assert_eq!(log.take(), [(State::Killed, 1)]);
        join.await;
        assert_eq!(greenlet.try_get().unwrap().unwrap_err().why(), "killed: too early");
    }

    async fn destructors_of_an_unstarted_greenlet_run_in_it(_hub) {
        let log = Log::default();
        let seen = log.clone();
        let guard = OnDrop::new(move || seen.add(Handle::current()));
        let greenlet = Greenlet::new(stuck(gate(), guard));
        greenlet.kill_now();
        assert_eq!(log.take(), [Some(greenlet.handle().clone())]);
        assert_eq!(Handle::current(), None);
    }

    async fn panicking_destructor_does_not_affect_the_killer(_hub) {
        let greenlet = Greenlet::new(stuck(gate(), panics_on_drop()));
        greenlet.kill().await;
        assert!(greenlet.failure().unwrap().is_killed(), "it was not killed");
    }

    async fn dropped_unstarted_greenlet_is_killed(_hub) {
        let (greenlet, ran) = made();
        let handle = greenlet.handle().clone();
        let mut join = handle.join();
        assert!(poll_once(&mut join).await.is_none());
        drop(greenlet);
        join.await;
        assert!(handle.failure().unwrap().is_killed() && !handle.start());
        assert!(!ran.is_set());
    }

    async fn dropped_started_greenlet_runs_on(_hub) {
        let (greenlet, ran) = made();
        greenlet.start();
        greenlet.detach();
        ran.wait().await;
    }

    async fn start_later_runs_after_its_delay(_hub) {
        let greenlet = spawn_later(Duration::from_millis(1), async { 42 });
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn dropped_delayed_greenlet_runs_on(_hub) {
        let (greenlet, ran) = made();
        assert!(greenlet.start_later(Duration::from_millis(1)));
        greenlet.detach();
        ran.wait().await;
    }

    async fn greenlet_killed_during_its_delay_ends_immediately(_hub) {
        let dropped = Dropped::default();
        let greenlet = spawn_later(HOUR, stuck(gate(), dropped.guard()));
        let_others_run().await;
        assert!(!greenlet.start() && greenlet.state() == State::Scheduled);
        assert!(poll_once(greenlet.kill()).await.is_some(), "the kill waits");
        assert_eq!((greenlet.state(), dropped.count()), (State::Killed, 1));
    }

    async fn greenlet_killed_after_its_delay_ends(_hub) {
        let started = gate();
        let greenlet = spawn_later(Duration::from_millis(1), stuck(Arc::clone(&started), ()));
        started.wait().await;
        greenlet.kill().await;
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn state_shows_the_progress_of_a_greenlet(hub) {
        let (started, open) = (gate(), gate());
        let (set, opened) = (Arc::clone(&started), Arc::clone(&open));
        let greenlet = Greenlet::new(async move {
            set.set();
            opened.wait().await;
        });
        assert_eq!(greenlet.state(), State::Unstarted);
        greenlet.start_on(hub);
        started.wait().await;
        assert_eq!(greenlet.state(), State::Running);
        open.set();
        greenlet.join().await;
        assert_eq!(greenlet.state(), State::Successful);
        let broken = spawn_on(hub, async { blow_up("no luck") });
        broken.join().await;
        assert_eq!(broken.state(), State::Panicked);
        broken.detach();
        let (_task, scheduled) = pair(pending::<()>(), ());
        assert_eq!(scheduled.state(), State::Scheduled);
    }

    async fn cancel_kills_a_greenlet_that_has_not_run(hub) {
        let (unstarted, ran) = made();
        assert!(unstarted.cancel());
        let late = spawn_later(HOUR, async {});
        assert!(late.cancel());
        let (task, scheduled) = pair(async {}, ());
        assert!(scheduled.cancel());
        hub.spawn(task);
        for greenlet in [unstarted, late, scheduled] {
            assert!(greenlet.state() == State::Killed && !greenlet.cancel());
            assert!(greenlet.await.unwrap_err().is_killed());
        }
        assert!(!ran.is_set());
    }

    async fn cancel_does_not_affect_a_running_greenlet(hub) {
        let (started, open) = (gate(), gate());
        let (set, opened) = (Arc::clone(&started), Arc::clone(&open));
        let greenlet = spawn_on(hub, async move {
            set.set();
            behind(opened, 42).await
        });
        started.wait().await;
        assert!(!greenlet.cancel() && greenlet.exit().is_none());
        open.set();
        greenlet.join().await;
        assert!(!greenlet.cancel());
        assert_eq!(greenlet.await.unwrap(), 42);
    }
}

#[test]
fn delay_of_a_start_is_exact() {
    for seed in 0..spinney_tests::SEEDS {
        let (sim, log) = (SimHub::seeded(seed), Log::default());
        sim.block_on(async {
            let delays = [3, 1, 2, 0];
            let greenlets = delays.map(|delay| {
                let log = log.clone();
                spawn_later(SECOND * delay, async move {
                    log.add(delay);
                    sleep(SECOND * 10).await;
                })
            });
            for (ticks, ran) in [&[0_u32][..], &[1], &[2], &[3]].into_iter().enumerate() {
                sleep(SECOND / 2).await;
                assert_eq!(log.take(), ran, "at {ticks} and a half");
                sleep(SECOND / 2).await;
            }
            spinney::task::joinall(greenlets).await;
        });
        assert_eq!(sim.elapsed(), SECOND * 13);
    }
}

#[test]
fn kill_during_the_delay_removes_the_timer() {
    let sim = SimHub::new();
    sim.block_on(async {
        let late = spawn_later(HOUR, async {});
        let_others_run().await;
        late.kill().await;
    });
    sim.run_until_idle();
    assert_eq!((sim.pending(), sim.elapsed()), (0, Duration::ZERO));
}

#[test]
fn hub_dropped_during_the_delay_kills_the_greenlet() {
    let sim = SimHub::new();
    let late = sim.block_on(async { spawn_later(HOUR, async {}).handle().clone() });
    let local = LocalHub::new();
    let other = local.block_on(async { spawn_later(HOUR, async {}).handle().clone() });
    drop((sim, local));
    assert_eq!((late.state(), other.state()), (State::Killed, State::Killed));
}

#[test]
fn unstarted_greenlet_outlives_the_hub_of_its_creation() {
    let greenlet = hub(1).block_on(async { Some(Greenlet::new(async { 42 })) }).unwrap();
    let other = LocalHub::new();
    assert_eq!(greenlet.state(), State::Unstarted);
    assert!(greenlet.start_on(&other));
    assert_eq!(other.block_on(greenlet).unwrap(), 42);
}

#[test]
fn unstarted_greenlet_may_be_started_on_another_thread() {
    let (greenlet, hub) = (Greenlet::new(async { 42 }), hub(1));
    let (handle, on) = (greenlet.handle().clone(), hub.clone());
    assert!(std::thread::spawn(move || handle.start_on(&on)).join().unwrap());
    assert_eq!(hub.block_on(greenlet).unwrap(), 42);
}

#[test]
fn greenlet_started_by_many_threads_runs_once() {
    let hub = hub(2);
    for _ in 0..200 {
        let (greenlet, ran) = made();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (handle, hub) = (greenlet.handle().clone(), hub.clone());
                std::thread::spawn(move || handle.start_on(&hub))
            })
            .collect();
        let started = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(started.filter(|started| *started).count(), 1);
        hub.block_on(greenlet).unwrap();
        assert!(ran.is_set());
    }
}

#[test]
fn cancel_at_the_first_poll_stops_all_or_nothing() {
    let ran: Vec<_> = (0..10_000).map(|_| gate()).collect();
    let (tasks, handles): (Vec<_>, Vec<_>) = ran
        .iter()
        .map(|ran| {
            let ran = Arc::clone(ran);
            let (task, greenlet) = pair(async move { ran.set() }, ());
            (task, greenlet.handle().clone())
        })
        .unzip();
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&turn);
    let second = std::thread::spawn(move || {
        let cancel = |(n, handle): (usize, &Handle)| {
            while turns.load(SeqCst) <= n {
                std::thread::yield_now();
            }
            handle.cancel()
        };
        handles.iter().enumerate().map(cancel).collect::<Vec<_>>()
    });
    for task in tasks {
        turn.fetch_add(1, SeqCst);
        block_on(task);
    }
    let cancelled = second.join().unwrap();
    assert!(cancelled.iter().zip(ran).all(|(cancelled, ran)| *cancelled != ran.is_set()));
}
