// The content of the tab Live. It fetches image and values itself, the next one after the last was shown, so that a
// slow browser receives fewer of them.
import { echarts } from "nicegui-echart";
import { keysOn, MARKERS, Notes, Pace, shade, SHORTCUTS, signed, SUMMARY, summary, switchKeys, valenceOption } from "fer-chart";

const NEAR = 0.5; // seconds up to which a value is that of a moment
const PERIOD = 200; // ms between two updates of lines and numbers
const SETTLED = 1500; // ms for which an emotion must last until it is announced
const WORDS = 5000; // ms between two summaries of the lines
const RETRY = 1000; // ms after a failure
const CHOSEN = "fer-chosen"; // remembers the chosen face over a reload
const LOST = "fer-lost"; // remembers over a reload that the connection was lost

export default {
  mixins: [Notes],
  props: { texts: Object, palette: Object, seconds: Number },
  template: `
<div class="fer-live" :class="{ 'fer-outdated': lost }">
  <p class="fer-unseen" role="status">{{ announced }}</p>
  <p class="fer-unseen" role="status" data-testid="spoken">{{ spoken }}</p>
  <div class="fer-banner" :class="'fer-' + connection.level">
    <strong>{{ connection.text }}</strong>
    <span v-if="connection.detail" class="fer-detail">{{ connection.detail }}</span>
  </div>

  <section class="fer-card fer-picture" :aria-label="texts.heading_picture">
    <div class="fer-frame" :style="frameStyle" @click="chooseAt">
      <img ref="picture" v-show="pictureShown" :alt="texts.picture">
      <p v-if="!pictureShown" class="fer-empty">{{ faces.length ? texts.no_picture_but_faces : texts.no_picture }}</p>
      <p v-if="lost && pictureShown" class="fer-old">{{ texts.old }}</p>
      <p v-else-if="paused" class="fer-paused">{{ texts.paused }}</p>
    </div>
    <ul class="fer-hints" role="status" :aria-label="texts.hints" data-testid="hints">
      <li v-for="hint in hints" :key="hint">{{ hint }}</li></ul>
    <p v-if="texts.hidden" class="fer-empty">{{ texts.hidden }}</p>
  </section>

  <section class="fer-card fer-face" :aria-label="texts.heading_face">
    <div role="radiogroup" :aria-label="texts.choose" class="fer-choice">
      <label v-for="(option, index) in options" :key="option.id" :class="{ 'fer-chosen': option.id === chosen }">
        <input type="radio" name="fer-face" :value="option.id" v-model="chosen">
        <svg v-if="option.face" viewBox="0 0 32 8" width="32" height="8" aria-hidden="true">
          <line x1="0" y1="4" x2="32" y2="4" :stroke="shade(option.face)" stroke-width="3"
            :stroke-dasharray="option.face.dash.join(' ')"/></svg>
        <span class="fer-name">{{ option.name }}</span>
        <span v-if="option.face" class="fer-number">{{ option.face.emotion }} {{ signed(option.face.valence) }}</span>
        <span v-else-if="option.id" class="fer-empty">{{ texts.away }}</span>
        <kbd v-if="index < 10" aria-hidden="true">{{ index }}</kbd>
      </label>
    </div>
    <p v-if="!face" class="fer-empty">{{ missing }}</p>
    <div v-else>
      <p class="fer-emotion" data-testid="emotion"><b>{{ face.emotion }}</b> {{ percent(face.confidence) }}</p>
      <dl class="fer-values">
        <div><dt>{{ texts.valence }}</dt><dd data-testid="valence">{{ signed(face.valence) }}</dd></div>
        <div><dt>{{ texts.raw_valence }}</dt><dd>{{ signed(face.raw) }}</dd></div>
        <div><dt>{{ texts.quality }}</dt><dd data-testid="quality">{{ percent(face.quality) }}</dd></div>
      </dl>
    </div>
    <ul class="fer-bars" :aria-label="texts.probabilities">
      <li v-for="(emotion, index) in palette.emotions" :key="emotion.name">
        <span class="fer-name">{{ emotion.name }}</span>
        <span class="fer-bar"><span :style="{ width: 100 * probability(index) + '%',
          background: shade(palette.groups[emotion.group]) }"></span></span>
        <span class="fer-number">{{ face ? percent(probability(index)) : texts.unknown }}</span>
      </li>
    </ul>
  </section>

  <section class="fer-card fer-line" :aria-label="texts.heading_line">
    <h2>{{ texts.heading_line }} <small>{{ texts.smoothed }}, {{ texts.raw }}</small></h2>
    <div class="fer-hovered" @pointermove="point" @pointerleave="hover = null">
      <div ref="chart" class="fer-chart" role="img" aria-describedby="fer-live-summary"
        :aria-label="texts.chart.replace('{seconds}', seconds)"></div>
      <div v-if="hover" class="fer-tip" aria-hidden="true" :style="hover.style">
        <b class="fer-number">{{ texts.ago.replace("{seconds}", hover.ago.toFixed(1)) }}</b>
        <div v-for="face in hover.faces" :key="face.id"><svg viewBox="0 0 16 4" width="16" height="4">
          <line x1="0" y1="2" x2="16" y2="2" :stroke="shade(face)" stroke-width="4"/></svg> {{ face.id }}
          <span class="fer-number">{{ signed(face.valence) }}</span></div>
      </div>
    </div>
    <p id="fer-live-summary" class="fer-unseen" data-testid="summary">{{ inWords }}</p>
  </section>

  <section class="fer-card fer-status" :aria-label="texts.heading_status">
    <dl class="fer-values">
      <div><dt>{{ texts.calibrated }}</dt><dd>{{ status.calibrated || texts.none }}</dd></div>
    </dl>
    <details class="fer-fold">
      <summary>{{ texts.details }}</summary>
      <dl class="fer-values">
        <div><dt>{{ texts.rate }}</dt><dd data-testid="rate">{{ status.rate ?? texts.unknown }}
          {{ texts.rate_unit }}</dd></div>
        <div><dt>{{ texts.latency }}</dt><dd>{{ status.latency == null ? texts.unknown : status.latency + " ms" }}</dd>
        </div>
        <div><dt>{{ texts.dropped }}</dt><dd>{{ status.dropped == null ? texts.unknown :
          status.dropped + " " + texts.dropped_unit }}</dd></div>
        <div><dt>{{ texts.device }}</dt><dd>{{ status.device || texts.unknown }}</dd></div>
        <div><dt>{{ texts.runtime }}</dt><dd>{{ status.runtime || texts.unknown }}</dd></div>
        <div><dt>{{ texts.model }}</dt><dd>{{ status.model || texts.unknown }}</dd></div>
        <div v-if="status.left_out"><dt>{{ texts.left_out }}</dt><dd data-testid="left-out">{{ status.left_out }}</dd>
        </div>
      </dl>
      <p v-if="status.warning" class="fer-detail">{{ texts.warning }}: {{ status.warning }}</p>
    </details>
  </section>

  <section class="fer-card fer-actions" :aria-label="texts.actions">
    <div class="fer-buttons">
      <q-btn no-caps outline :icon="paused ? 'play_arrow' : 'pause'" :label="paused ? texts.go_on : texts.pause"
        @click="pause"/>
      <template v-if="recording.state === 'empty'">
        <q-btn no-caps outline icon="fiber_manual_record" :label="texts.record" @click="$emit('record', video)"/>
        <label class="fer-check"><input type="checkbox" v-model="video">{{ texts.with_video }}</label>
      </template>
      <q-btn no-caps unelevated v-if="recording.state === 'running'" color="negative" icon="stop" :label="texts.stop"
        @click="$emit('stop')"/>
      <q-btn no-caps outline icon="flag" :label="texts.marker_new" :disable="!answer?.frame" @click="draftMarker"/>
      <q-btn no-caps outline icon="face" :label="texts.calibrate" @click="$emit('calibrate')"/>
      <q-btn no-caps outline icon="face_retouching_off" :label="texts.reset" @click="$emit('reset')"/>
      <q-btn no-caps outline icon="clear_all" :label="texts.clear" @click="$emit('clear')"/>
    </div>
    <p v-if="recording.state === 'running' || recording.state === 'finishing'" data-testid="recording">
      {{ recordingText }}</p>
    <p v-if="recording.lost" role="status">{{ texts.recording_lost.replace("{count}", recording.lost) }}</p>
    <p v-if="recording.told" role="status" data-testid="recording-told">{{ recording.told }}</p>
    <p v-if="recording.restorable" role="status" class="fer-undo">{{ texts.deleted }}
      <q-btn no-caps outline icon="undo" :label="texts.undo" @click="$emit('undelete')"/></p>
    <p v-if="answer?.cleared" role="status" class="fer-undo">{{ texts.cleared }}
      <q-btn no-caps outline icon="undo" :label="texts.undo" @click="$emit('unclear')"/></p>
    <section v-if="recording.state !== 'empty' || recording.list.length" :aria-label="texts.recordings">
      <h2>{{ texts.recordings }}</h2>
      <p class="fer-empty">{{ texts.recording_shared }}</p>
      <ul class="fer-list fer-recordings">
        <li v-for="one in recording.list" :key="one.name">
          <span class="fer-grow fer-number">{{ recordedText(one) }}</span>
          <q-btn no-caps outline icon="download" :label="texts.csv" type="a" :href="address(one, 'faces.csv')" download
            :aria-label="texts.download_csv.replace('{name}', shownName(one))"/>
          <q-btn v-if="one.video" no-caps outline icon="download" :label="texts.video" type="a" download
            :href="address(one, 'video.mp4')"
            :aria-label="texts.download_video.replace('{name}', shownName(one))"/>
          <q-btn v-if="one.markers" no-caps outline icon="download" :label="texts.markers_csv" type="a" download
            :href="address(one, 'markers.csv')"
            :aria-label="texts.download_markers.replace('{name}', shownName(one))"/>
          <q-btn outline icon="delete" :aria-label="texts.delete.replace('{name}', shownName(one))"
            @click="$emit('delete', one.name)"/>
        </li>
      </ul>
    </section>
    <div v-if="webcam.devices.length" class="fer-buttons" role="group" :aria-label="texts.webcam">
      <span>{{ texts.webcam }}:</span>
      <template v-if="!webcam.running">
        <q-btn v-for="device in webcam.devices" :key="device" no-caps outline icon="videocam"
          :label="texts.webcam_start.replace('{device}', device)" @click="$emit('webcam', device)"/>
      </template>
      <template v-else>
        <q-btn no-caps outline icon="videocam_off" :label="texts.webcam_stop" @click="$emit('webcamstop')"/>
        <span>{{ texts.webcam_running }}</span>
      </template>
      <span v-if="webcam.problem" role="alert">{{ texts.webcam_problem.replace("{problem}", webcam.problem) }}</span>
    </div>
    ${SHORTCUTS}
  </section>

  ${MARKERS}

  <section v-if="session?.frames" class="fer-card fer-session" :aria-label="texts.summary_heading" data-testid="live-session">
    <h2>{{ texts.summary_heading }}</h2>
    <p>{{ sessionInWords() }}</p>
    ${SUMMARY}
    <p class="fer-empty">{{ texts.session_hint }}</p>
  </section>
</div>`,

  data() {
    return {
      spoken: "", // to screen readers: the emotion of the face shown, when it has changed for a while
      inWords: "", // the lines
      keys: keysOn(),
      announced: "", // to screen readers: not the seconds that pass, only what changes
      answer: null, // the newest of /live/state, as it came
      chosen: sessionStorage.getItem(CHOSEN) ?? "", // a face's id; empty: the primary face
      lost: false,
      back: false,
      dark: false,
      paused: false,
      video: false, // whether a recording has one: images are stored only when somebody asks for it
      pictureShown: false,
      hover: null, // what is told of the moment under the mouse
      session: null, // the newest of session.json
      goTo: null, // markers lead nowhere here
    };
  },

  computed: {
    faces() { return this.answer?.faces ?? []; },
    status() { return this.answer?.status ?? {}; },
    hints() { return this.lost ? [] : (this.answer?.hints ?? []); },
    size() { return this.answer?.size; },
    markers() { return this.answer?.markers ?? []; },
    recording() { return this.answer?.recording ?? { state: "empty", list: [] }; },
    webcam() { return this.answer?.webcam ?? { devices: [], running: false, problem: "" }; },
    face() { return this.faces.find((face) => face.id === (this.chosen || this.answer.primary)); },
    toSpeak() {
      return this.face ? this.texts.spoken.replace("{face}", this.face.id).replace("{emotion}", this.face.emotion)
        : this.missing;
    },
    missing() {
      if (this.chosen) {
        return `${this.texts.chosen_away.replace("{face}", this.chosen)}. ${this.texts.chosen_away_detail}`;
      }
      return this.faces.length ? this.texts.no_primary : this.texts.nobody;
    },
    frameStyle() {
      const [width, height] = this.size ?? [4, 3];
      return { aspectRatio: `${width} / ${height}`, width: `min(100%, ${(50 * width) / height}vh)` };
    },
    options() {
      const list = this.faces.map((face) => ({ id: face.id, name: face.id, face }));
      // The chosen face stays in the list while it is away, so that it can be seen what is chosen.
      if (this.chosen && !list.some(({ id }) => id === this.chosen)) list.push({ id: this.chosen, name: this.chosen });
      return [{ id: "", name: this.texts.primary }, ...list.sort((a, b) => (a.id < b.id ? -1 : 1))];
    },
    connection() {
      if (this.lost) return { level: "error", text: this.texts.lost };
      if (this.paused) return { level: "warn", text: this.texts.paused, detail: this.texts.paused_detail };
      const told = { level: this.status.level ?? "ok", text: this.status.text ?? "", detail: this.status.detail };
      if (this.back) told.text = this.texts.back + " " + told.text;
      return told;
    },
    recordingText() {
      const { state, video, seconds, rows, pictures, megabytes } = this.recording;
      if (state === "finishing") return this.texts.finishing;
      return (video ? this.texts.recording_video : this.texts.recording).replace("{time}", minutes(seconds))
        .replace("{rows}", rows).replace("{pictures}", pictures).replace("{megabytes}", megabytes.toFixed(1));
    },
  },

  watch: {
    chosen() { sessionStorage.setItem(CHOSEN, this.chosen); },
    paused() { this.announced = this.connection.text; },
    "connection.level"() { this.announced = this.connection.text; },
    toSpeak() {
      clearTimeout(this.speaking);
      this.speaking = setTimeout(() => (this.spoken = this.toSpeak), SETTLED);
    },
  },

  mounted() {
    this.ended = false;
    this.lines = new Map(); // id -> { face, points: [[t, valence, raw] or null] }
    this.epoch = this.newest = this.now = 0;
    this.pace = new Pace(0);
    this.restored = sessionStorage.getItem(LOST) !== null;
    this.chart = echarts.init(this.$refs.chart, null, { renderer: "canvas" });
    this.resizer = new ResizeObserver(() => this.chart.resize());
    this.resizer.observe(this.$refs.chart);
    this.onKey = (event) => this.pressed(event);
    window.addEventListener("keydown", this.onKey);
    this.loop(this.update, PERIOD);
    this.loop(this.showPicture, 0);
    this.loop(this.fetchSession, WORDS);
    this.summing = setInterval(() => this.sumUp(), WORDS);
  },

  // NiceGUI keeps hidden tabs.
  activated() { this.away = false; },
  deactivated() { this.away = true; },

  unmounted() {
    this.ended = true;
    clearTimeout(this.told);
    clearTimeout(this.speaking);
    clearInterval(this.summing);
    window.removeEventListener("keydown", this.onKey);
    this.resizer.disconnect();
    this.chart.dispose();
    URL.revokeObjectURL(this.$refs.picture?.src);
  },

  methods: {
    // Call `step` repeatedly, each time after it has ended, but not while the page is hidden.
    async loop(step, period) {
      while (!this.ended) {
        if (document.hidden || this.away || this.paused) {
          await sleep(PERIOD);
          continue;
        }
        let wait = period;
        try {
          await step();
          if (step === this.update && this.lost) this.found();
        } catch (error) {
          if (step === this.update && !this.ended) this.failed();
          wait = RETRY;
        }
        await sleep(wait);
      }
    },

    failed() {
      this.lost = true;
      clearTimeout(this.told);
      this.back = false;
      sessionStorage.setItem(LOST, "1");
    },

    found() {
      this.lost = false;
      this.back = true;
      clearTimeout(this.told);
      this.told = setTimeout(() => {
        this.back = false;
        sessionStorage.removeItem(LOST); // not before: NiceGUI may be about to load the page again
      }, 8000);
    },

    async update() {
      const response = await fetch(`/live/state?epoch=${this.epoch}&after=${this.newest}`,
        { signal: AbortSignal.timeout(5000) });
      if (response.status === 401) return location.reload();
      if (!response.ok) throw new Error(response.statusText);
      const answer = await response.json();
      if (this.ended) return;
      if (this.restored) {
        this.restored = false;
        this.found();
      }
      this.dark = document.body.classList.contains("body--dark");
      if (answer.epoch !== this.epoch) this.lines.clear();
      this.epoch = answer.epoch;
      this.newest = answer.frame;
      this.now = answer.now;
      for (const { points, ...face } of answer.lines) {
        const line = this.lines.get(face.id) ?? { points: [] };
        line.face = face;
        line.points.push(...points);
        this.lines.set(face.id, line);
      }
      for (const [id, line] of this.lines) {
        const first = line.points.findIndex((point) => point && point[0] >= this.now - this.seconds - 1);
        line.points.splice(0, first < 0 ? line.points.length : first);
        if (!line.points.length) this.lines.delete(id);
      }
      delete answer.lines;
      this.answer = answer;
      this.draw();
    },

    async fetchSession() {
      const response = await fetch("/live/session.json", { signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error(response.statusText);
      this.session = await response.json();
    },

    // What Notes of fer-chart asks for.
    moment() { return this.now; },
    setMarker(time, text) { this.$emit("mark", { epoch: this.epoch, time, text }); },
    removeMarker(number) { this.$emit("unmark", number); },

    async showPicture() {
      const response = await fetch(`/live/frame?after=${this.picture ?? 0}`, { signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error(response.statusText);
      if (response.status === 204) {
        this.pictureShown = false;
        return;
      }
      const data = await response.blob();
      if (this.ended) return;
      this.picture = Number(response.headers.get("X-Number"));
      const image = this.$refs.picture;
      const old = image.src;
      image.src = URL.createObjectURL(data);
      await image.decode();
      image.dataset.stamp = response.headers.get("X-Stamp");
      this.pictureShown = true;
      URL.revokeObjectURL(old);
      await new Promise(requestAnimationFrame); // no sooner the next than this one is seen
    },

    // Beside the mouse: how long ago that was, and the valence of each face then.
    point(event) {
      this.pointed = event;
      const { x, width } = this.chart.getModel().getComponent("grid").coordinateSystem.getRect();
      const box = this.$refs.chart.getBoundingClientRect();
      const left = event.clientX - box.left;
      const ago = this.seconds * (1 - (left - x) / width);
      if (event.pointerType === "touch" || ago < 0 || ago > this.seconds) return (this.hover = null);
      const moment = this.now - ago;
      const faces = [...this.lines].flatMap(([id, { face, points }]) => {
        const near = points.findLast((point) => point && point[0] <= moment);
        return near && moment - near[0] < NEAR ? [{ ...face, id, valence: near[1] }] : [];
      });
      const style = left > box.width / 2 ? { right: box.width - left + 12 + "px" } : { left: left + 12 + "px" };
      this.hover = { ago, faces, style };
    },

    sumUp() {
      if (document.hidden || this.away) return;
      this.inWords = summary([...this.lines].map(([id, { points }]) =>
        ({ id, smoothed: points.map((point) => point ?? [null, null]) })), this.texts);
    },

    setKeys(on) {
      switchKeys(on);
      this.keys = on;
    },

    shade(colour) { return shade(colour, this.dark); },

    signed,

    probability(index) { return this.face?.probabilities[index] ?? 0; },

    draw() {
      const relative = (points, column) =>
        points.map((point) => (point ? [point[0] - this.now, point[column]] : [null, null]));
      if (!this.pace.isDue) return;
      this.pace.draw(this.chart, valenceOption({
        palette: this.palette, names: this.texts, dark: this.dark,
        lines: [...this.lines].map(([id, { face, points }]) =>
          ({ ...face, id, smoothed: relative(points, 1), raw: relative(points, 2) })),
        marks: this.markers.map(({ time_s }, index) => ({ time: time_s - this.now, label: String(index + 1) }))
          .filter(({ time }) => time >= -this.seconds),
        axis: { min: -this.seconds, max: 0, name: this.texts.seconds_axis,
          axisLabel: { formatter: (seconds) => String(Math.abs(seconds)) } },
      }));
      if (this.hover) this.point(this.pointed);
    },

    // The face under the mouse; outside of all faces the primary one.
    chooseAt(event) {
      if (!this.size) return;
      const area = event.currentTarget.getBoundingClientRect();
      const x = ((event.clientX - area.left) / area.width) * this.size[0];
      const y = ((event.clientY - area.top) / area.height) * this.size[1];
      const hit = this.faces.find(({ box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3]);
      this.chosen = hit?.id ?? "";
    },

    shownName({ name }) {
      const [day, time, number] = name.split("_");
      return `${day} ${time.replaceAll("-", ":")}` + (number ? ` (${number})` : "");
    },

    address({ name }, file) { return `/live/recordings/${name}/${file}`; },

    recordedText(one) {
      return this.texts.recorded.replace("{name}", this.shownName(one)).replace("{time}", minutes(one.seconds))
        .replace("{megabytes}", one.megabytes.toFixed(1));
    },

    pause() { this.paused = !this.paused; },

    pressed(event) {
      if (!keysOn() || this.away || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
      if (event.target.closest("input:not([type=radio]), textarea, select, [contenteditable], .q-dialog")) return;
      const key = event.key.toLowerCase();
      if (/^[0-9]$/.test(key) && this.options[key]) this.chosen = this.options[key].id;
      else if (key === "p") this.pause();
      else if (key === "r" && this.recording.state === "empty") this.$emit("record", this.video);
      else if (key === "r" && this.recording.state === "running") this.$emit("stop");
      else if (key === "c") this.$emit("clear");
      else if (key === "m" && this.answer?.frame) {
        event.preventDefault();
        this.draftMarker();
      }
    },
  },
};

function minutes(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
