// Everything is put into the page as text, never as markup.
'use strict';

const byId = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

async function get(path) {
  const reply = await fetch('/emulator/v1/' + path, { cache: 'no-store' });
  if (!reply.ok) throw new Error(path + ': ' + reply.status);
  return reply.json();
}

function timeOf(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

function copyButton(code) {
  const button = element('button', 'code', code);
  button.type = 'button';
  button.title = 'Copy';
  button.setAttribute('aria-label', 'Copy the code ' + code.split('').join(' '));
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(code);
    button.classList.add('copied');
    setTimeout(() => button.classList.remove('copied'), 1200);
  });
  return button;
}

function messageItem(message) {
  const about = element('div', 'about', element('strong', '', message.to));
  if (message.loginId && message.loginId !== message.to) {
    about.append(element('span', 'muted', 'login id ' + message.loginId));
  }
  const time = element('time', 'muted', timeOf(message.createdAt));
  time.dateTime = new Date(message.createdAt * 1000).toISOString();
  about.append(time);
  return element('li', '', element('span', 'channel ' + message.channel, message.channel), about, copyButton(message.code));
}

function address(value, verified) {
  const cell = element('td', '', value || '');
  if (value) cell.append(' ', element('span', verified ? 'good' : 'muted', verified ? '✓ verified' : 'not verified'));
  return cell;
}

function userRow(user) {
  const rights = [...user.roleNames, ...user.userTenants.map((tenant) =>
    tenant.roleNames.length ? tenant.tenantId + ': ' + tenant.roleNames.join(', ') : tenant.tenantId)];
  const status = element('td', '', user.status);
  if (user.TOTP) status.append(' ', element('span', 'good', 'TOTP'));
  const loginIds = element('td', '', user.loginIds.join(', '), element('br'), element('code', 'muted', user.userId));
  return element('tr', '', loginIds, element('td', '', user.name), address(user.email, user.verifiedEmail),
    address(user.phone, user.verifiedPhone), element('td', '', rights.join(' · ')), status);
}

let messages = [];
let shown = '';

function showMessages() {
  const wanted = byId('filter').value.trim().toLowerCase();
  const matching = messages.filter((message) =>
    message.to.toLowerCase().includes(wanted) || message.loginId.toLowerCase().includes(wanted));
  // Rebuilt only when something changed, so that a screen reader and a selection are left alone.
  const key = JSON.stringify(matching.map((message) => message.id));
  if (key !== shown) {
    shown = key;
    byId('messages').replaceChildren(...matching.reverse().map(messageItem));
  }
  byId('no-messages').hidden = matching.length > 0;
}

let shownUsers = '';

function showUsers(users) {
  const key = JSON.stringify(users);
  if (key === shownUsers) return;
  shownUsers = key;
  byId('users').replaceChildren(...users.map(userRow));
  byId('no-users').hidden = users.length > 0;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const [inbox, directory] = await Promise.all([get('messages'), get('users')]);
    messages = inbox.messages;
    showMessages();
    showUsers(directory.users);
    byId('offline').hidden = true;
  } catch {
    byId('offline').hidden = false;
  }
}

async function showProject() {
  const project = await get('project');
  for (const [name, value] of [['Base URL', project.baseUrl], ['Project id', project.projectId]]) {
    byId('project').append(element('div', '', element('dt', '', name), element('dd', '', element('code', '', value))));
  }
}

byId('filter').addEventListener('input', showMessages);
document.addEventListener('visibilitychange', refresh);
showProject().catch(() => {});
refresh();
setInterval(refresh, 1500);
