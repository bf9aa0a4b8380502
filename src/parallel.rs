//! Applies a function to many items: on all threads with the feature `rayon`, otherwise on the current one.

use alloc::vec::Vec;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// The results of `f`, in the order of the items.
pub(crate) fn map<A: Send, R: Send>(
    items: impl IntoIterator<Item = A>,
    f: impl Fn(A) -> R + Sync + Send,
) -> Vec<R> {
    map_with_memory(items, |(): &mut (), item| f(item))
}

/// The results of `f`, which is lent memory that it finds again as it or another call left it.
pub(crate) fn map_with_memory<M: Default, A: Send, R: Send>(
    items: impl IntoIterator<Item = A>,
    f: impl Fn(&mut M, A) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    {
        let items: Vec<A> = items.into_iter().collect();
        items.into_par_iter().map_init(M::default, f).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        let mut memory = M::default();
        items.into_iter().map(|item| f(&mut memory, item)).collect()
    }
}
