//! Store trait and SQLite; one conformance suite.
