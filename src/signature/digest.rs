//! Digests, which show whether two tensors hold the same values, whatever types they are stored in.

use alloc::boxed::Box;

use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::scalar::ScalarSlice;
use crate::sketch::mix;

/// The number of values hashed at once: two registers' worth. Each value of the first register is multiplied
/// by one of the second.
const STRIPE: usize = 32;

/// The number of values in a block, each multiplied by its own key.
const BLOCK: usize = 1024;

/// One in this many blocks is also hashed after rounding.
const BLOCKS_A_SAMPLE: u64 = 16;

/// The keys of two hashes; the second uses the same keys, offset by one stripe.
const KEYS: [u32; BLOCK + STRIPE] = {
    let mut keys = [0; BLOCK + STRIPE];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = (mix((at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 32) as u32;
        at += 1;
    }
    keys
};

/// 128 bits that are equal for equal values, and differ otherwise except with probability of about 2⁻⁶⁴.
///
/// Positive and negative zero count as one value. The hash is NH (J. Black et al., "UMAC: Fast and Secure
/// Message Authentication", CRYPTO 1999) over blocks of 1024 values. Its keys are public, so it guards
/// against accidents only: an attacker can construct two tensors with the same digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Digest(pub(super) [u64; 2]);

impl Digest {
    /// The 128 bits as two words.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }
}

/// Digests of one block in sixteen: of the values as they are, and after rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SampleDigests {
    pub(crate) exact: u64,
    pub(crate) single: u64,
    pub(crate) bfloat: u64,
    pub(crate) half: u64,
}

/// Hashes values that are added in pieces.
#[derive(Clone, Debug)]
pub(super) struct Hasher {
    /// Values of a stripe that isn't full yet.
    pending: [f64; STRIPE],
    count: usize,
    /// The number of complete stripes.
    stripes: u64,
    block: Box<[BlockHash; 3]>,
    /// The digest of the values rounded to single precision.
    digest: [u64; 2],
    sample: [u64; 3],
    /// Hashes of the remainders after rounding to single precision, of all values and of the sample.
    rest: u64,
    rest_of_sample: u64,
}

/// The sums of products over a block, for both hashes.
#[derive(Clone, Copy, Debug, Default)]
struct BlockHash([[u64; STRIPE / 2]; 2]);

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            pending: [0.0; STRIPE],
            count: 0,
            stripes: 0,
            block: Box::new([BlockHash::default(); 3]),
            digest: [0; 2],
            sample: [0; 3],
            rest: 0,
            rest_of_sample: 0,
        }
    }

    /// Adds the next values.
    pub(super) fn extend<T: Scalar>(&mut self, mut values: &[T]) {
        if self.count > 0 {
            let room = (STRIPE - self.count).min(values.len());
            let (now, later) = values.split_at(room);
            self.fill(now);
            values = later;
            if self.count < STRIPE {
                return;
            }
            self.flush();
        }
        let (stripes, rest) = values.as_chunks::<STRIPE>();
        self.take(stripes.as_flattened());
        self.fill(rest);
    }

    fn fill<T: Scalar>(&mut self, values: &[T]) {
        for (pending, value) in self.pending[self.count..].iter_mut().zip(values) {
            *pending = value.widen();
        }
        self.count += values.len();
    }

    fn flush(&mut self) {
        let stripe = self.pending;
        self.take(&stripe);
        self.pending = [0.0; STRIPE];
        self.count = 0;
    }

    /// Adds whole stripes.
    fn take<T: Scalar>(&mut self, mut values: &[T]) {
        while !values.is_empty() {
            let place = (self.stripes % (BLOCK / STRIPE) as u64) as usize;
            let room = (BLOCK - place * STRIPE).min(values.len());
            let (now, later) = values.split_at(room);
            let block = self.stripes / (BLOCK / STRIPE) as u64;
            let sampled = block.is_multiple_of(BLOCKS_A_SAMPLE);
            match T::scalar_slice(now) {
                ScalarSlice::Single(now) => {
                    add_stripes(&mut self.block, now, place, sampled);
                }
                ScalarSlice::Double(now) => self.take_double(now, place, sampled),
            }
            self.stripes += (room / STRIPE) as u64;
            if place * STRIPE + room == BLOCK {
                self.end_block(block);
            }
            values = later;
        }
    }

    fn take_double(&mut self, values: &[f64], place: usize, sampled: bool) {
        let (stripes, _) = values.as_chunks::<STRIPE>();
        let start = self.stripes * STRIPE as u64;
        for (at, stripe) in stripes.iter().enumerate() {
            let singles = stripe.map(|value| value as f32);
            add_stripes(&mut self.block, &singles, place + at, sampled);
            for (lane, (&value, single)) in stripe.iter().zip(singles).enumerate() {
                // A value out of range for single precision is all remainder.
                let rest = if single.is_finite() {
                    value - f64::from(single)
                } else {
                    value
                };
                if rest != 0.0 {
                    let place = start + (at * STRIPE + lane) as u64;
                    let hashed = mix(rest.to_bits() ^ mix(place + 1));
                    self.rest = self.rest.wrapping_add(hashed);
                    if sampled {
                        self.rest_of_sample = self.rest_of_sample.wrapping_add(hashed);
                    }
                }
            }
        }
    }

    fn end_block(&mut self, number: u64) {
        let hash = |block: &BlockHash, which: usize| {
            let sum = block.0[which]
                .iter()
                .fold(0, |a: u64, b| a.wrapping_add(*b));
            mix(sum ^ mix(2 * number + which as u64 + 1))
        };
        let [exact, bfloat, half] = &*self.block;
        for (which, digest) in self.digest.iter_mut().enumerate() {
            *digest = digest.wrapping_add(hash(exact, which));
        }
        if number.is_multiple_of(BLOCKS_A_SAMPLE) {
            for (sum, block) in self.sample.iter_mut().zip([exact, bfloat, half]) {
                *sum = sum.wrapping_add(hash(block, 0));
            }
        }
        *self.block = [BlockHash::default(); 3];
    }

    /// The digests of all values, given their number.
    pub(super) fn finish(mut self, length: usize) -> (Digest, SampleDigests) {
        if self.count > 0 {
            self.flush();
        }
        let in_block = (BLOCK / STRIPE) as u64;
        if !self.stripes.is_multiple_of(in_block) {
            self.end_block(self.stripes / in_block);
        }
        let length = mix(length as u64);
        let [first, second] = self.digest.map(|word| mix(word ^ length));
        let [single, bfloat, half] = self.sample;
        let exact = single.wrapping_add(self.rest_of_sample);
        let samples = SampleDigests::from_words([exact, single, bfloat, half]);
        let digest = [first.wrapping_add(self.rest), second ^ self.rest];
        (Digest(digest), samples)
    }
}

impl SampleDigests {
    pub(super) const fn from_words([exact, single, bfloat, half]: [u64; 4]) -> Self {
        Self {
            exact,
            single,
            bfloat,
            half,
        }
    }
}

/// Adds whole stripes of one block; the first is at the given place in it.
fn add_stripes(block: &mut [BlockHash; 3], values: &[f32], place: usize, sampled: bool) {
    let [exact, bfloat, half] = block;
    let (stripes, _) = values.as_chunks::<STRIPE>();
    // Adding zero makes both zeros equal.
    let bits = |value: f32| (value + 0.0).to_bits();
    in_wide_registers(
        #[inline(always)]
        move || {
            exact.add(stripes, place, bits);
            if sampled {
                bfloat.add(stripes, place, |value| bits(rounded_to_bfloat(value)));
                half.add(stripes, place, |value| bits(rounded_to_half(value)));
            }
        },
    );
}

impl BlockHash {
    #[inline(always)]
    fn add(&mut self, stripes: &[[f32; STRIPE]], place: usize, bits: impl Fn(f32) -> u32) {
        let [mut first, mut second] = self.0;
        let keys = KEYS.as_chunks::<STRIPE>().0;
        for (stripe, keys) in stripes.iter().zip(keys[place..].windows(2)) {
            let (front, back) = stripe.split_at(STRIPE / 2);
            for lane in 0..STRIPE / 2 {
                let (front, back) = (bits(front[lane]), bits(back[lane]));
                let product = |keys: &[u32; STRIPE]| {
                    let front = front.wrapping_add(keys[lane]);
                    let back = back.wrapping_add(keys[lane + STRIPE / 2]);
                    u64::from(front) * u64::from(back)
                };
                first[lane] = first[lane].wrapping_add(product(&keys[0]));
                second[lane] = second[lane].wrapping_add(product(&keys[1]));
            }
        }
        self.0 = [first, second];
    }
}

/// Rounds to the nearest bfloat16, ties to even.
#[inline(always)]
pub(super) fn rounded_to_bfloat(value: f32) -> f32 {
    let bits = value.to_bits();
    let round = 0x7FFF + (bits >> 16 & 1);
    f32::from_bits(bits.wrapping_add(round) & 0xFFFF_0000)
}

/// Rounds to the nearest half-precision value, ties to even; values that are too large stay unchanged.
#[inline(always)]
pub(super) fn rounded_to_half(value: f32) -> f32 {
    // Adding and subtracting a number whose last bit has the value of the result's last bit rounds to it.
    let magnitude = value.abs();
    let exponent = (magnitude.to_bits() >> 23).clamp(127 - 14, 127 + 16);
    // 2^(exponent - 10 + 23) has its last bit where half precision has it.
    let round = f32::from_bits((exponent + 13) << 23);
    let rounded = (magnitude + round - round).copysign(value);
    if magnitude >= 65_520.0 {
        value
    } else {
        rounded
    }
}
