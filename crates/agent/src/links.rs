//! The one link that opens the app: `countersign://connect?server=https%3A%2F%2Fapprovals.example.com`. It only fills in an
//! address: nothing is asked of that server before the person says so. Whoever sends such a link, or any page in a
//! browser, is nobody we trust: what is not exactly this shape is refused.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use countersign_model::ServerId;
use tokio::process::Command;
use url::Url;

use crate::entry::{self, NAME, Unsayable};
use crate::folders::{self, FolderError};

/// The longest link, in bytes.
pub const MAX_LINK_BYTES: usize = 2048;
/// What links start with.
const SCHEME: &str = "countersign";

/// What a link asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The page for a new account, with this address filled in.
    Connect {
        /// The server.
        server: ServerId,
    },
}

/// Why a link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Too long.
    #[error(
        "this link is too long to be one of Countersign's. Ask whoever sent it for the server's address"
    )]
    TooLong,
    /// Something else than `countersign://connect?server=…`.
    #[error(
        "this is no link that Countersign knows: it knows countersign://connect?server=https://… only"
    )]
    Shape,
    /// The server's address is none.
    #[error(
        "the address in this link is not that of a server: it must be https, without anything after the host but a path"
    )]
    Server,
}

/// Whether it is meant as a link, rather than as the id of a request.
#[must_use]
pub fn is_link(text: &str) -> bool {
    let scheme = text.as_bytes().get(..SCHEME.len() + 1);
    scheme.is_some_and(|start| start.eq_ignore_ascii_case(b"countersign:"))
}

/// Reads a link.
///
/// # Errors
/// When it is anything but a link to connect with one proper address.
pub fn parse(text: &str) -> Result<Link, LinkError> {
    if text.len() > MAX_LINK_BYTES {
        return Err(LinkError::TooLong);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LinkError::Shape);
    }
    let url = Url::parse(text).map_err(|_| LinkError::Shape)?;
    let is_connect = url.scheme() == SCHEME
        && url.host_str() == Some("connect")
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && matches!(url.path(), "" | "/")
        && url.fragment().is_none();
    if !is_connect {
        return Err(LinkError::Shape);
    }
    let mut named = url.query_pairs();
    let server = match (named.next(), named.next()) {
        (Some((name, value)), None) if name == "server" => value,
        _ => return Err(LinkError::Shape),
    };
    let server = server.strip_suffix('/').unwrap_or(&server);
    let server = ServerId::parse(server).map_err(|_| LinkError::Server)?;
    Ok(Link::Connect { server })
}

/// Why links could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The entry cannot be written.
    #[error("{path} cannot be written: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program cannot be named.
    #[error(transparent)]
    Program(#[from] Unsayable),
    /// There is no folder for it.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Lists the app among the person's programs, as the one that opens these links. Does nothing where whoever set up the
/// machine has listed it, or it is listed already.
///
/// # Errors
/// When the entry cannot be written.
pub async fn claim(program: &Path) -> Result<(), ClaimError> {
    let of_machine = folders::applications_of_machine();
    if of_machine.iter().any(|folder| folder.join(NAME).exists()) {
        return Ok(());
    }
    let folder = folders::applications()?;
    if list(&folder, program)? {
        // The desktop's own programs make it known; where one is missing, the other is enough.
        tell_desktop("update-desktop-database", &[folder.as_os_str().to_owned()]).await;
        let kind = format!("x-scheme-handler/{SCHEME}");
        tell_desktop("xdg-mime", &["default".into(), NAME.into(), kind.into()]).await;
    }
    Ok(())
}

/// Writes the entry; says whether it was another one before.
fn list(folder: &Path, program: &Path) -> Result<bool, ClaimError> {
    let path = folder.join(NAME);
    let exec = entry::exec(program, &["open", "%u"])?;
    let text = format!(
        "[Desktop Entry]\nType=Application\nName=Countersign\nComment=Approve or deny what waits for you\nComment[de]=Genehmigen Sie, was auf Sie wartet, oder lehnen Sie es ab\nExec={exec}\nIcon=countersign\nTerminal=false\nStartupNotify=true\nCategories=Office;\nMimeType=x-scheme-handler/{SCHEME};\n"
    );
    let failed = |source| ClaimError::Io {
        path: path.clone(),
        source,
    };
    if entry::read(&path).map_err(failed)?.as_deref() == Some(text.as_str()) {
        return Ok(false);
    }
    entry::write(&path, &text).map_err(failed)?;
    Ok(true)
}

async fn tell_desktop(program: &str, arguments: &[std::ffi::OsString]) {
    let ended = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match ended {
        Ok(status) if status.success() => {}
        Ok(_) | Err(_) => tracing::debug!(program, "the desktop was not told of our links"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_one_server() {
        for (link, server) in [
            (
                "countersign://connect?server=https://approvals.example.com",
                "https://approvals.example.com",
            ),
            (
                "countersign://connect?server=https%3A%2F%2Fapprovals.example.com%2F",
                "https://approvals.example.com",
            ),
            (
                "COUNTERSIGN://connect/?server=https://a.example:8443/team",
                "https://a.example:8443/team",
            ),
            (
                "countersign://connect?server=http://127.0.0.1:9400",
                "http://127.0.0.1:9400",
            ),
        ] {
            assert!(is_link(link));
            let server = ServerId::parse(server).unwrap();
            assert_eq!(parse(link), Ok(Link::Connect { server }), "{link}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for link in [
            "countersign:",
            "countersign:connect?server=https://a.example",
            "countersign://connect",
            "countersign://connect?",
            "countersign://connect?server=",
            "countersign://connect?server=https://a.example&server=https://b.example",
            "countersign://connect?server=https://a.example&txn=1",
            "countersign://connect?txn=1&server=https://a.example",
            "countersign://connect?Server=https://a.example",
            "countersign://connect/x?server=https://a.example",
            "countersign://connect:1?server=https://a.example",
            "countersign://me@connect?server=https://a.example",
            "countersign://me:word@connect?server=https://a.example",
            "countersign://approve?server=https://a.example",
            "countersign://connect?server=https://a.example#x",
            "countersign://connect?server=https://a.example\n",
            "countersign://connect?server=http://a.example",
            "countersign://connect?server=http://127.0.0.1.a.example",
            "countersign://connect?server=javascript:alert(1)",
            "countersign://connect?server=file:///etc/passwd",
            "countersign://connect?server=https://me@a.example",
            "countersign://connect?server=https://a.example%3Fx=1",
            "countersign://connect?server=https://a.example%23x",
            "countersign://connect?server=https://a.example%0A",
            "countersign://connect?server=https://%61%E2%80%AE.example",
            "countersign://connect?server=https://A.example",
            "countersign://connect?server=a.example",
            "countersign://connect?server=//a.example",
            "https://connect?server=https://a.example",
            " countersign://connect?server=https://a.example",
        ] {
            assert!(parse(link).is_err(), "{link}");
        }
        let long = format!(
            "countersign://connect?server=https://a.example/{}",
            "x".repeat(MAX_LINK_BYTES)
        );
        assert_eq!(parse(&long), Err(LinkError::TooLong));
        assert!(!is_link("countersign"));
        assert!(!is_link("txn_1"));
        assert!(!is_link("countersigñ:x"));
    }

    #[test]
    fn the_entry_opens_the_link_and_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("applications");
        let program = Path::new("/opt/agent");
        assert!(list(&folder, program).unwrap());
        assert!(!list(&folder, program).unwrap());
        let text = std::fs::read_to_string(folder.join(NAME)).unwrap();
        assert_eq!(entry::value(&text, "Exec"), Some("\"/opt/agent\" open %u"));
        assert_eq!(
            entry::value(&text, "MimeType"),
            Some("x-scheme-handler/countersign;")
        );
        assert!(
            list(&folder, Path::new("/usr/bin/agent")).unwrap(),
            "it was moved"
        );
    }
}
