//! Bodies on their way through: streamed frame by frame, counted against limits, never collected. The request's body is read
//! by the upstream connection, the response's by the downstream one; each moves the deadline that both share.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::SendRequest,
};

use super::{Deadline, Peer, Phase, Pool, http2::Place};
use crate::domain::Activity;

/// A client's body on its way to an upstream.
pub struct RequestBody {
    inner: Option<Incoming>,
    /// Bytes that may still come.
    left: u64,
    deadline: Arc<Deadline>,
    idle: Duration,
    response_head: Duration,
    is_refused_trailer: fn(&str) -> bool,
    activity: Option<Arc<Activity>>,
}

/// An upstream's body on its way to a client. Once it's read to its end the connection goes back to the pool; dropped before
/// that, it closes the connection or resets its stream, so that the upstream learns that nobody listens.
pub struct ResponseBody {
    inner: Incoming,
    lent: Option<Lent>,
    deadline: Arc<Deadline>,
    idle: Duration,
    /// Bytes that went through.
    pub bytes: u64,
}

/// The upstream connection that a response's body occupies.
pub(crate) enum Lent {
    /// The whole of it.
    Kept { pool: Rc<Pool>, peer: Peer, sender: SendRequest<RequestBody> },
    /// A place on one that others use as well.
    Shared(Place),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("over the limit of the request's body")]
    TooLarge,
    #[error("a decision ended it before its announced length")]
    Ended,
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

// === impl RequestBody ===

impl RequestBody {
    /// Moves the deadline to the body's end, or to the response's head where there's no body. Refused trailers are left out:
    /// servers that merge trailers into headers would take them for the gateway's.
    pub fn new(
        inner: Incoming,
        limit: Option<u64>,
        deadline: Arc<Deadline>,
        bounds: &super::Bounds,
        is_refused_trailer: fn(&str) -> bool,
        activity: Option<Arc<Activity>>,
    ) -> Self {
        let inner = (!inner.is_end_stream()).then_some(inner);
        match inner {
            Some(_) => deadline.enter(Phase::Upload, bounds.body_idle),
            None => deadline.enter(Phase::Waiting, bounds.response_head),
        }
        Self {
            inner,
            left: limit.unwrap_or(u64::MAX),
            deadline,
            idle: bounds.body_idle,
            response_head: bounds.response_head,
            is_refused_trailer,
            activity,
        }
    }

    /// There's nothing in it, so that it can be sent twice.
    pub fn is_empty(&self) -> bool {
        self.inner.is_none()
    }

    /// Another empty one, for sending an empty one twice.
    pub(super) fn empty_again(&self) -> Self {
        Self { inner: None, deadline: self.deadline.clone(), activity: None, ..*self }
    }

    fn end(&mut self) {
        self.inner = None;
        if self.deadline.phase() == Phase::Upload {
            self.deadline.enter(Phase::Waiting, self.response_head);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        let ended = inner.is_end_stream();
        Poll::Ready(match frame {
            None => {
                self.end();
                None
            }
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(mut frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(trailers) = frame.trailers_mut() {
                    let refused: Vec<_> =
                        trailers.keys().filter(|name| (self.is_refused_trailer)(name.as_str())).cloned().collect();
                    refused.into_iter().for_each(|name| drop(trailers.remove(name)));
                }
                let Some(left) = self.left.checked_sub(length) else {
                    self.deadline.cut();
                    return Poll::Ready(Some(Err(Broken::TooLarge)));
                };
                self.left = left;
                if let Some(activity) = &self.activity {
                    activity.moved(length, 0);
                }
                let idle = self.idle;
                self.deadline.extend(idle);
                if ended {
                    self.end();
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

// === impl ResponseBody ===

impl ResponseBody {
    pub(crate) fn new(inner: Incoming, lent: Option<Lent>, deadline: Arc<Deadline>, idle: Duration) -> Self {
        deadline.enter(Phase::Download, idle);
        let mut body = Self { inner, lent, deadline, idle, bytes: 0 };
        if body.inner.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        match self.lent.take() {
            Some(Lent::Kept { pool, peer, sender }) => pool.give_back(peer, sender),
            Some(Lent::Shared(place)) => drop(place),
            None => {}
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(match frame {
            None => {
                self.give_back();
                None
            }
            Some(Err(error)) => {
                self.lent = None;
                Some(Err(error.into()))
            }
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                self.deadline.extend(self.idle);
                if self.inner.is_end_stream() {
                    self.give_back();
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
