// The @anthropic-ai/sdk package.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import * as script from './script.js';

const clientOf = (apiKey) => new Anthropic({ baseURL: script.base, apiKey, maxRetries: 0 });
const client = clientOf(script.apiKey);
const classes = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  402: 'PaymentRequiredError',
  503: 'ServiceUnavailableError',
};

function isError(err, status, words = '') {
  const want = classes[status] ?? (status >= 500 ? 'InternalServerError' : 'APIError');
  assert.equal(`${err.constructor.name} ${err.status}`, `${want} ${status}`, String(err));
  assert.equal(err.error?.type, 'error', `the body ${JSON.stringify(err.error)}`);
  assert.ok(err.message.includes(words), err.message);
}

const say = (content) => [{ role: 'user', content }];
const bounded = (body) => ({ max_tokens: 4096, ...body });
const create = (body, c = client) => c.messages.create(bounded(body));
const textOf = (m) =>
  m.content
    .filter((b) => b.type === 'text')
    .map((b) => b.text)
    .join('');
const thoughtsOf = (m) =>
  m.content
    .filter((b) => b.type === 'thinking')
    .map((b) => b.thinking)
    .join('');
const used = (u) => {
  assert.equal(u.input_tokens + u.cache_read_input_tokens, script.usage.prompt);
  assert.equal(u.cache_read_input_tokens, script.usage.cached);
  assert.equal(u.output_tokens, script.usage.completion);
};
const tools = script.tools.map(({ parameters, ...t }) => ({ ...t, input_schema: parameters }));
const thinking = { thinking: { type: 'enabled', budget_tokens: 1024 } };

export default [
  {
    name: '@anthropic-ai/sdk',
    package: '@anthropic-ai/sdk',
    dialect: 'messages',
    async text({ model }) {
      const got = await create({ model, messages: say('[text]') });
      assert.equal(textOf(got), script.text);
      assert.equal(got.stop_reason, 'end_turn');
      assert.equal(got.model, model);
      used(got.usage);
    },
    async stream({ model }) {
      const stream = client.messages.stream(bounded({ model, messages: say('[text]') }));
      let got = '';
      stream.on('text', (t) => (got += t));
      const last = await stream.finalMessage();
      assert.equal(got, script.text);
      assert.equal(textOf(last), script.text);
      assert.equal(last.stop_reason, 'end_turn');
      used(last.usage);
    },
    async tools({ model }) {
      for (const streamed of [false, true]) {
        const messages = say('[tools]');
        const body = { model, messages, tools };
        const got = streamed
          ? await client.messages.stream(bounded(body)).finalMessage()
          : await create(body);
        assert.equal(got.stop_reason, 'tool_use');
        const called = got.content.filter((b) => b.type === 'tool_use');
        script.bothCalled(called.map((c) => c.name));
        messages.push({ role: 'assistant', content: got.content });
        messages.push({
          role: 'user',
          content: called.map((c) => ({
            type: 'tool_result',
            tool_use_id: c.id,
            content: script.runTool(c.name, c.input),
          })),
        });
        assert.equal(textOf(await create(body)), script.text);
      }
    },
    async image({ model }) {
      const content = [
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: script.image } },
        { type: 'text', text: '[image]' },
      ];
      assert.equal(textOf(await create({ model, messages: say(content) })), script.text);
    },
    async json({ model }) {
      const output_config = { format: { type: 'json_schema', schema: script.schema } };
      const got = await client.messages.parse(bounded({ model, messages: say('[json]'), output_config }));
      assert.deepEqual(JSON.parse(textOf(got)), script.answer);
    },
    async thinking({ model, upstream }) {
      const body = { model, messages: say('[think]'), ...thinking };
      const plain = await create(body);
      const stream = client.messages.stream(bounded(body));
      let streamed = '';
      stream.on('thinking', (t) => (streamed += t));
      for (const got of [plain, await stream.finalMessage()]) {
        assert.equal(textOf(got), script.text);
        assert.equal(thoughtsOf(got), script.thoughts);
        const messages = [...body.messages, { role: 'assistant', content: got.content }, ...say('[recall]')];
        script.signed('messages', upstream, textOf(await create({ ...body, messages })));
      }
      assert.equal(streamed, script.thoughts);
    },
    async abort({ model }) {
      const stream = await create({ model, messages: say('[forever]'), stream: true });
      let n = 0;
      for await (const _ of stream) if (++n === 5) stream.controller.abort();
      assert.ok(n >= 5 && n < 1000, `${n} events of a stream that was left`);
    },
    async broken({ model }) {
      let got = '';
      const err = await script.refused('a broken stream', async () => {
        for await (const e of await create({ model, messages: say('[break]'), stream: true }))
          got += e.delta?.text ?? '';
      });
      assert.equal(got, script.text);
      assert.ok(err instanceof Anthropic.APIError, `${err.constructor.name}: ${err.message}`);
    },
    async errors({ upstream, model }) {
      const ask = (asked, c) => create({ model: asked, messages: say('[text]') }, c);
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
