//! What of the person's own files the window sees, so that it is drawn in their fonts, their theme and with their
//! pointer: read-only, and nothing else of theirs.

use std::path::{Path, PathBuf};

use crate::folders::{self, FolderError};

/// Below the person's settings: which fonts stand in for which, and which theme it is.
const OF_SETTINGS: [&str; 2] = ["fontconfig", "gtk-3.0/settings.ini"];
/// Below what their programs share.
const OF_SHARED: [&str; 3] = ["fonts", "themes", "icons"];
/// Right below home, where all of this was kept before it was there.
const OF_HOME: [&str; 4] = [".fonts", ".fonts.conf", ".themes", ".icons"];
/// Below what can be made again: without it each start reads all their fonts anew.
const OF_CACHE: [&str; 1] = ["fontconfig"];

/// Where a person keeps what changes how windows look.
#[derive(Debug, Clone)]
pub struct Looks {
    home: PathBuf,
    settings: PathBuf,
    shared: PathBuf,
    cache: PathBuf,
}

impl Looks {
    /// Of this session's person.
    ///
    /// # Errors
    /// When nothing says where home is.
    pub fn of_session() -> Result<Self, FolderError> {
        Ok(Self {
            home: folders::home()?,
            settings: folders::config()?,
            shared: folders::share()?,
            cache: folders::cache()?,
        })
    }

    /// Of the person with this home, who keeps everything at its usual place.
    #[must_use]
    pub fn below(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            settings: home.join(".config"),
            shared: home.join(".local/share"),
            cache: home.join(".cache"),
        }
    }

    /// Home, which has the same path inside: fonts are remembered by it.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Each that is there, as the place that its links lead to, with its usual place, where it stands inside. May block:
    /// home may lie on another machine.
    pub(super) fn found(&self) -> Vec<(PathBuf, PathBuf)> {
        let roots = [&self.home, &self.settings, &self.shared, &self.cache];
        let roots: Vec<PathBuf> = roots.into_iter().flat_map(std::fs::canonicalize).collect();
        // What cannot be looked up would keep the window from starting; what holds more than looks would show it.
        let is_looks = |from: &Path| !roots.iter().any(|root| root.starts_with(from));
        let found = self
            .all()
            .filter_map(|(from, to)| Some((std::fs::canonicalize(from).ok()?, to)));
        found.filter(|(from, _)| is_looks(from)).collect()
    }

    fn all(&self) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        let inside = Self::below(&self.home);
        let below = |from: &Path, to: PathBuf, names: &[&'static str]| -> Vec<_> {
            let places = names.iter().map(|name| (from.join(name), to.join(name)));
            places.collect()
        };
        [
            below(&self.settings, inside.settings, &OF_SETTINGS),
            below(&self.shared, inside.shared, &OF_SHARED),
            below(&self.home, inside.home, &OF_HOME),
            below(&self.cache, inside.cache, &OF_CACHE),
        ]
        .into_iter()
        .flatten()
    }
}
