//! A small web server with ranges, and with faults.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a server does with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Sends what was asked for.
    Right,
    /// Fails with this status and body.
    Status(u16, &'static str),
    /// Closes the connection after this many bytes of the body.
    Cut(usize),
    /// Sends the whole file, whatever the range.
    Whole,
    /// Announces the range and sends bytes without an end.
    Endless,
    /// Says that the file is a byte longer.
    Longer,
    /// Sends another part than was asked for.
    OtherRange,
    /// Has another ETag.
    OtherTag,
    /// Leads elsewhere.
    Redirect(String),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) authorization: Option<String>,
}

type Answers = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// A server on this machine; it ends with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// By their paths, each with its ETag.
    files: HashMap<String, (Arc<Vec<u8>>, String)>,
    answers: Mutex<Box<Answers>>,
    requests: Mutex<Vec<Request>>,
}

impl Server {
    /// Starts a server with these files; paths begin with a slash.
    pub(crate) fn new<P: Into<String>>(files: impl IntoIterator<Item = (P, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let tagged = |(path, bytes): (P, Vec<u8>)| {
            let words = bytes.iter().step_by(97).map(|byte| u64::from(*byte));
            let sum = words.fold(bytes.len() as u64, |sum, byte| sum * 31 % 0xffff_fffb + byte);
            (path.into(), (bytes.into(), format!("{sum:x}")))
        };
        let files = files.into_iter().map(tagged).collect();
        let answers: Box<Answers> = Box::new(|_, _| Answer::Right);
        let shared =
            Arc::new(Shared { files, answers: answers.into(), requests: Mutex::default() });
        let of_thread = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = of_thread.clone();
                // a client that goes away is no failure
                thread::spawn(move || _ = shared.serve(stream));
            }
        });
        Self { url, shared }
    }

    /// Decides the answers: by the request, and how many there were before it.
    pub(crate) fn answer(&self, with: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) {
        *self.shared.answers.lock().expect("no panic") = Box::new(with);
    }

    /// Forgets and returns the requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().expect("no panic"))
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or(Ok(String::new()))?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request = Request { method, path, range: None, authorization: None };
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "range" => {
                    let range = value.strip_prefix("bytes=").and_then(|it| it.split_once('-'));
                    let number = |text: &str| text.parse().ok();
                    request.range =
                        range.and_then(|(start, end)| Some((number(start)?, number(end)?)));
                }
                "authorization" => request.authorization = Some(value.to_owned()),
                _ => {}
            }
        }
        let before = {
            let mut requests = self.requests.lock().expect("no panic");
            requests.push(request.clone());
            requests.len() - 1
        };
        let answer = self.answers.lock().expect("no panic")(&request, before);
        let path = request.path.split('?').next().unwrap_or_default();
        let file = self.files.get(path).cloned();
        respond(&request, file, &answer, stream)
    }
}

fn respond(
    request: &Request,
    file: Option<(Arc<Vec<u8>>, String)>,
    answer: &Answer,
    mut out: TcpStream,
) -> std::io::Result<()> {
    let plain = |status: u16, more: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{more}");
        format!("{head}Content-Length: {length}\r\n\r\n{body}")
    };
    match answer {
        Answer::Status(status, body) => return out.write_all(plain(*status, "", body).as_bytes()),
        Answer::Redirect(to) => {
            let more = format!("Location: {to}\r\n");
            return out.write_all(plain(302, &more, "").as_bytes());
        }
        _ => {}
    }
    let Some((file, tag)) = file else { return out.write_all(plain(404, "", "").as_bytes()) };
    let tag = if *answer == Answer::OtherTag { "other".to_owned() } else { tag };
    let mut all = file.len() as u64;
    let mut head = format!("Connection: close\r\nETag: \"{tag}\"\r\n");
    let (status, body) = match request.range.filter(|_| *answer != Answer::Whole) {
        Some((start, _)) if start >= all => {
            return out.write_all(plain(416, "", "").as_bytes());
        }
        Some((start, end)) => {
            let end = (end + 1).min(all);
            let start = if *answer == Answer::OtherRange { start + 1 } else { start };
            if *answer == Answer::Longer {
                all += 1;
            }
            head += &format!("Content-Range: bytes {start}-{}/{all}\r\n", end - 1);
            (206, &file[start as usize..end as usize])
        }
        None => (200, &file[..]),
    };
    let body_length = if *answer == Answer::Endless { usize::MAX >> 1 } else { body.len() };
    let head = format!("HTTP/1.1 {status} X\r\n{head}Content-Length: {body_length}\r\n\r\n");
    out.write_all(head.as_bytes())?;
    match answer {
        _ if request.method == "HEAD" => Ok(()),
        Answer::Cut(length) => out.write_all(&body[..body.len().min(*length)]),
        Answer::Endless => loop {
            out.write_all(&[0; 1 << 16])?;
        },
        _ => out.write_all(body),
    }
}
