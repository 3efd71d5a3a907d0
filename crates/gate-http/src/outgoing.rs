//! What is sent on as a body: the caller's stream, with or without a look at each piece, or what was read of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::overrides::{Overridden, Verdict, Watch};

/// So many bytes fit into the buffers of any system's sockets.
const SHORT: u64 = 16 * 1024;

/// A body on its way to the upstream.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// As it comes.
    Stream(Incoming),
    /// As it comes, each piece looked at first.
    Watched(Box<Watched>),
    /// Read before.
    Whole(Full<Bytes>),
}

/// A stream that ends in an error, unfinished, when the watch finds something.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: Incoming,
    watch: Watch,
    verdict: Verdict,
    ended: bool,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    /// The caller.
    #[error("the caller broke off")]
    Caller(#[from] hyper::Error),
    /// The gate.
    #[error(transparent)]
    Refused(#[from] Overridden),
}

impl Outgoing {
    /// The stream, watched where there is something to watch for. What is found stands in `verdict` too: the error
    /// itself goes to the connection.
    pub(crate) fn stream(stream: Incoming, watch: Option<Watch>, verdict: &Verdict) -> Self {
        match watch {
            None => Self::Stream(stream),
            Some(watch) => Self::Watched(Box::new(Watched {
                stream,
                watch,
                verdict: Verdict::clone(verdict),
                ended: false,
            })),
        }
    }

    /// What was read.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }

    /// Whether its caller is rid of it before they need to read: it was read, or fits into the buffers on the way.
    pub(crate) fn is_short(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Watched(_) => {
                self.size_hint().upper().is_some_and(|bytes| bytes <= SHORT)
            }
            Self::Whole(_) => true,
        }
    }
}

impl Watched {
    fn looked(&self, found: Result<(), Overridden>) -> Result<(), BrokenOff> {
        found.map_err(|overridden| {
            // The first one counts; nothing comes after it.
            let _ = self.verdict.set(overridden);
            BrokenOff::Refused(overridden)
        })
    }
}

type Next = Poll<Option<Result<Frame<Bytes>, BrokenOff>>>;

/// Trailers end with the caller's connection: the gate sends none.
fn data_only(next: Next) -> Next {
    match next {
        Poll::Ready(Some(Ok(frame))) if !frame.is_data() => Poll::Ready(None),
        next @ (Poll::Ready(_) | Poll::Pending) => next,
    }
}

fn poll_stream(stream: &mut Incoming, cx: &mut Context<'_>) -> Next {
    let next = Pin::new(stream).poll_frame(cx);
    data_only(next.map(|next| next.map(|frame| frame.map_err(BrokenOff::from))))
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        match self.get_mut() {
            Self::Stream(stream) => poll_stream(stream, cx),
            Self::Watched(watched) => {
                if watched.ended {
                    return Poll::Ready(None);
                }
                let next = poll_stream(&mut watched.stream, cx);
                let Watched { stream, watch, .. } = watched.as_mut();
                let found = match &next {
                    Poll::Ready(Some(Ok(frame))) => frame
                        .data_ref()
                        .map_or(Ok(()), |piece| watch.look(piece))
                        // A body with a length is not asked for more than that.
                        .and_then(|()| match stream.is_end_stream() {
                            true => watch.end(),
                            false => Ok(()),
                        }),
                    Poll::Ready(None) => watch.end(),
                    Poll::Ready(Some(Err(_))) | Poll::Pending => Ok(()),
                };
                match watched.looked(found) {
                    Ok(()) => next,
                    Err(error) => {
                        watched.ended = true;
                        Poll::Ready(Some(Err(error)))
                    }
                }
            }
            Self::Whole(whole) => Pin::new(whole)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(|never| match never {}))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_end_stream(),
            Self::Watched(watched) => watched.ended || watched.stream.is_end_stream(),
            Self::Whole(whole) => whole.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(stream) => stream.size_hint(),
            Self::Watched(watched) => watched.stream.size_hint(),
            Self::Whole(whole) => whole.size_hint(),
        }
    }
}
