/* Gives each element what its data attributes ask for, once. */
import { showLocal } from "./time.js";
import { countDown } from "./countdown.js";
import { offerCopy } from "./copy.js";

const done = new WeakSet();
const small = [["time[data-time]", showLocal], ["time[data-countdown]", countDown], ["button[data-copy]", offerCopy]];
const large = [["[data-map]", "./map.js"], ["[data-chart]", "./chart.js"], ["form[data-upload]", "./upload.js"]];

function fresh(root, selector) {
  const found = [...root.querySelectorAll(selector)].filter((element) => !done.has(element));
  found.forEach((element) => done.add(element));
  return found;
}

export function enhance(root) {
  for (const [selector, start] of small) fresh(root, selector).forEach(start);
  for (const [selector, module] of large) {
    const found = fresh(root, selector);
    if (found.length) import(module).then((loaded) => found.forEach(loaded.start));
  }
}
