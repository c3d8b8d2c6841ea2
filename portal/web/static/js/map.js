/* Draws the layers a figure names over its picture or table. The fallback stays when WebGL or the script is missing. */
import { colour } from "./colour.js";

const vendor = new URL("../vendor/", import.meta.url);
const ROLES = { plain: "--ink-soft", hit: "--good", miss: "--bad", truth: "--water", gold: "--gold" };

function hasWebGL() {
  return Boolean(document.createElement("canvas").getContext("webgl2"));
}

function graticule([west, south, east, north]) {
  const span = Math.max(east - west, north - south);
  const power = 10 ** Math.floor(Math.log10(span / 4 || 1));
  const step = Math.min(30, power * ([5, 2].find((size) => span / (size * power) >= 4) ?? 1));
  const lines = [];
  for (let x = Math.floor((west - span) / step) * step; x <= Math.min(180, east + span); x += step) lines.push([[x, -85], [x, 85]]);
  for (let y = Math.floor((south - span) / step) * step; y <= Math.min(85, north + span); y += step) lines.push([[-180, y], [180, y]]);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
}

const corners = ([west, south, east, north]) => [[west, north], [east, north], [east, south], [west, south]];

function paint(layer) {
  const own = colour(ROLES[layer.role] ?? "--gold");
  const shade = ["case", ["has", "hit"], ["case", ["get", "hit"], colour("--good"), colour("--bad")], ["==", ["get", "found"], false], colour("--ink"), ["has", "found"], colour("--water"), own];
  if (layer.kind === "raster") return [{ type: "raster", paint: { "raster-resampling": "nearest", "raster-opacity": 0.85 } }];
  if (layer.kind === "lines") return [{ type: "line", paint: { "line-color": shade, "line-width": 1.5 } }];
  const fill = { type: "fill", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": shade, "fill-opacity": 0.25, "fill-outline-color": shade } };
  const edge = { type: "line", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": shade, "line-width": 1.5 } };
  const spot = { type: "circle", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": shade, "circle-radius": 5, "circle-stroke-color": colour("--ink"), "circle-stroke-width": 1 } };
  return layer.kind === "points" ? [spot] : [fill, edge, spot];
}

function style(bounds) {
  const lines = { id: "graticule", type: "line", source: "graticule", paint: { "line-color": colour("--line-strong"), "line-width": 0.5 } };
  if (isLocal(bounds)) {
    const paper = { id: "paper", type: "background", paint: { "background-color": colour("--paper") } };
    return { version: 8, sources: { graticule: { type: "geojson", data: graticule(bounds) } }, layers: [paper, lines] };
  }
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: new URL("world-atlas/land.geojson", vendor).href, attribution: "Natural Earth" },
      graticule: { type: "geojson", data: graticule(bounds) },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": colour("--water-wash") } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": colour("--paper"), "fill-outline-color": colour("--line-strong") } },
      lines,
    ],
  };
}

function legendRow(map, layer, ids, shown) {
  const row = document.createElement("li");
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = shown;
  const draw = () => ids.forEach((id) => map.setLayoutProperty(id, "visibility", box.checked ? "visible" : "none"));
  box.addEventListener("change", draw);
  draw();
  label.append(box, ` ${layer.name}`);
  row.append(label);
  return row;
}

function describe(gl, map, ids) {
  map.on("click", (event) => {
    const [feature] = map.queryRenderedFeatures(event.point, { layers: ids });
    if (!feature) return;
    const list = document.createElement("dl");
    for (const [name, value] of Object.entries(feature.properties).slice(0, 8)) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = String(value);
      list.append(term, text);
    }
    new gl.Popup({ maxWidth: "16rem" }).setLngLat(event.lngLat).setDOMContent(list).addTo(map);
  });
}

function addLayers(gl, map, layers, legend) {
  const clickable = [];
  layers.forEach((layer, index) => {
    const source = `s${index}`;
    if (layer.kind === "raster") map.addSource(source, { type: "image", url: layer.url, coordinates: corners(layer.bounds) });
    else map.addSource(source, { type: "geojson", data: layer.data ?? layer.url });
    const ids = paint(layer).map((part, n) => {
      const id = `${source}-${n}`;
      map.addLayer({ id, source, ...part });
      if (layer.kind !== "raster") clickable.push(id);
      return id;
    });
    const covered = layer.kind === "raster" && layers.findLastIndex((other) => other.kind === "raster") !== index;
    legend.append(legendRow(map, layer, ids, !covered));
  });
  describe(gl, map, clickable);
}

function positions(coordinates) {
  return typeof coordinates[0] === "number" ? [coordinates] : coordinates.flatMap(positions);
}

const json = async (url) => (await fetch(url)).json();

/* Where a layer lies: its own word, the place beside a picture, or its positions. */
async function cornersOf(layer) {
  if (layer.kind === "raster") {
    layer.bounds ??= (await json(layer.place)).bounds;
    return [layer.bounds.slice(0, 2), layer.bounds.slice(2)];
  }
  layer.data = await json(layer.url);
  return (layer.data.features ?? [layer.data]).flatMap((feature) => (feature.geometry ? positions(feature.geometry.coordinates) : []));
}

async function extentOf(layers) {
  const places = (await Promise.all(layers.map(cornersOf))).flat();
  if (!places.length) return null;
  const box = [180, 90, -180, -90];
  for (const [x, y] of places) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

/* Local units come as metres around 0, 0, where there is only sea: there no land is drawn. */
const isLocal = (box) => box.every((edge) => Math.abs(edge) < 4);

export async function start(figure) {
  if (!hasWebGL()) return;
  const [gl, answer] = await Promise.all([import(new URL("maplibre-gl/maplibre-gl.mjs", vendor).href), fetch(figure.dataset.layers)]);
  if (!answer.ok) return;
  const { bounds, layers } = await answer.json();
  const extent = bounds ?? (await extentOf(layers));
  if (!layers.length || !extent) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("maplibre-gl/maplibre-gl.css", vendor).href;
  document.head.append(link);
  const container = figure.querySelector(".map-canvas");
  container.hidden = false;
  figure.classList.add("is-live");
  gl.setWorkerUrl(new URL("maplibre-gl/maplibre-gl-worker.mjs", vendor).href);
  const map = new gl.Map({ container, style: style(extent), bounds: extent, fitBoundsOptions: { padding: 24, maxZoom: 20 }, attributionControl: { compact: true }, dragRotate: false, cooperativeGestures: true, fadeDuration: 0 });
  map.addControl(new gl.NavigationControl({ showCompass: false }));
  map.addControl(new gl.ScaleControl({ unit: "metric" }));
  const legend = document.createElement("ul");
  legend.className = "map-legend";
  figure.querySelector(".map-fallback").prepend(legend);
  map.once("load", () => addLayers(gl, map, layers, legend));
  map.once("idle", () => { figure.dataset.ready = "true"; });
}
