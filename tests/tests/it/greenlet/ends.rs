//! The promises of greenlets: how they finish, and what their owner gets.

use std::panic::panic_any;
use std::sync::Arc;

use spinney::task::spawn_on;
use spinney::{Failure, Handle, Spawn, spawn};
use spinney_greenlet::pair;
use spinney_tests::tools::{Log, OnDrop, behind, blow_up, gate, panics_on_drop, stuck};
use spinney_tests::{Dropped, on_every_hub};

/// The failure of a greenlet that panicked.
fn panic_of<T>(ended: Result<T, Failure>) -> spinney::task::Panic {
    match ended {
        Err(Failure::Panicked(panic)) => panic,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it succeeded"),
    }
}

on_every_hub! {
    async fn awaited_greenlet_returns_the_value(hub) {
        assert_eq!(spawn_on(hub, async { 42 }).await.unwrap(), 42);
    }

    async fn spawned_greenlet_runs_on_the_current_hub(hub) {
        let inner = spawn_on(hub, async { spawn(async { 42 }).await });
        assert_eq!(inner.await.unwrap().unwrap(), 42);
    }

    async fn returned_error_is_a_value(hub) {
        let refused = spawn_on(hub, async { Err::<(), _>("refused") });
        assert_eq!(refused.await.unwrap(), Err("refused"));
    }

    async fn panic_fails_with_its_message(hub) {
        let broken = spawn_on(hub, async { blow_up("no luck") });
        assert_eq!(panic_of::<()>(broken.await).message().unwrap(), "no luck");
    }

    async fn formatted_panic_fails_with_its_message(hub) {
        let broken = spawn_on(hub, async { panic!("{} of {}", 1, 2) });
        assert_eq!(panic_of::<()>(broken.await).message().unwrap(), "1 of 2");
    }

    async fn panic_fails_with_its_payload(hub) {
        let broken = spawn_on(hub, async { panic_any(42_u32) });
        let payload = panic_of::<()>(broken.await).into_payload().unwrap();
        assert_eq!(*payload.downcast::<u32>().unwrap(), 42);
    }

    async fn panic_does_not_affect_other_tasks(hub) {
        let open = gate();
        let before = spawn_on(hub, behind(Arc::clone(&open), "before"));
        spawn_on(hub, async { blow_up("no luck") }).await.unwrap_err();
        open.set();
        assert_eq!(before.await.unwrap(), "before");
        assert_eq!(spawn_on(hub, async { "after" }).await.unwrap(), "after");
    }

    async fn panicking_greenlet_drops_its_future_once(hub) {
        let dropped = Dropped::default();
        let guard = dropped.guard();
        let broken = spawn_on(hub, async move {
            let _guard = guard;
            blow_up("no luck")
        });
        broken.join().await;
        assert_eq!(dropped.count(), 1);
    }

    async fn several_tasks_may_join_a_greenlet(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let joins: Vec<_> = (0..5).map(|_| spawn_on(hub, greenlet.join())).collect();
        open.set();
        for join in joins {
            join.await.unwrap();
        }
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn join_of_a_finished_greenlet_returns_immediately(hub) {
        let greenlet = spawn_on(hub, async {});
        greenlet.join().await;
        greenlet.join().await;
    }

    async fn living_greenlet_is_not_ready(hub) {
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        assert!(!greenlet.is_ready() && !greenlet.is_successful());
        assert!(greenlet.failure().is_none());
        greenlet.kill_now();
    }

    async fn returned_greenlet_is_ready_and_successful(hub) {
        let greenlet = spawn_on(hub, async {});
        greenlet.join().await;
        assert!(greenlet.is_ready() && greenlet.is_successful());
        assert!(greenlet.failure().is_none());
    }

    async fn panicked_greenlet_is_ready_and_not_successful(hub) {
        let greenlet = spawn_on(hub, async { blow_up("no luck") });
        greenlet.join().await;
        assert!(greenlet.is_ready() && !greenlet.is_successful());
        assert!(greenlet.failure().unwrap().is_panic());
        greenlet.detach();
    }

    async fn dropped_greenlet_runs_on(hub) {
        let (open, done) = (gate(), gate());
        let (opened, end) = (Arc::clone(&open), Arc::clone(&done));
        drop(spawn_on(hub, async move {
            opened.wait().await;
            end.set();
        }));
        open.set();
        done.wait().await;
    }

    async fn result_of_a_detached_greenlet_is_dropped(hub) {
        let (open, dropped) = (gate(), gate());
        let set = Arc::clone(&dropped);
        let result = OnDrop::new(move || set.set());
        spawn_on(hub, behind(Arc::clone(&open), result)).detach();
        open.set();
        dropped.wait().await;
    }

    async fn panicking_drop_of_a_detached_result_is_contained(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), panics_on_drop()));
        let handle = greenlet.handle().clone();
        greenlet.detach();
        open.set();
        handle.join().await;
        for n in 0..20 {
            assert_eq!(spawn_on(hub, async move { n }).await.unwrap(), n);
        }
    }

    async fn try_get_returns_a_living_greenlet(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let greenlet = greenlet.try_get().unwrap_err();
        open.set();
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn try_get_returns_the_result_of_a_finished_greenlet(hub) {
        let greenlet = spawn_on(hub, async { 42 });
        greenlet.join().await;
        assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
    }

    async fn current_greenlet_is_the_running_one(hub) {
        let greenlet = spawn_on(hub, async { Handle::current().unwrap() });
        let handle = greenlet.handle().clone();
        assert_eq!(greenlet.await.unwrap(), handle);
        assert_eq!(Handle::current(), None);
    }

    async fn current_greenlet_is_known_to_its_destructors(hub) {
        let (seen, started) = (Log::default(), gate());
        let log = seen.clone();
        let guard = OnDrop::new(move || log.add(Handle::current()));
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), guard));
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(seen.take(), [Some(greenlet.handle().clone())]);
    }

    async fn guard_is_dropped_after_the_result_is_stored(hub) {
        let (gone, left) = (gate(), gate());
        let set = Arc::clone(&left);
        let guard = OnDrop::new(move || set.set());
        let (task, greenlet) = pair(behind(Arc::clone(&gone), 42), guard);
        hub.spawn(task);
        gone.set();
        left.wait().await;
        assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
    }
}
