//! [`SmolHub`]: the executor behind `smol::spawn`.

use crate::scope::{Enter, Scoped};
use crate::{BoxTask, Context, Executor, Hub, Spawn};

/// The process-wide executor of the crate smol, for programs that already use it. Needs the feature
/// `smol`.
///
/// A marker without data. The executor never stops; `SMOL_THREADS` sets its number of threads.
/// Dropping the marker is a no-op.
///
/// ```
/// # mod spinney { pub use spinney_hub::Spawn; pub mod hub { pub use spinney_hub::SmolHub; } }
/// use spinney::Spawn;
/// use spinney::hub::SmolHub;
///
/// smol::block_on(async {
///     let (done, ended) = async_channel::bounded(1);
///     SmolHub.spawn(async move { done.send("ran").await.unwrap() });
///     assert_eq!(ended.recv().await, Ok("ran"));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SmolHub;

impl SmolHub {
    /// Makes this hub the current one at each poll of `future`: for the main future, which smol
    /// runs outside any context.
    pub fn scope<F: Future>(self, future: F) -> Scoped<F, Self> {
        Scoped::new(future, self)
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for SmolHub {
    fn spawn(&self, future: F) {
        smol::spawn(self.scope(future)).detach();
    }
}

impl Executor for SmolHub {
    type AnyTask = BoxTask;

    fn is_current(&self) -> bool {
        Hub::from(*self).is_innermost()
    }
}

impl Enter for SmolHub {
    fn context(&self) -> Context {
        Context::blocking(Hub::from(*self))
    }
}
