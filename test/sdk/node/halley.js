// What the suites need to know of the server that the driver started, and of
// the script behind it (test/fakeprovider/script.go).
import OpenAI from 'openai';

export const CHAT = 'script-chat';
export const TOOLS = 'script-tools';
export const EMBED = 'script-embed';
export const FOREVER = 'script-forever';
export const UNPRICED = 'script-unpriced'; // a channel lists it, no price
export const OFFLINE = 'script-offline'; // only a disabled channel lists it
export const errorModel = (status) => `script-error-${status}`;

export const TEXT = 'Halley’s comet returns in 2061 – voilà ☄️ 🇩🇪.';
export const CALLS = [
  {
    id: 'call_A1b2-C3_d4.e5',
    name: 'get_weather',
    arguments: '{"city": "Zürich",  "unit":"\\u00b0C", "n": 12345678901234567890}',
  },
  { id: 'call_f6', name: 'get_time', arguments: '{"zone":"Europe/Zurich","exact":1.10}' },
];
export const USAGE = { prompt: 19, cached: 4, completion: 23, reasoning: 5 };
export const MESSAGES = [{ role: 'user', content: 'When does it come back?' }];

// The value of a variable that the driver sets; HALLEY_BASE_URL ends in /v1.
export function env(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these suites through go test ./test/sdk`);
  return value;
}

// A client without retries: an error case is one request.
export function client(keyVariable = 'HALLEY_API_KEY', options = {}) {
  return new OpenAI({
    baseURL: env('HALLEY_BASE_URL'),
    apiKey: env(keyVariable),
    maxRetries: 0,
    timeout: 30_000,
    ...options,
  });
}

export function tool(name) {
  return { type: 'function', function: { name, parameters: { type: 'object', properties: {} } } };
}
