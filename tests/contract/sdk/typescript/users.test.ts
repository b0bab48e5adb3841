// Tests of the client against the service at USERS_API, which requires access tokens if CLIENT_ID is set.
import assert from "node:assert/strict";
import test from "node:test";
import { createUser, defaults, deleteUser, getUser, listUsers, patchUser, ping, updateUser } from "users-api-client";
import { bearer, credentials } from "./logging_in.js";

defaults.baseUrl = process.env["USERS_API"]!;
if (credentials.client_id) defaults.headers = await bearer();
let people = 0;

function person() {
  people += 1;
  return { username: `grace ${process.pid}`, email: `grace.${process.pid}.${people}@example.org` };
}

async function add(newcomer = person()) {
  const added = await createUser(newcomer);
  assert.equal(added.status, 201);
  return { user: added.data.data, etag: added.headers.get("ETag")! };
}

test("the service answers", async () => {
  const answer = await ping();

  assert.deepEqual(answer.data, { status: "success", message: "pong" });
});

test("a user is added, read, replaced, changed and removed", async () => {
  const { user, etag } = await add();

  const unchanged = await getUser(user.id, { ifNoneMatch: etag });
  const replaced = await updateUser(user.id, { username: "Hopper", email: user.email }, { ifMatch: etag });
  const changed = await patchUser(user.id, { active: false });
  const read = await getUser(user.id);
  const removed = await deleteUser(user.id);
  const gone = await getUser(user.id);

  assert.equal(unchanged.status, 304);
  assert.equal(replaced.status, 200);
  assert.deepEqual(replaced.data.data, { ...user, username: "Hopper" });
  assert.equal(changed.status, 200);
  assert.equal(read.status, 200);
  assert.deepEqual(read.data.data, { ...user, username: "Hopper", active: false });
  assert.equal(removed.status, 200);
  assert.equal(removed.data.message, `${user.email} was removed!`);
  assert.equal(gone.status, 404);
  assert.equal(gone.data.message, "User does not exist");
});

test("next leads through all pages", async () => {
  const { username } = person();
  const ids = [];
  for (let made = 0; made < 5; made += 1) ids.push((await add({ ...person(), username: `${username} paged` })).user.id);

  const found = [];
  let next: string | null = "?after=0";
  while (next !== null) {
    const after = Number(new URLSearchParams(next.slice(next.indexOf("?"))).get("after"));
    const page = await listUsers({ username: `${username} paged`, limit: 2, after });
    assert.equal(page.status, 200);
    found.push(...page.data.data.users.map((user) => user.id));
    next = page.data.data.next;
  }

  assert.deepEqual(found, ids);
});

test("a search is walked forth and back", async () => {
  const { username } = person();
  for (let made = 0; made < 3; made += 1) await add({ ...person(), username: `${username} sought ${made}` });
  const q = `${username} SOUGHT`;

  const first = await listUsers({ q, limit: 2 });
  assert.equal(first.status, 200);
  const second = await listUsers({ q, limit: 2, ...place(first.data.data.next!, "after") });
  assert.equal(second.status, 200);
  const again = await listUsers({ q, limit: 2, ...place(second.data.data.prev!, "before") });
  const newest = await listUsers({ order: "-created_date", createdAfter: "2026-01-01T00:00:00Z", limit: 1 });

  assert.deepEqual(second.data.data.users.map((user) => user.username), [`${username} sought 2`]);
  assert.equal(second.data.data.next, null);
  assert.deepEqual(again.data, first.data);
  assert.equal(newest.status, 200);
  assert.deepEqual(newest.data.data.users, second.data.data.users);
});

function place(link: string, side: "after" | "before") {
  const query = new URLSearchParams(link.slice(link.indexOf("?")));
  return { [side]: Number(query.get(side)), key: query.get("key")! };
}

test("a refused payload names its errors", async () => {
  const answer = await createUser({ username: "a".repeat(129), email: "nobody" });

  assert.equal(answer.status, 400);
  assert.equal(answer.data.message, "Invalid payload.");
  assert.deepEqual(answer.data.errors?.map((error) => error.field).sort(), ["email", "username"]);
});

test("a taken address has no errors", async () => {
  const { user } = await add();

  const answer = await createUser({ username: "Eve", email: user.email });

  assert.equal(answer.status, 400);
  assert.deepEqual(answer.data, { status: "fail", message: "Sorry. That email already exists." });
});

test("a stale version is refused", async () => {
  const { user, etag } = await add();
  await patchUser(user.id, { active: false }, { ifMatch: etag });

  const answer = await deleteUser(user.id, { ifMatch: etag });

  assert.equal(answer.status, 412);
  assert.deepEqual(answer.data, { status: "fail", message: "Precondition failed." });
});
