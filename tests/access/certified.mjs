// An OpenID provider that others have written and had certified (oidc-provider), as the tests need it.
//
//     node certified.mjs FOLDER      where FOLDER/node_modules has it
//
// Says its address in a line of JSON, takes a line with what it is to know, and then one word a line: `rotate` gives
// it new keys, and the old ones are gone.  What it remembers stays.  It ends with its stdin.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// stdout is ours alone: what the provider has to say goes where complaints go.
console.log = console.info = console.error;
const say = (line) => process.stdout.write(`${line}\n`);
const [folder] = process.argv.slice(2);
const library = pathToFileURL(`${folder}/node_modules/oidc-provider/lib/`);
const { default: Provider } = await import(new URL("index.js", library));
const { default: Memory } = await import(new URL("adapters/memory_adapter.js", library));
let answer = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => answer(request, response));
await new Promise((up) => server.listen(0, "127.0.0.1", up));
const url = `http://127.0.0.1:${server.address().port}`;
say(JSON.stringify({ url }));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const known = JSON.parse((await lines.next()).value);

function serve() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(url, {
    adapter: (model) => new Memory(model),
    clients: known.clients,
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: randomUUID() }] },
    claims: known.claims,
    cookies: { keys: ["of the tests"] },
    features: {
      claimsParameter: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
    },
    pkce: { required: () => true },
    findAccount: (_, accountId) => ({ accountId, claims: async () => ({ sub: accountId, ...known.people[accountId] }) }),
  });
  answer = provider.callback();
}

serve();
say("ready");
for await (const line of lines) {
  if (line === "rotate") {
    serve();
    say("rotated");
  }
}
process.exit(0);
