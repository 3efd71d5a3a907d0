//! A walk through a long history in the real window: to its last row by the keyboard, by the scroll bar under the pointer,
//! and by the wheel.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Story, say};
use crate::stage::Stage;

/// What stands in the newest row, and in the oldest.
const NEWEST: &str = "Close the books";
const OLDEST: &str = "Open the books";
/// From the word above the list's right end to the grip of its scroll bar, while it is at the top.
const TO_THE_BAR: (u32, u32) = (32, 26);
/// More than the rows on one screen, in notches of the wheel.
const A_SCREEN: u32 = 20;

/// Plays it on a device whose history begins with "Open the books" and ends with "Close the books", and gives the pictures.
///
/// # Errors
/// When anything is not as it should be; the error names the picture.
pub fn play_long_history(stage: &mut Stage) -> Result<Vec<PathBuf>> {
    let shots = stage.state().join("shots");
    fs::create_dir_all(&shots).context("make the pictures' folder")?;
    let mut story = Story {
        stage,
        shots,
        pictures: Vec::new(),
    };
    story.walk()?;
    Ok(story.pictures)
}

impl Story<'_> {
    fn walk(&mut self) -> Result<()> {
        say("1  Elin opens her history: the newest stands on top.");
        self.stage.start_app()?;
        let seen = self.see("inbox", &["History", "Nothing waits for you"])?;
        self.click(&seen, "History")?;
        let top = self.see("newest", &[NEWEST, "Figures"])?;

        say("2  By the keyboard: to the end, and back.");
        self.click(&top, NEWEST)?;
        self.desktop()?.press("End")?;
        self.see("end-by-key", &[OLDEST])?;
        self.desktop()?.press("Home")?;
        self.see("back-by-key", &[NEWEST])?;

        say("3  By the scroll bar: from its top to below its bottom.");
        let (right, above) = top.find("Figures").context("find the list's head")?;
        let bar = (right + TO_THE_BAR.0, above + TO_THE_BAR.1);
        self.desktop()?
            .drag(bar, (bar.0, crate::desktop::SIZE.1 - 5))?;
        self.see("end-by-bar", &[OLDEST])?;

        say("4  By the wheel: some rows up, where the last one is out of sight, and down again.");
        self.desktop()?
            .point((right, (above + crate::desktop::SIZE.1) / 2))?;
        self.desktop()?.wheel_up(A_SCREEN)?;
        self.see_without("up-by-wheel", OLDEST)?;
        self.desktop()?.wheel_down(A_SCREEN * 2)?;
        self.see("end-by-wheel", &[OLDEST])?;
        Ok(())
    }
}
