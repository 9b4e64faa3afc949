//! [`GreenletExit`]: what a kill delivers.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use spinney_hub::contain;

use crate::current;

/// The kill of a greenlet, with the reason for it if there is one. `gevent.GreenletExit`.
///
/// A cheap handle.
///
/// ```
/// use spinney_greenlet::GreenletExit;
///
/// assert_eq!(GreenletExit::new().to_string(), "killed");
/// assert_eq!(GreenletExit::because("too late").to_string(), "killed: too late");
/// ```
#[derive(Clone, Default)]
pub struct GreenletExit {
    /// Behind two pointers, so that a kill is one: every greenlet has room for one.
    reason: Option<Arc<Reason>>,
}

/// None while it is being dropped.
struct Reason(Option<Box<dyn Error + Send + Sync>>);

/// It may panic when it is dropped, which may be anywhere. The panic hook reports it.
impl Drop for Reason {
    fn drop(&mut self) {
        let reason = self.0.take();
        contain(|| drop(reason));
    }
}

impl GreenletExit {
    /// A kill for no stated reason.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A kill for `reason`: any error, or a text.
    pub fn because(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { reason: Some(Arc::new(Reason(Some(reason.into())))) }
    }

    /// Why, if that was said.
    pub fn reason(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.reason.as_ref()?.0.as_deref().map(|reason| reason as _)
    }

    /// Lets the current greenlet end as killed, after [`catch_exit`](crate::catch_exit) and what
    /// there was to clean up. Python's bare `raise`. The next `catch_exit` around it sees it first,
    /// though others may catch beside it; what is shielded there still comes to its end.
    ///
    /// # Panics
    ///
    /// Outside of any greenlet, and in a [`shield`](crate::shield), where it would wait for ever.
    ///
    /// # Cancel safety
    ///
    /// The first poll sends the kill; to drop it after that changes nothing.
    ///
    /// ```
    /// use spinney_greenlet::{catch_exit, spawn};
    ///
    /// spinney_hub::LocalHub::new().block_on(async {
    ///     let tidy = spawn(async {
    ///         match catch_exit(std::future::pending()).await {
    ///             Ok(()) => "done",
    ///             Err(exit) => {
    ///                 spinney_hub::yield_now().await; // Clean up.
    ///                 exit.resume().await
    ///             }
    ///         }
    ///     });
    ///     spinney_hub::yield_now().await;
    ///     tidy.kill().await;
    ///     assert!(tidy.await.unwrap_err().is_killed());
    /// });
    /// ```
    pub async fn resume<T>(self) -> T {
        let greenlet = current::control().expect("only a greenlet can end as killed");
        assert!(greenlet.resume(self), "a kill is not seen in a shield: resume it outside");
        drop(greenlet);
        std::future::pending().await
    }
}

impl fmt::Debug for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenletExit").field("reason", &self.reason()).finish()
    }
}

impl fmt::Display for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "killed: {reason}"),
            None => f.write_str("killed"),
        }
    }
}

impl Error for GreenletExit {}
