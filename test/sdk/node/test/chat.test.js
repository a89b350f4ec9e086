import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CALLS, CHAT, FOREVER, MESSAGES, TEXT, TOOLS, USAGE, client, tool } from '../halley.js';

const tools = CALLS.map((c) => tool(c.name));

describe('chat completions', () => {
  it('answers with the text and the usage', async () => {
    const { data, response } = await client()
      .chat.completions.create({ model: CHAT, messages: MESSAGES })
      .withResponse();
    assert.equal(data.model, CHAT);
    assert.equal(data.choices[0].message.content, TEXT);
    assert.equal(data.choices[0].finish_reason, 'stop');
    assert.equal(data.usage.prompt_tokens, USAGE.prompt);
    assert.equal(data.usage.completion_tokens, USAGE.completion);
    assert.equal(data.usage.prompt_tokens_details.cached_tokens, USAGE.cached);
    assert.equal(data.usage.completion_tokens_details.reasoning_tokens, USAGE.reasoning);
    assert.ok(response.headers.get('x-request-id'), 'the answer has a request id');
    assert.equal(data._request_id, response.headers.get('x-request-id'));
  });

  it('streams the text, and nothing that was not asked for', async () => {
    const stream = await client().chat.completions.create({ model: CHAT, messages: MESSAGES, stream: true });
    let text = '';
    let finish;
    for await (const chunk of stream) {
      assert.equal(chunk.choices.length, 1, 'a chunk without choices reached a client that did not ask for usage');
      assert.ok(chunk.usage == null, 'usage reached a client that did not ask for it');
      assert.equal(chunk.model, CHAT);
      text += chunk.choices[0].delta.content ?? '';
      finish = chunk.choices[0].finish_reason ?? finish;
    }
    assert.equal(text, TEXT);
    assert.equal(finish, 'stop');
  });

  it('streams the usage last when it was asked for', async () => {
    const stream = await client().chat.completions.create({
      model: CHAT,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.prompt_tokens, USAGE.prompt);
    assert.equal(last.usage.completion_tokens, USAGE.completion);
    assert.equal(chunks.map((c) => c.choices[0].delta.content ?? '').join(''), TEXT);
    for (const chunk of chunks) assert.equal(chunk.usage, null);
  });

  it('leaves out the usage when it was declined', async () => {
    const stream = await client().chat.completions.create({
      model: CHAT,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: false },
    });
    for await (const chunk of stream) assert.equal(chunk.choices.length, 1);
  });

  it('works with the streaming helper', async () => {
    const runner = client().chat.completions.stream({ model: CHAT, messages: MESSAGES });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].message.content, TEXT);
  });

  it('passes tool calls through unchanged', async () => {
    const answer = await client().chat.completions.create({ model: TOOLS, messages: MESSAGES, tools });
    const calls = answer.choices[0].message.tool_calls.map((c) => ({ id: c.id, ...c.function }));
    assert.deepEqual(calls, CALLS);
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  });

  it('passes streamed tool calls through unchanged', async () => {
    const stream = await client().chat.completions.create({ model: TOOLS, messages: MESSAGES, tools, stream: true });
    const calls = [];
    for await (const chunk of stream) {
      for (const part of chunk.choices[0].delta.tool_calls ?? []) {
        calls[part.index] ??= { id: '', name: '', arguments: '' };
        calls[part.index].id += part.id ?? '';
        calls[part.index].name += part.function?.name ?? '';
        calls[part.index].arguments += part.function?.arguments ?? '';
      }
    }
    assert.deepEqual(calls, CALLS);
  });

  it('takes a conversation with tool results', async () => {
    const answer = await client().chat.completions.create({
      model: CHAT,
      tools,
      messages: [
        ...MESSAGES,
        {
          role: 'assistant',
          content: null,
          tool_calls: CALLS.map((c) => ({
            id: c.id,
            type: 'function',
            function: { name: c.name, arguments: c.arguments },
          })),
        },
        ...CALLS.map((c) => ({ role: 'tool', tool_call_id: c.id, content: '{"ok":true}' })),
      ],
    });
    assert.equal(answer.choices[0].message.content, TEXT);
  });

  it('can be left in the middle of a stream', async () => {
    const openai = client();
    const controller = new AbortController();
    const stream = await openai.chat.completions.create(
      { model: FOREVER, messages: MESSAGES, stream: true },
      { signal: controller.signal },
    );
    let seen = 0;
    for await (const chunk of stream) {
      assert.equal(chunk.choices.length, 1);
      if (++seen === 3) controller.abort();
    }
    assert.ok(seen >= 3 && seen < 1000, `${seen} chunks`);

    const answer = await openai.chat.completions.create({ model: CHAT, messages: MESSAGES });
    assert.equal(answer.choices[0].message.content, TEXT, 'the same client goes on working');
  });
});
