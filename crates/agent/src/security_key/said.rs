//! What went wrong at a security key, in sentences that say what to do.

use std::io;

use countersign_approver::SecurityKeyError;

use super::ctap::{KeyError, Status};
use super::hid::HidError;

/// In words for the person.
pub(super) fn said(error: &KeyError) -> SecurityKeyError {
    SecurityKeyError(sentence(error).to_owned())
}

fn sentence(error: &KeyError) -> &'static str {
    match error {
        KeyError::Hid(error) => of_hid(error),
        KeyError::Status(status) => of_status(*status),
        KeyError::Answer(_) => {
            "The security key answers in a way that is not understood. Try another one, or tell whoever gave it to you."
        }
        KeyError::GaveUp => "The security key was not asked any further.",
    }
}

fn of_hid(error: &HidError) -> &'static str {
    match error {
        HidError::Gone(error) if error.kind() == io::ErrorKind::PermissionDenied => NOT_ALLOWED,
        HidError::Gone(_) => "The security key was taken out. Put it in again, then try again.",
        HidError::Silent => {
            "The security key does not answer. Take it out, put it in again, then try again."
        }
        HidError::Taken => {
            "Another program uses the security key just now. End that first, then try again."
        }
        HidError::TooOld => {
            "This security key is too old: it cannot check who holds it. Use one for FIDO2."
        }
        HidError::Broken(_) | HidError::Refused(_) => {
            "The security key does not work as it must. Take it out, put it in again, and try again; or use another one."
        }
        HidError::GaveUp => "The security key was not asked any further.",
    }
}

fn of_status(status: Status) -> &'static str {
    match status {
        Status::CredentialExcluded => BOUND_ALREADY,
        Status::NoCredentials => OTHER_KEY,
        Status::UnsupportedAlgorithm => {
            "This security key makes no keys of a kind that is taken here. Use another one."
        }
        Status::OperationDenied => "It was declined at the security key. Try again when ready.",
        Status::KeyStoreFull => {
            "The security key is full. Remove a credential from it with its maker's program, then try again."
        }
        Status::ActionTimeout | Status::Cancelled => {
            "Nobody touched the security key in time. Try again."
        }
        Status::PinInvalid => "That was not the security key's PIN. Try again.",
        Status::PinBlocked => {
            "The security key has locked itself after too many wrong PINs. It can only be reset, with its maker's program; then bind it anew."
        }
        Status::PinAuthBlocked => {
            "Too many wrong PINs in a row. Take the security key out, put it in again, then try again."
        }
        Status::PinNotSet => NO_PIN,
        Status::PinPolicy => {
            "The security key wants another PIN first. Change it with its maker's program, then try again."
        }
        Status::UvBlocked | Status::UvInvalid => {
            "The security key did not know the fingerprint, and has no PIN to use instead. Try again."
        }
        Status::PinAuthInvalid | Status::PinRequired | Status::Other(_) => {
            "The security key refused. Take it out, put it in again, and try again; or use another one."
        }
    }
}

/// The key does not check who holds it.
pub(super) const NO_PIN: &str = "This security key does not check who holds it. Set a PIN or teach it your fingerprint with its maker's program, then try again.";
/// The exclude list has it.
pub(super) const BOUND_ALREADY: &str = "This security key is bound to this account already.";
/// It has none of the credentials.
pub(super) const OTHER_KEY: &str = "This is not a security key that is bound to this account. Use the one that you added, or add this one in the settings.";
/// The system does not let us.
const NOT_ALLOWED: &str = "This system does not let your programs use the security key. Whoever runs this computer adds the rule for it (udev, `uaccess`); then put the key in again.";
/// Two at once.
pub(super) const ONE_AT_A_TIME: &str =
    "The security key is asked for something else just now. End that first, then try again.";
/// None came.
pub(super) const NONE_CAME: &str = "No security key was put in. Try again when you have it.";
