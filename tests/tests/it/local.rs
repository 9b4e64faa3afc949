//! Futures, functions, items and results that are not `Send`, on hubs that stay on their thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_lite::StreamExt;
use spinney::task::joinall;
use spinney::task::{iwait, spawn_on};
use spinney::{GreenPile, GreenPool, Group, LocalHub, Pool, yield_now};
use spinney_tests::on_one_thread;
use spinney_tests::tools::{blow_up, gate, stuck};

on_one_thread! {
    async fn greenlet_may_hold_and_return_non_send_values(hub) {
        let shared = Rc::new(Cell::new(1));
        let inside = Rc::clone(&shared);
        let greenlet = spawn_on(hub, async move {
            yield_now().await;
            inside.set(2);
            inside
        });
        assert!(Rc::ptr_eq(&greenlet.await.unwrap(), &shared));
        assert_eq!(shared.get(), 2);
    }

    async fn group_may_run_non_send_futures(hub) {
        let (group, sum) = (Group::on(hub), Rc::new(Cell::new(0)));
        for n in 0..5 {
            let sum = Rc::clone(&sum);
            group.spawn(async move { sum.set(sum.get() + n) }).detach();
        }
        group.join().await.unwrap();
        assert_eq!(sum.get(), 10);
    }

    async fn pool_may_run_and_return_non_send_values(hub) {
        let pool = Pool::on(hub, 2);
        let mut greenlets = Vec::new();
        for n in 0..5 {
            greenlets.push(pool.spawn(async move { Rc::new(n) }).await);
        }
        assert_eq!(joinall(&greenlets).await.len(), 5);
        for (n, greenlet) in greenlets.into_iter().enumerate() {
            assert_eq!(*greenlet.await.unwrap(), n);
        }
    }

    async fn try_spawn_accepts_non_send_futures(hub) {
        let pool = Pool::on(hub, 1);
        assert_eq!(*pool.try_spawn(async { Rc::new(42) }).unwrap().await.unwrap(), 42);
    }

    async fn map_accepts_and_returns_non_send_values(hub) {
        let (pool, log) = (Pool::on(hub, 2), Rc::new(RefCell::new(Vec::new())));
        let seen = Rc::clone(&log);
        let work = move |item: Rc<u32>| {
            seen.borrow_mut().push(*item);
            async move {
                yield_now().await;
                Rc::new(*item * 10)
            }
        };
        let results = pool.map(work, (0..5).map(Rc::new)).await.unwrap();
        assert_eq!(results, [0, 10, 20, 30, 40].map(Rc::new));
        log.borrow_mut().sort_unstable();
        assert_eq!(*log.borrow(), [0, 1, 2, 3, 4]);
    }

    async fn input_of_a_map_may_be_non_send(hub) {
        let (pool, taken) = (Pool::on(hub, 2), Rc::new(Cell::new(0)));
        let count = Rc::clone(&taken);
        let items = (0..10).inspect(move |_| count.set(count.get() + 1));
        let results = pool.imap_unordered(|n| async move { Rc::new(n) }, items);
        assert_eq!(results.filter(Result::is_ok).count().await, 10);
        assert_eq!(taken.get(), 10);
    }

    async fn pile_may_hold_non_send_results(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 2));
        for n in 0..5 {
            pile.spawn(async move { Rc::new(n) }).await;
        }
        let mut results: Vec<_> = pile.map(Result::unwrap).collect().await;
        results.sort_unstable();
        assert_eq!(results, [0, 1, 2, 3, 4].map(Rc::new));
    }

    async fn iwait_yields_non_send_results(hub) {
        let mut ended = iwait([spawn_on(hub, async { Rc::new(42) })]);
        assert_eq!(*ended.next().await.unwrap().await.unwrap(), 42);
    }

    async fn kill_drops_non_send_values(hub) {
        let (shared, started) = (Rc::new(()), gate());
        let greenlet = spawn_on(hub, stuck(started.clone(), Rc::clone(&shared)));
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(Rc::strong_count(&shared), 1);
    }

    async fn panic_drops_non_send_values(hub) {
        let shared = Rc::new(Cell::new(42));
        let inside = Rc::clone(&shared);
        let greenlet = spawn_on(hub, async move {
            inside.set(43);
            blow_up("no luck")
        });
        greenlet.join().await;
        assert_eq!(Rc::strong_count(&shared), 1);
        greenlet.detach();
    }

    async fn borrows_of_the_main_future_may_wait_for_a_pool(hub) {
        let (pool, total) = (Pool::on(hub, 2), Cell::new(0));
        let add = async |n| total.set(total.get() + pool.spawn(async move { n }).await.await.unwrap());
        add(1).await;
        add(2).await;
        assert_eq!(total.get(), 3);
    }
}

#[test]
fn tasks_of_a_local_hub_run_in_fifo_order() {
    let hub = LocalHub::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    hub.block_on(async {
        let group = Group::on(&hub);
        for n in 0..5 {
            let log = Rc::clone(&log);
            let work = async move {
                log.borrow_mut().push(n);
                yield_now().await;
                log.borrow_mut().push(10 * n);
            };
            group.spawn(work).detach();
        }
        group.join().await.unwrap();
    });
    assert_eq!(*log.borrow(), [0, 1, 2, 3, 4, 0, 10, 20, 30, 40]);
}

#[test]
fn dropped_local_hub_drops_non_send_values() {
    let shared = Rc::new(());
    let hub = LocalHub::new();
    let (started, never) = (gate(), gate());
    spawn_on(&hub, stuck(started.clone(), Rc::clone(&shared))).detach();
    hub.block_on(started.wait());
    spawn_on(&hub, stuck(never, Rc::clone(&shared))).detach();
    drop(hub);
    assert_eq!(Rc::strong_count(&shared), 1);
}

#[test]
fn hub_in_a_thread_local_ends_its_greenlets() {
    thread_local! {
        static HUB: spinney::LocalHub = spinney::LocalHub::new();
    }
    let handle = std::thread::spawn(|| {
        HUB.with(|hub| {
            let greenlet = spinney::task::spawn_on(hub, std::future::pending::<()>());
            hub.block_on(spinney::yield_now());
            greenlet.handle().clone()
        })
    });
    assert!(handle.join().unwrap().failure().unwrap().is_killed());
}
