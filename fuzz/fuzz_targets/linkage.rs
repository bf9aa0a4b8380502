#![no_main]

#[path = "../../tests/integration/fuzzed/bytes.rs"]
mod bytes;
#[path = "../../tests/integration/fuzzed/linkage.rs"]
mod linkage;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| linkage::check(bytes));
