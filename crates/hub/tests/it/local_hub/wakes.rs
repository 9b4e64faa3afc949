//! Wake-ups of the hub's thread, and fairness among its sources of work.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::bounded;
use spinney_hub::{LocalHub, Spawn, sleep, yield_now};
use spinney_test_support::WakeStorm;

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn wake_from_another_thread_reaches_main() {
    let (send, receive) = bounded(1);
    let other = thread::spawn(move || send.send_blocking(42).unwrap());
    assert_eq!(LocalHub::new().block_on(receive.recv()), Ok(42));
    other.join().unwrap();
}

#[test]
fn task_gets_ten_thousand_wakes_from_another_thread() {
    const ROUNDS: u32 = 10_000;
    let hub = LocalHub::new();
    let (forth, other_in) = bounded(1);
    let (other_out, back) = bounded(1);
    let (done, ended) = bounded(1);
    let other = thread::spawn(move || {
        while let Ok(n) = other_in.recv_blocking() {
            other_out.send_blocking(n).unwrap();
        }
    });
    hub.spawn(async move {
        for n in 0..ROUNDS {
            forth.send(n).await.unwrap();
            assert_eq!(back.recv().await, Ok(n));
        }
        done.send(Rc::new(())).await.unwrap();
    });
    hub.block_on(ended.recv()).unwrap();
    other.join().unwrap();
}

#[test]
fn local_hub_loses_no_wake_from_another_thread() {
    let mut storm = WakeStorm::of(20_000);
    assert!(LocalHub::new().block_on(poll_fn(|cx| storm.poll(cx))));
}

#[test]
fn task_of_a_local_hub_loses_no_wake_from_another_thread() {
    let hub = LocalHub::new();
    let (done, ended) = bounded(1);
    let mut storm = WakeStorm::of(20_000);
    hub.spawn(async move { done.try_send(poll_fn(|cx| storm.poll(cx)).await).unwrap() });
    assert_eq!(hub.block_on(ended.recv()), Ok(true));
}

#[test]
fn wake_between_two_runs_is_not_lost() {
    let hub = LocalHub::new();
    let (send, receive) = bounded(1);
    let received = Rc::new(Cell::new(0));
    let seen = Rc::clone(&received);
    hub.spawn(async move {
        while let Ok(n) = receive.recv().await {
            seen.set(n);
        }
    });
    hub.block_on(yield_now());
    let other = send.clone();
    thread::spawn(move || other.send_blocking(1).unwrap()).join().unwrap();
    assert_eq!(received.get(), 0);
    hub.block_on(yield_now());
    assert_eq!(received.get(), 1);
    send.send_blocking(2).unwrap();
    hub.block_on(yield_now());
    assert_eq!(received.get(), 2);
}

#[test]
fn many_threads_may_wake_concurrently() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 1000;
    let hub = LocalHub::new();
    let (send, receive) = bounded(THREADS);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let send = send.clone();
            thread::spawn(move || (0..ROUNDS).for_each(|_| send.send_blocking(()).unwrap()))
        })
        .collect();
    drop(send);
    let received = Rc::new(Cell::new(0));
    let (done, ended) = bounded::<()>(1);
    for _ in 0..3 {
        let (receive, received, done) = (receive.clone(), Rc::clone(&received), done.clone());
        hub.spawn(async move {
            while receive.recv().await.is_ok() {
                received.set(received.get() + 1);
            }
            drop(done);
        });
    }
    drop(done);
    hub.block_on(ended.recv()).unwrap_err();
    assert_eq!(received.get(), THREADS * ROUNDS);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn timers_fire_in_tasks_and_in_main() {
    let hub = LocalHub::new();
    let (done, ended) = bounded(1);
    let start = Instant::now();
    hub.spawn(async move {
        sleep(MOMENT).await;
        done.send(start.elapsed()).await.unwrap();
    });
    let in_task = hub.block_on(async {
        sleep(MOMENT).await;
        assert!(start.elapsed() >= MOMENT);
        ended.recv().await.unwrap()
    });
    assert!(in_task >= MOMENT);
}

#[test]
fn yielding_tasks_do_not_starve_a_timer() {
    let hub = LocalHub::new();
    for _ in 0..1000 {
        hub.spawn(busy());
    }
    let start = Instant::now();
    hub.block_on(sleep(MOMENT));
    assert!(start.elapsed() >= MOMENT);
}

#[test]
fn one_yielding_task_does_not_starve_a_timer() {
    let hub = LocalHub::new();
    hub.spawn(busy());
    hub.block_on(sleep(MOMENT));
}

#[test]
fn busy_tasks_do_not_starve_a_wake_from_another_thread() {
    let hub = LocalHub::new();
    for _ in 0..1000 {
        hub.spawn(busy());
    }
    let (ask, asked) = bounded(1);
    let (answer, answered) = bounded(1);
    let other = thread::spawn(move || {
        asked.recv_blocking().unwrap();
        answer.send_blocking(42).unwrap();
    });
    let output = hub.block_on(async {
        ask.send(()).await.unwrap();
        answered.recv().await
    });
    assert_eq!(output, Ok(42));
    other.join().unwrap();
}

#[test]
fn yielding_main_does_not_starve_the_tasks() {
    let hub = LocalHub::new();
    let awake = Rc::new(Cell::new(false));
    let seen = Rc::clone(&awake);
    hub.spawn(async move {
        sleep(MOMENT).await;
        seen.set(true);
    });
    hub.block_on(async {
        while !awake.get() {
            yield_now().await;
        }
    });
}

async fn busy() {
    loop {
        yield_now().await;
    }
}
