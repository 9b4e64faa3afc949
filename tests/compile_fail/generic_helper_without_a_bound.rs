//! A helper that spawns the future it is given, without the required bound.
//!
//! - error[E0277]: `X` cannot run this future
//! - consider restricting type parameter `X` with trait `Runs`

use spinney::{Greenlet, Pool};

async fn start<X, F: Future>(pool: &Pool<X>, job: F) -> Greenlet<F::Output> {
    pool.spawn(job).await
}

fn main() {}
