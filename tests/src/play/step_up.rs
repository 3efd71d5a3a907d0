//! The story of an approval that the identity provider confirms, in the real window: declined first, cut off by a crash of
//! the whole app, and given in the end.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{SOON, Story, say};
use crate::stage::Stage;

const SCOPE: &str = "approve:orders.prices";

/// Plays it, and gives the pictures. The stage lives by [`crate::setup::Rules::QueryLevel`].
///
/// # Errors
/// When anything is not as it should be; the error names the picture.
pub fn play_step_up(stage: &mut Stage) -> Result<Vec<PathBuf>> {
    let mut story = Story::of_signed_in(stage)?;
    story.ask_for_a_price()?;
    story.decline_the_scope()?;
    story.crash_in_the_middle()?;
    story.confirm_in_the_end()?;
    Ok(story.pictures)
}

impl Story<'_> {
    fn ask_for_a_price(&mut self) -> Result<()> {
        say("2  Mara changes a price. The policy wants it confirmed at the provider.");
        let line = self.stage.curl(
            "-X PUT -H \"Content-Type: application/json\" -d '{\"cents\": 2490}'",
            "/prices/A-100",
        );
        self.stage.types("mara", "mara-asks", &line)?;
        self.open_row("request", "Update price of A-100")?;
        self.see("card", &["asks to update price of A-100"])?;
        self.scroll_card()?;
        Ok(())
    }

    fn decline_the_scope(&mut self) -> Result<()> {
        say("3  Elin approves, and declines at the provider what it asks her consent for.");
        self.desktop()?
            .hands(&json!({ "declines": [SCOPE] }))
            .context("tell Elin's hands")?;
        let seen = self.see("step-up-ahead", &["Approve and sign in", SCOPE])?;
        self.click_lowest(&seen, "Approve and sign in")?;
        self.see(
            "declined",
            &["Nothing was approved", "Sign in once more", "Give up"],
        )?;
        ensure!(
            self.received()?.is_empty(),
            "a declined scope let it through"
        );
        Ok(())
    }

    fn crash_in_the_middle(&mut self) -> Result<()> {
        say("4  She tries again, leaves the page open, and the app and its window are killed.");
        self.desktop()?
            .hands(&json!({ "stops": { "at": "code", "by": "close" } }))
            .context("tell Elin's hands")?;
        let seen = self.see("declined-still", &["Sign in once more"])?;
        self.click_lowest(&seen, "Sign in once more")?;
        self.see("waiting", &["Waiting for your sign-in", "Stop"])?;
        self.stage.processes.kill("agent")?;
        self.desktop()?.window_is_gone("Countersign")?;
        ensure!(self.received()?.is_empty(), "a crash let it through");
        Ok(())
    }

    fn confirm_in_the_end(&mut self) -> Result<()> {
        say("5  She starts it again. Nothing is lost: she confirms, and the price changes.");
        self.desktop()?
            .hands(&json!({}))
            .context("tell Elin's hands")?;
        self.stage.start_app()?;
        self.open_row("back", "Update price of A-100")?;
        self.see("card-again", &["asks to update price of A-100"])?;
        self.scroll_card()?;
        let seen = self.see_any(
            "card-again-end",
            &["Sign in once more", "Approve and sign in"],
        )?;
        for button in ["Sign in once more", "Approve and sign in"] {
            if seen.shows(button) {
                self.click_lowest(&seen, button)?;
                break;
            }
        }
        self.see("approved", &["You approved", "1 of 1"])?;
        let (code, answer) = self.stage.processes.finish("mara-asks", SOON)?;
        ensure!(
            code == Some(0) && answer.contains("200 OK") && answer.contains("2490"),
            "Mara gets:\n{answer}"
        );
        ensure!(
            self.received()? == ["PUT /prices/A-100"],
            "the orders API received {:?}",
            self.received()?
        );
        Ok(())
    }
}
