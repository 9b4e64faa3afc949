//! The promises of `iwait` and `Iwait`.

use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};

use futures_lite::Stream;
use futures_lite::future::poll_once;
use spinney::task::{Iwait, iwait, spawn_on};
use spinney::{Spawn, ThreadPool};
use spinney_greenlet::pair;
use spinney_tests::tools::{NoWake, behind, blow_up, gate, stuck};
use spinney_tests::{hub, in_time, on_every_hub};

on_every_hub! {
    async fn iwait_yields_each_as_it_finishes(hub) {
        let gates = [gate(), gate(), gate()];
        let greenlets = (0..3).map(|n| spawn_on(hub, behind(Arc::clone(&gates[n]), n)));
        let mut ended = iwait(greenlets);
        for n in [1, 2, 0] {
            assert!(poll_once(ended.next()).await.is_none(), "another greenlet came out");
            gates[n].set();
            assert_eq!(ended.next().await.unwrap().await.unwrap(), n);
        }
        assert!(ended.next().await.is_none());
    }

    async fn iwait_yields_finished_greenlets_first(hub) {
        let open = gate();
        let late = spawn_on(hub, behind(Arc::clone(&open), "late"));
        let early = spawn_on(hub, async { "early" });
        early.join().await;
        let mut ended = iwait([late, early]);
        assert_eq!(ended.next().await.unwrap().await.unwrap(), "early");
        open.set();
        assert_eq!(ended.next().await.unwrap().await.unwrap(), "late");
    }

    async fn iwait_begun_in_a_result_link_of_a_failure_yields_it(hub) {
        let (open, begun) = (gate(), Arc::new(Mutex::new(None)));
        let opened = Arc::clone(&open);
        let mut greenlet = spawn_on(hub, async move {
            opened.wait().await;
            blow_up("no luck")
        });
        let (handle, set) = (greenlet.handle().clone(), Arc::clone(&begun));
        greenlet.link_result(move |_| *set.lock().unwrap() = Some(iwait([handle])));
        open.set();
        greenlet.join().await;
        let mut set = begun.lock().unwrap().take().unwrap();
        assert_eq!(set.next().await.unwrap(), *greenlet.handle());
    }

    async fn member_of_a_set_is_not_added_again(hub) {
        let greenlet = spawn_on(hub, async {});
        let mut set = Iwait::new();
        set.push(greenlet.handle().clone());
        set.push(greenlet.handle().clone());
        greenlet.join().await;
        set.push(greenlet.handle().clone());
        assert_eq!(set.len(), 1);
        assert_eq!(set.next().await.unwrap(), *greenlet.handle());
        assert!(set.next().await.is_none());
    }

    async fn empty_set_goes_on_after_another_push(hub) {
        let mut set = Iwait::new();
        assert!(set.next().await.is_none());
        set.push(spawn_on(hub, async { 42 }));
        assert_eq!(set.next().await.unwrap().await.unwrap(), 42);
    }

    async fn removed_greenlet_does_not_come_out(hub) {
        let removed = spawn_on(hub, async {});
        removed.join().await;
        let handle = removed.handle().clone();
        let mut set = iwait([removed]);
        set.push(spawn_on(hub, async {}));
        assert_eq!(*set.remove(&handle).unwrap().handle(), handle);
        assert!(set.remove(&handle).is_none());
        assert_ne!(*set.next().await.unwrap().handle(), handle);
        assert!(set.next().await.is_none());
    }

    async fn dropped_set_detaches_its_greenlets(hub) {
        let (open, done) = (gate(), gate());
        let (opened, set) = (Arc::clone(&open), Arc::clone(&done));
        let ended = iwait([spawn_on(hub, async move {
            opened.wait().await;
            set.set();
        })]);
        drop(ended);
        open.set();
        done.wait().await;
    }

    async fn dropped_set_leaves_nothing_with_its_greenlets(hub) {
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let mut set = iwait([greenlet.handle()]);
        let waker = Arc::new(NoWake);
        let polled = pin!(&mut set).poll_next(&mut Context::from_waker(&Waker::from(Arc::clone(&waker))));
        assert!(polled.is_pending());
        drop(set);
        assert_eq!(Arc::strong_count(&waker), 1, "no link keeps the waker");
        greenlet.kill().await;
    }

    async fn greenlet_killed_before_it_began_delays_no_other(hub) {
        let (task, killed) = pair(async {}, ());
        let gates = [gate(), gate()];
        let [one, two] = [0, 1].map(|n| spawn_on(hub, behind(Arc::clone(&gates[n]), ())));
        let handles = [&killed, &one, &two].map(|greenlet| greenlet.handle().clone());
        let mut ended = iwait(&handles);
        killed.kill_now();
        // It has finished, although its task has not been polled yet.
        let mut late = iwait(&handles);
        for (gate, handle) in gates.iter().zip(&handles[1..]) {
            gate.set();
            assert_eq!(ended.next().await, Some(handle));
            assert_eq!(late.next().await, Some(handle));
        }
        assert!(poll_once(ended.next()).await.is_none() && poll_once(late.next()).await.is_none());
        hub.spawn(task);
        assert_eq!(ended.next().await, Some(&handles[0]));
        assert_eq!(late.next().await, Some(&handles[0]));
        assert!(ended.is_empty() && late.is_empty());
    }

    async fn greenlets_killed_unstarted_come_out_as_their_tasks_end(hub) {
        let pairs = [(); 3].map(|()| pair(async {}, ()));
        let handles = pairs.each_ref().map(|(_, greenlet)| greenlet.handle().clone());
        let mut ended = iwait(&handles);
        for handle in &handles {
            handle.kill_now();
        }
        let mut tasks = pairs.map(|(task, _)| Some(task));
        for n in [1, 2, 0] {
            assert!(poll_once(ended.next()).await.is_none());
            drop(tasks[n].take());
            assert_eq!(ended.next().await, Some(&handles[n]));
        }
        assert!(ended.is_empty());
    }
}

#[test]
fn closure_killed_in_the_queue_comes_out_immediately() {
    let (hub, threads) = (hub(1), ThreadPool::new(1));
    let (go_on, wait) = mpsc::channel::<()>();
    let busy = threads.submit(move || wait.recv().is_err());
    let queued = threads.submit(|| ()).handle().clone();
    hub.block_on(in_time(async {
        let open = gate();
        let greenlet = spawn_on(&hub, behind(Arc::clone(&open), ())).handle().clone();
        let mut ended = iwait([&queued, &greenlet]);
        queued.kill_now();
        open.set();
        assert_eq!(ended.next().await, Some(&queued));
        assert_eq!(ended.next().await, Some(&greenlet));
        drop(go_on);
    }));
    assert!(busy.wait().unwrap());
}
