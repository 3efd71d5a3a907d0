//! One JSON object a line, bounded: how every local socket of the agent is read and written.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] io::Error),
    /// A line is longer than allowed.
    #[error("a line is longer than {max_bytes} bytes")]
    TooLong {
        /// The bound.
        max_bytes: usize,
    },
    /// The other side ended in the middle of a line.
    #[error("the line is cut")]
    Cut,
    /// It is not a frame of this vocabulary.
    #[error("not a frame of this vocabulary")]
    Unknown(#[source] serde_json::Error),
}

/// Reads one frame; `None` when the other side has ended.
///
/// # Errors
/// When the socket fails, and for a line that is too long, cut, or no `T`.
pub async fn read<T, R>(from: &mut R, max_bytes: usize) -> Result<Option<T>, FrameError>
where
    T: DeserializeOwned,
    R: AsyncBufRead + Unpin,
{
    let mut line = Vec::new();
    // One byte more than allowed (and the line's end) tells a line that is too long from one that just fits.
    let read = from
        .take(max_bytes as u64 + 2)
        .read_until(b'\n', &mut line)
        .await?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() <= max_bytes {
        return Err(FrameError::Cut);
    }
    if line.len() > max_bytes {
        return Err(FrameError::TooLong { max_bytes });
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(FrameError::Unknown)
}

/// A frame as it is written, its line's end included.
///
/// # Errors
/// When it would be longer than `max_bytes`: the other side would refuse it.
pub fn line<T: Serialize>(frame: &T, max_bytes: usize) -> Result<Vec<u8>, FrameError> {
    let mut line = serde_json::to_vec(frame).map_err(FrameError::Unknown)?;
    if line.len() > max_bytes {
        return Err(FrameError::TooLong { max_bytes });
    }
    line.push(b'\n');
    Ok(line)
}

/// Writes one frame.
///
/// # Errors
/// When the socket fails, and as [`line`].
pub async fn write<T, W>(to: &mut W, frame: &T, max_bytes: usize) -> Result<(), FrameError>
where
    T: Serialize,
    W: AsyncWrite + Unpin,
{
    to.write_all(&line(frame, max_bytes)?).await?;
    to.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8], max_bytes: usize) -> Vec<Result<Option<String>, String>> {
        let mut from = bytes;
        let mut seen = Vec::new();
        loop {
            let frame = read::<String, _>(&mut from, max_bytes)
                .await
                .map_err(|e| e.to_string());
            let over = !matches!(frame, Ok(Some(_)));
            seen.push(frame);
            if over {
                return seen;
            }
        }
    }

    #[tokio::test]
    async fn reads_line_by_line_until_the_end() {
        let seen = read_all(b"\"a\"\n\"b\"\n", 8).await;
        assert_eq!(seen, [Ok(Some("a".into())), Ok(Some("b".into())), Ok(None)]);
    }

    #[tokio::test]
    async fn the_bound_is_exact() {
        assert_eq!(read_all(b"\"abcd\"\n", 6).await[0], Ok(Some("abcd".into())));
        assert_eq!(
            read_all(b"\"abcde\"\n", 6).await[0],
            Err("a line is longer than 6 bytes".into())
        );
        assert_eq!(
            read_all(&[b'x'; 100], 6).await[0],
            Err("a line is longer than 6 bytes".into())
        );
    }

    #[tokio::test]
    async fn a_cut_line_and_foreign_json_are_refused() {
        assert_eq!(read_all(b"\"ab", 8).await[0], Err("the line is cut".into()));
        assert_eq!(
            read_all(b"7\n", 8).await[0],
            Err("not a frame of this vocabulary".into())
        );
    }

    #[tokio::test]
    async fn what_the_other_side_would_refuse_is_not_written() {
        let mut out = Vec::new();
        assert!(matches!(
            write(&mut out, &"abcde", 6).await,
            Err(FrameError::TooLong { max_bytes: 6 })
        ));
        assert!(out.is_empty());
    }
}
