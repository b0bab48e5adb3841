// A file of its own, since the page's Content-Security-Policy allows no inline script.

// Opens what the address names. Swagger UI's own function takes each underscore of an operationId for a space in a link of old,
// and reports it as an error in the console.
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
