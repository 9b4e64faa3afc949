//! The promises of `GreenPile` to concurrent spawners and readers.

use std::sync::Arc;
use std::task::{Context, Waker};

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::eventlet::GreenPoolExt as _;
use spinney::task::spawn_on;
use spinney::{GreenPile, GreenPool, yield_now};
use spinney_sim::SimHub;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Log, NoWake, behind, blow_up, gate, let_others_run, stuck};

on_every_hub! {
    async fn pile_in_spawn_order_yields_in_spawn_order(hub) {
        let gates = [gate(), gate(), gate()];
        let pile = GreenPile::on(&GreenPool::on(hub, 3)).in_spawn_order();
        for (n, open) in gates.iter().enumerate() {
            pile.spawn(behind(Arc::clone(open), n)).await;
        }
        gates[2].set();
        gates[1].set();
        let_others_run().await;
        assert!(poll_once(pile.next()).await.is_none());
        gates[0].set();
        for n in 0..3 {
            assert_eq!(pile.next().await.unwrap().unwrap(), n);
        }
        assert!(pile.next().await.is_none());
    }

    async fn failed_task_of_a_pile_keeps_its_place(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 1)).in_spawn_order();
        for n in 0..3 {
            pile.spawn(async move { if n == 1 { blow_up("one") } else { n } }).await;
        }
        let results: Vec<_> = pile.map(Result::ok).collect().await;
        assert_eq!(results, [Some(0), None, Some(2)]);
    }

    async fn spawns_of_a_pile_that_wait_are_counted(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 1));
        pile.spawn(stuck(gate(), ())).await;
        let mut second = Box::pin(pile.spawn(async {}));
        assert_eq!(pile.len(), 1);
        assert!(poll_once(&mut second).await.is_none());
        assert_eq!((pile.len(), pile.pool().waiting()), (2, 1));
        drop(second);
        assert_eq!((pile.len(), pile.pool().waiting()), (1, 0));
    }

    async fn pile_does_not_end_while_its_first_task_waits(hub) {
        let pool = GreenPool::on(hub, 1);
        let holder = pool.spawn(stuck(gate(), ())).await;
        let pile = GreenPile::on(&pool);
        let mut spawn = Box::pin(pile.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        let mut next = Box::pin(pile.next());
        assert!(poll_once(&mut next).await.is_none());
        holder.kill().await;
        let (_, result) = zip(spawn, next).await;
        assert_eq!(result.unwrap().unwrap(), 42);
    }

    async fn pile_ends_when_its_last_spawn_is_dropped(hub) {
        let pool = GreenPool::on(hub, 1);
        pool.spawn_n(stuck(gate(), ())).await;
        let pile = GreenPile::<(), _>::on(&pool);
        let mut spawn = Box::pin(pile.spawn(async {}));
        assert!(poll_once(&mut spawn).await.is_none());
        let mut nexts: Vec<_> = (0..3).map(|_| Box::pin(pile.next())).collect();
        for next in &mut nexts {
            assert!(poll_once(next).await.is_none());
        }
        drop(spawn);
        for next in nexts {
            assert!(next.await.is_none());
        }
    }

    async fn spawner_and_many_readers_lose_nothing(hub) {
        for ordered in [false, true] {
            let pile = GreenPile::on(&GreenPool::on(hub, 2));
            let pile = Arc::new(if ordered { pile.in_spawn_order() } else { pile });
            let (started, log) = (gate(), Log::default());
            let (spawner, first) = (Arc::clone(&pile), Arc::clone(&started));
            // It counts from before its first task ends until it has spawned its last.
            let spawns = async move {
                for n in 0..50 {
                    spawner.spawn(async move { yield_now().await; n }).await;
                    first.set();
                }
            };
            let spawns = spawn_on(hub, spawns);
            started.wait().await;
            let readers = (0..3).map(|_| {
                let (pile, log, spawns) = (Arc::clone(&pile), log.clone(), spawns.handle().clone());
                spawn_on(hub, async move {
                    while !(spawns.is_ready() && pile.is_empty()) {
                        match pile.next().await {
                            Some(result) => log.add(result.unwrap()),
                            None => yield_now().await,
                        }
                    }
                })
            });
            let readers: Vec<_> = readers.collect();
            spinney::task::try_joinall(&readers).await.unwrap();
            let mut results = log.take();
            results.sort_unstable();
            assert_eq!(results, (0..50).collect::<Vec<_>>());
        }
    }

    async fn woken_reader_that_is_dropped_loses_nothing(hub) {
        for ordered in [false, true] {
            let pile = GreenPile::on(&GreenPool::on(hub, 2));
            let pile = if ordered { pile.in_spawn_order() } else { pile };
            let open = gate();
            let task = pile.spawn(behind(Arc::clone(&open), 42)).await;
            let (mut first, mut second) = (Box::pin(pile.next()), Box::pin(pile.next()));
            assert!(poll_once(&mut first).await.is_none());
            assert!(poll_once(&mut second).await.is_none());
            open.set();
            task.join().await;
            drop(first);
            assert_eq!(second.await.unwrap().unwrap(), 42);
        }
    }

    async fn two_piles_on_one_pool_may_be_read_in_the_other_order(hub) {
        let pool = GreenPool::on(hub, 4);
        let (first, second) = (GreenPile::on(&pool), GreenPile::on(&pool));
        for n in 0..10 {
            first.spawn(async move { n }).await;
            second.spawn(async move { n + 100 }).await;
        }
        for (pile, sum) in [(second, 1045), (first, 45)] {
            assert_eq!(pile.map(Result::unwrap).fold(0, |sum, n| sum + n).await, sum);
        }
    }

    async fn task_may_spawn_into_its_own_full_pile(hub) {
        let pile = Arc::new(GreenPile::on(&GreenPool::on(hub, 1)));
        let inside = Arc::clone(&pile);
        let outer = async move {
            inside.spawn(async { 1 }).await;
            2
        };
        pile.spawn(outer).await;
        for n in [1, 2] {
            assert_eq!(pile.next().await.unwrap().unwrap(), n);
        }
        assert!(pile.next().await.is_none());
    }

    async fn pile_as_a_stream_goes_on_after_its_end(hub) {
        let mut pile = GreenPile::on(&GreenPool::on(hub, 2));
        for n in 0..3 {
            pile.spawn(async move { n }).await;
            assert_eq!(StreamExt::next(&mut pile).await.unwrap().unwrap(), n);
            assert!(StreamExt::next(&mut pile).await.is_none());
        }
    }
}

#[test]
fn dropped_reader_leaves_no_waker() {
    let sim = SimHub::new();
    let pile = GreenPile::on(&GreenPool::on(&sim, 1));
    sim.block_on(pile.spawn(stuck(gate(), ())));
    let held = Arc::new(NoWake);
    let waker = Waker::from(Arc::clone(&held));
    for _ in 0..10 {
        let mut next = Box::pin(pile.next());
        for _ in 0..3 {
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    assert_eq!(Arc::strong_count(&held), 2);
}

#[test]
#[should_panic(expected = "the order of a pile is chosen while it is empty")]
fn order_of_a_pile_in_use_cannot_be_chosen() {
    let sim = SimHub::new();
    let pile = GreenPile::on(&GreenPool::on(&sim, 1));
    sim.block_on(pile.spawn(async {}));
    drop(pile.in_spawn_order());
}

#[test]
fn deadlock_names_the_line_that_waits_for_a_pile() {
    let sim = SimHub::new();
    for ordered in [false, true] {
        let pile = GreenPile::on(&GreenPool::on(&sim, 1));
        let pile = if ordered { pile.in_spawn_order() } else { pile };
        sim.block_on(pile.spawn(std::future::pending::<()>()));
        let line = line!() + 1;
        let text = sim.try_block_on(pile.next()).unwrap_err().to_string();
        let told = format!("the main future waits for GreenPile::next at {}:{line}:", file!());
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
        let line = line!() + 1;
        let text = sim.try_block_on(pile.spawn(std::future::pending())).unwrap_err().to_string();
        let told = format!("the main future waits for a slot of a pool at {}:{line}:", file!());
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
}
