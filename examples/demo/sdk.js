"use strict";

const $ = (id) => document.getElementById(id);

function show(id) {
  for (const part of ["missing", "ask", "verify", "waiting", "signed-in"]) $(part).hidden = part !== id;
  $("error").textContent = "";
}

function report(event, value) {
  const line = document.createElement("li");
  line.textContent = event + ": " + value;
  $("events").append(line);
}

// The SDK resolves with `ok: false` where Descope refuses, and rejects where there was no answer.
async function answer(call) {
  const reply = await call;
  if (!reply.ok) throw new Error(reply.error?.errorDescription || "something went wrong");
  return reply.data;
}

function guard(action) {
  return async (event) => {
    event.preventDefault();
    $("error").textContent = "";
    try {
      await action();
    } catch (error) {
      $("error").textContent = error.message;
    }
  };
}

async function read() {
  const response = await fetch("/api/me");
  const body = await response.text();
  $("me").dataset.status = response.status;
  $("me").textContent = response.ok ? JSON.stringify(JSON.parse(body), null, 2) : response.status + " " + body;
}

// A refresh says that there is a session, but not whose: after a reload the SDK has to ask for the user.
async function greet() {
  await read();
  if (!$("who").textContent) await answer(sdk.me());
}

function showTenants(claims) {
  const choices = Object.keys(claims?.tenants || {}).map((tenant) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dataset.tenant = tenant;
    button.disabled = claims.dct === tenant;
    button.textContent = (button.disabled ? "In " : "Go to ") + tenant;
    button.addEventListener("click", guard(async () => {
      await answer(sdk.selectTenant(tenant));
      await read();
    }));
    return button;
  });
  $("tenants").replaceChildren(...choices);
}

function start() {
  // Also for the console.
  window.sdk = Descope({
    projectId: document.body.dataset.project,
    baseUrl: location.origin + "/auth",
    persistTokens: false,
    autoRefresh: true,
    storeLastAuthenticatedUser: false,
  });

  sdk.onIsAuthenticatedChange((isAuthenticated) => {
    report("isAuthenticated", isAuthenticated);
    show(isAuthenticated ? "signed-in" : "ask");
    if (isAuthenticated) greet().catch((error) => { $("error").textContent = error.message; });
  });
  sdk.onUserChange((user) => {
    report("user", user ? user.userId : "none");
    $("who").textContent = user ? "Signed in as " + (user.email || user.phone || user.userId) : "";
  });
  sdk.onClaimsChange((claims) => {
    report("claims", claims ? Object.keys(claims).join(", ") : "none");
    showTenants(claims);
  });

  $("ask").addEventListener("submit", guard(async () => {
    const sent = await answer(sdk.otp.signUpOrIn.email($("email").value));
    show("verify");
    $("sent").textContent = "A code is on its way to " + sent.maskedEmail + ".";
    $("code").value = "";
    $("code").focus();
  }));
  $("verify").addEventListener("submit", guard(() => answer(sdk.otp.verify.email($("email").value, $("code").value.trim()))));
  $("back").addEventListener("click", () => show("ask"));
  $("notp").addEventListener("click", guard(async () => {
    // No phone number: who sends the message is who signs in.
    const started = await answer(sdk.notp.signUpOrIn(""));
    show("waiting");
    $("whatsapp").href = started.redirectUrl;
    $("whatsapp").dataset.pendingRef = started.pendingRef;
    await answer(sdk.notp.waitForSession(started.pendingRef));
  }));
  $("read").addEventListener("click", guard(read));
  $("refresh").addEventListener("click", guard(() => answer(sdk.refresh())));
  $("logout").addEventListener("click", guard(() => answer(sdk.logout())));

  // Is there a session? Script cannot see the cookies, so the server is asked, once for each page load.
  sdk.refresh().then(
    (reply) => { if (!reply.ok) show("ask"); },
    () => { show("ask"); $("error").textContent = "sign-in is not available right now"; },
  );
}

if (window.Descope) {
  start();
} else {
  show("missing");
  $("reports").hidden = true;
  fetch("/web-js-sdk.js").then((reply) => reply.text()).then((text) => { $("reason").textContent = text; });
}
