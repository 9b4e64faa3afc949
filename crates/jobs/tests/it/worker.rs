//! What a worker does with one job: times, limits, retries, revocations, deliveries that come again.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use spinney_greenlet::catch_exit;
use spinney_greenlet::map::{Decision, Retry};
use spinney_hub::{Clock, Hub, LocalHub, Spawn, sleep};
use spinney_jobs::{Stage, Terms, Worker, WorkerBuilder, WorkerHandle, WorkerReport};
use spinney_pool::Pool;
use spinney_sim::SimHub;

use crate::broker::{Broker, Message};

const SECOND: Duration = Duration::from_secs(1);

type Ran = Result<&'static str, &'static str>;

/// Runs a worker of two slots on `broker` with `work`, and `script` beside it; then stops it.
pub(crate) fn run<F, Fut, S>(
    settings: impl FnOnce(WorkerBuilder<Broker>) -> WorkerBuilder<Broker>,
    work: F,
    script: impl FnOnce(Broker, WorkerHandle<Broker>) -> S,
) -> (Broker, WorkerReport)
where
    F: Fn(Arc<Message>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Ran> + Send + 'static,
    S: Future<Output = ()> + 'static,
{
    let (sim, broker) = (SimHub::new(), Broker::default());
    let worker = settings(Worker::builder(&Pool::new(2)).prefetch(2)).build(broker.clone());
    let handle = worker.handle();
    let script = script(broker.clone(), handle.clone());
    sim.spawn(async move {
        script.await;
        handle.stop(Duration::ZERO);
    });
    let of = broker.clone();
    let report = sim.block_on(worker.run(move |job: Arc<Message>| {
        let (broker, id, work) = (of.clone(), Arc::clone(&job.id), work(job));
        async move { broker.running(&id, work).await }
    }));
    (broker, report)
}

async fn nap(_: Arc<Message>) -> Ran {
    sleep(SECOND).await;
    Ok("slept")
}

#[test]
fn job_is_acknowledged_after_it_is_settled() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            assert_eq!((broker.unacked(), broker.acked()), (1, 0));
            sleep(SECOND).await;
            assert_eq!((broker.unacked(), broker.acked()), (0, 1));
        },
    );
    assert_eq!(broker.settled("a"), ["Done(\"slept\")"]);
    assert_eq!((report.received, report.succeeded), (1, 1));
    assert_eq!(broker.state().log, ["a Received", "a Started", "a Done(\"slept\")"]);
}

#[test]
fn early_acknowledgement_comes_before_the_run() {
    run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.send("a", Terms { ack_early: true, ..Terms::default() });
            sleep(SECOND / 2).await;
            assert_eq!((broker.unacked(), broker.begun_jobs()), (0, 1));
            sleep(SECOND).await;
            assert_eq!(broker.settled("a").len(), 1);
        },
    );
}

#[test]
fn job_with_a_time_waits_for_it_and_takes_no_credit() {
    run(
        |w| w,
        nap,
        |broker, handle| async move {
            let eta = Some(Clock::current().now() + 10 * SECOND);
            for n in 0..9 {
                broker.send(&format!("late-{n}"), Terms { eta, ..Terms::default() });
            }
            broker.send("now", Terms::default());
            sleep(2 * SECOND).await;
            assert_eq!(broker.begun_jobs(), 1, "the one without a time");
            assert_eq!(broker.credit(), Some(4 + 9));
            assert!(handle.jobs().iter().all(|job| job.stage == Stage::Scheduled));
            sleep(15 * SECOND).await;
            assert_eq!((broker.begun_jobs(), broker.credit()), (10, Some(4)));
        },
    );
}

#[test]
fn job_that_is_held_too_long_is_sent_anew() {
    let (broker, report) = run(
        |w| w.hold(10 * SECOND),
        nap,
        |broker, _| async move {
            let eta = Some(Clock::current().now() + 25 * SECOND);
            broker.send("late", Terms { eta, ..Terms::default() });
            sleep(30 * SECOND).await;
        },
    );
    assert_eq!(broker.settled("late"), ["resent", "resent", "Done(\"slept\")"]);
    assert_eq!((report.resent, broker.left()), (2, 0));
}

#[test]
fn hold_of_zero_holds_for_a_second() {
    let (broker, report) = run(
        |w| w.hold(Duration::ZERO),
        nap,
        |broker, _| async move {
            let eta = Some(Clock::current().now() + 5 * SECOND / 2);
            broker.send("late", Terms { eta, ..Terms::default() });
            sleep(10 * SECOND).await;
        },
    );
    assert_eq!((report.resent, report.succeeded, broker.left()), (2, 1, 0));
}

#[test]
fn endless_hold_holds_until_the_time() {
    let (broker, report) = run(
        |w| w.hold(Duration::MAX),
        nap,
        |broker, _| async move {
            let eta = Some(Clock::current().now() + 10 * SECOND);
            broker.send("late", Terms { eta, ..Terms::default() });
            sleep(30 * SECOND).await;
        },
    );
    assert_eq!((report.succeeded, report.resent, broker.left()), (1, 0, 0));
}

#[test]
fn expired_job_never_begins() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, _| async move {
            let now = Clock::current().now();
            broker.send("past", Terms { expires: Some(now), ..Terms::default() });
            for id in ["a", "b"] {
                broker.send(id, Terms::default());
            }
            broker.send("soon", Terms { expires: Some(now + SECOND / 2), ..Terms::default() });
            sleep(3 * SECOND).await;
        },
    );
    assert_eq!(
        (broker.settled("past"), broker.settled("soon")),
        (vec!["Expired".into()], vec!["Expired".into()])
    );
    assert_eq!((report.revoked, broker.begun_jobs(), broker.left()), (2, 2, 0));
}

#[test]
fn soft_limit_is_a_kill_that_the_job_may_catch() {
    async fn work(job: Arc<Message>) -> Ran {
        match catch_exit(sleep(9 * SECOND)).await {
            Err(exit) if &*job.id == "caught" => {
                assert_eq!(exit.to_string(), "killed: the job exceeded its soft limit of 1s");
                Ok("cleaned up")
            }
            Err(exit) => exit.resume().await,
            Ok(()) => Ok("slept"),
        }
    }
    let (broker, _) = run(
        |w| w,
        work,
        |broker, _| async move {
            let terms = Terms { soft_limit: Some(SECOND), ..Terms::default() };
            broker.send("caught", terms);
            broker.send("ended", terms);
            sleep(2 * SECOND).await;
        },
    );
    assert_eq!(broker.settled("caught"), ["Done(\"cleaned up\")"]);
    assert_eq!(broker.settled("ended"), ["SoftLimit(1s)"]);
}

#[test]
fn hard_limit_ends_a_job_whatever_it_catches() {
    async fn stubborn(_: Arc<Message>) -> Ran {
        loop {
            let _ = catch_exit(std::future::pending::<()>()).await;
        }
    }
    let (broker, report) = run(
        |w| w,
        stubborn,
        |broker, _| async move {
            let limits = (Some(SECOND), Some(2 * SECOND));
            broker.send(
                "a",
                Terms { soft_limit: limits.0, hard_limit: limits.1, ..Terms::default() },
            );
            sleep(3 * SECOND).await;
        },
    );
    assert_eq!(broker.settled("a"), ["HardLimit(2s)"]);
    assert_eq!((report.failed, report.active), (1, 0));
}

#[test]
fn panic_fails_the_job_alone() {
    async fn work(job: Arc<Message>) -> Ran {
        assert!(&*job.id != "bad", "no luck");
        Ok("luck")
    }
    let (broker, _) = run(
        |w| w,
        work,
        |broker, _| async move {
            broker.send("bad", Terms::default());
            broker.send("good", Terms::default());
            sleep(SECOND).await;
        },
    );
    assert_eq!(broker.settled("bad"), ["Panicked(\"no luck\")"]);
    assert_eq!((broker.settled("good").len(), broker.left()), (1, 0));
}

#[test]
fn failed_job_is_retried_after_its_delay() {
    async fn work(job: Arc<Message>) -> Ran {
        if job.attempt < 2 { Err("not yet") } else { Ok("at last") }
    }
    let retry = Retry::times(5).delays(std::iter::repeat(SECOND));
    let (broker, report) = run(
        |w| w.retry(retry),
        work,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            assert_eq!(broker.begun("a"), 1);
            sleep(5 * SECOND).await;
        },
    );
    assert_eq!((broker.begun("a"), broker.left()), (3, 0));
    assert_eq!((report.retried, report.succeeded), (2, 1));
}

#[test]
fn policy_gives_up_after_its_tries_and_names_the_delay() {
    async fn fails(job: Arc<Message>) -> Ran {
        if &*job.id == "gone" { Err("gone") } else { Err("busy") }
    }
    let when = |error: &&str| match *error {
        "gone" => Decision::GiveUp,
        _ => Decision::RetryAfter(5 * SECOND),
    };
    let retry = Retry::times(1).when(when);
    let (broker, report) = run(
        |w| w.retry(retry),
        fails,
        |broker, _| async move {
            broker.send("gone", Terms::default());
            broker.send("busy", Terms::default());
            sleep(4 * SECOND).await;
            assert_eq!((broker.begun("gone"), broker.begun("busy")), (1, 1));
            sleep(4 * SECOND).await;
        },
    );
    assert_eq!((broker.begun("busy"), report.failed, report.retried), (2, 2, 1));
    assert_eq!(broker.left(), 0);
}

#[test]
fn job_of_any_attempt_fails_at_once_if_the_policy_gives_up() {
    // It would take half a minute to count the tries before.
    let retry = Retry::times(u32::MAX).when(|_: &&str| false);
    let (_, report) = run(
        |w| w.retry(retry),
        |_| async { Err("no luck") },
        |broker, _| async move {
            broker.send_attempt("a", u32::MAX, Terms::default());
            sleep(SECOND).await;
        },
    );
    assert_eq!(report.failed, 1);
}

#[test]
fn policy_that_panics_fails_the_job() {
    async fn fails(_: Arc<Message>) -> Ran {
        Err("no luck")
    }
    let retry = Retry::times(9).when(|_: &&str| -> bool { panic!("no plan") });
    let (broker, _) = run(
        |w| w.retry(retry),
        fails,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND).await;
        },
    );
    assert_eq!((broker.settled("a"), broker.left()), (vec!["Failed(\"no luck\")".into()], 0));
}

#[test]
fn revoked_job_never_begins() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            handle.revoke("before it comes", false);
            broker.send("before it comes", Terms::default());
            let eta = Some(Clock::current().now() + 9 * SECOND);
            broker.send("while it is held", Terms { eta, ..Terms::default() });
            sleep(SECOND).await;
            handle.revoke("while it is held", false);
            sleep(SECOND).await;
            assert_eq!(broker.left(), 0);
            assert_eq!(handle.revoked().len(), 2);
        },
    );
    assert_eq!((report.revoked, broker.begun_jobs()), (2, 0));
}

#[test]
fn running_job_is_revoked_only_to_terminate() {
    let (broker, _) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            handle.revoke("a", false);
            sleep(SECOND).await;
            broker.send("b", Terms::default());
            sleep(SECOND / 2).await;
            handle.revoke("b", true);
            sleep(SECOND / 4).await;
            assert_eq!(broker.left(), 0);
        },
    );
    assert_eq!(broker.settled("a"), ["Done(\"slept\")"]);
    assert_eq!(broker.settled("b"), ["Revoked"]);
}

#[test]
fn running_job_is_taken_over_when_it_comes_again() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            broker.lose_connection();
            sleep(SECOND).await;
            assert_eq!(broker.left(), 0);
        },
    );
    assert_eq!((broker.begun("a"), report.taken_over), (1, 1));
}

#[test]
fn job_that_ended_without_a_connection_is_only_acknowledged() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            // Nothing is delivered until the job has finished.
            broker.set_credit_now(0);
            broker.lose_connection();
            sleep(SECOND).await;
            assert_eq!(broker.left(), 1);
            broker.set_credit_now(4);
            sleep(SECOND).await;
            assert_eq!(broker.left(), 0);
        },
    );
    assert_eq!((broker.begun("a"), report.taken_over), (1, 1));
}

#[test]
fn job_that_waited_when_the_connection_was_lost_runs_once() {
    let (broker, _) = run(
        |w| w,
        nap,
        |broker, _| async move {
            for id in ["a", "b", "c", "d"] {
                broker.send(id, Terms::default());
            }
            sleep(SECOND / 2).await;
            broker.lose_connection();
            sleep(4 * SECOND).await;
        },
    );
    assert!(broker.state().begun.values().all(|begun| *begun == 1));
    assert_eq!((broker.begun_jobs(), broker.left()), (4, 0));
}

#[test]
fn second_message_of_an_id_waits_for_another_attempt() {
    let (broker, _) = run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.send_attempt("a", 0, Terms::default());
            broker.send_attempt("a", 1, Terms::default());
            sleep(3 * SECOND).await;
            assert_eq!(broker.left(), 0);
        },
    );
    assert_eq!(broker.settled("a").len(), 2);
}

#[test]
fn new_message_of_a_settled_id_runs_again() {
    let (broker, _) = run(
        |w| w,
        nap,
        |broker, _| async move {
            for _ in 0..2 {
                broker.send("a", Terms::default());
                sleep(2 * SECOND).await;
            }
            // It is not taken for the first when it comes again.
            broker.send("a", Terms::default());
            broker.set_credit_now(0);
            broker.lose_connection();
            broker.set_credit_now(4);
            sleep(2 * SECOND).await;
        },
    );
    assert_eq!((broker.begun("a"), broker.left()), (3, 0));
}

#[test]
fn redelivered_retry_is_not_taken_for_the_try_before() {
    async fn fails_once(job: Arc<Message>) -> Ran {
        sleep(SECOND).await;
        if job.attempt == 0 { Err("busy") } else { Ok("at last") }
    }
    let retry = Retry::times(1).delays([Duration::ZERO]);
    let (broker, _) = run(
        |w| w.retry(retry),
        fails_once,
        |broker, _| async move {
            broker.send("a", Terms::default());
            sleep(SECOND / 2).await;
            broker.set_credit_now(0);
            sleep(SECOND).await;
            broker.mark_redelivered();
            broker.set_credit_now(4);
            sleep(2 * SECOND).await;
        },
    );
    assert_eq!((broker.begun("a"), broker.settled("a").len(), broker.left()), (2, 2, 0));
}

#[test]
fn job_that_cannot_be_settled_is_put_back() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, _| async move {
            broker.state().refuse = 1;
            broker.send("a", Terms::default());
            sleep(3 * SECOND).await;
        },
    );
    assert_eq!((broker.begun("a"), broker.settled("a").len(), report.put_back), (2, 1, 1));
    assert!(broker.state().log.iter().any(|line| line.contains("out of reach")));
}

#[test]
fn jobs_start_while_few_outcomes_are_being_stored() {
    run(
        |w| w,
        nap,
        |broker, handle| async move {
            broker.state().store_time = 10 * SECOND;
            broker.send("a", Terms::default());
            sleep(SECOND * 3 / 2).await;
            for id in ["b", "c", "d"] {
                broker.send(id, Terms::default());
            }
            sleep(SECOND / 2).await;
            assert_eq!((broker.running_jobs(), handle.report().settling), (2, 1));
            // There are two slots, and more outcomes than that.
            sleep(SECOND).await;
            assert_eq!((broker.running_jobs(), handle.report().settling), (0, 3));
            sleep(9 * SECOND).await;
            assert_eq!((broker.running_jobs(), handle.report().settling), (0, 2));
            sleep(SECOND).await;
            assert_eq!((broker.running_jobs(), handle.report().settling), (1, 0));
        },
    );
}

#[test]
fn outcomes_are_stored_on_the_hub_of_the_run() {
    let (hub, broker) = (Hub::builder().threads(1).build().unwrap(), Broker::default());
    let worker = Worker::builder(&Pool::new(2)).on(&hub).build(broker.clone());
    let (handle, ran_by) = (worker.handle(), Arc::new(OnceLock::new()));
    broker.send("a", Terms::default());
    let by = Arc::clone(&ran_by);
    let report = LocalHub::new().block_on(worker.run(move |_| {
        let (by, handle) = (Arc::clone(&by), handle.clone());
        async move {
            by.get_or_init(|| thread::current().id());
            handle.stop(5 * SECOND);
            Ok("")
        }
    }));
    let here = Some(thread::current().id());
    assert_eq!((report.succeeded, broker.state().stored_by), (1, here));
    assert!(ran_by.get().is_some_and(|by| Some(*by) != here));
}

#[test]
fn jobs_of_a_name_start_at_its_pace() {
    let (broker, _) = run(
        |w| w,
        |_| async { Ok("") },
        |broker, handle| async move {
            handle.pace("slow", Some(SECOND));
            for n in 0..4 {
                broker.send(&format!("slow-{n}"), Terms::default());
                broker.send(&format!("fast-{n}"), Terms::default());
            }
            sleep(SECOND / 2).await;
            assert_eq!(broker.begun_jobs(), 1 + 4);
            sleep(SECOND).await;
            assert_eq!(broker.begun_jobs(), 2 + 4);
            handle.pace("slow", None);
            sleep(2 * SECOND).await;
        },
    );
    assert_eq!(broker.begun_jobs(), 8);
}

#[test]
fn new_pace_holds_for_jobs_that_wait_by_the_old_one() {
    let (broker, _) = run(
        |w| w,
        |_| async { Ok("") },
        |broker, handle| async move {
            // Longer than the clock can show.
            handle.pace("slow", Some(Duration::MAX));
            for n in 0..4 {
                broker.send(&format!("slow-{n}"), Terms::default());
            }
            sleep(SECOND).await;
            assert_eq!(broker.begun_jobs(), 1);
            handle.pace("slow", Some(SECOND));
            sleep(SECOND + SECOND / 2).await;
            assert_eq!(broker.begun_jobs(), 2);
            handle.pace("slow", None);
            sleep(SECOND / 2).await;
            assert_eq!(broker.begun_jobs(), 4);
        },
    );
    assert_eq!(broker.begun_jobs(), 4);
}

#[test]
fn resized_worker_has_more_slots_and_credit() {
    run(
        |w| w,
        nap,
        |broker, handle| async move {
            for n in 0..12 {
                broker.send(&format!("job-{n}"), Terms::default());
            }
            handle.resize(5);
            sleep(SECOND / 2).await;
            assert_eq!((broker.running_jobs(), broker.credit()), (5, Some(10)));
            assert_eq!((handle.report().active, handle.report().reserved), (5, 5));
            sleep(4 * SECOND).await;
        },
    );
}
