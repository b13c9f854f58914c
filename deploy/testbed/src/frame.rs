//! The NATS client protocol, as much of it as a proxy needs to know one message from the next.

/// One unit of the protocol, in either direction, with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The bytes as they came.
    pub bytes: Vec<u8>,
    /// For messages: subject and reply subject.
    pub message: Option<(String, Option<String>)>,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct Cutter {
    waiting: Vec<u8>,
}

impl Cutter {
    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let line_end = self.waiting.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let line = String::from_utf8_lossy(self.waiting.get(..line_end)?).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        let verb = words.first().map(|verb| verb.to_ascii_uppercase()).unwrap_or_default();
        // What stands between verb and sizes: subject, then (downwards) a subscription, then perhaps a reply.
        let (fixed, sizes) = match verb.as_str() {
            "PUB" => (2, 1),
            "HPUB" => (2, 2),
            "MSG" => (3, 1),
            "HMSG" => (3, 2),
            _ => return Some(self.take(line_end, None)),
        };
        let size: usize = words.last()?.parse().ok()?;
        let total = line_end.checked_add(size)?.checked_add(2)?;
        if self.waiting.len() < total {
            return None;
        }
        let subject = (*words.get(1)?).to_owned();
        let reply = (words.len() > fixed + sizes).then(|| words.get(fixed).map(|word| (*word).to_owned()));
        Some(self.take(total, Some((subject, reply.flatten()))))
    }

    fn take(&mut self, length: usize, message: Option<(String, Option<String>)>) -> Frame {
        let rest = self.waiting.split_off(length);
        Frame { bytes: std::mem::replace(&mut self.waiting, rest), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_wherever_the_bytes_break() {
        let stream =
            b"PING\r\nPUB a.b 5\r\nhe\r\no\r\nHPUB c _I.x 4 6\r\nabcdef\r\nHMSG s 1 r 2 3\r\nxyz\r\nPONG\r\n";
        for cut in 0..stream.len() {
            let mut cutter = Cutter::default();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                cutter.feed(part);
                frames.extend(std::iter::from_fn(|| cutter.next_frame()));
            }
            let messages: Vec<_> = frames.iter().filter_map(|frame| frame.message.clone()).collect();
            let expected = [("a.b", None), ("c", Some("_I.x")), ("s", Some("r"))]
                .map(|(subject, reply): (&str, Option<&str>)| (subject.to_owned(), reply.map(str::to_owned)));
            assert_eq!(messages, expected, "cut at {cut}");
            assert_eq!(frames.concat_bytes(), stream);
        }
    }

    trait Concat {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl Concat for Vec<Frame> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|frame| frame.bytes.clone()).collect()
        }
    }
}
