//! `Display` of each error reads as a sentence: it begins in lower case and has no full stop.

use std::error::Error;
use std::future::{pending, ready};
use std::iter;
use std::time::Duration;

use spinney::map::TaskError;
use spinney::pool::PoolFull;
use spinney::pool::{Failures, InsideGroup, JoinError};
use spinney::sync::{
    BoundedSemaphore, Closed, GetError, JoinableQueue, NotOwner, OverRelease, PutError, RLock,
    ShutDown, TaskDoneError, TryAcquireError,
};
use spinney::task::{GreenletExit, Owner, Panic, spawn_on};
use spinney::threads::{InsideThreadPool, ThreadPoolClosed, ThreadPoolFull, ThreadRefused};
use spinney::{
    Failure, Group, ItemError, Pool, Queue, Semaphore, ThreadPool, Timeout, Within, block_on,
};
use spinney_sim::{Deadlock, SimHub};

/// The text of an error, which was named by its type.
#[track_caller]
fn text<E: Error + 'static>(error: E) -> String {
    let text = error.to_string();
    assert!(text.starts_with(|first: char| first.is_lowercase() || first.is_numeric()), "{text}");
    assert!(!text.ends_with(['.', '!', ' ', '\n']), "{text}");
    // The text of a cause is part of it, so no `source` repeats it.
    assert!(error.source().is_none(), "{:?}", error.source());
    text
}

#[test]
fn of_hubs() {
    let hub = SimHub::new();
    let late = hub.block_on(pending::<()>().within(Duration::from_millis(2)));
    assert_eq!(text::<Timeout>(late.unwrap_err()), "timed out after 2ms");
    let deadlock = text::<Deadlock>(SimHub::new().try_block_on(pending::<()>()).unwrap_err());
    assert!(deadlock.starts_with("deadlock: nothing is ready to run and no timer is set\n"));
}

#[test]
fn of_greenlets() {
    let hub = SimHub::new();
    assert_eq!(text(GreenletExit::new()), "killed");
    let slow = GreenletExit::because("too slow");
    assert_eq!(text(slow.clone()), "killed: too slow");
    let stuck = spawn_on(&hub, pending::<()>());
    hub.block_on(stuck.kill_with(slow));
    let spawned = format!("{} (spawned at {})", stuck.handle(), stuck.spawned_at());
    let killed = format!("{spawned} was killed: too slow");
    assert_eq!(text::<Failure>(stuck.failure().unwrap()), killed);
    let failure = hub.block_on(spawn_on(&hub, async { panic!("no luck") })).unwrap_err();
    assert!(text::<Failure>(failure.clone()).ends_with(") panicked: no luck"));
    let Failure::Panicked(panic) = failure else { unreachable!() };
    assert_eq!(Panic::to_string(&panic), "panicked: no luck");
}

#[test]
fn of_pools() {
    let hub = SimHub::new();
    hub.block_on(async {
        let (pool, group) = (Pool::on(&hub, 1), Group::on(&hub));
        let busy = pool.spawn(pending::<()>()).await;
        let full: PoolFull<_> = pool.try_spawn(pending::<()>()).unwrap_err();
        assert_eq!(text(full), "the pool is full");
        busy.kill().await;

        let member = group.clone();
        let inside = group.spawn(async move { member.join().await }).await.unwrap().unwrap_err();
        assert_eq!(
            text::<InsideGroup>(inside),
            "a member cannot wait for its own group to be empty"
        );
        assert_eq!(text(JoinError::from(inside)), text(inside));

        for (count, start) in [(1, "greenlet "), (2, "2 members failed, the first: greenlet ")] {
            for _ in 0..count {
                group.spawn(async { panic!("no luck") }).detach();
            }
            let error = group.try_join().await.unwrap_err();
            let told = text::<JoinError>(error.clone());
            assert!(told.starts_with(start) && told.ends_with(") panicked: no luck"), "{told}");
            let JoinError::Failed(failures) = error else { unreachable!() };
            assert_eq!(text::<Failures>(failures), told);
        }
    });
}

#[test]
fn of_maps() {
    let hub = SimHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, 1);
        let parse = |text: &str| ready(text.parse::<u8>());
        let error: ItemError<TaskError<_>> = pool.try_map(parse, ["1", "x"]).await.unwrap_err();
        assert_eq!(text(error.clone()), "item 1 failed: invalid digit found in string");
        assert_eq!(text(error.into_error()), "invalid digit found in string");
        let stuck = pool.mapper().timeout(Duration::from_millis(1)).map(|()| pending::<()>(), [()]);
        let error: ItemError = stuck.await.unwrap_err();
        let is_timeout = |text: &str, subject: &str| {
            text.starts_with(subject) && text.ends_with(" was killed: timed out after 1ms")
        };
        assert!(is_timeout(&text(error.clone()), "item 0, greenlet "));
        let failed = TaskError::<Timeout>::Failed(error.into_error());
        assert!(is_timeout(&text(failed), "greenlet "));
        pool.close();
        let closed = pool.map(|()| ready(()), [()]).await.unwrap_err();
        assert_eq!(text(closed), "item 0 was killed: the pool was closed");
    });
}

#[test]
fn of_primitives() {
    assert_eq!(text(Closed), "it was closed");
    let none: TryAcquireError = Semaphore::new(0).try_acquire().unwrap_err();
    assert_eq!(text(none), "not enough permits are free");
    assert_eq!(text(TryAcquireError::Closed), text(Closed));
    let more: OverRelease = BoundedSemaphore::new(1).release(1).unwrap_err();
    assert_eq!(text(more), "more permits were returned than are out");
    let stranger: NotOwner = RLock::new().release(&Owner::current()).unwrap_err();
    assert_eq!(text(stranger), "the lock is not held by this owner");
}

#[test]
fn of_queues() {
    let queue = Queue::bounded(1);
    assert_eq!(text::<GetError>(queue.get_nowait().unwrap_err()), "the queue is empty");
    queue.put_nowait(1).unwrap();
    assert_eq!(text::<PutError<_>>(queue.put_nowait(2).unwrap_err()), "the queue is full");
    assert_eq!(queue.shutdown_now(), [1]);
    assert_eq!(text::<ShutDown>(block_on(queue.get()).unwrap_err()), "the queue was shut down");
    assert_eq!(text(PutError::ShutDown(1)), text(ShutDown(1)));
    assert_eq!(text(GetError::ShutDown), text(ShutDown(())));
    let many: TaskDoneError = JoinableQueue::<u32>::unbounded().task_done().unwrap_err();
    assert_eq!(text(many), "more items were reported done than were put");
}

#[test]
fn of_thread_pools() {
    let pool = ThreadPool::builder().capacity(1).queue(1).build();
    let inner = pool.clone();
    let inside = pool.submit(move || block_on(inner.join())).wait().unwrap().unwrap_err();
    assert_eq!(
        text::<InsideThreadPool>(inside),
        "a closure cannot wait for its own thread pool to be empty"
    );
    let (opened, gate) = std::sync::mpsc::channel::<()>();
    let busy = pool.submit(move || gate.recv());
    // The queue is full now, or with the next closure.
    let full = iter::repeat_with(|| pool.try_spawn(|| ())).find_map(Result::err).unwrap();
    assert_eq!(text::<ThreadPoolFull<_>>(full), "the thread pool's queue is full");
    opened.send(()).unwrap();
    busy.wait().unwrap().unwrap();
    assert_eq!(text(ThreadPoolClosed), "the thread pool was closed");
    // No machine has a stack of this size.
    let pool = ThreadPool::builder().stack_size(1 << 60).build();
    let Err(Failure::Killed(exit)) = pool.submit(|| ()).wait() else { unreachable!() };
    let refused: &ThreadRefused = exit.reason().unwrap().downcast_ref().unwrap();
    assert_eq!(refused.to_string(), format!("no thread could be started: {}", refused.error()));
    assert!(refused.source().is_none());
}
