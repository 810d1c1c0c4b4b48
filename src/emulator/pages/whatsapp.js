// Everything is put into the page as text, never as markup.
'use strict';

const byId = (id) => document.getElementById(id);
const code = location.pathname.split('/').pop();

function say(who, text) {
  const bubble = document.createElement('li');
  bubble.className = who;
  bubble.textContent = text;
  byId('conversation').append(bubble);
}

function finish(text) {
  say('them', text);
  byId('message').hidden = true;
}

async function load() {
  const reply = await fetch('/emulator/v1/whatsapp/' + code, { cache: 'no-store' });
  if (!reply.ok) return finish('This link is not known (any more). Start again where you came from.');
  const page = await reply.json();
  if (page.state === 'expired') return finish('This link has expired. Start again where you came from.');
  if (page.state === 'sent') return finish('The message was sent. You can go back and continue.');
  byId('text').value = page.text;
  if (page.from) byId('from').value = page.from;
}

byId('message').addEventListener('submit', async (event) => {
  event.preventDefault();
  const message = { from: byId('from').value.trim(), text: byId('text').value };
  const reply = await fetch('/emulator/v1/whatsapp', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
  say('me', message.text);
  if (reply.ok) return finish('Thank you. You can go back and continue.');
  const error = await reply.json();
  say('them', error.errorMessage || error.errorDescription);
});

load();
