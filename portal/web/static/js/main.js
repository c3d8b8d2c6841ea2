/* Starts the enhancements, and starts them again on what htmx brings in. Every page works without any of it. */
import { enhance } from "./enhance.js";

enhance(document);
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelector("[data-autofocus]")?.focus();
document.addEventListener("htmx:after:swap", () => enhance(document));
