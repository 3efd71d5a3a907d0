//! A caller's connection, as hyper reads and writes it, and a way to see that the caller is gone.
//!
//! hyper looks for a hang-up while a call is under way only as long as it has read nothing beyond that call: one
//! byte of a next one, and a caller who goes away would keep their request open. So whoever holds a call reads on
//! by itself ([`Line::hung_up`]), into a bounded memory from which hyper is served afterwards.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A caller whose call is held may send this much more, in bytes.
const MAX_AHEAD: usize = 64 * 1024;
const PIECE: usize = 4096;

/// What hyper has.
#[derive(Debug)]
pub(crate) struct Wire {
    line: Arc<Line>,
    write: OwnedWriteHalf,
}

/// What a call that is held has: the reading side.
#[derive(Debug)]
pub(crate) struct Line(Mutex<Reading>);

#[derive(Debug)]
struct Reading {
    half: OwnedReadHalf,
    /// Read while a call was held, not yet given to hyper.
    ahead: BytesMut,
    ended: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (half, write) = stream.into_split();
        let reading = Reading {
            half,
            ahead: BytesMut::new(),
            ended: false,
        };
        Self {
            line: Arc::new(Line(Mutex::new(reading))),
            write,
        }
    }

    /// For the calls that come over it.
    pub(crate) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }
}

impl Line {
    /// Ends when the caller has ended their side of the connection, or sends on and on although their call is held.
    ///
    /// To be awaited in the task that serves the connection: a socket wakes the last task that asked.
    pub(crate) async fn hung_up(&self) {
        std::future::poll_fn(|cx| self.reading().poll_end(cx)).await;
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.ended && self.ahead.len() < MAX_AHEAD {
            let mut piece = [0; PIECE];
            let mut buffer = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.half).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => self.ended = true,
                Ok(()) => self.ahead.extend_from_slice(buffer.filled()),
                // hyper meets the same error at its next read or write.
                Err(_) => self.ended = true,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut reading = self.line.reading();
        if !reading.ahead.is_empty() {
            let fits = reading.ahead.len().min(buffer.remaining());
            buffer.put_slice(&reading.ahead[..fits]);
            reading.ahead.advance(fits);
            return Poll::Ready(Ok(()));
        }
        if reading.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut reading.half).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap());
        let (caller, accepted) = tokio::join!(caller, listener.accept());
        (caller.unwrap(), Wire::new(accepted.unwrap().0))
    }

    #[tokio::test]
    async fn a_hang_up_is_seen_behind_bytes_that_were_sent_ahead_and_none_is_lost() {
        let (mut caller, mut wire) = connected().await;
        caller.write_all(b"GET / ").await.unwrap();
        caller.shutdown().await.unwrap();
        wire.line().hung_up().await;
        let mut read = Vec::new();
        wire.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET / ");
    }

    #[tokio::test]
    async fn what_is_read_ahead_is_bounded() {
        let (mut caller, wire) = connected().await;
        let line = wire.line();
        let sending =
            tokio::spawn(async move { while caller.write_all(&[b'x'; PIECE]).await.is_ok() {} });
        line.hung_up().await;
        assert!((MAX_AHEAD..MAX_AHEAD + PIECE).contains(&line.reading().ahead.len()));
        sending.abort();
    }
}
