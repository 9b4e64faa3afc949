//! The limits of pools, under a virtual clock.

/// [`Pool`](spinney_pool::Pool): its limits, each alone and all together.
mod limits {
    mod maps;
    mod members;
    mod model;
    mod rules;
    mod stress;
}
