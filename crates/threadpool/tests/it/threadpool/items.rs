//! Items of maps: each is a greenlet of its own.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_lite::future::block_on;
use spinney_greenlet::{Handle, State, greenlet_local, spawn};
use spinney_hub::LocalHub;
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;

greenlet_local! {
    static USER: &'static str = "anonymous";
}

#[test]
fn item_does_not_see_the_locals_of_the_previous_one() {
    let pool = ThreadPool::new(1);
    let set = |n: u32| {
        if n == 0 {
            USER.set("alice");
        }
        USER.get()
    };
    let seen = block_on(pool.map(set, 0..4)).unwrap();
    assert_eq!(seen, ["alice", "anonymous", "anonymous", "anonymous"]);
}

#[test]
fn items_and_closures_inherit_the_caller_s_locals_on_request() {
    LocalHub::new().block_on(spawn_all(async {
        USER.set("bob");
        let pool = ThreadPool::builder().capacity(1).inherit_locals().build();
        let get = |_: u32| USER.get();
        assert_eq!(pool.map(get, 0..2).await.unwrap(), ["anonymous", "anonymous"]);
        let swap = |_: u32| {
            let before = USER.get();
            USER.set("carol");
            before
        };
        let inherited = pool.mapper().inherit_locals().map(swap, 0..2).await.unwrap();
        assert_eq!(inherited, ["bob", "bob"]);
        assert_eq!(pool.apply(|| USER.get()).await.unwrap(), "bob");
        assert_eq!(ThreadPool::new(1).apply(|| USER.get()).await.unwrap(), "anonymous");
    }));
}

#[test]
fn closure_in_place_inherits_the_locals_of_its_caller() {
    let pool = ThreadPool::builder().capacity(1).inherit_locals().build();
    let own = pool.clone();
    let outer = move || {
        USER.set("dora");
        let swap = || {
            let before = USER.get();
            USER.set("eve");
            before
        };
        (block_on(own.apply(swap)).unwrap(), USER.get())
    };
    assert_eq!(block_on(pool.apply(outer)).unwrap(), ("dora", "dora"));
}

/// Runs `future` as a greenlet.
async fn spawn_all<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    spawn(future).await.unwrap()
}

#[test]
fn item_has_its_own_id_and_the_caller_as_parent() {
    LocalHub::new().block_on(spawn_all(async {
        let here = Handle::current().unwrap().id();
        let pool = ThreadPool::new(2);
        let line = line!() + 1;
        let items = pool.map(|_: u32| Handle::current().unwrap(), 0..10).await.unwrap();
        for item in &items {
            assert_eq!((item.parent(), item.spawned_at().line()), (Some(here), line));
            assert!(item.is_successful());
        }
        let mut ids: Vec<_> = items.iter().map(Handle::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10);
        let mut stream = pool.imap(|_: u32| Handle::current().unwrap().parent(), 0..1);
        assert_eq!(stream.next().await.unwrap().unwrap(), Some(here));
    }));
}

#[test]
fn link_of_an_item_is_called_when_the_item_has_finished() {
    let (pool, ended) = (ThreadPool::new(1), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&ended);
    let link = move |n: u32| {
        let noted = Arc::clone(&seen);
        Handle::current().unwrap().link(move |_| noted.lock().unwrap().push(n));
        seen.lock().unwrap().len()
    };
    assert_eq!(block_on(pool.map(link, 0..3)).unwrap(), [0, 1, 2]);
    assert_eq!(*ended.lock().unwrap(), [0, 1, 2]);
}

#[test]
fn kill_of_a_finished_item_does_not_reach_the_next() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let (send, first) = channel();
    let held = gate.clone();
    let run = move |n: u32| {
        if n == 0 {
            send.send(Handle::current().unwrap()).unwrap();
        } else {
            held.pass();
        }
        Handle::current().unwrap().state()
    };
    let map = pool.map(run, 0..2);
    gate.wait_for(1);
    let first = first.recv().unwrap();
    first.kill_now();
    gate.open();
    assert_eq!(block_on(map).unwrap(), [State::Running, State::Running]);
    assert!(first.is_successful());
}

#[test]
fn killed_started_item_keeps_its_result() {
    let pool = ThreadPool::new(1);
    let kill_self = |n: u32| {
        Handle::current().unwrap().kill_now();
        n
    };
    assert_eq!(block_on(pool.map(kill_self, 0..3)).unwrap(), [0, 1, 2]);
}

#[test]
fn failed_item_names_its_greenlet_and_its_index() {
    let pool = ThreadPool::new(2);
    let line = line!() + 1;
    let error = block_on(pool.map(|n: u32| assert_ne!(n, 2, "no luck"), 0..4)).unwrap_err();
    assert_eq!((error.index(), error.task().unwrap().spawned_at().line()), (2, line));
    let text = error.to_string();
    assert!(text.starts_with("item 2, greenlet ") && text.contains("no luck"), "{text}");
}

#[test]
fn apply_in_place_is_a_greenlet_of_its_own() {
    let pool = ThreadPool::new(1);
    let own = pool.clone();
    let (outer, inner, user) = pool
        .submit(move || {
            USER.set("alice");
            let inner = block_on(own.apply(|| (Handle::current().unwrap(), USER.get()))).unwrap();
            (Handle::current().unwrap(), inner.0, inner.1)
        })
        .wait()
        .unwrap();
    assert_eq!((inner.parent(), user), (Some(outer.id()), "anonymous"));
    assert!(inner.is_successful());
}

#[test]
fn item_in_a_read_of_a_closure_is_a_greenlet_of_its_own() {
    let pool = ThreadPool::new(1);
    let own = pool.clone();
    let nested = pool.submit(move || {
        let here = thread::current().id();
        let run = move |_: u32| {
            assert_eq!(thread::current().id(), here);
            Handle::current().unwrap()
        };
        (Handle::current().unwrap().id(), block_on(own.map(run, 0..2)).unwrap())
    });
    let (outer, items) = nested.wait().unwrap();
    assert!(items.iter().all(|item| item.parent() == Some(outer) && item.id() != outer));
    assert_ne!(items[0].id(), items[1].id());
}

#[test]
fn items_and_closures_have_names_that_their_failures_show() {
    let pool = ThreadPool::new(1);
    let named = |n: u32| {
        Handle::current().unwrap().set_name(format!("fetch {n}"));
        assert!(n != 1, "no luck");
        Handle::current().unwrap().name()
    };
    let mut results = pool.imap(named, 0..3);
    assert_eq!(block_on(results.next()).unwrap().unwrap().as_deref(), Some("fetch 0"));
    let failed = block_on(results.next()).unwrap().unwrap_err().to_string();
    assert!(failed.contains("\"fetch 1\"") && failed.ends_with("panicked: no luck"), "{failed}");
    assert_eq!(block_on(results.next()).unwrap().unwrap().as_deref(), Some("fetch 2"));

    let (go, gone) = channel::<()>();
    let held = block_on(pool.spawn(move || gone.recv().is_ok()));
    let waits = block_on(pool.spawn(|| -> u32 { panic!("no luck") })).named("count");
    go.send(()).unwrap();
    assert!(block_on(held).unwrap());
    assert!(block_on(waits).unwrap_err().to_string().contains("\"count\""));
}
