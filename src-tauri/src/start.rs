//! What must hold before there is a window, and how it ends when something does not.

use std::path::PathBuf;

/// Each way to end early has its code, which the agent acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The environment asks to let other programs drive the window.
    Automation = 2,
    /// There is no display.
    NoDisplay = 3,
    /// The agent does not answer, or is gone.
    NoAgent = 4,
    /// The web process died, or the window could not be made.
    Broken = 5,
}

impl Exit {
    /// Ends the process.
    pub(crate) fn now(self) -> ! {
        std::process::exit(self as i32)
    }
}

/// Told when no agent answers.
pub(crate) const NO_AGENT: &str =
    "Countersign is not running. Open it from the menu, or run `countersign-agent open`.";
/// Told when the agent went away under an open window.
pub(crate) const AGENT_GONE: &str = "Countersign stopped. What you have not voted on is still waiting. \
    Open it again from the menu, or run `countersign-agent open`.";

/// Ends the process where the environment would open the page to other programs (WebDriver, the inspector):
/// through them anyone in the session could press Approve. The feature `automation`, for tests, leaves this out.
pub(crate) fn refuse_automation() {
    if cfg!(feature = "automation") {
        return;
    }
    for name in [
        "TAURI_WEBVIEW_AUTOMATION",
        "WEBKIT_INSPECTOR_SERVER",
        "WEBKIT_INSPECTOR_HTTP_SERVER",
    ] {
        if std::env::var_os(name).is_some() {
            eprintln!(
                "countersign-window: {name} is set, which would let other programs press Approve. Unset it."
            );
            Exit::Automation.now();
        }
    }
}

/// GTK panics without a display; this says it in a sentence first.
pub(crate) fn require_display() {
    #[cfg(target_os = "linux")]
    if gtk::init().is_err() {
        eprintln!(
            "countersign-window: There is no display to draw on. Start it in a desktop session (DISPLAY or WAYLAND_DISPLAY)."
        );
        Exit::NoDisplay.now();
    }
}

/// On X11 without a compositing manager the server draws nothing again by itself, and WebKit's DMA-BUF renderer does not
/// either: a notification that goes would leave a hole in the card below it. There the older renderer is used.
pub(crate) fn draw_what_is_uncovered() {
    #[cfg(target_os = "linux")]
    if gtk::gdk::Screen::default().is_some_and(|screen| !screen.is_composited())
        && let Err(error) = gtk::glib::setenv("WEBKIT_DISABLE_DMABUF_RENDERER", "1", false)
    {
        eprintln!("countersign-window: The renderer cannot be chosen: {error}");
    }
}

/// Where the agent listens: it starts the window with this set.
pub(crate) fn socket_path() -> PathBuf {
    match std::env::var_os("COUNTERSIGN_SOCKET") {
        Some(path) => PathBuf::from(path),
        None => {
            eprintln!(
                "countersign-window: The agent starts the window. Run `countersign-agent open`."
            );
            Exit::NoAgent.now();
        }
    }
}

/// Says one sentence in a dialog of the toolkit, so that it is seen even where the page is not, and ends.
/// Main thread only.
pub(crate) fn last_words(exit: Exit, sentence: &str) -> ! {
    eprintln!("countersign-window: {sentence}");
    #[cfg(target_os = "linux")]
    {
        use gtk::prelude::{DialogExt as _, GtkWindowExt as _};
        let dialog = gtk::MessageDialog::new(
            None::<&gtk::Window>,
            gtk::DialogFlags::MODAL,
            gtk::MessageType::Info,
            gtk::ButtonsType::Close,
            sentence,
        );
        dialog.set_title("Countersign");
        dialog.run();
    }
    exit.now()
}
