import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';

import { CHAT, TEXT, client } from '../halley.js';

// The upstream speaks chat completions and keeps nothing: the server does.
describe('kept responses', () => {
  it('are gone on from, read, listed and deleted', async () => {
    const openai = client();
    const first = await openai.responses.create({ model: CHAT, input: 'I am Ada.' });
    assert.equal(first.output_text, TEXT);
    const second = await openai.responses.create({ model: CHAT, input: 'Who am I?', previous_response_id: first.id });
    assert.equal(second.previous_response_id, first.id);
    assert.notEqual(second.id, first.id);

    const again = await openai.responses.retrieve(second.id);
    assert.deepEqual(again.output, second.output);
    const items = [];
    for await (const item of openai.responses.inputItems.list(second.id)) items.push(item);
    assert.equal(items.length, 1);
    assert.equal(items[0].content, 'Who am I?');
    assert.ok(items[0].id);

    await openai.responses.delete(second.id);
    await assert.rejects(openai.responses.retrieve(second.id), OpenAI.NotFoundError);
    await assert.rejects(
      openai.responses.create({ model: CHAT, input: 'x', previous_response_id: second.id }),
      (e) => e instanceof OpenAI.BadRequestError && e.code === 'previous_response_not_found' && e.param === 'previous_response_id',
    );
  });

  it('are there when their stream has ended', async () => {
    const openai = client();
    const stream = openai.responses.stream({ model: CHAT, input: 'I am Ada.' });
    const final = await stream.finalResponse();
    const again = await openai.responses.retrieve(final.id);
    assert.equal(again.output_text ?? again.output[0].content[0].text, TEXT);
  });

  it('are another key’s secret', async () => {
    const mine = await client().responses.create({ model: CHAT, input: 'I am Ada.' });
    await assert.rejects(client('HALLEY_KEY_EXHAUSTED').responses.retrieve(mine.id), OpenAI.NotFoundError);
  });

  it('are refused by reference when nobody has them', async () => {
    await assert.rejects(
      client().responses.create({ model: CHAT, input: [{ type: 'item_reference', id: 'msg_nobody' }] }),
      (e) => e instanceof OpenAI.BadRequestError && e.code === 'item_not_found',
    );
  });
});
