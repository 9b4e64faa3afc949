//! Maps: one function over many items, on the threads of a pool.
//!
//! An item must not cost a closure. A map stands in the pool's queue once for each thread that it
//! may use, and a thread whose turn that is takes one item after the other from the shared input:
//! for as long as nobody else waits for the thread, and the results are read. If somebody does,
//! the map goes to the end of the queue after an item.

mod imap;
mod job;
mod mapper;
mod results;

pub use imap::{ThreadImap, ThreadMap};
pub use mapper::ThreadMapper;

use crate::ThreadPool;

impl ThreadPool {
    /// Runs `func` on each of `items`, on as many threads as there are, and gives the results in
    /// their order. `map`.
    ///
    /// It starts at the call. Of several failures the one of the first item in order is the one
    /// reported; the others run on, in the background.
    ///
    /// Items are taken as threads become free, by those threads, one at a time. One that panics
    /// ends the map with that panic. A `func` that panics fails its item. If the pool is killed
    /// before the end of `items`, that is the failure.
    ///
    /// For one computation that splits into many small ones, rayon's `par_iter` costs less an item.
    ///
    /// # Errors
    ///
    /// When awaited, the [`Failure`](spinney_greenlet::Failure) of that item, of `items`, or of the
    /// pool.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no further items; those that are running run to their end.
    ///
    /// ```
    /// use spinney_threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2)?;
    /// let cubes = spinney_hub::block_on(pool.map(|n: u64| n.pow(3), 0..1000));
    /// assert_eq!(cubes.unwrap()[999], 999 * 999 * 999);
    /// # Ok::<(), spinney_threadpool::NoThreads>(())
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, func: F, items: I) -> ThreadMap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().map(func, items)
    }

    /// As [`map`](Self::map), as a stream in the order of `items`. `imap`.
    ///
    /// Work goes on while nobody reads, up to a [bound](ThreadMapper::maxsize); so `items` may be
    /// endless. A failed item comes out in its place, and the stream goes on. A pool that is
    /// killed before the end of `items` is the last failure of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items; those that are running run to their end.
    #[track_caller]
    pub fn imap<I, F, T>(&self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().imap(func, items)
    }

    /// As [`imap`](Self::imap), in the order of completion. `imap_unordered`.
    ///
    /// # Cancel safety
    ///
    /// As [`imap`](Self::imap).
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().imap_unordered(func, items)
    }

    /// The settings of one map, to be changed before it starts.
    pub fn mapper(&self) -> ThreadMapper {
        ThreadMapper::new(self.clone())
    }
}
