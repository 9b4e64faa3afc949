//! Building a hub, its threads, and its tasks.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use async_channel::bounded;
use spinney_hub::{Hub, Spawn, yield_now};

/// The name of the thread that runs a task of `hub`.
fn thread_name(hub: &Hub) -> String {
    let (send, receive) = channel();
    hub.spawn(async move { send.send(own_name()).unwrap() });
    receive.recv().unwrap()
}

fn own_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn global_hub_starts_at_first_use() {
    let name = thread_name(&Hub::global());
    assert!(name.starts_with("spinney-"), "{name}");
    assert_eq!(Hub::global().block_on(async { 42 }), 42);
}

#[test]
fn dropped_handle_of_the_global_hub_stops_nothing() {
    for _ in 0..10 {
        drop(Hub::global());
        thread_name(&Hub::global());
    }
}

#[test]
fn zero_threads_are_an_invalid_input() {
    let error = Hub::builder().threads(0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a hub needs at least one thread");
}

#[test]
fn name_with_a_nul_byte_is_an_invalid_input() {
    let error = Hub::builder().threads(1).name("a\0b").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a thread's name must not contain NUL");
}

#[test]
fn hub_has_the_given_number_of_named_threads() {
    const THREADS: usize = 4;
    let hub = Hub::builder().threads(THREADS).name("mine").build().unwrap();
    // Each task holds its thread until all threads have one.
    let all = Arc::new(Barrier::new(THREADS));
    let (send, receive) = channel();
    for _ in 0..THREADS {
        let (send, all) = (send.clone(), Arc::clone(&all));
        hub.spawn(async move {
            all.wait();
            send.send(own_name()).unwrap();
        });
    }
    drop(send);
    let mut names: Vec<_> = receive.iter().collect();
    names.sort();
    assert_eq!(names, ["mine-0", "mine-1", "mine-2", "mine-3"]);
}

#[test]
fn unnamed_hub_is_called_hub() {
    let hub = Hub::builder().threads(1).build().unwrap();
    assert_eq!(thread_name(&hub), "hub-0");
}

#[test]
fn block_on_accepts_futures_that_borrow_and_are_not_send() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let text = String::from("here");
    let output = hub.block_on(async {
        let local = std::rc::Rc::new(&text);
        yield_now().await;
        local
    });
    assert_eq!(**output, "here");
}

#[test]
fn block_on_runs_no_task_of_the_hub_on_its_thread() {
    let hub = Hub::builder().threads(2).name("apart").build().unwrap();
    for _ in 0..100 {
        let (send, receive) = bounded(1);
        hub.spawn(async move { send.send(own_name()).await.unwrap() });
        let name = hub.block_on(receive.recv()).unwrap();
        assert!(name.starts_with("apart-"), "{name}");
    }
}

#[test]
fn block_on_ends_while_tasks_yield_for_ever() {
    let hub = Hub::builder().threads(1).build().unwrap();
    for _ in 0..2 {
        hub.spawn(async {
            loop {
                yield_now().await;
            }
        });
    }
    hub.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
}

#[test]
fn several_threads_may_block_on_one_hub() {
    let hub = Hub::builder().threads(1).build().unwrap();
    thread::scope(|scope| {
        for n in 0..4 {
            let hub = &hub;
            scope.spawn(move || {
                let (send, receive) = bounded(1);
                hub.spawn(async move {
                    yield_now().await;
                    send.send(n).await.unwrap();
                });
                assert_eq!(hub.block_on(receive.recv()), Ok(n));
            });
        }
    });
}

#[test]
fn panicking_task_does_not_end_its_thread() {
    let hub = Hub::builder().threads(1).name("tough").build().unwrap();
    for _ in 0..10 {
        hub.spawn(async { panic!("an expected panic") });
    }
    assert_eq!(thread_name(&hub), "tough-0");
}

#[test]
fn panicking_task_does_not_end_a_block_on() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let output = hub.block_on(async {
        hub.spawn(async { panic!("an expected panic") });
        for _ in 0..10 {
            yield_now().await;
        }
        42
    });
    assert_eq!(output, 42);
}

#[test]
fn ten_thousand_tasks_all_run() {
    const TASKS: usize = 10_000;
    let hub = Hub::builder().threads(4).build().unwrap();
    let (send, receive) = channel();
    for n in 0..TASKS {
        let send = send.clone();
        hub.spawn(async move {
            yield_now().await;
            send.send(n).unwrap();
        });
    }
    drop(send);
    let mut ran: Vec<_> = receive.iter().collect();
    ran.sort_unstable();
    assert!(ran.into_iter().eq(0..TASKS));
}

#[test]
fn each_thread_calls_its_start_and_stop_hooks() {
    let (to, called) = channel();
    let (start, stop) = (to.clone(), to);
    let hub = Hub::builder()
        .threads(3)
        .name("hooked")
        .on_start(move |index| start.send((index, "start", own_name())).unwrap())
        .on_stop(move |index| stop.send((index, "stop", own_name())).unwrap())
        .build()
        .unwrap();
    drop(hub);
    let mut calls: Vec<_> = called.iter().collect();
    // The sort is stable: for each thread the start comes before the stop.
    calls.sort_by_key(|(index, ..)| *index);
    let expected = (0..3).flat_map(|index| ["start", "stop"].map(|when| (index, when)));
    assert!(calls.into_iter().eq(expected.map(|(i, when)| (i, when, format!("hooked-{i}")))));
}

#[test]
fn panicking_hook_affects_nothing_else() {
    let builder = Hub::builder().threads(1).on_start(|_| panic!("an expected panic"));
    let hub = builder.on_stop(|_| panic!("another one")).build().unwrap();
    assert_eq!(thread_name(&hub), "hub-0");
}

#[test]
fn debug_shows_the_kind_of_hub() {
    assert_eq!(format!("{:?}", Hub::global()), "Hub { global: true }");
    let own = Hub::builder().threads(2).build().unwrap();
    assert_eq!(format!("{own:?}"), "Hub { threads: 2, tasks: 0 }");
}
