//! `block_on`: no stack runs another task.

use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use spinney_hub::{
    BoxTask, Clock, Context, Hub, LocalHub, Spawn, Within, block_on, sleep, spawn, yield_now,
};
use spinney_sync::Event;

const MS: Duration = Duration::from_millis(1);

fn hub(threads: usize) -> Hub {
    Hub::builder().threads(threads).build().unwrap()
}

/// Runs `task` on `hub`, and waits until it has finished.
fn run<T: Send + 'static>(hub: &Hub, task: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = channel();
    hub.spawn(async move { send.send(task()).unwrap() });
    receive.recv().unwrap()
}

/// FAULTS A2, first case.
#[test]
fn main_future_goes_on_while_a_task_blocks_its_thread() {
    let (hub, (release, released)) = (hub(1), channel::<()>());
    hub.spawn(async move {
        let _gone = released.recv();
    });
    // If this thread helped with tasks, it would be the one that waits for `release`.
    hub.block_on(async {
        spawn(async {});
        sleep(MS).await;
    });
    drop(release);
}

/// FAULTS A2, second case.
#[test]
fn block_on_of_a_plain_thread_runs_no_task() {
    let hub = hub(4);
    for _ in 0..200 {
        let (ready, is_ready) = async_channel::bounded(1);
        let (go, gone) = channel::<()>();
        hub.spawn(async move {
            ready.send(()).await.unwrap();
            gone.recv().unwrap();
        });
        hub.block_on(is_ready.recv()).unwrap();
        go.send(()).unwrap();
    }
}

/// FAULTS A2, third case.
#[test]
fn once_lock_and_mutex_are_held_while_their_task_blocks() {
    static ONCE: OnceLock<u32> = OnceLock::new();
    static LOCK: Mutex<u32> = Mutex::new(0);
    for threads in [1, 2] {
        let (hub, (send, receive)) = (hub(threads), channel());
        for _ in 0..20 {
            let (own, send) = (hub.clone(), send.clone());
            hub.spawn(async move {
                let once = *ONCE.get_or_init(|| {
                    own.block_on(async {
                        sleep(MS).await;
                        7
                    })
                });
                let mut lock = LOCK.lock().unwrap();
                block_on(sleep(MS));
                *lock += 1;
                send.send(once).unwrap();
            });
        }
        drop(send);
        assert_eq!(receive.iter().sum::<u32>(), 20 * 7);
    }
    assert_eq!(*LOCK.lock().unwrap(), 40);
}

/// FAULTS A2, fourth case. Small stacks are enough, because none holds two of the tasks.
#[test]
fn five_thousand_tasks_block_on_small_stacks() {
    const TASKS: usize = 5000;
    let hub = Hub::builder().threads(2).stack_size(128 << 10).build().unwrap();
    let blocked = Arc::new(AtomicUsize::new(0));
    let (send, receive) = channel();
    for _ in 0..TASKS {
        let (own, send, blocked) = (hub.clone(), send.clone(), Arc::clone(&blocked));
        hub.spawn(async move {
            blocked.fetch_add(1, SeqCst);
            own.block_on(sleep(10 * MS));
            send.send(()).unwrap();
        });
    }
    drop(send);
    assert_eq!(receive.iter().count(), TASKS);
    assert_eq!(blocked.load(SeqCst), TASKS);
}

/// FAULTS A2, fifth case.
#[test]
fn local_hubs_in_tasks_are_independent() {
    let (hub, (send, receive)) = (hub(2), channel());
    for n in 0..500_u32 {
        let send = send.clone();
        hub.spawn(async move {
            let local = LocalHub::new();
            send.send(local.block_on(async {
                yield_now().await;
                n
            }))
            .unwrap();
        });
    }
    drop(send);
    assert_eq!(receive.iter().sum::<u32>(), (0..500).sum());
}

#[test]
fn spare_thread_runs_the_other_tasks_while_one_blocks() {
    let (hub, other) = (hub(1), hub(1));
    let own = hub.clone();
    let [same, elsewhere, free] = run(&hub, move || {
        let wait = |hub: &Hub| {
            let (send, receive) = async_channel::bounded(1);
            spawn(async move { send.try_send(1).unwrap() }); // on the hub whose task blocks
            hub.block_on(receive.recv()).unwrap()
        };
        [wait(&own), wait(&other), wait(&Hub::current())]
    });
    assert_eq!(same + elsewhere + free, 3);
    assert_eq!(hub.refused_threads(), 0);
}

#[test]
fn nested_block_on_works() {
    let (hub, other) = (hub(1), hub(1));
    let text = run(&hub, move || {
        other.block_on(async {
            yield_now().await;
            block_on(async {
                yield_now().await;
                format!("{:?}", Hub::current())
            })
        })
    });
    assert_eq!(
        text, "Hub { threads: 1, tasks: 0 }",
        "the inner `block_on` is not on the outer hub"
    );
}

#[test]
fn spares_have_the_settings_of_the_hub_and_end_when_idle() {
    let (to, calls) = channel();
    let (start, stop) = (to.clone(), to);
    let hub = Hub::builder()
        .threads(1)
        .name("spare")
        .on_start(move |index| start.send(("start", index)).unwrap())
        .on_stop(move |index| stop.send(("stop", index)).unwrap())
        .build()
        .unwrap();
    let name = run(&hub, || {
        let (send, receive) = async_channel::bounded(1);
        spawn(async move {
            send.try_send(thread::current().name().unwrap().to_owned()).unwrap();
        });
        block_on(receive.recv()).unwrap()
    });
    assert_eq!(name, "spare-1");
    let calls: Vec<_> = calls.iter().take(3).collect();
    assert_eq!(calls[..2], [("start", 0), ("start", 1)]);
    assert_eq!(calls[2].0, "stop", "no spare exited while the hub lived");
    drop(hub);
}

#[test]
fn no_more_tasks_than_threads_run_after_the_blocks() {
    let hub = hub(2);
    let (all, go_on) = (Arc::new(Barrier::new(9)), Arc::new(Event::new()));
    let (send, blocks) = channel();
    for _ in 0..8 {
        let (all, go_on, send) = (Arc::clone(&all), Arc::clone(&go_on), send.clone());
        hub.spawn(async move {
            send.send(()).unwrap();
            block_on(go_on.wait());
            all.wait();
        });
    }
    // The barrier blocks threads unknown to the hub: no task may come to it before all have a thread.
    assert_eq!(blocks.iter().take(8).count(), 8);
    go_on.set();
    all.wait();
    // Each surplus thread notices after its turn.
    loop {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (send, receive) = channel::<()>();
        for _ in 0..100 {
            let (running, most, send) = (Arc::clone(&running), Arc::clone(&most), send.clone());
            hub.spawn(async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::yield_now();
                running.fetch_sub(1, SeqCst);
                drop(send);
            });
        }
        drop(send);
        assert!(receive.recv().is_err());
        if most.load(SeqCst) <= 2 {
            break;
        }
    }
}

#[test]
fn block_on_is_outside_the_limits_around_it() {
    hub(1).block_on(async {
        let nested = async {
            block_on(async {
                sleep(5 * MS).await;
                let late = sleep(Duration::from_secs(3600)).within(MS).await;
                late.unwrap_err().limit()
            })
        };
        // Ready at its first poll, although that poll took longer than the limit.
        assert_eq!(nested.within(MS).await, Ok(MS));
    });
}

#[test]
fn destructor_of_a_task_may_block() {
    struct Blocks(Sender<()>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_on(sleep(MS));
            self.0.send(()).unwrap();
        }
    }
    let (hub, (send, receive)) = (hub(1), channel());
    for _ in 0..10 {
        let blocks = Blocks(send.clone());
        hub.spawn(async move {
            yield_now().await;
            drop(blocks);
        });
        let blocks = Blocks(send.clone());
        hub.spawn(async move {
            let _blocks = blocks;
            pending::<()>().await;
        });
    }
    drop((hub, send));
    assert_eq!(receive.iter().count(), 20);
}

/// A custom hub.
struct Nowhere;

impl Spawn<BoxTask> for Nowhere {
    fn spawn(&self, _: BoxTask) {}
}

#[test]
#[should_panic(expected = "await the future instead")]
fn block_on_inside_a_custom_context_panics() {
    let _entered = Context::new(Clock::default(), Arc::new(Nowhere)).enter();
    block_on(async {});
}
