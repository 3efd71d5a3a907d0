//! Desktop entries (freedesktop.org Desktop Entry Specification 1.5): how a program is named in one, and how one is read.

use std::fs;
use std::io;
use std::path::Path;

use crate::folders::{self, Readers};

/// The file name of our entries, in the menu and in the autostart folder.
pub const NAME: &str = "countersign.desktop";

/// A program's path cannot be said in an entry.
#[derive(Debug, thiserror::Error)]
#[error("the path of this program ({0}) has characters that a desktop entry cannot hold")]
pub struct Unsayable(pub String);

/// An `Exec` line's words: each quoted, so that spaces and the like stay what they are.
///
/// # Errors
/// When the program's path is not Unicode or holds a control character.
pub fn exec(program: &Path, arguments: &[&str]) -> Result<String, Unsayable> {
    let path = program
        .to_str()
        .filter(|path| !path.chars().any(char::is_control))
        .ok_or_else(|| Unsayable(program.to_string_lossy().escape_debug().to_string()))?;
    let mut line = String::from("\"");
    for c in path.chars() {
        match c {
            // Quoted once for the command line, and once more because it stands in a string value.
            '"' | '`' | '$' => line.extend(['\\', '\\', c]),
            '\\' => line.push_str("\\\\\\\\"),
            '%' => line.push_str("%%"),
            c => line.push(c),
        }
    }
    line.push('"');
    for argument in arguments {
        line.push(' ');
        line.push_str(argument);
    }
    Ok(line)
}

/// The value of a key in the entry's main group.
#[must_use]
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut in_entry = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            in_entry = line == "[Desktop Entry]";
        } else if in_entry
            && let Some((name, value)) = line.split_once('=')
            && name.trim_end() == key
        {
            return Some(value.trim_start());
        }
    }
    None
}

/// Whether the entry says so.
#[must_use]
pub fn is_true(text: &str, key: &str) -> bool {
    value(text, key) == Some("true")
}

/// The file's text; `None` where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file as a whole.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    folders::write_whole(path, text.as_bytes(), Readers::Everybody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_any_character_stays_one_word() {
        let said = |path: &str| exec(Path::new(path), &["run"]).unwrap();
        assert_eq!(said("/usr/bin/x"), "\"/usr/bin/x\" run");
        assert_eq!(
            said("/srv/é l/100%/a\"b$c`d\\e"),
            "\"/srv/é l/100%%/a\\\\\"b\\\\$c\\\\`d\\\\\\\\e\" run"
        );
        assert!(exec(Path::new("/tmp/a\nExec=evil"), &[]).is_err());
    }

    #[test]
    fn values_are_read_from_the_main_group_only() {
        let text = "[Other]\nHidden=true\n[Desktop Entry]\nName = A = b\n#Hidden=true\n[Desktop Action x]\nHidden=true\n";
        assert_eq!(value(text, "Name"), Some("A = b"));
        assert!(!is_true(text, "Hidden"));
        assert!(is_true("[Desktop Entry]\nHidden=true\n", "Hidden"));
    }
}
