// The faces of a recording, which grows while it is analysed, or of a camera.

const EMOTION = 1, CONFIDENCE = 3, VALENCE = 4, RAW = 5, QUALITY = 6, BOX = 7; // as playback.py writes them

export class Recording {
  // least: seconds; faces seen for less have no line.
  // silence: seconds without a frame that always leave a gap in a line.
  constructor({ least, silence, emotions }) {
    Object.assign(this, { least, silence, emotions });
    this.times = []; // of all frames, in seconds from the first
    this.frames = []; // the faces of each, as they came
    this.faces = new Map(); // id -> { id, light, dark, dash, frames, valence, raw }
  }

  get count() { return this.times.length; }

  append(lines) {
    for (const { t, faces, styles } of lines) {
      for (const id of Object.keys(styles ?? {}).filter((one) => !this.faces.has(one))) {
        this.faces.set(id, { id, ...styles[id], frames: [], valence: [], raw: [] });
      }
      for (const found of faces) {
        const face = this.faces.get(found[0]);
        face.frames.push(this.times.length);
        face.valence.push(found[VALENCE]);
        face.raw.push(found[RAW]);
      }
      this.times.push(t);
      this.frames.push(faces);
    }
  }

  // Drop what was before this time; a face that is not left is known again when its style comes.
  forget(time) {
    const count = this.times.findIndex((one) => one >= time);
    if (count < 1) return;
    this.times.splice(0, count);
    this.frames.splice(0, count);
    for (const face of this.faces.values()) {
      const first = face.frames.findIndex((frame) => frame >= count);
      const gone = first < 0 ? face.frames.length : first;
      for (const list of [face.frames, face.valence, face.raw]) list.splice(0, gone);
      if (!face.frames.length) this.faces.delete(face.id);
      face.frames = face.frames.map((frame) => frame - count);
    }
  }

  // The faces that have a line.
  lasting() {
    return [...this.faces.values()].filter(({ frames }) =>
      this.times[frames.at(-1)] - this.times[frames[0]] >= this.least);
  }

  // The faces in a frame.
  at(index) {
    return (this.frames[index] ?? []).map((found) => ({ ...this.faces.get(found[0]), emotion: this.emotions[found[EMOTION]],
      confidence: found[CONFIDENCE], valence: found[VALENCE], quality: found[QUALITY], box: found.slice(BOX) }));
  }

  // Of a face: [[time, value] or [null, null] for a gap].
  points(face, values) {
    const longest = this.longestStep();
    const { times } = this;
    return face.frames.flatMap((frame, place) => {
      const point = [times[frame], values[place]];
      const before = face.frames[place - 1];
      const gap = place && (frame - before > 1 || times[frame] - times[before] > longest);
      return gap ? [[null, null], point] : [point];
    });
  }

  // Seconds between two frames above which a line has a gap.
  longestStep() {
    const last = this.times.slice(-200);
    const steps = last.slice(1).map((time, index) => time - last[index]).sort((a, b) => a - b);
    const middle = steps.length >> 1;
    const usual = steps.length ? (steps[middle] + steps[(steps.length - 1) >> 1]) / 2 : 0;
    return Math.max(this.silence, 4 * usual);
  }
}

// The last position in an ascending list whose value is at most `value`; 0 if there is none.
export function find(list, value) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
