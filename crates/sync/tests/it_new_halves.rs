//! The half that sets a result, and the stream that keeps its queue.

mod by_hand;

use std::sync::Arc;
use std::task::Poll;

use by_hand::ByHand;
use spinney_sync::{AsyncResult, SetterDropped};

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
        panic!("the test wants it so");
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
fn setter_makes_the_error_into_the_readers_kind() {
    let answer: Arc<AsyncResult<u32, Box<dyn std::error::Error + Send + Sync>>> = Arc::default();
    drop(answer.setter());
    let Some(Err(error)) = answer.try_get() else { panic!("it failed") };
    assert!(error.downcast_ref::<SetterDropped>().is_some());
}

#[cfg(feature = "stream")]
mod owned_stream {
    use std::rc::Rc;

    use futures_lite::StreamExt;
    use spinney_sync::{Items, LifoQueue, Queue};

    use super::*;

    #[test]
    fn gives_the_items_and_ends_with_its_queue() {
        let queue = Arc::new(Queue::bounded(1));
        let mut items = Arc::clone(&queue).into_stream();
        let mut next = ByHand::waiting(items.next());
        queue.put_nowait(1).unwrap();
        assert_eq!((next.wakes(), next.poll()), (1, Poll::Ready(Some(1))));
        drop(next);
        queue.shutdown();
        drop(queue);
        assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None));
        assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None), "and it stays ended");
    }

    #[test]
    fn gives_its_item_to_the_next_when_it_is_dropped() {
        let queue = Arc::new(Queue::bounded(1));
        let mut items = Arc::clone(&queue).into_stream();
        drop(ByHand::waiting(items.next()));
        let mut behind = ByHand::waiting(queue.get());
        queue.put_nowait(1).unwrap();
        assert_eq!(behind.wakes(), 0);
        drop(items);
        assert_eq!(behind.poll(), Poll::Ready(Ok(1)));
    }

    #[test]
    fn is_made_of_any_pointer_to_any_kind_of_queue() {
        let pile = Rc::new(LifoQueue::from_iter([1, 2]));
        let mut items = Items::of(Rc::clone(&pile));
        assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(Some(2)));
    }
}
