"use strict";

const $ = (id) => document.getElementById(id);

function show(id) {
  for (const part of ["ask", "verify", "signed-in"]) $(part).hidden = part !== id;
  $("error").textContent = "";
}

// The mounted endpoints have Descope's own paths and error bodies.
async function call(path, body) {
  const response = await fetch("/auth/v1/auth" + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.errorDescription || "something went wrong");
  return reply;
}

function guard(action) {
  return async (event) => {
    event.preventDefault();
    try {
      await action();
    } catch (error) {
      $("error").textContent = error.message;
    }
  };
}

async function refresh() {
  const response = await fetch("/api/me");
  if (response.status === 401) return show("ask");
  if (!response.ok) {
    show("ask");
    $("error").textContent = "sign-in is not available right now";
    return;
  }
  const me = await response.json();
  $("who").textContent = "Signed in as " + me.id;
  $("me").textContent = JSON.stringify(me, null, 2);
  show("signed-in");
}

$("ask").addEventListener("submit", guard(async () => {
  const sent = await call("/otp/signup-in/email", { loginId: $("email").value });
  show("verify");
  $("sent").textContent = "A code is on its way to " + sent.maskedEmail + ".";
  $("code").value = "";
  $("code").focus();
}));

$("verify").addEventListener("submit", guard(async () => {
  await call("/otp/verify/email", { loginId: $("email").value, code: $("code").value.trim() });
  await refresh();
}));

$("back").addEventListener("click", () => show("ask"));

$("profile").addEventListener("click", guard(async () => {
  const response = await fetch("/api/profile");
  $("me").textContent = JSON.stringify(await response.json(), null, 2);
}));

$("logout").addEventListener("click", guard(async () => {
  await call("/logout", {});
  await refresh();
}));

refresh();
