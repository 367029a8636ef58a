// The content of the tab Video: choice of a video, progress, and then the player with image, lines and downloads.
import { echarts } from "nicegui-echart";
import { shade, signed, summary, valenceOption } from "fer-chart";

const SOON = 400; // ms between two looks at a job that goes on
const LATER = 5000; // ms else; they also say that the page is still there
const AHEAD = 12; // frames fetched before they are shown
const KEPT = 40; // frames kept decoded
const LOADS = 4; // requests at a time
const PLACE = "fer-frame-"; // remembers the frame of a job over a reload
const PATIENCE = 500; // ms that the picture may be late before the clock waits for it

export default {
  props: { texts: Object, palette: Object, limit: Number, accept: String, angles: Array },
  template: `
<div class="fer-video" ref="root">
  <section v-if="!active && !player" class="fer-card fer-choose" :class="{ 'fer-over': over }"
    :aria-label="texts.choose" @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="dropped">
    <h2>{{ texts.choose }}</h2>
    <p v-if="problem" role="alert" class="fer-problem" data-testid="problem"><b>{{ shownName }}</b> {{ problem }}</p>
    <div class="fer-buttons">
      <label class="fer-file"><input ref="file" type="file" :accept="accept" :aria-label="texts.upload"
        aria-describedby="fer-video-hint" @change="picked"><span aria-hidden="true">{{ texts.upload }}</span></label>
      <q-btn no-caps outline icon="movie" :label="texts.clip" @click="begin(() => start('/video/clip?rotate=' + rotate))"/>
      <label>{{ texts.rotate }} <select v-model="rotate" class="fer-select">
        <option v-for="angle in angles" :key="angle" :value="angle">
          {{ texts.rotate_by.replace('{degrees}', angle) }}</option></select></label>
    </div>
    <p class="fer-empty" id="fer-video-hint">{{ texts.hint }}</p>
  </section>

  <section v-if="active" class="fer-card" :aria-label="texts.progress">
    <h2>{{ shownName }}</h2>
    <progress :max="1" :value="share > 0 ? share : null" :aria-label="texts.progress"></progress>
    <p role="status" data-testid="progress">{{ progressText }}</p>
    <div class="fer-buttons"><q-btn no-caps outline icon="close" :label="texts.cancel" @click="cancel"/></div>
  </section>

  <template v-if="player">
    <section class="fer-card fer-picture" :aria-label="texts.picture">
      <h2>{{ job.name || texts.clip_name }}</h2>
      <p v-if="job.message" role="status" class="fer-problem" data-testid="warning">{{ job.message }}</p>
      <canvas ref="canvas" role="img" :aria-label="texts.picture" :data-frame="shown" @click="toggle"></canvas>
    </section>

    <section class="fer-card fer-face" :aria-label="texts.faces">
      <h2>{{ texts.faces }}</h2>
      <table class="fer-faces"><tbody>
        <tr v-for="face in now" :key="face.id" :data-testid="'face-' + face.id">
          <th scope="row"><svg viewBox="0 0 32 8" width="32" height="8" aria-hidden="true">
            <line x1="0" y1="4" x2="32" y2="4" :stroke="shade(face)" stroke-width="3"
              :stroke-dasharray="face.dash.join(' ')"/></svg> {{ face.id }}</th>
          <template v-if="face.here"><td>{{ face.emotion }} {{ face.confidence }} %</td>
            <td class="fer-number">{{ face.valence }}</td></template>
          <td v-else colspan="2" class="fer-empty">{{ texts.away }}</td>
        </tr>
      </tbody></table>
      <p v-if="!now.length" class="fer-empty">{{ texts.nobody }}</p>
      <h2 class="fer-downloads">{{ texts.downloads }}</h2>
      <div class="fer-buttons">
        <q-btn v-for="kind in ['csv', 'png', 'mp4']" :key="kind" no-caps outline icon="download" type="a"
          :label="texts[kind]" :href="address('video.' + kind)" download/>
      </div>
      <div class="fer-buttons"><q-btn no-caps outline icon="upload" :label="texts.another"
        @click="ask(() => {})"/></div>
      <p class="fer-empty">{{ texts.kept }}</p>
    </section>

    <section class="fer-card fer-line" :aria-label="texts.line">
      <h2>{{ texts.line }} <small>{{ texts.smoothed }}, {{ texts.raw }}</small></h2>
      <div class="fer-scrub" @pointerdown="scrub" @pointermove="scrub">
        <div ref="chart" class="fer-chart" role="img" :aria-label="texts.chart" aria-describedby="fer-video-summary">
        </div>
        <div ref="veil" class="fer-veil"></div>
      </div>
      <p id="fer-video-summary" class="fer-unseen" data-testid="video-summary">{{ inWords }}</p>
      <div class="fer-controls">
        <q-btn round unelevated class="fer-main" :icon="playing ? 'pause' : 'play_arrow'"
          :aria-label="playing ? texts.pause : texts.play" @click="toggle"/>
        <input type="range" min="0" :max="count - 1" step="1" :value="shown" :aria-label="texts.position"
          :aria-valuetext="position" @input="show(Number($event.target.value), true)">
        <span class="fer-number" data-testid="position">{{ position }}</span>
      </div>
      <p class="fer-empty fer-hint">{{ texts.keys }}</p>
    </section>
  </template>

  <dialog ref="dialog" class="fer-dialog" aria-labelledby="fer-ask" @close="after = null">
    <h2 id="fer-ask">{{ texts.replace.replace("{name}", shownName) }}</h2>
    <p>{{ texts.replace_hint }}</p>
    <div class="fer-buttons">
      <q-btn no-caps outline :label="texts.keep" @click="$refs.dialog.close()"/>
      <q-btn no-caps unelevated color="negative" icon="delete" :label="texts.remove" @click="replace"/>
    </div>
  </dialog>
</div>`,

  data() {
    return {
      job: null, // as /video/state tells
      player: null, // id of the job that is played
      problem: "", // why there is no job
      sent: 0, // share of the upload
      sending: "", // name of what is being sent
      over: false,
      rotate: 0, // degrees clockwise
      dark: false,
      playing: false,
      inWords: "", // the lines
      shown: 0, // number of the frame in the picture
      count: 1,
    };
  },

  computed: {
    active() { return this.sending !== "" || (this.job && !["done", "failed"].includes(this.job.state)); },
    shownName() { return this.sending || this.job?.name || (this.job ? this.texts.clip_name : ""); },
    share() { return this.sending ? this.sent : this.job.share; },
    progressText() {
      let state = this.sending ? "uploading" : this.job.state;
      if (state === "running" && !this.job.frames) state = "starting"; // the built-in clip is written first
      const percent = Math.floor(100 * this.share);
      const text = this.texts["state_" + state].replace("{percent}", percent).replace("{frames}", this.job?.frames);
      return state === "running" && this.job.left !== null
        ? text + " " + this.texts.left.replace("{time}", clock(this.job.left, 0)) : text;
    },
    position() {
      const times = this.player && this.lines.times;
      return times ? `${clock(times[this.shown])} / ${clock(times.at(-1))}` : "";
    },
    now() {
      if (!this.player) return [];
      return this.lines.faces.map((face) => {
        const place = find(face.frames, this.shown);
        const here = face.frames[place] === this.shown;
        return { ...face, here, emotion: this.lines.emotions[face.emotion[place]],
          confidence: Math.round(100 * face.confidence[place]), valence: here && signed(face.valence[place]) };
      });
    },
  },

  mounted() {
    this.ended = false;
    this.lines = null;
    this.frames = new Map(); // number -> ImageBitmap, or the promise of one
    this.loading = 0;
    this.wanted = 0;
    this.after = null; // what follows when the results have been removed
    this.onKey = (event) => this.pressed(event);
    window.addEventListener("keydown", this.onKey);
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(this.$refs.root);
    this.theme = new MutationObserver(() => this.draw());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.watch();
  },

  deactivated() { // another tab is shown
    this.playing = false;
  },

  unmounted() {
    this.ended = true;
    clearTimeout(this.timer);
    window.removeEventListener("keydown", this.onKey);
    this.resizer.disconnect();
    this.theme.disconnect();
    this.close();
  },

  methods: {
    shade(colour) { return shade(colour, this.dark); },
    address(what) { return `/video/${this.job.id}/${what}`; },

    // The job

    async watch() {
      clearTimeout(this.timer);
      try {
        const response = await fetch("/video/state", { signal: AbortSignal.timeout(10000) });
        if (response.status === 401) return location.reload();
        if (response.ok) await this.take((await response.json()).job);
      } catch { /* the tab Live reports a lost connection; this one retries */ }
      clearTimeout(this.timer);
      if (!this.ended) this.timer = setTimeout(() => this.watch(), this.active ? SOON : LATER);
    },

    async take(job) {
      if (this.ended) return;
      if (job?.state === "failed" && this.job?.state !== "failed") this.problem = job.message;
      if (this.player && (job?.id !== this.player)) this.close();
      this.job = job;
      if (job?.state === "done" && !this.player) await this.open(job);
    },

    picked(event) {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) this.begin(() => this.send(file));
    },

    dropped(event) {
      this.over = false;
      const [file] = event.dataTransfer.files;
      if (file) this.begin(() => this.send(file));
    },

    // Not before the user has agreed to lose results, which may be those of another tab.
    async begin(action) {
      await this.watch();
      if (this.job?.state === "done") this.ask(action);
      else action();
    },

    ask(action) {
      this.after = action;
      this.$refs.dialog.showModal();
    },

    async replace() {
      const action = this.after;
      this.$refs.dialog.close();
      await this.cancel();
      action?.();
    },

    send(file) {
      this.problem = "";
      if (file.size > this.limit) {
        this.job = { name: file.name, state: "failed" };
        this.problem = this.texts.too_large;
        return;
      }
      this.sending = file.name;
      this.sent = 0;
      // fetch does not report upload progress.
      const request = (this.request = new XMLHttpRequest());
      request.open("POST", "/video/upload?name=" + encodeURIComponent(file.name) + "&rotate=" + this.rotate);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => (this.sent = event.loaded / event.total);
      request.onloadend = () => this.answered(request.status, request.responseText, file.name);
      request.send(file);
    },

    async start(address) {
      this.problem = "";
      const response = await fetch(address, { method: "POST" });
      this.answered(response.status, await response.text(), "");
    },

    async answered(status, text, name) {
      this.request = null;
      if (status !== 200) {
        this.job = { name, state: "failed" };
        this.problem = status ? message(text) : this.texts.interrupted;
      }
      await this.watch();
      this.sending = "";
    },

    async cancel() {
      this.problem = "";
      if (this.request) {
        this.request.onloadend = null;
        this.request.abort();
      }
      this.request = null;
      this.sending = "";
      if (this.job?.id) await fetch("/video/cancel?job=" + this.job.id, { method: "POST" });
      await this.watch();
    },

    // The player

    async open(job) {
      const response = await fetch(`/video/${job.id}/lines.json`);
      if (!response.ok) return;
      this.lines = await response.json();
      if (this.ended) return;
      this.count = this.lines.times.length;
      this.shown = 0;
      const place = Number(sessionStorage.getItem(PLACE + job.id)); // where it was before the page was loaded again
      this.player = job.id;
      await this.$nextTick();
      this.chart = echarts.init(this.$refs.chart, null, { renderer: "canvas" });
      this.draw();
      this.show(place, true);
    },

    close() {
      this.playing = false;
      this.player = null;
      this.chart?.dispose();
      this.chart = null;
      for (const frame of this.frames.values()) frame.close?.();
      this.frames.clear();
    },

    draw() {
      this.dark = document.body.classList.contains("body--dark");
      if (!this.chart) return;
      const { times } = this.lines;
      const lines = this.lines.faces.map((face) => {
        const breaks = new Set(face.breaks);
        const points = (values) => face.frames.flatMap((frame, place) => {
          const point = [times[frame], values[place]];
          return breaks.has(place) ? [[null, null], point] : [point];
        });
        return { ...face, smoothed: points(face.valence), raw: points(face.raw) };
      });
      this.inWords = summary(lines, this.texts);
      const axis = { min: 0, max: Math.max(times.at(-1), 0.1), name: this.texts.seconds_axis,
        axisLabel: { formatter: (v) => String(Math.round(100 * v) / 100), hideOverlap: true } };
      this.chart.setOption(valenceOption({ palette: this.palette, names: this.texts, lines, axis, dark: this.dark }),
        { replaceMerge: ["series"] });
      this.moveVeil();
    },

    resize() {
      this.chart?.resize();
      this.moveVeil();
    },

    // The part not played yet is veiled: the line grows with the video.
    moveVeil() {
      if (!this.chart || !this.$refs.veil) return;
      const left = this.chart.convertToPixel({ xAxisIndex: 0 }, this.lines.times[this.shown]);
      const grid = this.chart.getModel().getComponent("grid").coordinateSystem.getRect();
      Object.assign(this.$refs.veil.style, { left: left + "px", top: grid.y + "px",
        width: Math.max(0, grid.x + grid.width - left) + "px", height: grid.height + "px" });
    },

    scrub(event) {
      if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
      else if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
      const x = event.clientX - this.$refs.chart.getBoundingClientRect().left;
      this.show(find(this.lines.times, this.chart.convertFromPixel({ xAxisIndex: 0 }, x)), true);
    },

    // Go to a frame. `moved`: by the user, so that the clock continues from there.
    show(index, moved = false) {
      this.wanted = Math.min(Math.max(index, 0), this.count - 1);
      this.request_frames();
      if (!this.playing || moved) this.present(this.wanted);
      if (moved) this.start_time = performance.now() - 1000 * this.lines.times[this.wanted];
    },

    // The line moves to the frame at once, the image as soon as it is loaded.
    present(index) {
      this.shown = index;
      sessionStorage.setItem(PLACE + this.player, index);
      this.moveVeil();
      const frame = this.frames.get(index);
      if (frame instanceof ImageBitmap) this.paint(frame, index);
    },

    paint(frame, index) {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      if (canvas.width !== frame.width || canvas.height !== frame.height) {
        canvas.width = frame.width;
        canvas.height = frame.height;
      }
      canvas.getContext("2d").drawImage(frame, 0, 0);
      canvas.dataset.painted = index;
    },

    request_frames() {
      const end = Math.min(this.wanted + (this.playing ? AHEAD : 2), this.count);
      for (let index = this.wanted; index < end && this.loading < LOADS; index++) {
        if (!this.frames.has(index)) this.load(index);
      }
      for (const [index, frame] of this.frames) { // the oldest first
        if (this.frames.size <= KEPT) break;
        if (frame instanceof ImageBitmap && (index < this.wanted || index >= end)) {
          frame.close();
          this.frames.delete(index);
        }
      }
    },

    async load(index) {
      const player = this.player;
      this.loading++;
      this.frames.set(index, null);
      try {
        const response = await fetch(`/video/${player}/${index}.jpg`, { signal: AbortSignal.timeout(10000) });
        if (!response.ok) throw new Error(response.statusText);
        const frame = await createImageBitmap(await response.blob());
        if (this.player !== player) return frame.close();
        this.frames.set(index, frame);
        if (index === this.shown) this.paint(frame, index);
      } catch {
        this.frames.delete(index);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      } finally {
        this.loading--;
        if (this.player === player) this.request_frames();
      }
    },

    toggle() {
      this.playing = !this.playing;
      if (!this.playing) return;
      const from = this.shown >= this.count - 1 ? 0 : this.shown;
      this.show(from, true);
      requestAnimationFrame(() => this.play());
    },

    // The newest frame that is due and loaded.
    play() {
      if (!this.playing || !this.player) return;
      const { times } = this.lines;
      const seconds = (performance.now() - this.start_time) / 1000;
      const due = find(times, seconds);
      this.show(due);
      let index = due;
      while (index > this.shown && !(this.frames.get(index) instanceof ImageBitmap)) index--;
      if (index > this.shown) this.present(index);
      if (1000 * (seconds - times[Math.min(this.shown + 1, this.count - 1)]) > PATIENCE) {
        this.start_time = performance.now() - 1000 * times[this.shown];
      }
      if (this.shown >= this.count - 1) this.playing = false;
      else requestAnimationFrame(() => this.play());
    },

    pressed(event) {
      if (!this.player || event.ctrlKey || event.altKey || event.metaKey) return;
      if (!this.$refs.root.offsetParent || event.target.closest("a, button, select, textarea, .q-dialog, .q-tab")) return;
      const slider = event.target.closest("input"); // moves by itself
      const step = (index) => slider || this.show(index, true);
      const jump = (seconds) => this.show(find(this.lines.times, this.lines.times[this.shown] + seconds), true);
      if (event.key === " ") this.toggle();
      else if (event.key === "ArrowRight") event.shiftKey ? jump(1) : step(this.shown + 1);
      else if (event.key === "ArrowLeft") event.shiftKey ? jump(-1) : step(this.shown - 1);
      else if (event.key === "Home") step(0);
      else if (event.key === "End") step(this.count - 1);
      else return;
      if (!slider || event.key === " " || event.shiftKey) event.preventDefault();
    },
  },
};

// The last position in an ascending list whose value is at most `value`; 0 if there is none.
function find(list, value) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

function clock(seconds, digits = 1) {
  const whole = digits ? seconds : Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

function message(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text;
  }
}
