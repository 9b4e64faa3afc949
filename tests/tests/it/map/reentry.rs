//! The promises to members that map over their own full pool: a read runs the items within itself,
//! and running items never exceed the slots.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::gevent::PoolExt as _;
use spinney::map::from_stream;
use spinney::pool::{Order, Reentry};
use spinney::task::spawn_on;
use spinney::{Handle, Pool, Retry, Within, shield, sleep, yield_now};
use spinney_tests::tools::{Count, Gauge, Log, all, behind, gate, let_others_run, polled};
use spinney_tests::{AnyHub, SimHub, on_every_hub};

type Local<T> = Pin<Box<dyn Future<Output = T>>>;

/// Work that yields a few times, counted by `gauge`.
async fn work(gauge: Gauge, value: usize) -> usize {
    let _inside = gauge.enter();
    yield_now().await;
    yield_now().await;
    value
}

on_every_hub! {
    async fn heavy_items_run_in_place_of_a_heavy_member(hub) {
        let (pool, gauge) = (Pool::on(hub, 2), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.slot().weight(2).spawn(async move {
            let mapper = inside.mapper().weight(|n: &usize| 1 + n % 2);
            mapper.map(move |n| work(inner.clone(), n), 0..5).await.unwrap()
        });
        assert_eq!(member.await.await.unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(gauge.peak(), 1);
        pool.wait_idle().await.unwrap();
    }

    async fn items_in_the_queue_run_in_place_when_another_wait_ends(hub) {
        for maxsize in 0..4 {
            let pool = Pool::on(hub, 1);
            let inside = pool.clone();
            let member = pool.spawn(async move {
                // The map is read while the other wait has the turn.
                let mapper = inside.mapper().maxsize(maxsize).priority(|_: &usize| 0);
                let map = mapper.imap(|n| work(Gauge::default(), n), 0..6);
                zip(inside.apply(work(Gauge::default(), 7)), map.count()).await
            });
            let (applied, count) = member.await.await.unwrap();
            assert_eq!((applied.unwrap(), count), (7, 6));
            pool.wait_idle().await.unwrap();
        }
    }

    async fn only_member_reads_each_kind_of_map(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let run = move |n| work(inner.clone(), n);
            let mapped = inside.map(run.clone(), 0..5).await.unwrap();
            let ordered: Vec<_> =
                inside.imap(run.clone(), 0..5).map(Result::unwrap).collect().await;
            let unordered = inside.imap_unordered(run.clone(), 0..5).count().await;
            let streamed = inside.map(run.clone(), from_stream(futures_lite::stream::iter(0..5)));
            let streamed = streamed.await.unwrap();
            let tried = inside.try_map(
                move |n| { let run = run(n); async move { Ok::<_, ()>(run.await) } },
                0..5,
            );
            (mapped, ordered, unordered, streamed, tried.await.unwrap())
        });
        let list: Vec<usize> = (0..5).collect();
        let expected = (list.clone(), list.clone(), 5, list.clone(), list);
        assert_eq!(member.await.await.unwrap(), expected);
        assert_eq!(gauge.peak(), 1);
        pool.wait_idle().await.unwrap();
    }

    async fn maps_nested_three_deep_never_hang(hub) {
        for capacity in [1, 2] {
            let (pool, gauge) = (Pool::on(hub, capacity), Gauge::default());
            let (first, inside) = (pool.clone(), gauge.clone());
            let outer = move |a: usize| {
                let (second, gauge) = (first.clone(), inside.clone());
                let middle = {
                    let second = second.clone();
                    move |b: usize| {
                        let (third, gauge) = (second.clone(), gauge.clone());
                        let inner = move |c: usize| work(gauge.clone(), c);
                        async move { third.map(inner, 0..3).await.unwrap().len() + b }
                    }
                };
                async move {
                    let sums: Vec<_> = second.imap(middle, 0..3).map(Result::unwrap).collect().await;
                    sums.into_iter().sum::<usize>() + a
                }
            };
            let sums = pool.imap_unordered(outer, 0..3).map(Result::unwrap);
            let mut sums: Vec<_> = sums.collect().await;
            sums.sort_unstable();
            assert_eq!(sums, [12, 13, 14]);
            assert!(gauge.peak() <= capacity, "{} ran concurrently", gauge.peak());
            assert_eq!((pool.len(), pool.free_count()), (0, capacity));
        }
    }

    async fn nested_maps_spawns_and_applies_never_hang(hub) {
        for capacity in [1, 2] {
            let (pool, gauge) = (Pool::on(hub, capacity), Gauge::default());
            let mut outer = Vec::new();
            for n in 0..3 {
                let (first, gauge) = (pool.clone(), gauge.clone());
                let spawn = pool.spawn(async move {
                    let second = first.clone();
                    let apply = first.apply(async move {
                        let third = second.clone();
                        let inner = move |m: usize| {
                            let (fourth, gauge) = (third.clone(), gauge.clone());
                            async move { fourth.spawn(work(gauge, m)).await.await.map_err(drop) }
                        };
                        second.try_map(inner, 0..3).await.unwrap().into_iter().sum::<usize>()
                    });
                    apply.await.unwrap() + n
                });
                outer.push(spawn.await);
            }
            for (n, greenlet) in outer.into_iter().enumerate() {
                assert_eq!(greenlet.await.unwrap(), n + 3);
            }
            assert!(gauge.peak() <= capacity, "{} ran concurrently", gauge.peak());
            pool.wait_idle().await.unwrap();
            assert_eq!((pool.len(), pool.free_count()), (0, capacity));
        }
    }

    async fn map_of_a_member_goes_on_while_others_wait(hub) {
        let (pool, gauge, start) = (Pool::on(hub, 1), Gauge::default(), gate());
        let (inside, inner, begin) = (pool.clone(), gauge.clone(), Arc::clone(&start));
        let member = pool.spawn(async move {
            begin.wait().await;
            inside.map(move |n| work(inner.clone(), n), 0..10).await.unwrap().len()
        }).await;
        let mut outside = Vec::new();
        for n in 0..3 {
            let mut spawn = Box::pin(pool.spawn(work(gauge.clone(), n)));
            assert!(poll_once(&mut spawn).await.is_none());
            outside.push(spawn);
        }
        start.set();
        assert_eq!(member.await.unwrap(), 10);
        for spawn in outside {
            spawn.await.await.unwrap();
        }
        assert_eq!(gauge.peak(), 1);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn reader_dropped_half_way_runs_one_item(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let run = move |n| work(inner.clone(), n);
            for _ in 0..5 {
                let mut results = inside.imap(run.clone(), 0..);
                assert_eq!(results.next().await.unwrap().unwrap(), 0);
                let _ = poll_once(results.next()).await;
                yield_now().await;
                let _ = poll_once(results.next()).await;
                drop(results);
            }
            inside.map(run, 0..3).await.unwrap().len()
        });
        assert_eq!(member.await.await.unwrap(), 3);
        assert_eq!(gauge.peak(), 1);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn reader_of_two_maps_runs_one_item_at_a_time(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let run = move |n| work(inner.clone(), n);
            let (one, two) = zip(inside.map(run.clone(), 0..5), inside.map(run, 0..5)).await;
            one.unwrap().len() + two.unwrap().len()
        });
        assert_eq!(member.await.await.unwrap(), 10);
        assert_eq!(gauge.peak(), 1);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn readers_and_spawners_that_wait_go_on(hub) {
        let (pool, gauge) = (Pool::on(hub, 2), Gauge::default());
        for _ in 0..5 {
            let (inside, inner) = (pool.clone(), gauge.clone());
            let reader = pool.spawn(async move {
                inside.map(move |n| work(inner.clone(), n), 0..5).await.unwrap().len()
            }).await;
            let (inside, inner) = (pool.clone(), gauge.clone());
            let spawner = pool.spawn(async move {
                let mut sum = 0;
                for n in 0..5 {
                    sum += inside.spawn(work(inner.clone(), n)).await.await.unwrap();
                }
                sum
            }).await;
            assert_eq!((reader.await.unwrap(), spawner.await.unwrap()), (5, 10));
        }
        assert!(gauge.peak() <= 2, "{} ran concurrently", gauge.peak());
        pool.wait_idle().await.unwrap();
    }

    async fn killed_reader_leaves_the_pool_whole(hub) {
        let pool = Pool::on(hub, 1);
        for turns in 0..6 {
            let (inside, queued) = (pool.clone(), gate());
            let read = async move { inside.map(|_: u32| std::future::pending::<()>(), 0..3).await };
            let member = pool.spawn(polled(Arc::clone(&queued), read)).await;
            queued.wait().await;
            for _ in 0..turns {
                yield_now().await;
            }
            member.kill().await;
            pool.wait_idle().await.unwrap();
            pool.join().await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn reader_with_reentry_wait_runs_nothing(hub) {
        let pool = Pool::builder().reentry(Reentry::Wait).pool_on(hub, 1);
        let (inside, queued, open) = (pool.clone(), gate(), gate());
        let (begun, set) = (gate(), Arc::clone(&open));
        let run = { let begun = Arc::clone(&begun); move |_: u32| behind(Arc::clone(&begun), ()) };
        let read = async move {
            let _ = poll_once(inside.map(run, 0..1)).await;
            set.wait().await;
        };
        let member = pool.spawn(polled(Arc::clone(&queued), read)).await;
        queued.wait().await;
        let_others_run().await;
        assert_eq!(pool.members().len(), 1);
        open.set();
        member.await.unwrap();
    }
}

on_every_hub! {
    async fn map_of_a_former_member_waits_for_slots(hub) {
        let (pool, gauge) = (Pool::on(hub, 1), Gauge::default());
        let (inside, inner) = (pool.clone(), gauge.clone());
        let member = pool.spawn(async move {
            let (me, leaves) = (Handle::current().unwrap(), inside.clone());
            let items = (0..3).inspect(move |_| {
                leaves.discard(&me);
            });
            inside.map(move |n| work(inner.clone(), n), items).await.unwrap().len()
        }).await;
        let others = (0..3).map(|n| Box::pin(pool.spawn(work(gauge.clone(), n)))).collect();
        for other in all(others).await {
            other.await.unwrap();
        }
        assert_eq!(member.await.unwrap(), 3);
        assert_eq!(gauge.peak(), 1);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

/// Maps over one item in each item, `depth` deep. Returns the depth.
fn nest(pool: Pool<AnyHub>, depth: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return 0;
        }
        let inside = pool.clone();
        let below = pool.map(move |_: u32| nest(inside.clone(), depth - 1), 0..1).await.unwrap();
        1 + below[0]
    })
}

on_every_hub! {
    async fn nested_maps_go_on_beyond_the_depth_in_place(hub) {
        let pool = Pool::on(hub, 1);
        assert_eq!(pool.apply(nest(pool.clone(), 140)).await.unwrap(), 140);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

#[test]
#[expect(clippy::async_yields_async, reason = "the reader outlives the member")]
fn other_reader_runs_no_item_while_the_member_computes() {
    let sim = SimHub::new();
    let (pool, begun) = (Pool::on(&sim, 1), Count::to(1));
    let (inside, count, hub) = (pool.clone(), begun.clone(), sim.clone());
    let second = Duration::from_secs(1);
    sim.block_on(async {
        let item = move |_: u32| {
            count.add();
            sleep(second)
        };
        let member = async move {
            let mut results = inside.imap(item, 0..3);
            assert!(poll_once(&mut StreamExt::next(&mut results)).await.is_none());
            let stranger = spawn_on(&hub, results.count());
            sleep(10 * second).await;
            stranger
        };
        let stranger = pool.spawn(member).await.await.unwrap();
        assert_eq!(begun.get(), 0);
        assert_eq!(stranger.await.unwrap(), 3);
    });
    assert_eq!(begun.get(), 3);
}

#[test]
fn item_of_a_dropped_read_waits_for_a_slot() {
    let sim = SimHub::new();
    let (pool, log) = (Pool::on(&sim, 1), Log::default());
    let (inside, steps) = (pool.clone(), log.clone());
    let item = move |steps: Log<&'static str>| async move {
        steps.add("begins");
        sleep(Duration::from_millis(10)).await;
        steps.add("goes on");
    };
    let member = async move {
        let seen = steps.clone();
        let mut results = inside.imap(move |_| item(seen.clone()), 0..1);
        assert!(results.next().within(Duration::from_millis(5)).await.is_err());
        results.detach();
        sleep(Duration::from_secs(5)).await;
        steps.add("the member ends");
    };
    sim.block_on(async {
        pool.spawn(member).await.await.unwrap();
        pool.wait_idle().await.unwrap();
    });
    assert_eq!(log.take(), ["begins", "the member ends", "goes on"]);
}

/// Runs `member` in a pool of `slots`, in many orders; it gets the pool.
fn in_many_orders<Fut: Future<Output = ()> + 'static>(
    slots: usize,
    member: impl Fn(SimHub, Pool<SimHub>) -> Fut,
) {
    SimHub::check(0..300, |sim| {
        let pool = Pool::on(sim, slots);
        let member = member(sim.clone(), pool.clone());
        sim.block_on(async { pool.spawn(member).await.await.unwrap() });
    });
}

#[test]
fn reader_of_two_maps_reads_one_while_it_runs_the_other() {
    in_many_orders(2, |_, pool| async move {
        let done = gate();
        let mut first = pool.imap(|_: u32| let_others_run(), 0..1);
        // Its item has the second slot.
        yield_now().await;
        yield_now().await;
        let waits = {
            let done = Arc::clone(&done);
            move |_: u32| behind(Arc::clone(&done), ())
        };
        let read = async {
            first.next().await.unwrap().unwrap();
            done.set();
        };
        zip(read, pool.map(waits, 0..1)).await.1.unwrap();
    });
}

#[test]
fn other_reader_gets_results_as_slots_come() {
    in_many_orders(2, |sim, pool| async move {
        let done = gate();
        let mut first = pool.imap(|_: u32| async {}, 0..1);
        assert!(poll_once(first.next()).await.is_none());
        let_others_run().await;
        let tells = Arc::clone(&done);
        let stranger = spawn_on(&sim, async move {
            first.next().await.unwrap().unwrap();
            tells.set();
        });
        let waits = move |_: u32| behind(Arc::clone(&done), ());
        pool.map(waits, 0..1).await.unwrap();
        stranger.await.unwrap();
    });
}

#[test]
fn time_passes_in_a_closed_map_with_an_item_in_place() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        for keyed in [false, true] {
            let pool = pool.scope();
            let inside = pool.clone();
            let member = pool.spawn(async move {
                let cleanup = |_: u32| shield(sleep(Duration::from_secs(1)));
                let map = if keyed {
                    inside.mapper().priority(|_: &u32| 0).imap(cleanup, 0..5)
                } else {
                    inside.imap(cleanup, 0..5)
                };
                map.count().await
            });
            let member = member.await;
            sleep(Duration::from_millis(1)).await;
            pool.close();
            pool.kill_now();
            assert!(member.await.unwrap_err().is_killed());
        }
    });
    assert_eq!(sim.elapsed(), Duration::from_secs(2));
}

#[test]
fn item_in_place_gets_its_slot_before_its_own_children() {
    let orders = [(1, Order::Oldest), (0, Order::Newest), (9, Order::Aging(3))];
    for ((priority, order), is_late) in orders.into_iter().flat_map(|o| [(o, false), (o, true)]) {
        let sim = SimHub::new();
        sim.block_on(async {
            let pool = Pool::on(&sim, 1);
            if !is_late {
                pool.set_order(order);
            }
            let inside = pool.clone();
            let child = sleep(Duration::from_secs(1));
            let member = pool.spawn(async move {
                let inner = inside.clone();
                let parent = async move {
                    inner.slot().priority(priority).spawn(child).await.await.unwrap();
                };
                let parent = Mutex::new(Some(parent));
                let map = inside.imap(move |()| parent.lock().unwrap().take().unwrap(), [()]);
                let mut map = Box::pin(map);
                // The item has begun in place, and nothing polls it any more.
                assert!(map.next().within(Duration::from_millis(1)).await.is_err());
                inside.set_order(order);
                Pin::into_inner(map).detach();
            });
            member.await.await.unwrap();
            pool.join().await.unwrap();
        });
    }
}

/// Runs `then` in place of a member of `pool`, `depth` levels deep.
fn in_place(pool: Pool<SimHub>, depth: usize, then: Local<()>) -> Local<()> {
    Box::pin(async move {
        if depth == 0 {
            return then.await;
        }
        pool.apply(in_place(pool.clone(), depth - 1, then)).await.unwrap();
    })
}

#[test]
fn at_most_one_item_goes_on_beside_its_reader() {
    const MS: Duration = Duration::from_millis(1);
    let sim = SimHub::new();
    sim.block_on(async {
        let (pool, done) = (Pool::on(&sim, 1), Log::default());
        let (inside, log) = (pool.clone(), done.clone());
        let reader = async move {
            let item = move |n: u32| {
                let log = log.clone();
                async move { (sleep(10 * MS).await, log.add(n)).1 }
            };
            // There is no room for one more item on the stack: it runs as a task of the hub.
            let mut map = inside.imap(item, 0..5);
            assert!(map.next().within(MS).await.is_err());
            sleep(100 * MS).await;
            assert_eq!(done.take(), [0]);
            assert_eq!((inside.len(), map.count().await), (1, 5));
        };
        pool.spawn(in_place(pool.clone(), 128, Box::pin(reader))).await.await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    });
}

#[test]
fn item_after_a_delay_runs_in_the_slot_of_its_reader() {
    const SECOND: Duration = Duration::from_secs(1);
    for per_key in [None, Some(1)] {
        let sim = SimHub::new();
        sim.block_on(async {
            let pool = Pool::on(&sim, 2);
            pool.set_per_key(per_key);
            let (inside, tries) = (pool.clone(), Count::to(2));
            let reader = async move {
                let fails_once = move |n: u32| {
                    tries.add();
                    let result = if tries.get() == 1 { Err(n) } else { Ok(n) };
                    async move { (yield_now().await, result).1 }
                };
                let retry = Retry::times(1).delays([SECOND]);
                inside.mapper().key(|n: &u32| *n).retry(retry).try_map(fails_once, [7]).await
            };
            let reader = pool.spawn(reader).await;
            sleep(SECOND / 2).await;
            // It needs the reader's slot as well, and is before the item in the queue.
            let (heavy, list) = zip(pool.slot().weight(2).spawn(async {}), reader).await;
            assert_eq!(list.unwrap().unwrap(), [7]);
            heavy.await.unwrap();
            assert_eq!((pool.len(), pool.free_count()), (0, 2));
        });
    }
}
