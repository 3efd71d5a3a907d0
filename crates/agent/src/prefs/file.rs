//! The lines of `agent.toml`: how each preference is written there, and which values there are.

use countersign_api::ipc::{self, Language, LogLevel, Proxy, QuietHours, Theme};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml_edit::Value;
use url::Url;

/// The longest address of a proxy.
const MAX_PROXY_BYTES: usize = 512;

const SYSTEM: &str = "system";
const DIRECT: &str = "direct";

/// The file as it stands on disk. Each value is checked where it is read, so that what is wrong is told with its line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    server: Option<String>,
    theme: Theme,
    language: Language,
    #[serde(deserialize_with = "text_size")]
    text_size: u16,
    greeted: bool,
    autostart: bool,
    keep_in_tray: bool,
    #[serde(deserialize_with = "reminder")]
    reminder_secs: Option<u32>,
    quiet: bool,
    #[serde(deserialize_with = "minute")]
    quiet_from: u16,
    #[serde(deserialize_with = "minute")]
    quiet_to: u16,
    sound: bool,
    #[serde(deserialize_with = "proxy")]
    proxy: Proxy,
    log: LogLevel,
    #[serde(deserialize_with = "devices")]
    known_devices: Vec<String>,
}

impl Default for File {
    fn default() -> Self {
        let ipc::Prefs {
            theme,
            language,
            text_size,
            greeted,
            autostart,
            keep_in_tray,
            reminder,
            quiet: QuietHours { on, from, to },
            sound,
            proxy,
            log,
            known_devices,
        } = ipc::Prefs::default();
        Self {
            server: None,
            theme,
            language,
            text_size,
            greeted,
            autostart,
            keep_in_tray,
            reminder_secs: reminder,
            quiet: on,
            quiet_from: from,
            quiet_to: to,
            sound,
            proxy,
            log,
            known_devices,
        }
    }
}

impl From<File> for super::Prefs {
    fn from(file: File) -> Self {
        let File {
            server,
            theme,
            language,
            text_size,
            greeted,
            autostart,
            keep_in_tray,
            reminder_secs,
            quiet,
            quiet_from,
            quiet_to,
            sound,
            proxy,
            log,
            known_devices,
        } = file;
        Self {
            server,
            window: ipc::Prefs {
                theme,
                language,
                text_size,
                greeted,
                autostart,
                keep_in_tray,
                reminder: reminder_secs,
                quiet: QuietHours {
                    on: quiet,
                    from: quiet_from,
                    to: quiet_to,
                },
                sound,
                proxy,
                log,
                known_devices,
            },
        }
    }
}

/// What the settings page writes, line by line.
pub(super) fn lines(prefs: &ipc::Prefs) -> Vec<(&'static str, Value)> {
    let ipc::Prefs {
        theme,
        language,
        text_size,
        greeted,
        autostart,
        keep_in_tray,
        reminder,
        quiet: QuietHours { on, from, to },
        sound,
        proxy,
        log,
        known_devices,
    } = prefs;
    let theme = match theme {
        Theme::System => SYSTEM,
        Theme::Light => "light",
        Theme::Dark => "dark",
    };
    let language = match language {
        Language::System => SYSTEM,
        Language::En => "en",
        Language::De => "de",
    };
    let proxy = match proxy {
        Proxy::System => SYSTEM,
        Proxy::Direct => DIRECT,
        Proxy::Url { url } => url,
    };
    let log = match log {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    // A reminder of nothing would read back as none: told apart here, and refused when it is read again.
    let reminder = match reminder {
        Some(0) => -1,
        Some(secs) => i64::from(*secs),
        None => 0,
    };
    vec![
        ("theme", theme.into()),
        ("language", language.into()),
        ("text_size", i64::from(*text_size).into()),
        ("greeted", (*greeted).into()),
        ("autostart", (*autostart).into()),
        ("keep_in_tray", (*keep_in_tray).into()),
        ("reminder_secs", reminder.into()),
        ("quiet", (*on).into()),
        ("quiet_from", clock(*from).into()),
        ("quiet_to", clock(*to).into()),
        ("sound", (*sound).into()),
        ("proxy", proxy.into()),
        ("log", log.into()),
        (
            "known_devices",
            known_devices
                .iter()
                .map(String::as_str)
                .collect::<toml_edit::Array>()
                .into(),
        ),
    ]
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn text_size<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let percent = u16::deserialize(from)?;
    let sizes = ipc::Prefs::TEXT_SIZES;
    if sizes.contains(&percent) {
        return Ok(percent);
    }
    let sizes = sizes.map(|size| size.to_string()).join(", ");
    Err(D::Error::custom(format!(
        "text_size {percent} is none of {sizes}"
    )))
}

fn reminder<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let secs = u32::deserialize(from)?;
    let reminders = ipc::Prefs::REMINDERS;
    match secs {
        0 => Ok(None),
        secs if reminders.contains(&secs) => Ok(Some(secs)),
        secs => {
            let all = reminders.map(|secs| secs.to_string()).join(", ");
            Err(D::Error::custom(format!(
                "reminder_secs {secs} is none of {all}; 0 is no reminder"
            )))
        }
    }
}

fn devices<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let devices = Vec::<String>::deserialize(from)?;
    let most = ipc::Prefs::MAX_KNOWN_DEVICES;
    if devices.len() > most {
        return Err(D::Error::custom(format!(
            "known_devices holds more than {most}"
        )));
    }
    match devices.iter().find(|id| !is_binding_id(id)) {
        None => Ok(devices),
        Some(odd) => Err(D::Error::custom(format!(
            "`{}` in known_devices is no device's id",
            odd.escape_debug()
        ))),
    }
}

/// Whether it has the shape of a binding's id.
fn is_binding_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// `07:05`, and nothing that only resembles it.
fn minute<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let text = String::deserialize(from)?;
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let parsed = match text.as_bytes() {
        &[a, b, b':', c, d] => (|| {
            let (hour, minute) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        })(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        D::Error::custom(format!(
            "`{}` is no time of day such as 07:30",
            text.escape_debug()
        ))
    })
}

fn proxy<'de, D: Deserializer<'de>>(from: D) -> Result<Proxy, D::Error> {
    let text = String::deserialize(from)?;
    match text.as_str() {
        SYSTEM => Ok(Proxy::System),
        DIRECT => Ok(Proxy::Direct),
        url => match acceptable(url) {
            Ok(()) => Ok(Proxy::Url { url: text }),
            Err(why) => Err(D::Error::custom(why)),
        },
    }
}

/// Whether a proxy can stand at this address.
fn acceptable(text: &str) -> Result<(), &'static str> {
    const SHAPE: &str =
        "a proxy is \"system\", \"direct\", or an address such as http://proxy.example.com:3128";
    if text.len() > MAX_PROXY_BYTES {
        return Err("the proxy's address is too long");
    }
    let url = Url::parse(text).map_err(|_| SHAPE)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SHAPE);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("a proxy's address ends with its host and port");
    }
    Ok(())
}
