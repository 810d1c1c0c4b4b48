//! A Redis server of one's own.
#![allow(dead_code)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tls::Authority;

pub struct RedisServer {
    port: u16,
    /// Instead of `--port`.
    tls: Option<[String; 4]>,
    child: Child,
}

impl RedisServer {
    /// Whether one could be started.
    pub fn find() -> Result<(), String> {
        let mut version = Command::new("redis-server");
        version.arg("--version").stdout(Stdio::null());
        match version.status() {
            Ok(status) if status.success() => Ok(()),
            _ => Err("no redis-server in PATH (Debian: redis-server)".to_owned()),
        }
    }

    /// Whether one could be started that speaks TLS.
    pub fn find_with_tls() -> Result<(), String> {
        Self::find()?;
        // Ends at once: it is told to listen nowhere.
        let mut probe = Command::new("redis-server");
        let probe = probe.args(["--port", "0", "--tls-port", "0"]).output();
        let probe = probe.map_err(|error| error.to_string())?;
        let said = [probe.stdout, probe.stderr].concat();
        match String::from_utf8_lossy(&said).contains("CONFIG FILE ERROR") {
            true => Err("this redis-server was built without TLS".to_owned()),
            false => Ok(()),
        }
    }

    /// On a free port of this machine, without files.
    pub fn start() -> Self {
        Self::start_on(free_port(), None)
    }

    /// With TLS only, for the name `localhost`. `clients` have to show a certificate, or need not.
    pub fn start_with_tls(authority: &Authority, clients: bool) -> Self {
        let port = free_port();
        let (certificate, key) = authority.issue("localhost");
        let files = std::env::temp_dir();
        let [certificate, key, authority] = [
            ("certificate", certificate),
            ("key", key),
            ("authority", authority.pem()),
        ]
        .map(|(name, pem)| {
            let file = format!("tower-descope-redis-{}-{port}-{name}", std::process::id());
            let path = files.join(file);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        });
        let clients = if clients { "yes" } else { "no" }.to_owned();
        Self::start_on(port, Some([certificate, key, authority, clients]))
    }

    fn start_on(port: u16, tls: Option<[String; 4]>) -> Self {
        let mut command = Command::new("redis-server");
        let number = port.to_string();
        match &tls {
            None => command.args(["--port", &number]),
            Some([certificate, key, authority, clients]) => command
                .args(["--port", "0", "--tls-port", &number])
                .args(["--tls-cert-file", certificate, "--tls-key-file", key])
                .args(["--tls-ca-cert-file", authority])
                .args(["--tls-auth-clients", clients]),
        };
        let child = command
            .args(["--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, tls, child };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(5), "no redis-server");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub fn url(&self) -> String {
        match self.tls {
            None => format!("redis://127.0.0.1:{}/", self.port),
            Some(_) => format!("rediss://localhost:{}/", self.port),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As a power cut does. What it held is lost.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A new, empty one in the same place.
    pub fn restart(&mut self) {
        self.kill();
        let tls = self.tls.take();
        *self = Self::start_on(self.port, tls);
    }

    /// Stops answering, but keeps its connections: as a machine does that was cut off.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let [certificate, key, authority, _] = self.tls.take().unwrap_or_default();
        for file in [certificate, key, authority] {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}
