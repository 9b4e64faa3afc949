//! The setter of a result.

use std::sync::Arc;
use std::task::Poll;

use spinney_sync::{AsyncResult, SetterDropped};
use spinney_test_support::ByHand;

type Answer = Arc<AsyncResult<u32, SetterDropped>>;

#[test]
fn setter_fails_the_readers_when_it_is_dropped() {
    let answer = Answer::default();
    let setter = answer.setter();
    let mut reader = ByHand::waiting(answer.get());
    drop(setter);
    assert_eq!((reader.wakes(), reader.poll()), (1, Poll::Ready(Err(&SetterDropped))));
    assert_eq!(SetterDropped.to_string(), "the setter was dropped before it set a result");
}

#[test]
fn setter_fails_the_readers_when_its_task_panics() {
    let answer = Answer::default();
    let setter = answer.setter();
    let task = std::panic::AssertUnwindSafe(move || {
        let _setter = setter;
        panic!("an expected panic");
    });
    std::panic::catch_unwind(task).unwrap_err();
    assert_eq!(answer.try_get(), Some(Err(&SetterDropped)));
}

#[test]
fn setter_sets_the_result_once_and_then_drops_unseen() {
    let answer = Answer::default();
    let (first, second) = (answer.setter(), answer.setter());
    assert_eq!(first.set(7), Ok(()));
    assert_eq!(second.set(8), Err(8));
    drop(answer.setter());
    assert_eq!(answer.try_get(), Some(Ok(&7)));

    let answer = Answer::default();
    assert_eq!(answer.setter().set_error(SetterDropped), Ok(()));
    assert_eq!(answer.setter().set_error(SetterDropped), Err(SetterDropped));
}

#[test]
fn setter_converts_the_error_for_the_readers() {
    let answer: Arc<AsyncResult<u32, Box<dyn std::error::Error + Send + Sync>>> = Arc::default();
    drop(answer.setter());
    let Some(Err(error)) = answer.try_get() else { panic!("the reader did not fail") };
    assert!(error.downcast_ref::<SetterDropped>().is_some());
}
