#![no_main]

#[path = "../../tests/integration/fuzzed/npz.rs"]
mod npz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| npz::check(bytes));
