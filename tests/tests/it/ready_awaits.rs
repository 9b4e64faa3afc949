//! A loop of awaits that are ready gives way: it is killed, limited and shut down like any other
//! task, and lets the others run.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use spinney::{
    AsyncResult, Barrier, BoundedSemaphore, BoxFuture, Channel, Event, Failure, Handle,
    JoinableQueue, Latch, Pool, Queue, RLock, Semaphore, Within, interval, joinall, sleep,
    sleep_until, spawn, spawn_on, yield_now,
};
use spinney_tests::{
    Dropped, LocalHub, OneThread, SimHub, SmolHub, TokioHub, on_every_hub, tokio_runtime,
};

const MS: Duration = Duration::from_millis(1);

/// Makes an await that is ready, or that gives way by itself.
type Make = Arc<dyn Fn() -> BoxFuture + Send + Sync>;

/// A name, and how to make the await.
type Row = (&'static str, Make);

fn row<F>(name: &'static str, make: impl Fn() -> F + Send + Sync + 'static) -> Row
where
    F: Future<Output = ()> + Send + 'static,
{
    (name, Arc::new(move || Box::pin(make())))
}

/// An await of something that the loop shares.
fn shared<T, F>(
    name: &'static str,
    of: T,
    make: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
) -> Row
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let of = Arc::new(of);
    row(name, move || make(Arc::clone(&of)))
}

/// The awaits of hubs, greenlets and synchronisation.
fn awaits() -> Vec<Row> {
    let past = Instant::now();
    let mut rows = vec![
        row("sleep of zero", || sleep(Duration::ZERO)),
        row("sleep until the past", move || sleep_until(past)),
        row("yield_now", yield_now),
        row("tick of an interval of zero", || async {
            interval(Duration::ZERO).tick().await;
        }),
        row("ready future within a limit", || async { async {}.within(MS).await.unwrap() }),
        row("joinall of none", || async {
            joinall(Vec::<Handle>::new()).await;
        }),
    ];
    rows.extend(waits());
    rows.extend(queues());
    rows
}

fn waits() -> Vec<Row> {
    let set = Event::new();
    set.set();
    let result = AsyncResult::<u32>::new();
    result.set(7).unwrap();
    vec![
        shared("Event::wait", set, |event| async move { event.wait().await }),
        shared("AsyncResult::get", result, |result| async move {
            result.get().await.unwrap();
        }),
        shared("Semaphore::acquire", Semaphore::new(1), |seats| async move {
            drop(seats.acquire().await.unwrap());
        }),
        shared("BoundedSemaphore::acquire", BoundedSemaphore::new(1), |seats| async move {
            drop(seats.acquire().await.unwrap());
        }),
        shared("RLock::acquire", RLock::<u32>::new(), |lock| async move {
            drop(lock.acquire(7).await);
        }),
        shared("Barrier::wait", Barrier::new(1), |barrier| async move {
            barrier.wait().await;
        }),
        shared("Latch::wait", Latch::new(0), |latch| async move { latch.wait().await }),
    ]
}

fn queues() -> Vec<Row> {
    let [get, put, peek] = [(); 3].map(|()| Queue::<u32>::unbounded());
    let channel = Channel::<u32>::new();
    for queue in [&get, &put, &peek] {
        queue.shutdown();
    }
    channel.shutdown();
    vec![
        shared("Queue::get", get, |queue| async move {
            queue.get().await.unwrap_err();
        }),
        shared("Queue::put", put, |queue| async move {
            queue.put(7).await.unwrap_err();
        }),
        shared("Queue::peek", peek, |queue| async move {
            queue.peek().await.unwrap_err();
        }),
        shared("Channel::get", channel, |channel| async move {
            channel.get().await.unwrap_err();
        }),
        shared("JoinableQueue::join", JoinableQueue::<u32>::unbounded(), |queue| async move {
            queue.join().await;
        }),
    ]
}

/// Gives the others a few turns, in each of which a loop goes round up to 128 times.
async fn a_few_turns() {
    for _ in 0..5 {
        yield_now().await;
    }
}

/// Awaits what `make` makes for ever.
async fn endless(make: Make) {
    loop {
        make().await;
    }
}

on_every_hub! {
    async fn endless_loop_is_killed(hub) {
        for (name, make) in awaits() {
            let greenlet = spawn_on(hub, endless(make));
            a_few_turns().await;
            greenlet.kill().await;
            assert!(matches!(greenlet.await, Err(Failure::Killed(_))), "{name}");
        }
    }

    async fn endless_loop_is_limited(hub) {
        for (name, make) in awaits() {
            let greenlet = spawn_on(hub, endless(make).within(2 * MS));
            yield_now().await;
            hub.let_time_pass(2 * MS);
            assert!(greenlet.await.unwrap().is_err(), "{name}");
        }
    }

    async fn endless_loop_in_a_pool_is_drained(hub) {
        for (name, make) in awaits() {
            let pool = Pool::on(hub, 1);
            let greenlet = pool.spawn(endless(make)).await;
            hub.let_time_pass(2 * MS);
            let report = pool.drain(MS).await;
            assert!(matches!(greenlet.await, Err(Failure::Killed(_))), "{name}: {report:?}");
        }
    }

    async fn endless_loop_of_two_ready_branches_is_killed(hub) {
        for (name, make) in awaits() {
            let other = Arc::clone(&make);
            let greenlet = spawn_on(hub, endless(Arc::new(move || Box::pin(or(make(), other())))));
            a_few_turns().await;
            greenlet.kill().await;
            assert!(matches!(greenlet.await, Err(Failure::Killed(_))), "{name}");
        }
    }

    async fn endless_loop_lets_others_run(hub) {
        for (_name, make) in awaits() {
            let [one, other] = [(); 2].map(|()| spawn_on(hub, endless(Arc::clone(&make))));
            // It would never come to an end.
            spawn_on(hub, a_few_turns()).await.unwrap();
            one.kill().await;
            other.kill().await;
        }
    }
}

/// Counts the rounds of a loop, and the drop of its future.
fn counted(
    make: Make,
    rounds: &Arc<AtomicUsize>,
    dropped: &Dropped,
) -> impl Future<Output = ()> + Send + use<> {
    let (rounds, guard) = (Arc::clone(rounds), dropped.guard());
    async move {
        let _guard = guard;
        loop {
            make().await;
            rounds.fetch_add(1, SeqCst);
        }
    }
}

/// Waits until a loop on another thread has gone round.
fn wait_for_rounds(rounds: &AtomicUsize) {
    while rounds.load(SeqCst) < 1000 {
        std::thread::yield_now();
    }
}

#[test]
fn hub_with_endless_loops_is_shut_down() {
    for threads in [1, 4] {
        for (name, make) in awaits() {
            let (rounds, dropped) = (Arc::default(), Dropped::default());
            let hub = spinney_tests::hub(threads);
            spawn_on(&hub, counted(make, &rounds, &dropped)).detach();
            wait_for_rounds(&rounds);
            assert_eq!(hub.shutdown(MS).dropped, 1, "{name}");
            assert_eq!(dropped.count(), 1, "{name}");
        }
    }
}

#[test]
fn tokio_runtime_with_endless_loops_is_shut_down() {
    for (name, make) in awaits() {
        let (rounds, dropped) = (Arc::default(), Dropped::default());
        let runtime = tokio_runtime(4);
        let hub = TokioHub::new(runtime.handle().clone());
        spawn_on(&hub, counted(make, &rounds, &dropped)).detach();
        wait_for_rounds(&rounds);
        drop(runtime);
        assert_eq!(dropped.count(), 1, "{name}");
    }
}

#[test]
fn hub_of_one_thread_with_endless_loops_ends_when_it_is_dropped() {
    for (name, make) in awaits() {
        let (rounds, dropped) = (Arc::default(), Dropped::default());
        let (local, sim) = (LocalHub::new(), SimHub::new());
        spawn_on(&local, counted(Arc::clone(&make), &rounds, &dropped)).detach();
        spawn_on(&sim, counted(make, &rounds, &dropped)).detach();
        local.block_on(a_few_turns());
        sim.block_on(a_few_turns());
        drop((local, sim));
        assert_eq!(dropped.count(), 2, "{name}");
        assert!(rounds.load(SeqCst) >= 5, "{name}");
    }
}

#[test]
fn main_future_that_never_waits_is_limited() {
    for (name, make) in awaits() {
        let limited = || endless(Arc::clone(&make)).within(2 * MS);
        assert!(spinney::block_on(limited()).is_err(), "{name}: block_on");
        assert!(spinney_tests::hub(1).block_on(limited()).is_err(), "{name}: Hub");
        assert!(LocalHub::new().block_on(limited()).is_err(), "{name}: LocalHub");
        let smol = SmolHub.scope(limited());
        assert!(spinney_tests::smol_block_on(smol).is_err(), "{name}: SmolHub");
        for threads in [1, 4] {
            let runtime = tokio_runtime(threads);
            let hub = TokioHub::new(runtime.handle().clone());
            assert!(runtime.block_on(hub.scope(limited())).is_err(), "{name}: TokioHub");
        }
        let sim = SimHub::new();
        OneThread::from(sim.clone()).let_time_pass(2 * MS);
        assert!(sim.block_on(limited()).is_err(), "{name}: SimHub");
    }
}

#[test]
fn virtual_time_stands_still_while_an_await_is_put_off() {
    for (name, make) in awaits() {
        let sim = SimHub::new();
        spawn_on(&sim, endless(make)).detach();
        sim.block_on(async {
            spawn(sleep(MS)).detach();
            a_few_turns().await;
        });
        assert_eq!(sim.elapsed(), Duration::ZERO, "{name}");
    }
}
