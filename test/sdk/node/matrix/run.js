// Runs every client against every upstream and prints a line of JSON for each
// thing that was tried: {client, upstream, feature, failed}. HALLEY_UPSTREAMS is
// an object: upstream dialect → its model; HALLEY_TRANSLATED are the dialects
// that Halley translates between.
import { readFile } from 'node:fs/promises';
import anthropic from './anthropic.js';
import ai from './ai.js';
import genai from './genai.js';
import openai from './openai.js';

const upstreams = JSON.parse(process.env.HALLEY_UPSTREAMS);
const translated = process.env.HALLEY_TRANSLATED.split(',');
const features = ['text', 'stream', 'tools', 'image', 'json', 'thinking', 'abort', 'broken', 'errors'];

const versionOf = async (name) =>
  JSON.parse(await readFile(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;
const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');

async function attempt(run, at) {
  let timer;
  const late = new Promise(
    (_, reject) => (timer = setTimeout(() => reject(new Error('no end within 20 s')), 20_000)),
  );
  try {
    await Promise.race([run(at), late]);
    return '';
  } catch (err) {
    return String(err?.stack ?? err);
  } finally {
    clearTimeout(timer);
  }
}

for (const client of [...openai, ...anthropic, ...genai, ...ai]) {
  const version = await versionOf(client.package);
  const places = Object.entries(upstreams).filter(
    ([d]) => d === client.dialect || (translated.includes(d) && translated.includes(client.dialect)),
  );
  await Promise.all(
    places.map(async ([upstream, model]) => {
      for (const feature of features)
        print({
          client: client.name,
          version,
          upstream,
          feature,
          failed: await attempt((at) => client[feature](at), { upstream, model }),
        });
    }),
  );
}
process.exit(0);
