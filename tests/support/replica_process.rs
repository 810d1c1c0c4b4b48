//! A replica that is a process of its own: this program once more.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts this program with these variables, and returns it with the first line that it prints, which names its port.
/// It ends when its input is closed.
pub fn start<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Child, String) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = process.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (process, line.trim().to_owned())
}
