//! The promises of queues under virtual time and seeded orders of the waiters.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::sync::{Channel, ShutDown};
use spinney::task::joinall;
use spinney::task::spawn_on;
use spinney::{Queue, Within, sleep, yield_now};
use spinney_tests::{SEEDS, SimHub};

const SECOND: Duration = Duration::from_secs(1);
const WAITERS: usize = 20;

#[test]
fn items_go_to_waiting_getters_in_fifo_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..SEEDS {
        let (sim, queue) = (SimHub::seeded(seed), Rc::new(Queue::unbounded()));
        let (came, got) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let getters: Vec<_> = (0..WAITERS)
            .map(|n| {
                let (queue, came, got) = (Rc::clone(&queue), Rc::clone(&came), Rc::clone(&got));
                spawn_on(&sim, async move {
                    let mut get = queue.get();
                    assert!(poll_once(&mut get).await.is_none());
                    came.borrow_mut().push(n);
                    let item = get.await.unwrap();
                    got.borrow_mut().push((item, n));
                })
            })
            .collect();
        sim.block_on(async {
            while queue.getting() < WAITERS {
                yield_now().await;
            }
            for item in 0..WAITERS {
                queue.put_nowait(item).unwrap();
                if item % 3 == 0 {
                    yield_now().await;
                }
            }
            joinall(&getters).await;
        });
        got.borrow_mut().sort_unstable();
        let takers: Vec<_> = got.borrow().iter().map(|(_, n)| *n).collect();
        assert_eq!(*came.borrow(), takers, "SimHub::seeded({seed})");
        orders.insert(takers);
    }
    assert!(orders.len() > 1, "no seed changed the order");
}

#[test]
fn waiting_putters_put_their_items_in_fifo_order() {
    for capacity in [0, 1, 5] {
        SimHub::check(0..SEEDS, |sim| {
            let (queue, came) = (Rc::new(Queue::bounded(capacity)), Rc::new(RefCell::default()));
            let putters: Vec<_> = (0..WAITERS)
                .map(|n| {
                    let (queue, came) = (Rc::clone(&queue), Rc::clone(&came));
                    spawn_on(sim, async move {
                        let mut put = queue.put(n);
                        let at_once = poll_once(&mut put).await;
                        RefCell::<Vec<_>>::borrow_mut(&came).push(n);
                        match at_once {
                            Some(done) => done.unwrap(),
                            None => put.await.unwrap(),
                        }
                    })
                })
                .collect();
            sim.block_on(async {
                while came.borrow().len() < WAITERS {
                    yield_now().await;
                }
                let mut got = Vec::new();
                for _ in 0..WAITERS {
                    got.push(queue.get().await.unwrap());
                }
                assert_eq!(got, *came.borrow());
                joinall(&putters).await;
            });
        });
    }
}

#[test]
fn timed_out_get_takes_nothing() {
    SimHub::check(0..SEEDS, |sim| {
        sim.block_on(async {
            let queue = Queue::bounded(1);
            assert!(queue.get().within(SECOND).await.is_err());
            assert_eq!((sim.elapsed(), queue.getting()), (SECOND, 0));
            queue.put_nowait(7).unwrap();
            assert_eq!(queue.get().within(SECOND).await, Ok(Ok(7)));
            assert_eq!(sim.elapsed(), SECOND);
        });
    });
}

#[test]
fn timed_out_put_keeps_its_item() {
    SimHub::check(0..SEEDS, |sim| {
        sim.block_on(async {
            let queue = Queue::bounded(1);
            queue.put_nowait("first").unwrap();
            let mut put = queue.put("second");
            assert!((&mut put).within(SECOND).await.is_err());
            assert_eq!(sim.elapsed(), SECOND);
            assert_eq!(put.take_back(), Some("second"));
            assert_eq!(queue.putting(), 0);
            queue.shutdown();
            assert_eq!(queue.put("third").within(SECOND).await, Ok(Err(ShutDown("third"))));
            assert_eq!(queue.get().await, Ok("first"));
        });
    });
}

/// Both wait for a second at most, and sometimes exactly as long as the other needs: at first the
/// getter, then the putter.
#[test]
fn timed_out_puts_and_gets_lose_no_item() {
    const ITEMS: u32 = 30;
    for queue in [|| Queue::bounded(1), || Queue::bounded(0)] {
        SimHub::check(0..SEEDS, |sim| {
            let queue = Rc::new(queue());
            let putter = {
                let queue = Rc::clone(&queue);
                spawn_on(sim, async move {
                    let mut late = 0;
                    for mut item in 0..ITEMS {
                        loop {
                            let mut put = queue.put(item);
                            if (&mut put).within(SECOND).await.is_ok() {
                                break;
                            }
                            match put.take_back() {
                                Some(back) => item = back,
                                None => break,
                            }
                            late += 1;
                        }
                        let slow = if item < ITEMS / 2 { item % 4 } else { 0 };
                        sleep(slow * SECOND).await;
                    }
                    late
                })
            };
            let (got, late) = sim.block_on(async {
                let (mut got, mut late) = (Vec::new(), 0);
                for n in 0..ITEMS {
                    let item = loop {
                        match queue.get().within(SECOND).await {
                            Ok(item) => break item.unwrap(),
                            Err(_) => late += 1,
                        }
                    };
                    got.push(item);
                    let slow = if n < ITEMS / 2 { 0 } else { n % 4 };
                    sleep(slow * SECOND).await;
                }
                (got, late)
            });
            assert_eq!(got, (0..ITEMS).collect::<Vec<_>>());
            assert!(late > 0 && sim.block_on(putter).unwrap() > 0, "one side was never late");
            assert_eq!((queue.len(), queue.getting(), queue.putting()), (0, 0, 0));
        });
    }
}

#[test]
fn channel_passes_an_item_once_both_sides_wait() {
    SimHub::check(0..SEEDS, |sim| {
        let channel = Rc::new(Channel::new());
        let putter = {
            let channel = Rc::clone(&channel);
            spawn_on(sim, async move {
                channel.put("early").await.unwrap();
                sleep(5 * SECOND).await;
                channel.put("late").await.unwrap();
            })
        };
        sim.block_on(async {
            sleep(SECOND).await;
            assert_eq!(channel.get().await, Ok("early"));
            assert_eq!(sim.elapsed(), SECOND);
            assert_eq!(channel.get().await, Ok("late"));
            assert_eq!(sim.elapsed(), 6 * SECOND);
            putter.await.unwrap();
        });
    });
}
