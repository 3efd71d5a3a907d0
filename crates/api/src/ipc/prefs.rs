//! What a person prefers on this device: all of what the settings page changes, in one piece.
//!
//! It is kept in `agent.toml` by the agent, which refuses what is none of these values.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a person prefers on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Prefs {
    /// The look.
    pub theme: Theme,
    /// The language.
    pub language: Language,
    /// The size of all text and space, in percent: [`Prefs::TEXT_SIZES`].
    pub text_size: u16,
    /// What has to work for requests to arrive was tried out on this device: it is not asked for again.
    pub greeted: bool,
    /// Starts with the desktop. Otherwise nothing reaches the person until they open the app.
    pub autostart: bool,
    /// Stays when the window is closed. Otherwise closing it quits.
    pub keep_in_tray: bool,
    /// How long before a request expires one is reminded of it, in seconds: [`Prefs::REMINDERS`]. `None`: not at all.
    pub reminder: Option<u32>,
    /// When it is quiet.
    pub quiet: QuietHours,
    /// Notifications sound.
    pub sound: bool,
    /// How servers and providers are reached.
    pub proxy: Proxy,
    /// How much the log says. Takes effect at once.
    pub log: LogLevel,
    /// Bindings of the person's other devices of which they said "yes, this was me": the devices page asks about new
    /// ones. At most [`Prefs::MAX_KNOWN_DEVICES`].
    pub known_devices: Vec<String>,
}

impl Prefs {
    /// The text sizes that there are, in percent.
    pub const TEXT_SIZES: [u16; 6] = [80, 100, 125, 150, 175, 200];
    /// The reminders that there are, in seconds before the end.
    pub const REMINDERS: [u32; 4] = [60, 120, 300, 600];
    /// The most devices that are remembered.
    pub const MAX_KNOWN_DEVICES: usize = 64;
}

impl Default for Prefs {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            language: Language::System,
            text_size: 100,
            greeted: false,
            autostart: true,
            keep_in_tray: true,
            reminder: Some(120),
            quiet: QuietHours::default(),
            sound: true,
            proxy: Proxy::System,
            log: LogLevel::Info,
            known_devices: Vec::new(),
        }
    }
}

/// The look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the desktop says.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// The language of the window, the notifications and the tray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// As the desktop says, where it is one of ours; else English.
    System,
    /// English.
    En,
    /// German.
    De,
}

/// The part of each day in which notifications make no sound and do not come up. From the later to the earlier goes over
/// midnight; from a minute to the same minute is the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// There is such a part.
    pub on: bool,
    /// Its first minute of the local day.
    pub from: u16,
    /// The minute in which it is over.
    pub to: u16,
}

impl QuietHours {
    /// Minutes in a day: both ends are below.
    pub const MINUTES: u16 = 24 * 60;
}

impl Default for QuietHours {
    fn default() -> Self {
        Self {
            on: false,
            from: 20 * 60,
            to: 7 * 60,
        }
    }
}

/// How servers and providers are reached. This computer's own addresses are never reached through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "way", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proxy {
    /// As the environment says: `https_proxy`, `all_proxy`, `no_proxy`.
    System,
    /// Without one, whatever the environment says.
    Direct,
    /// Through this one.
    Url {
        /// Such as `http://proxy.example.com:3128`.
        url: String,
    },
}

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may be amiss, too.
    Warn,
    /// What happens, too.
    Info,
    /// Everything that helps to find a fault, too.
    Debug,
}
