//! Opens the system browser, by the desktop's own `xdg-open`.

use std::io;
use std::process::Stdio;

use countersign_approver::Opener;
use tokio::process::Command;
use url::Url;

/// The person's browser. Where there is none, the window shows the address to open by hand.
pub struct Browser;

impl Opener for Browser {
    /// Inside a tokio runtime.
    fn open(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!("`{}:` is no address for a browser", url.scheme()));
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
                tokio::spawn(async move {
                    match child.wait().await {
                        Ok(status) if status.success() => {}
                        Ok(status) => tracing::warn!(%status, "the browser did not open"),
                        Err(error) => tracing::warn!(%error, "the browser could not be waited for"),
                    }
                });
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("`xdg-open` is not installed".to_owned())
            }
            Err(error) => Err(format!("`xdg-open` does not start: {error}")),
        }
    }
}
