// The camera of this browser: its images are analysed one after the other by the machine that serves the page, and the
// result is drawn here.
import { echarts } from "nicegui-echart";
import { Pace, shade, signed, summary, valenceOption } from "fer-chart";
import { drawFaces, Recording } from "fer-player";

const QUALITY = 0.8; // of the images that are sent
const SHARP = 2; // pixels of the canvas per pixel of an image, for what is written into it
const REDRAW = 200; // ms between two drawings of the lines
const WORDS = 5000; // ms between two summaries of the lines
const HIDDEN = 8000; // ms for which the page may be out of sight until the camera is released
const LOOK = 200; // ms

export default {
  props: { texts: Object, palette: Object, seconds: Number, silence: Number, rate: Number, side: Number,
    patience: Number },
  template: `
<section class="fer-card fer-visitor" :aria-label="texts.heading" data-testid="visitor">
  <h2>{{ texts.heading }}</h2>
  <p v-if="!able" class="fer-problem">{{ texts.insecure }}</p>
  <template v-else>
    <div class="fer-buttons">
      <q-btn v-if="state === 'off'" no-caps outline icon="photo_camera" :label="texts.start" @click="start"/>
      <q-btn v-else no-caps unelevated color="primary" icon="no_photography" :label="texts.stop" @click="stop('')"/>
      <span role="status">{{ state === "off" ? "" : texts[state] }}</span>
    </div>
    <p v-if="problem" role="alert" class="fer-problem" data-testid="visitor-problem">{{ problem }}</p>
    <p class="fer-empty">{{ texts.hint }} {{ texts.hidden }}</p>
  </template>
  <div v-show="state === 'running'" class="fer-visitor-parts">
    <canvas ref="canvas" role="img" :aria-label="texts.picture"></canvas>
    <div>
      <h3>{{ texts.faces }}</h3>
      <table v-if="faces.length" class="fer-faces"><tbody>
        <tr v-for="face in faces" :key="face.id" :data-testid="'visitor-' + face.id">
          <th scope="row"><svg viewBox="0 0 32 8" width="32" height="8" aria-hidden="true">
            <line x1="0" y1="4" x2="32" y2="4" :stroke="shade(face)" stroke-width="3"
              :stroke-dasharray="face.dash.join(' ')"/></svg> {{ face.id }}</th>
          <td>{{ face.emotion }} {{ percent(face.confidence) }}</td>
          <td class="fer-number">{{ signed(face.valence) }}</td>
        </tr>
      </tbody></table>
      <p v-else class="fer-empty">{{ texts.nobody }}</p>
      <h3>{{ texts.line }} <small>{{ texts.smoothed }}, {{ texts.raw }}</small></h3>
      <div ref="chart" class="fer-chart" role="img" :aria-label="texts.chart.replace('{seconds}', seconds)"
        aria-describedby="fer-visitor-summary"></div>
      <p id="fer-visitor-summary" class="fer-unseen">{{ inWords }}</p>
    </div>
  </div>
</section>`,

  data() {
    return {
      able: window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia),
      state: "off", // asking (for the camera), loading (the network), running
      problem: "", // why the camera was stopped
      faces: [], // of the newest image
      inWords: "", // the lines
      dark: false,
    };
  },

  mounted() {
    this.pace = new Pace(REDRAW);
    this.visit = 0; // counts starts, so that what belongs to an earlier one ends
    this.resizer = new ResizeObserver(() => this.chart?.resize());
    this.resizer.observe(this.$refs.chart);
    this.onLeave = () => this.stop("");
    window.addEventListener("pagehide", this.onLeave);
  },

  // NiceGUI keeps hidden tabs.
  activated() { this.away = false; },
  deactivated() { this.away = true; },

  unmounted() {
    this.stop("");
    window.removeEventListener("pagehide", this.onLeave);
    this.resizer.disconnect();
    this.chart?.dispose();
  },

  methods: {
    shade(colour) { return shade(colour, this.dark); },
    signed,
    percent(value) { return Math.round(100 * value) + " %"; },

    async start() {
      const visit = ++this.visit;
      Object.assign(this, { state: "asking", problem: "", faces: [] });
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: false,
          video: { width: { ideal: this.side }, height: { ideal: (this.side * 3) / 4 }, frameRate: { ideal: 30 },
            facingMode: "user" } });
      } catch (error) {
        const known = { NotAllowedError: this.texts.denied, NotFoundError: this.texts.missing };
        return visit === this.visit && this.stop(known[error.name] ?? this.texts.occupied);
      }
      if (visit !== this.visit) return release(stream); // stopped meanwhile
      this.stream = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => visit === this.visit && this.stop(this.texts.unplugged));
      this.state = "loading";
      try {
        const video = document.createElement("video");
        Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
        await video.play();
        const { secret } = await this.post("start");
        if (visit !== this.visit) return this.leave(secret);
        this.secret = secret;
        this.recording = new Recording({ least: 0, silence: this.silence,
          emotions: this.palette.emotions.map(({ name }) => name) });
        await this.run(visit, video);
      } catch (error) {
        if (visit === this.visit) this.stop(error.told ?? this.texts.lost);
      }
    },

    // One image after the other, each when the last one was answered; none while the page is not seen.
    async run(visit, video) {
      const image = document.createElement("canvas");
      let hidden = 0;
      while (visit === this.visit) {
        const begin = performance.now();
        if (document.hidden || this.away) {
          hidden ||= begin;
          if (begin - hidden > HIDDEN) return this.stop(this.texts.away);
          await sleep(LOOK);
          continue;
        }
        hidden = 0;
        const scale = Math.min(1, this.side / Math.max(video.videoWidth, video.videoHeight));
        const [width, height] = [Math.round(scale * video.videoWidth), Math.round(scale * video.videoHeight)];
        Object.assign(image, { width, height });
        image.getContext("2d").drawImage(video, 0, 0, width, height);
        const jpeg = await new Promise((resolve) => image.toBlob(resolve, "image/jpeg", QUALITY));
        const answer = await this.post("frame", jpeg);
        if (visit !== this.visit) return;
        if (answer) await this.show(answer, image);
        await sleep(Math.max(0, 1000 / this.rate - (performance.now() - begin)));
      }
    },

    // The answer; nothing if the image came too soon.
    async post(what, body) {
      const response = await fetch("/visitor/" + what, { method: "POST", body, signal: AbortSignal.timeout(this.patience),
        headers: { "X-Visitor": this.secret ?? "", "Content-Type": "image/jpeg" } });
      if (response.status === 401) location.reload();
      if (response.status === 429) return null;
      if (!response.ok) throw Object.assign(new Error(response.statusText), { told: (await response.json()).error });
      return response.json();
    },

    async show({ line, picture }, image) {
      let shown = image;
      if (picture) { // with hidden faces
        shown = new Image();
        shown.src = "data:image/jpeg;base64," + picture;
        await shown.decode();
      }
      this.recording.append([line]);
      this.recording.forget(line.t - this.seconds - 1);
      this.faces = this.recording.at(this.recording.count - 1);
      if (this.state !== "running") {
        this.state = "running";
        await this.$nextTick();
        this.chart ??= echarts.init(this.$refs.chart, null, { renderer: "canvas" });
        this.chart.resize();
      }
      this.paint(shown);
      if (this.pace.isDue) this.draw();
    },

    paint(image) {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const [width, height] = [SHARP * image.width, SHARP * image.height];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0, width, height);
      drawFaces(context, width, height, this.faces.map((face) => ({ ...face, name: face.id })), this.palette.groups);
      canvas.dataset.painted = this.recording.times.at(-1);
    },

    draw() {
      this.dark = document.body.classList.contains("body--dark");
      const { recording } = this;
      const now = recording.times.at(-1);
      const relative = (points) => points.map(([time, value]) => [time === null ? null : time - now, value]);
      const lines = recording.lasting().map((face) => ({ ...face, smoothed: relative(recording.points(face, face.valence)),
        raw: relative(recording.points(face, face.raw)) }));
      this.pace.draw(this.chart, valenceOption({ palette: this.palette, names: this.texts, lines, dark: this.dark,
        axis: { min: -this.seconds, max: 0, name: this.texts.seconds_axis,
          axisLabel: { formatter: (seconds) => String(Math.abs(seconds)) } } }));
      if (performance.now() - (this.summed ?? 0) > WORDS) {
        this.summed = performance.now();
        this.inWords = summary(lines, this.texts);
      }
    },

    // Release the camera, and tell the machine; `problem`: why, for the visitor.
    stop(problem) {
      this.visit++;
      this.state = "off";
      this.problem = problem;
      this.faces = [];
      release(this.stream);
      if (this.secret) this.leave(this.secret);
      this.stream = this.secret = this.recording = null;
      const canvas = this.$refs.canvas;
      if (canvas) canvas.width = canvas.height = 0; // nobody is left in it
    },

    leave(secret) {
      fetch("/visitor/stop", { method: "POST", headers: { "X-Visitor": secret }, keepalive: true }).catch(() => {});
    },
  },
};

function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
