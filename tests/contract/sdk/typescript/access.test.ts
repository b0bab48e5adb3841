// Tests of the client against the service at USERS_API, which requires access tokens.
import assert from "node:assert/strict";
import test from "node:test";
import { createUser, defaults, getUser, issueToken, listTokenKeys, listUsers, ping, readMetrics } from "users-api-client";
import { bearer, credentials } from "./logging_in.js";

defaults.baseUrl = process.env["USERS_API"]!;

test("without a token, or with a wrong one, the result is 401", async () => {
  const missing = await listUsers();
  const wrong = await getUser(1, {}, { headers: { Authorization: "Bearer wrong" } });

  assert.equal(missing.status, 401);
  assert.deepEqual(missing.data, { status: "fail", message: "Authentication required." });
  assert.equal(wrong.status, 401);
  assert.deepEqual(wrong.data, { status: "fail", message: "Invalid token." });
});

test("without the scope, the result is 403", async () => {
  const headers = await bearer("users:read");

  const listed = await listUsers({}, { headers });
  const added = await createUser({ username: "Mallory", email: "mallory@example.org" }, { headers });
  const metrics = await readMetrics({ headers });

  assert.equal(listed.status, 200);
  assert.equal(added.status, 403);
  assert.deepEqual(added.data, { status: "fail", message: "Insufficient scope." });
  assert.equal(metrics.status, 403);
});

test("what is open needs no token", async () => {
  const pong = await ping();
  const published = await listTokenKeys();

  assert.equal(pong.status, 200);
  assert.equal(published.status, 200);
  assert.deepEqual(published.data.keys.map((key) => key.alg), ["ES256"]);
});

test("a login with a wrong secret is refused", async () => {
  const answer = await issueToken({ grant_type: "client_credentials", ...credentials, client_secret: "wrong" });

  assert.equal(answer.status, 401);
  assert.deepEqual(answer.data, {
    error: "invalid_client",
    error_description: "The client is unknown or revoked, or its secret is wrong.",
  });
});

test("a login for a scope of others is refused", async () => {
  const answer = await issueToken({ grant_type: "client_credentials", scope: "metrics:read", ...credentials });

  assert.equal(answer.status, 400);
  assert.equal(answer.data.error, "invalid_scope");
});
