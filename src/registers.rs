//! Code compiled for the widest vector registers that the machine has.

/// Runs a computation with the widest registers available; results are the same with any.
///
/// The closure must be `#[inline(always)]`, as must everything it calls.
pub(crate) fn in_wide_registers<R>(compute: impl FnOnce() -> R) -> R {
    #[cfg(feature = "simd")]
    return pulp::Arch::new().dispatch(Dispatched(compute));
    #[cfg(not(feature = "simd"))]
    compute()
}

/// Like [`in_wide_registers`], with registers of at most 256 bits.
///
/// For unaligned memory that is read once: every load of 512 bits would touch two cache lines.
pub(crate) fn in_registers_of_256_bits<R>(compute: impl FnOnce() -> R) -> R {
    #[cfg(all(feature = "simd", target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(simd, Dispatched(compute));
    }
    compute()
}

/// Runs a library computation that leaves values in wide registers, and clears these afterwards.
///
/// While the upper halves hold values, an Intel processor pays for every switch between wide-register
/// instructions and older ones, which portable code consists of. A call of `cos`, in a program's own code or
/// in ours, took more than twenty times as long on an Intel Xeon (Emerald Rapids). Without the feature `simd`
/// the registers aren't cleared.
#[cfg(feature = "svd")]
pub(crate) fn clearing_wide_registers<R>(compute: impl FnOnce() -> R) -> R {
    let result = compute();
    #[cfg(all(feature = "simd", target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        simd.avx._mm256_zeroupper();
    }
    result
}

#[cfg(feature = "simd")]
struct Dispatched<F>(F);

#[cfg(feature = "simd")]
impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Dispatched<F> {
    type Output = R;

    #[inline(always)]
    fn call(self) -> R {
        self.0()
    }
}
