//! What is on screen, written down so that the next agent can take it back after this one was killed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zbus::names::OwnedUniqueName;

/// The file's content. Ids mean something only at one owner on one bus.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    bus: String,
    owner: String,
    ids: Vec<u32>,
}

/// The file.
pub(super) struct Left {
    path: PathBuf,
    bus: String,
}

impl Left {
    /// `bus` is the bus's own id, which no other bus has.
    pub(super) fn new(path: PathBuf, bus: String) -> Self {
        Self { path, bus }
    }

    /// What was left at this owner. A file that does not read, or is of another bus or owner, says nothing.
    pub(super) fn ids_at(&self, owner: &OwnedUniqueName) -> Vec<u32> {
        let read = std::fs::read(&self.path).ok();
        let content: Option<Content> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match content {
            Some(content) if content.bus == self.bus && content.owner == owner.as_str() => {
                content.ids
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// CRASH: between a notification and this write, one notification stays on screen whose click reaches nobody.
    /// It goes with its daemon.
    pub(super) fn write(&self, owner: Option<&OwnedUniqueName>, ids: &[u32]) {
        let written = match owner {
            Some(owner) if !ids.is_empty() => {
                let content = Content {
                    bus: self.bus.clone(),
                    owner: owner.to_string(),
                    ids: ids.to_vec(),
                };
                serde_json::to_vec(&content)
                    .map_err(std::io::Error::other)
                    .and_then(|bytes| std::fs::write(&self.path, bytes))
            }
            Some(_) | None => match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what is on screen could not be written down");
        }
    }
}
