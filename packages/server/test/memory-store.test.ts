import { test } from 'vitest';
import { testStore } from '#store/contract-suite/index.js';
import { openMemory } from '#store/memory/memory.js';

testStore({ open: async (options) => openMemory(options), test });
