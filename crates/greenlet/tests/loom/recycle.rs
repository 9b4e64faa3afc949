//! Control blocks that are recycled while other threads drop their handles.

use loom::future::block_on;
use spinney_greenlet::LazyHandle;

use crate::{Count, model, spawn};

#[test]
fn kill_of_a_finished_greenlet_spares_the_next() {
    model(|| {
        let mut first = LazyHandle::new();
        let handle = first.handle();
        let kills = spawn(async move { handle.kill_now() });
        block_on(first.begin(async {}, ()));
        first.recycle();
        let (mut second, ran) = (LazyHandle::new(), Count::new());
        let runs = ran.clone();
        block_on(second.begin(async move { runs.add() }, ()));
        second.recycle();
        assert_eq!(ran.get(), 1);
        assert!(second.is_successful() && second.handle().exit().is_none());
        kills.join().unwrap();
        assert!(first.is_ready() && second.is_successful());
        assert_ne!(first.handle(), second.handle());
    });
}
