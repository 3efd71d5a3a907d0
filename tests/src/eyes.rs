//! Reads what is on the screen: a picture of it, and the words on the picture with their places (by tesseract). What a
//! person could not read is not there for a test either.

mod plain;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::desktop::Desktop;
use crate::eyes::plain::Gray;

/// Small letters are read better when enlarged.
const ENLARGE_PERCENT: u32 = 250;

/// A word and where it is, in pixels of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    line: (u32, u32, u32),
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

/// What was to be seen at one moment.
#[derive(Debug, Clone)]
pub struct Sight {
    words: Vec<Word>,
    /// The picture.
    pub picture: PathBuf,
}

impl Sight {
    /// Everything that is readable, line by line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut before = None;
        for word in &self.words {
            if let Some(line) = before {
                text.push(if line == word.line { ' ' } else { '\n' });
            }
            before = Some(word.line);
            text.push_str(&word.text);
        }
        text
    }

    /// The middle of each place where these words stand one after the other on a line, from top to bottom. Where one
    /// word ends and the next begins is often read wrongly, so that only the phrase's own ends must fall between words.
    #[must_use]
    pub fn all(&self, phrase: &str) -> Vec<(u32, u32)> {
        let wanted = folded(phrase);
        let words: Vec<(String, &Word)> = self
            .words
            .iter()
            .map(|word| (folded(&word.text), word))
            .filter(|(text, _)| !text.is_empty())
            .collect();
        let mut places = Vec::new();
        for (at, (_, first)) in words.iter().enumerate() {
            let mut read = String::new();
            for (text, last) in words[at..]
                .iter()
                .take_while(|(_, word)| word.line == first.line)
            {
                read.push_str(text);
                if read == wanted {
                    places.push((
                        (first.left + last.left + last.width) / 2,
                        first.top + first.height / 2,
                    ));
                }
                if !wanted.starts_with(&read) {
                    break;
                }
            }
        }
        places.sort_by_key(|(x, y)| (*y, *x));
        places
    }

    /// The first such place.
    #[must_use]
    pub fn find(&self, phrase: &str) -> Option<(u32, u32)> {
        self.all(phrase).first().copied()
    }

    /// Whether these words are to be read.
    #[must_use]
    pub fn shows(&self, phrase: &str) -> bool {
        self.find(phrase).is_some()
    }
}

/// Letters that a reader confuses count as one; punctuation does not count.
fn folded(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .map(|c| match c {
            'l' | '1' | '|' => 'i',
            '0' => 'o',
            other => other,
        })
        .collect()
}

impl Desktop {
    /// Takes a picture of the screen and reads it.
    ///
    /// # Errors
    /// When the picture cannot be taken or read.
    pub fn look(&self, picture: &Path) -> Result<Sight> {
        let path = picture.to_str().context("the picture's path is not text")?;
        self.quiet(&["import", "-silent", "-window", "root", path])?;
        read(picture)
    }

    /// Looks until what is seen is as wanted. The last picture stays.
    ///
    /// # Errors
    /// When it is not within `within`; the error says what is readable instead.
    pub fn look_until(
        &self,
        picture: &Path,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Sight) -> bool,
    ) -> Result<Sight> {
        let deadline = Instant::now() + within;
        loop {
            let sight = self.look(picture)?;
            if wanted(&sight) {
                return Ok(sight);
            }
            if Instant::now() > deadline {
                bail!(
                    "the screen does not show {what} ({}); it shows:\n{}",
                    picture.display(),
                    sight.text()
                );
            }
        }
    }
}

/// Reads a picture.
///
/// # Errors
/// When ImageMagick or tesseract fail.
pub fn read(picture: &Path) -> Result<Sight> {
    let pixels = Command::new("convert")
        .arg(picture)
        .args(["-depth", "8", "ppm:-"])
        .output()
        .context("start ImageMagick")?;
    ensure!(
        pixels.status.success(),
        "ImageMagick cannot read {}",
        picture.display()
    );
    let (mut gray, buttons) =
        plain::of_ppm(&pixels.stdout).with_context(|| format!("read {}", picture.display()))?;
    let large = picture.with_extension("large.png");
    let mut words = Vec::new();
    for (number, button) in buttons.into_iter().enumerate() {
        let label = recognize(&gray.take_out(button), "6", &large)?;
        let text: Vec<&str> = label
            .lines()
            .filter_map(|row| row.split('\t').nth(11))
            .skip(1)
            .collect();
        let line = (u32::MAX, 0, u32::try_from(number).unwrap_or(u32::MAX));
        let place = [button.left, button.top, button.width, button.height]
            .map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        // Each word of the label is where the button is: that is what a hand aims at.
        words.extend(
            text.iter()
                .flat_map(|text| text.split_whitespace())
                .map(|text| Word {
                    text: text.to_owned(),
                    line,
                    left: place[0],
                    top: place[1],
                    width: place[2],
                    height: place[3],
                }),
        );
    }
    words.extend(
        recognize(&gray.without_lines(), "11", &large)?
            .lines()
            .filter_map(word),
    );
    Ok(Sight {
        words,
        picture: picture.to_path_buf(),
    })
}

/// Enlarges a picture and has tesseract read it, in one of its modes (6: one block; 11: text anywhere).
fn recognize(gray: &Gray, mode: &str, large: &Path) -> Result<String> {
    let mut enlarge = Command::new("convert")
        .args([
            "pgm:-",
            "-filter",
            "Catrom",
            "-resize",
            &format!("{ENLARGE_PERCENT}%"),
        ])
        .arg(large)
        .stdin(Stdio::piped())
        .spawn()
        .context("start ImageMagick")?;
    enlarge
        .stdin
        .take()
        .context("take ImageMagick's input")?
        .write_all(&gray.to_pgm())
        .context("give ImageMagick the picture")?;
    ensure!(
        enlarge.wait().context("wait for ImageMagick")?.success(),
        "ImageMagick cannot enlarge a picture"
    );
    let output = Command::new("tesseract")
        .arg(large)
        .args(["stdout", "--psm", mode, "-l", "eng", "tsv"])
        .env("OMP_THREAD_LIMIT", "1")
        .output()
        .context("start tesseract")?;
    // Only the picture itself is of use to people.
    fs::remove_file(large).context("remove the enlarged picture")?;
    ensure!(
        output.status.success(),
        "tesseract cannot read: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A line of tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
fn word(row: &str) -> Option<Word> {
    let cells: Vec<&str> = row.split('\t').collect();
    let number = |at: usize| cells.get(at)?.parse::<u32>().ok();
    let text = cells.get(11)?.trim();
    if number(0)? != 5 || text.is_empty() {
        return None;
    }
    Some(Word {
        text: text.to_owned(),
        line: (number(2)?, number(3)?, number(4)?),
        left: number(6)? * 100 / ENLARGE_PERCENT,
        top: number(7)? * 100 / ENLARGE_PERCENT,
        width: number(8)? * 100 / ENLARGE_PERCENT,
        height: number(9)? * 100 / ENLARGE_PERCENT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(rows: &[(&str, u32)]) -> Sight {
        let words = rows
            .iter()
            .enumerate()
            .map(|(at, (text, line))| Word {
                text: (*text).to_owned(),
                line: (1, 1, *line),
                left: 100 * at as u32,
                top: 20 * line,
                width: 80,
                height: 10,
            })
            .collect();
        Sight {
            words,
            picture: PathBuf::new(),
        }
    }

    #[test]
    fn a_phrase_is_found_within_one_line_only() {
        let seen = sight(&[("Delete", 1), ("customer", 1), ("42", 1), ("Approve", 2)]);
        assert!(seen.shows("customer 42"));
        assert!(!seen.shows("42 Approve"));
        assert_eq!(seen.find("Approve"), Some((340, 45)));
    }

    #[test]
    fn letters_that_look_alike_are_the_same_to_the_eye() {
        let seen = sight(&[("Al1ow,", 1)]);
        assert!(seen.shows("allow"));
    }
}
