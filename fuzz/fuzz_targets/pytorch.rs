#![no_main]

#[path = "../../tests/integration/fuzzed/pytorch.rs"]
mod pytorch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pytorch::check(bytes));
