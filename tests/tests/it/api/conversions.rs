//! Conversions of errors, and other conversions that programs rely on.

use std::future::pending;
use std::io;
use std::time::Duration;

use spinney::pool::JoinError;
use spinney::sync::{Closed, LifoQueue, PriorityQueue, TryAcquireError};
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Failure, Group, LocalHub, Queue, Timeout, Within};

#[test]
fn timeout_converts_to_an_io_error() {
    async fn read() -> io::Result<()> {
        pending::<io::Result<()>>().within(Duration::ZERO).await?
    }
    let error = LocalHub::new().block_on(read()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.get_ref().unwrap().is::<Timeout>());
}

#[test]
fn kill_and_panic_convert_to_a_failure() {
    assert!(Failure::from(GreenletExit::new()).is_killed());
    let hub = LocalHub::new();
    let failure = hub.block_on(spawn_on(&hub, async { panic!("no luck") })).unwrap_err();
    let Failure::Panicked(panic) = failure else { unreachable!() };
    assert!(Failure::from(panic).is_panic());
}

#[test]
fn part_of_an_error_converts_to_the_error() {
    assert_eq!(TryAcquireError::from(Closed), TryAcquireError::Closed);
    let hub = LocalHub::new();
    hub.block_on(async {
        let group = Group::on(&hub);
        group.spawn(async { panic!("no luck") }).detach();
        let Err(JoinError::Failed(failures)) = group.try_join().await else { unreachable!() };
        let text = failures.to_string();
        assert_eq!(JoinError::from(failures).to_string(), text);
    });
}

#[test]
fn queues_can_be_collected() {
    let first = Queue::from_iter([2, 1, 3]);
    assert_eq!((first.len(), first.get_nowait(), first.capacity()), (3, Ok(2), None));
    assert_eq!(LifoQueue::from_iter([2, 1, 3]).get_nowait(), Ok(3));
    assert_eq!(PriorityQueue::from_iter([2, 1, 3]).get_nowait(), Ok(1));
}
