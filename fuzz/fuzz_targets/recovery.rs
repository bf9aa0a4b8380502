#![no_main]

#[path = "../../tests/integration/fuzzed/bytes.rs"]
mod bytes;
#[path = "../../tests/integration/fuzzed/recovery.rs"]
mod recovery;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| recovery::check(bytes));
