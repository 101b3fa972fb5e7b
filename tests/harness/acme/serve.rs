//! The authority on a socket: HTTP/1.1, one request on each connection.

use super::Authority;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Serves until the process ends.
pub(super) fn spawn(listener: TcpListener, authority: Authority) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let authority = authority.clone();
            // A connection that breaks is the client's affair.
            std::thread::spawn(move || serve(stream, &authority).ok());
        }
    });
}

fn serve(stream: TcpStream, authority: &Authority) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut body = vec![0; body_bytes(&mut reader)?];
    reader.read_exact(&mut body)?;
    let answer = authority.answer(&method, &path, &body);
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.fields {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", answer.body.len());
    let mut stream = reader.into_inner();
    stream.write_all(head.as_bytes())?;
    match method.as_str() {
        "HEAD" => Ok(()),
        _ => stream.write_all(&answer.body),
    }
}

fn body_bytes(reader: &mut impl BufRead) -> std::io::Result<usize> {
    let mut bytes = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                bytes = value.trim().parse().unwrap_or_default();
            }
            Some(_) => {}
            None => return Ok(bytes),
        }
    }
}
