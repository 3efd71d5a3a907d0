//! One binary: serve, gate, token, wait, verify, approve.
fn main() {}
