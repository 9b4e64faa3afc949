//! The promises to members that spawn into their own full pool, or map over it: nobody waits for
//! ever, and never do more run than there are slots.

use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::{Greenlet, Handle, Pool, Reentry, yield_now};
use spinney_tests::tools::{
    Count, Gauge, Log, Why, all, behind, blow_up, gate, let_others_run, polled,
};
use spinney_tests::{SimHub, on_every_hub};

/// Work that gives way a few times, in sight of `gauge`.
async fn work(gauge: Gauge, value: usize) -> usize {
    let _inside = gauge.enter();
    yield_now().await;
    yield_now().await;
    value
}

on_every_hub! {
    async fn the_only_member_runs_what_it_spawns_in_place(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let me = Handle::current();
            let inner = inside.spawn(async move { Handle::current() == me }).await;
            (inner.is_ready(), inside.len(), inner.await.unwrap())
        });
        assert_eq!(member.await.await.unwrap(), (true, 1, true));
    }

    async fn what_panics_in_place_fails_its_own_greenlet(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let inner = inside.spawn(async { blow_up("inner") }).await;
            inner.failure().unwrap().why()
        });
        assert_eq!(member.await.await.unwrap(), "panicked: inner");
    }

    async fn when_all_members_spawn_all_go_on(hub) {
        let (pool, meeting, gauge) = (Pool::on(hub, 3), Count::to(3), Gauge::default());
        let mut members = Vec::new();
        for n in 0..3 {
            let (inside, meeting, gauge) = (pool.clone(), meeting.clone(), gauge.clone());
            let member = pool.spawn(async move {
                meeting.meet().await;
                inside.spawn(work(gauge, n)).await.await.unwrap()
            });
            members.push(member.await);
        }
        for (n, member) in members.into_iter().enumerate() {
            assert_eq!(member.await.unwrap(), n);
        }
        assert!(gauge.peak() <= 3);
        assert_eq!((pool.len(), pool.waiting()), (0, 0));
    }

    async fn no_more_is_run_in_place_than_is_needed(hub) {
        let (pool, meeting, in_place) = (Pool::on(hub, 3), Count::to(3), Log::default());
        let (hold, ran) = (gate(), gate());
        for _ in 0..3 {
            let (inside, meeting, in_place) = (pool.clone(), meeting.clone(), in_place.clone());
            let (hold, ran) = (Arc::clone(&hold), Arc::clone(&ran));
            let member = async move {
                meeting.meet().await;
                let me = Handle::current();
                let inner = async move {
                    if Handle::current() == me {
                        in_place.add(());
                        ran.set();
                    }
                    hold.wait().await;
                };
                inside.spawn(inner).await.await.unwrap();
            };
            pool.spawn(member).await.detach();
        }
        ran.wait().await;
        let_others_run().await;
        // The one who runs in place holds the others up no more than any member does.
        assert_eq!((in_place.take().len(), pool.waiting()), (1, 2));
        hold.set();
        pool.wait_idle().await.unwrap();
    }

    async fn while_another_member_runs_a_member_waits_for_a_slot(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let inside = pool.clone();
        let mut spawner = pool.spawn(async move {
            let me = Handle::current();
            inside.spawn(async move { Handle::current() == me }).await.await.unwrap()
        }).await;
        assert!(poll_once(&mut spawner).await.is_none());
        let_others_run().await;
        assert!(!spawner.is_ready());
        open.set();
        other.await.unwrap();
        assert!(!spawner.await.unwrap(), "it ran in place");
    }

    async fn members_and_strangers_enter_in_the_order_they_came(hub) {
        let (pool, open, log) = (Pool::on(hub, 2), gate(), Log::default());
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (inside, second, start, queued) = (pool.clone(), log.clone(), gate(), gate());
        let (started, set) = (Arc::clone(&start), Arc::clone(&queued));
        let member = pool.spawn(async move {
            started.wait().await;
            let spawn = inside.spawn(async move { second.add(2) });
            polled(set, spawn).await.await.unwrap();
        }).await;
        let (first, third) = (log.clone(), log.clone());
        let mut before = Box::pin(pool.spawn(async move { first.add(1) }));
        let mut after = Box::pin(pool.spawn(async move { third.add(3) }));
        assert!(poll_once(&mut before).await.is_none());
        start.set();
        queued.wait().await;
        assert!(poll_once(&mut after).await.is_none());
        open.set();
        other.await.unwrap();
        before.await.await.unwrap();
        after.await.await.unwrap();
        member.await.unwrap();
        assert_eq!(log.take(), [1, 2, 3]);
    }

    async fn a_member_that_waits_by_choice_waits(hub) {
        let pool = Pool::builder().reentry(Reentry::Wait).pool_on(hub, 1);
        let (inside, queued) = (pool.clone(), gate());
        let member = pool.spawn(polled(
            Arc::clone(&queued),
            async move { inside.spawn(async {}).await.detach() },
        )).await;
        queued.wait().await;
        let_others_run().await;
        assert!(!member.is_ready() && pool.waiting() == 1);
        pool.kill().await;
    }

    async fn a_dropped_spawn_of_a_member_leaves_the_pool_whole(hub) {
        let pool = Pool::on(hub, 2);
        for _ in 0..20 {
            for _ in 0..2 {
                let inside = pool.clone();
                let member = pool.spawn(async move {
                    let mut first = Box::pin(inside.spawn(yield_now()));
                    let _ = poll_once(&mut first).await;
                    yield_now().await;
                    drop(first);
                    inside.spawn(yield_now()).await.await.unwrap();
                });
                member.await.detach();
            }
            pool.wait_idle().await.unwrap();
            assert_eq!((pool.len(), pool.free_count()), (0, 2));
        }
    }

    async fn members_that_wait_go_on_when_the_pool_shrinks_to_nothing(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (inside, queued) = (pool.clone(), gate());
        let spawns = async move { inside.spawn(async { 42 }).await.await.unwrap() };
        let member = pool.spawn(polled(Arc::clone(&queued), spawns)).await;
        queued.wait().await;
        pool.resize(0);
        let_others_run().await;
        assert!(!member.is_ready());
        open.set();
        other.await.unwrap();
        assert_eq!(member.await.unwrap(), 42);
    }

    async fn unwanted_slot_does_not_keep_a_member_waiting(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (start, inside, queued) = (gate(), pool.clone(), gate());
        let (started, set) = (Arc::clone(&start), Arc::clone(&queued));
        let member = pool.spawn(async move {
            started.wait().await;
            let spawn = inside.spawn(async { 42 });
            polled(set, spawn).await.await.unwrap()
        }).await;
        let mut available = Box::pin(pool.wait_available());
        assert!(poll_once(&mut available).await.is_none());
        open.set();
        other.await.unwrap();
        // The slot is on its way to who waits for one.
        start.set();
        queued.wait().await;
        pool.resize(1);
        available.await;
        assert_eq!(member.await.unwrap(), 42);
    }

    async fn a_member_that_spawns_several_at_once_runs_one_at_a_time(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let spawns = (0..4).map(|n| Box::pin(inside.spawn(work(inner.clone(), n))));
            let mut sum = 0;
            for greenlet in all(spawns.collect()).await {
                sum += greenlet.await.unwrap();
            }
            sum
        });
        assert_eq!(member.await.await.unwrap(), 6);
        assert_eq!(gauge.peak(), 1);
    }

    async fn spawns_three_deep_never_hang(hub) {
        for capacity in [1, 2] {
            let (pool, gauge, done) = (Pool::on(hub, capacity), Gauge::default(), Count::to(4));
            for n in 0..4 {
                let (first, gauge, done) = (pool.clone(), gauge.clone(), done.clone());
                // Each waits until what it spawns has a slot, or has run.
                let outer = async move {
                    let second = first.clone();
                    let middle = async move {
                        let inner = async move {
                            work(gauge, n).await;
                            done.add();
                        };
                        second.spawn(inner).await.detach();
                    };
                    first.spawn(middle).await.detach();
                };
                pool.spawn(outer).await.detach();
            }
            done.reached().await;
            pool.wait_idle().await.unwrap();
            assert!(gauge.peak() <= capacity, "{} at once", gauge.peak());
            assert_eq!(pool.free_count(), capacity);
        }
    }

    async fn a_pool_of_one_runs_what_is_awaited_three_deep(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        // Each is to end before the one that spawned it.
        let (one, two, three, inner) = (pool.clone(), pool.clone(), pool.clone(), gauge.clone());
        let third = async move { three.spawn(work(inner, 3)).await.await.unwrap() };
        let second = async move { two.spawn(third).await.await.unwrap() };
        let first = async move { one.spawn(second).await.await.unwrap() };
        assert_eq!(pool.spawn(first).await.await.unwrap(), 3);
        assert_eq!(gauge.peak(), 1);
    }

    async fn a_member_of_two_full_pools_runs_in_place_in_each_by_turns(hub) {
        let (one, two) = (Pool::on(hub, 1), Pool::on(hub, 1));
        let (first, second, third, other) = (one.clone(), two.clone(), one.clone(), two.clone());
        let member = one.spawn(async move {
            assert!(other.add(&Handle::current().unwrap()).await);
            let innermost = async move { third.spawn(async { 42 }).await.await.unwrap() };
            let inner = async move { second.spawn(innermost).await.await.unwrap() };
            first.spawn(inner).await.await.unwrap()
        });
        assert_eq!(member.await.await.unwrap(), 42);
        assert_eq!((one.len(), two.len()), (0, 0));
    }

    async fn members_one_of_which_waits_to_spawn_do_not_hang(hub) {
        let (pool, both) = (Pool::on(hub, 2), Count::to(2));
        let (inside, here) = (pool.clone(), both.clone());
        let spawner = pool.spawn(async move {
            here.meet().await;
            inside.spawn(async { 7 }).await.await.unwrap()
        }).await;
        let inside = pool.clone();
        let starter = pool.spawn(async move {
            both.meet().await;
            let greenlet = Greenlet::new(async {});
            assert!(inside.add(greenlet.handle()).await);
            greenlet.kill_now();
        }).await;
        assert_eq!(spawner.await.unwrap(), 7);
        starter.await.unwrap();
    }
}

#[test]
fn a_wait_for_ever_is_told_where_it_was_chosen() {
    let sim = SimHub::new();
    let pool = Pool::builder().reentry(Reentry::Wait).pool_on(&sim, 1);
    let inside = pool.clone();
    let stuck = sim.try_block_on(async {
        pool.spawn(async move { inside.spawn(async {}).await.detach() }).await.await.unwrap();
    });
    let text = stuck.unwrap_err().to_string();
    assert!(
        text.contains("waits for a slot of a pool at tests/tests/it/pool/reentry.rs"),
        "{text}"
    );
}
