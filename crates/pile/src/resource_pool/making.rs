//! [`Making`]: a resource that is being created, or recycled, for its next use.
//!
//! It is a greenlet of its own, which the caller that began it polls. When the caller leaves, it
//! goes on as a task of the caller's hub, and is dropped when that stops. Outside of any hub it waits
//! for the next caller, which polls it. So a `create` that is slower than all callers are patient is
//! finished all the same.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use spinney_greenlet::{Failure, Greenlet, Task, pair};
use spinney_hub::{Clock, Hub, Spawn, Timeout, Within, drop_contained};
use spinney_sync::wake_all;

use super::builder::Boxed;
use super::item::Resource;
use super::stats::Reason;
use super::{ResourceError, Shared};

/// What has come of it.
pub(super) enum Made<T, E> {
    /// A resource that is counted as lent.
    Resource(Resource<T>),
    Failed(ResourceError<E>),
    /// `create` panicked.
    Panicked(Failure),
    /// Nothing that concerns a caller: it was killed, or the item is not to be used again.
    Nothing,
}

/// The work, which may go on anywhere.
pub(super) struct Job<T, E> {
    task: Pin<Box<Task<Work<T, E>>>>,
    /// None once the result was taken.
    greenlet: Option<Greenlet<Output<T, E>>>,
    kind: Kind,
    generation: u64,
    /// Whether it began inside of a hub, whose clock and reactor it may need.
    needs_hub: bool,
}

type Work<T, E> = Boxed<'static, Output<T, E>>;

enum Output<T, E> {
    Created(Result<Result<T, E>, Timeout>),
    /// None if it is not to be used again: it has been dropped.
    Recycled(Option<Resource<T>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Recycle,
}

/// A job, and the room in the pool that is counted for it. Dropping it drops the job, then frees the
/// room.
pub(super) struct Making<T: Send + 'static, E: Send + 'static> {
    /// None once it has finished.
    job: Option<Job<T, E>>,
    room: Room<T, E>,
}

impl<T: Send + 'static, E: Send + 'static> Making<T, E> {
    /// Begins to create a resource that was counted, in `size` and `creating`, in this `generation`.
    /// A panic of the pool's closure frees the room.
    pub(super) fn create(shared: &Arc<Shared<T, E>>, generation: u64) -> Self {
        let mut making = Self { job: None, room: Room::new(shared, Kind::Create) };
        let created = (shared.settings.create)();
        let limit = shared.settings.create_timeout;
        let work = async move {
            Output::Created(match limit {
                Some(limit) => created.within(limit).await,
                None => Ok(created.await),
            })
        };
        making.job = Some(Job::new(Kind::Create, generation, Box::pin(work)));
        making
    }

    /// Begins to recycle a resource that is lent, if the pool recycles. A panic of the
    /// pool's closure is contained in the job.
    pub(super) fn recycle(
        shared: &Arc<Shared<T, E>>,
        mut resource: Resource<T>,
    ) -> Result<Self, Resource<T>> {
        let Some(recycle) = shared.settings.recycle.clone() else { return Err(resource) };
        let generation = resource.generation;
        let info = resource.info(Clock::current().now());
        let work = async move {
            let passes = recycle(&mut resource.value, info).await;
            Output::Recycled(passes.then_some(resource))
        };
        let job = Job::new(Kind::Recycle, generation, Box::pin(work));
        Ok(Self { job: Some(job), room: Room::new(shared, Kind::Recycle) })
    }

    /// Goes on with an orphan.
    pub(super) fn adopt(shared: &Arc<Shared<T, E>>, job: Job<T, E>) -> Self {
        let room = Room::new(shared, job.kind);
        Self { job: Some(job), room }
    }

    /// Polls it in the caller's place.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Made<T, E>> {
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
                self.room.fill();
                Made::Resource(resource)
            }
            Ok(Output::Recycled(None)) => {
                self.room.reason = Reason::Recycle;
                Made::Nothing
            }
            Err(failure) if kind == Kind::Create && failure.is_panic() => {
                self.room.note_failure();
                Made::Panicked(failure)
            }
            Err(_) => Made::Nothing,
        })
    }

    fn created(&mut self, value: T, generation: u64) -> Made<T, E> {
        let resource = Resource::new(value, Clock::current().now(), generation);
        self.room.fill();
        Made::Resource(resource)
    }

    fn failed(&mut self, error: ResourceError<E>) -> Made<T, E> {
        self.room.note_failure();
        Made::Failed(error)
    }

    /// Lets it go on without its caller. It is dropped if the pool was closed, or its hub stops.
    pub(super) fn carry_on(mut self) {
        if self.room.shared.slots.is_closed() {
            return;
        }
        if let Some(hub) = Hub::try_current() {
            self.set_in_place(false);
            hub.spawn(self.finish());
        } else if let Some(job) = self.job.take_if(|job| !job.needs_hub) {
            self.room.leave_to(job);
        }
    }

    /// Polls it once, then lets it go on.
    pub(super) fn start(mut self) {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(made) => self.deliver(made),
            Poll::Pending => self.carry_on(),
        }
    }

    async fn finish(mut self) {
        let made = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.deliver(made);
    }

    /// Gives what has come of it to the first caller that waits.
    fn deliver(self, made: Made<T, E>) {
        let shared = Arc::clone(&self.room.shared);
        drop(self);
        match made {
            Made::Resource(resource) => shared.deliver(resource),
            Made::Failed(error) => {
                let given = shared.lock().line.give(Err(error));
                match given {
                    Ok(waker) => wake_all(waker),
                    Err(error) => drop_contained(error),
                }
            }
            // The panic hook has reported it.
            Made::Panicked(failure) => drop_contained(failure),
            Made::Nothing => {}
        }
    }

    fn set_in_place(&self, in_place: bool) {
        self.job.iter().for_each(|job| job.set_in_place(in_place));
    }
}

/// The panic of a `create`, where its caller waits.
pub(super) fn resume(failure: Failure) -> ! {
    let text = failure.to_string();
    let payload = match failure {
        Failure::Panicked(panic) => panic.into_payload(),
        Failure::Killed(_) | Failure::Aborted(_) => None,
    };
    resume_unwind(payload.unwrap_or_else(|| Box::new(text)))
}

impl<T: Send + 'static, E: Send + 'static> Drop for Making<T, E> {
    fn drop(&mut self) {
        // Before its room is free.
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

    /// Whether the greenlet around it polls it.
    fn set_in_place(&self, in_place: bool) {
        self.greenlet.iter().for_each(|greenlet| greenlet.handle().set_in_place(in_place));
    }
}

/// What is counted for a job. Dropping it counts it out.
struct Room<T: Send + 'static, E: Send + 'static> {
    shared: Arc<Shared<T, E>>,
    /// None once a resource is counted in its place, or an orphan.
    kind: Option<Kind>,
    /// Why a resource that was to be recycled is counted out.
    reason: Reason,
}

impl<T: Send + 'static, E: Send + 'static> Room<T, E> {
    fn new(shared: &Arc<Shared<T, E>>, kind: Kind) -> Self {
        Self { shared: Arc::clone(shared), kind: Some(kind), reason: Reason::Failure }
    }

    /// There is a resource in its place.
    fn fill(&mut self) {
        if self.kind.take() != Some(Kind::Create) {
            return;
        }
        let mut state = self.shared.lock();
        state.creating -= 1;
        state.lent += 1;
        state.figures.created += 1;
        // Those that wait for the end of a delay, or until fewer are created, may go on.
        let failed_before = std::mem::take(&mut state.failures).in_a_row > 0;
        let wakers =
            state.line.wake(failed_before || self.shared.settings.max_creating < usize::MAX);
        drop(state);
        wake_all(wakers);
    }

    /// `create` has failed: the next one is put off.
    fn note_failure(&self) {
        let mut state = self.shared.lock();
        state.failures.in_a_row = state.failures.in_a_row.saturating_add(1);
        state.figures.failed += 1;
        let failures = state.failures.in_a_row;
        drop(state);
        let delay = (self.shared.settings.backoff)(failures);
        let now = Clock::current().now();
        self.shared.lock().failures.delay_next(now, delay);
    }

    /// Leaves `job` at a stand, for the next caller to go on with. A closed pool drops it.
    fn leave_to(&mut self, job: Job<T, E>) {
        let mut state = self.shared.lock();
        if state.is_closed {
            drop(state);
            drop_contained(job);
            return;
        }
        self.kind = None;
        state.orphans.push(job);
        let wakers = state.line.wake(true);
        drop(state);
        wake_all(wakers);
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for Room<T, E> {
    fn drop(&mut self) {
        match self.kind {
            Some(Kind::Create) => self.shared.count_out(|state| state.creating -= 1),
            Some(Kind::Recycle) => self.shared.count_out_lent(self.reason),
            None => {}
        }
    }
}
