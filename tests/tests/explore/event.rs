//! `AsyncResult` and `Event`.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use spinney::sync::SetterDropped;
use spinney::{AsyncResult, Event, Spawn, yield_now};

use crate::{Cancel, LONG, work};

explore! {
    fn set_wakes_every_waiter(sim, 8) {
        let (event, woken) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        for _ in 0..3 {
            let (event, woken) = (Rc::clone(&event), Rc::clone(&woken));
            sim.spawn(async move {
                event.wait().await;
                assert!(event.is_set());
                woken.set(woken.get() + 1);
            });
        }
        sim.spawn(async move { event.set() });
        sim.run_until_idle();
        assert_eq!(woken.get(), 3);
    }

    /// A waiter goes on if the flag was set while it waited, and waits if the flag was cleared
    /// before.
    fn clear_keeps_no_waiter_that_was_woken(sim, 8) {
        let event = Rc::new(Event::new());
        let went = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let (event, went) = (Rc::clone(&event), Rc::clone(&went));
            sim.spawn(async move {
                event.wait().await;
                went.set(went.get() + 1);
            });
        }
        let sets = Rc::clone(&event);
        sim.spawn(async move {
            sets.set();
            sets.clear();
            assert!(!sets.is_set());
            yield_now().await;
            sets.set();
            sets.set();
        });
        sim.run_until_idle();
        assert_eq!(went.get(), 2);
    }

    fn set_between_two_waits_is_seen_by_both(sim, 8) {
        let event = Rc::new(Event::new());
        let sets = Rc::clone(&event);
        sim.spawn(async move { sets.set() });
        for _ in 0..2 {
            let event = Rc::clone(&event);
            sim.spawn(async move {
                event.wait().await;
                event.wait().await;
            });
        }
        sim.run_until_idle();
    }

    fn wait_that_is_cancelled_keeps_no_other(sim, 8) {
        let event = Rc::new(Event::new());
        let cancel = Cancel::at_any_time(sim);
        let waits = Rc::clone(&event);
        sim.spawn(async move { _ = cancel.or(waits.wait()).await });
        let waits = Rc::clone(&event);
        sim.spawn(async move { waits.wait().await });
        sim.spawn(async move { event.set() });
        sim.run_until_idle();
    }

    /// The wait moves just before the event is set, after long work.
    fn wait_that_moves_to_another_task_is_woken_there(sim, 3) {
        let event = Rc::new(Event::new());
        let (waits, hub) = (Rc::clone(&event), sim.clone());
        sim.spawn(async move {
            let mut wait = Box::pin(async move { waits.wait().await });
            if futures_lite::future::poll_once(&mut wait).await.is_none() {
                work(LONG).await;
                hub.spawn(wait);
            }
        });
        sim.spawn(async move { event.set() });
        sim.run_until_idle();
    }

    fn result_reaches_every_reader_once(sim, 8) {
        let result = Rc::new(AsyncResult::<u32>::new());
        let sets = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let result = Rc::clone(&result);
            sim.spawn(async move { assert_eq!(result.get().await.ok(), Some(&7)) });
        }
        for _ in 0..2 {
            let (result, sets) = (Rc::clone(&result), Rc::clone(&sets));
            sim.spawn(async move { sets.set(sets.get() + u32::from(result.set(7).is_ok())) });
        }
        sim.run_until_idle();
        assert_eq!(sets.get(), 1);
    }

    fn setter_that_is_dropped_fails_its_readers(sim, 8) {
        let result = Arc::new(AsyncResult::<u32, SetterDropped>::new());
        let setter = result.setter();
        for _ in 0..2 {
            let result = Arc::clone(&result);
            sim.spawn(async move { assert!(result.get().await.is_err()) });
        }
        let cancel = Cancel::at_any_time(sim);
        sim.spawn(async move {
            let never = async {
                std::future::pending::<()>().await;
                drop(setter);
            };
            cancel.or(never).await;
        });
        sim.run_until_idle();
    }

    /// Two tasks take turns, and a third waits for either.
    fn turns_by_two_events_strand_no_waiter(sim, 5) {
        let turns = Rc::new([Event::new(), Event::new()]);
        let over = Rc::new(Cell::new(0));
        for n in 0..2 {
            let (turns, over) = (Rc::clone(&turns), Rc::clone(&over));
            sim.spawn(async move {
                for _ in 0..3 {
                    turns[n].wait().await;
                    turns[n].clear();
                    over.set(over.get() + 1);
                    turns[1 - n].set();
                }
            });
        }
        let either = Rc::clone(&turns);
        sim.spawn(async move {
            futures_lite::future::or(either[1].wait(), either[0].wait()).await;
        });
        turns[0].set();
        sim.run_until_idle();
        assert_eq!(over.get(), 6);
    }
}
