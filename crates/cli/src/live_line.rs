//! One line on stderr that says where things stand, for as long as a command waits.

use std::io::{IsTerminal as _, Write as _};

/// One line that is rewritten in place on a terminal; elsewhere a new line for each change.
pub(crate) struct LiveLine {
    terminal: bool,
    last: String,
    noted: String,
}

impl LiveLine {
    pub(crate) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            last: String::new(),
            noted: String::new(),
        }
    }

    /// Says where things stand. A last part after ` · ` is what changes by itself: the time that is left.
    pub(crate) fn say(&mut self, text: &str) {
        // On a terminal the time left is worth a rewrite; in a log only what changed is.
        let what = text
            .rsplit_once(" · ")
            .map_or(text, |(what, _)| what)
            .to_owned();
        if self.terminal {
            eprint!("\r\x1b[K{text}");
            // Nothing depends on its being seen.
            let _ = std::io::stderr().flush();
        } else if what != self.last {
            eprintln!("{text}");
        }
        self.last = what;
    }

    /// Says beside it what is worth a line of its own, once.
    pub(crate) fn note(&mut self, text: &str) {
        if text != self.noted && !text.is_empty() {
            self.end(text);
        }
        self.noted = text.to_owned();
    }

    /// Leaves nothing of it on a terminal.
    pub(crate) fn clear(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }

    /// Ends it with this.
    pub(crate) fn end(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }
}
