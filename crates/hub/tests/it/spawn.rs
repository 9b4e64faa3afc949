//! A custom executor of a dozen lines, and the traits that it gets from [`Spawn`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use spinney_hub::{BoxTask, Clock, Executor, LocalBoxTask, LocalHub, Spawn, spawn, yield_now};

/// Polls its tasks in rounds.
#[derive(Default)]
struct Rounds {
    tasks: RefCell<VecDeque<Pin<Box<dyn Future<Output = ()>>>>>,
    inbox: Arc<Inbox>,
}

/// The part that may be sent to other threads.
#[derive(Default)]
struct Inbox(Mutex<Vec<BoxTask>>);

impl Spawn<BoxTask> for Inbox {
    fn spawn(&self, future: BoxTask) {
        self.0.lock().unwrap().push(future);
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Rounds {
    fn spawn(&self, future: F) {
        self.tasks.borrow_mut().push_back(Box::pin(future));
    }
}

impl Executor for Rounds {
    type AnyTask = LocalBoxTask;
}

impl Rounds {
    /// Runs all tasks to their end, as the current hub.
    fn run(self: &Rc<Self>) {
        let inbox = Arc::clone(&self.inbox);
        let _entered = spinney_hub::Context::new(Clock::default(), inbox).enter();
        loop {
            for future in self.inbox.0.lock().unwrap().drain(..) {
                self.spawn(future);
            }
            let Some(mut task) = self.tasks.borrow_mut().pop_front() else { return };
            if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                self.tasks.borrow_mut().push_back(task);
            }
        }
    }
}

/// Code that depends only on [`Spawn`].
fn count_on<X: Spawn<BoxTask>>(hub: X, count: &Arc<std::sync::atomic::AtomicU32>) {
    let count = Arc::clone(count);
    hub.spawn(Box::pin(async move {
        yield_now().await;
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
}

#[test]
fn custom_executor_runs_futures_that_are_not_send() {
    let hub = Rc::new(Rounds::default());
    let ran = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let ran = Rc::clone(&ran);
        hub.spawn(async move {
            yield_now().await;
            ran.set(ran.get() + 1);
        });
    }
    hub.run();
    assert_eq!(ran.get(), 10);
}

#[test]
fn references_and_shared_pointers_to_an_executor_are_executors() {
    let hub = Rc::new(Rounds::default());
    let count = Arc::default();
    count_on(&*hub, &count);
    count_on::<&&Rounds>(&&*hub, &count);
    count_on(Rc::clone(&hub), &count);
    count_on(Rc::clone(&hub) as Rc<dyn Spawn<BoxTask>>, &count);
    hub.run();
    let threads = Arc::new(spinney_hub::Hub::builder().threads(1).build().unwrap());
    let by_arc = Arc::default();
    count_on(Arc::clone(&threads), &by_arc);
    threads.block_on(async {
        while by_arc.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            yield_now().await;
        }
    });
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 4);
}

#[test]
fn free_spawn_reaches_a_custom_current_hub() {
    let hub = Rc::new(Rounds::default());
    let ran = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&ran);
    hub.spawn(async move {
        let inner = Arc::clone(&log);
        spawn(async move { inner.lock().unwrap().push("inner") });
        log.lock().unwrap().push("outer");
    });
    hub.run();
    assert_eq!(*ran.lock().unwrap(), ["outer", "inner"]);
}

#[test]
fn executor_is_local_only_if_it_declares_so() {
    fn is_local(hub: impl Executor) -> bool {
        hub.is_local()
    }
    let local = LocalHub::new();
    assert!(is_local(&local) && is_local(Rc::new(&local)) && is_local(Rc::new(local)));
    assert!(is_local(Rc::new(LocalHub::new()) as Rc<dyn Executor<AnyTask = LocalBoxTask>>));
    assert!(!is_local(Rounds::default()));
    let threads = spinney_hub::Hub::builder().threads(1).build().unwrap();
    assert!(!is_local(&threads) && !is_local(Arc::new(threads)));
}
