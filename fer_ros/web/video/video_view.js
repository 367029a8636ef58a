// The content of the tab Video: choice of a video, and the player with image, lines and summary, which grow while the
// video is analysed.
import { echarts } from "nicegui-echart";
import { clock, keysOn, MARKERS, Notes, Pace, shade, SHORTCUTS, SUMMARY, signed, summary, switchKeys, valenceOption } from "fer-chart";
import { drawFaces, find, moved, pinched, Recording, zoomed } from "fer-player";

const SOON = 400; // ms between two looks at a job that goes on
const LATER = 5000; // ms else; they also say that the page is still there
const AHEAD = 12; // frames fetched before they are shown
const KEPT = 40; // frames kept decoded
const LOADS = 4; // requests at a time
const PLACE = "fer-frame-"; // remembers the frame of a job over a reload
const PATIENCE = 500; // ms that the picture may be late before the clock waits for it
const REDRAW = 600; // ms between two drawings of a line that grows
const SHARP = 2; // pixels of the canvas per pixel of a frame, for what is written into it
const SPEEDS = [0.25, 0.5, 1, 2, 4];
const STEP = 1.6; // by which a key zooms

export default {
  mixins: [Notes],
  props: { texts: Object, palette: Object, limit: Number, accept: String, angles: Array, least: Number, silence: Number },
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

  <section v-if="active" class="fer-card fer-progress" :aria-label="texts.progress">
    <h2>{{ shownName }}</h2>
    <progress :max="1" :value="share > 0 ? share : null" :aria-label="texts.progress"></progress>
    <p role="status" data-testid="progress">{{ progressText }}</p>
    <div class="fer-buttons">
      <q-btn v-if="player" no-caps outline icon="stop" :label="texts.stop" @click="stop"/>
      <q-btn v-else no-caps outline icon="close" :label="texts.cancel" @click="cancel"/>
      <q-btn v-if="player && !following" no-caps outline icon="fast_forward" :label="texts.follow" @click="follow"/>
    </div>
  </section>

  <template v-if="player">
    <section class="fer-card fer-picture" :aria-label="texts.picture">
      <h2 v-if="!active">{{ job.name || texts.clip_name }}</h2>
      <p v-if="job.stopped" role="status" class="fer-problem">{{ texts.stopped }}</p>
      <p v-if="job.message" role="status" class="fer-problem" data-testid="warning">{{ job.message }}</p>
      <canvas ref="canvas" role="img" :aria-label="texts.picture" :data-frame="shown" @click="toggle"></canvas>
      <p v-if="texts.hidden" class="fer-empty">{{ texts.hidden }}</p>
    </section>

    <section class="fer-card fer-face" :aria-label="texts.faces">
      <h2>{{ texts.faces }}</h2>
      <table class="fer-faces"><tbody>
        <tr v-for="face in now" :key="face.id" :data-testid="'face-' + face.id">
          <th scope="row"><svg viewBox="0 0 32 8" width="32" height="8" aria-hidden="true">
            <line x1="0" y1="4" x2="32" y2="4" :stroke="shade(face)" stroke-width="3"
              :stroke-dasharray="face.dash.join(' ')"/></svg> {{ called(face.id) }}</th>
          <template v-if="face.here"><td>{{ face.emotion }} {{ percent(face.confidence) }}</td>
            <td class="fer-number">{{ signed(face.valence) }}</td></template>
          <td v-else colspan="2" class="fer-empty">{{ texts.away }}</td>
        </tr>
      </tbody></table>
      <p v-if="!now.length" class="fer-empty">{{ texts.nobody }}</p>
      <h2 class="fer-downloads">{{ texts.downloads }}</h2>
      <div class="fer-buttons">
        <template v-if="!active"><q-btn v-for="kind in ['csv', 'png', 'mp4']" :key="kind" no-caps outline icon="download"
          type="a" :label="texts[kind]" :href="address('video.' + kind)" download/></template>
        <q-btn no-caps outline icon="summarize" type="a" :label="texts.report" :href="address('report.html')" download/>
        <q-btn no-caps outline icon="data_object" type="a" :label="texts.json" :href="address('session.json')"
          :download="(job.name || texts.clip_name) + '.json'"/>
        <q-btn v-if="markers.length" no-caps outline icon="download" type="a" :label="texts.markers_csv"
          :href="address('markers.csv')" download/>
      </div>
      <div class="fer-buttons"><q-btn v-if="!active" no-caps outline icon="inventory_2" :label="texts.keep_session"
        @click="keep"/><q-btn no-caps outline icon="upload" :label="texts.another" @click="ask(() => {})"/></div>
      <p v-if="keptText" role="status">{{ keptText }}</p>
      <p class="fer-empty">{{ texts.kept }}</p>
    </section>

    <section class="fer-card fer-line" :aria-label="texts.line">
      <h2>{{ texts.line }} <small>{{ texts.smoothed }}, {{ texts.raw }}</small></h2>
      <div class="fer-legend" role="group" :aria-label="texts.legend">
        <label v-for="face in lasting" :key="face.id" class="fer-check"><input type="checkbox"
          :checked="!hidden.includes(face.id)" @change="switchLine(face.id)">
          <svg viewBox="0 0 32 8" width="32" height="8" aria-hidden="true"><line x1="0" y1="4" x2="32" y2="4"
            :stroke="shade(face)" stroke-width="3" :stroke-dasharray="face.dash.join(' ')"/></svg>
          {{ called(face.id) }}</label>
      </div>
      <div class="fer-scrub" @pointerdown="press" @pointermove="drag" @pointerup="release" @pointercancel="release"
        @pointerleave="hover = null" @wheel="wheel">
        <div ref="chart" class="fer-chart" role="img" :aria-label="texts.chart" aria-describedby="fer-video-summary">
        </div>
        <div ref="veil" class="fer-veil"></div>
        <div ref="loop" class="fer-loop"></div>
        <div v-if="hover" class="fer-tip" aria-hidden="true" :style="hover.style">
          <b class="fer-number">{{ hover.time }}</b> {{ hover.frame }}
          <div v-for="face in hover.faces" :key="face.id"><svg viewBox="0 0 16 4" width="16" height="4">
            <line x1="0" y1="2" x2="16" y2="2" :stroke="shade(face)" stroke-width="4"/></svg> {{ called(face.id) }}
            {{ face.emotion }} <span class="fer-number">{{ signed(face.valence) }}</span></div>
        </div>
      </div>
      <p id="fer-video-summary" class="fer-unseen" data-testid="video-summary">{{ inWords }}</p>
      <div class="fer-controls">
        <q-btn round unelevated class="fer-main" :icon="playing ? 'pause' : 'play_arrow'"
          :aria-label="playing ? texts.pause : texts.play" @click="toggle"/>
        <q-btn round flat icon="skip_previous" :aria-label="texts.back" @click="show(shown - 1, true)"/>
        <q-btn round flat icon="skip_next" :aria-label="texts.forward" @click="show(shown + 1, true)"/>
        <input type="range" min="0" :max="count - 1" step="1" :value="shown" :aria-label="texts.position"
          :aria-valuetext="position" @input="show(Number($event.target.value), true)">
        <span class="fer-number" data-testid="position">{{ position }}</span>
      </div>
      <div class="fer-buttons">
        <label>{{ texts.speed }} <select v-model="speed" class="fer-select" @change="restart">
          <option v-for="factor in speeds" :key="factor" :value="factor">
            {{ texts.speed_by.replace('{factor}', factor) }}</option></select></label>
        <q-btn no-caps outline icon="zoom_in" :aria-label="texts.zoom_in" @click="zoom(step)"/>
        <q-btn no-caps outline icon="zoom_out" :aria-label="texts.zoom_out" :disable="!range" @click="zoom(1 / step)"/>
        <q-btn v-if="range" no-caps outline icon="fit_screen" :label="texts.zoom_reset" @click="setRange(null)"/>
        <q-btn no-caps outline icon="first_page" :label="texts.loop_from" @click="setLoop(0)"/>
        <q-btn no-caps outline icon="last_page" :label="texts.loop_to" @click="setLoop(1)"/>
        <q-btn v-if="loop" no-caps outline icon="repeat" :label="texts.loop_end" @click="endLoop"/>
        <q-btn no-caps outline icon="flag" :label="texts.marker_new" @click="draftMarker"/>
      </div>
      ${SHORTCUTS}
    </section>

    ${MARKERS}

    <section v-if="session" class="fer-card fer-session" :aria-label="texts.summary_heading" data-testid="session">
      <h2>{{ texts.summary_heading }}</h2>
      <p>{{ sessionText }}</p>
      ${SUMMARY}
      <div class="fer-names">
        <label v-for="face in lasting" :key="face.id">{{ texts.name_of.replace("{face}", face.id) }}
          <input class="fer-input" maxlength="40" :value="names[face.id] ?? ''"
            @change="change('name?face=' + face.id + '&name=' + encodeURIComponent($event.target.value))"></label>
      </div>
      <p class="fer-empty">{{ texts.name_hint }}</p>
    </section>
  </template>

  <section v-if="sessions.length" class="fer-card fer-sessions" :aria-label="texts.sessions">
    <h2>{{ texts.sessions }}</h2>
    <p class="fer-empty">{{ texts.sessions_hint }} {{ texts.sessions_choose }}</p>
    <ul class="fer-list">
      <li v-for="one in sessions" :key="one.id">
        <label class="fer-check fer-grow"><input type="checkbox" v-model="chosen" :value="one.id"
          :disabled="chosen.length === 2 && !chosen.includes(one.id)"
          :aria-label="texts.session_choose.replace('{title}', sessionItem(one))"> {{ sessionItem(one) }}</label>
        <q-btn round flat icon="open_in_new" type="a" target="_blank" :href="'/video/kept.html?id=' + one.id"
          :aria-label="texts.session_open.replace('{title}', sessionItem(one))"/>
        <template v-if="removing === one.id">
          <q-btn no-caps outline :label="texts.marker_cancel" @click="removing = ''"/>
          <q-btn no-caps unelevated color="negative" :label="texts.session_forget" @click="forget(one.id)"/>
        </template>
        <q-btn v-else round flat icon="delete" @click="removing = one.id"
          :aria-label="texts.session_remove.replace('{title}', sessionItem(one))"/>
      </li>
    </ul>
    <div v-if="chosen.length === 2" class="fer-buttons"><q-btn no-caps unelevated color="primary" icon="compare"
      type="a" target="_blank" :label="texts.compare" :href="'/video/kept.html?id=' + chosen.join('&id=')"/></div>
  </section>

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
      lasting: [], // faces with a line
      hidden: [], // ids of those whose line is not shown
      following: false, // the newest frame is shown
      hover: null, // what is told of the moment under the mouse
      range: null, // [from, to] of the time axis in seconds; null: all
      speed: 1,
      loop: null, // [from, to] in seconds
      session: null, // the newest of session.json
      sessions: [], // that are kept
      chosen: [], // ids of those to compare
      removing: "", // id of the one to remove, until the user agrees
      keptText: "", // what became of the wish to keep one
      keys: keysOn(),
      speeds: SPEEDS,
      step: STEP,
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
      const times = this.count && this.player && this.recording.times;
      return times ? `${clock(times[this.shown])} / ${clock(this.active ? this.total() : times.at(-1))}` : "";
    },
    now() {
      if (!this.player) return [];
      const here = new Map(this.recording.at(this.shown).map((face) => [face.id, face]));
      return this.lasting.map((face) => ({ ...face, here: here.has(face.id), ...here.get(face.id) }));
    },
    names() { return this.session?.names ?? {}; },
    markers() { return this.session?.markers ?? []; },
    sessionText() { return (this.active ? this.texts.so_far + " " : "") + this.sessionInWords(); },
  },

  mounted() {
    this.ended = false;
    this.recording = null;
    this.pace = new Pace(REDRAW);
    this.fingers = new Map(); // pointer -> its place on the axis, 0 to 1
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
    this.watch().then(() => this.listSessions()).catch(() => {});
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
    signed,
    called(id) { return this.names[id] ?? id; },
    address(what) { return `/video/${this.job.id}/${what}`; },

    // Sessions that are kept

    sessionItem({ title, when, seconds }) {
      return this.texts.session_item.replace("{title}", title).replace("{when}", when)
        .replace("{length}", clock(seconds));
    },

    async listSessions() {
      const response = await fetch("/video/kept.json");
      if (!response.ok) return;
      this.sessions = (await response.json()).sessions;
      this.chosen = this.chosen.filter((id) => this.sessions.some((one) => one.id === id));
    },

    async keep() {
      const asked = fetch(this.address("keep"), { method: "POST" });
      this.keeping = Promise.allSettled([this.keeping, asked]); // results are not removed before they are kept
      const response = await asked;
      this.keptText = response.ok ? this.texts.session_kept : message(await response.text());
      await this.listSessions();
    },

    async forget(id) {
      await fetch("/video/forget?id=" + id, { method: "POST" });
      await this.listSessions();
    },

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
      if (this.player && (job?.id !== this.player || job.state === "failed")) this.close();
      const ends = job?.state === "done" && this.job?.state !== "done";
      this.job = job;
      if (!(job?.state === "done" || (job?.state === "running" && job.frames))) return;
      if (!this.player) await this.open(job);
      else if (job.state === "running" || ends) await this.extend(ends);
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
      if (this.player) this.ask(action);
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

    async stop() {
      await fetch("/video/stop?job=" + this.job.id, { method: "POST" });
      await this.watch();
    },

    async cancel() {
      await this.keeping;
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
      this.recording = new Recording({ least: this.least, silence: this.silence,
        emotions: this.palette.emotions.map(({ name }) => name) });
      const running = job.state === "running";
      if (!(await this.fetchLines(job.id)) || this.ended || !this.recording.count) return;
      this.count = this.recording.count;
      this.shown = 0;
      this.lasting = this.recording.lasting();
      const place = sessionStorage.getItem(PLACE + job.id); // where it was before the page was loaded again
      this.following = running && place === null;
      this.player = job.id;
      await this.$nextTick();
      this.chart = echarts.init(this.$refs.chart, null, { renderer: "canvas" });
      this.draw();
      this.show(this.following ? this.count - 1 : Number(place), true);
      await this.fetchSession();
    },

    // What has been analysed meanwhile.
    async extend(ends) {
      if (!(await this.fetchLines(this.player)) || !this.player) return;
      this.count = this.recording.count;
      if (ends || this.pace.isDue) {
        this.lasting = this.recording.lasting();
        this.draw();
      }
      if (this.following) this.show(this.count - 1);
      if (ends) this.following = false;
      if (ends || performance.now() - this.summed > LATER) await this.fetchSession();
    },

    async fetchLines(id) {
      const { recording } = this;
      for (;;) {
        const after = recording.count;
        const response = await fetch(`/video/${id}/lines.json?after=${after}`);
        if (!response.ok) return false;
        const lines = await response.json();
        if (this.recording !== recording || recording.count !== after) return false; // another request was faster
        recording.append(lines);
        if (!lines.length) return true;
        if (this.job?.state === "running") return true; // the next time more
      }
    },

    async fetchSession() {
      this.summed = performance.now();
      const id = this.player;
      const response = await fetch(`/video/${id}/session.json`);
      if (!response.ok) return;
      const session = await response.json();
      if (this.player !== id) return;
      this.session = session;
      this.draw();
      this.repaint();
    },

    // A note: marker or name.
    async change(what) {
      const response = await fetch(this.address(what), { method: "POST" });
      this.noteProblem = response.ok ? "" : message(await response.text());
      await this.fetchSession();
    },

    // What Notes of fer-chart asks for.
    moment() { return this.recording.times[this.shown]; },
    setMarker(time, text) { return this.change(`mark?time=${time}&text=${encodeURIComponent(text)}`); },
    removeMarker(number) { return this.change("unmark?number=" + number); },
    goTo(time) { this.show(find(this.recording.times, time + 1e-3), true); },

    close() {
      this.playing = this.following = false;
      this.player = this.range = this.loop = this.session = this.draft = this.hover = null;
      this.hidden = [];
      this.noteProblem = this.keptText = "";
      this.chart?.dispose();
      this.chart = null;
      for (const frame of this.frames.values()) frame?.close?.();
      this.frames.clear();
    },

    // Seconds of the whole video, as far as they are known.
    total() {
      const length = this.job?.state === "running" ? this.job.seconds : 0;
      return Math.max(this.recording.times.at(-1) ?? 0, length, 0.1);
    },

    draw() {
      this.dark = document.body.classList.contains("body--dark");
      if (!this.chart) return;
      const { recording } = this;
      const lines = this.lasting.filter(({ id }) => !this.hidden.includes(id)).map((face) =>
        ({ ...face, smoothed: recording.points(face, face.valence), raw: recording.points(face, face.raw) }));
      this.inWords = summary(lines.map((line) => ({ ...line, id: this.called(line.id) })), this.texts);
      const [min, max] = this.range ?? [0, this.total()];
      const axis = { min, max, name: this.texts.seconds_axis,
        axisLabel: { formatter: (v) => String(Math.round(100 * v) / 100), hideOverlap: true } };
      const marks = this.markers.map(({ time_s }, index) => ({ time: time_s, label: String(index + 1) }));
      this.pace.draw(this.chart,
        valenceOption({ palette: this.palette, names: this.texts, lines, axis, marks, dark: this.dark }));
      this.moveVeil();
    },

    switchLine(id) {
      this.hidden = this.hidden.includes(id) ? this.hidden.filter((one) => one !== id) : [...this.hidden, id];
      this.draw();
    },

    setRange(range) {
      if (range === undefined) return;
      this.range = range;
      this.draw();
    },

    zoom(factor, at = this.recording.times[this.shown]) {
      this.setRange(zoomed(this.range, this.total(), factor, at));
    },

    setLoop(end) {
      const time = this.recording.times[this.shown];
      const loop = [...(this.loop ?? [0, this.recording.times.at(-1)])];
      loop[end] = time;
      if (loop[1] <= loop[0]) loop[1 - end] = end ? 0 : this.recording.times.at(-1);
      this.loop = loop[1] > loop[0] ? loop : null;
      this.moveVeil();
    },

    endLoop() {
      this.loop = null;
      this.moveVeil();
    },

    resize() {
      this.chart?.resize();
      this.moveVeil();
    },

    grid() { return this.chart.getModel().getComponent("grid").coordinateSystem.getRect(); },

    // The part not played yet is veiled: the line grows with the video.
    moveVeil() {
      if (!this.chart || !this.$refs.veil) return;
      const grid = this.grid();
      const place = (time) => Math.min(Math.max(this.chart.convertToPixel({ xAxisIndex: 0 }, time), grid.x),
        grid.x + grid.width);
      const band = (from, to) => ({ left: from + "px", width: to - from + "px", top: grid.y + "px",
        height: grid.height + "px" });
      Object.assign(this.$refs.veil.style, band(place(this.recording.times[this.shown]), grid.x + grid.width));
      Object.assign(this.$refs.loop.style, { display: this.loop ? "" : "none" },
        this.loop ? band(place(this.loop[0]), place(this.loop[1])) : {});
    },

    // Place of a pointer on the time axis, 0 to 1.
    place(event) {
      const { x, width } = this.grid();
      return (event.clientX - this.$refs.chart.getBoundingClientRect().left - x) / width;
    },

    time(share) {
      const [from, to] = this.range ?? [0, this.total()];
      return from + share * (to - from);
    },

    press(event) {
      event.currentTarget.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, this.place(event));
      this.held = [...this.fingers].map(([id, place]) => [id, this.time(place)]); // the times under the fingers
      if (this.fingers.size === 1) this.show(find(this.recording.times, this.time(this.place(event))), true);
    },

    drag(event) {
      this.tell(event);
      if (!this.fingers.has(event.pointerId)) return;
      this.fingers.set(event.pointerId, this.place(event));
      if (this.fingers.size === 1) this.show(find(this.recording.times, this.time(this.place(event))), true);
      else if (this.fingers.size === 2) {
        const times = this.held.map(([, time]) => time);
        this.setRange(pinched(this.total(), times, this.held.map(([id]) => this.fingers.get(id))));
      }
    },

    release(event) {
      this.fingers.delete(event.pointerId);
      this.held = [...this.fingers].map(([id, place]) => [id, this.time(place)]);
    },

    // Beside the mouse: time, frame, and the faces there.
    tell(event) {
      const place = this.place(event);
      if (event.pointerType === "touch" || place < 0 || place > 1) return (this.hover = null);
      const { times } = this.recording;
      const index = find(times, this.time(place));
      const box = this.$refs.chart.getBoundingClientRect();
      const x = event.clientX - box.left;
      const style = x > box.width / 2 ? { right: box.width - x + 12 + "px" } : { left: x + 12 + "px" };
      this.hover = { style, time: clock(times[index], 2), frame: this.texts.frame.replace("{frame}", index),
        faces: this.recording.at(index) };
    },

    wheel(event) {
      const along = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (Math.abs(along) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        if (!this.range) return;
        event.preventDefault();
        const [from, to] = this.range;
        return this.setRange(moved(this.range, this.total(), (along / 500) * (to - from)));
      }
      if (event.deltaY > 0 && !this.range) return; // the page scrolls
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), this.time(Math.min(Math.max(this.place(event), 0), 1)));
    },

    // Go to a frame. `byUser`: by the user, so that the clock continues from there.
    show(index, byUser = false) {
      this.wanted = Math.min(Math.max(index, 0), this.count - 1);
      this.request_frames();
      if (!this.playing || byUser) this.present(this.wanted);
      if (byUser) this.restart();
    },

    restart() {
      this.following = this.following && this.wanted === this.count - 1 && !this.playing;
      this.start_time = performance.now() - (1000 * this.recording.times[this.wanted]) / this.speed;
    },

    follow() {
      this.playing = false;
      this.following = true;
      this.show(this.count - 1);
    },

    // The line moves to the frame at once, the image as soon as it is loaded.
    present(index) {
      this.shown = index;
      if (!this.following) sessionStorage.setItem(PLACE + this.player, index);
      else sessionStorage.removeItem(PLACE + this.player);
      const time = this.recording.times[index];
      if (this.range && (time < this.range[0] || time > this.range[1])) {
        const [from, to] = this.range;
        this.setRange(moved(this.range, this.total(), time - (time < from && !this.playing ? to : from)));
      }
      this.moveVeil();
      const frame = this.frames.get(index);
      if (frame instanceof ImageBitmap) this.paint(frame, index);
    },

    paint(frame, index) {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const [width, height] = [SHARP * frame.width, SHARP * frame.height];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      context.drawImage(frame, 0, 0, width, height);
      drawFaces(context, width, height, this.recording.at(index).map((face) => ({ ...face, name: this.called(face.id) })),
        this.palette.groups);
      canvas.dataset.painted = index;
    },

    repaint() {
      const frame = this.frames.get(this.shown);
      if (frame instanceof ImageBitmap) this.paint(frame, this.shown);
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
      this.following = false;
      const { times } = this.recording;
      const start = this.loop ? find(times, this.loop[0]) : 0;
      const end = this.loop ? find(times, this.loop[1]) : this.count - 1;
      this.show(this.shown >= end || this.shown < start ? start : this.shown, true);
      requestAnimationFrame(() => this.play());
    },

    // The newest frame that is due and loaded.
    play() {
      if (!this.playing || !this.player) return;
      const { times } = this.recording;
      const seconds = ((performance.now() - this.start_time) / 1000) * this.speed;
      if (this.loop && seconds > this.loop[1]) {
        this.show(find(times, this.loop[0]), true);
        return requestAnimationFrame(() => this.play());
      }
      const due = find(times, seconds);
      this.show(due);
      let index = due;
      while (index > this.shown && !(this.frames.get(index) instanceof ImageBitmap)) index--;
      if (index > this.shown) this.present(index);
      const late = (seconds - times[Math.min(this.shown + 1, this.count - 1)]) / this.speed;
      if (1000 * late > PATIENCE) this.start_time = performance.now() - (1000 * times[this.shown]) / this.speed;
      if (this.shown >= this.count - 1 && !this.active) this.playing = false;
      else requestAnimationFrame(() => this.play());
    },

    setKeys(on) {
      switchKeys(on);
      this.keys = on;
    },

    pressed(event) {
      if (!this.player || event.ctrlKey || event.altKey || event.metaKey) return;
      if (!this.$refs.root.offsetParent || event.target.closest(
        "a, button, select, textarea, summary, dialog, input:not([type=range]):not([type=checkbox]), .q-tab")) return;
      const slider = event.target.closest("input[type=range]"); // moves by itself
      if (event.key === " " && event.target.closest("input[type=checkbox]")) return;
      const step = (index) => slider || this.show(index, true);
      const { times } = this.recording;
      const jump = (seconds) => this.show(find(times, times[this.shown] + seconds + 1e-6), true);
      const pan = (part) => this.range && this.setRange(moved(this.range, this.total(), part * (this.range[1] - this.range[0])));
      const pace = (by) => {
        this.speed = SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + by, 0), SPEEDS.length - 1)];
        this.restart();
      };
      const named = { " ": () => this.toggle(), Home: () => step(0), End: () => step(this.count - 1),
        ArrowRight: () => (event.shiftKey ? jump(1) : step(this.shown + 1)),
        ArrowLeft: () => (event.shiftKey ? jump(-1) : step(this.shown - 1)),
        PageDown: () => pan(0.5), PageUp: () => pan(-0.5) };
      const single = { "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
        0: () => this.setRange(null), "<": () => pace(-1), ">": () => pace(1), "[": () => this.setLoop(0),
        "]": () => this.setLoop(1), l: () => this.endLoop(), m: () => this.draftMarker() };
      const action = named[event.key] ?? (keysOn() ? single[event.key.toLowerCase()] : undefined);
      if (!action || (event.key.startsWith("Page") && !this.range)) return;
      if (slider && event.key.startsWith("Page")) return;
      action();
      if (!slider || !(event.key in named) || event.key === " " || event.shiftKey) event.preventDefault();
    },
  },
};

function message(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text;
  }
}
