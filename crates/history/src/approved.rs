//! Of operations that are alike, the last one that the person approved from this device: what the next one is compared
//! with. Digests of its parts and no text, and only so many of them.

use countersign_model::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::HistoryError;

/// A digest (SHA-256) of one part of an operation.
pub type Part = [u8; 32];

/// The most parts of one. What has more is not compared.
pub const MAX_PARTS: usize = 2_000;
/// The most that are kept; the oldest go first.
const MAX_APPROVED: i64 = 300;

/// An operation that its person approved from this device, and that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The same for operations that are alike.
    pub likeness: Digest,
    /// When it was run. Unix seconds.
    pub at: i64,
    /// Its parts, in order: at most [`MAX_PARTS`].
    pub parts: Vec<Part>,
}

/// Keeps it, where it is the newest of its kind.
pub(crate) fn put(tx: &Connection, approved: &Approved) -> Result<(), HistoryError> {
    let Approved {
        likeness,
        at,
        parts,
    } = approved;
    if parts.len() > MAX_PARTS {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO approved (likeness, at, parts) VALUES (?1, ?2, ?3)
         ON CONFLICT (likeness) DO UPDATE SET at = excluded.at, parts = excluded.parts WHERE excluded.at >= at",
    )?
    .execute(params![likeness.as_bytes(), at, parts.as_flattened()])?;
    tx.prepare_cached(
        "DELETE FROM approved WHERE rowid IN (SELECT rowid FROM approved ORDER BY at DESC LIMIT -1 OFFSET ?1)",
    )?
    .execute([MAX_APPROVED])?;
    Ok(())
}

/// The last one that is like this.
pub(crate) fn get(
    connection: &Connection,
    likeness: Digest,
) -> Result<Option<Approved>, HistoryError> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT at, parts FROM approved WHERE likeness = ?1")?
        .query_row([likeness.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(at, parts)| {
            let (parts, rest) = parts.as_chunks();
            if rest.is_empty() {
                Ok(Approved {
                    likeness,
                    at,
                    parts: parts.to_vec(),
                })
            } else {
                Err(HistoryError::Damaged("what was approved".to_owned()))
            }
        })
        .transpose()
}
