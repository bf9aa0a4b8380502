#![no_main]

#[path = "../../tests/integration/fuzzed/arborescence.rs"]
mod arborescence;
#[path = "../../tests/integration/fuzzed/bytes.rs"]
mod bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| arborescence::check(bytes));
