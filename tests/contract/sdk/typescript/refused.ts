// What the compiler must reject; never executed, and lines that compile unexpectedly are errors.
import { createUser, deleteUser, getUser, issueToken, listUsers, patchUser, updateUser } from "users-api-client";

// @ts-expect-error -- the email address is missing
export const withoutEmail = () => createUser({ username: "Grace" });
// @ts-expect-error -- there is no such property
export const withUnknown = () => createUser({ username: "Grace", email: "grace@example.org", nickname: "Amazing" });
// @ts-expect-error -- a replacement needs all required properties
export const partial = () => updateUser(1, { username: "Grace" });
// @ts-expect-error -- a flag is not a string
export const wrongType = () => patchUser(1, { active: "yes" });
// @ts-expect-error -- an id is a number
export const wrongId = () => deleteUser("1");
// @ts-expect-error -- a limit is a number
export const wrongLimit = () => listUsers({ limit: "2" });
// @ts-expect-error -- there is no such filter
export const wrongFilter = () => listUsers({ name: "Grace" });
// @ts-expect-error -- the grant type is missing
export const withoutGrant = () => issueToken({ client_id: "id", client_secret: "secret" });

export async function answers() {
  const read = await getUser(1);
  // @ts-expect-error -- the status is not yet known, and an error has no user
  read.data.data;
  // @ts-expect-error -- this operation never returns this status
  if (read.status === 409) return;
  // @ts-expect-error -- only a refusal has errors
  if (read.status === 404) return read.data.errors;
  // @ts-expect-error -- this status has no body
  if (read.status === 304) return read.data.data;
  // @ts-expect-error -- the column is private
  if (read.status === 200) return read.data.data.version;
  const page = await listUsers();
  // @ts-expect-error -- the last page has no next page
  if (page.status === 200) return page.data.data.next.length;
  const issued = await issueToken({ grant_type: "client_credentials" });
  // @ts-expect-error -- the status is not yet known, and a refusal has no token
  issued.data.access_token;
  // @ts-expect-error -- there is no such code
  if (issued.status === 401) return issued.data.error === "invalid_token";
  return undefined;
}
