//! An operation as a document of lines made of spans with roles, dangerous characters made visible.
//!
//! The same lines are drawn by the window, the terminal approver and the notification, and their plain text
//! is what a vote's digest covers: what you see is what you sign. Pure and total: any operation has a card.
//! It deliberately knows no look, no language but English, and no markup: Markdown, HTML and links from
//! outside are letters. A window gives each role a look, isolates each span's writing direction
//! (`unicode-bidi: isolate`), keeps spaces (`white-space: pre-wrap`), and adds nothing.
//! Specification: `docs/spec/vote.md`, "display".

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod card;
mod command;
mod document;
mod exhibit;
mod http;
mod letters;
mod lexer;
mod names;
mod record;
mod sentence;
mod sql;
mod text;
mod tool;
mod tree;
mod visible;
mod who;

pub use card::{Card, RENDERER, card};
pub use document::{Actor, Authenticated, Exhibit, Field, Identity, Kind, Line, Party, Role, Span};
pub use sentence::{initials, kind, requester, resource, sentence, stated_name, summary};
pub use visible::{count_made_visible, safe_line};
pub use who::party;
