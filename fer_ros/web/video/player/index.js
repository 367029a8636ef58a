// What the player of the tab Video is made of, apart from its view.
export { Recording, find } from "./recording.js";
export { drawFaces } from "./overlay.js";
export { moved, pinched, zoomed } from "./range.js";
