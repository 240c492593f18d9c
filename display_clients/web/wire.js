/**
 * The language between a renderer and this page: fixed little-endian headers over a binary WebSocket.
 *
 * Input goes up with a sequence number and is state, not an event: the newest one holds all that matters.
 * Frames come down with the number of the last input that they show.  The same as streamer/wire/view.py;
 * golden bytes shared by both test suites keep them alike.
 */

/** @typedef {{azimuth: number, elevation: number, distance: number, target: [number, number, number]}} Camera */
/** @typedef {{sequence: number, width: number, height: number, moving: boolean, camera: Camera, ratio?: number}} Input */
/* ratio: pixels of the picture to one of the page's own; in sixteenths on the wire. */
/**
 * @typedef {object} Frame
 * @property {number} codec JPEG, PNG or NOTE
 * @property {number} flags KEY, STILL and DEGRADED, added up
 * @property {number} frame counts up from 1 for each viewer
 * @property {number} input sequence number of the last input that the picture shows
 * @property {number} step index along axis 0
 * @property {number} position log position that the picture shows
 * @property {number} width
 * @property {number} height
 * @property {number} renderMs
 * @property {number} encodeMs
 */

export const VERSION = 1;
export const FRAME_HEADER = 40;
export const INPUT_SIZE = 36;
export const ACK_SIZE = 12;

export const JPEG = 1, PNG = 2, NOTE = 3;
export const KEY = 1, STILL = 2, DEGRADED = 4;

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
 * A viewer's state.
 * @param {Input} state
 * @returns {ArrayBuffer}
 */
export function encodeInput({ sequence, width, height, moving, camera, ratio = 1 }) {
  const view = new DataView(new ArrayBuffer(INPUT_SIZE));
  view.setUint8(0, 1);
  view.setUint8(1, VERSION);
  const sixteenths = Math.min(255, Math.max(1, Math.round(16 * ratio)));
  view.setUint16(2, (moving ? 1 : 0) | (sixteenths << 8), true);
  view.setUint32(4, sequence, true);
  view.setUint16(8, width, true);
  view.setUint16(10, height, true);
  const numbers = [camera.azimuth, camera.elevation, camera.distance, ...camera.target];
  numbers.forEach((n, i) => view.setFloat32(12 + 4 * i, n, true));
  return view.buffer;
}

/**
 * The viewer has shown a frame.
 * @param {number} frame
 * @param {number} decodeMs
 * @returns {ArrayBuffer}
 */
export function encodeAck(frame, decodeMs) {
  const view = new DataView(new ArrayBuffer(ACK_SIZE));
  view.setUint8(0, 2);
  view.setUint8(1, VERSION);
  view.setUint32(4, frame, true);
  view.setFloat32(8, decodeMs, true);
  return view.buffer;
}
