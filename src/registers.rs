//! Code compiled for the vector registers that the machine turns out to have.

/// A computation that compilers make quicker for wide registers.
///
/// A closure is one, too, but what is in it may be compiled for all processors alike unless it is small.
pub(crate) trait Kernel {
    type Output;

    /// To be `#[inline(always)]`, as all that it calls.
    fn compute(self) -> Self::Output;
}

impl<R, F: FnOnce() -> R> Kernel for F {
    type Output = R;

    #[inline(always)]
    fn compute(self) -> R {
        self()
    }
}

/// Computes it with the widest registers there are; results are the same with any.
pub(crate) fn in_wide_registers<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(feature = "simd")]
    return pulp::Arch::new().dispatch(Dispatched(kernel));
    #[cfg(not(feature = "simd"))]
    kernel.compute()
}

/// Computes it with registers of 256 bits at most; results are the same with any.
///
/// For memory that is read once and isn't aligned: every load of 512 bits would need two cache lines.
pub(crate) fn in_registers_of_256_bits<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(all(feature = "simd", target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(simd, Dispatched(kernel));
    }
    kernel.compute()
}

/// Computes with a library whose kernels leave values in wide registers, and clears these.
///
/// While something is in the upper halves, an Intel processor changes state at every switch between
/// instructions for wide registers and older ones, which code for any processor is made of: a call of `cos`
/// in a program's own code, or in ours, took more than twenty times as long on an Intel Xeon (Emerald Rapids).
/// Without the feature `simd` they stay as they are.
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
