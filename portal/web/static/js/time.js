/* Puts the reader's own clock beside a UTC time. */
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

export function showLocal(element) {
  const at = new Date(element.dateTime);
  const local = full.format(at);
  element.title = `${local} (${zone})`;
  if (element.dataset.time === "full" && at.getTimezoneOffset() !== 0) {
    const span = document.createElement("span");
    span.className = "soft local";
    span.textContent = ` · ${local}`;
    element.append(span);
  }
}
