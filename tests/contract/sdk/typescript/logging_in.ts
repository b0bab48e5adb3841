// The client logs in with CLIENT_ID and CLIENT_SECRET.
import assert from "node:assert/strict";
import { issueToken } from "users-api-client";

const { CLIENT_ID: client_id = "", CLIENT_SECRET: client_secret = "" } = process.env;
export const credentials = { client_id, client_secret };

export async function bearer(scope = "") {
  const answer = await issueToken({ grant_type: "client_credentials", scope, ...credentials });
  assert.equal(answer.status, 200);
  return { Authorization: `Bearer ${answer.data.access_token}` };
}
