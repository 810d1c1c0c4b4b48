//! What a mail server, an SMS gateway or a telephone would have received.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::Serialize;

use super::State;

/// A message that the emulator "sent".
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Message {
    /// The number of the message. Each message has a higher one than those before it.
    pub id: u64,
    /// The e-mail address or phone number to which the message went.
    pub to: String,
    /// The login id of the call that caused it.
    pub login_id: String,
    /// `email`, `sms`, `voice`, `whatsapp` or `im`.
    pub channel: &'static str,
    /// What the message is for. Always `otp`.
    pub kind: &'static str,
    /// The code.
    pub code: String,
    /// When the message was sent, in Unix seconds of the emulator's clock.
    pub created_at: i64,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("kind", &self.kind)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

const PER_ADDRESS: usize = 100;
const ADDRESSES: usize = 10_000;

/// The last messages of every address.
#[derive(Default)]
pub(crate) struct Inbox {
    last_id: u64,
    by_address: BTreeMap<String, VecDeque<Message>>,
}

/// A message that carries a code.
pub(crate) struct NewMessage<'a> {
    /// The address or number.
    pub(crate) to: &'a str,
    pub(crate) login_id: &'a str,
    pub(crate) channel: &'static str,
    pub(crate) code: &'a str,
    /// Unix seconds.
    pub(crate) now: i64,
}

impl Inbox {
    pub(crate) fn push(&mut self, message: NewMessage<'_>) {
        let to = message.to;
        self.last_id += 1;
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(to) {
            self.forget_oldest_address();
        }
        let messages = self.by_address.entry(to.to_owned()).or_default();
        if messages.len() == PER_ADDRESS {
            messages.pop_front();
        }
        messages.push_back(Message {
            id: self.last_id,
            to: to.to_owned(),
            login_id: message.login_id.to_owned(),
            channel: message.channel,
            kind: "otp",
            code: message.code.to_owned(),
            created_at: message.now,
        });
    }

    /// In the order of arrival, whatever the clock said.
    pub(crate) fn messages(&self, to: Option<&str>) -> Vec<Message> {
        match to {
            Some(to) => self
                .by_address
                .get(to)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            None => {
                let mut all: Vec<_> = self.by_address.values().flatten().cloned().collect();
                all.sort_by_key(|message| message.id);
                all
            }
        }
    }

    /// When the last message went to this address.
    pub(crate) fn last_sent(&self, to: &str) -> Option<i64> {
        Some(self.by_address.get(to)?.back()?.created_at)
    }

    pub(crate) fn clear(&mut self) {
        self.by_address.clear();
    }

    fn forget_oldest_address(&mut self) {
        let oldest = self
            .by_address
            .iter()
            .min_by_key(|(_, messages)| messages.back().map_or(0, |last| last.id))
            .map(|(address, _)| address.clone());
        if let Some(oldest) = oldest {
            self.by_address.remove(&oldest);
        }
    }
}

impl State {
    /// The messages to this address, or all of them, in the order of arrival.
    pub(crate) fn messages(&self, to: Option<&str>) -> Vec<Message> {
        self.inbox.messages(to)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("addresses", &self.by_address.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(
        to: &'a str,
        login_id: &'a str,
        channel: &'static str,
        code: &'a str,
        now: i64,
    ) -> NewMessage<'a> {
        NewMessage {
            to,
            login_id,
            channel,
            code,
            now,
        }
    }

    #[test]
    fn order_is_arrival_and_addresses_are_exact() {
        let mut inbox = Inbox::default();
        inbox.push(message("b", "b", "sms", "1", 50));
        inbox.push(message("a", "a", "sms", "2", 10));
        inbox.push(message("b", "b", "sms", "3", 20));
        let codes = |to| -> Vec<String> {
            inbox
                .messages(to)
                .into_iter()
                .map(|message| message.code)
                .collect()
        };
        assert_eq!(codes(Some("b")), ["1", "3"]);
        assert_eq!(codes(None), ["1", "2", "3"]);
        assert!(codes(Some("B")).is_empty());
    }

    #[test]
    fn the_inbox_is_bounded() {
        let mut inbox = Inbox::default();
        for n in 0..150 {
            inbox.push(message("a", "a", "sms", &n.to_string(), 0));
        }
        let messages = inbox.messages(Some("a"));
        assert_eq!((messages.len(), &*messages[0].code), (100, "50"));
        for n in 0..ADDRESSES {
            inbox.push(message(&n.to_string(), "", "sms", "", 0));
        }
        assert_eq!(inbox.by_address.len(), ADDRESSES);
        assert!(inbox.messages(Some("a")).is_empty());
    }

    #[test]
    fn debug_shows_neither_code_nor_address() {
        let mut inbox = Inbox::default();
        inbox.push(message("ann@example.com", "ann", "email", "042917", 7));
        let shown = format!("{:?} {inbox:?}", inbox.messages(None));
        assert!(!shown.contains("042917") && !shown.contains("ann@"));
    }
}
