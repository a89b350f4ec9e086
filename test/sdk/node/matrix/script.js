// What the script behind the server says (test/fakeprovider/questions.go), and
// what the driver sets.
import assert from 'node:assert/strict';

export const base = process.env.HALLEY_ROOT_URL;
export const apiKey = process.env.HALLEY_API_KEY;

export const text = 'Halley’s comet returns in 2061 – voilà ☄️ 🇩🇪.';
export const thoughts = 'It was here in 1986, and takes about 75 years.';
export const answer = { year: 2061, place: 'Zürich' };
export const image =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const usage = { prompt: 19, cached: 4, completion: 23, reasoning: 5 };
export const calls = [
  { name: 'get_weather', args: { city: 'Zürich', days: 3 } },
  { name: 'get_time', args: { zone: 'Europe/Zurich' } },
];
const results = { get_weather: '21 degrees', get_time: 'noon' };

export const schema = {
  type: 'object',
  properties: { year: { type: 'integer' }, place: { type: 'string' } },
  required: ['year', 'place'],
  additionalProperties: false,
};
export const tools = [
  {
    name: 'get_weather',
    description: 'The weather of the next days',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
    },
  },
  {
    name: 'get_time',
    description: 'What time it is',
    parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] },
  },
];

// runTool checks a call of the script's and answers it. args is an object.
export function runTool(name, args) {
  const want = calls.find((c) => c.name === name);
  assert.ok(want, `a call of ${name}, which the script does not make`);
  assert.deepEqual(args, want.args, `the arguments of ${name}`);
  return results[name];
}

// bothCalled holds the names that were called against the script's, in order.
export function bothCalled(names) {
  assert.deepEqual(
    names,
    calls.map((c) => c.name),
  );
}

// used holds usage in the terms of OpenAI against the script's.
export function used(got) {
  assert.deepEqual(got, usage, 'usage');
}

// shown is whether a client of OpenAI's chat completions sees thoughts. It can only
// ask for an effort, which shows them everywhere but at Responses: OpenAI has
// summaries there for verified organizations alone.
export const shown = (upstream) => upstream !== 'responses';

// signed holds what [recall] says to a client against the truth. OpenAI's chat
// completions have no proof of thoughts; Gemini's, on a text, is one that it does
// not ask for and that stays behind in other dialects.
export function signed(dialect, upstream, said) {
  if (upstream === 'chat') return;
  if (upstream === 'gemini' && dialect !== 'gemini') assert.match(said, /^unsigned/);
  else assert.equal(said, 'signed');
}

// refused runs do, which must fail, and gives its error.
export async function refused(what, run) {
  let got;
  try {
    got = await run();
  } catch (err) {
    return err;
  }
  assert.fail(`${what} is no error: ${JSON.stringify(got)}`);
}

// What an upstream's error is to the client. 401 means that our credential was
// refused, which is not the client's affair.
export const failures = [
  [400, 400],
  [401, 502],
  [429, 429],
  [500, 500],
  [503, 503],
];
export const failure = 'The script answers with this error.';

// Halley's own refusals: the variable with the key, the model, the status.
export const refusals = (model) => [
  ['', model, 401],
  ['HALLEY_KEY_EXPIRED', model, 401],
  ['HALLEY_KEY_EXHAUSTED', model, 402],
  ['HALLEY_KEY_MODEL_LIMITED', model, 403],
  ['HALLEY_API_KEY', 'script-nowhere', 404],
];
export const keyOf = (variable) => process.env[variable] ?? 'sk-nobody-has-this-key';
