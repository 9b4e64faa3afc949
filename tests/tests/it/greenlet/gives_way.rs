//! The promise of awaits of greenlets that are ready: a loop of them gives way, so that its greenlet
//! can be killed, limited, aborted and shut down.

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::{block_on, or};
use spinney::{Greenlet, Handle, Iwait, Pool, Within, iwait, joinall, pair, spawn_on, try_joinall};
use spinney_tests::tools::{gate, polled};
use spinney_tests::{Dropped, hub, on_every_hub};

type Endless = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A greenlet that has ended.
async fn done() -> Greenlet<u32> {
    let (task, greenlet) = pair(ready(42), ());
    task.await;
    greenlet
}

/// A loop of each kind of await of greenlets that have ended.
async fn endless_loops() -> Vec<Endless> {
    let handle: Handle = done().await.handle().clone();
    let (join, kill, all, tries, next, in_place) =
        (handle.clone(), handle.clone(), handle.clone(), handle.clone(), handle.clone(), handle);
    let mut get = done().await;
    vec![
        Box::pin(async move {
            loop {
                join.join().await
            }
        }),
        Box::pin(async move {
            loop {
                kill.kill().await
            }
        }),
        Box::pin(async move {
            loop {
                get.get().await.unwrap();
            }
        }),
        Box::pin(async move {
            loop {
                assert_eq!(done().await.await.unwrap(), 42)
            }
        }),
        Box::pin(async move {
            loop {
                joinall([&all]).await;
            }
        }),
        Box::pin(async move {
            loop {
                try_joinall([&tries]).await.unwrap();
            }
        }),
        Box::pin(async move {
            loop {
                Iwait::<Handle>::new().next().await;
            }
        }),
        Box::pin(async move {
            loop {
                iwait([&next]).next().await.unwrap();
            }
        }),
        Box::pin(async move {
            let mut set = Iwait::<Handle>::new();
            loop {
                StreamExt::next(&mut set).await;
            }
        }),
        Box::pin(async move {
            loop {
                pair(in_place.join(), ()).0.in_place().await
            }
        }),
    ]
}

on_every_hub! {
    async fn loop_of_ready_awaits_is_killed(hub) {
        for endless in endless_loops().await {
            let started = gate();
            let greenlet = spawn_on(hub, polled(Arc::clone(&started), endless));
            started.wait().await;
            greenlet.kill().await;
            assert!(greenlet.await.unwrap_err().is_killed());
        }
    }

    async fn loop_of_ready_awaits_is_aborted(hub) {
        for endless in endless_loops().await {
            let started = gate();
            let greenlet = spawn_on(hub, polled(Arc::clone(&started), endless));
            started.wait().await;
            greenlet.abort();
            assert!(greenlet.await.unwrap_err().is_aborted());
        }
    }

    async fn loop_of_ready_awaits_is_limited(hub) {
        for endless in endless_loops().await {
            // In a simulation no time passes while something runs.
            let limited = endless.within(Duration::ZERO);
            assert!(spawn_on(hub, limited).await.unwrap().is_err());
        }
    }

    async fn loop_of_ready_awaits_lets_others_run(hub) {
        let pool = Pool::on(hub, 20);
        let endless: Vec<_> = {
            let mut greenlets = Vec::new();
            for endless in endless_loops().await {
                greenlets.push(pool.spawn(endless).await);
            }
            greenlets
        };
        assert_eq!(pool.spawn(ready(1)).await.await.unwrap(), 1);
        pool.kill().await;
        assert!(endless.iter().all(|greenlet| greenlet.failure().unwrap().is_killed()));
    }

    async fn of_two_ready_branches_the_second_is_seen_within_two_polls(hub) {
        let handle = done().await.handle().clone();
        let sees_both = async move {
            let seen = |side| { let join = handle.join(); async move { join.await; side } };
            // Used up by others.
            for _ in 0..1000 {
                handle.join().await;
                let first = or(seen(1), seen(2)).await;
                assert!(first == 1 || first == 2);
            }
            let mut polls = 0;
            let mut second = Box::pin(or(std::future::pending(), seen(2)));
            poll_fn(move |cx| {
                polls += 1;
                assert!(polls <= 2, "put off twice");
                second.as_mut().poll(cx)
            })
            .await
        };
        assert_eq!(spawn_on(hub, sees_both).await.unwrap(), 2);
    }

    async fn greenlet_in_place_uses_up_the_budget_around_it(hub) {
        let handle = done().await.handle().clone();
        let counts = async move {
            let mut child = Box::pin(pair(async move { loop { handle.join().await } }, ()).0.in_place());
            poll_fn(|cx| Poll::Ready(child.as_mut().poll(cx).is_pending())).await
        };
        assert!(spawn_on(hub, counts).await.unwrap());
    }

    async fn foreign_block_on_in_a_greenlet_goes_on(hub) {
        let handle = done().await.handle().clone();
        let blocks = async move {
            block_on(async { for _ in 0..1000 { handle.join().await } });
            for _ in 0..1000 {
                handle.join().await;
            }
        };
        spawn_on(hub, blocks).await.unwrap();
    }
}

#[test]
fn loop_of_ready_awaits_is_shut_down() {
    for endless in block_on(endless_loops()) {
        let (hub, started, dropped) = (hub(1), gate(), Dropped::default());
        let guard = dropped.guard();
        let body = polled(Arc::clone(&started), async move { (endless.await, guard).0 });
        let greenlet = spawn_on(&hub, body);
        hub.block_on(started.wait());
        hub.shutdown(Duration::ZERO);
        assert!(block_on(greenlet).unwrap_err().is_killed());
        assert_eq!(dropped.count(), 1);
    }
}
