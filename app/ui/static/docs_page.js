// The API's own pages: Swagger UI, which comes with the service, over its OpenAPI document.

const { SwaggerUIBundle } = globalThis;

SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  validatorUrl: null, // would send the document to another site
  requestInterceptor: (request) => {
    request.headers["X-IIS-Page"] = "1"; // what is tried here may rest on the page's cookie
    return request;
  },
});
