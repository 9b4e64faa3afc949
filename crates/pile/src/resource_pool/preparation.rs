//! [`Preparation`]: the creation or the recycling of a resource.
//!
//! It is a greenlet of its own, which the caller that began it polls. When that caller leaves, it
//! continues as a task of the caller's hub, and is dropped when that hub stops. Outside of any hub
//! it waits for the next caller, which polls it. So a `create` finishes even if it takes longer
//! than any caller waits.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use spinney_greenlet::{Failure, Greenlet, Task, pair};
use spinney_hub::{Hub, Spawn, Timeout, Within, drop_contained, now};
use spinney_sync::wake_all;

use super::builder::{Boxed, Verdict};
use super::item::Resource;
use super::stats::Reason;
use super::{ResourceError, Shared};

/// The result of a preparation.
pub(super) enum Prepared<T, E> {
    /// A resource, counted as lent.
    Resource(Resource<T>),
    Failed(ResourceError<E>),
    /// `create` panicked, or the `backoff` after its failure.
    Panicked(Failure),
    /// No result for a caller: it was killed, or the item is not used again.
    Nothing,
}

/// The work of a preparation, which any task can poll.
pub(super) struct Job<T, E> {
    task: Pin<Box<Task<Work<T, E>>>>,
    /// `None` once the result was taken.
    greenlet: Option<Greenlet<Output<T, E>>>,
    kind: Kind,
    generation: u64,
    /// Whether it began inside a hub, whose clock and reactor it may need.
    needs_hub: bool,
}

type Work<T, E> = Boxed<'static, Output<T, E>>;

enum Output<T, E> {
    Created(Result<Result<T, E>, Timeout>),
    /// `None` if the resource is not used again: it was dropped.
    Recycled(Option<Resource<T>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Recycle,
}

/// A job, and the capacity that is reserved for it. Dropping it drops the job, and then frees the
/// capacity.
pub(super) struct Preparation<T: Send + 'static, E: Send + 'static> {
    /// `None` once it has finished.
    job: Option<Job<T, E>>,
    reservation: Reservation<T, E>,
}

impl<T: Send + 'static, E: Send + 'static> Preparation<T, E> {
    /// Begins to create a resource that was counted in `size` and `creating`, in this `generation`.
    /// A panic of the pool's closure frees the capacity.
    pub(super) fn create(shared: &Arc<Shared<T, E>>, generation: u64) -> Self {
        let mut preparation =
            Self { job: None, reservation: Reservation::new(shared, Kind::Create) };
        let created = (shared.settings.create)();
        let limit = shared.settings.create_timeout;
        let work = async move {
            Output::Created(match limit {
                Some(limit) => created.within(limit).await,
                None => Ok(created.await),
            })
        };
        preparation.job = Some(Job::new(Kind::Create, generation, Box::pin(work)));
        preparation
    }

    /// Begins to `recycle` a lent resource. A panic of the pool's closure is contained in the job.
    pub(super) fn recycle(
        shared: &Arc<Shared<T, E>>,
        mut resource: Resource<T>,
        recycle: Arc<Verdict<T>>,
    ) -> Self {
        let generation = resource.generation;
        let info = resource.info(now());
        let work = async move {
            let passes = recycle(&mut resource.value, info).await;
            Output::Recycled(passes.then_some(resource))
        };
        let job = Job::new(Kind::Recycle, generation, Box::pin(work));
        Self { job: Some(job), reservation: Reservation::new(shared, Kind::Recycle) }
    }

    /// Continues an orphaned job.
    pub(super) fn adopt(shared: &Arc<Shared<T, E>>, job: Job<T, E>) -> Self {
        let reservation = Reservation::new(shared, job.kind);
        Self { job: Some(job), reservation }
    }

    /// Polls the job in the caller's place.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Prepared<T, E>> {
        let job = self.job.as_mut().expect("polled after it had finished");
        ready!(job.task.as_mut().poll(cx));
        let greenlet = job.greenlet.take().expect("its result is taken once");
        let (kind, generation) = (job.kind, job.generation);
        let ended = greenlet.try_get().unwrap_or_else(|_| unreachable!("its task has finished"));
        self.job = None;
        Poll::Ready(match ended {
            Ok(Output::Created(Ok(Ok(value)))) => self.created(value, generation),
            Ok(Output::Created(Ok(Err(error)))) => self.failed(ResourceError::Create(error)),
            Ok(Output::Created(Err(timeout))) => {
                self.failed(ResourceError::CreateTimedOut(timeout))
            }
            Ok(Output::Recycled(Some(resource))) => {
                self.reservation.fill();
                Prepared::Resource(resource)
            }
            Ok(Output::Recycled(None)) => {
                self.reservation.reason = Reason::Recycle;
                Prepared::Nothing
            }
            Err(failure) if kind == Kind::Create && failure.is_panic() => {
                // A panic of `backoff` as well is the second one: the caller gets the first.
                let _ = self.reservation.note_failure();
                Prepared::Panicked(failure)
            }
            Err(_) => Prepared::Nothing,
        })
    }

    fn created(&mut self, value: T, generation: u64) -> Prepared<T, E> {
        let resource = Resource::new(value, now(), generation);
        self.reservation.fill();
        Prepared::Resource(resource)
    }

    fn failed(&mut self, error: ResourceError<E>) -> Prepared<T, E> {
        match self.reservation.note_failure() {
            Ok(()) => Prepared::Failed(error),
            Err(failure) => {
                drop_contained(error);
                Prepared::Panicked(failure)
            }
        }
    }

    /// Continues without the caller. The job is dropped if the pool was closed, or when its hub
    /// stops.
    pub(super) fn carry_on(mut self) {
        if self.reservation.shared.slots.is_closed() {
            return;
        }
        if let Some(hub) = Hub::try_current() {
            self.set_in_place(false);
            hub.spawn(self.finish());
        } else if let Some(job) = self.job.take_if(|job| !job.needs_hub) {
            self.reservation.leave_to(job);
        }
    }

    /// Polls the job once, and then continues without the caller.
    pub(super) fn start(mut self) {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(prepared) => self.deliver(prepared),
            Poll::Pending => self.carry_on(),
        }
    }

    async fn finish(mut self) {
        let prepared = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.deliver(prepared);
    }

    /// Gives the result to the first waiting caller.
    fn deliver(self, prepared: Prepared<T, E>) {
        let shared = Arc::clone(&self.reservation.shared);
        drop(self);
        match prepared {
            Prepared::Resource(resource) => shared.deliver(resource),
            Prepared::Failed(error) => shared.deliver_failure(error),
            // The panic hook has reported it.
            Prepared::Panicked(failure) => drop_contained(failure),
            Prepared::Nothing => {}
        }
    }

    fn set_in_place(&self, in_place: bool) {
        self.job.iter().for_each(|job| job.set_in_place(in_place));
    }
}

/// Resumes the panic of a `create` in its caller.
pub(super) fn resume(failure: Failure) -> ! {
    let text = failure.to_string();
    let payload = match failure {
        Failure::Panicked(panic) => panic.into_payload(),
        Failure::Killed(_) | Failure::Aborted(_) => None,
    };
    resume_unwind(payload.unwrap_or_else(|| Box::new(text)))
}

impl<T: Send + 'static, E: Send + 'static> Drop for Preparation<T, E> {
    fn drop(&mut self) {
        // Before its capacity is free.
        let job = self.job.take();
        drop_contained(job);
    }
}

impl<T: Send + 'static, E: Send + 'static> Job<T, E> {
    fn new(kind: Kind, generation: u64, work: Work<T, E>) -> Self {
        let (task, greenlet) = pair(work, ());
        let (task, greenlet) = (Box::pin(task), Some(greenlet));
        let job =
            Self { task, greenlet, kind, generation, needs_hub: Hub::try_current().is_some() };
        job.set_in_place(true);
        job
    }

    /// Sets whether the greenlet around it polls it.
    fn set_in_place(&self, in_place: bool) {
        self.greenlet.iter().for_each(|greenlet| greenlet.handle().set_in_place(in_place));
    }
}

/// The capacity that is reserved for a job. Dropping it frees the capacity.
struct Reservation<T: Send + 'static, E: Send + 'static> {
    shared: Arc<Shared<T, E>>,
    /// `None` once a resource or an orphan is counted instead.
    kind: Option<Kind>,
    /// Why a resource that was being recycled is counted out.
    reason: Reason,
}

impl<T: Send + 'static, E: Send + 'static> Reservation<T, E> {
    fn new(shared: &Arc<Shared<T, E>>, kind: Kind) -> Self {
        Self { shared: Arc::clone(shared), kind: Some(kind), reason: Reason::Failure }
    }

    /// Counts a resource instead.
    fn fill(&mut self) {
        if self.kind.take() != Some(Kind::Create) {
            return;
        }
        let mut state = self.shared.lock();
        state.creating -= 1;
        state.lent += 1;
        state.counters.created += 1;
        // Callers that wait for the end of a delay, or for fewer creations, may go on.
        let failed_before = std::mem::take(&mut state.failures).in_a_row > 0;
        let wakers =
            state.waiters.wake(failed_before || self.shared.settings.max_creating < usize::MAX);
        drop(state);
        wake_all(wakers);
    }

    /// Records a failure of `create`, which delays the next one.
    ///
    /// # Errors
    ///
    /// The panic of `backoff`: the next creation is not delayed.
    fn note_failure(&self) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        state.failures.in_a_row = state.failures.in_a_row.saturating_add(1);
        state.counters.failed += 1;
        let failures = state.failures.in_a_row;
        drop(state);
        let backoff = || (self.shared.settings.backoff)(failures);
        let delay = catch_unwind(AssertUnwindSafe(backoff)).map_err(Failure::panicked)?;
        let failed_at = now();
        self.shared.lock().failures.delay_next(failed_at, delay);
        Ok(())
    }

    /// Leaves `job` for the next caller to continue. A closed pool drops it.
    fn leave_to(&mut self, job: Job<T, E>) {
        let mut state = self.shared.lock();
        if state.is_closed {
            drop(state);
            drop_contained(job);
            return;
        }
        self.kind = None;
        state.orphans.push(job);
        let wakers = state.waiters.wake(true);
        drop(state);
        wake_all(wakers);
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for Reservation<T, E> {
    fn drop(&mut self) {
        match self.kind {
            Some(Kind::Create) => self.shared.count_out(|state| state.creating -= 1),
            Some(Kind::Recycle) => self.shared.count_out_lent(self.reason),
            None => {}
        }
    }
}
