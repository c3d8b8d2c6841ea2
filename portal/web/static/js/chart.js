/* A chart to point at, made from the table beside it: rows carry data-at (ISO time) and data-value. */
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { colour } from "./colour.js";

const LEAST = 600;

/* Ten minutes at least: what lies within one second would otherwise be drawn on a scale of years. */
const wide = (from, to) => (to - from < LEAST ? [(from + to - LEAST) / 2, (from + to + LEAST) / 2] : [from, to]);

export function start(figure) {
  const rows = [...document.querySelectorAll(`#${figure.dataset.chart} tr[data-at]`)];
  if (rows.length < 2) return;
  const times = rows.map((row) => Date.parse(row.dataset.at) / 1000);
  const values = rows.map((row) => Number(row.dataset.value));
  const canvas = document.createElement("div");
  canvas.className = "live-chart";
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../vendor/uplot/uPlot.min.css", import.meta.url);
  document.head.append(link);

  const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
  const second = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const hour = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
  const name = (_, splits, __, ___, step) => splits.map((at) => (step >= 86400 ? day : step >= 60 ? hour : second).format(at * 1000));
  const font = `12px ${getComputedStyle(figure).fontFamily}`;
  const axis = { font, stroke: () => colour("--ink-soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line") } };
  const options = (width) => ({
    width,
    height: 240,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    series: [
      { label: "Time (UTC)", value: (_, at) => (at == null ? "–" : new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")) },
      { label: figure.dataset.label, stroke: () => colour("--gold-ink"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { size: 7 } },
    ],
    scales: { x: { range: (_, from, to) => wide(from, to) } },
    axes: [{ ...axis, space: 80, values: name }, { ...axis, size: 70 }],
  });
  link.addEventListener("load", () => {
    figure.querySelector("svg")?.replaceWith(canvas);
    const plot = new uPlot(options(canvas.clientWidth), [times, values], canvas);
    new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: 240 })).observe(canvas);
    new MutationObserver(() => plot.redraw(false)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw(false));
  });
}
