#![no_main]

#[path = "../../tests/integration/fuzzed/linkage.rs"]
mod linkage;
#[path = "../../tests/integration/fuzzed/bytes.rs"]
mod bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| linkage::check(bytes));
