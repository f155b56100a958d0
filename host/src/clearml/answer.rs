//! The envelope around each answer: `{"meta": {"result_code", …}, "data": {…}}`.

use serde::Deserialize;
use serde_json::Value;

use super::Error;

#[derive(Deserialize)]
struct Envelope {
    meta: Meta,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Meta {
    result_code: u16,
    #[serde(default)]
    result_subcode: Option<u32>,
    #[serde(default)]
    result_msg: Option<String>,
}

/// Reads an answer of at most `limit` bytes and takes its `data` out.
pub async fn read(call: &'static str, mut response: reqwest::Response, limit: usize) -> Result<Value, Error> {
    let status = response.status();
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(Error::TooLarge { call, limit });
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::unreachable(call, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { call, limit });
        }
        body.extend_from_slice(&chunk);
    }
    open(call, status.as_u16(), &body)
}

/// The `data` of an answer that says 200.
pub fn open(call: &'static str, status: u16, body: &[u8]) -> Result<Value, Error> {
    let Ok(Envelope { meta, data }) = serde_json::from_slice(body) else {
        return Err(Error::foreign(call, format!("HTTP status {status} with {} bytes of something else", body.len())));
    };
    if meta.result_code != 200 {
        let message = meta.result_msg.as_deref().unwrap_or("no message");
        return Err(Error::refused(call, meta.result_code, meta.result_subcode.unwrap_or(0), message));
    }
    Ok(data)
}
