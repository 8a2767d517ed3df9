//! The client's end of the socket, which hears the answer even when its question is no longer taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// A connection whose writes go nowhere once the other side has closed it. A daemon that refuses a package answers and
/// closes while the package is still on its way; the broken pipe must not hide the answer that waits to be read. Where
/// there is none, reading says that the connection has ended.
pub(super) struct Hearing {
    stream: UnixStream,
    is_unheard: bool,
}

impl Hearing {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            is_unheard: false,
        }
    }
}

impl AsyncRead for Hearing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Hearing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_unheard {
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Err(e)) if is_closed(&e) => {
                self.is_unheard = true;
                Poll::Ready(Ok(bytes.len()))
            }
            done @ (Poll::Ready(_) | Poll::Pending) => done,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
