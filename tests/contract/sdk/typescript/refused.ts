// What the compiler must refuse; it runs never, and each line that compiles after all is an error.
import { createUser, deleteUser, getUser, listUsers, patchUser, updateUser } from "users-api-client";

// @ts-expect-error -- the address is missing
export const withoutEmail = () => createUser({ username: "Grace" });
// @ts-expect-error -- there is no such property
export const withUnknown = () => createUser({ username: "Grace", email: "grace@example.org", nickname: "Amazing" });
// @ts-expect-error -- a replacement is whole
export const partial = () => updateUser(1, { username: "Grace" });
// @ts-expect-error -- a flag is no text
export const wrongType = () => patchUser(1, { active: "yes" });
// @ts-expect-error -- an id is a number
export const wrongId = () => deleteUser("1");
// @ts-expect-error -- a limit is a number
export const wrongLimit = () => listUsers({ limit: "2" });
// @ts-expect-error -- there is no such filter
export const wrongFilter = () => listUsers({ name: "Grace" });

export async function answers() {
  const read = await getUser(1);
  // @ts-expect-error -- the status is not yet known, and a failure has no user
  read.data.data;
  // @ts-expect-error -- this operation never answers so
  if (read.status === 409) return;
  // @ts-expect-error -- only a refusal has errors
  if (read.status === 404) return read.data.errors;
  // @ts-expect-error -- nothing is sent with this status
  if (read.status === 304) return read.data.data;
  // @ts-expect-error -- the column is not shown
  if (read.status === 200) return read.data.data.version;
  const page = await listUsers();
  // @ts-expect-error -- there is not always a next page
  if (page.status === 200) return page.data.data.next.length;
  return undefined;
}
