//! [`Place`]: a closure's place in its pool, from the queue to its end.

use std::sync::Arc;

use crate::unfinished::Unfinished;

/// The place of a closure that was put to a pool.
pub(crate) struct Place {
    unfinished: Arc<Unfinished>,
    /// Whether it is one of those of which there are so many.
    counted: bool,
}

impl Place {
    pub(crate) fn new(unfinished: &Arc<Unfinished>, counted: bool) -> Self {
        Self { unfinished: Arc::clone(unfinished), counted }
    }
}

/// What a closure that is being ended holds: dropping it says that it has ended, and lets the next
/// one into its place, if it has one.
pub(crate) struct Taken<'a>(pub(crate) Option<&'a Place>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.unfinished.finish(place.counted);
        }
    }
}
