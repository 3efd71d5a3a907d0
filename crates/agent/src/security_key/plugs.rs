//! Where security keys are plugged in: on Linux the kernel's hidraw devices, found by what they say about themselves.
//! No library of the system is needed, and no rights but those that the desktop's user has on such keys (systemd gives
//! them since version 252).

use std::io;
use std::time::Duration;

use super::hid::Wire;

/// A key that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plug {
    /// Where, in the system's own words.
    pub place: String,
    /// What it calls itself.
    pub name: String,
}

/// The places for keys.
pub trait Plugs: Send + Sync {
    /// All keys that are plugged in.
    fn list(&self) -> Vec<Plug>;

    /// Opens the way to one.
    ///
    /// # Errors
    /// As the system has it: it is gone, or this user may not.
    fn open(&self, plug: &Plug) -> io::Result<Box<dyn Wire>>;

    /// Waits until it may be worth to look again.
    fn wait(&self);
}

/// How long a look for another key is put off.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Whether a device with this report descriptor is a FIDO key: usage 1 of usage page 0xF1D0 (CTAP 2.1, section 11.2.8.1).
fn is_fido(descriptor: &[u8]) -> bool {
    const USAGE_PAGE: u8 = 0x04;
    const USAGE: u8 = 0x08;
    const COLLECTION: u8 = 0xa0;
    let (mut rest, mut page, mut usage) = (descriptor, 0, 0);
    while let Some((head, after)) = rest.split_first() {
        let size = match head & 3 {
            3 => 4,
            size => usize::from(size),
        };
        // Long items are not used by anybody (HID 1.11, section 6.2.2.3).
        if *head == 0xfe || after.len() < size {
            return false;
        }
        let (data, next) = after.split_at(size);
        let value = data
            .iter()
            .rev()
            .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
        match head & 0xfc {
            USAGE_PAGE => page = value,
            USAGE => usage = value,
            // The first collection is what the device is.
            COLLECTION => return page == 0xf1d0 && usage == 1,
            _ => {}
        }
        rest = next;
    }
    false
}

#[cfg(target_os = "linux")]
pub use linux::Hidraw;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Read as _, Write as _};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::{LOOK_AGAIN, Plug, Plugs, is_fido};
    use crate::security_key::hid::{REPORT_BYTES, Report, Wire};

    /// The kernel's raw HID devices.
    pub struct Hidraw {
        /// `/sys/class/hidraw`.
        known: PathBuf,
        /// `/dev`.
        devices: PathBuf,
    }

    impl Hidraw {
        /// Of this system.
        #[must_use]
        pub fn of_system() -> Self {
            Self::at(Path::new("/sys/class/hidraw"), Path::new("/dev"))
        }

        /// Of these folders.
        #[must_use]
        pub fn at(known: &Path, devices: &Path) -> Self {
            Self {
                known: known.to_owned(),
                devices: devices.to_owned(),
            }
        }
    }

    impl Plugs for Hidraw {
        fn list(&self) -> Vec<Plug> {
            let Ok(entries) = std::fs::read_dir(&self.known) else {
                return Vec::new();
            };
            let mut found: Vec<Plug> = entries
                .flatten()
                .filter_map(|entry| {
                    let device = entry.path().join("device");
                    let descriptor = std::fs::read(device.join("report_descriptor")).ok()?;
                    let place = entry.file_name().into_string().ok()?;
                    is_fido(&descriptor).then(|| Plug {
                        name: name(&device).unwrap_or_else(|| "Security key".to_owned()),
                        place,
                    })
                })
                .collect();
            found.sort_by(|one, other| one.place.cmp(&other.place));
            found
        }

        fn open(&self, plug: &Plug) -> io::Result<Box<dyn Wire>> {
            let path = self.devices.join(&plug.place);
            let device = OpenOptions::new().read(true).write(true).open(path)?;
            Ok(Box::new(Device(device)))
        }

        fn wait(&self) {
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// What the device calls itself, in one line.
    fn name(device: &Path) -> Option<String> {
        let about = std::fs::read_to_string(device.join("uevent")).ok()?;
        let name = about
            .lines()
            .find_map(|line| line.strip_prefix("HID_NAME="))?;
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    struct Device(File);

    impl Wire for Device {
        fn send(&mut self, report: &Report) -> io::Result<()> {
            // The first byte is the report's number: these devices have one report only, number 0.
            let mut numbered = [0; REPORT_BYTES + 1];
            numbered[1..].copy_from_slice(report);
            self.0.write_all(&numbered)
        }

        fn receive(&mut self, within: Duration) -> io::Result<Option<Report>> {
            let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
            let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
            if poll(&mut ready, Some(&timeout))? == 0 {
                return Ok(None);
            }
            let mut report = [0; REPORT_BYTES];
            // A device that was taken out is "ready" too; reading then fails.
            match self.0.read(&mut report)? {
                REPORT_BYTES => Ok(Some(report)),
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(None),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_fido_keys_are_found_among_the_devices() {
            let folder = tempfile::tempdir().unwrap();
            let known = folder.path().join("hidraw");
            let key: &[u8] = &[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0xc0];
            let keyboard: &[u8] = &[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0];
            for (place, descriptor, about) in [
                ("hidraw0", keyboard, "HID_NAME=A keyboard\n"),
                (
                    "hidraw3",
                    key,
                    "DRIVER=hid-generic\nHID_NAME=Yubico YubiKey\n",
                ),
                ("hidraw2", key, ""),
                ("hidraw4", &key[..4], ""),
            ] {
                let device = known.join(place).join("device");
                std::fs::create_dir_all(&device).unwrap();
                std::fs::write(device.join("report_descriptor"), descriptor).unwrap();
                std::fs::write(device.join("uevent"), about).unwrap();
            }
            let plugs = Hidraw::at(&known, folder.path()).list();
            let found: Vec<(&str, &str)> = plugs
                .iter()
                .map(|plug| (plug.place.as_str(), plug.name.as_str()))
                .collect();
            assert_eq!(
                found,
                [("hidraw2", "Security key"), ("hidraw3", "Yubico YubiKey")]
            );
            let nowhere = Hidraw::at(&known.join("none"), folder.path());
            assert!(nowhere.list().is_empty());
            assert!(nowhere.open(&plugs[0]).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_fido;

    #[test]
    fn a_descriptor_that_is_cut_off_or_strange_is_no_key() {
        for descriptor in [
            &[][..],
            &[0x06],
            &[0x06, 0xd0],
            &[0x06, 0xd0, 0xf1, 0xa1, 0x01],
            &[0x06, 0xd0, 0xf1, 0x09, 0x02, 0xa1, 0x01],
            &[0xfe, 0x01, 0x00, 0x06, 0xd0, 0xf1],
            // A keyboard that has a part of its own which calls itself so.
            &[
                0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01,
            ],
        ] {
            assert!(!is_fido(descriptor), "{descriptor:?}");
        }
        assert!(is_fido(&[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01]));
    }
}
