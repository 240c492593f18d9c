/** The values that Python wrote (tests/web/golden.py). */
import { readFileSync } from "node:fs";

export const golden = JSON.parse(readFileSync(new URL("../golden.json", import.meta.url), "utf8"));

/** @param {string} hex @returns {ArrayBuffer} */
export const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;

/** @param {ArrayBuffer} buffer */
export const hex = (buffer) => Buffer.from(buffer).toString("hex");
