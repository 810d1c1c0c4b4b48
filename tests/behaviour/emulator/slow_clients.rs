//! Clients that send a byte now and then must not hold a connection for ever. In virtual time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower_descope::emulator::Emulator;

const LIMIT: Duration = Duration::from_secs(7);

/// Sends `at_once`, then a byte each second; what was answered when the connection was closed, and when that was.
async fn drip(at_once: &str, byte: u8) -> (String, Duration) {
    let builder = Emulator::builder().read_timeout(LIMIT);
    let emulator = builder.start().await.unwrap();
    let mut stream = TcpStream::connect(emulator.addr()).await.unwrap();
    let start = Instant::now();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    for _ in 0..100 {
        match timeout(Duration::from_secs(1), stream.read_buf(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => continue,
            Err(_) => {}
        }
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    (answer, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn one_byte_of_the_head_a_second_does_not_hold_a_connection() {
    let (answer, took) = drip("GET /emulator HTTP/1.1\r\nhost: localhost\r\nx: ", b'a').await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(took <= LIMIT + Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn one_byte_of_the_body_a_second_does_not_hold_a_call() {
    let head = "POST /v1/auth/otp/signup/email HTTP/1.1\r\nhost: localhost\r\n\
                authorization: Bearer P2DevelopmentEmulator0000001\r\ncontent-length: 10000\r\n\r\n{";
    let (answer, took) = drip(head, b' ').await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(took <= LIMIT + Duration::from_secs(2), "{took:?}");
}
