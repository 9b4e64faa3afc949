//! A member that spawns into its own full pool runs the child in its place, by the rules of
//! `Pool::spawn`: it never waits for ever, and running bodies never exceed the slots.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use spinney::gevent::{GroupExt as _, PoolExt as _};
use spinney::hub::SmolHub;
use spinney::pool::Reentry;
use spinney::task::{GreenletExit, spawn_on};
use spinney::{
    Failure, Greenlet, Handle, Hub, LocalHub, Pool, Queue, Semaphore, catch_exit, greenlet_local,
    shield, yield_now,
};
use spinney_tests::tools::{
    Count, Gauge, Log, all, behind, blow_up, gate, let_others_run, polled, stuck,
};
use spinney_tests::{Dropped, SimHub, on_every_hub};

/// Work that yields a few times, counted by `gauge`.
async fn work(gauge: Gauge, value: usize) -> usize {
    let _inside = gauge.enter();
    yield_now().await;
    yield_now().await;
    value
}

greenlet_local! {
    static USER: &'static str = "anonymous";
}

on_every_hub! {
    async fn child_in_place_is_a_greenlet_of_its_own(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            USER.set("alice");
            let (me, again) = (Handle::current().unwrap(), inside.clone());
            let child = inside.spawn(async move {
                let child = Handle::current().unwrap();
                (again.contains(&child), again.len(), again.members().len(), USER.get(), child.parent())
            });
            let child = child.await;
            assert!(child.is_ready());
            (child.await.unwrap(), me.id())
        });
        let (seen, me) = member.await.await.unwrap();
        assert_eq!(seen, (true, 1, 2, "anonymous", Some(me)));
        assert_eq!((pool.len(), pool.members().len()), (0, 0));
    }

    async fn panic_in_place_fails_the_child_alone(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let child = inside.spawn(async { blow_up("inner") }).await;
            child.failure().unwrap().is_panic()
        });
        assert!(member.await.await.unwrap());
    }

    async fn members_that_all_spawn_go_on(hub) {
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

    async fn child_moves_to_a_free_slot(hub) {
        let (pool, open, fed) = (Pool::on(hub, 2), gate(), Arc::new(Queue::bounded(1)));
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (inside, food, started) = (pool.clone(), Arc::clone(&fed), gate());
        let begun = Arc::clone(&started);
        let member = pool.spawn(async move {
            let eats = Arc::clone(&food);
            // The child needs its parent, which goes on once the child has a slot.
            let child = inside.spawn(async move {
                begun.set();
                eats.get().await.unwrap()
            }).await;
            assert!(!child.is_ready());
            food.put(42).await.unwrap();
            child.await.unwrap()
        }).await;
        started.wait().await;
        assert_eq!((pool.len(), pool.members().len(), pool.waiting()), (2, 3, 1));
        open.set();
        other.await.unwrap();
        assert_eq!(member.await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 2, 0));
    }

    async fn lock_held_over_a_spawn_is_released_with_a_slot(hub) {
        let (pool, open, lock) = (Pool::on(hub, 2), gate(), Arc::new(Semaphore::new(1)));
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (inside, held, started) = (pool.clone(), Arc::clone(&lock), gate());
        let begun = Arc::clone(&started);
        let member = pool.spawn(async move {
            let permit = held.acquire().await.unwrap();
            let wants = Arc::clone(&held);
            let child = inside.spawn(async move {
                begun.set();
                drop(wants.acquire().await.unwrap());
            }).await;
            drop(permit);
            child.await.unwrap();
        }).await;
        started.wait().await;
        open.set();
        other.await.unwrap();
        member.await.unwrap();
    }

    async fn many_spawns_of_one_member_have_one_body_in_place(hub) {
        for (capacity, count) in [(1, 4), (4, 200)] {
            let (pool, gauge) = (Pool::on(hub, capacity), Gauge::default());
            let (inside, inner) = (pool.clone(), gauge.clone());
            let member = pool.spawn(async move {
                let spawns = (0..count).map(|n| Box::pin(inside.spawn(work(inner.clone(), n))));
                let mut sum = 0;
                for greenlet in all(spawns.collect()).await {
                    sum += greenlet.await.unwrap();
                }
                sum
            });
            assert_eq!(member.await.await.unwrap(), count * (count - 1) / 2);
            assert!(gauge.peak() <= capacity, "{} bodies", gauge.peak());
            assert_eq!((pool.len(), pool.free_count()), (0, capacity));
        }
    }

    async fn members_and_others_get_slots_in_fifo_order(hub) {
        let (pool, open, log) = (Pool::on(hub, 1), gate(), Log::default());
        let (inside, second, queued, opened) = (pool.clone(), log.clone(), gate(), Arc::clone(&open));
        let (start, set) = (gate(), Arc::clone(&queued));
        let started = Arc::clone(&start);
        let member = pool.spawn(async move {
            started.wait().await;
            let spawn = inside.spawn(async move {
                opened.wait().await;
                second.add(2);
            });
            polled(set, spawn).await.await.unwrap();
        }).await;
        let (first, third) = (log.clone(), log.clone());
        let mut before = Box::pin(pool.spawn(async move { first.add(1) }));
        let mut after = Box::pin(pool.spawn(async move { third.add(3) }));
        assert!(poll_once(&mut before).await.is_none());
        start.set();
        queued.wait().await;
        assert!(poll_once(&mut after).await.is_none());
        assert_eq!(pool.waiting(), 3);
        // Two more slots: for the first non-member, and for the child.
        pool.resize(3);
        before.await.await.unwrap();
        let_others_run().await;
        open.set();
        member.await.unwrap();
        after.await.await.unwrap();
        assert_eq!(log.take(), [1, 2, 3]);
    }

    async fn kill_of_a_member_goes_to_its_child_first(hub) {
        let (pool, log, started) = (Pool::on(hub, 1), Log::default(), gate());
        let (inside, outer, begun) = (pool.clone(), log.clone(), Arc::clone(&started));
        let member = pool.spawn(async move {
            let inner = outer.clone();
            let spawned = catch_exit(inside.spawn(async move {
                let seen = catch_exit(polled(begun, std::future::pending::<()>())).await;
                inner.add(format!("child {}", seen.unwrap_err()));
                yield_now().await;
                inner.add("cleaned up".to_owned());
            })).await;
            outer.add(format!("member {}", spawned.unwrap_err()));
        }).await;
        started.wait().await;
        member.kill_with(GreenletExit::because("enough")).await;
        let seen = ["child killed: enough", "cleaned up", "member killed: enough"];
        assert_eq!(log.take(), seen);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn kill_of_a_child_in_place_ends_it_alone(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let (inside, begun) = (pool.clone(), Arc::clone(&started));
        let member = pool.spawn(async move {
            let child = inside.spawn(polled(begun, std::future::pending::<()>())).await;
            child.failure().unwrap().is_killed()
        }).await;
        started.wait().await;
        let child = pool.members().into_iter().find(|greenlet| greenlet != member.handle());
        assert!(pool.killone(&child.unwrap()).await);
        assert!(member.await.unwrap());
    }

    async fn dropped_wait_ends_its_child_immediately(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 1), Dropped::default(), gate());
        let (inside, guard, begun) = (pool.clone(), dropped.guard(), Arc::clone(&started));
        let member = pool.spawn(async move {
            let mut spawn = Box::pin(inside.spawn(shield(polled(begun, stuck(gate(), guard)))));
            assert!(poll_once(&mut spawn).await.is_none());
            drop(spawn);
            (inside.members().len(), inside.len(), inside.waiting())
        }).await;
        assert_eq!(member.await.unwrap(), (1, 1, 0));
        assert_eq!(dropped.count(), 1);
        assert_eq!(pool.available(), 1);
    }

    async fn helper_of_a_member_waits_for_a_slot(hub) {
        let pool = Pool::on(hub, 1);
        let (inside, own) = (pool.clone(), hub.clone());
        let member = pool.spawn(async move {
            let again = inside.clone();
            let helper = spawn_on(&own, async move { again.spawn(async { 7 }).await.await.unwrap() });
            while inside.waiting() == 0 {
                yield_now().await;
            }
            assert!(!helper.is_ready());
            Some(helper)
        }).await;
        assert_eq!(member.await.unwrap().unwrap().await.unwrap(), 7);
    }

    async fn wait_that_changes_hands_gets_a_new_holder(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (given, take) = (Log::default(), gate());
        let (inside, gift, inner, go) = (pool.clone(), given.clone(), gauge.clone(), gate());
        let (taken, wait, handed) = (Arc::clone(&take), Arc::clone(&go), gate());
        let handed_on = Arc::clone(&handed);
        let member = pool.spawn(async move {
            let owned = inside.clone();
            // Owned, so that it can be moved.
            let mut spawn = Box::pin(async move {
                let child = owned.spawn(async move {
                    let _body = inner.enter();
                    wait.wait().await;
                    7
                });
                child.await.await.unwrap()
            });
            assert!(poll_once(&mut spawn).await.is_none());
            gift.add(spawn);
            handed_on.set();
            taken.wait().await;
        }).await;
        handed.wait().await;
        let mut spawn = given.take().remove(0);
        go.set();
        // A non-member does not poll the child.
        assert!(poll_once(&mut spawn).await.is_none());
        assert_eq!(pool.waiting(), 1);
        take.set();
        member.await.unwrap();
        assert_eq!(spawn.await, 7);
    }

    async fn discarded_member_waits_for_a_slot(hub) {
        let pool = Pool::on(hub, 1);
        let (inside, queued) = (pool.clone(), gate());
        let set = Arc::clone(&queued);
        let former = pool.spawn(async move {
            assert!(inside.discard(&Handle::current().unwrap()));
            let slot = inside.try_slot().unwrap();
            let mut spawn = Box::pin(inside.spawn(async { 7 }));
            assert!(poll_once(&mut spawn).await.is_none());
            set.set();
            drop(slot);
            spawn.await.await.unwrap()
        }).await;
        queued.wait().await;
        assert_eq!(former.await.unwrap(), 7);
    }

    /// No slot comes for the child: it ends where it waits.
    async fn parked_child_ends_when_killed_or_aborted(hub) {
        for abort in [false, true] {
            let (pool, dropped, started) = (Pool::on(hub, 1), Dropped::default(), gate());
            let (inside, guard, begun) = (pool.clone(), dropped.guard(), Arc::clone(&started));
            let member = pool.spawn(async move {
                inside.spawn(stuck(begun, guard)).await.failure()
            }).await;
            started.wait().await;
            pool.resize(0);
            let mut members = pool.members().into_iter();
            let child = members.find(|greenlet| greenlet != member.handle()).unwrap();
            assert!(pool.discard(member.handle()));
            if abort {
                child.abort();
                child.join().await;
            } else {
                assert!(pool.killone(&child).await);
            }
            assert_eq!((dropped.count(), pool.members().len()), (1, 0));
            let failure = member.await.unwrap().unwrap();
            assert_eq!(pool.waiting(), 0);
            assert_eq!(matches!(failure, Failure::Aborted(_)), abort, "{failure}");
        }
    }

    /// The cleanup needs a slot.
    async fn parked_child_that_catches_its_kill_waits_for_a_slot(hub) {
        let (pool, started, killed) = (Pool::on(hub, 1), gate(), gate());
        let (log, inside, begun) = (Log::default(), pool.clone(), Arc::clone(&started));
        let (caught, go_on) = (log.clone(), Arc::clone(&killed));
        let member = pool.spawn(async move {
            let mut child = Box::pin(inside.spawn(async move {
                caught.add(catch_exit(stuck(gate(), ())).await.is_err());
            }));
            // No poll of the child is in progress when the kill comes.
            assert!(poll_once(&mut child).await.is_none());
            begun.set();
            go_on.wait().await;
            child.await.await.unwrap();
        }).await;
        started.wait().await;
        pool.resize(0);
        let mut members = pool.members().into_iter();
        let child = members.find(|greenlet| greenlet != member.handle()).unwrap();
        pool.discard(member.handle());
        child.kill_now();
        killed.set();
        let_others_run().await;
        assert_eq!((child.is_ready(), log.take()), (false, vec![]));
        pool.resize(1);
        member.await.unwrap();
        assert_eq!(log.take(), [true]);
    }

    async fn other_verbs_of_a_member_run_nothing_in_place(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            assert!(inside.try_spawn(async {}).is_err() && inside.try_slot().is_err());
            let late = inside.spawn_within(Duration::ZERO, async {}).await;
            assert!(late.is_err());
            let greenlet = Greenlet::new(async {});
            assert!(poll_once(inside.slot()).await.is_none());
            assert!(poll_once(inside.add(&greenlet)).await.is_none());
            assert!(poll_once(inside.start(&greenlet)).await.is_none());
            assert!(poll_once(inside.wait_available()).await.is_none());
            let deferred = inside.apply_async(async {});
            let_others_run().await;
            assert!(!deferred.is_ready());
            Some(deferred)
        }).await;
        member.await.unwrap().unwrap().await.unwrap();
    }

    async fn closed_full_pool_refuses_children(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            inside.close();
            inside.spawn(async {}).await.await
        }).await;
        assert!(member.await.unwrap().unwrap_err().is_killed());
    }

    async fn child_in_place_goes_on_in_a_closed_pool(hub) {
        let (pool, open, started) = (Pool::on(hub, 1), gate(), gate());
        let (inside, opened, begun) = (pool.clone(), Arc::clone(&open), Arc::clone(&started));
        let member = pool.spawn(async move {
            inside.spawn(polled(begun, behind(opened, 7))).await.await.unwrap()
        }).await;
        started.wait().await;
        assert_eq!((pool.close().running, pool.waiting()), (2, 0));
        open.set();
        assert_eq!(member.await.unwrap(), 7);
    }

    async fn member_with_reentry_wait_waits(hub) {
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

    async fn inline_child_runs_in_place_to_the_end(hub) {
        let pool = Pool::builder().reentry(Reentry::Inline).pool_on(hub, 1);
        let (inside, open, started) = (pool.clone(), gate(), gate());
        let (opened, begun) = (Arc::clone(&open), Arc::clone(&started));
        let member = pool.spawn(async move {
            inside.spawn(polled(begun, behind(opened, 7))).await.is_ready()
        }).await;
        started.wait().await;
        assert_eq!(pool.waiting(), 0);
        pool.resize(5);
        let_others_run().await;
        assert!(!member.is_ready());
        open.set();
        assert!(member.await.unwrap());
    }

    async fn dropped_waits_of_members_leak_no_slot(hub) {
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
            assert_eq!((pool.len(), pool.available()), (0, 2));
        }
    }

    async fn members_go_on_at_capacity_zero(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let other = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (inside, started) = (pool.clone(), gate());
        let go = gate();
        let (begun, gone) = (Arc::clone(&started), Arc::clone(&go));
        let member = pool.spawn(async move {
            inside.spawn(polled(begun, behind(gone, 42))).await.await.unwrap()
        }).await;
        started.wait().await;
        pool.resize(0);
        open.set();
        other.await.unwrap();
        let_others_run().await;
        assert!(!member.is_ready());
        go.set();
        assert_eq!(member.await.unwrap(), 42);
    }

    async fn member_of_two_full_pools_runs_in_place_in_both(hub) {
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

    async fn applies_of_a_member_run_one_at_a_time(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let (one, two) = zip(
                inside.apply(work(inner.clone(), 1)),
                inside.apply(work(inner.clone(), 2)),
            ).await;
            one.unwrap() + two.unwrap()
        });
        assert_eq!(member.await.await.unwrap(), 3);
        assert_eq!(gauge.peak(), 1);
    }

    async fn scope_members_run_children_of_their_pool_in_place(hub) {
        let pool = Pool::on(hub, 1);
        let (scope, other) = (pool.scope(), pool.scope());
        let (inside, own) = (pool.clone(), scope.clone());
        let member = scope.spawn(async move {
            let one = inside.spawn(async { 1 }).await.await.unwrap();
            let two = own.spawn(async { 2 }).await.await.unwrap();
            one + two + other.spawn(async { 4 }).await.await.unwrap()
        });
        assert_eq!(member.await.await.unwrap(), 7);
        assert_eq!((pool.len(), scope.len()), (0, 0));
    }
}

/// A wait whose child runs in place, and gets no slot, continues on another hub: the child returns
/// to its own.
#[test]
fn wait_without_a_slot_ends_on_another_hub() {
    for reentry in [Reentry::InPlace, Reentry::Inline] {
        let (here, there) = (SimHub::new(), SimHub::new());
        let pool = Pool::builder().reentry(reentry).pool_on(&here, 1);
        let (inside, open) = (pool.clone(), gate());
        let opened = Arc::clone(&open);
        let member = async move {
            let mut spawn = Box::pin(inside.spawn(behind(opened, 7)));
            assert!(poll_once(&mut spawn).await.is_none());
            if reentry == Reentry::InPlace {
                inside.close();
            }
            let child = there.block_on(&mut spawn);
            assert!(!child.is_ready());
            open.set();
            child.await.unwrap()
        };
        here.block_on(async {
            assert_eq!(pool.spawn(member).await.await.unwrap(), 7);
            assert_eq!((pool.len(), pool.members().len()), (0, 0));
        });
    }
}

#[test]
fn deadlock_names_the_member_that_waits() {
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

#[test]
fn deadlock_in_place_names_the_chain() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    let inside = pool.clone();
    let stuck = sim.try_block_on(async {
        let member = async move {
            let child = spinney::Event::new();
            inside.spawn(async move { child.wait().await }).await.detach();
        };
        pool.spawn(member).await.named("parent").await.unwrap();
    });
    let text = stuck.unwrap_err().to_string();
    assert!(text.contains(", in place of greenlet "), "{text}");
    assert!(text.contains("Event::wait at tests/tests/it/pool/reentry.rs"), "{text}");
}

fn deep(
    pool: Pool<SimHub>,
    depth: usize,
    guard: spinney_tests::DropGuard,
) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let inside = pool.clone();
        if depth == 0 {
            stuck(gate(), guard).await;
        } else {
            let _ = inside.spawn(deep(pool, depth - 1, guard)).await.await;
        }
    })
}

#[test]
fn abort_of_a_deep_chain_reaches_its_end() {
    let sim = SimHub::new();
    let (pool, dropped) = (Pool::on(&sim, 1), Dropped::default());
    sim.block_on(async {
        let member = pool.spawn(deep(pool.clone(), 1000, dropped.guard())).await;
        let_others_run().await;
        assert!(pool.members().len() > 500, "{}", pool.members().len());
        member.abort();
        assert!(matches!(member.await, Err(Failure::Aborted(_))));
        pool.wait_idle().await.unwrap();
    });
    assert_eq!((dropped.count(), pool.available(), pool.members().len()), (1, 1, 0));
}

/// Calls itself through `pool`, each call within the previous one.
fn nest(pool: Pool, depth: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            yield_now().await;
            return 0;
        }
        let inside = pool.clone();
        inside.spawn(nest(pool, depth - 1)).await.await.unwrap() + 1
    })
}

/// Recursion 5,000 deep, through pools of few slots.
async fn recurse() {
    for capacity in [1, 2, 5] {
        let pool = Pool::new(capacity);
        assert_eq!(pool.spawn(nest(pool.clone(), 5_000)).await.await.unwrap(), 5_000);
        assert_eq!((pool.len(), pool.free_count(), pool.members().len()), (0, capacity, 0));
    }
}

#[test]
fn recursion_goes_deeper_than_slots_and_stack_on_threads() {
    for threads in [1, 4] {
        Hub::builder().threads(threads).build().unwrap().block_on(recurse());
    }
}

#[test]
fn recursion_goes_deeper_than_slots_and_stack_on_one_thread() {
    LocalHub::new().block_on(recurse());
    SimHub::new().block_on(recurse());
}

#[test]
fn recursion_goes_deeper_than_slots_and_stack_on_tokio() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(recurse());
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(recurse());
}

#[test]
fn recursion_goes_deeper_than_slots_and_stack_on_smol() {
    spinney_tests::smol_block_on(SmolHub.scope(recurse()));
}
