// The @google/genai package.
import assert from 'node:assert/strict';
import { ApiError, GoogleGenAI } from '@google/genai';
import * as script from './script.js';

const clientOf = (apiKey) =>
  new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl: script.base } });
const client = clientOf(script.apiKey);

function isError(err, status, words = '') {
  assert.equal(`${err.constructor.name} ${err.status}`, `${ApiError.name} ${status}`, String(err));
  const said = JSON.parse(err.message).error;
  assert.equal(said.code, status);
  assert.ok(said.status && said.message.includes(words), err.message);
}

const create = (body, c = client) => c.models.generateContent(body);
const user = (...parts) => [{ role: 'user', parts }];
const partsOf = (got) => got.candidates?.[0]?.content?.parts ?? [];
const textOf = (parts) =>
  parts
    .filter((p) => !p.thought)
    .map((p) => p.text ?? '')
    .join('');
const thoughtsOf = (parts) =>
  parts
    .filter((p) => p.thought)
    .map((p) => p.text)
    .join('');
const used = (u) =>
  script.used({
    prompt: u.promptTokenCount,
    cached: u.cachedContentTokenCount,
    completion: u.candidatesTokenCount + u.thoughtsTokenCount,
    reasoning: u.thoughtsTokenCount,
  });
const tools = [
  {
    functionDeclarations: script.tools.map(({ parameters, ...t }) => ({
      ...t,
      parametersJsonSchema: parameters,
    })),
  },
];
const thinkingConfig = { includeThoughts: true, thinkingBudget: 1024 };

// streamed collects the parts of a stream, and its last chunk.
async function streamed(body) {
  const parts = [];
  let last;
  for await (const chunk of await client.models.generateContentStream(body)) {
    parts.push(...partsOf(chunk));
    last = chunk;
  }
  return { parts, last };
}

export default [
  {
    name: '@google/genai',
    package: '@google/genai',
    dialect: 'gemini',
    async text({ model }) {
      const got = await create({ model, contents: '[text]' });
      assert.equal(got.text, script.text);
      assert.equal(got.candidates[0].finishReason, 'STOP');
      used(got.usageMetadata);
    },
    async stream({ model }) {
      const { parts, last } = await streamed({ model, contents: '[text]' });
      assert.equal(textOf(parts), script.text);
      assert.equal(last.candidates[0].finishReason, 'STOP');
      used(last.usageMetadata);
    },
    async tools({ model }) {
      for (const inStream of [false, true]) {
        const contents = user({ text: '[tools]' });
        const body = { model, contents, config: { tools } };
        const parts = inStream ? (await streamed(body)).parts : partsOf(await create(body));
        const called = parts.filter((p) => p.functionCall).map((p) => p.functionCall);
        script.bothCalled(called.map((c) => c.name));
        contents.push({ role: 'model', parts });
        contents.push(
          ...user(
            ...called.map((c) => ({
              functionResponse: {
                id: c.id,
                name: c.name,
                response: { output: script.runTool(c.name, c.args) },
              },
            })),
          ),
        );
        assert.equal((await create(body)).text, script.text);
      }
    },
    async image({ model }) {
      const contents = user(
        { text: '[image]' },
        { inlineData: { mimeType: 'image/png', data: script.image } },
      );
      assert.equal((await create({ model, contents })).text, script.text);
    },
    async json({ model }) {
      for (const how of [
        { responseJsonSchema: script.schema },
        {
          responseSchema: {
            type: 'OBJECT',
            properties: { year: { type: 'INTEGER' }, place: { type: 'STRING' } },
            required: ['year', 'place'],
          },
        },
      ]) {
        const got = await create({
          model,
          contents: '[json]',
          config: { responseMimeType: 'application/json', ...how },
        });
        assert.deepEqual(JSON.parse(got.text), script.answer);
      }
    },
    async thinking({ model, upstream }) {
      const contents = user({ text: '[think]' });
      const got = await create({ model, contents, config: { thinkingConfig } });
      assert.equal(textOf(partsOf(got)), script.text);
      assert.equal(thoughtsOf(partsOf(got)), script.thoughts);
      contents.push({ role: 'model', parts: partsOf(got) }, ...user({ text: '[recall]' }));
      script.signed('gemini', upstream, (await create({ model, contents, config: { thinkingConfig } })).text);

      const { parts } = await streamed({ model, contents: '[think]', config: { thinkingConfig } });
      assert.equal(thoughtsOf(parts), script.thoughts);
      assert.equal(textOf(parts), script.text);
    },
    async abort({ model }) {
      const leaving = new AbortController();
      let n = 0;
      await script.refused('a stream that was left', async () => {
        for await (const _ of await client.models.generateContentStream({
          model,
          contents: '[forever]',
          config: { abortSignal: leaving.signal },
        }))
          if (++n === 5) leaving.abort();
      });
      assert.ok(n >= 5 && n < 1000, `${n} events of a stream that was left`);
    },
    async broken({ model }) {
      let got = '';
      const err = await script.refused('a broken stream', async () => {
        for await (const chunk of await client.models.generateContentStream({ model, contents: '[break]' }))
          got += chunk.text ?? '';
      });
      assert.equal(got, script.text);
      // An ApiError when the error is read in one piece of its own, else a plain one.
      assert.ok(
        err instanceof Error && !(err instanceof assert.AssertionError),
        `${err.constructor.name}: ${err.message}`,
      );
    },
    async errors({ upstream, model }) {
      const ask = (asked, c) => create({ model: asked, contents: '[text]' }, c);
      for (const [status, want] of script.failures)
        isError(
          await script.refused(`status ${status}`, () => ask(`${upstream}-error-${status}`)),
          want,
          want === status ? script.failure : '',
        );
      for (const [key, asked, want] of script.refusals(model))
        isError(await script.refused(`${key} ${asked}`, () => ask(asked, clientOf(script.keyOf(key)))), want);
    },
  },
];
