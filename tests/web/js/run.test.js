/** What the page asks of the control plane, against a real server of a few lines. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Answer, ask, Follower } from "../../../display_clients/web/run.js";

/**
 * @param {import("node:http").RequestListener} answer
 * @param {(address: URL) => Promise<void>} use
 */
async function serving(answer, use) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  try {
    await use(new URL(`http://127.0.0.1:${port}/`));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a server that takes a question and never answers is given up", async () => {
  await serving(() => {}, (address) => assert.rejects(ask(address, {}, 50), { name: "TimeoutError" }));
});

test("a server that stops in the middle of its answer is given up too", async () => {
  const half = (/** @type {unknown} */ _, /** @type {import("node:http").ServerResponse} */ response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write("[1, 2");
  };
  await serving(half, (address) => assert.rejects(ask(address, {}, 200), { name: "TimeoutError" }));
});

test("a refusal is its sentence", async () => {
  const no = (/** @type {unknown} */ _, /** @type {import("node:http").ServerResponse} */ response) => {
    response.writeHead(404, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ detail: "there is no run x" }));
  };
  await serving(no, (address) =>
    assert.rejects(ask(address), (why) => why instanceof Answer && why.status === 404 && why.message === "there is no run x"),
  );
});

test("nobody is asked for the chunks and objects of a run that has not begun", () => {
  const nothing = () => {};
  const follower = new Follower(new URL("http://127.0.0.1/api/v1/runs/x"), {
    run: nothing, objects: nothing, chunks: nothing, trouble: nothing, unavailable: nothing, missing: nothing,
  });
  const status = { chunks: 32, committed: 0, leased: 0, failed: 0, objects: 0, log_position: 0 };
  for (const [state, asked] of [["queued", false], ["starting", false], ["waiting", true], ["running", true], ["complete", true]]) {
    follower.run = /** @type {import("../../../display_clients/web/words.js").Run} */ (/** @type {unknown} */ ({ state, status }));
    assert.equal(follower.key("chunks") !== null, asked, String(state));
  }
});
