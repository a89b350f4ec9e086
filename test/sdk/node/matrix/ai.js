// The Vercel AI SDK with its providers for OpenAI, Anthropic and Google.
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import * as script from './script.js';

globalThis.AI_SDK_LOG_WARNINGS = false;

const openai = (apiKey) => createOpenAI({ baseURL: `${script.base}/v1`, apiKey });
const anthropic = (apiKey) => createAnthropic({ baseURL: `${script.base}/v1`, apiKey });
const google = (apiKey) => createGoogleGenerativeAI({ baseURL: `${script.base}/v1beta`, apiKey });

const tools = Object.fromEntries(
  script.tools.map((t) => [
    t.name,
    tool({
      description: t.description,
      inputSchema: jsonSchema(t.parameters),
      execute: (args) => script.runTool(t.name, args),
    }),
  ]),
);
const quiet = { maxRetries: 0 };

const used = (u) =>
  script.used({
    prompt: u.inputTokens,
    cached: u.cachedInputTokens,
    completion: u.outputTokens,
    reasoning: u.reasoningTokens,
  });

function isError(err, status, words = '') {
  assert.ok(APICallError.isInstance(err), `${err.constructor.name}: ${err.message}`);
  assert.equal(err.statusCode, status, String(err));
  assert.ok(err.message.includes(words), err.message);
  assert.ok(err.data, `the SDK does not understand the error ${err.responseBody}`);
}

// row is one provider's. modelOf gives a model for a key. thinking are the
// options that make it think; shown is whether it shows thoughts, proven whether
// it gives their proof back; counted, whether it tells how long they were.
const row = ({ name, package: pkg, dialect, modelOf, thinking, shown = true, counted = true }) => {
  const at = (model, key = script.apiKey) => ({ model: modelOf(key, model), ...quiet });
  const think = { providerOptions: thinking };
  return {
    name,
    package: pkg,
    dialect,
    async text({ model }) {
      const got = await generateText({ ...at(model), prompt: '[text]' });
      assert.equal(got.text, script.text);
      assert.equal(got.finishReason, 'stop');
      used({ ...got.usage, reasoningTokens: counted ? got.usage.reasoningTokens : script.usage.reasoning });
    },
    async stream({ model }) {
      const got = streamText({ ...at(model), prompt: '[text]', onError() {} });
      let text = '';
      for await (const piece of got.textStream) text += piece;
      assert.equal(text, script.text);
      assert.equal(await got.finishReason, 'stop');
      const usage = await got.usage;
      used({ ...usage, reasoningTokens: counted ? usage.reasoningTokens : script.usage.reasoning });
    },
    async tools({ model }) {
      const body = { ...at(model), prompt: '[tools]', tools, stopWhen: stepCountIs(3) };
      const got = await generateText(body);
      script.bothCalled(got.steps.flatMap((s) => s.toolCalls.map((c) => c.toolName)));
      assert.equal(got.text, script.text);
      const streamed = streamText({ ...body, onError() {} });
      assert.equal(await streamed.text, script.text);
      script.bothCalled((await streamed.steps).flatMap((s) => s.toolCalls.map((c) => c.toolName)));
    },
    async image({ model }) {
      const content = [
        { type: 'text', text: '[image]' },
        { type: 'image', image: script.image, mediaType: 'image/png' },
      ];
      assert.equal(
        (await generateText({ ...at(model), messages: [{ role: 'user', content }] })).text,
        script.text,
      );
    },
    async json({ model }) {
      const got = await generateText({
        ...at(model),
        prompt: '[json]',
        output: Output.object({ schema: jsonSchema(script.schema) }),
      });
      assert.deepEqual(got.output, script.answer);
    },
    async thinking({ model, upstream }) {
      const messages = [{ role: 'user', content: '[think]' }];
      const got = await generateText({ ...at(model), messages, ...think });
      assert.equal(got.text, script.text);
      if (counted) assert.equal(got.usage.reasoningTokens, script.usage.reasoning);
      const streamed = streamText({ ...at(model), messages, ...think, onError() {} });
      assert.equal(await streamed.text, script.text);
      if (!shown) return;
      assert.equal(got.reasoningText, script.thoughts);
      assert.equal(await streamed.reasoningText, script.thoughts);
      for (const said of [got.response.messages, (await streamed.response).messages]) {
        const again = await generateText({
          ...at(model),
          messages: [...messages, ...said, { role: 'user', content: '[recall]' }],
          ...think,
        });
        script.signed(dialect, upstream, again.text);
      }
    },
    async abort({ model }) {
      const leaving = new AbortController();
      const got = streamText({
        ...at(model),
        prompt: '[forever]',
        abortSignal: leaving.signal,
        onError() {},
      });
      let n = 0;
      let end;
      for await (const part of got.fullStream) {
        if (part.type === 'text-delta' && ++n === 5) leaving.abort();
        end = part.type;
      }
      assert.equal(end, 'abort');
      assert.ok(n >= 5 && n < 1000, `${n} pieces of a stream that was left`);
    },
    async broken({ model }) {
      const got = streamText({ ...at(model), prompt: '[break]', onError() {} });
      let text = '';
      let err;
      for await (const part of got.fullStream) {
        if (part.type === 'text-delta') text += part.text;
        if (part.type === 'error') err = part.error;
      }
      assert.equal(text, script.text);
      assert.ok(err, 'the stream ended as if it were whole');
    },
    async errors({ upstream, model }) {
      const ask = (asked, key) => generateText({ ...at(asked, key), prompt: '[text]' });
      for (const [status, want] of script.failures)
        isError(
          await script.refused(`status ${status}`, () => ask(`${upstream}-error-${status}`)),
          want,
          want === status ? script.failure : '',
        );
      for (const [key, asked, want] of script.refusals(model))
        isError(await script.refused(`${key} ${asked}`, () => ask(asked, script.keyOf(key))), want);
    },
  };
};

export default [
  row({
    name: 'ai with @ai-sdk/openai, chat',
    package: '@ai-sdk/openai',
    dialect: 'chat',
    modelOf: (key, model) => openai(key).chat(model),
    thinking: { openai: { reasoningEffort: 'low', forceReasoning: true } },
    shown: false, // the provider does not read reasoning_content
  }),
  row({
    name: 'ai with @ai-sdk/openai, responses',
    package: '@ai-sdk/openai',
    dialect: 'responses',
    modelOf: (key, model) => openai(key).responses(model),
    thinking: {
      openai: {
        reasoningEffort: 'low',
        reasoningSummary: 'auto',
        store: false,
        forceReasoning: true,
        include: ['reasoning.encrypted_content'],
      },
    },
  }),
  row({
    name: 'ai with @ai-sdk/anthropic',
    package: '@ai-sdk/anthropic',
    dialect: 'messages',
    modelOf: (key, model) => anthropic(key)(model),
    thinking: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
    counted: false, // the provider does not read output_tokens_details
  }),
  row({
    name: 'ai with @ai-sdk/google',
    package: '@ai-sdk/google',
    dialect: 'gemini',
    modelOf: (key, model) => google(key)(model),
    thinking: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } },
  }),
];
