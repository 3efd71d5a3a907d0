//! The enforcement point: ask, wait, verify, redeem, hold a Permit.
