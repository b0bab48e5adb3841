// A separate file, because the page's Content-Security-Policy allows no inline script.

// Opens the operation that the URL fragment names. Swagger UI's own function treats each underscore of an operationId as a space
// of a deprecated link, and logs an error to the console.
const deepLinks = () => ({
  statePlugins: {
    layout: {
      wrapActions: {
        parseDeepLinkHash: (_original, { layoutActions, layoutSelectors }) => (hash) => {
          const [tag, operation] = hash.replace(/^#?!?\/?/, "").split("/");
          const target = layoutSelectors.isShownKeyFromUrlHashArray([tag, operation]);
          layoutActions.show(layoutSelectors.isShownKeyFromUrlHashArray([tag]), true);
          layoutActions.show(target, true);
          layoutActions.scrollTo(target);
        },
      },
    },
  },
});

// Makes "Authorize" offer what this page can use. Swagger UI would fetch the metadata of an OpenID Connect issuer, which is on another
// host, so that the Content-Security-Policy forbids it: a token of that issuer is pasted instead. HTTP Basic is an alternative to the
// payload of /oauth/token, but Swagger UI would open the dialog at its fields, where an id and a secret do not authorize anything else.
const usableSchemes = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (original) => (document) => original(withUsableSchemes(document)),
      },
    },
  },
});

function withUsableSchemes(document) {
  const schemes = document.components?.securitySchemes ?? {};
  for (const [name, scheme] of Object.entries(schemes)) {
    if (scheme.type === "openIdConnect") {
      const description = `${scheme.description}\n\nGet a token from the issuer, and paste it here.`;
      schemes[name] = { type: "http", scheme: "bearer", description };
    } else if (scheme.scheme === "basic") {
      delete schemes[name];
      removeRequirements(document, name);
    }
  }
  return document;
}

function removeRequirements(document, name) {
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    // An empty requirement would show a padlock with an empty dialog.
    operation.security = operation.security?.filter((each) => Object.keys(each).length > 0 && !(name in each));
  }
}

// Without credentials, which are cookies and the browser's own passwords, a wrong secret does not open the browser's password prompt.
// Other requests keep them, because a proxy may use cookies.
function withoutPrompt(request) {
  if (request.url.endsWith("/oauth/token")) {
    request.credentials = "omit";
  }
  return request;
}

window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor: withoutPrompt,
    plugins: [deepLinks, usableSchemes],
  });
});
