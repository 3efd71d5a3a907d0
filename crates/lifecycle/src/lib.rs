//! The approval as a state machine.
