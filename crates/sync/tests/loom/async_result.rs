//! Results that are set twice and read at the same time.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use spinney_sync::{AsyncResult, SetterDropped};

use crate::{join, model, spawn};

type Number = AsyncResult<usize, usize>;

fn read(result: &Arc<Number>) -> impl Future<Output = Result<usize, usize>> + use<> {
    let result = Arc::clone(result);
    async move { result.get().await.copied().map_err(|error| *error) }
}

#[test]
fn one_of_two_setters_wins_for_all_readers() {
    model(|| {
        let result = Arc::new(Number::new());
        let reader = spawn(read(&result));
        let setter = {
            let result = Arc::clone(&result);
            thread::spawn(move || {
                let given_back = result.set(1);
                assert!(result.is_ready(), "a losing setter does not see the result");
                given_back
            })
        };
        let mine = result.set_error(2);
        let theirs = setter.join().unwrap();
        let won = if mine.is_ok() { Err(2) } else { Ok(1) };
        assert_eq!((mine, theirs), if won == Ok(1) { (Err(2), Ok(())) } else { (Ok(()), Err(1)) });
        assert_eq!(block_on(read(&result)), won);
        assert_eq!(reader.join().unwrap(), won);
    });
}

#[test]
fn no_reader_misses_the_result() {
    model(|| {
        let result = Arc::new(Number::new());
        let readers = [(); 2].map(|()| spawn(read(&result)));
        result.set(7).unwrap();
        assert_eq!(join(readers), [Ok(7), Ok(7)]);
    });
}

#[test]
fn dropped_setter_fails_every_reader() {
    model(|| {
        let result: Arc<AsyncResult<usize, SetterDropped>> = Arc::default();
        let readers = [(); 2].map(|()| {
            let result = Arc::clone(&result);
            spawn(async move { result.get().await.copied().map_err(|error| *error) })
        });
        drop(result.setter());
        assert_eq!(join(readers), [Err(SetterDropped); 2]);
    });
}
