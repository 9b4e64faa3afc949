//! The current hub, its clock, and the free `spawn`.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use spinney_hub::{
    BoxTask, Clock, Context, ForbidThreads, Hub, LocalHub, Spawn, TimeSource, block_on, label_task,
    require_threads, spawn, yield_now,
};

/// The current hub as text; a built hub by its number of threads.
fn current() -> String {
    let text = format!("{:?}", Hub::current());
    text.split(", tasks").next().unwrap().to_owned()
}

fn own_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Stores spawned tasks.
#[derive(Default)]
struct Shelf(Mutex<Vec<BoxTask>>);

impl Spawn<BoxTask> for Shelf {
    fn spawn(&self, future: BoxTask) {
        self.0.lock().unwrap().push(future);
    }
}

/// A clock that stands still.
struct Stopped(Instant);

impl TimeSource for Stopped {
    fn now(&self) -> Instant {
        self.0
    }

    fn set_alarm(&self, _: Instant, _: &Waker) -> u64 {
        0
    }

    fn clear_alarm(&self, _: u64) {}
}

/// A clock that stands still `hours` from now, and its time.
fn stopped(hours: u64) -> (Clock, Instant) {
    let now = Instant::now() + Duration::from_secs(3600 * hours);
    (Clock::new(Arc::new(Stopped(now))), now)
}

#[test]
fn global_hub_is_current_outside_any_hub() {
    let (send, receive) = channel();
    spawn(async move { send.send(own_name()).unwrap() });
    let name = receive.recv().unwrap();
    assert!(name.starts_with("spinney-"), "{name}");
    assert_eq!(current(), "Hub { global: true }");
    assert_eq!(format!("{:?}", Hub::default()), "Hub { global: true }");
}

#[test]
fn built_hub_is_current_inside_it() {
    let hub = Hub::builder().threads(2).name("own").build().unwrap();
    let (send, receive) = channel();
    hub.spawn(async move {
        send.send((own_name(), current())).unwrap();
        let inner = send.clone();
        spawn(async move { inner.send((own_name(), current())).unwrap() });
        Hub::current().spawn(async move {
            send.send((own_name(), current())).unwrap();
        });
    });
    let told: Vec<_> = receive.iter().collect();
    assert_eq!(told.len(), 3);
    for (name, current) in told {
        assert!(name.starts_with("own-"), "{name}");
        assert_eq!(current, "Hub { threads: 2");
    }
}

#[test]
fn hub_is_current_during_its_block_on_only() {
    let hub = Hub::builder().threads(3).build().unwrap();
    let inside = hub.block_on(async { current() });
    assert_eq!(inside, "Hub { threads: 3");
    assert_eq!(current(), "Hub { global: true }");
}

#[test]
fn free_block_on_runs_on_the_current_hub() {
    assert_eq!(block_on(async { current() }), "Hub { global: true }");
    let hub = Hub::builder().threads(1).build().unwrap();
    let inside = hub.block_on(async { block_on(async { current() }) });
    assert_eq!(inside, "Hub { threads: 1");
}

#[test]
fn spawn_inside_a_local_hub_uses_it() {
    let ran: Arc<Mutex<Option<ThreadId>>> = Arc::default();
    let hub = LocalHub::new();
    hub.block_on(async {
        let seen = Arc::clone(&ran);
        spawn(async move { *seen.lock().unwrap() = Some(thread::current().id()) });
        assert_eq!(*ran.lock().unwrap(), None, "the task ran before its turn");
        yield_now().await;
    });
    assert_eq!(*ran.lock().unwrap(), Some(thread::current().id()));
}

#[test]
fn current_hub_inside_a_local_hub_is_that_hub() {
    let inside = LocalHub::new().block_on(async { current() });
    assert_eq!(inside, "Hub { local: true }");
}

#[test]
fn spawn_inside_a_task_of_a_local_hub_uses_it() {
    let (hub, ran) = (LocalHub::new(), Arc::new(Mutex::new(None)));
    let seen = Arc::clone(&ran);
    hub.spawn(async move {
        spawn(async move { *seen.lock().unwrap() = Some(thread::current().id()) });
    });
    hub.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(*ran.lock().unwrap(), Some(thread::current().id()));
}

#[test]
fn inner_hub_is_current_until_it_is_left() {
    let inner = Hub::builder().threads(1).build().unwrap();
    let ran = Arc::new(Mutex::new(Vec::new()));
    LocalHub::new().block_on(async {
        assert_eq!(inner.enter(current), "Hub { threads: 1");
        let seen = Arc::clone(&ran);
        spawn(async move { seen.lock().unwrap().push(thread::current().id()) });
        yield_now().await;
    });
    assert_eq!(*ran.lock().unwrap(), [thread::current().id()]);
}

#[test]
fn context_sets_the_hub_and_the_clock() {
    let shelf = Arc::new(Shelf::default());
    let (clock, now) = stopped(1);
    let entered = Context::new(clock, shelf.clone()).enter();
    spawn(async {});
    spawn(async {});
    assert_eq!(shelf.0.lock().unwrap().len(), 2);
    assert_eq!((Clock::current().now(), spinney_hub::now()), (now, now));
    drop(entered);
    assert!(Clock::current().now() < now);
    assert_eq!(Arc::strong_count(&shelf), 1, "the context was not dropped");
}

#[test]
fn nested_contexts_are_restored_in_turn() {
    let shelf = Arc::new(Shelf::default());
    let [(one, first), (two, second)] = [stopped(1), stopped(2)];
    let outer = Context::new(one, shelf.clone()).enter();
    let inner = Context::new(two, shelf).enter();
    assert_eq!(Clock::current().now(), second);
    drop(inner);
    assert_eq!(Clock::current().now(), first);
    drop(outer);
    assert!(Clock::current().now() < first);
}

#[test]
fn hub_sets_the_real_clock_and_restores_the_one_before() {
    let (clock, now) = stopped(1);
    let shelf = Arc::new(Shelf::default());
    let _entered = Context::new(clock, shelf).enter();
    assert!(LocalHub::new().block_on(async { Clock::current().now() }) < now);
    assert!(Hub::global().enter(|| Clock::current().now()) < now);
    assert_eq!(Clock::current().now(), now);
}

#[test]
fn another_thread_has_a_context_of_its_own() {
    let (clock, now) = stopped(1);
    let shelf = Arc::new(Shelf::default());
    let _entered = Context::new(clock, shelf).enter();
    let elsewhere = thread::spawn(|| Clock::current().now()).join().unwrap();
    assert!(elsewhere < now);
}

#[test]
fn panicking_main_leaves_its_context() {
    let ran = Rc::new(Cell::new(false));
    let panic = std::panic::catch_unwind(|| LocalHub::new().block_on(async { panic!("of main") }));
    panic.unwrap_err();
    let seen = Rc::clone(&ran);
    LocalHub::new().block_on(async move { seen.set(true) });
    assert!(ran.get());
}

#[test]
fn label_is_built_only_for_a_context_with_labels() {
    fn nobody_asks() {
        label_task(|| panic!("a label was built without a reader"));
    }
    let context = || Context::new(Clock::default(), Arc::new(Shelf::default()));
    let labels = Rc::new(RefCell::new(Vec::new()));
    let list = Rc::clone(&labels);
    let labelled = context().with_labels(Rc::new(move |label| list.borrow_mut().push(label)));

    nobody_asks();
    let outer = labelled.enter();
    label_task(|| "outer".to_owned());
    let inner = context().enter();
    nobody_asks();
    drop(inner);
    label_task(|| "outer again".to_owned());
    drop(outer);
    nobody_asks();
    assert_eq!(*labels.borrow(), ["outer", "outer again"]);
}

#[test]
fn threads_are_refused_while_they_are_forbidden() {
    let outer = ForbidThreads::begin();
    drop(ForbidThreads::begin());
    let refused = |run: fn()| {
        let panic = std::panic::catch_unwind(run).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    for (said, what) in [
        (refused(|| require_threads("a crew")), "a crew"),
        (refused(|| spawn(async {})), "the global hub"),
        (refused(|| drop(Hub::builder().build())), "a hub with threads"),
    ] {
        assert_eq!(said, format!("{what} runs on other threads, whose order cannot be explored"));
    }
    thread::spawn(|| require_threads("a crew")).join().unwrap();
    drop(outer);
    require_threads("a crew");
}

#[test]
fn spawn_knows_the_line_of_the_caller() {
    struct Lines(Cell<u32>);
    impl<F> Spawn<F> for Lines {
        fn spawn(&self, _: F) {
            self.0.set(Location::caller().line());
        }
    }
    let lines = Lines(Cell::new(0));
    Spawn::<BoxTask>::spawn(&&lines, Box::pin(async {}));
    assert_eq!(lines.0.get(), line!() - 1);
}

#[test]
fn exiting_thread_has_the_system_clock_and_global_hub() {
    struct AtTheEnd(std::sync::mpsc::Sender<(String, String)>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let to = self.0.clone();
            let clock = format!("{:?}", Clock::current());
            spawn(async move { to.send((clock, own_name())).unwrap() });
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    let (send, receive) = channel();
    let ends = thread::spawn(move || {
        // Set first, so that the thread's context is destroyed before it.
        KEPT.set(Some(AtTheEnd(send)));
        block_on(async {});
    });
    ends.join().unwrap();
    let (clock, thread) = receive.recv().unwrap();
    assert!(clock.contains("system"), "{clock}");
    assert!(thread.starts_with("spinney-"), "{thread}");
}
