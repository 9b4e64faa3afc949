//! The promises of [`ThreadResult`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney_greenlet::{Failure, Handle, State, joinall, spawn};
use spinney_hub::LocalHub;
use spinney_test_support::{Gate, NoWake};
use spinney_threadpool::{ThreadPool, ThreadResult};

/// A pool whose only thread is blocked at the gate.
fn held_up() -> (ThreadPool, Gate) {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let held = gate.clone();
    block_on(pool.spawn(move || held.pass())).detach();
    gate.wait_for(1);
    (pool, gate)
}

#[test]
fn plain_thread_may_wait() {
    let (pool, gate) = held_up();
    let result = block_on(pool.spawn(|| 42));
    let waiting = thread::spawn(move || result.wait().unwrap());
    gate.open();
    assert_eq!(waiting.join().unwrap(), 42);
}

#[test]
fn get_is_the_same_as_awaiting() {
    let pool = ThreadPool::new(1);
    assert_eq!(block_on(async { pool.spawn(|| 42).await.get().await }).unwrap(), 42);
    assert!(block_on(pool.spawn(|| panic!("no luck"))).wait().unwrap_err().is_panic());
}

#[test]
fn thread_result_is_ready_when_its_closure_has_finished() {
    let (pool, gate) = held_up();
    let [good, bad] = [true, false].map(|good| block_on(pool.spawn(move || assert!(good))));
    assert!(!good.is_ready() && !good.is_successful());
    gate.open();
    // Behind both.
    block_on(pool.apply(|| ())).unwrap();
    assert!(good.is_ready() && good.is_successful());
    assert!(bad.is_ready() && !bad.is_successful());
    good.wait().unwrap();
    bad.wait().unwrap_err();
}

#[test]
fn closure_killed_in_the_queue_never_runs() {
    let (pool, gate) = held_up();
    let argument = Arc::new(());
    let mine = Arc::clone(&argument);
    let killed = block_on(pool.spawn(move || {
        drop(mine);
        panic!("it ran")
    }));
    killed.handle().kill_now();
    gate.open();
    let failure = block_on(killed).map(|()| unreachable!()).unwrap_err();
    assert!(failure.is_killed());
    assert!(failure.to_string().ends_with(") was killed"));
    block_on(pool.apply(|| ())).unwrap();
    assert_eq!((Arc::strong_count(&argument), pool.threads()), (1, 1));
    assert_eq!(gate.counts(), (1, 1));
}

#[test]
fn started_closure_cannot_be_stopped() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let held = gate.clone();
    let running = block_on(pool.spawn(move || {
        held.pass();
        42
    }));
    gate.wait_for(1);
    running.handle().kill_now();
    assert!(!running.is_ready());
    gate.open();
    assert_eq!(running.wait().unwrap(), 42);
}

#[test]
fn kill_waits_for_the_end() {
    let (pool, gate) = held_up();
    let queued = block_on(pool.spawn(|| 42));
    let handle = queued.handle().clone();
    gate.open();
    block_on(handle.kill());
    assert!(queued.is_ready());
}

#[test]
fn dropped_thread_result_lets_its_closure_run() {
    let (pool, gate) = held_up();
    let counted = Arc::new(());
    for detached in [true, false] {
        let result = Arc::clone(&counted);
        let owner = block_on(pool.spawn(move || result));
        if detached { owner.detach() } else { drop(owner) }
    }
    assert_eq!(Arc::strong_count(&counted), 3);
    gate.open();
    block_on(pool.apply(|| ())).unwrap();
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn unclaimed_result_is_dropped_with_its_owner() {
    let (pool, counted) = (ThreadPool::new(1), Arc::new(()));
    let result = Arc::clone(&counted);
    let owner = block_on(pool.spawn(move || result));
    block_on(pool.apply(|| ())).unwrap();
    assert_eq!((owner.is_ready(), Arc::strong_count(&counted)), (true, 2));
    drop(owner);
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn wait_may_be_dropped_and_repeated() {
    let (pool, gate) = held_up();
    let mut result = block_on(pool.spawn(|| 42));
    assert!(block_on(poll_once(&mut result)).is_none());
    gate.open();
    assert_eq!(block_on(&mut result).unwrap(), 42);
}

#[test]
fn results_cross_threads() {
    fn is_send<T: Send>(_: &T) {}
    let pool = ThreadPool::new(1);
    let result: ThreadResult<u8> = block_on(pool.spawn(|| 42));
    is_send(&result);
    let there: Result<u8, Failure> = thread::spawn(move || result.wait()).join().unwrap();
    assert_eq!(there.unwrap(), 42);
}

#[test]
fn cancelled_closure_never_runs_and_frees_its_place() {
    let pool = ThreadPool::builder().capacity(1).queue(2).build();
    let gate = Gate::default();
    let held = gate.clone();
    pool.submit(move || held.pass()).detach();
    gate.wait_for(1);
    let argument = Arc::new(());
    let mut queued = Vec::new();
    for _ in 0..2 {
        let mine = Arc::clone(&argument);
        queued.push(pool.submit(move || drop(mine)));
    }
    assert!(pool.try_spawn(|| ()).is_err());
    let mut waiting = Box::pin(pool.spawn(|| 42));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    assert!(queued[0].cancel() && queued[0].is_ready());
    assert!(!queued[0].cancel(), "a closure was cancelled twice");
    assert_eq!((Arc::strong_count(&argument), pool.len()), (2, 2));
    let waited = block_on(poll_once(&mut waiting)).expect("no place was freed");
    gate.open();
    assert_eq!(waited.wait().unwrap(), 42);
    assert!(queued.remove(0).wait().unwrap_err().is_killed());
    queued.remove(0).wait().unwrap();
}

#[test]
fn aborted_closure_in_the_queue_never_runs_and_frees_its_place() {
    let (pool, gate) = held_up();
    let argument = Arc::new(());
    let mine = Arc::clone(&argument);
    let result = pool.submit(move || drop(Arc::clone(&mine)));
    result.handle().abort();
    assert!(result.is_ready() && !result.cancel());
    gate.open();
    let failure = result.wait().unwrap_err();
    assert!(failure.is_aborted(), "{failure}");
    block_on(pool.join()).unwrap();
    assert_eq!((Arc::strong_count(&argument), pool.len()), (1, 0));
}

#[test]
fn abort_of_a_running_closure_leaves_its_result() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let held = gate.clone();
    let running = pool.submit(move || (held.pass(), 42).1);
    gate.wait_for(1);
    running.handle().abort();
    gate.open();
    assert_eq!(running.wait().unwrap(), 42);
}

#[test]
fn started_or_finished_closure_cannot_be_cancelled() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let held = gate.clone();
    let running = pool.submit(move || (held.pass(), 42).1);
    gate.wait_for(1);
    assert!(!running.cancel());
    gate.open();
    block_on(running.handle().join());
    assert!(!running.cancel());
    assert_eq!(running.wait().unwrap(), 42);
}

#[test]
fn cancelled_closures_do_not_accumulate() {
    let (pool, gate) = held_up();
    let (argument, mut killed) = (Arc::new(()), Vec::<ThreadResult<()>>::new());
    for n in 0..10_000 {
        let mine = Arc::clone(&argument);
        let result = pool.submit(move || drop(mine));
        if n % 2 == 0 {
            assert!(result.cancel());
        } else {
            result.handle().kill_now();
            killed.push(result);
        }
        assert!(Arc::strong_count(&argument) < 200, "cancelled closures accumulate");
    }
    gate.open();
    assert!(killed.into_iter().all(|result| result.wait().is_err()));
    block_on(pool.join()).unwrap();
    assert_eq!(Arc::strong_count(&argument), 1);
}

#[test]
fn timed_wait_returns_the_thread_result() {
    let (pool, gate) = held_up();
    let mut result = pool.submit(|| 42);
    for limit in [Duration::ZERO, Duration::from_millis(1)] {
        result = result.wait_timeout(limit).unwrap_err();
    }
    gate.open();
    assert_eq!(result.wait_timeout(Duration::MAX).unwrap().unwrap(), 42);
}

#[test]
fn link_is_called_once_on_the_thread_or_later() {
    let (pool, gate) = held_up();
    let (send, calls) = channel();
    let result = pool.submit(|| thread::current().id());
    let sends = send.clone();
    result.link(move |ended| sends.send((ended.clone(), thread::current().id())).unwrap());
    let handle = result.handle().clone();
    gate.open();
    let there = result.wait().unwrap();
    assert_eq!(calls.recv().unwrap(), (handle.clone(), there));
    LocalHub::new().block_on(async {
        let late = pool.submit(|| 42);
        late.handle().join().await;
        let ended = late.handle().clone();
        late.link(move |ended| send.send((ended.clone(), thread::current().id())).unwrap());
        // The thread may be about to call its last links; otherwise a task of this hub calls this
        // one.
        let call = loop {
            match calls.try_recv() {
                Ok(call) => break call,
                Err(_) => spinney_hub::yield_now().await,
            }
        };
        assert_eq!(call.0, ended);
        late.detach();
    });
    assert!(calls.try_recv().is_err());
}

#[test]
fn thread_results_can_be_joined_with_greenlets() {
    let pool = ThreadPool::new(1);
    LocalHub::new().block_on(async {
        let results = [pool.spawn(|| 1).await, pool.spawn(|| 2).await];
        joinall(&results).await;
        assert!(results.iter().all(ThreadResult::is_successful));
        results.into_iter().for_each(ThreadResult::detach);
    });
}

#[test]
fn closure_is_one_greenlet_at_every_call_of_handle() {
    let (pool, gate) = held_up();
    let inside = || Handle::current().unwrap();
    let asked_before = pool.submit(inside);
    let before = asked_before.handle().clone();
    assert_eq!(before.state(), State::Scheduled);
    let never_asked_before = pool.submit(inside);
    gate.open();
    assert_eq!(asked_before.wait().unwrap(), before);
    let mut never_asked_before = never_asked_before;
    let there = block_on(&mut never_asked_before).unwrap();
    assert_eq!(never_asked_before.handle(), &there);
    assert!(never_asked_before.is_successful() && there.is_successful());
}

#[test]
fn each_closure_is_a_greenlet_of_its_own() {
    let pool = ThreadPool::new(1);
    let (tell, told) = channel();
    let mut ids = Vec::new();
    let mut stale = Vec::new();
    for round in 0..30 {
        let tell = tell.clone();
        let mut result = pool.submit(move || {
            let current = Handle::current().unwrap();
            assert_eq!((current.state(), current.name()), (State::Running, None));
            match round % 3 {
                0 => drop(current.link(move |_| tell.send(round).unwrap())),
                1 => current.kill_now(),
                _ => (),
            }
            (current.id(), (round % 5 == 0).then_some(current))
        });
        let (id, kept) = block_on(&mut result).unwrap();
        // Stale wakers do not affect later waits.
        stale.extend(kept);
        stale.iter().for_each(Handle::kill_now);
        assert!(result.is_successful());
        assert_eq!(result.handle().id(), id);
        ids.push(id);
    }
    assert!(ids.is_sorted_by(|before, next| before < next), "{ids:?}");
    assert!(told.try_iter().eq((0..30).step_by(3)));
}

#[test]
fn closure_is_the_child_of_its_spawner() {
    let (pool, gate) = held_up();
    let parent = || Handle::current().unwrap().parent();
    LocalHub::new().block_on(async {
        let inside = pool.clone();
        let (here, first, second) = spawn(async move {
            let here = Handle::current().unwrap().id();
            (here, inside.spawn(parent).await, inside.spawn(parent).await)
        })
        .await
        .unwrap();
        assert_eq!(first.handle().parent(), Some(here));
        gate.open();
        assert_eq!(first.await.unwrap(), Some(here));
        assert_eq!(second.await.unwrap(), Some(here));
    });
}

#[test]
fn owner_is_woken_after_all_links() {
    let (pool, gate) = held_up();
    let link = Gate::default();
    let held = link.clone();
    let mut result = pool.submit(|| 42);
    result.link(move |_| held.pass());
    gate.open();
    link.wait_for(1);
    assert!(result.is_ready() && block_on(poll_once(&mut result)).is_none());
    link.open();
    assert_eq!(result.wait().unwrap(), 42);
}

#[test]
fn dropped_thread_result_drops_its_waker() {
    let (pool, gate) = held_up();
    let mut result = pool.submit(|| 42);
    let counted = Arc::new(NoWake);
    let waker = Waker::from(Arc::clone(&counted));
    for _ in 0..2 {
        assert!(Pin::new(&mut result).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&counted), 2);
    result.detach();
    assert_eq!(Arc::strong_count(&counted), 1);
    gate.open();
}
