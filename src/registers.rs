//! Code compiled for the widest vector registers that the machine has.

/// A computation that the compiler can make faster with wide registers.
pub(crate) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, as must everything it calls.
    fn compute(self) -> Self::Output;
}

impl<R, F: FnOnce() -> R> Kernel for F {
    type Output = R;

    #[inline(always)]
    fn compute(self) -> R {
        self()
    }
}

/// Runs the kernel with the widest registers available; results are the same with any.
pub(crate) fn in_wide_registers<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(feature = "simd")]
    return pulp::Arch::new().dispatch(Dispatched(kernel));
    #[cfg(not(feature = "simd"))]
    kernel.compute()
}

/// Runs the kernel with registers of at most 256 bits; results are the same with any.
///
/// For unaligned memory that is read once: every load of 512 bits would touch two cache lines.
pub(crate) fn in_registers_of_256_bits<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(all(feature = "simd", target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(simd, Dispatched(kernel));
    }
    kernel.compute()
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
struct Dispatched<K>(K);

#[cfg(feature = "simd")]
impl<K: Kernel> pulp::NullaryFnOnce for Dispatched<K> {
    type Output = K::Output;

    #[inline(always)]
    fn call(self) -> K::Output {
        self.0.compute()
    }
}
