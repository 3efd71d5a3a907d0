//! The app's window.
fn main() {}
