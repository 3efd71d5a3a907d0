//! Typed HTTP and stream client with DPoP and reconnect.
