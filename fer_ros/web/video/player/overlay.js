// Boxes, names, emotions and valence bars over a frame, as fer_ros/drawing/annotate.py draws them.
import { signed } from "fer-chart";

const FAINT = 0.4; // quality below which a box is thin
const INK = "#282828";

// faces: [{name, light, emotion, confidence, valence, quality, box relative to the size}]; the largest first
// groups: {positive, negative: {light}}, colours of the bar
export function drawFaces(context, width, height, faces, groups) {
  const size = Math.max(11, Math.min(height, width * 0.75) / 36);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const face of [...faces].reverse()) drawFace(context, width, height, face, groups, size);
}

function drawFace(context, width, height, face, groups, size) {
  const [x, y, w, h] = face.box;
  const left = clamp(x * width, 0, width), top = clamp(y * height, 0, height);
  const right = clamp((x + w) * width, 0, width), bottom = clamp((y + h) * height, 0, height);
  const line = face.quality < FAINT ? 1 : Math.max(1.5, size / 6);
  for (const [colour, thickness] of [["#ffffff", line + 2], [face.light, line]]) {
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  const row = size * 1.5;
  const label = `${face.name}  ${face.emotion} ${Math.round(100 * face.confidence)} %`;
  const long = Math.min(context.measureText(label).width + size * 0.8, width);
  const start = clamp(left, 0, width - long);
  const above = top >= row ? top - row : top;
  context.fillStyle = face.light;
  context.fillRect(start, above, long, row);
  context.fillStyle = "#ffffff";
  context.fillText(label, start + size * 0.4, above + row / 2, long);
  drawBar(context, face, groups, { left, top: Math.min(bottom + line, height - row), size, row,
    long: Math.min(Math.max(right - left, 8 * size), width - left) });
}

function drawBar(context, face, groups, { left, top, size, row, long }) {
  const number = signed(face.valence);
  const text = context.measureText(number).width + size * 0.6;
  context.fillStyle = INK;
  context.fillRect(left, top, long, row);
  context.fillStyle = "#ffffff";
  context.fillText(number, left + long - text + size * 0.3, top + row / 2);
  const bar = long - text - size * 0.3;
  if (bar < size) return;
  const zero = left + size * 0.3 + bar / 2, high = row * 0.5;
  context.fillStyle = "#e1e1e1";
  context.fillRect(zero - bar / 2, top + (row - high) / 2, bar, high);
  context.fillStyle = groups[face.valence < 0 ? "negative" : "positive"].light;
  context.fillRect(Math.min(zero, zero + (face.valence * bar) / 2), top + (row - high) / 2,
    (Math.abs(face.valence) * bar) / 2, high);
  context.fillStyle = INK;
  context.fillRect(zero - 0.5, top + (row - high) / 2, 1, high);
}

function clamp(value, least, most) { return Math.min(Math.max(value, least), Math.max(least, most)); }
