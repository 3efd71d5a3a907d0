//! Votes, bindings, grants: make and verify; the one verification.
