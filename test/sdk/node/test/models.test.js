import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';

import { CHAT, EMBED, OFFLINE, TOOLS, client } from '../halley.js';

async function list(openai) {
  const ids = [];
  for await (const model of openai.models.list()) {
    assert.equal(model.object, 'model');
    ids.push(model.id);
  }
  return ids;
}

describe('models', () => {
  it('lists what the key may call', async () => {
    const ids = await list(client());
    for (const model of [CHAT, TOOLS, EMBED]) assert.ok(ids.includes(model), `${model} is missing from ${ids}`);
    assert.ok(!ids.includes(OFFLINE), 'a model without an enabled channel is listed');
    assert.deepEqual(ids, [...new Set(ids)], 'every model once');
  });

  it('lists only the models that a limited key names', async () => {
    assert.deepEqual(await list(client('HALLEY_KEY_MODEL_LIMITED')), [TOOLS]);
  });

  it('retrieves one', async () => {
    const model = await client().models.retrieve(CHAT);
    assert.equal(model.id, CHAT);
    assert.equal(model.object, 'model');
    assert.equal(typeof model.created, 'number');
    assert.equal(typeof model.owned_by, 'string');
  });

  it('does not know the others', async () => {
    await assert.rejects(client().models.retrieve('script-nowhere'), OpenAI.NotFoundError);
    await assert.rejects(client('HALLEY_KEY_MODEL_LIMITED').models.retrieve(CHAT), OpenAI.APIError);
  });
});
