//! Reverse proxy that holds the calls which need an approval.
