//! What follows from one look at the file. No time, no file: bytes in, a judgment out.

use countersign_model::{Digest, PolicyCheck as _};
use countersign_policy::Policy;

use crate::FileError;

/// What one look found.
#[derive(Debug)]
pub(crate) enum Look {
    /// What is in force, or what was refused already.
    Same,
    /// Something new, seen for the first time: it may be half written.
    Unsettled,
    /// A policy to take.
    New(Box<Policy>),
    /// Something new that is no policy. The one in force stays.
    Refused(FileError),
}

/// What the looks before this one found.
#[derive(Debug)]
pub(crate) struct Looks {
    in_force: Digest,
    /// Of what was refused last: nobody is told twice about the same. `None` inside: it could not be read.
    refused: Option<Option<Digest>>,
    /// Of what was new at the last look.
    unsettled: Option<Digest>,
}

/// Whether something new is taken at its first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settle {
    /// Somebody said that it is ready.
    Ready,
    /// A second look must find the same: an editor that writes in place shows half a file in between, and half a
    /// policy can be a valid one without its last forbids.
    SeenTwice,
}

impl Looks {
    pub(crate) fn new(in_force: Digest) -> Self {
        Self {
            in_force,
            refused: None,
            unsettled: None,
        }
    }

    /// Judges what was read.
    pub(crate) fn see(&mut self, read: Result<Vec<u8>, FileError>, settle: Settle) -> Look {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.unsettled = None;
                return self.refuse(None, error);
            }
        };
        let digest = Digest::of(&bytes);
        if digest == self.in_force {
            (self.refused, self.unsettled) = (None, None);
            return Look::Same;
        }
        if self.refused == Some(Some(digest)) {
            self.unsettled = None;
            return Look::Same;
        }
        if settle == Settle::SeenTwice && self.unsettled != Some(digest) {
            self.unsettled = Some(digest);
            return Look::Unsettled;
        }
        self.unsettled = None;
        match parse(bytes) {
            Ok(policy) => {
                self.in_force = policy.digest();
                self.refused = None;
                Look::New(Box::new(policy))
            }
            Err(error) => self.refuse(Some(digest), error),
        }
    }

    fn refuse(&mut self, digest: Option<Digest>, error: FileError) -> Look {
        if self.refused.replace(digest) == Some(digest) {
            return Look::Same;
        }
        Look::Refused(error)
    }
}

pub(crate) fn parse(bytes: Vec<u8>) -> Result<Policy, FileError> {
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText)?;
    Ok(Policy::load(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"@id("p") permit (principal, action == Action::"one", resource);"#;
    const TWO: &str = r#"@id("p") permit (principal, action == Action::"two", resource);"#;
    const BAD: &str = r#"@id("p") permit (principal, action == Action::"two", reso"#;

    fn read(text: &str) -> Result<Vec<u8>, FileError> {
        Ok(text.as_bytes().to_vec())
    }

    fn gone() -> Result<Vec<u8>, FileError> {
        Err(FileError::Unreadable("not found".to_owned()))
    }

    /// What looks, one after the other, find: a letter each.
    fn story(settle: Settle, looks: Vec<Result<Vec<u8>, FileError>>) -> String {
        let mut seen = Looks::new(Digest::of(ONE.as_bytes()));
        looks
            .into_iter()
            .map(|read| match seen.see(read, settle) {
                Look::Same => '=',
                Look::Unsettled => '?',
                Look::New(policy) => {
                    assert!(policy.knows("one") != policy.knows("two"));
                    if policy.knows("two") { '2' } else { '1' }
                }
                Look::Refused(_) => '!',
            })
            .collect()
    }

    #[test]
    fn something_new_is_taken_when_two_looks_found_the_same() {
        let twice = Settle::SeenTwice;
        assert_eq!(
            story(
                twice,
                vec![
                    read(ONE),
                    read(TWO),
                    read(TWO),
                    read(TWO),
                    read(ONE),
                    read(ONE)
                ]
            ),
            "=?2=?1"
        );
        // Half a file between, or one that goes on changing.
        assert_eq!(story(twice, vec![read(BAD), read(TWO), read(TWO)]), "??2");
        // Back again before it was taken; and what was there before the file went is a first sight again.
        assert_eq!(
            story(
                twice,
                vec![
                    read(TWO),
                    read(ONE),
                    read(TWO),
                    gone(),
                    read(TWO),
                    read(TWO)
                ]
            ),
            "?=?!?2"
        );
    }

    #[test]
    fn said_to_be_ready_it_is_taken_at_once() {
        assert_eq!(
            story(
                Settle::Ready,
                vec![read(TWO), read(ONE), read(BAD), read(TWO)]
            ),
            "21!2"
        );
    }

    #[test]
    fn a_bad_one_is_refused_once_and_changes_nothing() {
        assert_eq!(
            story(
                Settle::SeenTwice,
                vec![
                    read(BAD),
                    read(BAD),
                    read(BAD),
                    read(BAD),
                    read(ONE),
                    read(BAD),
                    read(BAD)
                ]
            ),
            "?!===?!"
        );
        assert_eq!(
            story(
                Settle::Ready,
                vec![gone(), gone(), read(ONE), gone(), read(BAD), gone()]
            ),
            "!==!!!"
        );
        let mut seen = Looks::new(Digest::of(ONE.as_bytes()));
        assert!(matches!(
            seen.see(Ok(vec![0xff]), Settle::Ready),
            Look::Refused(FileError::NotText)
        ));
    }
}
