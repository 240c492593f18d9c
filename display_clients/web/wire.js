/**
 * The language between a renderer and this page: fixed little-endian headers over a binary WebSocket.
 *
 * Input goes up with a sequence number and is state, not an event: the newest one holds all that matters.
 * Frames come down with the number of the last input that they show.  The same as streamer/wire/view.py;
 * golden bytes shared by both test suites keep them alike.
 */

/** @typedef {{azimuth: number, elevation: number, distance: number, target: [number, number, number]}} Camera */
/**
 * @typedef {object} Input
 * @property {number} sequence
 * @property {number} width
 * @property {number} height
 * @property {boolean} moving
 * @property {Camera} camera
 * @property {number} [ratio] pixels of the picture to one of the page's own; in sixteenths on the wire
 * @property {boolean} [exact] the still is to be without loss, however thin the link is
 * @property {[number, number] | null} [pointer] where in the picture the pointer is, from the left and from the top, 0 to 1
 */
/**
 * @typedef {object} Frame
 * @property {number} codec JPEG, PNG, NOTE or H264
 * @property {number} flags KEY, STILL, DEGRADED and LATER, added up
 * @property {number} frame counts up from 1 for each viewer
 * @property {number} input sequence number of the last input that the picture shows
 * @property {number} step index along axis 0
 * @property {number} position log position that the picture shows
 * @property {number} width
 * @property {number} height
 * @property {number} renderMs
 * @property {number} encodeMs
 */

export const VERSION = 2;
export const FRAME_HEADER = 40;
export const INPUT_SIZE = 40;
export const ACK_SIZE = 12;
export const HAND_SIZE = 8;
export const QUESTION_SIZE = 12;
/** Bytes of a look before its text, and the most that the text may have. */
export const LOOK_HEADER = 8, MOST_LOOK = 4096;

export const VIDEO_SIZE = 4;
export const JPEG = 1, PNG = 2, NOTE = 3, H264 = 4;
/** When H.264 is wanted while something moves. */
export const NEVER = 0, THIN = 1, ALWAYS = 2;
/** LATER: what says that it was shown may come with the next input. */
export const KEY = 1, STILL = 2, DEGRADED = 4, LATER = 16;

/** Bytes that are not a frame: what is wrong with them, in a sentence. */
export class Refused extends Error {}

/**
 * A frame's header and the bytes behind it, which are not copied.  Throws Refused.
 * @param {ArrayBuffer} buffer
 * @returns {{frame: Frame, payload: Uint8Array}}
 */
export function decodeFrame(buffer) {
  if (buffer.byteLength < FRAME_HEADER) {
    throw new Refused(`a frame of ${buffer.byteLength} bytes; its header alone has ${FRAME_HEADER}`);
  }
  const view = new DataView(buffer);
  const version = view.getUint8(0);
  if (version !== VERSION) throw new Refused(`a frame of version ${version}; this page speaks ${VERSION}: reload it`);
  const frame = {
    codec: view.getUint8(1),
    flags: view.getUint16(2, true),
    frame: view.getUint32(4, true),
    input: view.getUint32(8, true),
    step: view.getUint32(12, true),
    position: Number(view.getBigUint64(16, true)),
    width: view.getUint16(24, true),
    height: view.getUint16(26, true),
    renderMs: view.getFloat32(28, true),
    encodeMs: view.getFloat32(32, true),
  };
  return { frame, payload: new Uint8Array(buffer, FRAME_HEADER) };
}

/**
 * A viewer's state, and what has been shown meanwhile.
 * @param {Input} state
 * @param {ArrayBuffer | null} [ack] of a frame
 * @returns {ArrayBuffer}
 */
export function encodeInput({ sequence, width, height, moving, camera, ratio = 1, pointer = null, exact = false }, ack = null) {
  const view = new DataView(new ArrayBuffer(INPUT_SIZE + (ack?.byteLength ?? 0)));
  if (ack) new Uint8Array(view.buffer).set(new Uint8Array(ack), INPUT_SIZE);
  view.setUint8(0, 1);
  view.setUint8(1, VERSION);
  const sixteenths = Math.min(255, Math.max(1, Math.round(16 * ratio)));
  view.setUint16(2, (moving ? 1 : 0) | (exact ? 2 : 0) | (sixteenths << 8), true);
  view.setUint32(4, sequence, true);
  view.setUint16(8, width, true);
  view.setUint16(10, height, true);
  const numbers = [camera.azimuth, camera.elevation, camera.distance, ...camera.target];
  numbers.forEach((n, i) => view.setFloat32(12 + 4 * i, n, true));
  const share = (/** @type {number} */ n) => Math.round(65534 * Math.min(1, Math.max(0, n)));
  view.setUint16(36, pointer ? share(pointer[0]) : 65535, true);
  view.setUint16(38, pointer ? share(pointer[1]) : 65535, true);
  return view.buffer;
}

/**
 * The viewer has shown a frame.
 * @param {number} frame
 * @param {number} decodeMs
 * @param {number} [heldMs] how long ago
 * @returns {ArrayBuffer}
 */
export function encodeAck(frame, decodeMs, heldMs = 0) {
  const view = new DataView(new ArrayBuffer(ACK_SIZE));
  view.setUint8(0, 2);
  view.setUint8(1, VERSION);
  view.setUint16(2, Math.min(65535, Math.max(0, Math.round(10 * heldMs))), true);
  view.setUint32(4, frame, true);
  view.setFloat32(8, decodeMs, true);
  return view.buffer;
}

/**
 * The camera that a text spells; null if it spells none.
 * @param {string | null} text
 * @returns {Camera | null}
 */
export function cameraOf(text) {
  let found = /** @type {Partial<Camera> | null} */ (null);
  try {
    found = JSON.parse(text ?? "null");
  } catch {
    return null;
  }
  const { azimuth, elevation, distance, target } = found ?? {};
  const numbers = [azimuth, elevation, distance, ...(Array.isArray(target) ? target : [])];
  const sound = numbers.length === 6 && numbers.every((n) => typeof n === "number" && Math.abs(n) < 1e6);
  return sound && Number(distance) > 0 ? /** @type {Camera} */ ({ azimuth, elevation, distance, target }) : null;
}

/**
 * Is anybody there?  A note answers.
 * @returns {ArrayBuffer}
 */
export function encodeBeat() {
  return Uint8Array.of(6, VERSION).buffer;
}

/**
 * What can be made of H.264 here; the next such picture will decode by itself.
 * @param {number} wish NEVER, THIN or ALWAYS
 * @returns {ArrayBuffer}
 */
export function encodeVideo(wish) {
  const view = new DataView(new ArrayBuffer(VIDEO_SIZE));
  view.setUint8(0, 7);
  view.setUint8(1, VERSION);
  view.setUint16(2, wish, true);
  return view.buffer;
}

/**
 * The lead of a shared view is to be another's.
 * @param {number} to the viewer's number there; 0: the sender asks for it
 * @returns {ArrayBuffer}
 */
export function encodeHand(to) {
  const view = new DataView(new ArrayBuffer(HAND_SIZE));
  view.setUint8(0, 5);
  view.setUint8(1, VERSION);
  view.setUint32(4, to, true);
  return view.buffer;
}

/**
 * What the viewer wants to see; its number is of the same row as those of inputs.
 * @param {number} sequence
 * @param {import("./look.js").Look} look
 * @returns {ArrayBuffer}
 */
export function encodeLook(sequence, look) {
  const text = new TextEncoder().encode(JSON.stringify(look));
  if (text.length > MOST_LOOK) throw new Refused(`a look of ${text.length} bytes; ${MOST_LOOK} are allowed`);
  const message = new Uint8Array(LOOK_HEADER + text.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, 16);
  view.setUint8(1, VERSION);
  view.setUint16(2, text.length, true);
  view.setUint32(4, sequence, true);
  message.set(text, LOOK_HEADER);
  return message.buffer;
}

/**
 * What is there?
 * @param {number} number comes back with the answer
 * @param {number} x from the left of the picture, 0 to 1
 * @param {number} y from the top
 * @returns {ArrayBuffer}
 */
export function encodeQuestion(number, x, y) {
  const view = new DataView(new ArrayBuffer(QUESTION_SIZE));
  view.setUint8(0, 17);
  view.setUint8(1, VERSION);
  view.setUint32(4, number, true);
  [x, y].forEach((n, i) => view.setUint16(8 + 2 * i, Math.round(65534 * Math.min(1, Math.max(0, n))), true));
  return view.buffer;
}

// ------------------------------------------------------------------ others present (streamer/wire/presence.py)

/** What one may want of the others, in the order of their numbers on the wire. */
export const WHAT = /** @type {const} */ (["ask", "withdraw", "refuse", "invite", "end", "accept", "decline", "leave", "see", "taken"]);
/** @typedef {typeof WHAT[number]} What */

/**
 * What one is called; a name that is clean (people.js) is never too long.
 * @param {string} name
 * @returns {ArrayBuffer}
 */
export function encodeName(name) {
  const text = new TextEncoder().encode(name);
  const message = new Uint8Array(4 + text.length);
  new DataView(message.buffer).setUint16(2, text.length, true);
  message.set([32, VERSION]);
  message.set(text, 4);
  return message.buffer;
}

/**
 * Where one's pointer is.
 * @param {[number, number] | null} place from the picture's middle, in its heights; null: elsewhere
 * @returns {ArrayBuffer}
 */
export function encodePointer(place) {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint8(0, 33);
  view.setUint8(1, VERSION);
  const steps = (/** @type {number} */ n) => Math.round(8000 * Math.min(4, Math.max(-4, n)));
  view.setInt16(4, place ? steps(place[0]) : -32768, true);
  view.setInt16(6, place ? steps(place[1]) : -32768, true);
  return view.buffer;
}

/**
 * What one wants of the others.
 * @param {What} what
 * @param {number} whom
 * @returns {ArrayBuffer}
 */
export function encodeWish(what, whom) {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint8(0, 34);
  view.setUint8(1, VERSION);
  view.setUint16(2, WHAT.indexOf(what), true);
  view.setUint32(4, whom, true);
  return view.buffer;
}

/**
 * The pointers of the others have been drawn.
 * @returns {ArrayBuffer}
 */
export function encodeDrawn() {
  return Uint8Array.of(35, VERSION).buffer;
}
