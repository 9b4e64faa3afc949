//! The promises of [`AsyncResult`].

use std::sync::Barrier;
use std::task::Poll;
use std::thread;

use futures_lite::future::block_on;
use spinney_sync::AsyncResult;
use spinney_test_support::ByHand;

type Text = AsyncResult<String, &'static str>;

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn new_async_result_is_not_set() {
    for result in [Text::new(), Text::default()] {
        assert!(!result.is_ready() && !result.is_successful());
        assert_eq!(result.try_get(), None);
        assert_eq!(result.into_inner(), None);
    }
}

#[test]
fn all_readers_get_the_value() {
    let result = Text::new();
    let mut waiting: Vec<_> = (0..10).map(|_| ByHand::waiting(result.get())).collect();
    result.set(text("here")).unwrap();
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 1));
    for waiter in &mut waiting {
        assert_eq!(waiter.poll(), Poll::Ready(Ok(&text("here"))));
    }
    assert!(result.is_ready() && result.is_successful());
}

#[test]
fn all_readers_get_the_error() {
    let result = Text::new();
    let mut waiting: Vec<_> = (0..10).map(|_| ByHand::waiting(result.get())).collect();
    result.set_error("none").unwrap();
    for waiter in &mut waiting {
        assert_eq!(waiter.wakes(), 1);
        assert_eq!(waiter.poll(), Poll::Ready(Err(&"none")));
    }
    assert!(result.is_ready() && !result.is_successful());
    assert_eq!(result.try_get(), Some(Err(&"none")));
}

#[test]
fn set_result_can_be_read_repeatedly() {
    let result = Text::new();
    result.set(text("here")).unwrap();
    for _ in 0..3 {
        assert_eq!(ByHand::of(result.get()).poll(), Poll::Ready(Ok(&text("here"))));
        assert_eq!(result.try_get(), Some(Ok(&text("here"))));
    }
    assert_eq!(result.into_inner(), Some(Ok(text("here"))));
}

#[test]
fn second_result_is_returned_to_the_caller() {
    let valued = Text::new();
    valued.set(text("first")).unwrap();
    assert_eq!(valued.set(text("second")), Err(text("second")));
    assert_eq!(valued.set_error("third"), Err("third"));
    assert_eq!(valued.into_inner(), Some(Ok(text("first"))));

    let failed = Text::new();
    failed.set_error("first").unwrap();
    assert_eq!(failed.set_error("second"), Err("second"));
    assert_eq!(failed.set(text("third")), Err(text("third")));
    assert_eq!(failed.into_inner(), Some(Err("first")));
}

#[test]
fn second_set_wakes_no_reader() {
    let result = Text::new();
    let waiter = ByHand::waiting(result.get());
    result.set(text("first")).unwrap();
    result.set(text("second")).unwrap_err();
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn dropped_get_loses_nothing() {
    let result = Text::new();
    let mut waiting: Vec<_> = (0..3).map(|_| ByHand::waiting(result.get())).collect();
    drop(waiting.remove(0));
    result.set(text("here")).unwrap();
    drop(waiting.remove(0));
    assert_eq!(waiting[0].poll(), Poll::Ready(Ok(&text("here"))));
}

#[test]
fn exactly_one_of_racing_setters_wins() {
    const SETTERS: usize = 4;
    for _ in 0..200 {
        let result: AsyncResult<usize, usize> = AsyncResult::new();
        let start = Barrier::new(SETTERS + 1);
        let set = |n: usize| {
            start.wait();
            let given_back = if n % 2 == 0 { result.set(n) } else { result.set_error(n) };
            assert!(result.is_ready(), "a losing setter does not see the result");
            given_back
        };
        let (outcomes, seen) = thread::scope(|scope| {
            let setters: Vec<_> = (0..SETTERS).map(|n| scope.spawn(move || set(n))).collect();
            let reader = scope.spawn(|| {
                start.wait();
                *block_on(result.get()).unwrap_or_else(|error| error)
            });
            let outcomes: Vec<_> = setters.into_iter().map(|s| s.join().unwrap()).collect();
            (outcomes, reader.join().unwrap())
        });
        for (n, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome, if n == seen { Ok(()) } else { Err(n) });
        }
    }
}
