//! Catchers and shields while a kill is pending.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::or;
use loom::future::block_on;
use loom::sync::Mutex;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;
use spinney_greenlet::{Failure, Greenlet, Handle, catch_exit, pair, shield};

use crate::{Count, model, once, pause, spawn};

/// A greenlet of `body` that has run up to its first wait and goes on on another thread, while
/// `end` kills or aborts it on this one. Returns it once it has finished.
pub(crate) fn ended_meanwhile<T: 'static>(
    end: fn(&Handle),
    body: impl Future<Output = T> + 'static,
) -> Greenlet<T> {
    let (mut task, greenlet) = pair(Box::pin(body), ());
    assert!(block_on(once(&mut task)).is_none());
    let runs = spawn(task);
    end(&greenlet);
    runs.join().unwrap();
    greenlet
}

#[test]
fn catcher_sees_a_kill_as_it_begins_to_wait() {
    model(|| {
        let body = async {
            pause().await;
            catch_exit(pending::<()>()).await.is_err()
        };
        match block_on(ended_meanwhile(Handle::kill_now, body)) {
            Ok(caught) => assert!(caught),
            Err(failure) => assert!(failure.is_killed(), "it came before the catcher"),
        }
    });
}

#[test]
fn waiting_catcher_always_sees_the_kill() {
    model(|| {
        let body = async {
            let caught = catch_exit(async {
                pause().await;
                pending::<()>().await;
            });
            caught.await.is_err()
        };
        assert!(block_on(ended_meanwhile(Handle::kill_now, body)).unwrap());
    });
}

#[test]
fn one_of_two_catchers_side_by_side_sees_the_kill() {
    model(|| {
        let caught = Count::new();
        let body = {
            let caught = caught.clone();
            async move {
                let catcher = async || {
                    assert!(catch_exit(pending::<()>()).await.is_err());
                    caught.add();
                };
                or(catcher(), catcher()).await;
            }
        };
        block_on(ended_meanwhile(Handle::kill_now, body)).unwrap();
        assert_eq!(caught.get(), 1);
    });
}

#[test]
fn kill_wakes_a_catcher_with_its_own_waker() {
    model(|| {
        let body = on_its_own_waker(async { catch_exit(pending::<()>()).await.is_err() });
        assert!(block_on(ended_meanwhile(Handle::kill_now, body)).unwrap());
    });
}

#[test]
fn shielded_future_finishes_before_the_kill_is_seen() {
    model(|| {
        let done = Count::new();
        let body = {
            let done = done.clone();
            async move {
                shield(async {
                    pause().await;
                    done.add();
                })
                .await;
                pending::<()>().await;
            }
        };
        let greenlet = ended_meanwhile(Handle::kill_now, body);
        assert_eq!(done.get(), 1);
        assert!(greenlet.failure().unwrap().is_killed());
    });
}

#[test]
fn shield_dropped_elsewhere_lets_the_kill_through() {
    model(|| assert!(shield_dropped_elsewhere(Handle::kill_now).is_killed()));
}

/// Calls `end` on a greenlet while its shield is dropped on another thread.
pub(crate) fn shield_dropped_elsewhere(end: fn(&Handle)) -> Failure {
    let place = Arc::new(Mutex::new(None));
    let body = {
        let place = Arc::clone(&place);
        async move {
            let mut shielded = Box::pin(shield(pending::<()>()));
            assert!(once(&mut shielded).await.is_none());
            *place.lock().unwrap() = Some(shielded);
            pause().await;
            pending::<()>().await;
        }
    };
    let (mut task, greenlet) = pair(Box::pin(body), ());
    assert!(block_on(once(&mut task)).is_none());
    let shielded = place.lock().unwrap().take();
    let (runs, drops) = (spawn(task), thread::spawn(move || drop(shielded)));
    end(&greenlet);
    runs.join().unwrap();
    drops.join().unwrap();
    greenlet.failure().unwrap()
}

#[test]
fn catcher_dropped_elsewhere_leaves_the_kill_to_outer_scopes() {
    model(|| {
        let place = Arc::new(Mutex::new(None));
        let body = {
            let place = Arc::clone(&place);
            let inner = async move {
                let mut catcher = Box::pin(catch_exit(pending::<()>()));
                assert!(once(&mut catcher).await.is_none());
                *place.lock().unwrap() = Some(catcher);
                pending::<()>().await;
            };
            on_its_own_waker(async { catch_exit(inner).await.is_err() })
        };
        let (mut task, greenlet) = pair(Box::pin(body), ());
        assert!(block_on(once(&mut task)).is_none());
        let catcher = place.lock().unwrap().take();
        let (runs, drops) = (spawn(task), thread::spawn(move || drop(catcher)));
        greenlet.kill_now();
        runs.join().unwrap();
        drops.join().unwrap();
        assert!(block_on(greenlet).unwrap());
    });
}

/// Runs `future` like a combinator that polls many futures in one task: with a waker of its own,
/// and only after that was woken.
async fn on_its_own_waker<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let own = Arc::new(OwnWaker { woken: AtomicBool::new(true), outer: Mutex::new(None) });
    poll_fn(move |cx| {
        let before = own.outer.lock().unwrap().replace(cx.waker().clone());
        drop(before);
        if !own.woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&own))))
    })
    .await
}

struct OwnWaker {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for OwnWaker {
    fn wake(self: Arc<Self>) {
        // Not a mere store: in loom a swap may miss a store that came in between.
        self.woken.swap(true, SeqCst);
        let outer = self.outer.lock().unwrap().take();
        outer.into_iter().for_each(Waker::wake);
    }
}
