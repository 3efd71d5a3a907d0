//! Reads what is on the screen.
