//! The body of any response, and what happens when it ended: the deadline waits for the next request, the access log gets its
//! line.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::{access::Record, live::Ending};
use crate::{
    domain::Activity,
    upstream::{Deadline, Phase, ResponseBody, body::Broken},
};

/// A response's body.
pub struct Body {
    source: Source,
    activity: Option<Arc<Activity>>,
    ending: Option<Ending>,
    finish: Option<Finish>,
}

enum Source {
    Whole(Bytes),
    Upstream(ResponseBody),
}

/// What is done when the body ended or was given up.
pub struct Finish {
    pub deadline: Arc<Deadline>,
    pub keep_alive: Duration,
    pub status: StatusCode,
    pub record: Option<Box<Record>>,
    bytes: u64,
}

// === impl Body ===

impl Body {
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// With what is to be done at its end.
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = Some(finish);
        self
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(whole: B) -> Self {
        Self { source: Source::Whole(whole.into()), activity: None, ending: None, finish: None }
    }
}

impl Body {
    /// A session's. Its bytes are counted as `activity`, and `ending` may cut it short.
    pub fn upstream(body: ResponseBody, activity: Option<Arc<Activity>>, ending: Option<Ending>) -> Self {
        if let Some(activity) = activity.as_ref().filter(|_| body.is_end_stream()) {
            // A request is use, even if its answer has nothing to count.
            activity.moved(0, 0);
        }
        Self { source: Source::Upstream(body), activity, ending, finish: None }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        // In order, as a stream ends whose session has no more to say: who reads events asks again, and is told why not. But a part
        // of something that was announced whole mustn't pass for it.
        if self.ending.as_mut().is_some_and(|ending| ending.poll(cx).is_some()) {
            let is_whole = self.size_hint().exact().is_none_or(|left| left == 0);
            return Poll::Ready((!is_whole).then_some(Err(Broken::Ended)));
        }
        match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Upstream(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let (Some(activity), Some(Ok(frame))) = (&self.activity, &frame) {
                    activity.moved(0, frame.data_ref().map_or(0, Bytes::len) as u64);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(mut finish) = self.finish.take() else { return };
        if let Source::Upstream(body) = &self.source {
            finish.bytes = body.bytes;
        }
        finish.run();
    }
}

// === impl Finish ===

impl Finish {
    /// `bytes` is what is known of the body's length beforehand.
    pub fn new(deadline: Arc<Deadline>, keep_alive: Duration, status: StatusCode, bytes: u64, record: Option<Box<Record>>) -> Self {
        Self { deadline, keep_alive, status, record, bytes }
    }

    fn run(self) {
        self.deadline.enter(Phase::Idle, self.keep_alive);
        if let Some(record) = &self.record {
            record.write(self.status, self.bytes);
        }
    }
}
