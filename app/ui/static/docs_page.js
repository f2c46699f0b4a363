// API reference: an introduction with an example, and Swagger UI for the service's OpenAPI document, in the theme of the system.

import { byId } from "./dom.js";

byId("service-url").textContent = location.origin;

const dark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followTheme);
followTheme();

SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  docExpansion: "none", // all operations at once are a page of 22,000 pixels, and take seconds to draw
  validatorUrl: null, // the default sends the document to another site
  requestInterceptor: (/** @type {{headers: Record<string, string>}} */ request) => {
    request.headers["X-IIS-Page"] = "1"; // lets requests from this page use the cookie
    return request;
  },
});
