// An authorization server for one client: `node server.mjs FILE`, a JSON file with all that it needs to know.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Provider } = createRequire(new URL("../../../build/", import.meta.url))("oidc-provider");
const { port, issuer, audience, client, keys } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      // The resource names the algorithm: `urn:users-api:ES256`.
      getResourceServerInfo: (_context, resource) => ({
        audience,
        scope: "users:read users:write metrics:read",
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
        jwt: { sign: { alg: resource.split(":").pop() } },
      }),
    },
  },
});

provider.listen(port, "127.0.0.1");
