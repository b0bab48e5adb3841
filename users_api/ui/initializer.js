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

window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    plugins: [deepLinks],
  });
});
