// The openai package, at both of its endpoints.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import * as script from './script.js';

const clientOf = (apiKey) => new OpenAI({ baseURL: `${script.base}/v1`, apiKey, maxRetries: 0 });
const client = clientOf(script.apiKey);
const classes = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  429: 'RateLimitError',
};

// isError holds an error against the SDK's class for the status.
function isError(err, status, words = '') {
  const want = classes[status] ?? (status >= 500 ? 'InternalServerError' : 'APIError');
  assert.equal(`${err.constructor.name} ${err.status}`, `${want} ${status}`, String(err));
  assert.ok(err.message.includes(words), err.message);
}

// errors goes through every class of error with a way to ask.
const errors =
  (ask) =>
  async ({ upstream, model }) => {
    for (const [status, want] of script.failures) {
      const err = await script.refused(`status ${status}`, () => ask(client, `${upstream}-error-${status}`));
      isError(err, want, want === status ? script.failure : '');
    }
    for (const [key, asked, want] of script.refusals(model))
      isError(await script.refused(`${key} ${asked}`, () => ask(clientOf(script.keyOf(key)), asked)), want);
  };

// leave reads a stream that has no end, for a little while.
async function leave(stream) {
  let n = 0;
  for await (const _ of stream) if (++n === 5) stream.controller.abort();
  assert.ok(n >= 5 && n < 1000, `${n} events of a stream that was left`);
}

// broken reads a stream that breaks off: the text, then an error.
async function broken(stream, textOf) {
  let got = '';
  const err = await script.refused('a broken stream', async () => {
    for await (const e of stream) got += textOf(e) ?? '';
  });
  assert.equal(got, script.text);
  assert.ok(err instanceof OpenAI.APIError, `${err.constructor.name}: ${err.message}`);
}

const say = (content) => [{ role: 'user', content }];
const create = (body, c = client) => c.chat.completions.create(body);
const chatUsage = (u) =>
  script.used({
    prompt: u.prompt_tokens,
    cached: u.prompt_tokens_details.cached_tokens,
    completion: u.completion_tokens,
    reasoning: u.completion_tokens_details.reasoning_tokens,
  });
const functions = script.tools.map((t) => ({ type: 'function', function: t }));

const chat = {
  name: 'openai, chat',
  package: 'openai',
  dialect: 'chat',
  async text({ model }) {
    const got = await create({ model, messages: say('[text]') });
    assert.equal(got.choices[0].message.content, script.text);
    assert.equal(got.choices[0].finish_reason, 'stop');
    assert.equal(got.model, model);
    chatUsage(got.usage);
  },
  async stream({ model }) {
    const stream = client.chat.completions.stream({
      model,
      messages: say('[text]'),
      stream_options: { include_usage: true },
    });
    const got = await stream.finalChatCompletion();
    assert.equal(got.choices[0].message.content, script.text);
    assert.equal(got.choices[0].finish_reason, 'stop');
    chatUsage(got.usage);
  },
  async tools({ model }) {
    for (const streamed of [false, true]) {
      const messages = say('[tools]');
      const body = { model, messages, tools: functions };
      const got = streamed
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await create(body);
      const { message, finish_reason } = got.choices[0];
      assert.equal(finish_reason, 'tool_calls');
      script.bothCalled(message.tool_calls.map((c) => c.function.name));
      messages.push(message);
      for (const c of message.tool_calls)
        messages.push({
          role: 'tool',
          tool_call_id: c.id,
          content: script.runTool(c.function.name, JSON.parse(c.function.arguments)),
        });
      const last = await create(body);
      assert.equal(last.choices[0].message.content, script.text);
    }
  },
  async image({ model }) {
    const content = [
      { type: 'text', text: '[image]' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${script.image}` } },
    ];
    const got = await create({ model, messages: say(content) });
    assert.equal(got.choices[0].message.content, script.text);
  },
  async json({ model }) {
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'answer', schema: script.schema, strict: true },
    };
    const got = await client.chat.completions.parse({ model, messages: say('[json]'), response_format });
    assert.deepEqual(JSON.parse(got.choices[0].message.content), script.answer);
  },
  // The SDK knows no thoughts, but keeps what it does not know.
  async thinking({ model, upstream }) {
    const shown = script.shown(upstream) ? script.thoughts : undefined;
    const messages = say('[think]');
    const got = await create({ model, messages, reasoning_effort: 'low' });
    const { message } = got.choices[0];
    assert.equal(message.content, script.text);
    assert.equal(message.reasoning_content, shown);
    assert.equal(got.usage.completion_tokens_details.reasoning_tokens, script.usage.reasoning);
    messages.push(message, ...say('[recall]'));
    const again = await create({ model, messages, reasoning_effort: 'low' });
    script.signed('chat', upstream, again.choices[0].message.content);

    let streamed = '';
    for await (const chunk of await create({
      model,
      messages: say('[think]'),
      reasoning_effort: 'low',
      stream: true,
    }))
      streamed += chunk.choices[0]?.delta.reasoning_content ?? '';
    assert.equal(streamed, shown ?? '');
  },
  async abort({ model }) {
    await leave(await create({ model, messages: say('[forever]'), stream: true }));
  },
  async broken({ model }) {
    await broken(
      await create({ model, messages: say('[break]'), stream: true }),
      (e) => e.choices?.[0]?.delta.content,
    );
  },
  errors: errors((c, model) => create({ model, messages: say('[text]') }, c)),
};

const respond = (body, c = client) => c.responses.create({ store: false, ...body });
const responseUsage = (u) =>
  script.used({
    prompt: u.input_tokens,
    cached: u.input_tokens_details.cached_tokens,
    completion: u.output_tokens,
    reasoning: u.output_tokens_details.reasoning_tokens,
  });
const sealed = { reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'] };
const summaryOf = (response) =>
  response.output
    .filter((i) => i.type === 'reasoning')
    .flatMap((i) => i.summary.map((s) => s.text))
    .join('');

const responses = {
  name: 'openai, responses',
  package: 'openai',
  dialect: 'responses',
  async text({ model }) {
    const got = await respond({ model, input: '[text]' });
    assert.equal(got.output_text, script.text);
    assert.equal(got.status, 'completed');
    assert.equal(got.model, model);
    responseUsage(got.usage);
  },
  async stream({ model }) {
    const stream = client.responses.stream({ model, input: '[text]', store: false });
    let got = '';
    let number = -1;
    for await (const e of stream) {
      assert.equal(e.sequence_number, ++number, "the events' numbers");
      if (e.type === 'response.output_text.delta') got += e.delta;
    }
    const last = await stream.finalResponse();
    assert.equal(got, script.text);
    assert.equal(last.output_text, script.text);
    responseUsage(last.usage);
  },
  async tools({ model }) {
    for (const streamed of [false, true]) {
      const input = say('[tools]');
      const body = {
        model,
        input,
        tools: script.tools.map((t) => ({ type: 'function', strict: false, ...t })),
        store: false,
      };
      const got = streamed ? await client.responses.stream(body).finalResponse() : await respond(body);
      const called = got.output.filter((i) => i.type === 'function_call');
      script.bothCalled(called.map((c) => c.name));
      input.push(...got.output.map(({ parsed_arguments, ...item }) => item));
      for (const c of called)
        input.push({
          type: 'function_call_output',
          call_id: c.call_id,
          output: script.runTool(c.name, JSON.parse(c.arguments)),
        });
      const last = await respond(body);
      assert.equal(last.output_text, script.text);
    }
  },
  async image({ model }) {
    const content = [
      { type: 'input_text', text: '[image]' },
      { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${script.image}` },
    ];
    assert.equal((await respond({ model, input: say(content) })).output_text, script.text);
  },
  async json({ model }) {
    const format = { type: 'json_schema', name: 'answer', schema: script.schema, strict: true };
    const got = await client.responses.parse({ model, input: '[json]', text: { format }, store: false });
    assert.deepEqual(JSON.parse(got.output_text), script.answer);
  },
  async thinking({ model, upstream }) {
    const body = { model, input: say('[think]'), store: false, ...sealed };
    const stream = client.responses.stream(body);
    let streamed = '';
    for await (const e of stream) if (e.type === 'response.reasoning_summary_text.delta') streamed += e.delta;
    assert.equal(streamed, script.thoughts);
    for (const got of [await respond(body), await stream.finalResponse()]) {
      assert.equal(got.output_text, script.text);
      assert.equal(summaryOf(got), script.thoughts);
      script.signed(
        'responses',
        upstream,
        (await respond({ ...body, input: [...body.input, ...got.output, ...say('[recall]')] })).output_text,
      );
    }
  },
  async abort({ model }) {
    await leave(await respond({ model, input: '[forever]', stream: true }));
  },
  // The SDK throws at the event "error" alone; a response that failed is one of
  // its events.
  async broken({ model }) {
    let got = '';
    let end;
    try {
      for await (const e of await respond({ model, input: '[break]', stream: true })) {
        if (e.type === 'response.output_text.delta') got += e.delta;
        if (e.type === 'response.failed') end = e.response.error.message;
      }
    } catch (err) {
      assert.ok(err instanceof OpenAI.APIError, `${err.constructor.name}: ${err.message}`);
      end = err.message;
    }
    assert.equal(got, script.text);
    assert.ok(end, 'the stream ended as if it were whole');
  },
  errors: errors((c, model) => respond({ model, input: '[text]' }, c)),
};

export default [chat, responses];
