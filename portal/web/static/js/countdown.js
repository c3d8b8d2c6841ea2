/* Keeps "12 days 3 hours" true; seconds are shown in the last hour. */
const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

export function left(seconds) {
  if (seconds <= 0) return "passed";
  const from = units.findIndex(([size]) => seconds >= size);
  const parts = [];
  for (const [size, name] of units.slice(from, from + 2)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count && !(name === "second" && from < 2)) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return parts.join(" ");
}

export function countDown(element) {
  const at = new Date(element.dateTime);
  const tick = () => {
    const seconds = Math.floor((at - Date.now()) / 1000);
    const text = left(seconds);
    if (element.textContent !== text) element.textContent = text;
    if (seconds > 0 && element.isConnected) setTimeout(tick, seconds < 3600 ? 1000 : 30000);
  };
  tick();
}
