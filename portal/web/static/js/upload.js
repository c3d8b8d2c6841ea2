/* A file form with a progress bar and a drop area. Without it the same form is a plain POST. */
import { enhance } from "./enhance.js";

const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 2 })} MB`;

export function start(form) {
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const line = form.querySelector("[data-upload-line]");
  const bar = form.querySelector("progress");
  const limit = Number(form.dataset.maxBytes || Infinity);

  const describe = () => {
    const file = input.files[0];
    const late = file && file.size > limit;
    line.textContent = !file ? "" : `${file.name}, ${megabytes(file.size)}${late ? `: larger than the limit of ${megabytes(limit)}` : ""}`;
    input.setCustomValidity(late ? `The file is larger than the limit of ${megabytes(limit)}.` : "");
  };
  input.addEventListener("change", describe);
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("is-over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); input.files = event.dataTransfer.files; describe(); });

  form.addEventListener("submit", (event) => {
    if (!form.checkValidity()) { event.preventDefault(); form.reportValidity(); return; }
    event.preventDefault();
    send(form, line, bar);
  });
}

function send(form, line, bar) {
  const request = new XMLHttpRequest();
  const button = form.querySelector("button[type=submit]");
  const fail = () => {
    button.disabled = false;
    bar.hidden = true;
    line.textContent = "The connection broke before the receipt came. Send it again: the same file is counted once.";
  };
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    bar.value = event.loaded / event.total;
    line.textContent = event.loaded < event.total ? `Sent ${megabytes(event.loaded)} of ${megabytes(event.total)}` : "Sent. Waiting for the receipt.";
  });
  request.addEventListener("load", () => {
    if (request.status < 400) location.assign(request.responseURL);
    else show(request.responseText);
  });
  request.addEventListener("error", fail);
  request.addEventListener("abort", fail);
  button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  request.open("POST", form.action);
  request.send(new FormData(form));
}

function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.title = page.title;
  document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
  enhance(document);
  document.querySelector("[data-autofocus]")?.focus();
}
