//! A caller's connection, as hyper reads and writes it, and a way to see that the caller is gone.
//!
//! hyper looks for a hang-up while a call is under way only as long as it has read nothing beyond that call: one
//! byte of a next one, and a caller who goes away would keep their request open. So whoever holds a call reads on
//! by itself ([`Line::hung_up`]), into a bounded memory from which hyper is served afterwards.
//!
//! A connection that is closed over bytes that nobody read is reset, and a reset takes along an answer that its caller
//! has not read yet. So after the last answer what a caller is still sending is read and dropped, for a bounded time.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Sleep;

/// A caller whose call is held may send this much more, in bytes.
const MAX_AHEAD: usize = 64 * 1024;
const PIECE: usize = 4096;
/// What nobody wants is read in larger ones.
const REST: usize = 16 * 1024;
/// How long a caller who was refused half-way may go on sending.
const LINGER: Duration = Duration::from_secs(5);

/// What hyper has.
#[derive(Debug)]
pub(crate) struct Wire {
    line: Arc<Line>,
    write: OwnedWriteHalf,
    /// Once the last answer is out: until when the rest is read.
    lingering: Option<Pin<Box<Sleep>>>,
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
            lingering: None,
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

    /// Reads to the end, and keeps nothing.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; REST];
        while !self.ended {
            let mut buffer = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.half).poll_read(cx, &mut buffer));
            self.ended = read.is_err() || buffer.filled().is_empty();
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

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            line,
            write,
            lingering,
        } = self.get_mut();
        let until = match lingering {
            Some(until) => until,
            None => {
                ready!(Pin::new(write).poll_shutdown(cx))?;
                lingering.insert(Box::pin(tokio::time::sleep(LINGER)))
            }
        };
        // The time first: reading from somebody who sends without end never lets it have its turn.
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        line.reading().poll_rest(cx).map(Ok)
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

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_without_end_is_left_after_a_while() {
        let (mut caller, mut wire) = connected().await;
        let sending = tokio::spawn(async move {
            caller.write_all(&[b'x'; PIECE]).await.unwrap();
            caller
        });
        let begun = tokio::time::Instant::now();
        // The caller keeps their side open: only the time ends this.
        wire.shutdown().await.unwrap();
        let took = begun.elapsed();
        assert!(LINGER <= took && took < 2 * LINGER, "{took:?}");
        drop(sending.await.unwrap());
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
