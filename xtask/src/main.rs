//! demo, test, codegen, tidy, bench.
fn main() {}
