//! [`GreenletExit`]: what a kill delivers.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

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
#[derive(Clone, Debug, Default)]
pub struct GreenletExit {
    reason: Option<Arc<dyn Error + Send + Sync>>,
}

impl GreenletExit {
    /// A kill for no stated reason.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A kill for `reason`: any error, or a text.
    pub fn because(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { reason: Some(reason.into().into()) }
    }

    /// Why, if that was said.
    pub fn reason(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.reason.as_deref()
    }
}

impl fmt::Display for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "killed: {reason}"),
            None => f.write_str("killed"),
        }
    }
}

impl Error for GreenletExit {}
