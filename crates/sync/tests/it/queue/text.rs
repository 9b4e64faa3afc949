//! The texts of errors and of `Debug`, and the records of waits.

use std::error::Error;

use spinney_sync::{Channel, GetError, PutError, Queue, ShutDown, TaskDoneError, Wait};
use spinney_test_support::ByHand;

/// Neither `Debug` nor `Clone`.
struct Plain;

#[test]
fn errors_say_what_is_wrong() {
    let say = |error: &dyn Error| error.to_string();
    assert_eq!(say(&ShutDown(Plain)), "the queue was shut down");
    assert_eq!(say(&PutError::ShutDown(Plain)), "the queue was shut down");
    assert_eq!(say(&PutError::Full(Plain)), "the queue is full");
    assert_eq!(say(&GetError::Empty), "the queue is empty");
    assert_eq!(say(&GetError::ShutDown), "the queue was shut down");
    assert_eq!(say(&TaskDoneError), "more items were reported done than were put");
    assert_eq!(
        format!("{:?} {:?}", ShutDown(Plain), PutError::Full(Plain)),
        "ShutDown(..) Full(..)"
    );
    assert_eq!(format!("{:?}", PutError::ShutDown(Plain)), "ShutDown(..)");
}

#[test]
fn error_of_a_wait_is_one_of_a_try() {
    assert_eq!(PutError::from(ShutDown(1)), PutError::ShutDown(1));
    assert_eq!(GetError::from(ShutDown(())), GetError::ShutDown);
}

#[test]
fn debug_shows_the_state_of_queues_and_futures() {
    let queue = Queue::bounded(1);
    queue.put_nowait(Plain).unwrap();
    let mut put = queue.put(Plain);
    assert!(ByHand::of(&mut put).poll().is_pending());
    let state =
        "len: 1, capacity: Some(1), getting: 0, putting: 1, unfinished: 1, shut_down: false";
    assert_eq!(format!("{queue:?}"), format!("Queue {{ {state} }}"));
    assert_eq!(
        format!("{put:?} {:?}", queue.get()),
        "Put { waiting: true } Get { waiting: false }"
    );
    assert_eq!(format!("{:?}", Queue::<u8>::bounded(1).peek()), "Peek { waiting: false }");
    assert!(format!("{:?}", Channel::<Plain>::new()).starts_with("Channel(Queue { len: 0,"));
}

#[test]
fn each_wait_of_a_queue_is_recorded_with_its_line() {
    let (queue, full) = (Queue::<u32>::bounded(1), Queue::bounded(1));
    full.put_nowait(1).unwrap();
    let noted = |what: &str, line: u32| {
        let noted = Wait::last().unwrap().to_string();
        assert!(noted.starts_with(&format!("{what} at {}:{line}:", file!())), "{noted}");
    };
    let _get = ByHand::waiting(queue.get());
    noted("Queue::get", line!() - 1);
    let _peek = ByHand::waiting(queue.peek());
    noted("Queue::peek", line!() - 1);
    let _put = ByHand::waiting(full.put(2));
    noted("Queue::put", line!() - 1);
    let _join = ByHand::waiting(full.join());
    noted("Queue::join", line!() - 1);
}

#[test]
fn queues_and_their_futures_are_send_and_sync() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    // The item is `Send` and nothing else.
    let queue = Queue::<std::cell::Cell<u32>>::bounded(1);
    is_send(&queue);
    is_sync(&queue);
    is_send(&queue.get());
    is_send(&queue.peek());
    is_send(&queue.put(std::cell::Cell::new(1)));
    is_send(&queue.join());
}
