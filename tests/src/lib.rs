//! The world of real parts, the end-to-end tests, and the player of the demo.
