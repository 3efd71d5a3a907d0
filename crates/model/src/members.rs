//! Reading an object with exactly the members that its specification lists.
//!
//! Every getter takes the member out; [`Members::finish`] refuses whatever is left. So a member that this
//! version does not know can never be ignored.

use serde_json::{Map, Value};

use crate::{Digest, Issuer, PepId, ServerId, Subject, Txn, UnixSecs};

/// Why an object is not what its specification says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The value is not an object.
    #[error("it is not an object")]
    NotObject,
    /// A member is missing.
    #[error("the member `{0}` is missing")]
    Missing(&'static str),
    /// A member is there that does not belong.
    #[error("the member `{0}` does not belong here")]
    Unknown(String),
    /// A member has the wrong type or value.
    #[error("the member `{name}` is not {expected}")]
    Wrong {
        /// Which.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl MemberError {
    /// A member of the wrong type or value.
    pub fn wrong(name: &'static str, expected: &'static str) -> Self {
        Self::Wrong { name, expected }
    }
}

/// The elements of an array member.
pub type Elements = Vec<Value>;

/// The members that are still to be read.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Of a value that must be an object.
    pub fn of(value: &Value) -> Result<Self, MemberError> {
        value
            .as_object()
            .cloned()
            .map(Self)
            .ok_or(MemberError::NotObject)
    }

    /// Any value.
    pub fn value(&mut self, name: &'static str) -> Result<Value, MemberError> {
        self.0.remove(name).ok_or(MemberError::Missing(name))
    }

    /// Any value, or absent.
    pub fn opt_value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A string.
    pub fn str(&mut self, name: &'static str) -> Result<String, MemberError> {
        let Value::String(text) = self.value(name)? else {
            return Err(MemberError::wrong(name, "a string"));
        };
        Ok(text)
    }

    /// A string, or absent. `null` is not absent.
    pub fn opt_str(&mut self, name: &'static str) -> Result<Option<String>, MemberError> {
        if self.0.contains_key(name) {
            self.str(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A string of 1 to `max_bytes` bytes.
    pub fn bounded(&mut self, name: &'static str, max_bytes: usize) -> Result<String, MemberError> {
        let text = self.str(name)?;
        if text.is_empty() || text.len() > max_bytes {
            return Err(MemberError::wrong(name, "a string of the allowed length"));
        }
        Ok(text)
    }

    /// A string of 1 to `max_bytes` bytes, or absent.
    pub fn opt_bounded(
        &mut self,
        name: &'static str,
        max_bytes: usize,
    ) -> Result<Option<String>, MemberError> {
        if self.0.contains_key(name) {
            self.bounded(name, max_bytes).map(Some)
        } else {
            Ok(None)
        }
    }

    /// An integer.
    pub fn i64(&mut self, name: &'static str) -> Result<i64, MemberError> {
        self.value(name)?
            .as_i64()
            .ok_or(MemberError::wrong(name, "an integer"))
    }

    /// An integer from 0 to 2^32 − 1.
    pub fn u32(&mut self, name: &'static str) -> Result<u32, MemberError> {
        u32::try_from(self.i64(name)?)
            .map_err(|_| MemberError::wrong(name, "a number from 0 to 4294967295"))
    }

    /// An integer from 0 to 2^32 − 1, or absent.
    pub fn opt_u32(&mut self, name: &'static str) -> Result<Option<u32>, MemberError> {
        if self.0.contains_key(name) {
            self.u32(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A time, in Unix seconds. Not negative.
    pub fn time(&mut self, name: &'static str) -> Result<UnixSecs, MemberError> {
        match self.i64(name)? {
            secs if secs >= 0 => Ok(UnixSecs(secs)),
            _ => Err(MemberError::wrong(name, "a time")),
        }
    }

    /// A digest.
    pub fn digest(&mut self, name: &'static str) -> Result<Digest, MemberError> {
        Digest::parse(&self.str(name)?)
            .map_err(|_| MemberError::wrong(name, "a SHA-256 digest in base64url"))
    }

    /// A digest, or absent.
    pub fn opt_digest(&mut self, name: &'static str) -> Result<Option<Digest>, MemberError> {
        if self.0.contains_key(name) {
            self.digest(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A server id.
    pub fn server(&mut self, name: &'static str) -> Result<ServerId, MemberError> {
        ServerId::parse(&self.str(name)?).map_err(|_| MemberError::wrong(name, "a server id"))
    }

    /// A PEP's id.
    pub fn pep(&mut self, name: &'static str) -> Result<PepId, MemberError> {
        PepId::parse(&self.str(name)?).map_err(|_| MemberError::wrong(name, "a gate id"))
    }

    /// A request's id.
    pub fn txn(&mut self, name: &'static str) -> Result<Txn, MemberError> {
        Txn::parse(&self.str(name)?).map_err(|_| MemberError::wrong(name, "a request id"))
    }

    /// An issuer.
    pub fn issuer(&mut self, name: &'static str) -> Result<Issuer, MemberError> {
        Issuer::parse(&self.str(name)?).map_err(|_| MemberError::wrong(name, "an issuer"))
    }

    /// A subject in the form `{"format":"iss_sub","iss","sub"}` (RFC 9493, section 3.2.4).
    pub fn sub_id(&mut self, name: &'static str) -> Result<Subject, MemberError> {
        let mut inner = self.object(name)?;
        inner.fixed("format", "iss_sub")?;
        let iss = inner.issuer("iss")?;
        let sub = inner.str("sub")?;
        inner.finish()?;
        Subject::new(iss, &sub)
            .map_err(|_| MemberError::wrong(name, "a subject identifier (iss_sub)"))
    }

    /// An object, to be read the same way.
    pub fn object(&mut self, name: &'static str) -> Result<Self, MemberError> {
        let Value::Object(members) = self.value(name)? else {
            return Err(MemberError::wrong(name, "an object"));
        };
        Ok(Self(members))
    }

    /// An array.
    pub fn array(&mut self, name: &'static str) -> Result<Elements, MemberError> {
        let Value::Array(items) = self.value(name)? else {
            return Err(MemberError::wrong(name, "an array"));
        };
        Ok(items)
    }

    /// A string that can only be this one.
    pub fn fixed(&mut self, name: &'static str, only: &'static str) -> Result<(), MemberError> {
        if self.str(name)? == only {
            Ok(())
        } else {
            Err(MemberError::wrong(name, only))
        }
    }

    /// Refuses whatever was not read.
    pub fn finish(self) -> Result<(), MemberError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(MemberError::Unknown(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unread_members_are_refused_by_name() {
        let mut members = Members::of(&json!({"a": "x", "b": 1})).unwrap();
        assert_eq!(members.str("a").unwrap(), "x");
        assert_eq!(members.finish(), Err(MemberError::Unknown("b".into())));
    }

    #[test]
    fn null_is_not_absent_and_types_are_exact() {
        let mut members = Members::of(&json!({"a": null, "b": 1.0, "c": -1, "d": "1"})).unwrap();
        assert!(members.opt_str("a").is_err());
        assert!(members.i64("b").is_err());
        assert!(members.u32("c").is_err());
        assert!(members.i64("d").is_err());
        assert_eq!(members.str("e"), Err(MemberError::Missing("e")));
    }
}
