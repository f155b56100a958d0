//! The frames of a WebSocket (RFC 6455, section 5), as far as a relay must know them: where one ends, whether it's user data, and
//! how a close looks. Nothing is checked: both ends do that.

use super::Goodbye;

/// Follows one direction.
#[derive(Default)]
pub struct Frames {
    header: [u8; 14],
    have: usize,
    /// Of the payload that is under way.
    left: u64,
    is_data: bool,
    data: u64,
}

/// Whose frames: a client masks its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    Client,
    Server,
}

const FIRST_CONTROL_OPCODE: u8 = 8;
const FINAL_CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;

// === impl Frames ===

impl Frames {
    /// Between two frames.
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Payload of data frames since the last call.
    pub fn take_data(&mut self) -> u64 {
        std::mem::take(&mut self.data)
    }

    /// Takes note of all bytes. Answers where the last frame's end is, and how many bytes there were.
    pub fn see(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (mut at, mut boundary) = (0, 0);
        while at < bytes.len() {
            at += self.step(&bytes[at..]);
            if self.is_between() {
                boundary = at;
            }
        }
        (boundary, at)
    }

    /// Takes note of the bytes up to the end of the frame that is under way, and answers how many these are.
    pub fn to_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_between() {
            at += self.step(&bytes[at..]);
        }
        at
    }

    /// One byte of a header, or as much payload as there is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.left > 0 {
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= count as u64;
            if self.is_data {
                self.data += count as u64;
            }
            return count;
        }
        self.header[self.have] = bytes[0];
        self.have += 1;
        if self.have >= 2 && self.have == self.header_length() {
            self.left = self.payload_length();
            self.is_data = self.header[0] & 0x0f < FIRST_CONTROL_OPCODE;
            self.have = 0;
        }
        1
    }

    fn header_length(&self) -> usize {
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & MASKED != 0 { 4 } else { 0 };
        2 + extended + mask
    }

    fn payload_length(&self) -> u64 {
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        match self.header[1] & 0x7f {
            126 => big_endian(&self.header[2..4]),
            127 => big_endian(&self.header[2..10]),
            short => short.into(),
        }
    }
}

/// A close frame: 1008 where the visitor may not go on, 1001 where there's nothing to go on with (RFC 6455, section 7.4.1).
pub fn close_frame(why: Goodbye, masking: Masking) -> Vec<u8> {
    let (code, reason): (u16, &str) = match why {
        Goodbye::Denied => (1008, "access has ended"),
        Goodbye::Undecided => (1008, "access could not be decided again"),
        Goodbye::Gone => (1001, "the session has ended"),
        Goodbye::Draining => (1001, "the gateway restarts"),
    };
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    // Control frames have at most 125 bytes (section 5.5).
    let length = u8::try_from(payload.len()).unwrap_or(125).min(125);
    payload.truncate(length.into());
    match masking {
        Masking::Server => [vec![FINAL_CLOSE, length], payload].concat(),
        Masking::Client => {
            let mask = fastrand::u32(..).to_be_bytes();
            let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            [vec![FINAL_CLOSE, MASKED | length], mask.to_vec(), masked].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a server.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(length as u8),
            length @ 126..65_536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn only_data_frames_count_however_the_bytes_are_cut() {
        let stream = [
            frame(2, &[7; 70_000]),
            frame(9, b"ping"),
            frame(1, &[b'x'; 200]),
            frame(10, b"pong"),
            frame(0, b"more"),
            frame(8, &[3, 232]),
            frame(1, b""),
        ]
        .concat();
        for size in [1, 2, 3, 7, 1_000, stream.len()] {
            let mut frames = Frames::default();
            let counted: u64 = stream
                .chunks(size)
                .map(|chunk| {
                    frames.see(chunk);
                    frames.take_data()
                })
                .sum();
            assert_eq!(counted, 70_204, "in pieces of {size}");
            assert!(frames.is_between());
        }
    }

    #[test]
    fn the_end_of_a_frame_is_found_in_the_middle_of_the_bytes() {
        let stream = [frame(1, b"first"), frame(1, b"second")].concat();
        let mut frames = Frames::default();
        frames.see(&stream[..3]);
        assert!(!frames.is_between());
        assert_eq!(frames.to_boundary(&stream[3..]), 4);
        assert!(frames.is_between());
    }

    #[test]
    fn a_clients_close_is_masked_and_a_servers_is_not() {
        let server = close_frame(Goodbye::Denied, Masking::Server);
        assert_eq!(&server[..4], &[0x88, (server.len() - 2) as u8, 0x03, 0xf0]);
        let client = close_frame(Goodbye::Gone, Masking::Client);
        let unmasked: Vec<u8> = client[6..].iter().zip(client[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(u16::from_be_bytes([unmasked[0], unmasked[1]]), 1001);
        let mut frames = Frames::default();
        frames.see(&[server, client].concat());
        assert!(frames.is_between());
    }
}
