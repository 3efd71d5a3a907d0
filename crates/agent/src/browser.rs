//! Opens the system browser, by the desktop's own `xdg-open`.

use std::io;
use std::process::{Command, Stdio};

use url::Url;

/// Opens `url` in the person's browser and does not wait for it.
///
/// # Errors
/// With a sentence, when there is nothing to open it with. The window shows the address to open by hand.
pub fn open(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("An address with `{}:` is not opened in a browser.", url.scheme()));
    }
    let started = Command::new("xdg-open")
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            // It is waited for, so that no dead process stays; it may be the browser itself and live for hours.
            std::thread::spawn(move || match child.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => tracing::warn!(%status, "the browser did not open"),
                Err(error) => tracing::warn!(%error, "the browser could not be waited for"),
            });
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(
            "No browser could be opened, because `xdg-open` is not installed. Open the address by hand.".to_owned(),
        ),
        Err(error) => Err(format!("No browser could be opened ({error}). Open the address by hand.")),
    }
}
