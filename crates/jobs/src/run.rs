//! [`Running`]: one job, from its slot to its acknowledgement.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::FutureExt;
use spinney_greenlet::map::Decision;
use spinney_greenlet::{GreenletExit, Handle, catch_exit, shield};
use spinney_hub::{Within, sleep};
use spinney_pool::Group;

use crate::table::{Key, Refusal};
use crate::worker::Shared;
use crate::{JobKill, NotSettled, Outcome, Source, Step, Terms};

/// A job that has left the queue of its worker. Dropping it, at whatever point, removes the job from
/// the worker; unless it was settled, that puts it back.
pub(crate) struct Running<S: Source> {
    shared: Arc<Shared<S>>,
    key: Key,
    job: Arc<S::Job>,
    is_settled: bool,
}

impl<S: Source> Running<S> {
    pub(crate) fn new(shared: &Arc<Shared<S>>, key: Key, job: Arc<S::Job>) -> Self {
        Self { shared: Arc::clone(shared), key, job, is_settled: false }
    }

    /// Runs the job in the current greenlet; a member of `settling` settles it.
    pub(crate) async fn run<Fut>(self, work: impl FnOnce(Arc<S::Job>) -> Fut, settling: Group)
    where
        Fut: Future<Output = Result<S::Output, S::Error>>,
    {
        let begun = self.shared.table().begin(&self.key, Handle::current());
        let Some(begun) = begun else {
            return settling.spawn(self.settle(Outcome::Revoked, None)).detach();
        };
        let start = self.shared.now();
        let body = async {
            for receipt in begun.early {
                self.shared.source.acknowledge(receipt).await;
            }
            self.observe(Step::Started);
            work(Arc::clone(&self.job)).await
        };
        // Boxed, because each of the layers around it would have room for it.
        let outcome = limited(Box::pin(body), begun.terms).await;
        let ended = self.shared.now();
        let greenlet = self.shared.table().settling(&self.key, ended);
        drop(greenlet);
        if let Some(outcome) = outcome {
            let outcome = self.or_retry(outcome);
            settling.spawn(self.settle(outcome, Some(ended - start))).detach();
        }
    }

    /// Settles a job that does not run.
    pub(crate) async fn settle_refused(self, why: Refusal) {
        match why {
            Refusal::Revoked => self.settle(Outcome::Revoked, None).await,
            Refusal::Expired => self.settle(Outcome::Expired, None).await,
            Refusal::Held => shield(self.resend()).await,
        }
    }

    async fn settle(self, outcome: Outcome<S::Output, S::Error>, ran: Option<Duration>) {
        // No kill comes between the outcome and the acknowledgement.
        shield(async move {
            self.observe(Step::Ended { outcome: &outcome, ran });
            let count = counter(&outcome);
            // Boxed, so that the task, which is moved until it runs, stays small.
            let settled = Box::pin(self.shared.source.settle(&self.job, outcome)).await;
            self.finish(settled, count).await;
        })
        .await;
    }

    async fn resend(self) {
        let sent = self.shared.source.resend(&self.job).await;
        self.finish(sent, |report| &mut report.resent).await;
    }

    /// Acknowledges the job, if it was `settled`.
    async fn finish(mut self, settled: Result<(), NotSettled>, count: Counter) {
        if let Err(error) = settled {
            return self.observe(Step::NotSettled(&error));
        }
        self.is_settled = true;
        // Without a receipt, the job is acknowledged when it is delivered again.
        for receipt in self.leave(count) {
            self.shared.source.acknowledge(receipt).await;
        }
    }

    /// Removes the job, which was settled, from the worker.
    fn leave(&self, count: Counter) -> Vec<S::Receipt> {
        let now = self.shared.now();
        let mut table = self.shared.table();
        *count(&mut table.report) += 1;
        let removed = table.remove(&self.key, Some(now));
        drop(table);
        self.shared.changed.set();
        removed.map_or_else(Vec::new, |removed| removed.receipts)
    }

    /// Returns the outcome, or [`Outcome::Retried`] if the worker's policy retries the job.
    fn or_retry(&self, outcome: Outcome<S::Output, S::Error>) -> Outcome<S::Output, S::Error> {
        let Some(retry) = &self.shared.settings.retry else { return outcome };
        let Outcome::Failed(error) = outcome else { return outcome };
        let attempt = self.shared.table().attempt(&self.key);
        let returned = Ok(Err(error));
        let decide = || {
            let decision = retry.decide(&returned);
            // The attempt comes from the message, which may hold any number.
            let attempt = if decision == Decision::GiveUp { 0 } else { attempt };
            let mut schedule = retry.begin(0);
            (0..attempt).try_for_each(|_| schedule.next_delay(Decision::Retry).map(drop))?;
            schedule.next_delay(decision)
        };
        // A predicate or a list of delays that panics has not asked for another try.
        let after = catch_unwind(AssertUnwindSafe(decide)).unwrap_or(None);
        match (returned, after) {
            (Ok(Err(error)), Some(after)) => Outcome::Retried { error, after },
            (Ok(Err(error)), None) => Outcome::Failed(error),
            _ => unreachable!("it is an error that was returned"),
        }
    }

    fn observe(&self, step: Step<'_, S>) {
        self.shared.source.observe(&self.job, step);
    }
}

impl<S: Source> Drop for Running<S> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut table = self.shared.table();
        let removed = table.remove(&self.key, None);
        table.report.put_back += usize::from(removed.is_some());
        drop(table);
        drop(removed);
        self.shared.changed.set();
    }
}

type Counter = fn(&mut crate::WorkerReport) -> &mut usize;

fn counter<T, E>(outcome: &Outcome<T, E>) -> Counter {
    match outcome {
        Outcome::Done(_) => |report| &mut report.succeeded,
        Outcome::Retried { .. } => |report| &mut report.retried,
        Outcome::Revoked | Outcome::Expired => |report| &mut report.revoked,
        Outcome::Failed(_)
        | Outcome::Panicked(_)
        | Outcome::SoftLimit(_)
        | Outcome::HardLimit(_) => |report| &mut report.failed,
    }
}

/// Runs `work` within its limits; `None` if the kill that ended it has no [`JobKill`] as its reason.
async fn limited<T, E>(
    work: impl Future<Output = Result<T, E>>,
    terms: Terms,
) -> Option<Outcome<T, E>> {
    let ended = async {
        let mut caught = pin!(catch_exit(with_soft_limit(work, terms.soft_limit)));
        match terms.hard_limit {
            Some(limit) => caught.as_mut().within(limit).await.map_err(|_| limit),
            None => Ok(caught.as_mut().await),
        }
    };
    // Around all of it, because a destructor may panic, too.
    match AssertUnwindSafe(ended).catch_unwind().await {
        Ok(Ok(Ok(Ok(value)))) => Some(Outcome::Done(value)),
        Ok(Ok(Ok(Err(error)))) => Some(Outcome::Failed(error)),
        Ok(Ok(Err(exit))) => match exit.reason()?.downcast_ref()? {
            JobKill::Revoked => Some(Outcome::Revoked),
            JobKill::SoftLimit(limit) => Some(Outcome::SoftLimit(*limit)),
        },
        Ok(Err(limit)) => Some(Outcome::HardLimit(limit)),
        Err(payload) => Some(Outcome::Panicked(message(&*payload))),
    }
}

/// Runs `work`, and kills the current greenlet once if it takes longer than `limit`.
async fn with_soft_limit<T>(work: impl Future<Output = T>, limit: Option<Duration>) -> T {
    let (Some(limit), Some(greenlet)) = (limit, Handle::current()) else { return work.await };
    let mut work = pin!(work);
    let mut timer = Some(sleep(limit));
    poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if timer.as_mut().is_some_and(|timer| timer.poll(cx).is_ready()) {
            timer = None;
            greenlet.kill_now_with(GreenletExit::because(JobKill::SoftLimit(limit)));
        }
        Poll::Pending
    })
    .await
}

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the job panicked".to_owned())
}
