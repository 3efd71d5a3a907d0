//! The story of an approval that is held, in the real window, by the pointer all the way: it clicks the daemon's own
//! notification, clicks Approve, which is not enough, holds it, and denies the next one.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::{Story, say};
use crate::stage::Stage;

/// Plays it, and gives the pictures. The stage lives by [`crate::setup::Rules::QueryLevel`].
///
/// # Errors
/// When anything is not as it should be; the error names the picture.
pub fn play_hold(stage: &mut Stage) -> Result<Vec<PathBuf>> {
    let mut story = Story::of_signed_in(stage)?;
    story.hold_to_approve()?;
    story.deny_what_was_clicked()?;
    Ok(story.pictures)
}

impl Story<'_> {
    fn hold_to_approve(&mut self) -> Result<()> {
        say("2  Mara deletes a customer. Elin clicks the notification, reads, and holds Approve.");
        self.told_and_clicked("mara-deletes-44", "44")?;
        self.see("card", &["asks to delete customer 44", "0 of 2 approved"])?;
        self.scroll_card()?;
        let seen = self.see("card-end", &["You have seen all of it", "Hold to approve"])?;
        self.click_lowest(&seen, "Hold to approve")?;
        let seen = self.see(
            "not-by-a-click",
            &["You let go", "0 of 2 approved", "Hold to approve"],
        )?;
        let place = *seen
            .all("Hold to approve")
            .last()
            .context("find the button")?;
        self.desktop()?.hold_down(place)?;
        // Held until it is seen to have counted, however slow that is.
        let approved = self.see("approved", &["You approved", "1 of 2"]);
        self.desktop()?.let_go()?;
        approved?;
        ensure!(
            self.received()?.is_empty(),
            "one vote of two let it through"
        );
        Ok(())
    }

    fn deny_what_was_clicked(&mut self) -> Result<()> {
        say("3  Mara tries another one. Elin clicks its notification, and Deny.");
        self.told_and_clicked("mara-deletes-45", "45")?;
        self.see("second-card", &["asks to delete customer 45"])?;
        self.scroll_card()?;
        let seen = self.see("second-card-end", &["You have seen all of it", "Deny"])?;
        self.click_lowest(&seen, "Deny")?;
        self.see("denied", &["You denied", "Nothing ran"])?;
        let (_, answer) = self
            .stage
            .processes
            .finish("mara-deletes-45", super::SOON)?;
        ensure!(answer.contains("403 Forbidden"), "Mara gets:\n{answer}");
        ensure!(self.received()?.is_empty(), "a denied call went through");
        Ok(())
    }

    /// The window is closed, somebody asks, and the pointer clicks the notification about it.
    fn told_and_clicked(&mut self, call: &str, customer: &str) -> Result<()> {
        self.desktop()?.close_window("Countersign")?;
        self.desktop()?.window_is_gone("Countersign")?;
        let line = self
            .stage
            .curl("-X DELETE", &format!("/customers/{customer}"));
        self.stage.types("mara", call, &line)?;
        let about = format!("delete customer {customer}");
        let seen = self.see("notification", &["Mara Lindqvist", &about, "Open"])?;
        let (_, below) = seen.find(&about).context("find the notification")?;
        // Each bubble has its button under its text.
        let mut buttons = seen.all("Open").into_iter();
        let button = buttons
            .find(|(_, y)| *y > below)
            .context("find the notification's button")?;
        self.desktop()?.click(button)
    }
}
