// API reference: Swagger UI for the service's OpenAPI document.

SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  validatorUrl: null, // the default sends the document to another site
  requestInterceptor: (/** @type {{headers: Record<string, string>}} */ request) => {
    request.headers["X-IIS-Page"] = "1"; // lets requests from this page use the cookie
    return request;
  },
});
