//! The app's resident process.
fn main() {}
