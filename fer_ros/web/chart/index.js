// The chart of valence over time.

import { shade, signed } from "./format.js";
export { shade, signed } from "./format.js";
export { clock, MARKERS, Notes, SUMMARY } from "./notes.js";

// The lines in words, for those who do not see the chart.
//   lines: [{id, smoothed: [[time, valence] or [null, null]]}]
//   texts: {summary, summary_none}
export function summary(lines, texts) {
  const parts = lines.flatMap(({ id, smoothed }) => {
    const values = smoothed.map((point) => point[1]).filter((value) => value !== null);
    if (!values.length) return [];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const least = values.reduce((a, b) => Math.min(a, b));
    const most = values.reduce((a, b) => Math.max(a, b));
    return [texts.summary.replace("{face}", id).replace("{last}", signed(values.at(-1))).replace("{mean}", signed(mean))
      .replace("{least}", signed(least)).replace("{most}", signed(most))];
  });
  return parts.join(" ") || texts.summary_none;
}

// Whether shortcuts of a single key are on; off is remembered by the browser.
const KEYS = "fer-keys-off";
export function keysOn() { return localStorage.getItem(KEYS) === null; }
export function switchKeys(on) {
  if (on) localStorage.removeItem(KEYS);
  else localStorage.setItem(KEYS, "1");
}

// The template of their list, with the switch; for a component with keys, setKeys and texts.
export const SHORTCUTS = `
<details class="fer-hint">
  <summary>{{ texts.shortcuts }}</summary>
  <label class="fer-check"><input type="checkbox" :checked="keys" @change="setKeys($event.target.checked)">
    {{ texts.keys_on }}</label>
  <dl class="fer-keys"><div v-for="[key, meaning] in texts.shortcut_list" :key="key">
    <dt><kbd>{{ key }}</kbd></dt><dd>{{ meaning }}</dd></div></dl>
</details>`;

// Draws a chart no sooner than `period` ms after the last time, and so seldom that drawing takes at most the share `SHARE`
// of the time: a chart with many lines, or on a slow machine, is drawn less often and leaves time for everything else.
const SHARE = 0.1;
export class Pace {
  constructor(period) {
    this.period = period;
    this.due = 0;
  }

  get isDue() { return performance.now() >= this.due; }

  draw(chart, option) {
    const begin = performance.now();
    chart.setOption(option, { replaceMerge: ["series"] });
    chart.getZr().flush(); // now, not in the next animation frame, so that the time is known
    const end = performance.now();
    this.took = end - begin;
    this.due = begin + Math.max(this.period, this.took / SHARE);
  }
}

// An option for ECharts.
//   lines: [{id, light, dark, dash, smoothed: [[time, valence] or [null, null]], raw: the same}]
//   axis: options of the time axis that differ from the default
//   names: {positive, neutral, negative} of the bands
//   marks: [{time, label}], moments
export function valenceOption({ palette, names, lines, axis, marks = [], dark }) {
  const ink = dark ? "#d8d8d8" : "#444444";
  const faint = dark ? "#484848" : "#dddddd";
  const series = lines.flatMap((line) => {
    const colour = shade(line, dark);
    const common = { type: "line", showSymbol: false, silent: true, connectNulls: false };
    return [
      { ...common, id: line.id + " raw", name: line.id + " raw", z: 2, data: line.raw,
        lineStyle: { color: colour, width: 1, opacity: 0.55 } },
      { ...common, id: line.id, name: line.id, z: 3, data: line.smoothed,
        lineStyle: { color: colour, width: 2.5, type: line.dash.length ? line.dash : "solid" } },
    ];
  });
  const bands = Object.entries(palette.groups).map(([name, group]) => [
    { yAxis: group.bounds[0], name: names[name], itemStyle: { color: shade(group, dark), opacity: 0.1 },
      // The line of zero goes through the middle of the neutral band.
      label: { color: shade(group, dark), position: "insideLeft", fontSize: 12, offset: [0, name === "neutral" ? -9 : 0] } },
    { yAxis: group.bounds[1] },
  ]);
  series.push({ id: " bands", type: "line", data: [], silent: true, z: 0,
    markArea: { silent: true, data: bands },
    markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: ink, type: "solid", width: 1,
      opacity: 0.6 }, data: [{ yAxis: 0 }, ...marks.map(({ time, label }) => ({ xAxis: time,
        lineStyle: { type: [2, 3], width: 1.5, opacity: 1 },
        label: { show: true, formatter: label, position: "insideEndTop", rotate: 0, color: ink } }))] } });
  const { axisLabel, ...ofTime } = axis;
  return {
    animation: false,
    grid: { left: 44, right: 14, top: marks.length ? 22 : 10, bottom: 42 }, // markers have their number above
    xAxis: { type: "value", nameLocation: "middle", nameGap: 26, nameTextStyle: { color: ink },
      axisLabel: { color: ink, ...axisLabel }, splitLine: { lineStyle: { color: faint } },
      axisLine: { onZero: false, lineStyle: { color: ink } }, ...ofTime },
    yAxis: { type: "value", min: -1, max: 1, interval: 0.5, axisLine: { onZero: false }, splitLine: { lineStyle: { color: faint } },
      axisLabel: { color: ink, formatter: (v) => (v ? signed(v, Number.isInteger(v) ? 0 : 1) : "0") } },
    series,
  };
}
