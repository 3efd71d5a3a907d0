//! Opening the system browser, and what a person on a terminal is told meanwhile.

use std::process::{Command, Stdio};

use countersign_oidc::{Opener, Progress};
use url::Url;

/// Opens the system browser by `xdg-open` (`open` on macOS).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Browser {
    /// Open it.
    Open,
    /// Only print the address.
    PrintOnly,
}

impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        match self {
            Self::PrintOnly => return Err("you asked for the address only".to_owned()),
            Self::Open => {}
        }
        let program = if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        let started = Command::new(program)
            .arg(url.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(mut child) => {
                // Waited for elsewhere, so that no dead process stays; it may be the browser itself.
                std::thread::spawn(move || child.wait());
                Ok(())
            }
            Err(error) => Err(format!("`{program}` cannot be started ({error})")),
        }
    }
}

/// Says on stderr what happens while the browser has its turn.
pub(crate) fn tell(progress: Progress) {
    match progress {
        Progress::Waiting {
            url,
            browser: Ok(()),
        } => {
            eprintln!("Sign in with your browser. If none has opened, go to:\n  {url}");
        }
        Progress::Waiting {
            url,
            browser: Err(why),
        } => {
            eprintln!("Sign in with a browser on this computer ({why}):\n  {url}");
        }
        Progress::Answered => eprintln!("Signed in; one moment."),
    }
}
