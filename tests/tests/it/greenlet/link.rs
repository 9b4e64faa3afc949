//! The promises of links: callbacks at a greenlet's end.

use std::sync::{Arc, Mutex};

use futures_lite::future::{block_on, poll_once};
use spinney::Handle;
use spinney::task::spawn_on;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, Log, behind, blow_up, gate, let_others_run, stuck};

on_every_hub! {
    async fn link_is_called_with_the_handle(hub) {
        let (open, linked, log) = (gate(), gate(), Log::default());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        let (set, seen) = (Arc::clone(&linked), log.clone());
        greenlet.link(move |handle| {
            seen.add((handle.clone(), handle.is_ready()));
            set.set();
        });
        open.set();
        linked.wait().await;
        assert_eq!(log.take(), [(greenlet.handle().clone(), true)]);
    }

    async fn link_is_called_once(hub) {
        let (open, count) = (gate(), Count::to(1));
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        let one = count.clone();
        greenlet.link(move |_| one.add());
        open.set();
        count.reached().await;
        greenlet.kill().await;
        let_others_run().await;
        assert_eq!(count.get(), 1);
    }

    async fn link_after_the_end_is_called_once(hub) {
        let count = Count::to(1);
        let greenlet = spawn_on(hub, async {});
        greenlet.join().await;
        let one = count.clone();
        greenlet.link(move |_| one.add());
        count.reached().await;
        let_others_run().await;
        assert_eq!(count.get(), 1);
    }

    async fn link_is_called_after_a_kill(hub) {
        let linked = gate();
        let set = Arc::clone(&linked);
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        greenlet.link(move |_| set.set());
        greenlet.kill_now();
        linked.wait().await;
    }

    async fn panicking_link_affects_no_other_link(hub) {
        let (open, linked) = (gate(), gate());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let set = Arc::clone(&linked);
        greenlet.link(|_| blow_up("no luck"));
        greenlet.link(move |_| set.set());
        open.set();
        linked.wait().await;
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn panicking_late_link_affects_nothing_else(hub) {
        let greenlet = spawn_on(hub, async { 42 });
        greenlet.join().await;
        greenlet.link(|_| blow_up("no luck"));
        let_others_run().await;
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn removed_link_of_a_greenlet_is_not_called(hub) {
        let (open, linked, count) = (gate(), gate(), Count::to(1));
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        let (one, set) = (count.clone(), Arc::clone(&linked));
        let id = greenlet.link(move |_| one.add());
        greenlet.link(move |_| set.set());
        assert!(greenlet.unlink(id));
        open.set();
        linked.wait().await;
        assert_eq!(count.get(), 0);
    }

    async fn called_link_cannot_be_removed(hub) {
        let linked = gate();
        let set = Arc::clone(&linked);
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let id = greenlet.link(move |_| set.set());
        greenlet.kill_now();
        linked.wait().await;
        assert!(!greenlet.unlink(id));
    }

    async fn links_are_called_in_order(hub) {
        let (open, log, count) = (gate(), Log::default(), Count::to(10));
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        for n in 0..10 {
            let (log, count) = (log.clone(), count.clone());
            greenlet.link(move |_| {
                log.add(n);
                count.add();
            });
        }
        open.set();
        count.reached().await;
        assert_eq!(log.take(), (0..10).collect::<Vec<_>>());
    }

    async fn link_is_called_before_a_later_waiter_is_woken(hub) {
        for _ in 0..50 {
            let (open, count) = (gate(), Count::to(1));
            let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
            let one = count.clone();
            greenlet.link(move |_| one.add());
            let mut waiter = greenlet.join();
            assert_eq!(poll_once(&mut waiter).await, None);
            open.set();
            waiter.await;
            assert_eq!(count.get(), 1);
        }
    }

    async fn later_waiter_is_woken_after_all_links(hub) {
        let (open, linked, log) = (gate(), gate(), Log::default());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        let waiter = Arc::new(Mutex::new(greenlet.join()));
        let (early, seen) = (Arc::clone(&waiter), log.clone());
        // Like another thread that polls the waiter just then.
        greenlet.link(move |_| {
            let mut waiter = early.lock().unwrap();
            seen.add(block_on(poll_once(&mut *waiter)).is_some());
        });
        let set = Arc::clone(&linked);
        greenlet.link(move |_| set.set());
        assert_eq!(block_on(poll_once(&mut *waiter.lock().unwrap())), None);
        open.set();
        linked.wait().await;
        assert_eq!(log.take(), [false]);
    }

    async fn link_may_kill_join_and_link(hub) {
        let linked = gate();
        let set = Arc::clone(&linked);
        let other = spawn_on(hub, stuck(gate(), ()));
        let kill = other.handle().clone();
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        greenlet.link(move |me: &Handle| {
            kill.kill_now();
            drop(me.join());
            me.link(move |_| set.set());
        });
        greenlet.kill_now();
        linked.wait().await;
        other.join().await;
    }
}

#[test]
fn link_of_another_greenlet_is_not_removed() {
    let (_task, one) = spinney_greenlet::pair(std::future::pending::<()>(), ());
    let (_other, two) = spinney_greenlet::pair(std::future::pending::<()>(), ());
    let (link, same) = (one.link(|_| ()), two.link(|_| ()));
    assert!(!two.unlink(link));
    assert!(two.unlink(same));
}
