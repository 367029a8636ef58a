// Markers and summary of a session, of a video or of the live view: their templates, and what these need of a component.
import { signed } from "./format.js";

export function clock(seconds, digits = 1) {
  const whole = digits ? Number(seconds.toFixed(digits)) : Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

export const MARKERS = `
<section class="fer-card fer-markers" :aria-label="texts.markers">
  <h2>{{ texts.markers }}</h2>
  <form v-if="draft" class="fer-buttons" @submit.prevent="saveMarker">
    <label class="fer-grow">{{ texts.marker_text.replace("{time}", clock(draft.time)) }}
      <input ref="draft" v-model="draft.text" class="fer-input" maxlength="200" @keydown.esc="draft = null"></label>
    <q-btn no-caps unelevated color="primary" type="submit" :label="texts.marker_save"/>
    <q-btn no-caps outline :label="texts.marker_cancel" @click="draft = null"/>
  </form>
  <ol class="fer-list">
    <li v-for="(marker, index) in markers" :key="marker.number">
      <q-btn v-if="goTo" no-caps outline :label="index + 1 + ' · ' + clock(marker.time_s)"
        :aria-label="texts.marker_go.replace('{time}', clock(marker.time_s))" @click="goTo(marker.time_s)"/>
      <span v-else class="fer-number">{{ index + 1 }} · {{ clock(marker.time_s) }}</span>
      <span class="fer-grow">{{ marker.text }}</span>
      <q-btn round flat icon="delete" :aria-label="texts.marker_remove.replace('{time}', clock(marker.time_s))"
        @click="removeMarker(marker.number)"/>
    </li>
  </ol>
  <p v-if="!markers.length && !draft" class="fer-empty">{{ texts.marker_none }}</p>
  <p v-if="texts.marker_hint" class="fer-empty">{{ texts.marker_hint }}</p>
  <p v-if="noteProblem" role="alert" class="fer-problem">{{ noteProblem }}</p>
</section>`;

export const SUMMARY = `
<div class="fer-wide" tabindex="0" role="group" :aria-label="texts.summary_heading"><table class="fer-table">
  <thead><tr><th scope="col">{{ texts.person }}</th><th scope="col">{{ texts.seen }}</th>
    <th scope="col">{{ texts.mean }}</th><th scope="col">{{ texts.longest_positive }}</th>
    <th scope="col">{{ texts.longest_negative }}</th><th scope="col">{{ texts.quality }}</th>
    <th scope="col">{{ texts.unusable }}</th></tr></thead>
  <tbody><tr v-for="person in people" :key="person.name"><th scope="row">{{ person.name }}</th>
    <td>{{ clock(person.seconds) }}</td><td>{{ spread(person) }}</td><td>{{ stretch(person.longest_positive) }}</td>
    <td>{{ stretch(person.longest_negative) }}</td><td>{{ percent(person.quality) }}</td>
    <td>{{ percent(person.unusable) }}</td></tr></tbody></table></div>
<h3>{{ texts.per_emotion }}</h3>
<div class="fer-wide" tabindex="0" role="group" :aria-label="texts.per_emotion"><table class="fer-table">
  <thead><tr><th scope="col">{{ texts.person }}</th>
    <th v-for="{ name } in palette.emotions" :key="name" scope="col">{{ name }}</th>
    <th v-for="(_, name) in palette.groups" :key="'g' + name" scope="col">
      {{ texts.group.replace("{group}", texts[name]) }}</th></tr></thead>
  <tbody><tr v-for="person in people" :key="person.name"><th scope="row">{{ person.name }}</th>
    <td v-for="{ name } in palette.emotions" :key="name">{{ part(person.emotions[name], person) }}</td>
    <td v-for="(_, name) in palette.groups" :key="'g' + name">{{ part(person.groups[name], person) }}</td>
  </tr></tbody></table></div>`;

// A mixin for a component with
//   texts, palette, markers: [{number, time_s, text}], session: as session.json, or null
//   moment(): seconds at which a new marker is set
//   setMarker(time, text), removeMarker(number)
//   goTo(time), if a marker leads somewhere
export const Notes = {
  data() {
    return {
      draft: null, // a marker that is being written
      noteProblem: "",
    };
  },

  computed: {
    people() {
      const { people, all } = this.session;
      return people.length === 1 ? people : [...people, { ...all, name: this.texts.all_faces }];
    },
  },

  methods: {
    clock(seconds) { return clock(seconds); },
    percent(value) { return value === null || value === undefined ? "–" : Math.round(100 * value) + " %"; },
    part(seconds, person) { return this.percent(person.seconds ? seconds / person.seconds : null); },
    spread({ mean_valence, spread }) {
      return mean_valence === null ? "–" : `${signed(mean_valence)} ± ${spread.toFixed(2)}`;
    },
    stretch(found) {
      return found ? this.texts.stretch.replace("{length}", (found[1] - found[0]).toFixed(1))
        .replace("{start}", clock(found[0])) : "–";
    },
    sessionInWords() {
      const { duration_s, frames, without_face_s, faces_seen_shortly } = this.session;
      return this.texts.session_text.replace("{duration}", clock(duration_s)).replace("{frames}", frames)
        .replace("{without}", this.percent(duration_s ? without_face_s / duration_s : 0))
        .replace("{short}", faces_seen_shortly);
    },

    async draftMarker() {
      this.draft = { time: this.moment(), text: "" };
      await this.$nextTick();
      this.$refs.draft.focus();
    },

    async saveMarker() {
      const { time, text } = this.draft;
      this.draft = null;
      await this.setMarker(time, text);
    },
  },
};
