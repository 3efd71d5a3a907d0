//! The main job as a person does it, from the first sign-in to the proof, in the real window on a made desktop. Each
//! step looks at the screen, and fails when it does not show what it should.

mod hold;
mod step_up;

pub use hold::play_hold;
pub use step_up::play_step_up;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::desktop::Desktop;
use crate::eyes::Sight;
use crate::stage::Stage;

/// How long the screen may take to show something. Eyes are slow here, not the app.
const SOON: Duration = Duration::from_secs(90);
/// The inbox's rows end left of here: the window stands in the middle of the display.
const LIST_ENDS: u32 = crate::desktop::SIZE.0 / 3;
/// Wheel notches that take any of these cards from top to bottom.
const WHOLE_CARD: u32 = 40;
/// In so many turns.
const TURNS: u32 = 10;
/// Between two of them.
const TURN: Duration = Duration::from_millis(100);

/// What is left at the end.
#[derive(Debug)]
pub struct Played {
    /// The pictures, in order.
    pub pictures: Vec<PathBuf>,
    /// The evidence of the deleted customer.
    pub evidence: PathBuf,
    /// What an auditor trusts.
    pub trust: PathBuf,
}

/// Plays it.
///
/// # Errors
/// When anything is not as it should be; the error names the picture.
pub fn play(stage: &mut Stage) -> Result<Played> {
    let mut story = Story::of_signed_in(stage)?;
    story.approve_by_two()?;
    story.deny()?;
    story.type_the_words()?;
    story.look_back()?;
    let (evidence, trust) = story.prove()?;
    Ok(Played {
        pictures: story.pictures,
        evidence,
        trust,
    })
}

struct Story<'a> {
    stage: &'a mut Stage,
    shots: PathBuf,
    pictures: Vec<PathBuf>,
}

impl<'a> Story<'a> {
    /// As each begins: Elin signs in.
    fn of_signed_in(stage: &'a mut Stage) -> Result<Self> {
        let shots = stage.state().join("shots");
        fs::create_dir_all(&shots).context("make the pictures' folder")?;
        let mut story = Self {
            stage,
            shots,
            pictures: Vec::new(),
        };
        story.sign_in()?;
        Ok(story)
    }
}

impl Story<'_> {
    fn desktop(&self) -> Result<&Desktop> {
        self.stage
            .desktop
            .as_ref()
            .context("this story needs a made desktop")
    }

    /// Waits until the screen shows all of these, and keeps the picture.
    fn see(&mut self, name: &str, phrases: &[&str]) -> Result<Sight> {
        let picture = self
            .shots
            .join(format!("{:02}-{name}.png", self.pictures.len() + 1));
        let what = phrases.join("”, “");
        let seen = self
            .desktop()?
            .look_until(&picture, &format!("“{what}”"), SOON, |sight| {
                phrases.iter().all(|phrase| sight.shows(phrase))
            });
        if let Err(error) = &seen {
            say(&format!("   not seen: {error:#}"));
        }
        self.pictures.push(picture);
        seen
    }

    /// Waits until the screen shows one of these, and keeps the picture.
    fn see_any(&mut self, name: &str, phrases: &[&str]) -> Result<Sight> {
        let picture = self
            .shots
            .join(format!("{:02}-{name}.png", self.pictures.len() + 1));
        let what = phrases.join("” or “");
        let seen = self
            .desktop()?
            .look_until(&picture, &format!("“{what}”"), SOON, |sight| {
                phrases.iter().any(|phrase| sight.shows(phrase))
            });
        self.pictures.push(picture);
        seen
    }

    /// Waits until a row of the inbox says this, and clicks it.
    fn open_row(&mut self, name: &str, phrase: &str) -> Result<()> {
        let picture = self
            .shots
            .join(format!("{:02}-{name}.png", self.pictures.len() + 1));
        // A notification about the same may be there before the row.
        let of_row = |sight: &Sight| {
            let mut all = sight.all(phrase).into_iter();
            all.find(|(x, _)| *x < LIST_ENDS)
        };
        let what = format!("a row “{phrase}”");
        let desktop = self.desktop()?;
        let seen = desktop.look_until(&picture, &what, SOON, |sight| of_row(sight).is_some())?;
        let place = of_row(&seen).context("find the row")?;
        desktop.click(place)?;
        self.pictures.push(picture);
        Ok(())
    }

    fn click(&self, sight: &Sight, phrase: &str) -> Result<()> {
        let place = sight
            .find(phrase)
            .with_context(|| format!("find “{phrase}” in {}", sight.picture.display()))?;
        self.desktop()?.click(place)
    }

    /// The leftmost place where this is written.
    fn click_leftmost(&self, sight: &Sight, phrase: &str) -> Result<()> {
        let place = sight
            .all(phrase)
            .into_iter()
            .min()
            .with_context(|| format!("find “{phrase}” in {}", sight.picture.display()))?;
        self.desktop()?.click(place)
    }

    /// The lowest place where this is written: a button below a card that says the same.
    fn click_lowest(&self, sight: &Sight, phrase: &str) -> Result<()> {
        let place = *sight
            .all(phrase)
            .last()
            .with_context(|| format!("find “{phrase}” in {}", sight.picture.display()))?;
        self.desktop()?.click(place)
    }

    fn sign_in(&mut self) -> Result<()> {
        say("1  Elin opens the app, which asks for the server, and signs in with her browser.");
        self.stage.start_app()?;
        let seen = self.see("first-run", &["Which server do you approve for", "Go on"])?;
        self.click(&seen, "Go on")?;
        let seen = self.see("provider", &["Where do you sign in", "Harbor ID"])?;
        self.click_lowest(&seen, "Harbor ID")?;
        let seen = self.see("ready", &["signed in as Elin Varga", "Go to the inbox"])?;
        self.click(&seen, "Go to the inbox")?;
        self.see(
            "inbox-empty",
            &["Nothing waits for you", "Connected as Elin Varga"],
        )?;
        Ok(())
    }

    fn approve_by_two(&mut self) -> Result<()> {
        say(
            "2  Elin closes the window. Mara, a developer, deletes a customer; the gate holds her call.",
        );
        self.desktop()?.close_window("Countersign")?;
        self.desktop()?.window_is_gone("Countersign")?;
        let line = self.stage.curl(
            "-X DELETE -H \"Countersign-Justification: The account was closed on request\" -H \"Countersign-Ticket: OPS-2291\"",
            "/customers/42",
        );
        say(&format!("   $ {line}"));
        self.stage.types("mara", "mara-deletes-42", &line)?;

        say("3  A notification tells Elin at once. She clicks it.");
        let seen = self.see(
            "notification",
            &["Mara Lindqvist", "delete customer 42", "Open"],
        )?;
        self.click(&seen, "Open")?;

        say("4  It opens that request. She reads all of it, and approves.");
        self.see(
            "card-top",
            &[
                "asks to delete customer 42",
                "Cannot be undone",
                "0 of 2 approved",
            ],
        )?;
        self.scroll_card()?;
        let seen = self.see(
            "card-end",
            &[
                "You have seen all of it",
                "Approve",
                "The account was closed on request",
            ],
        )?;
        self.click_lowest(&seen, "Approve")?;
        self.see("approved-by-one", &["You approved", "1 of 2"])?;
        ensure!(
            self.received()?.is_empty(),
            "the call went through with one vote of two"
        );

        say("5  Jonas approves in a terminal, and the customer is deleted.");
        let sign_in = self
            .stage
            .approve("jonas", &format!("sign-in {}", self.stage.server_url));
        self.terminal("jonas", "jonas-signs-in", &sign_in, 0)?;
        let list = self.stage.approve("jonas", "list");
        let listed = self.terminal("jonas", "jonas-lists", &list, 0)?;
        let txn =
            approval_id(&listed).with_context(|| format!("find the request in:\n{listed}"))?;
        let approve = self.stage.approve("jonas", &format!("approve {txn} --yes"));
        self.terminal("jonas", "jonas-approves", &approve, 0)?;
        let (code, answer) = self.stage.processes.finish("mara-deletes-42", SOON)?;
        ensure!(
            code == Some(0) && answer.contains("200 OK") && answer.contains("\"deleted\":\"42\""),
            "Mara gets:\n{answer}"
        );
        ensure!(
            self.received()? == ["DELETE /customers/42"],
            "the orders API received {:?}",
            self.received()?
        );
        self.see("approved-by-two", &["Approved and used"])?;
        Ok(())
    }

    fn deny(&mut self) -> Result<()> {
        say("6  Mara tries another one. Elin denies it with a reason, which Mara gets.");
        let line = self.stage.curl("-X DELETE", "/customers/43");
        self.stage.types("mara", "mara-deletes-43", &line)?;
        self.open_row("second-request", "Delete customer 43")?;
        self.see(
            "second-card",
            &["asks to delete customer 43", "Reason required to deny"],
        )?;
        self.scroll_card()?;
        let seen = self.see("second-card-end", &["Reason required to deny", "Deny"])?;
        self.click_lowest(&seen, "Reason required to deny")?;
        self.desktop()?.write("This customer has an open order")?;
        let seen = self.see("reason-typed", &["This customer has an open order", "Deny"])?;
        self.click_lowest(&seen, "Deny")?;
        self.see("denied", &["You denied", "Nothing ran"])?;
        let (_, answer) = self.stage.processes.finish("mara-deletes-43", SOON)?;
        ensure!(
            answer.contains("403 Forbidden") && answer.contains("This customer has an open order"),
            "Mara gets:\n{answer}"
        );
        ensure!(self.received()?.len() == 1, "a denied call went through");
        Ok(())
    }

    fn type_the_words(&mut self) -> Result<()> {
        say(
            "7  Mara changes a price and does not wait. Elin types the two words that Mara's terminal shows.",
        );
        // A new sign-in would be another call, with an approval of its own: she keeps the token of this one.
        let keep = format!("umask 077; {} > mara.token", self.stage.token_line());
        self.terminal("mara", "mara-gets-a-token", &keep, 0)?;
        let token = "$(cat mara.token)";
        let body = "-X PUT -H \"Content-Type: application/json\" -d '{\"cents\": 2490}'";
        let line = self.stage.curl_with(
            token,
            &format!("{body} -H \"Prefer: respond-async\""),
            "/prices/A-100",
        );
        let answer = self.terminal("mara", "mara-asks-for-a-price", &line, 0)?;
        ensure!(answer.contains("403 Forbidden"), "Mara gets:\n{answer}");
        let words =
            words(&answer).with_context(|| format!("find the matching words in:\n{answer}"))?;
        let txn = header(&answer, "approval-id")
            .with_context(|| format!("find Approval-Id in:\n{answer}"))?;
        self.open_row("third-request", "Update price of A-100")?;
        self.see("third-card", &["asks to update price of A-100", "1st word"])?;
        self.scroll_card()?;
        let seen = self.see("third-card-end", &["1st word", "2nd word", "Approve"])?;
        self.click(&seen, "1st word")?;
        self.desktop()?.write(&words.0)?;
        self.click(&seen, "2nd word")?;
        self.desktop()?.write(&words.1)?;
        let seen = self.see("words-typed", &["You have seen all of it", "Approve"])?;
        self.click_lowest(&seen, "Approve")?;
        self.see("third-approved", &["You approved", "1 of 1"])?;
        let line = self.stage.curl_with(
            token,
            &format!("{body} -H \"Approval-Id: {txn}\""),
            "/prices/A-100",
        );
        let answer = self.terminal("mara", "mara-comes-back", &line, 0)?;
        ensure!(
            answer.contains("200 OK") && answer.contains("2490"),
            "Mara gets:\n{answer}"
        );
        let answer = self.terminal("mara", "mara-tries-again", &line, 0)?;
        ensure!(
            answer.contains("403 Forbidden"),
            "an approval opened twice:\n{answer}"
        );
        Ok(())
    }

    fn look_back(&mut self) -> Result<()> {
        say("8  Elin looks back: who approved what, and the proof, recomputed on her own device.");
        let seen = self.see("before-history", &["History"])?;
        self.click(&seen, "History")?;
        let seen = self.see("history", &["Delete customer 42", "Delete customer 43"])?;
        self.click_leftmost(&seen, "Delete customer 42")?;
        let seen = self.see(
            "past-request",
            &["Approved and used", "Jonas Petersen approved", "Verify now"],
        )?;
        self.click(&seen, "Verify now")?;
        // The policy is the operator's and not on her device: that part is said not to be proven here, and is by an auditor.
        self.see("verified", &["Every vote is signed by its device"])?;
        Ok(())
    }

    fn prove(&mut self) -> Result<(PathBuf, PathBuf)> {
        say("9  An auditor verifies the evidence in a terminal, with the server out of the way.");
        let from = newest_with(&self.stage.setup.path("evidence"), "/customers/42")?;
        let evidence = self.stage.state().join("evidence.json");
        fs::copy(&from, &evidence).context("copy the evidence")?;
        let trust = self.stage.write_trust()?;
        self.stage.processes.kill("server")?;
        let verify = format!(
            "countersign verify {} --trust {}",
            evidence.display(),
            trust.display()
        );
        say(&format!("   $ {verify}"));
        let proven = self.terminal("elin", "auditor-verifies", &verify, 0)?;
        ensure!(proven.contains("Proven"), "the auditor reads:\n{proven}");
        let alone = format!("countersign verify {}", evidence.display());
        let consistent = self.terminal("elin", "auditor-without-trust", &alone, 3)?;
        ensure!(
            consistent.contains("not proven"),
            "the auditor reads:\n{consistent}"
        );
        let text = fs::read_to_string(&evidence).context("read the evidence")?;
        let altered = self.stage.state().join("altered.json");
        fs::write(&altered, alter(&text)?).context("write altered evidence")?;
        let verify = format!(
            "countersign verify {} --trust {}",
            altered.display(),
            trust.display()
        );
        self.terminal("elin", "auditor-finds-alteration", &verify, 1)?;
        self.stage.start_server()?;
        Ok((evidence, trust))
    }

    /// Brings every line of the card on screen, as the card asks for.
    fn scroll_card(&self) -> Result<()> {
        let desktop = self.desktop()?;
        desktop.point((crate::desktop::SIZE.0 / 2 + 100, crate::desktop::SIZE.1 / 2))?;
        // As a hand does, in a few turns: a page that has no time in between would see one leap past what it did not show.
        for _ in 0..TURNS {
            desktop.wheel_down(WHOLE_CARD / TURNS)?;
            std::thread::sleep(TURN);
        }
        Ok(())
    }

    fn terminal(&mut self, person: &str, name: &str, line: &str, expected: i32) -> Result<String> {
        let (code, said) = self.stage.types_and_waits(person, name, line)?;
        ensure!(
            code == Some(expected),
            "`{line}` ends with {code:?}, not {expected}:\n{said}"
        );
        Ok(said)
    }

    fn received(&self) -> Result<Vec<String>> {
        let output = std::process::Command::new("curl")
            .args(["-sSf", &format!("{}/received", self.stage.orders.control)])
            .output()
            .context("ask the orders API what it received")?;
        let calls: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).context("read what arrived")?;
        Ok(calls
            .iter()
            .map(|call| {
                let text = |member: &str| call[member].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("method"), text("target"))
            })
            .collect())
    }
}

/// Tells the person what is going on.
fn say(line: &str) {
    println!("{line}");
}

fn header(answer: &str, name: &str) -> Option<String> {
    answer.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// The two words in a problem's body.
fn words(answer: &str) -> Option<(String, String)> {
    let body = &answer[answer.find("\r\n\r\n")? + 4..];
    let problem: serde_json::Value = serde_json::from_str(body).ok()?;
    let words = problem["words"].as_array()?;
    Some((
        words.first()?.as_str()?.to_owned(),
        words.get(1)?.as_str()?.to_owned(),
    ))
}

/// The id in a list of requests: it stands alone on its line.
fn approval_id(list: &str) -> Option<String> {
    let mut lines = list.lines().map(str::trim);
    lines
        .find(|line| line.len() >= 16 && !line.contains(' '))
        .map(str::to_owned)
}

/// The evidence file that is about this path.
fn newest_with(folder: &Path, path: &str) -> Result<PathBuf> {
    use base64::Engine as _;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("look into {}", folder.display()))? {
        let file = entry.context("look at the evidence")?.path();
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let evidence: serde_json::Value = serde_json::from_str(&text).context("read evidence")?;
        let operation = evidence["operation_b64"].as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(operation)
            .unwrap_or_default();
        if String::from_utf8_lossy(&bytes).contains(path) {
            let time = fs::metadata(&file)
                .and_then(|meta| meta.modified())
                .context("look at the evidence")?;
            found.push((time, file));
        }
    }
    match found.into_iter().max() {
        Some((_, file)) => Ok(file),
        None => bail!("the gate has kept no evidence about {path}"),
    }
}

/// The same evidence with one character of the operation changed.
fn alter(text: &str) -> Result<String> {
    let mut evidence: serde_json::Value =
        serde_json::from_str(text).context("read the evidence")?;
    let operation = evidence["operation_b64"]
        .as_str()
        .context("find the operation")?
        .to_owned();
    let flipped = if operation.starts_with('A') { "B" } else { "A" };
    evidence["operation_b64"] = format!("{flipped}{}", &operation[1..]).into();
    Ok(evidence.to_string())
}
