//! The JWS of this protocol: compact, a protected header of exactly `alg`, `typ`, `kid`, `Ed25519` (RFC 9864)
//! or `ES256` (low-s only). Everything else is refused. Specification: `docs/spec/binding.md`, "Signatures".

mod jws;
mod key;
#[cfg(test)]
mod vectors;

pub use jws::{JoseError, MAX_COMPACT_BYTES, Unverified, peek, sign, verify};
pub(crate) use jws::{decode_part, split};
pub use key::{Alg, KeyError, PublicKey, SecretKey};
