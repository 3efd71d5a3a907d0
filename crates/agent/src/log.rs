//! The log: to the standard error stream, how much of it can be changed while the agent runs, and a short memory of its
//! last lines for whoever helps. That memory holds nothing from outside: of each line only the message, which is written
//! in this program's source, and numbers. Our own rule that messages have nothing filled in is held by a test.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_api::ipc::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that are remembered.
pub const LINES: usize = 200;
/// The longest line that is, in bytes.
const MAX_LINE_BYTES: usize = 300;
/// What goes before the preference.
const VARIABLE: &str = "COUNTERSIGN_LOG";

/// The running log. Clones are the same one.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<Targets, tracing_subscriber::Registry>,
    /// The environment says how much, and goes on saying so.
    is_fixed: bool,
    lines: Lines,
}

impl Log {
    /// Starts it, once in a process.
    #[must_use]
    pub fn start() -> Self {
        let named = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
        let named = named.and_then(|text| text.parse().ok());
        let is_fixed = named.is_some();
        let (filter, handle) = reload::Layer::new(named.unwrap_or_else(|| filter(LogLevel::Info)));
        let lines = Lines::default();
        let out = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        tracing_subscriber::registry()
            .with(filter)
            .with(out)
            .with(lines.clone())
            .init();
        Self {
            filter: handle,
            is_fixed,
            lines,
        }
    }

    /// From now on it says so much, unless the environment says how much.
    pub fn set(&self, level: LogLevel) {
        if !self.is_fixed && self.filter.reload(filter(level)).is_err() {
            tracing::warn!("how much the log says could not be changed");
        }
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }
}

/// Other programs' libraries only say what may be amiss: at the finer levels they tell addresses and headers.
fn filter(level: LogLevel) -> Targets {
    let (ours, others) = match level {
        LogLevel::Error => (Level::ERROR, Level::ERROR),
        LogLevel::Warn => (Level::WARN, Level::WARN),
        LogLevel::Info => (Level::INFO, Level::WARN),
        LogLevel::Debug => (Level::DEBUG, Level::WARN),
    };
    Targets::new()
        .with_default(others)
        .with_target("countersign", ours)
}

/// The memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<VecDeque<String>>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let at = event.metadata();
        let now = jiff::Timestamp::now().strftime("%m-%d %H:%M:%SZ");
        let mut line = Inner(format!("{now} {} {}", at.level(), at.target()));
        if at.target().starts_with("countersign") {
            event.record(&mut line);
        }
        let mut text = line.0;
        if text.len() > MAX_LINE_BYTES {
            let end = text.floor_char_boundary(MAX_LINE_BYTES);
            text.truncate(end);
        }
        let mut lines = self.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}

/// What of a line comes from this program itself.
struct Inner(String);

impl Inner {
    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

impl Visit for Inner {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let mut literal = Literal::default();
            let _ = write!(literal, "{value:?}");
            match literal {
                Literal { text, writes: 1 } => {
                    let _ = write!(self.0, ": {text}");
                }
                Literal { .. } => self.0.push_str(": (a message with something filled in)"),
            }
        }
    }

    // Text is a value, wherever it comes from.
    fn record_str(&mut self, _: &Field, _: &str) {}

    fn record_error(&mut self, _: &Field, _: &(dyn std::error::Error + 'static)) {}

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }
}

/// Tells a message that is written whole in the source, which arrives in one piece, from one that was put together.
#[derive(Default)]
struct Literal {
    text: String,
    writes: u32,
}

impl fmt::Write for Literal {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.writes += 1;
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(say: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(subscriber, say);
        lines.lock().iter().cloned().collect::<Vec<_>>()
    }

    #[test]
    fn a_line_is_remembered_with_its_numbers_and_without_any_text_from_outside() {
        let (name, host) = ("Mara", "secret.example");
        let lines = said(|| {
            tracing::warn!(
                host,
                name = %name,
                error = ?std::io::Error::other("secret"),
                tries = 3,
                on = true,
                "the server did not answer"
            );
            tracing::info!("{name} from {host} asked");
            tracing::info!(target: "hyper::client", "GET https://secret.example/token");
        });
        assert_eq!(lines.len(), 3);
        assert!(
            lines[0].ends_with(
                " WARN countersign_agent::log::tests: the server did not answer tries=3 on=true"
            ),
            "{}",
            lines[0]
        );
        assert!(lines[2].ends_with(" INFO hyper::client"), "{}", lines[2]);
        let all = lines.concat();
        assert!(!all.contains("secret") && !all.contains("Mara"), "{all}");
    }

    #[test]
    fn only_the_last_lines_are_remembered() {
        let lines = said(|| {
            for n in 0..LINES + 10 {
                tracing::info!(n, "again");
            }
        });
        assert_eq!(lines.len(), LINES);
        assert!(lines[0].ends_with(" n=10"), "{}", lines[0]);
    }

    #[test]
    fn how_much_is_said_changes_at_once() {
        let (filter_layer, handle) = reload::Layer::new(filter(LogLevel::Warn));
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry()
            .with(filter_layer)
            .with(lines.clone());
        let log = Log {
            filter: handle,
            is_fixed: false,
            lines: lines.clone(),
        };
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            log.set(LogLevel::Debug);
            tracing::debug!("two");
            tracing::debug!(target: "hyper", "of a library");
            log.set(LogLevel::Error);
            tracing::warn!("three");
        });
        let said = log.last();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].ends_with(": two"), "{said:?}");
    }
}
