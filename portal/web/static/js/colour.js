/* The value of a colour token as the canvas needs it, for the theme of this moment. */
const probe = document.createElement("span");
probe.hidden = true;

export function colour(token) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${token})`;
  return getComputedStyle(probe).color;
}
