//! The promises of `ItemError`: how it is matched, and that `?` converts it for any error of the
//! tasks.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use spinney::map::TaskError;
use spinney::task::Panic;
use spinney::{ItemError, LocalHub, Pool};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{blow_up, gate, stuck};

on_every_hub! {
    async fn error_of_an_item_is_a_panic_or_a_kill(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let panicked = pool.map(|n: u32| async move { if n == 1 { blow_up("no luck") } }, 0..3);
        let panicked = panicked.await.unwrap_err();
        assert_eq!(panicked.panicked().unwrap().message().as_deref(), Some("no luck"));
        assert!(panicked.killed().is_none() && panicked.index() == 1);
        let start = Arc::clone(&started);
        let map = pool.map(move |(): ()| stuck(Arc::clone(&start), ()), [()]);
        started.wait().await;
        pool.kill().await;
        let killed = map.await.unwrap_err();
        assert!(killed.killed().is_some() && killed.panicked().is_none());
    }

    async fn error_of_a_try_map_is_an_error_a_panic_or_a_kill(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let start = Arc::clone(&started);
        let work = move |n: u32| {
            let stuck = stuck(Arc::clone(&start), ());
            async move {
                match n {
                    0 => return Err("no luck"),
                    1 => blow_up("at all"),
                    _ => stuck.await,
                }
                Ok(())
            }
        };
        let map = pool.mapper().unbounded().try_map(work, 0..3).collect_all();
        started.wait().await;
        pool.kill().await;
        let all: Vec<_> = map.await.into_iter().map(Result::unwrap_err).collect();
        let kinds = |error: &ItemError<TaskError<&'static str>>| {
            let message = error.panicked().and_then(Panic::message);
            (error.returned().copied(), message, error.killed().is_some())
        };
        let all: Vec<_> = all.iter().map(kinds).collect();
        assert_eq!(all, [
            (Some("no luck"), None, false),
            (None, Some("at all".to_owned()), false),
            (None, None, true),
        ]);
    }
}

type Boxed = Box<dyn Error + Send + Sync>;

/// The conversion by `?` for a map whose only item returns `error`.
fn through_a_function<E: Debug + Display + Send + Sync + 'static>(error: E) -> Boxed {
    async fn run<E>(error: E) -> Result<(), Boxed>
    where
        E: Debug + Display + Send + Sync + 'static,
    {
        let error = Arc::new(std::sync::Mutex::new(Some(error)));
        let work = move |(): ()| {
            let error = error.lock().unwrap().take().unwrap();
            async move { Err::<(), E>(error) }
        };
        Pool::new(1).try_map(work, [()]).await?;
        Ok(())
    }
    LocalHub::new().block_on(run(error)).unwrap_err()
}

#[test]
fn question_mark_converts_an_item_error_of_any_error() {
    let expected = |text: &str| format!("item 0 failed: {text}");
    let is = |error: Boxed, text: &str| assert_eq!(error.to_string(), expected(text));
    is(through_a_function("x".parse::<u8>().unwrap_err()), "invalid digit found in string");
    is(through_a_function(String::from("a text")), "a text");
    is(through_a_function("a text"), "a text");
    is(through_a_function(Boxed::from("in a box")), "in a box");
}

#[test]
fn question_mark_converts_a_non_send_item_error() {
    fn run() -> Result<(), Box<dyn Error>> {
        let hub = LocalHub::new();
        let work = |n: u32| async move { Err::<u32, Box<dyn Error>>(n.to_string().into()) };
        hub.block_on(Pool::on(&hub, 1).try_map(work, [7]))?;
        Ok(())
    }
    let error = run().unwrap_err();
    assert_eq!(error.to_string(), "item 0 failed: 7");
}

#[test]
fn question_mark_converts_an_item_error_of_a_map() {
    async fn run() -> Result<(), Boxed> {
        Pool::new(1).map(|(): ()| async { blow_up("no luck") }, [()]).await?;
        Ok(())
    }
    assert!(LocalHub::new().block_on(run()).unwrap_err().to_string().ends_with("no luck"));
}
