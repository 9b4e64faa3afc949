//! The promises of a finished greenlet's state, which leaves its result in place, and of the links
//! that depend on its outcome.

use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::task::joinall;
use spinney::task::spawn_on;
use spinney::{Greenlet, Handle, spawn};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, Log, Why, behind, blow_up, gate, let_others_run, stuck};

on_every_hub! {
    async fn get_leaves_the_result_in_the_greenlet(hub) {
        let mut greenlet = spawn_on(hub, async { vec![1, 2] });
        assert_eq!(greenlet.get().await.unwrap(), &[1, 2]);
        assert_eq!(greenlet.get().await.unwrap(), &[1, 2]);
        assert_eq!(greenlet.await.unwrap(), [1, 2]);
    }

    async fn get_waits_for_the_result(hub) {
        let open = gate();
        let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        assert!(poll_once(greenlet.get()).await.is_none());
        open.set();
        assert_eq!(*greenlet.get().await.unwrap(), 42);
        assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
    }

    async fn get_returns_the_failure_each_time(hub) {
        let mut broken: Greenlet<()> = spawn_on(hub, async { blow_up("no luck") });
        for _ in 0..2 {
            assert_eq!(broken.get().await.unwrap_err().why(), "panicked: no luck");
        }
        let mut killed = spawn_on(hub, stuck(gate(), ()));
        killed.kill_now();
        assert!(killed.get().await.unwrap_err().is_killed());
        assert!(killed.await.unwrap_err().is_killed());
    }

    async fn living_greenlet_has_no_outcome(hub) {
        let mut greenlet = spawn_on(hub, stuck(gate(), ()));
        assert!(greenlet.outcome().is_none());
        greenlet.kill().await;
        assert!(greenlet.outcome().unwrap().unwrap_err().is_killed());
    }

    async fn outcome_is_available_at_the_end(hub) {
        let mut greenlet = spawn_on(hub, async { 42 });
        while !greenlet.is_ready() {
            spinney::yield_now().await;
        }
        assert_eq!(*greenlet.outcome().unwrap().unwrap(), 42);
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn conditional_links_are_called_for_their_outcome_only(hub) {
        let (log, open) = (Log::default(), gate());
        let (opened, stop) = (Arc::clone(&open), Arc::clone(&open));
        let good = spawn_on(hub, behind(opened, ()));
        let bad = spawn_on(hub, async move {
            stop.wait().await;
            blow_up("no luck")
        });
        let killed = spawn_on(hub, stuck(gate(), ()));
        let greenlets = [(&good, "good"), (&bad, "bad"), (&killed, "killed")];
        for (greenlet, name) in greenlets {
            let (value, exception) = (log.clone(), log.clone());
            greenlet.link_value(move |_| value.add((name, "value")));
            greenlet.link_exception(move |_| exception.add((name, "exception")));
        }
        killed.kill_now();
        open.set();
        joinall(greenlets.map(|(greenlet, _)| greenlet)).await;
        let mut calls = log.take();
        calls.sort_unstable();
        assert_eq!(calls, [("bad", "exception"), ("good", "value"), ("killed", "exception")]);
    }

    async fn conditional_links_after_the_end_check_the_outcome(hub) {
        let (log, count) = (Log::default(), Count::to(2));
        let good = spawn_on(hub, async { 42 });
        let bad = spawn_on(hub, async { blow_up("no luck") });
        good.join().await;
        bad.join().await;
        for (greenlet, name) in [(good.handle(), "good"), (bad.handle(), "bad")] {
            let (seen, called) = (log.clone(), count.clone());
            greenlet.link_value(move |_| {
                seen.add((name, "value"));
                called.add();
            });
            let (seen, called) = (log.clone(), count.clone());
            greenlet.link_exception(move |_| {
                seen.add((name, "exception"));
                called.add();
            });
        }
        count.reached().await;
        let_others_run().await;
        let mut calls = log.take();
        calls.sort_unstable();
        assert_eq!(calls, [("bad", "exception"), ("good", "value")]);
        assert_eq!(good.await.unwrap(), 42);
        bad.detach();
    }

    async fn conditional_links_can_be_removed(hub) {
        let count = Count::to(1);
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let called = count.clone();
        let link = greenlet.link_exception(move |_| called.add());
        assert!(greenlet.unlink(link));
        greenlet.kill().await;
        let_others_run().await;
        assert_eq!(count.get(), 0);
    }

    async fn greenlet_knows_its_parent(hub) {
        let parent = spawn_on(hub, async {
            let child = spawn(async { Handle::current().unwrap().parent() });
            let of_child = child.parent();
            assert_eq!(child.await.unwrap(), of_child);
            of_child
        });
        let id = parent.id();
        assert_eq!((parent.parent(), parent.await.unwrap()), (None, Some(id)));
    }
}
